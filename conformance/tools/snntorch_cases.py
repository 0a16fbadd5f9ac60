"""snnTorch 1.0.0."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import nirtorch
import numpy as np
import snntorch as snn
import torch
from case import Built, Case, Draw, fill_shapes
from snntorch.export_nir import _extract_snntorch_module, export_to_nir
from torch import nn

WORDS = {"from": "snntorch", "dt": 1e-4, "integration": "euler", "fires": "above", "spikes": "one"}
STATEFUL = (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic)
FULL = "beta (alpha) and threshold have one value per neuron: with one per layer the exporter's type check fails"
UNCHECKED = (
    "export_to_nir stops in the type check of nir 1.0.8, which takes every kernel as square and allows no arrays of "
    "length 1 behind a wide layer; so the same nirtorch call that export_to_nir makes is made without that check, and "
    "the shapes of Flatten and of the convolutions are filled in by hand"
)


def record(net: nn.Sequential, x: np.ndarray[Any, Any], graph: Any, names: dict[str, str] | None = None) -> Built:
    """Run `net` from rest over x [T, B, ...]; `mem` is read after each step."""
    names = names or {}
    neurons = {names.get(k, k): m for k, m in net.named_children() if isinstance(m, STATEFUL)}
    outputs: dict[str, list[Any]] = {name: [] for name in neurons}
    hooks = [m.register_forward_hook(lambda _m, _i, out, n=n: outputs[n].append(out)) for n, m in neurons.items()]
    for module in neurons.values():
        module.reset_mem()
    potentials: dict[str, list[Any]] = {name: [] for name in neurons}
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            net(frame)
            for name, module in neurons.items():
                potentials[name].append(module.mem.clone().numpy())
    for hook in hooks:
        hook.remove()
    spikes = {k: np.stack([o.numpy() for o in v]) for k, v in outputs.items()}
    return Built(graph, x, spikes, {k: np.stack(v) for k, v in potentials.items()})


def full(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape, value)


def dense(
    neuron: Callable[[int, int], nn.Module], values: bool = False, nested: bool = False
) -> Callable[[Draw], Built]:
    def build(draw: Draw) -> Built:
        net = nn.Sequential(
            OrderedDict(fc1=nn.Linear(12, 16), lif1=neuron(16, 0), fc2=nn.Linear(16, 5), lif2=neuron(5, 1))
        )
        draw.fill(net)
        graph = export_to_nir(net, torch.zeros(1, 12), ignore_dims=[0])
        names = {"lif1": "lif1.lif", "lif2": "lif2.lif"} if nested else None
        return record(net, draw.values(12) if values else draw.spikes(12), graph, names)

    return build


def unchecked(net: nn.Module, sample: torch.Tensor, shapes: dict[str, tuple[int, ...]]) -> Any:
    graph = nirtorch.extract_nir_graph(net, _extract_snntorch_module, sample, model_name="snntorch", ignore_dims=[0])
    return fill_shapes(graph, shapes)


def conv(draw: Draw) -> Built:
    first = nn.Conv2d(2, 4, (1, 3), stride=(1, 2), padding=(0, 1), groups=2)
    net = nn.Sequential(
        OrderedDict(
            conv1=first,
            lif1=leaky(0.75)(1, 0),
            conv2=nn.Conv2d(4, 4, (3, 1), padding=(1, 0)),
            lif2=leaky(0.75)(1, 0),
            pool=nn.AvgPool2d((1, 2)),
            flatten=nn.Flatten(),
            fc=nn.Linear(4 * 5 * 2, 5),
            lif3=leaky(0.75)(1, 1),
        )
    )
    draw.fill(net)
    shapes = {"conv1": (5, 8), "conv2": (5, 4), "flatten": (4, 5, 2)}
    return record(net, draw.spikes(2, 5, 8), unchecked(net, torch.zeros(1, 2, 5, 8), shapes))


def leaky(*betas: float, **options: Any) -> Callable[[int, int], nn.Module]:
    """Return a maker of Leaky; several betas: one for every layer. Thresholds 1 and 0.75."""

    def make(size: int, layer: int) -> nn.Module:
        beta, threshold = full(betas[layer % len(betas)], size), full((1.0, 0.75)[layer], size)
        return snn.Leaky(beta=beta, threshold=threshold, init_hidden=True, **options)

    return make


def mixed(size: int, layer: int) -> nn.Module:
    beta = torch.linspace(0.3, 0.99, size)
    return snn.Leaky(beta=beta, threshold=torch.linspace(0.5, 1.25, size), init_hidden=True)


def synaptic(cls: Any, alpha: float, beta: float, **options: Any) -> Callable[[int, int], nn.Module]:
    def make(size: int, layer: int) -> nn.Module:
        size_option = {"linear_features": size} if cls is snn.RSynaptic else {}
        shape = () if cls is snn.RSynaptic else (size,)
        return cls(
            alpha=full(alpha, *shape),
            beta=full(beta, *shape),
            threshold=full(1.0, *shape),
            init_hidden=True,
            **size_option,
            **options,
        )

    return make


def rleaky(beta: float, **options: Any) -> Callable[[int, int], nn.Module]:
    return lambda size, layer: snn.RLeaky(beta=beta, linear_features=size, init_hidden=True, **options)


def one_to_one(size: int, layer: int) -> nn.Module:
    weights = torch.round(torch.linspace(-0.5, 0.6, size) * 64) / 64
    return snn.RLeaky(beta=0.75, V=weights, all_to_all=False, init_hidden=True)


BEFORE = "after the step's input, before the reset that the next step makes"
SYNAPTIC = {"current": "decay, add, use"}
RECURRENT = ["recurrent sums are those of the last step's spikes, bias included; at step 0 the bias alone"]


def case(kind: str, neuron: str, reset: str, build: Callable[[Draw], Built], **options: Any) -> Case:
    words = WORDS | {"reset": reset}
    options.setdefault("potentials", BEFORE if reset.startswith("delayed") else "after the reset")
    return Case("snntorch", kind, neuron, words, build, **{"workaround": FULL} | options)


ZERO = ["the membrane is cleared at the start of the next step, before leak and input: the same as clearing it at once"]
CASES = [
    case("leaky-subtract", "Leaky", "delayed-subtract", dense(leaky(0.5)), ties=True),
    case("leaky-subtract-09", "Leaky, beta 0.9", "delayed-subtract", dense(leaky(0.9))),
    case("leaky-subtract-values", "Leaky, float inputs", "delayed-subtract", dense(leaky(0.75), values=True)),
    case(
        "leaky-subtract-raw",
        "Leaky, raw weights, beta and threshold per neuron",
        "delayed-subtract",
        dense(mixed),
        raw=True,
    ),
    case(
        "leaky-no-delay",
        "Leaky(reset_delay=False)",
        "subtract",
        dense(leaky(0.75, 0.5, reset_delay=False)),
        ties=True,
        extra={"reset": "subtract, left over"},
        notes=[
            "r = v > th (left over from the step before), p = b v + x - r th, s = p > th, v = p - (s - r) th: where a "
            "potential is still above the threshold after its reset, the next step takes the threshold off first"
        ],
    ),
    case(
        "leaky-zero",
        "Leaky(reset_mechanism='zero')",
        "zero",
        dense(leaky(0.5, reset_mechanism="zero")),
        ties=True,
        extra={"reported": "charged"},
        notes=ZERO,
        potentials=BEFORE,
    ),
    case(
        "leaky-none",
        "Leaky(reset_mechanism='none') as the last layer",
        "delayed-subtract",
        dense(lambda size, layer: leaky(0.9, reset_mechanism="none" if layer else "subtract")(size, layer)),
        extra={"nodes": {"lif2": {"reset": "none"}}},
        exporter=[
            "writes a LIF that resets: that reset_mechanism is 'none' is lost, the file cannot be told from a "
            "subtracting one"
        ],
        notes=["lif2 never resets; it is a readout and its potentials are what counts"],
    ),
    case(
        "synaptic-subtract",
        "Synaptic",
        "delayed-subtract",
        dense(synaptic(snn.Synaptic, 0.5, 0.75)),
        extra=SYNAPTIC,
        ties=True,
    ),
    case(
        "synaptic-zero",
        "Synaptic(reset_mechanism='zero')",
        "delayed-zero",
        dense(synaptic(snn.Synaptic, 0.5, 0.5, reset_mechanism="zero")),
        extra=SYNAPTIC,
        ties=True,
        notes=["the input of the step after a spike is cleared with the membrane; the current i is not"],
    ),
    case(
        "rleaky-subtract",
        "RLeaky",
        "delayed-subtract",
        dense(rleaky(0.75), nested=True),
        notes=RECURRENT,
        workaround=None,
    ),
    case(
        "rleaky-zero",
        "RLeaky(reset_mechanism='zero')",
        "delayed-zero",
        dense(rleaky(0.5, reset_mechanism="zero"), nested=True),
        notes=RECURRENT,
        workaround=None,
    ),
    case(
        "rleaky-one-to-one",
        "RLeaky(all_to_all=False)",
        "delayed-subtract",
        dense(one_to_one, nested=True),
        notes=RECURRENT,
        workaround=None,
    ),
    case(
        "rsynaptic-subtract",
        "RSynaptic",
        "delayed-subtract",
        dense(synaptic(snn.RSynaptic, 0.5, 0.75), nested=True),
        extra=SYNAPTIC,
        notes=RECURRENT,
        workaround=None,
    ),
    case(
        "rsynaptic-zero",
        "RSynaptic(reset_mechanism='zero')",
        "delayed-zero",
        dense(synaptic(snn.RSynaptic, 0.5, 0.75, reset_mechanism="zero"), nested=True),
        extra=SYNAPTIC,
        notes=RECURRENT,
        workaround=None,
    ),
    case(
        "conv",
        "Leaky behind convolutions",
        "delayed-subtract",
        conv,
        workaround=UNCHECKED,
        exporter=["AvgPool2d: padding is written as 0 whatever the module has"],
    ),
]
