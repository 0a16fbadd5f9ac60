"""Does it help to learn other neurons for every time step, and to code the input hybridly? Tested fairly.

    python examples/paper_claim.py --preset digits-lenet --epochs 12 --seeds 3 --out claim

ASNN's paper (arXiv 2408.12407) says that adaptive neurons with hybrid coding improve spiking networks. This trains
{LIF, ASNN} with four codings, and on hybrid-latency coding each ingredient alone (leak per step, gain per step, readout
scale), on the same data, epochs, time steps and seeds. For each it counts the synaptic operations of the trained
network. What is in `--out` already is not trained again, so an interrupted run goes on where it stopped.

OUT/results.json holds every run; OUT/table.md and OUT/plot.png show means and 95 % intervals over the seeds (Student's
t), and the difference to LIF seed by seed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import LogFormatter

from asnn_deploy.energy.estimate import energy
from asnn_deploy.energy.measure import measure
from asnn_deploy.energy.profiles import load_profile
from asnn_deploy.energy.running import half_width
from asnn_deploy.input.data import Data, load_data
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.presets import preset
from asnn_deploy.training.train import train
from asnn_deploy.training.trained import load_run
from asnn_deploy.util.files import write_text

CODINGS = ("direct", "latency", "hybrid-latency", "hybrid-embedding")
INGREDIENTS = {"LIF": [], "leak": ["leak"], "gain": ["gain"], "readout": ["readout"], "ASNN": None}
"""On hybrid-latency coding: what is learned for each step. None: all three."""
ALONE = "hybrid-latency"
COLOURS = {"direct": "#0072b2", "latency": "#e69f00", "hybrid-latency": "#009e73", "hybrid-embedding": "#cc79a7"}
"""Okabe and Ito's palette, which colour-blind people tell apart."""


LEAST_ERROR = 0.1
"""Percent; where the log scale ends."""


class Variant(NamedTuple):
    """One network of the comparison."""

    neuron: str
    coding: str

    @property
    def folder(self) -> str:
        """Its runs' name."""
        return f"{self.neuron}-{self.coding}"


VARIANTS = [Variant(neuron, coding) for coding in CODINGS for neuron in ("LIF", "ASNN")] + [
    Variant(name, ALONE) for name in INGREDIENTS if name not in ("LIF", "ASNN")
]


