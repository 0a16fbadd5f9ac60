"""Make the conformance cases: run every tool, export its network, record its spikes (see README.md).

    python conformance/make.py [NAME ...]        # all cases, or those whose names begin with NAME

Run it in an environment made of conformance/requirements.txt (Python 3.11). It is deterministic: a second run
writes the same bytes.
"""

from __future__ import annotations

import os
import sys

# nirtorch collects edges in a set of strings, whose order hangs on the hash seed; Rockpool, once imported, asks pip for
# samna.
FIXED = {"PYTHONHASHSEED": "0", "PIP_NO_INDEX": "1", "JAX_PLATFORMS": "cpu"}
if any(os.environ.get(name) != value for name, value in FIXED.items()):
    os.execve(sys.executable, [sys.executable, "-W", "ignore", *sys.argv], os.environ | FIXED)

import importlib  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from case import Built, Case, Draw, write, write_graph  # noqa: E402
from loop import NEURONS, Network  # noqa: E402

HERE = Path(__file__).parent
RESETS = ("subtract", "delayed-subtract", "zero", "delayed-zero")
TOOLS = ("snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "spyx")
TRIES, LOWEST, HIGHEST = 60, 0.08, 0.55
TIES = 2  # spikes that > and >= must make differently, where a case promises that it tells them apart
MARGIN = 2e-5  # no potential comes nearer to a threshold where the last bits hang on an order or on how exp is computed


def main(names: list[str]) -> int:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    total = 0
    for tool in TOOLS:
        if names and not any(name.startswith(tool) for name in names):
            continue
        packages = (tool, "nir", "nirtorch", "torch", "numpy", "h5py") + (("jax", "flax") if tool == "spyx" else ())
        versions = {package: version(package) for package in packages}
        versions["python"] = ".".join(map(str, sys.version_info[:2]))
        for case in importlib.import_module(f"tools.{tool}_cases").CASES:
            if not names or any(case.name.startswith(name) for name in names):
                total += make(case, versions)
    return 0 if total == 0 else 1


def make(case: Case, versions: dict[str, str]) -> int:
    """Make one case; return how many spikes the naive loop has otherwise."""
    folder = HERE / "cases" / case.name
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "network.nir"
        levels: dict[int, float] = {}
        for attempt in range(TRIES):
            built = case.build(Draw(case.name, attempt, case.raw, levels))
            write_graph(path, built.graph)
            problem, found = judge(case, built, path)
            if problem is None:
                break
            adjust(levels, case, built)
        else:
            print(f"{case.name:34s} NOT MADE: {problem}")
            return 1
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "network.nir")
    write(folder, case, built, {"try": attempt, **found}, versions)
    rates = " ".join(f"{name} {rate:.3f}" for name, rate in found["rates"].items())
    print(
        f"{case.name:32s} naive {found['naive_differing']} rule {found['rule_differing']} differing; {rates}",
        flush=True,
    )
    return int(found["naive_differing"])


def adjust(levels: dict[int, float], case: Case, built: Built) -> None:
    """Strengthen the first layer that is too silent, or weaken the first that fires too much."""
    for layer, spikes in enumerate(built.spikes.values()):
        rate = float(np.mean(spikes > 0))
        if case.words["spikes"] == "many" and np.mean(spikes > 1) < 0.01:
            rate = 0.0
        if not LOWEST < rate < HIGHEST:
            levels[layer] = levels.get(layer, 1.0) * (1.5 if rate <= LOWEST else 0.75)
            return


def judge(case: Case, built: Built, path: Path) -> tuple[str | None, dict[str, Any]]:
    """Return what makes a draw unfit as a case (None: nothing), and its figures."""
    spiking = {k: v for k, v in built.spikes.items() if case.rule.get("nodes", {}).get(k, {}).get("reset") != "none"}
    rates = {name: float(np.mean(spikes > 0)) for name, spikes in spiking.items()}
    if not all(LOWEST < rate < HIGHEST for rate in rates.values()):
        return f"rates {rates}", {}
    if case.words["spikes"] == "many" and not all(np.mean(spikes > 1) > 0.01 for spikes in spiking.values()):
        return "too few steps with several spikes", {}
    naive = Network(path, case.rule)
    differing, potentials = compare(naive, built)
    margin = min(neuron.margin for neuron in naive.neurons.values())
    leaks = any(neuron.spiking and neuron.keep is not None for neuron in naive.neurons.values())
    rounded = leaks and case.words["integration"] == "exponential"
    if (case.raw or potentials > 0 or rounded) and margin < MARGIN:
        return f"margin {margin}", {}
    others = alternatives(case, naive)
    wrong = {words: compare(Network(path, rule, "rule"), built)[0] for words, rule in others.items()}
    silent = [words for words, count in wrong.items() if count < needed(case, words)]
    if silent:
        return f"cannot tell {silent}", {}
    found = {
        "rates": {k: round(v, 4) for k, v in rates.items()},
        "steps_with_several_spikes": {k: round(float(np.mean(v > 1)), 4) for k, v in spiking.items()},
        "naive_differing": differing,
        "largest_potential_difference": potentials,
        "rule_differing": compare(Network(path, case.rule, "rule"), built)[0],
        "margin": float(f"{margin:.3g}"),
        "wrong_rules": wrong,
    }
    return None, found


def needed(case: Case, words: str) -> int:
    """Return how many spikes a wrong rule has to make otherwise, for the case to be worth keeping."""
    if words.startswith("fires"):
        return TIES if case.ties else 0
    return 0 if words == "spikes many" else 1


def compare(network: Network, built: Built) -> tuple[int, float]:
    """Return the number of spikes that differ, and the largest difference of a potential.

    Nodes without threshold have no spikes: their potentials count, where they differ by more than a float's rounding.
    """
    spikes, potentials = network.run(built.input)
    count = sum(int(np.sum(spikes[name] != built.spikes[name])) for name in built.spikes)
    gaps = {name: np.abs(potentials[name] - v) for name, v in built.potentials.items()}
    count += sum(int(np.sum(gap > 1e-4)) for name, gap in gaps.items() if name not in built.spikes)
    return count, max(float(gap.max()) for gap in gaps.values())


def alternatives(case: Case, naive: Network) -> dict[str, dict[str, Any]]:
    """Return the rules that an importer could take instead, by name."""
    rule, found = case.rule, {}

    def add(key: str, value: Any) -> None:
        if rule.get(key) != value:
            found[f"{key} {value}"] = rule | {key: value}

    kinds = {node["type"] for node in naive.nodes.values()} & NEURONS
    leaky = kinds & {"LIF", "CubaLIF", "LI"}
    early = rule.get("decides") == "before the input"
    if early:
        add("decides", "after the input")
    for reset in ("subtract", "zero") if early else RESETS:
        # Without a leak the threshold may as well be taken off a step later.
        if leaky - {"LI"} or rule["reset"] != "subtract" or reset != "delayed-subtract":
            add("reset", reset)
    add("fires", "at" if rule["fires"] == "above" else "above")
    add("spikes", "one" if rule["spikes"] == "many" else "many")
    if leaky:
        add("integration", "exponential" if rule["integration"] == "euler" else "euler")
    if "CubaLIF" in kinds:
        # "decay, add, use" and "add, use, decay" bring the same currents to the membrane.
        add("current", "decay, add, use" if rule["current"] == "add, decay, use" else "add, decay, use")
    for key in ("lower_bound", "starts"):
        if rule.get(key) is not None:
            add(key, None)
    if rule.get("input") == "scaled":
        add("input", None)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
