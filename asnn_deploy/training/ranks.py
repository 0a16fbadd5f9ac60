"""Which of the training's processes this one is, as those that started it say; nothing here loads torch."""

from __future__ import annotations

import os


def rank() -> int:
    """This process's number among all of the training: 0 writes the run folder. Known before they have met."""
    names = ["LOCAL_RANK"]  # the processes that are started here have this one alone
    if processes_from_outside() is not None:
        names = ["RANK"] if "TORCHELASTIC_RUN_ID" in os.environ else ["SLURM_PROCID", *names]
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def processes_from_outside() -> int | None:
    """How many processes torchrun or Slurm's srun has started; None where neither did."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    tasks = int(os.environ.get("SLURM_NTASKS", "1"))
    return tasks if tasks > 1 and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive") else None
