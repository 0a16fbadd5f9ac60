"""Weights that training sees as the integers they will become: quantisation-aware training.

Forward, a weight is `round(w / u) u`, by the rule of `asnn_deploy.ir.quantization` with one unit a channel; backward,
the rounding is left out (straight-through estimator; source: Bengio, Leonard, Courville, arXiv 1308.3432). Such a
weight stays on its channel's integers when batch norm is folded in, so the network that was trained is the one that is
quantised.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from asnn_deploy.ir.fixed_point import largest
from asnn_deploy.ir.quantization import integer_weight, weight_units
from asnn_deploy.quantizing.least_error import least_error_clips
from asnn_deploy.util.arrays import Array


def fake_quantized(weight: Tensor, bits: int, clips: Tensor) -> Tensor:
    """What the weight `[out, ...]` will be worth in integers; gradients pass as if it were the weight itself."""
    with torch.no_grad():
        units = clips * weight.abs().flatten(1).amax(1) / largest(bits)
        units = torch.where(units > 0, units, 1.0).reshape(-1, *(1,) * (weight.dim() - 1))
        rounded = (weight / units).round().clamp(-largest(bits), largest(bits)) * units
    return weight + (rounded - weight).detach()


def rounded_weight(weight: Array, bits: int, clips: Array) -> Array:
    """The same for lowering, in float64."""
    units = weight_units(weight, bits, clips, per_channel=True)
    return integer_weight(weight, units, bits) * units.reshape(-1, *(1,) * (weight.ndim - 1))


def settled_clips(weight: Array, bits: int) -> Array:
    """The clips, `[out]`, of least weight error. At most 1: each channel then uses the largest integer, from which
    quantisation finds its unit again."""
    return np.minimum(least_error_clips(weight, bits, True, None, [1.0])[0], 1.0)  # type: ignore[no-any-return]
