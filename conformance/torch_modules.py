"""Modules of snnTorch, SpikingJelly, Sinabs and Norse, run in their tools and read by `asnn_deploy.from_torch`.

    python3.11 -m venv ENV
    ENV/bin/pip install snntorch==1.0.0 spikingjelly==2.0.0 sinabs==2.0.3 norse==1.1.0 numba pydantic pyyaml
    ENV/bin/pip install --no-deps -e .
    ENV/bin/python conformance/torch_modules.py [WORD ...]

Prints for each class how many spikes were compared and how many differ, and exits with 1 if one does. Weights are
multiples of 1/64, as order-free sums need them; lines named "raw" have float32 weights as they are drawn.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import norse.torch as norse
import numpy as np
import sinabs.layers as sl
import snntorch as snn
import torch
from norse.torch.functional.reset import reset_subtract
from sinabs.activation import MaxSpike, MembraneReset, SingleSpike
from sinabs.network import Network
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

import asnn_deploy

STEPS, BATCH = 60, 8
Make = Callable[..., nn.Module]
"""Makes the neurons of a layer, from their number and the layer's place."""


def dense(make: Make, linear: Any = nn.Linear) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(linear(12, 16), make(16, 0), linear(16, 10), make(10, 1), linear(10, 5), make(5, 2))


def conv(make: Make, pool: nn.Module, of: Any = nn) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        first = nn.Sequential(of.Conv2d(2, 4, 3, padding="same", bias=False), of.BatchNorm2d(4), make(0, 0), pool)
        second = (of.Conv2d(4, 6, (3, 2), stride=(1, 2), groups=2), make(0, 1), of.Flatten(), nn.Dropout(0.5))
        return nn.Sequential(first, *second, of.Linear(12, 5), make(5, 2))

    return build


def leaky(**options: Any) -> Make:
    return lambda _size, at: snn.Leaky(
        beta=(0.9, 0.75, 0.5)[at], threshold=(1.0, 0.75, 1.0)[at], init_hidden=True, **options
    )


def per_neuron(size: int, _at: int) -> nn.Module:
    beta, threshold = torch.linspace(-0.1, 1.1, size), torch.linspace(0.5, 1.25, size)
    return snn.Leaky(beta=beta, threshold=threshold, init_hidden=True, learn_beta=True)


def synaptic(**options: Any) -> Make:
    return lambda *_: snn.Synaptic(alpha=0.5, beta=0.8, init_hidden=True, **options)


def rleaky(**options: Any) -> Make:
    return lambda size, _at: snn.RLeaky(beta=0.75, linear_features=size, init_hidden=True, **options)


def one_to_one(size: int, _at: int) -> nn.Module:
    return snn.RLeaky(
        beta=0.75, V=torch.round(torch.linspace(-0.5, 0.6, size) * 64) / 64, all_to_all=False, init_hidden=True
    )


def rsynaptic(**options: Any) -> Make:
    return lambda size, _at: snn.RSynaptic(alpha=0.5, beta=0.8, linear_features=size, init_hidden=True, **options)


def recurrent_conv() -> nn.Module:
    inner = snn.RLeaky(beta=0.75, conv2d_channels=4, kernel_size=3, init_hidden=True)
    return nn.Sequential(nn.Conv2d(2, 4, 3), inner, nn.Flatten(), nn.Linear(72, 5), leaky()(5, 2))


def graded(size: int, at: int) -> nn.Module:
    return leaky(graded_spikes_factor=0.5, reset_delay=bool(at))(size, at)


