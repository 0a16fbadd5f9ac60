"""SpikingJelly 2.0.0."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from case import Built, Case, Draw
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir
from torch import nn

WORDS = {"from": "spikingjelly", "dt": 1e-4, "reset": "zero", "integration": "euler", "fires": "at", "spikes": "one"}
DIVIDES = (
    "the potential's step is divided by tau (steps): v + (x - (v - v_reset)) / tau, or v - (v - v_reset) / tau + x"
)
STARTS = "the potential starts at v_reset"
UNIT = "parameters are float64"


def record(net: nn.Sequential, x: np.ndarray[Any, Any], graph: Any) -> Built:
    """Run `net` step by step from its reset state over x [T, B, ...]."""
    functional.reset_net(net)
    neurons = {k: m for k, m in net.named_children() if isinstance(m, neuron.BaseNode)}
    spikes: dict[str, list[Any]] = {name: [] for name in neurons}
    for name, module in neurons.items():
        module.register_forward_hook(lambda _m, _i, out, n=name: spikes[n].append(out.numpy()))
    potentials: dict[str, list[Any]] = {name: [] for name in neurons}
    net.eval()
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            net(frame)
            for name, module in neurons.items():
                potentials[name].append(module.v.clone().numpy())
    return Built(graph, x, {k: np.stack(v) for k, v in spikes.items()}, {k: np.stack(v) for k, v in potentials.items()})


def dense(make: Callable[[int], nn.Module], values: bool = False) -> Callable[[Draw], Built]:
    def build(draw: Draw) -> Built:
        net = nn.Sequential(OrderedDict(fc1=layer.Linear(12, 16), n1=make(0), fc2=layer.Linear(16, 5), n2=make(1)))
        draw.fill(net)
        graph = export_to_nir(net, torch.zeros(1, 12))
        return record(net, draw.values(12) if values else draw.spikes(12), graph)

    return build


def lif(*taus: float, **options: Any) -> Callable[[int], nn.Module]:
    return lambda at: neuron.LIFNode(tau=taus[at % len(taus)], **options)


def conv(draw: Draw) -> Built:
    net = nn.Sequential(
        OrderedDict(
            conv1=layer.Conv2d(2, 4, 3, stride=(1, 2), padding=(1, 1)),
            n1=neuron.IFNode(),
            pool=layer.AvgPool2d((1, 2)),
            conv2=layer.Conv2d(4, 4, 3, padding=1),
            n2=neuron.LIFNode(tau=2.0, decay_input=False),
            flatten=layer.Flatten(),
            fc=layer.Linear(4 * 5 * 2, 5),
            n3=neuron.IFNode(),
        )
    )
    draw.fill(net)
    return record(net, draw.spikes(2, 5, 8), export_to_nir(net, torch.zeros(1, 2, 5, 8)))


def case(kind: str, cls: str, build: Callable[[Draw], Built], *notes: str, **options: Any) -> Case:
    return Case("spikingjelly", kind, cls, WORDS, build, notes=list(notes), exporter=[UNIT], **options)


SCALED = {"input": "scaled"}
RESET = {"starts": "v_reset"}
CASES = [
    case("if", "IFNode", dense(lambda at: neuron.IFNode()), ties=True),
    case(
        "if-reset",
        "IFNode(v_reset=-0.25)",
        dense(lambda at: neuron.IFNode(v_reset=-0.25)),
        STARTS,
        extra=RESET,
        ties=True,
    ),
    case("if-values", "IFNode, float inputs", dense(lambda at: neuron.IFNode(), values=True), ties=True),
    case("if-raw", "IFNode, raw weights", dense(lambda at: neuron.IFNode(v_threshold=0.9)), raw=True),
    case("lif", "LIFNode", dense(lif(2.0)), DIVIDES, extra=SCALED, ties=True),
    case("lif-3", "LIFNode(tau=3)", dense(lif(3.0)), DIVIDES, extra=SCALED),
    case("lif-undecayed", "LIFNode(decay_input=False)", dense(lif(2.0, 4.0, decay_input=False)), DIVIDES, ties=True),
    case(
        "lif-reset",
        "LIFNode(v_reset=-0.25)",
        dense(lif(2.0, v_reset=-0.25)),
        DIVIDES,
        STARTS,
        extra=SCALED | RESET,
        ties=True,
    ),
    case(
        "lif-undecayed-reset",
        "LIFNode(decay_input=False, v_reset=0.125)",
        dense(lif(2.0, 4.0, decay_input=False, v_reset=0.125)),
        DIVIDES,
        STARTS,
        extra=RESET,
        ties=True,
    ),
    case("lif-raw", "LIFNode(tau=2.7), raw weights", dense(lif(2.7)), DIVIDES, extra=SCALED, raw=True),
    case(
        "plif",
        "ParametricLIFNode(init_tau=4)",
        dense(lambda at: neuron.ParametricLIFNode(init_tau=4.0)),
        "the step is multiplied by sigmoid(w) = 1 / tau instead of divided",
        extra=SCALED | {"division": "reciprocal"},
    ),
    case(
        "cubalif",
        "CUBALIFNode",
        dense(lambda at: neuron.CUBALIFNode(0.5, 0.75)),
        "i = a i + x, v = b v + i",
        extra={"current": "decay, add, use"},
    ),
    case("conv", "IFNode and LIFNode behind convolutions", conv, extra={"nodes": {}}, ties=True),
]
