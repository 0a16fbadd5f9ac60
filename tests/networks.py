"""Small networks and images for tests. Weights are small multiples of a power of two, so every sum is exact."""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding import CODINGS, input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.step_table import StepTable

CODING_STEPS = dict.fromkeys(CODINGS, 4) | {
    "direct": 3,
    "hybrid-embedding": 5,
    "embedding-reference": 6,
    "hybrid-embedding-reference": 6,
}
"""How many time steps tests give each coding."""


def grid_weights(rng, shape, spread=24, grid=2.0**-5):
    return (rng.integers(-spread, spread + 1, size=shape) * grid).astype(np.float32)


def random_neuron(rng, name, time_steps, shape=(), reset="subtract"):
    """A LIF layer with random leak and gain per step; `shape` is the granularity."""
    draw = lambda low, high: rng.uniform(low, high, size=(time_steps, *shape)).astype(np.float32)
    return Neuron(
        name,
        model="lif",
        parameters={
            "leak": StepTable.per_step(draw(0.2, 0.9)),
            "gain": StepTable.per_step(draw(0.3, 1.2)),
            "threshold": StepTable.constant(np.float32(1), time_steps),
        },
        reset=reset,
    )


def small_lenet(
    time_steps=4, coding="hybrid-latency", channels=1, size=8, classes=5, seed=0, granularity="layer", widths=(6, 8, 12)
):
    """conv - LIF - max-pool - conv - LIF - max-pool - flatten - linear - LIF - linear - readout."""
    rng = np.random.default_rng(seed)
    code = input_code(coding, time_steps)
    pixel_scale = np.where(code.analog, 2.0**-8, 1.0)  # analog steps carry 0..255
    kinds = np.unique(code.analog)

    def stem(shape):
        values = np.stack([grid_weights(rng, shape) * np.float32(2.0**-8 if k else 1.0) for k in kinds])
        return StepTable(values, np.searchsorted(kinds, code.analog))

    def fixed_table(value):
        return StepTable.constant(value, time_steps)

    half, quarter = size // 2, size // 4
    grain = {
        "layer": [(), (), ()],
        "channel": [(widths[0],), (widths[1],), (widths[2],)],
        "neuron": [(widths[0], size, size), (widths[1], half, half), (widths[2],)],
    }[granularity]
    assert pixel_scale.shape == (time_steps,)
    return DeployGraph.chain(
        (channels, size, size),
        code,
        [
            Conv("conv1", stem((widths[0], channels, 3, 3)), stem((widths[0],)), padding=(1, 1)),
            random_neuron(rng, "lif1", time_steps, grain[0]),
            Pool("pool1"),
            Conv(
                "conv2",
                fixed_table(grid_weights(rng, (widths[1], widths[0], 3, 3))),
                fixed_table(grid_weights(rng, (widths[1],))),
                padding=(1, 1),
            ),
            random_neuron(rng, "lif2", time_steps, grain[1]),
            Pool("pool2"),
            Flatten("flatten"),
            Linear(
                "fc1",
                fixed_table(grid_weights(rng, (widths[2], widths[1] * quarter * quarter))),
                fixed_table(grid_weights(rng, (widths[2],))),
            ),
            random_neuron(rng, "lif3", time_steps, grain[2]),
            Linear(
                "fc2", fixed_table(grid_weights(rng, (classes, widths[2]))), fixed_table(grid_weights(rng, (classes,)))
            ),
            Readout("readout", StepTable.per_step((rng.uniform(0.5, 1.5, time_steps) / time_steps).astype(np.float32))),
        ],
    )


