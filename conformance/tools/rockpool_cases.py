"""Rockpool 3.1.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from case import Built, Case, Draw
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules.torch import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch
from rockpool.nn.modules.torch.nir import to_nir

WORDS = {
    "from": "rockpool",
    "dt": 1e-3,
    "reset": "subtract",
    "integration": "exponential",
    "fires": "at",
    "spikes": "many",
}
CURRENT = {"current": "add, decay, use"}
LOST = [
    "does not write the time step, the neurons' bias (v_leak is 0), w_rec of recurrent modules and max_spikes_per_dt",
    "the shapes of Input and Output hold the sample's batch axis",
]
STEPS = [
    "i = (i + x) exp(-dt/tau_syn), v = exp(-dt/tau_mem) v + i: neither r nor w_in is a factor",
    "s = floor(v / threshold)",
]


def record(net: Any, x: np.ndarray[Any, Any], graph: Any) -> Built:
    """Run `net` from rest over x [T, B, ...], recording."""
    data = torch.from_numpy(np.ascontiguousarray(np.swapaxes(x, 0, 1)))
    net.reset_state()
    with torch.no_grad():
        _, _, recorded = net(data, record=True)
    spikes, potentials = {}, {}
    for name, found in recorded.items():
        if isinstance(found, dict) and "vmem" in found:
            spikes[name], potentials[name] = recorded[f"{name}_output"], found["vmem"]
        elif name.endswith("_ExpSynTorch"):
            potentials[name] = recorded[f"{name}_output"]
    return Built(
        graph, x, *({k: np.swapaxes(v.numpy(), 0, 1).copy() for k, v in d.items()} for d in (spikes, potentials))
    )


def dense(neuron: Callable[[int, int], Any], bias: bool = False, values: bool = False) -> Callable[[Draw], Built]:
    def build(draw: Draw) -> Built:
        synapses = [
            LinearTorch(
                (i, o),
                has_bias=bias,
                weight=draw.weight(o, i).T.contiguous(),
                **({"bias": draw.bias(o)} if bias else {}),
            )
            for i, o in ((12, 16), (16, 5))
        ]
        net = Sequential(synapses[0], neuron(16, 0), synapses[1], neuron(5, 1))
        graph = to_nir(net, torch.zeros(1, 12))
        return record(net, draw.values(12) if values else draw.spikes(12), graph)

    return build


def lif(mem: float, syn: float, threshold: float = 1.0) -> Callable[[int, int], Any]:
    def make(size: int, layer: int) -> Any:
        taus = {"tau_mem": torch.full((size,), mem), "tau_syn": torch.full((size, 1), syn)}
        return LIFTorch(size, threshold=torch.full((size,), threshold), dt=1e-3, **taus)

    return make


def membrane(size: int, layer: int) -> Any:
    return LIFNeuronTorch(size, tau_mem=torch.full((size,), 4e-3), threshold=torch.ones(size), dt=1e-3)


def readout(size: int, layer: int) -> Any:
    return lif(4e-3, 2e-3)(size, layer) if layer == 0 else ExpSynTorch(size, tau=torch.full((size,), 5e-3), dt=1e-3)


def case(kind: str, cls: str, build: Callable[[Draw], Built], **options: Any) -> Case:
    options = {"notes": STEPS, "exporter": LOST, "extra": CURRENT} | options
    return Case("rockpool", kind, cls, WORDS, build, **options)


CASES = [
    case("lif", "LIFTorch", dense(lif(4e-3, 2e-3))),
    case("lif-20ms", "LIFTorch with its default time constants", dense(lif(20e-3, 20e-3))),
    case("lif-bias", "LIFTorch behind LinearTorch with bias", dense(lif(5e-3, 2e-3, 0.75), bias=True)),
    case("lif-values", "LIFTorch, float inputs", dense(lif(4e-3, 2e-3), values=True)),
    case("lif-raw", "LIFTorch, raw weights", dense(lif(7e-3, 3e-3)), raw=True),
    case("lifneuron", "LIFNeuronTorch", dense(membrane), extra={}, notes=["v = exp(-dt/tau) v + x", STEPS[1]]),
    case(
        "expsyn-readout",
        "ExpSynTorch behind LIFTorch",
        dense(readout),
        extra=CURRENT | {"nodes": {"3_ExpSynTorch": {"leaks": "input too"}}},
        notes=[*STEPS, "ExpSynTorch: v = (v + x) exp(-dt/tau)"],
        potentials="LI: its current, which is its output",
        workaround="tau of ExpSynTorch, a tensor that wants gradients, is detached before nir.write",
    ),
]
