"""Search for accuracy and low energy with Optuna, on one machine: time steps, coding, width, price on operations.

Accuracy is that on a validation split; the trials' test accuracies are written, and nothing is chosen by them.

    pip install optuna
    .venv/bin/python examples/optuna_search.py --trials 30 --epochs 5 --out search

Stopped, it goes on where it was: trials are kept in OUT.log (delete it to begin anew); several at once share it when
the command is started several times. Writes OUT.json, the trials, and OUT.png, the front.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from trial import CODINGS, PRICES, TIME_STEPS, WIDTHS, draw, trial


def main() -> None:
    """Search, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="digits-lenet")
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--train-limit", type=int)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("search"))
    options = parser.parse_args()
    log = options.out.with_suffix(".log")

    def objective(step: optuna.Trial) -> tuple[float, float]:
        point = {
            "time_steps": step.suggest_int("time_steps", *TIME_STEPS),
            "coding": step.suggest_categorical("coding", CODINGS),
            "width": step.suggest_categorical("width", WIDTHS),
            "price": step.suggest_float("price", *PRICES, log=True),
        }
        found = trial(point, options.preset, options.data, options.epochs, options.train_limit)
        step.set_user_attr("test_accuracy", found["test_accuracy"])
        return found["accuracy"], found["energy_joules"]

    seed = None if log.exists() else options.seed  # whoever joins a search, or goes on with it, tries other points
    study = optuna.create_study(
        study_name="asnn-deploy",
        storage=JournalStorage(JournalFileBackend(str(log))),
        sampler=optuna.samplers.TPESampler(seed=seed),
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )
    enough = MaxTrialsCallback(options.trials, states=(optuna.trial.TrialState.COMPLETE,))
    study.optimize(objective, callbacks=[enough])
    points = [
        {**step.params, **step.user_attrs, "accuracy": step.values[0], "energy_joules": step.values[1]}
        for step in study.trials
        if step.state == optuna.trial.TrialState.COMPLETE
    ]
    options.out.with_suffix(".json").write_text(json.dumps(points, indent=2) + "\n", encoding="utf-8")
    draw(points, f"{len(points)} trainings of {options.preset}, Optuna", options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
