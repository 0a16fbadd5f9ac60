"""How weights become integers: bits, scales and clips, and the one rule that turns a weight into its integer.

    u   = clip * max |w| / (2**(bits-1) - 1)     one for each output channel, or one for the layer
    w_q = round(w / u), saturated to +-(2**(bits-1) - 1)

Post-training quantisation and quantisation-aware training both follow it. With scales per channel it commutes with
whatever multiplies a channel's weights by a factor of either sign, so with batch-norm folding and the pixels' 1/255.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from asnn_deploy.errors import InputError
from asnn_deploy.ir.fixed_point import largest
from asnn_deploy.util.arrays import Array

DEFAULT_BITS = 8
SCALES = ("channel", "layer")
LARGEST_CLIP = 2.0
Clip = float | tuple[tuple[float, ...], ...]


def check_bits(bits: int) -> int:
    """The weight bits, if they are 2 to 8. Raises InputError."""
    if not 2 <= bits <= 8 or bits != int(bits):
        raise InputError(f"weights have 2 to 8 bits, found {bits}")
    return int(bits)


@dataclass(frozen=True)
class Quantization:
    """The choices of a network's integer version.

    bits: of the weights, 2 to 8.
    scales: "channel" for one weight unit an output channel wherever what reads the layer allows it, or "layer".
    clips: layer name to the share of the largest weight that the largest integer stands for, in (0, 2]: one number,
        or one for each of the layer's K weights and output channels, `[K][C]`; 1 by default.

    Raises InputError from a choice outside these.
    """

    bits: int = DEFAULT_BITS
    scales: str = "channel"
    clips: Mapping[str, Clip] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", check_bits(self.bits))
        if self.scales not in SCALES:
            raise InputError(f"quantization scales {self.scales!r}, allowed: {', '.join(SCALES)}")
        clips = {name: _plain(name, clip) for name, clip in self.clips.items()}
        object.__setattr__(self, "clips", MappingProxyType(clips))

    def __reduce__(self) -> tuple[type[Quantization], tuple[Any, ...]]:
        return type(self), (self.bits, self.scales, dict(self.clips))

    def __hash__(self) -> int:
        return hash((self.bits, self.scales, tuple(sorted(self.clips))))

    def clip_table(self, name: str, kinds: int) -> Array:
        """The clips of a layer with K weights, `[K, C]` or `[K, 1]`."""
        clips = np.atleast_2d(self.clips.get(name, 1.0))
        if len(clips) not in (1, kinds):
            raise InputError(f"quantization clips of layer {name!r}: {len(clips)} rows for {kinds} weights")
        return np.broadcast_to(clips, (kinds, clips.shape[1]))

    def to_json(self) -> dict[str, Any]:
        """The choices as JSON values."""
        return {"bits": self.bits, "scales": self.scales, "clips": dict(self.clips)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Quantization:
        """The inverse of `to_json`; no values are the defaults. Raises ValueError or TypeError for anything else."""
        given = dict(values)
        if given and "clips" not in given:  # runs older than scales per channel: bits and clips side by side
            given = {"bits": given.pop("bits", None), "scales": "layer", "clips": given}
        if given and set(given) != {"bits", "scales", "clips"}:
            raise ValueError(f"quantization holds {', '.join(map(repr, given))}; expected bits, scales and clips")
        try:
            return cls(**given)
        except InputError as error:
            raise ValueError(str(error)) from None


def _plain(name: str, clip: Any) -> Clip:
    """A clip as a number or nested tuples. Raises InputError where a number lies outside (0, 2]."""
    values = np.asarray(clip, dtype=np.float64)
    if values.ndim not in (0, 2) or not values.size or not ((values > 0) & (values <= LARGEST_CLIP)).all():
        raise InputError(f"quantization clips of layer {name!r}: one number or [K][C] of them, each in (0, 2]")
    return float(values) if values.ndim == 0 else tuple(map(tuple, values.tolist()))


def weight_units(weight: Array, bits: int, clip: Array | float, per_channel: bool) -> Array:
    """What one integer weight is worth: `[out]`, or `[1]` for the whole layer.

    weight: `[out, ...]`; clip: a number, `[out]` or `[1]`. A channel without any weight takes the largest unit of the
    others, 1 if there is none.
    """
    magnitudes = np.abs(weight.astype(np.float64)).reshape(len(weight), -1).max(axis=1, initial=0)
    if not per_channel:
        magnitudes = magnitudes.max(keepdims=True, initial=0)
    units = clip * magnitudes / largest(bits)
    return np.where(units > 0, units, units.max(initial=0) or 1.0)  # type: ignore[no-any-return]


def integer_weight(weight: Array, units: Array, bits: int) -> Array:
    """`round(w / unit)` saturated to the symmetric range, int8. weight: `[out, ...]`; units: `[out]` or `[1]`."""
    scaled = np.rint(weight.astype(np.float64) / units.reshape(-1, *(1,) * (weight.ndim - 1)))
    return np.clip(scaled, -largest(bits), largest(bits)).astype(np.int8)
