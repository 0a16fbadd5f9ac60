"""The reference LeNet of ASNN (arXiv 2408.12407) as a naive loop, and state dicts of it with small random weights.

Written from the recursion: step by step, layer by layer, batch norm not folded, in float64. Weights are dyadic where they
meet an image in 0..1, normalised or not, times 255, so that folding and snapping move next to nothing.
"""

import numpy as np
import torch
from torch.nn import functional

CODINGS = ("time", "mix time", "embedding", "mix embedding", "direct")
THRESHOLD = 1
MEAN, STD = torch.tensor([[0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]], dtype=torch.float64)[..., None, None]


def state_dict(seed, coding="mix time", steps=5, widths=(4, 6, 8), hidden=12, classes=5, channels=3, side=16):
    """A state dict as the reference code saves it, with what its network does not compute with."""
    rng = np.random.default_rng(seed)
    a, b, c = widths

    def dyadic(low, high, bits, *shape):
        return torch.from_numpy(rng.integers(low << bits, (high << bits) + 1, shape) / 2**bits).float()

    tensors = {
        "scale": dyadic(0, 2, 4, steps),
        "leakelayers": dyadic(0, 1, 4, 4, steps),
        "inputlayers": dyadic(0, 2, 3, 4, steps),
        "re": torch.ones(4, steps),
        "th": torch.ones(4),
        "lano.weight": torch.ones(channels, side, side),
        "lano.bias": torch.zeros(channels, side, side),
    }
    synapses = {
        "con1": (a, channels, 3, 3),
        "con11": (a, channels, 3, 3),
        "con2": (b, a, 3, 3),
        "con3": (c, b, 3, 3),
        "lin1": (hidden, c * (side // 8) ** 2),
        "lin2": (classes, hidden),
    }
    for name, shape in synapses.items():
        stem = name in ("con1", "con11")
        tensors[f"{name}.weight"] = 255 * dyadic(-4, 4, 1, *shape) / 2**11 if stem else dyadic(-1, 1, 4, *shape)
        tensors[f"{name}.bias"] = dyadic(0, 1, 4, shape[0])
    for norm, width in (("bn1", a), ("bn11", a), ("bn2", b), ("bn3", c), ("bn4", hidden)):
        tensors[f"{norm}.weight"] = dyadic(1, 2, 2, width)
        tensors[f"{norm}.bias"] = dyadic(0, 1, 3, width) + 2**-10  # off the grid of all else: no potential is at 1
        tensors[f"{norm}.running_mean"] = dyadic(-1, 1, 4, width)
        tensors[f"{norm}.running_var"] = 4 ** dyadic(-1, 1, 0, width) - 1e-5  # which batch norm adds again
        tensors[f"{norm}.num_batches_tracked"] = torch.tensor(100)
    if coding == "direct":
        tensors["con1.weight"] = (tensors["con1.weight"] * STD).float()
    return tensors


def frames(images, coding, steps):
    """uint8 `[B, C, H, W]` to what the reference network reads at each step, float64 `[T, B, C, H, W]`."""
    values = images.double() / 255
    if coding == "direct":
        return ((values - MEAN) / STD).expand(steps, *values.shape)
    sent = torch.zeros(steps, *values.shape, dtype=torch.float64)
    first = 1 if coding.startswith("mix") else 0
    if first:
        sent[0] = values
    left = images.float() / 255
    for i in range(15 if "embedding" in coding else steps - first):
        fires = (left >= 1 - (i + 1) / steps).float()
        left = left - left * fires
        if "embedding" in coding:
            for bit in range(4):
                sent[first + bit] += fires * ((i + 1) >> bit & 1)
        else:
            sent[first + i] = fires
    return sent


def naive(tensors, images, coding, adaptive):
    """Spikes `[T, B, ...]` of each layer, logits, and how near any membrane potential came to the threshold."""
    p = {key: value.double() for key, value in tensors.items()}
    steps = p["leakelayers"].shape[1]
    names = ("conv1", "conv2", "conv3", "fc1")
    potentials, trains, nearest = [0.0] * 4, {name: [] for name in names}, np.inf
    logits = torch.zeros(len(images), len(p["lin2.weight"]), dtype=torch.float64)
    for t, x in enumerate(frames(images, coding, steps)):
        stem = ("con11", "bn11") if coding.startswith("mix") and t == 0 else ("con1", "bn1")
        for layer, (weights, norm) in enumerate((stem, ("con2", "bn2"), ("con3", "bn3"), ("lin1", "bn4"))):
            weight, bias = p[f"{weights}.weight"], p[f"{weights}.bias"]
            x = functional.conv2d(x, weight, bias, padding=1) if layer < 3 else functional.linear(x, weight, bias)
            mean, variance = p[f"{norm}.running_mean"], p[f"{norm}.running_var"]
            x = functional.batch_norm(x, mean, variance, p[f"{norm}.weight"], p[f"{norm}.bias"])
            v = p["leakelayers"][layer, t] * potentials[layer] + p["inputlayers"][layer, t] * x
            nearest = min(nearest, float((v - THRESHOLD).abs().min()))
            x = (v - THRESHOLD > 0).double()
            potentials[layer] = v - x
            trains[names[layer]].append(x.numpy().astype(np.uint8))
            if layer < 3:
                x = functional.max_pool2d(x, 2)
            if layer == 2:
                x = x.flatten(1)
        answer = functional.linear(x, p["lin2.weight"], p["lin2.bias"])
        logits += answer * (p["scale"][t] if adaptive else 1) / steps
    return {name: np.stack(train) for name, train in trains.items()}, logits.numpy(), nearest
