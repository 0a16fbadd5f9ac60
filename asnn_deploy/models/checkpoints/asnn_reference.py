"""State dicts of the reference LeNet of ASNN (arXiv 2408.12407), as its published code (`lenet_spiking.py`) saves them.

What that code computes at step t, layer l = 0..3, for frames of its coding:

    x = norm(weights(input))                    "mix" codings: con11, bn11 at step 0, con1, bn1 at the others
    v = leakelayers[l, t] * v + inputlayers[l, t] * x
    s = 1 where v - 1 > 0;  v = v - s           pooled by 2x2 maxima behind the convolutions
    logits = mean over t of scale[t] * lin2(s)  not adaptive: without scale; leaks and gains stay

That is our network `lenet`, number by number. The one difference is "direct": there, images are normalised before the
convolution pads them with zeros, which stand for the mean colour. `(x - mean) / std` goes into the first weights and
bias; taps beyond the edge, which have no mean to subtract, into a bias for each neuron at the border (`_normalising`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from asnn_deploy.errors import BundleError, ConfigError
from asnn_deploy.models.checkpoints.state_dict import REMEDY, Foreign, check, read_state_dict
from asnn_deploy.util.suggest import unknown_name

WHAT = "the reference LeNet"
CODINGS = {
    "time": "latency",
    "mix time": "hybrid-latency",
    "embedding": "embedding-reference",
    "mix embedding": "hybrid-embedding-reference",
    "direct": "direct",
}
"""The code's names of its codings, and ours of what they compute."""
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
"""Of the colours, with which that code normalises images for "direct"; images of the other codings stay as they are."""
EPSILON = 1e-5
"""Added to the variance in batch norm: torch's default, which that code leaves."""
LAYERS = (
    ("con1", "bn1", ("width 1", "channels", 3, 3)),
    ("con11", "bn11", ("width 1", "channels", 3, 3)),
    ("con2", "bn2", ("width 2", "width 1", 3, 3)),
    ("con3", "bn3", ("width 3", "width 2", 3, 3)),
    ("lin1", "bn4", ("hidden", "features")),
    ("lin2", None, ("classes", "hidden")),
)
"""Synapses, their batch norm and the axes of their weights."""
NEURONS = ("conv1", "conv2", "conv3", "fc1")
"""Our names of its layers of neurons, in the order of `leakelayers` and `inputlayers`."""
NORM = ("weight", "bias", "running_mean", "running_var")
UNUSED = ("re", "th", "lano.weight", "lano.bias")
"""What state dicts of that code hold, and its network does not compute with."""


def read(path: Path, coding: str, adaptive: bool) -> Foreign:
    """Return the network of a state dict of the reference code.

    coding: by that code's name. adaptive: whether the readout weighs the steps by `scale` (its `ASNN`).
    Raises ConfigError for an unknown coding, BundleError naming file and key of what is missing, extra or misshapen.
    """
    if coding not in CODINGS:
        raise ConfigError(unknown_name("coding of the reference code", coding, CODINGS))
    mixed, normalised = coding.startswith("mix"), coding == "direct"
    tensors, sizes = _checked(path, coding, _shapes(adaptive, mixed))
    if normalised and sizes["channels"] != len(MEAN):
        raise BundleError(
            f"{path}: 'con1.weight' reads {sizes['channels']} channels; for coding 'direct' the reference code "
            f"normalises the {len(MEAN)} of CIFAR, and nothing says how it would normalise others"
        )
    side = _side(path, sizes)
    settings = {
        "coding": CODINGS[coding],
        "time_steps": sizes["T"],
        "model.name": "lenet",
        "model.widths": [sizes[f"width {i}"] for i in (1, 2, 3)],
        "model.hidden": sizes["hidden"],
        "model.input_shape": [sizes["channels"], side, side],
        "model.classes": sizes["classes"],
        "model.learned": ["leak", "gain", *(["bias"] if normalised else []), *(["readout"] if adaptive else [])],
        "model.granularity": "neuron" if normalised else "layer",
    }
    weights = _weights(tensors, ["con11", "con1"] if mixed else ["con1"])
    if adaptive:
        weights["layers.readout.scale"] = tensors["scale"]
    if normalised:
        weights = _normalising(_per_neuron(weights, side), tensors, side)
    return Foreign(settings, weights)


