"""What does a price on synaptic operations buy? Trains one network with rising prices, and draws accuracy over SOPs.

    .venv/bin/python examples/sop_penalty.py --preset digits-lenet --epochs 12 --seeds 3 --out sop-penalty
    .venv/bin/python examples/sop_penalty.py --preset fashion-lenet --data fashion-mnist:DIR --train-limit 10000

Each run is `train` with `loss.sop_penalty`; accuracy is that of the deployed network on all test samples, synaptic
operations those of the last epoch's estimate (`monitor.energy`) on the first 256. Writes OUT.json and OUT.png.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from asnn_deploy.input.data import load_data
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.presets import preset
from asnn_deploy.training.train import train

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from trial import plain_numbers

SAMPLES = 256


def one(values: dict[str, Any], price: float, seed: int, folder: Path) -> dict[str, float]:
    """Train once."""
    changes = {
        "loss.sop_penalty": price,
        "training.seed": seed,
        "monitor.energy": True,
        "monitor.samples": SAMPLES,
    }
    config = make_config(merge(values, changes), "sop_penalty")
    summary = train(config, load_data(config.data), folder)
    with open(folder / "metrics.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return {
        "price": price,
        "seed": seed,
        "accuracy": summary["test_accuracy"],
        "sops": float(last["sops"]),
        "energy_joules": float(last["energy_joules"]),
    }


def means(runs: list[dict[str, float]]) -> list[dict[str, float]]:
    """Of each price's runs, with the accuracies' standard deviation."""
    found = []
    for price in sorted({run["price"] for run in runs}):
        mine = [run for run in runs if run["price"] == price]
        row = {key: float(np.mean([run[key] for run in mine])) for key in ("accuracy", "sops", "energy_joules")}
        found.append({"price": price, **row, "spread": float(np.std([run["accuracy"] for run in mine]))})
    return found


def table(report: dict[str, Any]) -> str:
    """The means as Markdown, and the command that makes them."""
    data = "" if report["data"] == "digits" else f" --data {report['data']}:DIR"
    limit = f" --train-limit {report['train_limit']}" if report["train_limit"] else ""
    seeds = len({run["seed"] for run in report["runs"]})
    prices = " ".join(f"{row['price']:g}" for row in report["rows"])
    command = (
        f"python examples/sop_penalty.py --preset {report['preset']}{data}{limit} --epochs {report['epochs']} "
        f"--seeds {seeds} --prices {prices}"
    )
    free = report["rows"][0]
    rows = [
        f"| {row['price']:g} | {100 * row['accuracy']:.1f}"
        + (f" ± {100 * row['spread']:.1f}" if seeds > 1 else "")
        + f" | {row['sops']:,.0f} | {100 * row['sops'] / free['sops']:.0f} % | {1e6 * row['energy_joules']:.3f} |"
        for row in report["rows"]
    ]
    head = (
        "| loss.sop_penalty | accuracy, % | SOPs | of them without a price | horowitz-45nm, µJ |\n|---|---|---|---|---|"
    )
    return f"`{command}`, commit {report['commit']}.\n\n{head}\n" + "\n".join(rows)


def draw(rows: list[dict[str, float]], title: str, path: Path) -> None:
    """Accuracy over synaptic operations, a point for each price."""
    figure, axis = plt.subplots(figsize=(6, 3.4), dpi=120, layout="constrained")
    sops = [row["sops"] / 1e3 for row in rows]
    accuracy = [100 * row["accuracy"] for row in rows]
    axis.errorbar(sops, accuracy, [100 * row["spread"] for row in rows], marker="o", color="#0b6e8a", capsize=3)
    for row, x, y in zip(rows, sops, accuracy):
        axis.annotate(f"{row['price']:g}", (x, y), textcoords="offset points", xytext=(6, -11), fontsize=8)
    axis.set(xlabel="thousand synaptic operations per image", ylabel="test accuracy, %", xscale="log")
    axis.set_title(f"{title}: points are values of loss.sop_penalty", loc="left", fontsize=9)
    plain_numbers(axis)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Train, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="digits-lenet")
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-limit", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prices", type=float, nargs="+", default=[0, 0.3, 1, 3, 10, 30])
    parser.add_argument("--out", type=Path, default=Path("sop-penalty"))
    options = parser.parse_args()
    changes = {"training.epochs": options.epochs, "training.limit": options.train_limit}
    values = merge(preset(options.preset), changes | ({"data": options.data} if options.data else {}))
    runs = []
    for price in options.prices:
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(one(values, price, seed, Path(folder) / "run"))
            print("price {price:g}, seed {seed}: {accuracy:.2%}, {sops:.0f} SOPs".format(**runs[-1]), flush=True)
    rows = means(runs)
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    name = (options.data or values["data"]).partition(":")[0]
    report = {
        "commit": commit,
        "preset": options.preset,
        "data": name,
        "epochs": options.epochs,
        "train_limit": options.train_limit,
        "rows": rows,
        "runs": runs,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draw(rows, f"{options.preset} on {name}", options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
