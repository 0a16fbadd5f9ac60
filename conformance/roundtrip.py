"""Write small networks as portable NIR files for the tools that can read them (see README.md).

    python conformance/roundtrip.py conformance/roundtrip     # where asnn-deploy is installed
    ENV/bin/python conformance/load.py conformance/roundtrip  # where the tools are

NAME.nir is the network by its own rules, NAME.npz an input `[T, B, ...]`, NAME.TOOL.nir the network for a tool, and
NAME.TOOL.npz, which load.py writes, the spikes that the tool makes of it.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from asnn_exporters.nir import portable

from asnn_deploy.conventions import importing_tools
from asnn_deploy.errors import AsnnDeployError
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Readout
from asnn_deploy.ir.step_table import StepTable

STEPS, BATCH = 30, 4
MANNERS = {
    "above": {"reset": "zero"},
    "at": {"reset": "zero", "comparison": "at"},
    "many": {"reset": "subtract", "comparison": "at", "spiking": "many"},
}
"""How neurons fire and reset, as some tool's importer makes them."""


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for manner, firing in MANNERS.items():
        for kind, graph in networks(firing).items():
            name = f"{kind}-{manner}"
            portable.write(graph, folder / f"{name}.nir", None, print)
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            x = (rng.random((STEPS, BATCH, *graph.input_shape)) < 0.3).astype(np.uint8)
            np.savez_compressed(folder / f"{name}.npz", input=x)
            for tool in importing_tools():
                write(graph, folder / f"{name}.{tool}.nir", tool)
            if not list(folder.glob(f"{name}.*.nir")):
                (folder / f"{name}.nir").unlink()
                (folder / f"{name}.npz").unlink()


def write(graph: DeployGraph, path: Path, tool: str) -> None:
    notes: list[str] = []
    try:
        portable.write(graph, path, tool, notes.append)
    except AsnnDeployError as error:
        print(f"{path.stem}: {error}")
        notes.append("refused")
    inexact = [note for note in notes if "type_check" not in note]
    if inexact:  # what is equal in real numbers only proves nothing here
        path.unlink(missing_ok=True)
        print(f"{path.stem}: left out: {inexact[0]}")


class Maker:
    """Makes networks whose sums are exact in any order, with neurons that fire so; each draws its own weights."""

    def __init__(self, firing: dict[str, str]) -> None:
        self.firing, self.rng = firing, np.random.default_rng(7)

    def weight(self, *shape: int, scale: float = 2.0) -> StepTable:
        fan = int(np.prod(shape[1:]))
        drawn = self.rng.normal(1.3 * scale / fan, 1.6 * scale / np.sqrt(fan), shape)
        return constant(np.round(drawn * 64) / 64)

    def bias(self, size: int) -> StepTable:
        return constant(np.round(self.rng.normal(0.03, 0.06, size) * 64) / 64)

    def neuron(self, name: str, model: str = "lif", **parameters: Any) -> Neuron:
        return Neuron(name, model, {key: constant(value) for key, value in parameters.items()}, **self.firing)

    def lif(self, name: str) -> Neuron:
        return self.neuron(name, leak=0.5, gain=1, threshold=1)

    def dense(self, one: Neuron, two: Neuron) -> DeployGraph:
        first = Linear("fc1", self.weight(16, 12), self.bias(16))
        return chain((12,), [first, one, Linear("fc2", self.weight(5, 16)), two])

    def convolutional(self) -> DeployGraph:
        layers = [
            Conv("conv1", self.weight(4, 2, 3, 3), None, padding=(1, 1)),
            self.lif("lif1"),
            Pool("pool", "average"),
            Conv("conv2", self.weight(4, 4, 1, 3), self.bias(4), padding=(0, 1)),
            self.neuron("lif2", leak=0.75, gain=1, threshold=0.5),
            Flatten("flatten"),
            Linear("fc", self.weight(5, 64, scale=3)),
            self.lif("lif3"),
        ]
        return chain((2, 8, 8), layers)

    def residual(self) -> DeployGraph:
        layers = [
            *(Linear("fc1", self.weight(8, 12)), self.lif("lif1")),
            *(Linear("fc2", self.weight(8, 8)), Linear("skip", self.weight(8, 8)), Add("sum"), self.lif("lif2")),
        ]
        return linked(
            layers,
            *(Edge("input", "fc1"), Edge("fc1", "lif1"), Edge("lif1", "fc2"), Edge("lif1", "skip")),
            *(Edge("fc2", "sum"), Edge("skip", "sum"), Edge("sum", "lif2"), Edge("lif2", "readout")),
        )

    def recurrent(self) -> DeployGraph:
        layers = [
            *(Linear("fc1", self.weight(8, 12)), Linear("w_rec", self.weight(8, 8, scale=0.7)), Add("sum")),
            *(self.lif("lif1"), Linear("fc2", self.weight(5, 8)), self.lif("lif2")),
        ]
        return linked(
            layers,
            *(Edge("input", "fc1"), Edge("lif1", "w_rec", 1), Edge("fc1", "sum"), Edge("w_rec", "sum")),
            *(Edge("sum", "lif1"), Edge("lif1", "fc2"), Edge("fc2", "lif2"), Edge("lif2", "readout")),
        )


def constant(value: Any) -> StepTable:
    return StepTable.constant(np.asarray(value, np.float32), 1)


def chain(shape: tuple[int, ...], layers: Iterable[Layer]) -> DeployGraph:
    return DeployGraph.chain(shape, SequenceInput(None), [*layers, Readout("readout", constant(1 / STEPS))])


def linked(layers: list[Layer], *edges: Edge) -> DeployGraph:
    return DeployGraph((12,), SequenceInput(None), (*layers, Readout("readout", constant(1))), edges)


def networks(firing: dict[str, str]) -> dict[str, DeployGraph]:
    """Return the networks by name. In this order: their weights are drawn one after another."""
    made = Maker(firing)
    neuron, dense = made.neuron, made.dense
    convolutional = made.convolutional()
    summing = tuple(replace(la, mode="sum") if isinstance(la, Pool) else la for la in convolutional.layers)
    asnn, cuba = {"leak": 0.5, "gain": 0.5}, {"current_leak": 0.5, "leak": 0.75}
    return {
        "asnn": dense(neuron("lif1", **asnn, threshold=0.5), neuron("lif2", **asnn, threshold=0.25)),
        "leaks": dense(
            neuron("lif1", leak=np.linspace(0.5, 0.95, 16), gain=1, threshold=1), neuron("lif2", leak=0.75, gain=1)
        ),
        "if": dense(neuron("if1", "if", gain=1, threshold=2), neuron("if2", "if", gain=1, threshold=1.5)),
        "cuba": dense(
            neuron("lif1", "cuba-lif", **cuba, gain=1, threshold=3),
            neuron("lif2", "cuba-lif", **cuba, gain=0.5, threshold=1),
        ),
        "conv": convolutional,
        "sums": replace(convolutional, layers=summing),
        "residual": made.residual(),
        "recurrent": made.recurrent(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