SNNTORCH: dict[str, tuple[Any, ...]] = {
    "Leaky": (dense(leaky()),),
    "Leaky raw": (dense(leaky()),),
    "Leaky per neuron": (dense(per_neuron),),
    "Leaky zero": (dense(leaky(reset_mechanism="zero")),),
    "Leaky none": (dense(leaky(reset_mechanism="none")),),
    "Leaky reset_delay=False": (dense(leaky(reset_delay=False)),),
    "Leaky zero reset_delay=False": (dense(leaky(reset_mechanism="zero", reset_delay=False)),),
    "Leaky graded": (dense(graded),),
    "Leaky conv": (conv(leaky(), nn.AvgPool2d(2)), (2, 7, 8)),
    "Lapicque": (dense(lambda *_: snn.Lapicque(beta=0.75, init_hidden=True)),),
    "Lapicque zero": (dense(lambda *_: snn.Lapicque(beta=0.5, reset_mechanism="zero", init_hidden=True)),),
    "Lapicque R C": (dense(lambda *_: snn.Lapicque(R=5.1, C=0.7, time_step=0.5, init_hidden=True)),),
    "Synaptic": (dense(synaptic()),),
    "Synaptic zero": (dense(synaptic(reset_mechanism="zero")),),
    "Synaptic none": (dense(synaptic(reset_mechanism="none")),),
    "Synaptic reset_delay=False": (dense(synaptic(reset_delay=False)),),
    "Synaptic zero reset_delay=False": (dense(synaptic(reset_delay=False, reset_mechanism="zero")),),
    "RLeaky": (dense(rleaky()),),
    "RLeaky zero": (dense(rleaky(reset_mechanism="zero")),),
    "RLeaky reset_delay=False": (dense(rleaky(reset_delay=False)),),
    "RLeaky one to one": (dense(one_to_one),),
    "RLeaky conv": (recurrent_conv, (2, 5, 8)),
    "RSynaptic": (dense(rsynaptic()),),
    "RSynaptic zero": (dense(rsynaptic(reset_mechanism="zero")),),
}


def node(cls: Any, **options: Any) -> Make:
    return lambda *_: cls(**options)


