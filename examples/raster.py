"""Draw every spike of one sample: the coded input frames, and each layer's raster over the time steps.

.venv/bin/python examples/raster.py demo/lava --target lava-fixed --sample 3 --out raster.png
"""

from __future__ import annotations

import argparse

import matplotlib
import numpy as np

import asnn_deploy
from asnn_deploy.input.data import load_data
from asnn_deploy.util.arrays import Array

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(net: asnn_deploy.DeployGraph, trace: asnn_deploy.Trace, image: Array, out: str) -> None:
    """image: uint8 `[C, H, W]`; trace: of that one sample."""
    steps = net.time_steps
    frames = net.code.frames(image[None])[:, 0]
    figure, axes = plt.subplots(
        2, steps, figsize=(1.6 * steps, 5.2), height_ratios=[1, 3], layout="constrained", squeeze=False
    )
    for t in range(steps):
        axes[0, t].imshow(frames[t].mean(axis=0), cmap="gray_r", vmin=0, vmax=255 if net.code.analog[t] else 1)
        axes[0, t].set_title(f"step {t}", fontsize=9)
        axes[0, t].set_axis_off()
        axes[1, t].remove()
    raster = figure.add_subplot(axes[1, 0].get_gridspec()[1, :])
    base = 0
    for name, spikes in trace.spikes.items():
        flat = spikes[:, 0].reshape(steps, -1)
        at, neuron = np.nonzero(flat)
        raster.scatter(at, base + neuron, s=2, marker="|", label=name)
        base += flat.shape[1]
    raster.set(xlabel="time step", ylabel="neuron", xticks=range(steps), xlim=(-0.5, steps - 0.5))
    raster.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, markerscale=3)
    figure.suptitle(f"{trace.target}: class {trace.predictions[0]}", fontsize=11)
    figure.savefig(out, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="run folder, bundle or .nir file")
    parser.add_argument("--target", default="reference")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--out", default="raster.png")
    arguments = parser.parse_args()
    net = asnn_deploy.load(arguments.source)
    image = load_data(arguments.data).images["test"][arguments.sample]
    trace = asnn_deploy.run(net, image.transpose(1, 2, 0)[None], target=arguments.target)
    draw(net, trace, image, arguments.out)
    print(f"{arguments.out}: class {trace.predictions[0]}")


if __name__ == "__main__":
    main()
