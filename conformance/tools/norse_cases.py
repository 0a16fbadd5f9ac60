"""Norse 1.1.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import norse.torch as norse
import numpy as np
import torch
from case import Built, Case, Draw, fill_shapes
from norse.torch.functional.iaf import IAFParameters
from norse.torch.module.iaf import IAFCell
from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters
from norse.torch.utils.export_nir import to_nir
from torch import nn

WORDS = {"from": "norse", "dt": 1e-3, "reset": "zero", "integration": "euler", "fires": "above", "spikes": "one"}
TAU = "writes every tau as dt / tau_inv, that is, tau in seconds multiplied by dt: 8e-6 for 8 ms at dt 1e-3"
RESET = "does not write v_reset: files read 0, whatever the cell has"
SHAPE = "the shapes of Input and Output hold the sample's batch axis"
LENGTH = "arrays without axes, which nir.write refuses half-way, are given one axis of length 1"
TIME = ["tau = the file's tau / dt; k = dt / tau"]


def record(net: Any, x: np.ndarray[Any, Any], graph: Any) -> Built:
    """Run `net` from its own initial states over x [T, B, ...]."""
    cells = [str(i) for i, module in enumerate(net) if net.stateful_layers[i]]
    spikes: dict[str, list[Any]] = {name: [] for name in cells if not isinstance(net[int(name)], LIBoxCell)}
    potentials: dict[str, list[Any]] = {name: [] for name in cells}
    state = None
    hidden_net = norse.SequentialState(*net, return_hidden=True)
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            hidden, state = hidden_net(frame, state)
            for name in cells:
                if name in spikes:
                    spikes[name].append(hidden[int(name)].numpy())
                potentials[name].append(state[int(name)].v.numpy().copy())
    return Built(graph, x, {k: np.stack(v) for k, v in spikes.items()}, {k: np.stack(v) for k, v in potentials.items()})


def dense(cell: Callable[[int, int], nn.Module], values: bool = False) -> Callable[[Draw], Built]:
    def build(draw: Draw) -> Built:
        net = norse.SequentialState(nn.Linear(12, 16), cell(16, 0), nn.Linear(16, 5), cell(5, 1))
        draw.fill(net)
        graph = to_nir(net, torch.zeros(1, 12))
        return record(net, draw.values(12) if values else draw.spikes(12), graph)

    return build


def box(
    per_second: float, v_th: float = 1.0, v_leak: float = 0.0, scalar: bool = False
) -> Callable[[int, int], nn.Module]:
    def make(size: int, layer: int) -> nn.Module:
        shape = () if scalar else (size,)
        parameters = [torch.full(shape, value) for value in (per_second, v_leak, v_th, 0.0)]
        return norse.LIFBoxCell(norse.LIFBoxParameters(*parameters))

    return make


def lif(syn: float, mem: float, v_leak: float = 0.0, scalar: bool = False) -> Callable[[int, int], nn.Module]:
    def make(size: int, layer: int) -> nn.Module:
        shape = () if scalar else (size,)
        return norse.LIFCell(norse.LIFParameters(*[torch.full(shape, value) for value in (syn, mem, v_leak, 1.0, 0.0)]))

    return make


def iaf(size: int, layer: int) -> nn.Module:
    return IAFCell(IAFParameters(torch.ones(size), torch.zeros(size)))


def readout(size: int, layer: int) -> nn.Module:
    return (
        LIBoxCell(LIBoxParameters(torch.full((size,), 125.0), torch.zeros(size))) if layer else box(250.0)(size, layer)
    )


def conv(draw: Draw) -> Built:
    first = nn.Conv2d(2, 4, (1, 3), stride=(1, 2), padding=(0, 1), groups=2)
    cells = [box(250.0, scalar=True)(1, 0) for _ in range(2)]
    net = norse.SequentialState(first, cells[0], nn.Conv2d(4, 3, (3, 1)), cells[1])
    draw.fill(net)
    graph = fill_shapes(to_nir(net, torch.zeros(1, 2, 5, 8)), {"0": (5, 8), "2": (5, 4)})
    return record(net, draw.spikes(2, 5, 8), graph)


def case(kind: str, neuron: str, build: Callable[[Draw], Built], **options: Any) -> Case:
    exporter = [TAU, RESET, SHAPE, *options.pop("exporter", [])]
    options["extra"] = {"input": "scaled"} | options.pop("extra", {})
    return Case(
        "norse", kind, neuron, WORDS, build, notes=TIME + options.pop("notes", []), exporter=exporter, **options
    )


CURRENT = {"current": "add, use, decay"}
LEAK = {"starts": "v_leak"}
CASES = [
    case("lifbox", "LIFBoxCell", dense(box(250.0))),
    case(
        "lifbox-scalar",
        "LIFBoxCell, parameters without axes, as by default",
        dense(box(100.0, scalar=True)),
        workaround=LENGTH,
    ),
    case("lifbox-values", "LIFBoxCell, float inputs", dense(box(500.0), values=True)),
    case(
        "lifbox-leak",
        "LIFBoxCell with v_leak 0.375",
        dense(box(125.0, v_leak=0.375)),
        extra=LEAK,
        notes=["the potential starts at v_leak, not at 0"],
    ),
    case("lifbox-raw", "LIFBoxCell, raw weights", dense(box(137.0)), raw=True),
    case("lif", "LIFCell", dense(lif(500.0, 250.0)), extra=CURRENT),
    case(
        "lif-scalar",
        "LIFCell with its default parameters",
        dense(lif(200.0, 100.0, scalar=True)),
        extra=CURRENT,
        workaround=LENGTH,
    ),
    case(
        "lif-leak",
        "LIFCell with v_leak 0.25",
        dense(lif(500.0, 125.0, v_leak=0.25)),
        extra=CURRENT | LEAK,
        notes=["the potential starts at v_leak, not at 0"],
    ),
    case("lif-raw", "LIFCell, raw weights", dense(lif(210.0, 130.0)), extra=CURRENT, raw=True),
    case("libox-readout", "LIBoxCell behind LIFBoxCell", dense(readout), potentials="LI: after the step's input"),
    case(
        "conv",
        "LIFBoxCell between convolutions",
        conv,
        workaround=LENGTH + "; input_shape of the convolutions, which the exporter leaves empty, is filled in by hand: "
        "nir.write refuses it",
        exporter=["torch.nn.Flatten and the poolings are not exported: a network without them"],
    ),
]
IAF = Case("norse", "iaf", "IAFCell", WORDS, dense(iaf), exporter=[RESET, SHAPE], ties=True)
CASES.append(IAF)
