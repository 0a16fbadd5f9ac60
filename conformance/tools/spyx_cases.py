"""Spyx 1.0.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import spyx.nir
import spyx.nn as spyx_nn
from case import Built, Case, Draw
from flax import nnx

WORDS = {"from": "spyx", "dt": 1, "reset": "subtract", "integration": "euler", "fires": "above", "spikes": "one"}
BEFORE = {"decides": "before the input"}
NOTES = [
    "a step's spikes are decided on the potential that the step before left: s = v > threshold; then the threshold is "
    "taken off and the input added",
]
GAIN = "r of LIF and CubaLIF is beta, not tau: by NIR's equation the input has a factor of beta (1 - beta); it is 1"
CURRENT = {"current": "decay, add, use"}


def record(net: Any, x: np.ndarray[Any, Any], graph: Any, names: dict[int, str] | None = None) -> Built:
    """Run `net` step by step over x [T, B, ...], without jit; channels last where there are any."""
    moved = np.moveaxis(x, 2, -1) if x.ndim == 5 else x
    state = net.initial_state(x.shape[1])
    neurons = {i: (names or {}).get(i, f"layer_{i}") for i, s in enumerate(state) if s is not None}
    spikes: dict[str, list[Any]] = {name: [] for name in neurons.values()}
    potentials: dict[str, list[Any]] = {name: [] for name in neurons.values()}
    for frame in moved:
        out = jnp.asarray(frame)
        for i, layer in enumerate(net.layers):
            if i not in neurons:
                out = layer(out)
                continue
            out, state[i] = layer(out, state[i])
            v = jnp.split(state[i], 2, -1)[0] if "CuBa" in type(layer).__name__ else state[i]
            for store, value in ((spikes, out), (potentials, v)):
                value = np.asarray(value)
                store[neurons[i]].append(np.moveaxis(value, -1, 1) if value.ndim == 4 else value)
    return Built(graph, x, {k: np.stack(v) for k, v in spikes.items()}, {k: np.stack(v) for k, v in potentials.items()})


def export(net: Any, shape: tuple[int, ...], out: int) -> Any:
    return spyx.nir.to_nir(net, {"input": np.array(shape)}, {"output": np.array([out])})


def linear(draw: Draw, inputs: int, outputs: int) -> Any:
    layer = nnx.Linear(inputs, outputs, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.asarray(draw.weight(outputs, inputs).numpy().T)
    layer.bias[...] = jnp.asarray(draw.bias(outputs).numpy())
    return layer


def dense(
    neuron: Callable[[Draw, int], Any], values: bool = False, names: dict[int, str] | None = None
) -> Callable[[Draw], Built]:
    def build(draw: Draw) -> Built:
        net = spyx_nn.Sequential(linear(draw, 12, 16), neuron(draw, 16), linear(draw, 16, 5), neuron(draw, 5))
        return record(net, draw.values(12) if values else draw.spikes(12), export(net, (12,), 5), names)

    return build


def lif(beta: float) -> Callable[[Draw, int], Any]:
    return lambda draw, size: spyx_nn.LIF((size,), beta=beta, rngs=nnx.Rngs(0))


def cuba(draw: Draw, size: int) -> Any:
    return spyx_nn.CuBaLIF((size,), alpha=0.5, beta=0.75, rngs=nnx.Rngs(0))


def recurrent(cls: Any, **options: float) -> Callable[[Draw, int], Any]:
    def make(draw: Draw, size: int) -> Any:
        neuron = cls((size,), rngs=nnx.Rngs(0), **options)
        neuron.recurrent_w[...] = jnp.asarray(draw.weight(size, size, recurrent=True).numpy().T)
        return neuron

    return make


def conv(draw: Draw) -> Built:
    first = nnx.Conv(2, 4, kernel_size=(3, 3), strides=(1, 2), padding=[(1, 1), (1, 1)], rngs=nnx.Rngs(0))
    first.kernel[...] = jnp.asarray(draw.weight(4, 2, 3, 3).numpy().transpose(2, 3, 1, 0))
    first.bias[...] = jnp.asarray(draw.bias(4).numpy())
    net = spyx_nn.Sequential(
        first,
        spyx_nn.LIF((5, 4, 4), beta=0.5, rngs=nnx.Rngs(0)),
        spyx_nn.SumPool((1, 2), (1, 2), "VALID"),
        spyx_nn.Flatten(),
        linear(draw, 40, 5),
        spyx_nn.LIF((5,), beta=0.5, rngs=nnx.Rngs(0)),
    )
    return record(net, draw.spikes(2, 5, 8), export(net, (2, 5, 8), 5))


def case(kind: str, cls: str, build: Callable[[Draw], Built], **options: Any) -> Case:
    options["extra"] = BEFORE | options.get("extra", {})
    options["notes"] = NOTES + options.get("notes", [])
    return Case(
        "spyx", kind, cls, WORDS, build, **{"potentials": "after the step's input; spikes of the next step"} | options
    )


NESTED = {1: "layer_1.layer_1.lif", 3: "layer_3.layer_3.lif"}
WIRED = {"recurrent_input": "to the neuron"}
FED = ["feedback is that of the same step's spikes, which are decided before the input"]
WRONG = [
    "the nested graph's Input is wired to w_rec instead of the neuron: read as it stands, the input would pass w_rec"
]
CASES = [
    case("if", "IF", dense(lambda draw, size: spyx_nn.IF((size,))), ties=True),
    case("lif", "LIF", dense(lif(0.5)), exporter=[GAIN], ties=True),
    case("lif-09", "LIF, beta 0.9", dense(lif(0.9)), exporter=[GAIN]),
    case("lif-values", "LIF, float inputs", dense(lif(0.75), values=True), exporter=[GAIN]),
    case("lif-raw", "LIF, raw weights", dense(lif(0.83)), exporter=[GAIN], raw=True),
    case(
        "cubalif",
        "CuBaLIF",
        dense(cuba),
        extra=CURRENT,
        exporter=[GAIN],
        notes=["the threshold is taken off before the leak: v = b (v - s th) + i, otherwise than in LIF"],
    ),
    case("rif", "RIF", dense(recurrent(spyx_nn.RIF), names=NESTED), extra=WIRED, notes=FED, exporter=WRONG, ties=True),
    case(
        "rlif",
        "RLIF",
        dense(recurrent(spyx_nn.RLIF, beta=0.75), names=NESTED),
        extra=WIRED,
        notes=FED,
        exporter=[*WRONG, GAIN],
    ),
    case(
        "rcubalif",
        "RCuBaLIF",
        dense(recurrent(spyx_nn.RCuBaLIF, alpha=0.5, beta=0.75), names=NESTED),
        extra=WIRED | CURRENT,
        notes=FED,
        exporter=[*WRONG, GAIN],
    ),
    case(
        "conv",
        "LIF behind a convolution",
        conv,
        extra={"flatten": "channels last"},
        exporter=[
            GAIN,
            "Flatten: Spyx flattens height, width, channels, NIR channels, height, width; the columns of the weights "
            "behind are in Spyx's order",
        ],
    ),
]
