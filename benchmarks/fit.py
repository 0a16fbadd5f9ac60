"""How long placement takes, and what it says, for the reference LeNet and for networks of SEW-ResNet-18's size.

    .venv/bin/python benchmarks/fit.py [--rounds N] [--seed N] [--out FILE]

Weights are random: only sizes matter. For each network and chip: seconds of the placement alone, and of all that
`fit --json` writes (what per-step parameters cost and the search for a change that fits included), best of `--rounds`;
cores, chips, and what binds. Making the integer version is not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import torch
from paper_networks import untrained
from provenance import provenance
from timing import seconds

from asnn_deploy.fitting import Chip, fit, load_chip, place
from asnn_deploy.fitting.placement import integers
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.config import make_config
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset

CHIPS = ("loihi1", "loihi2")
HERE = Path(__file__).resolve().parent


def cifar_lenet(seed: int) -> DeployGraph:
    """The preset, untrained, with another leak, gain and readout scale at each step, as training leaves them."""
    torch.manual_seed(seed)
    network = build_model(make_config(preset("cifar-lenet"), "preset cifar-lenet"), (3, 32, 32), 100)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("leak", "gain", "scale")):
                parameter.uniform_(0.3, 0.9)
    return lower(network.eval())


def measure(graph: DeployGraph, chip: Chip, rounds: int) -> dict[str, Any]:
    """One network on one chip."""
    found = fit(graph, chip).to_json()
    kept = ("fits", "cores", "chips", "binding", "next_binding", "capacity", "suggestion")
    cost = found["step_tables"]
    return {
        "place_seconds": seconds(lambda: place(graph, chip), rounds),
        "fit_seconds": seconds(lambda: fit(graph, chip).to_json(), rounds),
        **{key: found[key] for key in kept},
        "step_tables": {key: value for key, value in cost.items() if key != "layers"},
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "fit.json")
    options = parser.parse_args()
    networks = {
        "cifar-lenet": cifar_lenet(options.seed),
        "SEW-ResNet-18, 3x32x32": untrained("cifar-sew-resnet18", 4, options.seed, rounds=0),
        "SEW-ResNet-18, 3x64x64": untrained("cifar-sew-resnet18", 4, options.seed, 64, rounds=0),
    }
    report: dict[str, Any] = {**provenance(options.seed, "numpy", "torch"), "networks": {}}
    for name, graph in networks.items():
        whole = integers(graph)
        report["networks"][name] = {chip: measure(whole, load_chip(chip), options.rounds) for chip in CHIPS}
        for chip, row in report["networks"][name].items():
            print(f"{name} on {chip}: {row['place_seconds']:.2f} s, {row['fit_seconds']:.2f} s in all", end="; ")
            print(f"{row['cores']:,} cores on {row['chips']:,} chips; binding: {row['binding']}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
