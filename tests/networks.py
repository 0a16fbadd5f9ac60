"""Small networks and images for tests. Weights are small multiples of a power of two, so every sum is exact."""

from __future__ import annotations

import numpy as np

from asnn_deploy.coding import input_code
from asnn_deploy.graph import Conv, DeployGraph, Flatten, Linear, Neuron, Pool, Readout
from asnn_deploy.step_table import StepTable


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


def small_lenet(time_steps=4, coding="hybrid-latency", channels=1, size=8, classes=5, seed=0, granularity="layer"):
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

    widths = (6, 8, 12)
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
            Linear("fc2", fixed_table(grid_weights(rng, (classes, widths[2]))), fixed_table(grid_weights(rng, (classes,)))),
            Readout("readout", StepTable.per_step((rng.uniform(0.5, 1.5, time_steps) / time_steps).astype(np.float32))),
        ],
    )


def random_images(graph, count, seed=0):
    """uint8 images `[N, C, H, W]`, about a third of the pixels dark."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(count, *graph.input_shape))
    return np.where(rng.random(images.shape) < 0.3, 0, images).astype(np.uint8)