def _checked(
    path: Path, coding: str, needed: Mapping[str, tuple[int | str, ...]]
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """A file's tensors of the needed keys, in float32, and their sizes by name. Raises BundleError."""
    found = read_state_dict(path)
    known = {*_shapes(True, True), *UNUSED, *(f"{norm}.num_batches_tracked" for _, norm, _ in LAYERS if norm)}
    for key in found:
        if key not in known:
            raise BundleError(f"{path}: {unknown_name(f'key of {WHAT}', key, known)}; {REMEDY}")
    if "scale" in needed and "scale" not in found:
        raise BundleError(
            f"{path}: lacks 'scale', the readout's weight of each step; import it as not adaptive if it has none"
        )
    sizes = check(path, found, needed, f"{WHAT} with coding {coding!r}")
    tensors = {key: found[key].float() for key in needed}
    for key, value in tensors.items():
        if key.endswith("running_var") and value.min() < 0:
            raise BundleError(f"{path}: {key!r} goes down to {value.min():g}; a variance is at least 0; {REMEDY}")
    return tensors, sizes


def _shapes(adaptive: bool, mixed: bool) -> dict[str, tuple[int | str, ...]]:
    """The keys that a network has, and the axes of each."""
    shapes: dict[str, tuple[int | str, ...]] = dict.fromkeys(("leakelayers", "inputlayers"), (len(NEURONS), "T"))
    if adaptive:
        shapes["scale"] = ("T",)
    for name, norm, axes in LAYERS:
        if mixed or name != "con11":
            shapes |= {f"{name}.weight": axes, f"{name}.bias": axes[:1]}
            shapes |= {} if norm is None else {f"{norm}.{part}": axes[:1] for part in NORM}
    return shapes


def _side(path: Path, sizes: Mapping[str, int]) -> int:
    """The side of the square image that is pooled three times by 2 before `lin1` reads it, in pixels."""
    pooled = math.isqrt(sizes["features"] // sizes["width 3"])
    if pooled == 0 or sizes["width 3"] * pooled**2 != sizes["features"]:
        raise BundleError(
            f"{path}: 'lin1.weight' reads {sizes['features']} values, {WHAT} reads a square image of "
            f"{sizes['width 3']} channels (by 'con3.weight') there, such as 1024 of 64; {REMEDY}"
        )
    return 8 * pooled


def _weights(tensors: Mapping[str, Tensor], stems: list[str]) -> dict[str, Tensor]:
    """The tensors under our names. stems: what reads the input, in the order of our kinds of steps."""
    weights: dict[str, Tensor] = {}
    norms = {name: norm for name, norm, _ in LAYERS}
    for ours, kinds in zip((*NEURONS, "fc2"), (stems, ["con2"], ["con3"], ["lin1"], ["lin2"])):
        for k, name in enumerate(kinds):
            place, norm = f"layers.{ours}_synapses", norms[name]
            weights |= {f"{place}.weights.{k}.{part}": tensors[f"{name}.{part}"] for part in ("weight", "bias")}
            if norm is not None:
                weights |= {f"{place}.norms.{k}.{part}": tensors[f"{norm}.{part}"] for part in NORM}
    for layer, ours in enumerate(NEURONS):
        weights[f"layers.{ours}.cell.p.leak"] = tensors["leakelayers"][layer]
        weights[f"layers.{ours}.cell.p.gain"] = tensors["inputlayers"][layer]
    return weights


def _per_neuron(weights: Mapping[str, Tensor], side: int) -> dict[str, Tensor]:
    """The weights with leak, gain and a bias of 0 for each neuron: a network has them in all layers or in none."""
    changed = dict(weights)
    for i, ours in enumerate(NEURONS):
        place, size = f"layers.{ours}.cell.p", () if ours == "fc1" else (side >> i, side >> i)
        shape = (len(weights[f"layers.{ours}_synapses.weights.0.weight"]), *size)
        for key in ("leak", "gain"):
            table = weights[f"{place}.{key}"]
            changed[f"{place}.{key}"] = table.reshape(-1, *(1,) * len(shape)).expand(-1, *shape)
        changed[f"{place}.bias"] = torch.zeros_like(changed[f"{place}.gain"])
    return changed


def _normalising(weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], side: int) -> dict[str, Tensor]:
    """The weights of a network that normalises images before it pads them.

    The sum over the taps within the image of `w * (x - mean) / std` is that of `(w / std) * x`, less the sum over all
    taps of `w * mean / std`, plus that over the taps beyond the edge; the last is 0 but at the border.
    """
    synapses, neurons = "layers.conv1_synapses.weights.0", "layers.conv1.cell.p"
    std, mean = (torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1) for values in (STD, MEAN))
    weight = tensors["con1.weight"].double() / std
    within = functional.conv2d(mean.expand(-1, side, side)[None], weight, padding=1)[0]
    everywhere = (weight * mean).sum((1, 2, 3))
    beyond = everywhere.reshape(-1, 1, 1) - within
    beyond[:, 1:-1, 1:-1] = 0  # not only up to rounding
    factor = tensors["bn1.weight"].double() / (tensors["bn1.running_var"].double() + EPSILON).sqrt()
    return {
        **weights,
        f"{synapses}.weight": weight.float(),
        f"{synapses}.bias": (tensors["con1.bias"].double() - everywhere).float(),
        f"{neurons}.bias": (weights[f"{neurons}.gain"].double() * factor.reshape(-1, 1, 1) * beyond).float(),
    }