def random_images(graph, count, seed=0):
    """uint8 images `[N, C, H, W]`, about a third of the pixels dark."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(count, *graph.input_shape))
    return np.where(rng.random(images.shape) < 0.3, 0, images).astype(np.uint8)


def random_graph(seed):
    """A small network of random layers: stride, padding, dilation, groups, poolings, residual, recurrence, per-step
    weights, every granularity, both resets. Event signals only feed synapses, so it has an integer version too."""
    rng = np.random.default_rng(seed)
    coding, steps = [("direct", 3), ("latency", 4), ("hybrid-latency", 3), ("embedding", 4), ("hybrid-embedding", 5)][
        rng.integers(5)
    ]
    code = input_code(coding, steps)
    channels, height, width = int(rng.integers(1, 3)), int(rng.integers(4, 7)), int(rng.integers(4, 7))
    analog = np.where(code.analog, 2.0**-8, 1.0).astype(np.float32)
    layers, edges, last = [], [], INPUT

    def put(layer, *sources):
        nonlocal last
        layers.append(layer)
        edges.extend(s if isinstance(s, Edge) else Edge(s, layer.name) for s in (sources or (last,)))
        last = layer.name

    def weights(shape, scale, per_step=False):
        if per_step:
            return StepTable.per_step(np.stack([grid_weights(rng, shape) * s for s in scale]))
        kinds, index = np.unique(scale, return_inverse=True)
        return StepTable(np.stack([grid_weights(rng, shape) * s for s in kinds]), index)

    ones = np.ones(steps, np.float32)
    kernel, stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4))), (int(rng.integers(1, 3)), 1)
    padding = (int(rng.integers(2)), int(rng.integers(2)))
    stem = weights((4, channels, *kernel), analog, per_step=bool(rng.integers(2)))
    put(Conv("conv1", stem, weights((4,), analog) if rng.integers(2) else None, stride, padding))
    shape = Conv("x", stem, None, stride, padding).output_shape((channels, height, width))
    grain = [(), shape[:1], (shape[0], 1, 1), shape][rng.integers(4)]
    put(random_neuron(rng, "lif1", steps, grain, ["subtract", "zero"][rng.integers(2)]))
    if rng.integers(2):  # residual: the sum of spikes goes on
        back = Conv("conv2", weights((4, 2, 3, 3), ones, bool(rng.integers(2))), None, (1, 1), (1, 1), groups=2)
        put(back)
        if rng.integers(2):  # recurrence
            put(Conv("loop", weights((4, 4, 1, 1), ones)), Edge("lif2", "loop", 1))
            put(Add("current"), "conv2", "loop")
            weight = layers[2].weight  # currents of one scale can be added in integers
            layers[3] = Conv("loop", StepTable.constant(weight.at(0).max() * np.ones((4, 4, 1, 1), np.float32), steps))
            if len(weight.values) > 1 or weight.at(0).max() != np.abs(weight.at(0)).max():
                layers[2] = Conv(
                    "conv2",
                    weight.map(lambda w: w * 0 + np.float32(weight.at(0).max())),
                    None,
                    (1, 1),
                    (1, 1),
                    groups=2,
                )
        put(random_neuron(rng, "lif2", steps))
        put(Add("residual"), "lif1", "lif2", *([Edge("lif1", "residual", 1)] if rng.integers(2) else []))
    mode = ["max", "sum", "average"][rng.integers(3)]
    if min(shape[1:]) >= 2:
        put(Pool("pool", mode, (2, 2), (2, 1), (int(rng.integers(2)), 0)))
        shape = layers[-1].output_shape(shape)
    put(Flatten("flat"))
    put(Linear("fc1", weights((5, int(np.prod(shape))), ones), weights((5,), ones)))
    put(random_neuron(rng, "lif3", steps, [(), (5,)][rng.integers(2)]))
    put(Linear("fc2", weights((3, 5), ones), weights((3,), ones) if rng.integers(2) else None))
    put(Readout("readout", StepTable.per_step((rng.uniform(0.5, 1.5, steps) / steps).astype(np.float32))))
    return DeployGraph((channels, height, width), code, tuple(layers), tuple(edges))


def random_attention(seed):
    """A residual block of spiking self-attention: random width, heads, tokens, order of the products, scale, coding."""
    rng = np.random.default_rng(seed)
    steps, heads, each = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 5))
    code = input_code(["latency", "direct"][rng.integers(2)], steps)
    height, width, channels = int(rng.integers(1, 4)), int(rng.integers(1, 4)), heads * each
    tokens, analog = height * width, 2.0**-8 if code.analog.any() else 1.0
    per_head = (heads, each, tokens)

    def conv(name, inputs, scale=1.0):
        weight = grid_weights(rng, (channels, inputs, 1, 1)) * np.float32(scale)
        return Conv(name, StepTable.constant(weight, steps), StepTable.constant(grid_weights(rng, channels), steps))

    layers, edges = [], []

    def put(layer, *sources):
        edges.extend(Edge(source, layer.name) for source in sources or [layers[-1].name])
        layers.append(layer)

    put(conv("stem", 1, analog), INPUT)
    put(random_neuron(rng, "stem_lif", steps))
    put(conv("second", channels))
    put(random_neuron(rng, "second_lif", steps))
    put(Add("tokens"), "stem_lif", "second_lif")
    for x in "qkv":
        put(conv(x, channels), "tokens")
        put(random_neuron(rng, f"{x}_lif", steps, [(), (channels,)][rng.integers(2)]))
        put(Reshape(f"{x}_heads", per_head))
    if rng.integers(2):
        put(Product("kv", "hdm,hem->hde"), "k_heads", "v_heads")
        put(Product("qkv", "hdn,hde->hen"), "q_heads", "kv")
    else:
        put(Product("qk", "hdn,hdm->hnm"), "q_heads", "k_heads")
        put(Product("qkv", "hnm,hem->hen"), "qk", "v_heads")
    put(Reshape("joined", (channels, height, width)))
    factor = 2.0 ** -rng.integers(0, 4, [(), (channels,)][rng.integers(2)])
    put(Scale("scale", StepTable.constant(factor.astype(np.float32), steps)))
    put(random_neuron(rng, "attention", steps, [(), (channels,)][rng.integers(2)]))
    put(Add("out"), "tokens", "attention")
    put(Pool("pool", "sum", (height, width), (1, 1)))
    put(Flatten("flat"))
    put(Linear("fc", StepTable.constant(grid_weights(rng, (3, channels)), steps)))
    put(Readout("readout", StepTable.per_step((rng.uniform(0.5, 1.5, steps) / steps).astype(np.float32))))
    return DeployGraph((1, height, width), code, tuple(layers), tuple(edges))


def any_graph(seed):
    """One of either kind."""
    return (random_attention if seed % 4 == 0 else random_graph)(seed)
