"""Sinabs 2.0.3."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import sinabs.layers as sl
import torch
from case import Built, Case, Draw, fill_shapes
from sinabs.activation import SingleSpike
from sinabs.nir import to_nir
from torch import nn

IAF = {"from": "sinabs", "dt": 1, "reset": "subtract", "integration": "euler", "fires": "at", "spikes": "many"}
LIF = IAF | {"integration": "exponential"}
ONE = {"spikes": "one"}
LENGTH = "arrays without axes, which nir.write refuses half-way, are given one axis of length 1"
NORM = "does not write norm_input: r is 1 whether the input is taken as it is or times 1 - exp(-1/tau), the default"
BOUND = "does not write min_v_mem, nor spike_fn, reset_fn and tau_syn"


def record(net: nn.Sequential, x: np.ndarray[Any, Any], graph: Any) -> Built:
    """Run `net` from rest over x [T, B, ...], recording; Squeeze layers see batch and time as one axis."""
    steps, batch = x.shape[:2]
    neurons = {k: m for k, m in net.named_children() if isinstance(m, sl.LIF)}
    outputs: dict[str, Any] = {}
    for name, module in neurons.items():
        module.record_states = True
        module.init_state_with_shape((batch, *module.v_mem.shape[1:]))
        if hasattr(module, "batch_size"):
            module.batch_size = batch
        module.register_forward_hook(lambda _m, _i, out, n=name: outputs.__setitem__(n, out))
    data = torch.from_numpy(np.ascontiguousarray(np.swapaxes(x, 0, 1)))
    with torch.no_grad():
        net(data.flatten(0, 1) if any(hasattr(m, "batch_size") for m in neurons.values()) else data)
    spiking = [name for name, module in neurons.items() if not isinstance(module, sl.ExpLeak)]
    spikes = {
        name: outputs[name].reshape(batch, steps, *outputs[name].shape[-len(neurons[name].v_mem.shape) + 1 :])
        for name in spiking
    }
    potentials = {name: module.recordings["v_mem"] for name, module in neurons.items()}
    return Built(
        graph,
        x,
        *({k: np.swapaxes(v.detach().numpy(), 0, 1).copy() for k, v in d.items()} for d in (spikes, potentials)),
    )


def dense(
    neuron: Callable[[int, int], nn.Module], values: bool = False, squeeze: bool = True
) -> Callable[[Draw], Built]:
    def build(draw: Draw) -> Built:
        net = nn.Sequential(OrderedDict(fc1=nn.Linear(12, 16), n1=neuron(16, 0), fc2=nn.Linear(16, 5), n2=neuron(5, 1)))
        draw.fill(net)
        graph = to_nir(net, torch.zeros(1, 12) if squeeze else torch.zeros(1, 1, 12))
        return record(net, draw.values(12) if values else draw.spikes(12), graph)

    return build


def iaf(size: int, layer: int, **options: Any) -> nn.Module:
    return sl.IAFSqueeze(batch_size=1, spike_threshold=torch.tensor((1.0, 0.75)[layer]), **options)


def lif(*taus: float, scalar: bool = False, **options: Any) -> Callable[[int, int], nn.Module]:
    def make(size: int, layer: int) -> nn.Module:
        shape = () if scalar else (size,)
        options.setdefault("norm_input", False)
        tau = torch.full(shape, taus[layer % len(taus)])
        return sl.LIFSqueeze(batch_size=1, tau_mem=tau, spike_threshold=torch.full(shape, 1.0), **options)

    return make


def leak(size: int, layer: int) -> nn.Module:
    if layer == 0:
        return iaf(size, layer)
    return sl.ExpLeakSqueeze(batch_size=1, tau_mem=torch.full((size,), 5.0))


def conv(draw: Draw) -> Built:
    first = nn.Conv2d(2, 4, (1, 3), stride=(1, 2), padding=(0, 1), groups=2)
    net = nn.Sequential(
        OrderedDict(
            conv1=first,
            n1=iaf(1, 0),
            pool=sl.SumPool2d((1, 2)),
            conv2=nn.Conv2d(4, 4, (3, 1), padding=(1, 0)),
            n2=iaf(1, 0),
            flatten=nn.Flatten(),
            fc=nn.Linear(4 * 5 * 2, 5),
            n3=iaf(1, 1),
        )
    )
    draw.fill(net)
    graph = fill_shapes(to_nir(net, torch.zeros(1, 2, 5, 8)), {"conv1": (5, 8), "conv2": (5, 2), "flatten": (4, 5, 2)})
    return record(net, draw.spikes(2, 5, 8), graph)


def case(kind: str, neuron: str, words: dict[str, Any], build: Callable[[Draw], Built], **options: Any) -> Case:
    exporter = [BOUND, *([NORM] if "lif" in kind else []), *options.pop("exporter", [])]
    return Case("sinabs", kind, neuron, words, build, exporter=exporter, **options)


STEPS = ["s = trunc(v / threshold) where v > 0"]
CLAMP = ["after the reset v = relu(v - bound) + bound, whose two roundings move potentials a little"]
CASES = [
    case("iaf", "IAFSqueeze", IAF, dense(iaf), notes=STEPS, ties=True),
    case(
        "iaf-plain",
        "IAF, input [batch, time, ...]",
        IAF,
        dense(lambda n, k: sl.IAF(), squeeze=False),
        notes=STEPS,
        exporter=["Input and Output have the sample's time axis of length 1 in front"],
        ties=True,
    ),
    case("iaf-values", "IAFSqueeze, float inputs", IAF, dense(iaf, values=True), notes=STEPS, ties=True),
    case(
        "iaf-single",
        "IAFSqueeze(spike_fn=SingleSpike)",
        IAF | ONE,
        dense(lambda n, k: iaf(n, k, spike_fn=SingleSpike)),
        ties=True,
    ),
    case(
        "iaf-bound",
        "IAFSqueeze(min_v_mem=-1)",
        IAF,
        dense(lambda n, k: iaf(n, k, min_v_mem=-1.0)),
        extra={"lower_bound": -1.0},
        notes=STEPS + CLAMP,
        ties=True,
    ),
    case("iaf-raw", "IAFSqueeze, raw weights", IAF, dense(iaf), notes=STEPS, raw=True),
    case("lif", "LIFSqueeze(norm_input=False)", LIF, dense(lif(4.0, 8.0)), notes=STEPS),
    case(
        "lif-scalar",
        "LIFSqueeze(norm_input=False), parameters without axes",
        LIF,
        dense(lif(5.0, scalar=True)),
        notes=STEPS,
        workaround=LENGTH,
    ),
    case(
        "lif-single",
        "LIFSqueeze(norm_input=False, spike_fn=SingleSpike)",
        LIF | ONE,
        dense(lif(4.0, 8.0, spike_fn=SingleSpike)),
    ),
    case(
        "lif-norm",
        "LIFSqueeze, norm_input=True as by default",
        LIF,
        dense(lif(2.0, 4.0, norm_input=True)),
        extra={"input": "scaled"},
        notes=[*STEPS, "v = a v + (1 - a) x with a = exp(-1/tau)"],
    ),
    case(
        "lif-bound",
        "LIFSqueeze(norm_input=False, min_v_mem=-0.5)",
        LIF,
        dense(lif(4.0, 8.0, min_v_mem=-0.5)),
        extra={"lower_bound": -0.5},
        notes=STEPS + CLAMP,
    ),
    case("lif-raw", "LIFSqueeze(norm_input=False), raw weights", LIF, dense(lif(3.7, 9.1)), notes=STEPS, raw=True),
    case("expleak-readout", "ExpLeakSqueeze behind IAFSqueeze", LIF, dense(leak), notes=STEPS),
    case(
        "conv",
        "IAFSqueeze behind convolutions",
        IAF,
        conv,
        notes=STEPS,
        ties=True,
        workaround="input_shape of the convolutions and input_type of Flatten, which the exporter leaves empty, are "
        "filled in by hand: nir.write refuses them",
    ),
]
