"""Points of a sweep: what `sweep.json` holds, how it is read back, and from what inputs a point was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, RootModel, model_validator

from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.quantization import Quantization, check_bits
from asnn_deploy.ir.serialize import fingerprint as graph_fingerprint
from asnn_deploy.reporting.compare.paired import Difference, with_interval
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.document import Amount, Count, Document, Positive, Share, read_document
from asnn_deploy.util.version import __version__

FILE = "sweep.json"
Method = Literal["ptq", "qat"]
METHODS: tuple[Method, ...] = get_args(Method)
"""Post-training quantisation, and quantisation-aware training."""


class Plan(Document):
    """A point still to be measured.

    bits: of a weight; epochs: of quantisation-aware training; None for post-training quantisation.
    inputs: digest of everything that the point is made from, see `fingerprint`.
    """

    bits: Annotated[int, Field(ge=2, le=8)]
    method: Method
    epochs: Positive | None
    inputs: str


class Point(Plan):
    """An integer network, measured: one entry of `sweep.json`.

    accuracy, accuracy_float: of the integer network, and of the float network on the same samples.
    difference_low95, difference_high95: 95 % interval of the difference of these two, paired sample by sample (see
        `report.compare.paired`); None for a single sample, and in a file that lacks them, as older ones do.
    spike_disagreement: share of all neuron-steps (neurons x steps x samples) whose spikes differ from the float
        network's.
    synapse_bytes: all synaptic weights, bits packed; every entry of a layer's weight table counts.
    weight_scales: how many scales these weights have; they are folded into gains and are not in synapse_bytes.
    sops: synaptic operations of the integer network, mean per sample.
    samples: on how many samples all this was measured.
    """

    accuracy: Share
    accuracy_float: Share
    difference_low95: Annotated[float, Field(ge=-1, le=1)] | None = None
    difference_high95: Annotated[float, Field(ge=-1, le=1)] | None = None
    spike_disagreement: Share
    synapse_bytes: Count
    weight_scales: Count
    sops: Amount
    samples: Positive

    @model_validator(mode="after")
    def _interval(self) -> Point:
        low, high = self.difference_low95, self.difference_high95
        if (low is None) != (high is None) or (low is not None and high is not None and low > high):
            raise ValueError(f"difference_low95 = {low} and difference_high95 = {high} are not an interval")
        return self

    @property
    def difference(self) -> Difference:
        """Of the accuracies, integer network minus float network; its standard error is not kept."""
        return with_interval(self.accuracy - self.accuracy_float, None, self.difference_low95, self.difference_high95)

    def is_of(self, plan: Plan) -> bool:
        """Whether this is the point that was planned."""
        return all(getattr(self, key) == value for key, value in plan)


class Points(RootModel[tuple[Point, ...]]):
    """What `sweep.json` holds: at most one point for each method and width."""

    @model_validator(mode="after")
    def _once(self) -> Points:
        known = {(point.method, point.bits) for point in self.root}
        if len(known) < len(self.root):
            raise ValueError("holds a point twice")
        return self


def parse_bits(text: str) -> list[int]:
    """The widths in `2,3,4`, in rising order. Raises InputError."""
    bits = []
    for part in text.split(","):
        if not (part.strip().isascii() and part.strip().isdecimal()):
            raise InputError(f"weight bits {text!r}: expected whole numbers from 2 to 8, as in 2,4,8")
        bits.append(check_bits(int(part)))
    for width in bits:
        if bits.count(width) > 1:
            raise InputError(f"weight bits {text!r}: {width} stands there twice; give each width once")
    return sorted(bits)


def fingerprint(graph: DeployGraph, arrays: Iterable[Array], **settings: Any) -> str:
    """SHA-256 of the network, the data and the settings that a point rests on, and of this package's version.

    Of the integer version's choices only the kind of scales counts: a sweep makes the others.
    """
    value = hashlib.sha256(json.dumps([__version__, settings], sort_keys=True).encode())
    network = replace(graph, quantization=Quantization(scales=graph.quantization.scales))
    value.update(graph_fingerprint(network).encode())
    for array in arrays:
        value.update(f"{array.dtype}{array.shape}".encode())
        value.update(array.tobytes())
    return value.hexdigest()


def read_points(path: Path) -> list[Point]:
    """Return the points in a `sweep.json`; none if there is no such file. Raises BundleError if it is damaged."""
    if not path.exists():
        return []
    return list(read_document(path, Points, "the results of a sweep", "remove it or choose another folder").root)


def ordered(points: Iterable[Point]) -> list[Point]:
    """Post-training points first, then by bits."""
    return sorted(points, key=lambda p: (METHODS.index(p.method), p.bits))


def to_json(points: Iterable[Point]) -> str:
    """What `sweep.json` holds."""
    return json.dumps([point.model_dump(mode="json") for point in ordered(points)], indent=2, allow_nan=False) + "\n"
