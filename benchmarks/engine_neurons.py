"""What other neuron models cost in the engine, as multiples of LIF: the benchmark LeNet with each model's neurons.

    .venv/bin/python benchmarks/engine_neurons.py [--samples N] [--rounds N] [--out FILE]

Float and integer networks of random weights on one core, all networks in turns in one process, the median of the
rounds. Every model that fires has the same synapses, and gains with which it fires at LIF's rate. "lif as a program" is
LIF without its own kernel.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import numpy as np
from lenet import pictures, reference_lenet, with_rate
from provenance import provenance
from timing import in_turns

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.neurons import machine
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Layer, Neuron
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize

HERE = Path(__file__).resolve().parent
RATE = 0.11
PROGRAM = "lif as a program"
"""The same network as "lif", whose neurons run without their own kernel."""
Array = np.ndarray[Any, Any]


def with_model(graph: DeployGraph, model: str, images: Array) -> DeployGraph:
    """The LIF network with neurons of another model, which take those of LIF's parameters that they know."""
    known = MODELS[model].parameters

    def exchanged(layer: Layer) -> Layer:
        if not isinstance(layer, Neuron):
            return layer
        given = {"current_leak": StepTable.constant(np.float32(0.5), graph.time_steps), **layer.parameters}
        return replace(layer, model=model, parameters={key: given[key] for key in known if key in given})

    graph = replace(graph, layers=tuple(exchanged(layer) for layer in graph.layers))
    for neuron in graph.neurons:
        graph = with_rate(graph, neuron.name, RATE, images)
    return graph


def executor(graph: DeployGraph, programs: bool) -> Executor:
    """One that gives logits only; programs: run LIF as a program, too."""
    made = Executor(graph, wanted=[graph.readout.name], potentials=False, counts=False)
    for unit in made.units:
        if programs and isinstance(unit, Population):
            layer = graph.by_name[unit.neuron]
            assert isinstance(layer, Neuron)
            unit.neurons = machine(graph, layer)
    return made


def networks(seed: int, images: Array) -> Iterator[tuple[str, DeployGraph]]:
    """The network of each model that fires and has a definition in real numbers."""
    graph = reference_lenet(seed, RATE)
    yield "lif", graph
    yield PROGRAM, graph
    for name in MODELS:
        if name != "lif" and MODELS[name].spikes and MODELS[name].parameters:
            yield name, with_model(graph, name, images)


def works(graphs: dict[str, DeployGraph], images: Array) -> dict[str, Callable[[], object]]:
    """A run of each network; no layer of neurons may have been left to NumPy."""
    found: dict[str, Callable[[], object]] = {}
    for name, graph in graphs.items():
        made = executor(graph, name == PROGRAM)
        if sum(isinstance(unit, Population) for unit in made.units) != len(graph.neurons):
            raise SystemExit(f"{name}: not every layer of neurons is compiled")
        found[name] = partial(made.run, images)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=64, help="of a batch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "engine-neurons.json")
    options = parser.parse_args()
    images = pictures(options.samples, options.seed)
    real = dict(networks(options.seed, images))
    forms = {"float": real, "fixed": {name: quantize(graph) for name, graph in real.items()}}
    report: dict[str, Any] = {**provenance(options.seed, "numpy", "numba"), "batch": options.samples, "forms": {}}
    for form, graphs in forms.items():
        runs = works(graphs, images)
        took = dict(zip(runs, in_turns(list(runs.values()), options.rounds)))
        report["forms"][form] = {
            "microseconds": {name: 1e6 * each / options.samples for name, each in took.items()},
            "times_lif": {name: each / took["lif"] for name, each in took.items()},
            "rates": {name: rate(graph, images) for name, graph in graphs.items()},
        }
        for name, ratio in report["forms"][form]["times_lif"].items():
            print(f"{form} {name}: {1e6 * took[name] / options.samples:.0f} us a sample, {ratio:.2f} times LIF")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def rate(graph: DeployGraph, images: Array) -> float:
    """The mean of the layers' firing rates."""
    return float(np.mean([spikes.mean() for spikes in run(graph, images, Record(spikes=True)).spikes.values()]))


if __name__ == "__main__":
    main()
