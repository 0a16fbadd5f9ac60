"""The same search with Ray Tune, on as many machines as a Ray cluster has.

    pip install 'ray[tune]'
    .venv/bin/python examples/ray_search.py --trials 30 --epochs 5 --out search              # this machine
    .venv/bin/python examples/ray_search.py --address auto --gpus 1 --out search             # a running cluster

Each trial trains in a process of its own, with as many cores and cards as it is given. Data sets must be at the same
path on every machine. Writes OUT.json, the trials, and OUT.png, the front.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from trial import CODINGS, PRICES, TIME_STEPS, WIDTHS, draw

HERE = str(Path(__file__).resolve().parent)


def trainable(point: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    """One trial, in a process of Ray's."""
    sys.path.insert(0, HERE)
    from trial import trial

    return trial(point, options.preset, options.data, options.epochs, options.train_limit)


def main() -> None:
    """Search, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="digits-lenet")
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--train-limit", type=int)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--cpus", type=float, default=1, help="cores of a trial")
    parser.add_argument("--gpus", type=float, default=0, help="cards of a trial")
    parser.add_argument("--address", help="of a Ray cluster; default: start one here")
    parser.add_argument("--out", type=Path, default=Path("search"))
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to Ray's makers
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")])}}
    ray.init(address=options.address, include_dashboard=False, runtime_env=environment)
    try:
        work = tune.with_resources(partial(trainable, options=options), {"cpu": options.cpus, "gpu": options.gpus})
        tuner = tune.Tuner(
            work,
            param_space={
                "time_steps": tune.randint(TIME_STEPS[0], TIME_STEPS[1] + 1),
                "coding": tune.choice(CODINGS),
                "width": tune.choice(WIDTHS),
                "price": tune.loguniform(*PRICES),
            },
            tune_config=tune.TuneConfig(num_samples=options.trials, metric="accuracy", mode="max"),
        )
        results = tuner.fit()
    finally:
        ray.shutdown()
    keys = ("accuracy", "test_accuracy", "energy_joules")
    points = [{**r.config, **{key: r.metrics[key] for key in keys}} for r in results if r.error is None]
    if not points:
        sys.exit("error: no trial ended well; Ray has printed why")
    options.out.with_suffix(".json").write_text(json.dumps(points, indent=2, default=float) + "\n", encoding="utf-8")
    draw(points, f"{len(points)} trainings of {options.preset}, Ray Tune", options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
