"""What is written down after every epoch: metrics, firing rates, the curve; energy and TensorBoard where wanted."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from asnn_deploy.energy import Counter, energy, load_profile
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import GraphError, MissingDependency
from asnn_deploy.input.data import Data
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.config import MonitorConfig
from asnn_deploy.training.run_folder import CURVE, METRICS, RATES, TENSORBOARD
from asnn_deploy.util.files import replacing

SATURATED = 0.99
STATES = {
    "never fires": "nothing behind it learns; lower the learning rate or loss.sop_penalty",
    "fires at nearly every step": "it says nothing; lower the learning rate",
}
"""What makes a layer useless, and what may help."""


class Monitor(Callback):
    """metrics.csv: one row an epoch; rates.csv: one an epoch, layer and step; curve.png; only the first process writes.

    A layer that never fires, or at nearly every step, on the whole test set is warned about by name, once.
    """

    def __init__(self, folder: Path, config: MonitorConfig, data: Data, writes: bool = True) -> None:
        self.folder, self.config, self.data, self.writes = folder, config, data, writes
        self.rows: list[dict[str, float]] = []
        self.rates: list[dict[str, float | str]] = []
        self.silent: dict[str, list[str]] = {}
        self.warned: list[str] = []
        check_monitor(config)

    def state_dict(self) -> dict[str, Any]:
        """See Lightning."""
        return {"rows": self.rows, "rates": self.rates, "silent": self.silent, "warned": self.warned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Lightning."""
        self.rows, self.rates, self.warned = (list(state[key]) for key in ("rows", "rates", "warned"))
        self.silent = dict(state["silent"])

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Add the epoch's rows; the validation has run by now."""
        epoch = trainer.current_epoch
        trained, tested, validated = (tally.means() for tally in (module.trained, module.tested, module.validated))
        splits = {"train": trained, "test": tested, "validation": validated}
        values = {
            f"{split}_{key}": float(means[key])
            for split, means in splits.items()
            for key in ("loss", "accuracy")
            if means
        }
        values |= {"gradient_norm": float(trained["gradient"])}
        if "traffic" in trained:
            values["traffic"] = float(trained["traffic"])
        if self.config.energy and self.writes:
            values |= self._energy(module.network)
        self.rows.append({"epoch": epoch, **values})
        rates = {key.removeprefix("rate "): tested[key].tolist() for key in tested if key.startswith("rate ")}
        self.rates += [
            {"epoch": epoch, "layer": name, "step": t, "rate": rate}
            for name, steps in rates.items()
            for t, rate in enumerate(steps)
        ]
        if self.writes:
            self._warn(epoch, rates, epoch + 1 == trainer.max_epochs)
            write_rows(self.folder / METRICS, self.rows)
            write_rows(self.folder / RATES, self.rates)
            if self.config.tensorboard:
                self._tensorboard(epoch, values, rates)

    def on_exception(self, trainer: lightning.Trainer, module: Any, exception: BaseException) -> None:
        """Draw the curve of a training that is interrupted, too."""
        if isinstance(exception, KeyboardInterrupt):
            self.on_train_end(trainer, module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Draw the curve."""
        from asnn_deploy.training.curve import draw_curve

        if self.rows and self.writes:
            draw_curve(self.rows, self.folder / CURVE)

    def _warn(self, epoch: int, rates: Mapping[str, Sequence[float]], last: bool) -> None:
        """One epoch alone may be batch norm's statistics, which still follow; two in a row, or the last, are told."""
        for state, remedy in STATES.items():
            now = [name for name, steps in rates.items() if silent(state, steps)]
            told = [name for name in now if name not in self.warned and (last or name in self.silent.get(state, ()))]
            self.silent[state], self.warned = now, self.warned + told
            if told:
                names = ", ".join(f"layer {name!r}" for name in told)
                print(f"warning: epoch {epoch}: {state}: {names}; {remedy}", file=sys.stderr)

    def _energy(self, network: Any) -> dict[str, float]:
        """Synaptic operations and joules for a sample, of the network as it would be deployed now."""
        training = network.training
        try:
            graph = lower(network.eval())
            images, _ = self.data.part("test", self.config.samples)
            counter = Counter(graph)
            counter.add(images, run(graph, images, Record(spikes=True, step_logits=True)))
            counts = counter.result()
            return {
                "sops": counts.total("acs") + counts.total("macs"),
                "energy_joules": energy(load_profile(self.config.profile), counts).energy_joules.mid,
            }
        except GraphError:  # nothing to deploy at this moment, such as weights that are not finite
            return {"sops": float("nan"), "energy_joules": float("nan")}
        finally:
            network.train(training)

    def _tensorboard(self, epoch: int, values: Mapping[str, float], rates: Mapping[str, Sequence[float]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.folder / TENSORBOARD), purge_step=epoch) as writer:  # type: ignore[no-untyped-call]
            for key, value in values.items():
                writer.add_scalar(key, value, epoch)  # type: ignore[no-untyped-call]
            for name, steps in rates.items():
                for t, rate in enumerate(steps):
                    writer.add_scalar(f"rate/{name}/step{t}", rate, epoch)  # type: ignore[no-untyped-call]


def silent(state: str, steps: Sequence[float]) -> bool:
    """Whether firing rates, `[T]`, are of a layer in one of `STATES`."""
    return max(steps) == 0 if state == "never fires" else min(steps) >= SATURATED


def check_monitor(config: MonitorConfig) -> None:
    """Raise MissingDependency or ConfigError where what is wanted is not there."""
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MissingDependency(
            "monitor.tensorboard = true needs the package tensorboard; pip install 'asnn-deploy[tensorboard]'"
        )
    load_profile(config.profile)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file, whole or not at all; columns are those of any row."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=names)
        writer.writeheader()
        writer.writerows(rows)