def one_run(options: argparse.Namespace, variant: Variant, seed: int) -> dict[str, Any]:
    """Train and count one network, or read what an earlier call found."""
    folder = options.out / "runs" / f"{variant.folder}-{seed}"
    result = folder.with_suffix(".json")
    if result.is_file():
        return dict(json.loads(result.read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was interrupted
    learned = INGREDIENTS[variant.neuron]
    changes = {
        "coding": variant.coding,
        "time_steps": options.time_steps,
        "model.neuron": "asnn" if learned is None or learned else "lif",
        "training.epochs": options.epochs,
        "training.seed": seed,
        "training.threads": 1,
    }
    changes |= {"model.learned": learned} if learned else {}
    changes |= {"training.limit": options.train_limit} if options.train_limit else {}
    changes |= {"model.input_shape": None, "data": options.data} if options.data else {}
    config = make_config(merge(preset(options.preset), changes), options.preset)
    data = shortened(load_data(config.data), options.test_limit)
    start = time.perf_counter()
    summary = train(config, data, folder)
    counts = measure(lower(load_run(folder).network), *data.part("test", options.limit), []).counts
    found = {
        "neuron": variant.neuron,
        "coding": variant.coding,
        "seed": seed,
        "test_accuracy": summary["test_accuracy"],
        "train_accuracy": summary["train_accuracy"],
        "parameters": summary["parameters"],
        "sops": counts.sops.mean,
        "macs": counts.total("macs"),
        "spikes": counts.spikes.mean,
        "energy_joules": {name: energy(load_profile(name), counts).energy_joules.mid for name in options.profile},
        "seconds": time.perf_counter() - start,
    }
    write_text(result, json.dumps(found, indent=2) + "\n")
    return found


def shortened(data: Data, limit: int | None) -> Data:
    """The data with the first `limit` test samples only."""
    images, labels = ({**parts, "test": parts["test"][:limit]} for parts in (data.images, data.labels))
    return replace(data, images=images, labels=labels)


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """A mean, and half of its 95 % interval; NaN where there is one value only."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    return float(np.mean(values)), half_width(float(np.std(values, ddof=1)), len(values))


def of(runs: Sequence[dict[str, Any]], variant: Variant) -> list[dict[str, Any]]:
    """A variant's runs, by seed."""
    mine = [run for run in runs if (run["neuron"], run["coding"]) == variant]
    return sorted(mine, key=lambda run: int(run["seed"]))


def points(value: tuple[float, float], sign: str = "") -> str:
    """Percentage points with their interval, where there is one."""
    half = "" if np.isnan(value[1]) else f" ± {100 * value[1]:.2f}"
    return f"{100 * value[0]:{sign}.2f}{half}"


def table(report: dict[str, Any]) -> str:
    """All variants, as markdown."""
    runs, profile = report["runs"], report["profiles"][0]
    rows = [
        f"| neurons | coding | accuracy, % | against LIF, points | SOPs | of them MACs | {profile}, µJ | parameters |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for variant in VARIANTS:
        mine, plain = of(runs, variant), of(runs, Variant("LIF", variant.coding))
        accuracies = [run["test_accuracy"] for run in mine]
        paired = mean_and_half([a - run["test_accuracy"] for a, run in zip(accuracies, plain)])
        name = variant.neuron if variant.neuron in ("LIF", "ASNN") else f"{variant.neuron} alone"
        mean = {key: float(np.mean([run[key] for run in mine])) for key in ("sops", "macs", "parameters")}
        joules = np.mean([run["energy_joules"][profile] for run in mine])
        rows.append(
            f"| {name} | {variant.coding} | {points(mean_and_half(accuracies))} "
            f"| {'' if variant.neuron == 'LIF' else points(paired, '+')} | {mean['sops']:,.0f} | {mean['macs']:,.0f} "
            f"| {1e6 * joules:.2f} | {mean['parameters']:,.0f} |"
        )
    return "\n".join(rows) + "\n"


def draw(report: dict[str, Any], path: Path) -> None:
    """Test error against synaptic operations, and what each ingredient changes."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.2), dpi=110, width_ratios=(3, 2), layout="constrained")
    for variant in VARIANTS:
        if variant.neuron in ("LIF", "ASNN"):
            draw_error(left, variant, of(report["runs"], variant))
    left.set_yscale("log")
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    left.xaxis.set_major_formatter(lambda x, _: f"{x / 1e3:,.0f}k")
    left.set_xlabel("synaptic operations per sample")
    left.set_ylabel("test error, % (log scale)")
    left.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    left.set_title(f"{report['title']}: mean and 95 % interval, {len(report['seeds'])} seeds", loc="left", fontsize=10)
    draw_ingredients(right, report["runs"])
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    pyplot.close(figure)


def draw_error(axes: Any, variant: Variant, runs: Sequence[dict[str, Any]]) -> None:
    """One network's point: ASNN filled, LIF hollow."""
    mean, half = mean_and_half([100 * (1 - run["test_accuracy"]) for run in runs])
    half = 0.0 if np.isnan(half) else half
    mean = max(mean, LEAST_ERROR)
    ends = [[mean - max(mean - half, LEAST_ERROR)], [min(mean + half, 100) - mean]]
    colour, adaptive = COLOURS[variant.coding], variant.neuron == "ASNN"
    axes.errorbar(
        float(np.mean([run["sops"] for run in runs])),
        mean,
        ends,
        label=f"{variant.neuron}, {variant.coding}",
        color=colour,
        marker="s" if adaptive else "o",
        markerfacecolor=colour if adaptive else "white",
        capsize=3,
        linestyle="",
    )


def draw_ingredients(axes: Any, runs: Sequence[dict[str, Any]]) -> None:
    """What each ingredient changes against LIF, seed by seed."""
    plain = of(runs, Variant("LIF", ALONE))
    names = [name for name in INGREDIENTS if name != "LIF"]
    for i, name in enumerate(names):
        pairs = zip(of(runs, Variant(name, ALONE)), plain)
        mean, half = mean_and_half([100 * (a["test_accuracy"] - b["test_accuracy"]) for a, b in pairs])
        bar = 0.0 if np.isnan(half) else half
        axes.errorbar(i, mean, bar, color=COLOURS[ALONE], marker="s", capsize=3, linestyle="")
    axes.axhline(0, color="#666666", linewidth=1)
    axes.set_xticks(range(len(names)), [f"{name}\nalone" if name != "ASNN" else "all three" for name in names])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel("accuracy against LIF, points")
    axes.set_title(f"learned for each step ({ALONE})", loc="left", fontsize=10)


def write(report: dict[str, Any], folder: Path) -> None:
    """The three files."""
    write_text(folder / "results.json", json.dumps(report, indent=2) + "\n")
    write_text(folder / "table.md", table(report))
    draw(report, folder / "plot.png")


def claim_folder(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments that runs depend on, kept in the folder. Ends the program where it holds runs made with others."""
    kept = ("preset", "epochs", "time_steps", "train_limit", "test_limit", "limit", "profile")
    arguments = {"data": options.data, **{key: getattr(options, key) for key in kept}}
    path = options.out / "arguments.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for key, value in arguments.items():
            if before.get(key) != value:
                raise SystemExit(
                    f"error: {options.out}: holds runs with {key} = {before.get(key)!r}, now {value!r}; "
                    "give the same arguments or another --out"
                )
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(arguments, indent=2) + "\n")
    return arguments | {"data": options.data and options.data.partition(":")[0]}


def commit() -> str | None:
    """What the source stands at, if it is a clone."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or None


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="digits-lenet")
    parser.add_argument("--data", help="the preset's, unless given")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--time-steps", type=int, default=5, help="of all variants; hybrid-embedding needs 5")
    parser.add_argument("--train-limit", type=int, help="train on so many samples, the same share of each class")
    parser.add_argument("--test-limit", type=int, help="test on the first so many samples")
    parser.add_argument("--limit", type=int, default=1000, help="test samples on which operations are counted")
    parser.add_argument("--profile", nargs="+", default=["horowitz-45nm", "loihi1-davies-2018"])
    parser.add_argument("--out", type=Path, default=Path("claim"))
    return parser.parse_args()


def main() -> None:
    """Train what is missing, seed by seed, then write the table and the plot."""
    options = parse()
    arguments = claim_folder(options)
    seeds = list(range(options.seeds))
    runs = []
    for seed in seeds:
        for variant in VARIANTS:
            runs.append(one_run(options, variant, seed))
            found = runs[-1]
            print(
                f"seed {seed}, {variant.neuron}, {variant.coding}: {100 * found['test_accuracy']:.2f} %, "
                f"{found['sops']:,.0f} SOPs, {found['seconds']:.0f} s",
                flush=True,
            )
    report = {
        "title": options.preset,
        "commit": commit(),
        "arguments": arguments,
        "profiles": options.profile,
        "seeds": seeds,
        "runs": runs,
    }
    write(report, options.out)
    print(table(report))


if __name__ == "__main__":
    main()