def multi_step(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        net = make()
        functional.set_step_mode(net, "m")
        return net

    return build


def contained() -> nn.Module:
    first = layer.SeqToANNContainer(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
    rest = layer.MultiStepContainer(nn.Flatten(), nn.Linear(72, 5), neuron.LIFNode())
    return nn.Sequential(first, neuron.IFNode(step_mode="m"), rest)


SPIKINGJELLY: dict[str, tuple[Any, ...]] = {
    "IFNode": (dense(node(neuron.IFNode)),),
    "IFNode soft": (dense(node(neuron.IFNode, v_reset=None, v_threshold=0.75)),),
    "IFNode v_reset": (dense(node(neuron.IFNode, v_reset=-0.25)),),
    "LIFNode": (dense(node(neuron.LIFNode)),),
    "LIFNode raw": (dense(node(neuron.LIFNode, tau=2.7)),),
    "LIFNode tau=3": (dense(node(neuron.LIFNode, tau=3.0)),),
    "LIFNode soft": (dense(node(neuron.LIFNode, v_reset=None)),),
    "LIFNode v_reset": (dense(node(neuron.LIFNode, v_reset=-0.25)),),
    "LIFNode decay_input=False": (dense(node(neuron.LIFNode, tau=4.0, decay_input=False)),),
    "LIFNode decay_input=False v_reset": (dense(node(neuron.LIFNode, tau=4.0, decay_input=False, v_reset=0.125)),),
    "LIFNode m": (multi_step(dense(node(neuron.LIFNode), layer.Linear)), (12,), "TB"),
    "LIFNode conv": (conv(node(neuron.LIFNode), layer.MaxPool2d(2), layer), (2, 7, 8)),
    "LIFNode conv m": (multi_step(conv(node(neuron.LIFNode), layer.AvgPool2d(2), layer)), (2, 7, 8), "TB"),
    "containers": (contained, (2, 5, 8), "TB"),
    "ParametricLIFNode": (dense(node(neuron.ParametricLIFNode, init_tau=3.0)),),
    "CUBALIFNode": (dense(node(neuron.CUBALIFNode)),),
}


def sinabs(cls: Any, squeeze: bool = False, **options: Any) -> Make:
    if cls in (sl.LIF, sl.LIFSqueeze, sl.LIFRecurrent):
        options.setdefault("tau_mem", 6.0)
    if squeeze:
        options["batch_size"] = BATCH
    return lambda *_: cls(**options)


def recurrent(cls: Any, bias: bool = True, **options: Any) -> Make:
    return lambda size, _at: cls(rec_connect=nn.Linear(size, size, bias=bias), **options)


def reshaped() -> nn.Module:
    way = nn.Sequential(nn.Flatten(), nn.Linear(72, 72))
    return sl.IAFRecurrent(rec_connect=way)


def recurrent_maps() -> nn.Module:
    return nn.Sequential(sl.Repeat(nn.Conv2d(2, 4, 3)), reshaped(), nn.Flatten(2), nn.Linear(72, 5), sl.IAF())


def network() -> nn.Module:
    return Network(spiking_model=conv(sinabs(sl.IAFSqueeze, True), nn.AvgPool2d(2))())


SINABS: dict[str, tuple[Any, ...]] = {
    "IAF": (dense(sinabs(sl.IAF)), (12,), "BT"),
    "IAFSqueeze": (dense(sinabs(sl.IAFSqueeze, True)), (12,), "flat"),
    "IAF SingleSpike": (dense(sinabs(sl.IAF, spike_fn=SingleSpike)), (12,), "BT"),
    "IAF MaxSpike 1": (dense(sinabs(sl.IAF, spike_fn=MaxSpike(1))), (12,), "BT"),
    "IAF MembraneReset": (dense(sinabs(sl.IAF, reset_fn=MembraneReset())), (12,), "BT"),
    "IAF min_v_mem": (dense(sinabs(sl.IAF, min_v_mem=-0.3)), (12,), "BT"),
    "IAF tau_syn": (dense(sinabs(sl.IAF, tau_syn=torch.tensor(2.0))), (12,), "BT"),
    "IAFSqueeze conv": (conv(sinabs(sl.IAFSqueeze, True), sl.SumPool2d(2)), (2, 7, 8), "flat"),
    "Network of IAFSqueeze": (network, (2, 7, 8), "flat"),
    "IAFRecurrent": (dense(recurrent(sl.IAFRecurrent)), (12,), "BT"),
    "IAFRecurrent of maps": (recurrent_maps, (2, 5, 8), "BT"),
    "LIF norm_input": (dense(sinabs(sl.LIF)), (12,), "BT"),
    "LIF norm_input=False": (dense(sinabs(sl.LIF, norm_input=False)), (12,), "BT"),
    "LIF raw": (dense(sinabs(sl.LIF, norm_input=False)), (12,), "BT"),
    "LIF train_alphas": (dense(sinabs(sl.LIF, train_alphas=True, norm_input=False)), (12,), "BT"),
    "LIF tau_syn": (dense(sinabs(sl.LIF, tau_syn=3.0, norm_input=False)), (12,), "BT"),
    "LIF tau_syn norm_input": (dense(sinabs(sl.LIF, tau_syn=3.0)), (12,), "BT"),
    "LIF min_v_mem SingleSpike": (dense(sinabs(sl.LIF, min_v_mem=-0.2, spike_fn=SingleSpike)), (12,), "BT"),
    "LIFSqueeze MembraneReset": (dense(sinabs(sl.LIFSqueeze, True, reset_fn=MembraneReset())), (12,), "flat"),
    "LIFRecurrent": (dense(recurrent(sl.LIFRecurrent, tau_mem=6.0, norm_input=False)), (12,), "BT"),
    "LIFRecurrent no bias": (dense(recurrent(sl.LIFRecurrent, bias=False, tau_mem=6.0)), (12,), "BT"),
    "ExpLeak": (lambda: nn.Sequential(*dense(sinabs(sl.IAF))()[:-1], sl.ExpLeak(tau_mem=5.0)), (12,), "BT"),
}


def box(**options: Any) -> Make:
    parameters = norse.LIFBoxParameters(
        **{k: torch.as_tensor(v) if isinstance(v, float) else v for k, v in options.items()}
    )
    return lambda *_: norse.LIFBoxCell(parameters)


def lif(cls: Any = norse.LIFCell, **options: Any) -> Make:
    return lambda *_: cls(norse.LIFParameters(**{k: torch.as_tensor(v) for k, v in options.items()}))


def states(make: Callable[[], Any]) -> Callable[[], nn.Module]:
    return lambda: norse.SequentialState(*make())


def self_weighted() -> nn.Module:
    return norse.SequentialState(norse.LIFRecurrentCell(12, 16), norse.LIFRecurrentCell(16, 5))


def lifted() -> nn.Module:
    rest = (norse.LIF(), nn.Flatten(2), nn.Linear(72, 5), norse.LI())
    return norse.SequentialState(norse.Lift(nn.Conv2d(2, 4, 3)), *rest)


NORSE: dict[str, tuple[Any, ...]] = {
    "LIFBoxCell": (states(dense(box())),),
    "LIFBoxCell v_leak v_reset": (states(dense(box(v_leak=0.25, v_reset=-0.125))),),
    "LIFBoxCell reset_subtract": (states(dense(box(reset_method=reset_subtract))),),
    "LIFBoxCell conv": (states(lambda: [*nested(conv(box(), nn.AvgPool2d(2)))]), (2, 7, 8)),
    "LIFCell": (states(dense(lif())),),
    "LIFCell raw": (states(dense(lif())),),
    "LIFCell v_leak v_reset": (states(dense(lif(v_leak=0.25, v_reset=-0.125))),),
    "LIFRecurrentCell": (self_weighted,),
    "LIF, LI, Lift": (lifted, (2, 5, 8), "TB"),
    "IAFCell": (states(dense(lambda *_: norse.IAFCell())),),
    "LIBoxCell": (lambda: norse.SequentialState(*dense(box())()[:-1], norse.LIBoxCell()),),
    "LICell": (lambda: norse.SequentialState(*dense(lif())()[:-1], norse.LICell()),),
}
TOOLS = {"snntorch": SNNTORCH, "spikingjelly": SPIKINGJELLY, "sinabs": SINABS, "norse": NORSE}


def nested(make: Callable[[], nn.Module]) -> Iterator[nn.Module]:
    """The layers of a network without nesting: SequentialState hands states on to its own layers only."""
    for child in make():
        yield from child if isinstance(child, nn.Sequential) else (child,)


def fill(net: nn.Module, rng: np.random.Generator, gain: float, raw: bool) -> None:
    """Give every synapse weights of both signs whose sum is mostly positive, and batch norms some statistics."""
    for name, value in [*net.named_parameters(), *net.named_buffers()]:
        last = name.rsplit(".", 1)[-1]
        if last == "running_var" or (last == "weight" and value.ndim == 1):
            drawn = rng.uniform(0.7, 1.4, value.shape)
        elif last in ("weight", "input_weights", "recurrent_weights"):
            fan_in, back = int(np.prod(value.shape[1:])), 0.4 if "rec" in name else 1.0
            drawn = back * gain * rng.normal(1.3 / fan_in, 1.5 / np.sqrt(fan_in), value.shape)
            drawn = drawn if raw else np.round(drawn * 64) / 64
        elif last in ("bias", "running_mean"):
            drawn = rng.normal(0.03, 0.06, value.shape)
            drawn = drawn if raw else np.round(drawn * 64) / 64
        else:
            continue
        value.data.copy_(torch.tensor(drawn))


def called(net: nn.Module, x: torch.Tensor, style: str) -> dict[str, Any]:
    """Run a network over x `[T, B, ...]` and return what each of its neurons sent, `[T, B, ...]`."""
    sent: dict[str, list[torch.Tensor]] = {}
    stateful = (snn.SpikingNeuron, neuron.BaseNode, sl.StatefulLayer)
    cells = {n: m for n, m in net.named_modules() if isinstance(m, stateful) or type(m).__module__ in NORSE_CELLS}
    hooks = [
        m.register_forward_hook(
            lambda _m, _i, o, n=n: sent.setdefault(n, []).append(o[0] if isinstance(o, tuple) else o)
        )
        for n, m in cells.items()
    ]
    whole = {"BT": lambda: x.swapaxes(0, 1), "TB": lambda: x, "flat": lambda: x.swapaxes(0, 1).flatten(0, 1)}
    with torch.no_grad():
        if style in whole:
            net(whole[style]())
        state: tuple[Any, ...] = ()
        for frame in x if style == "step" else ():
            out = net(frame, *state)
            state = (out[1],) if isinstance(net, norse.SequentialState) else ()
    for hook in hooks:
        hook.remove()
    sizes = (len(x), x.shape[1])
    found = {}
    for name, parts in sent.items():
        if len(parts) == len(x):
            found[name] = torch.stack(parts)
        else:
            part = parts[0].unflatten(0, sizes[::-1]) if style == "flat" else parts[0]
            found[name] = part if style == "TB" else part.swapaxes(0, 1)
    return {name: value.numpy() for name, value in found.items()}


NORSE_CELLS = tuple(
    f"norse.torch.module.{name}" for name in ("lif", "lif_box", "iaf", "leaky_integrator", "leaky_integrator_box")
)


def lively(sent: Any) -> bool:
    """Whether neurons fire neither too little nor too much; potentials are always lively."""
    return not np.array_equal(sent * 2, np.rint(sent * 2)) or (0.02 < (sent != 0).mean() < 0.95 and sent.max() < 50)


def compare(tool: str, label: str, make: Any, shape: tuple[int, ...] = (12,), style: str = "step") -> tuple[int, ...]:
    """Return how many spikes were compared, how many differ, how many were sent, and how many answers differ."""
    rng = np.random.default_rng(zlib.crc32(f"{tool} {label}".encode()))
    x = (rng.random((STEPS, BATCH, *shape)) < 0.4).astype(np.float32)
    torch.manual_seed(0)
    for gain in (1, 0.7, 0.5, 0.35, 0.25, 1.5, 2.2, 3, 4.5, 7, 10, 14):
        net = make().eval()
        fill(net, rng, gain, label.endswith("raw"))
        sent = called(net, torch.from_numpy(x), style)
        if all(map(lively, sent.values())):
            break
    else:
        raise SystemExit(f"{tool} {label}: no weights make every layer fire: {[v.mean() for v in sent.values()]}")
    lead = (1, 1) if style in ("BT", "TB") else (1,)
    graph = asnn_deploy.from_torch(net, torch.zeros(*lead, *shape), tool=tool)
    trace = asnn_deploy.run(graph, np.swapaxes(x, 0, 1), target="reference")
    compared = differing = fired = 0
    for name, spikes in trace.spikes.items():
        mine, theirs = spikes, sent[name] / (0.5 if label == "Leaky graded" else 1)
        compared, differing = compared + mine.size, differing + int((mine != theirs).sum())
        fired += int((theirs != 0).sum())
    last = list(sent.values())[-1]
    total = np.zeros(last.shape[1:], np.float32)
    for step in last:
        total = total + step
    return compared, differing, fired, int((trace.logits != total.reshape(trace.logits.shape)).sum())


def main(words: list[str]) -> int:
    wrong = 0
    print(f"{'tool':13} {'class':36} {'compared':>9} {'fired':>7} {'differ':>6} {'answers that differ':>19}")
    for tool, cases in TOOLS.items():
        for label, case in cases.items():
            if words and not any(word in f"{tool} {label}" for word in words):
                continue
            compared, differing, fired, answers = compare(tool, label, *case)
            wrong += differing
            print(f"{tool:13} {label:36} {compared:9,} {fired:7,} {differing:6,} {answers:19,}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
