"""Points of a sweep: what `sweep.json` holds, how it is read back, and from what inputs a point was made."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.quantization import Quantization, check_bits
from asnn_deploy.ir.serialize import save_graph
from asnn_deploy.report.compare.paired import Difference
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.files import describe, digest
from asnn_deploy.util.version import __version__

FILE = "sweep.json"
METHODS = ("ptq", "qat")
"""Post-training quantisation, and quantisation-aware training."""


@dataclass(frozen=True)
class Plan:
    """A point still to be measured.

    bits: of a weight, 2 to 8; method: "ptq" or "qat".
    epochs: of quantisation-aware training; None for post-training quantisation.
    inputs: digest of everything that the point is made from, see `fingerprint`.
    """

    bits: int
    method: str
    epochs: int | None
    inputs: str


@dataclass(frozen=True)
class Point(Plan):
    """An integer network, measured: one entry of `sweep.json`.

    accuracy, accuracy_float: of the integer network, and of the float network on the same samples.
    difference_low95, difference_high95: 95 % interval of the difference of these two, paired sample by sample (see
        `report.compare.paired`); None for a single sample.
    spike_disagreement: share of all neuron-steps (neurons x steps x samples) whose spikes differ from the float
        network's.
    synapse_bytes: all synaptic weights, bits packed; every entry of a layer's weight table counts.
    weight_scales: how many scales these weights have; they are folded into gains and are not in synapse_bytes.
    sops: synaptic operations of the integer network, mean per sample.
    samples: on how many samples all this was measured.
    """

    accuracy: float
    accuracy_float: float
    difference_low95: float | None
    difference_high95: float | None
    spike_disagreement: float
    synapse_bytes: int
    weight_scales: int
    sops: float
    samples: int

    @property
    def difference(self) -> Difference:
        """Of the accuracies, integer network minus float network; its standard error is not kept."""
        return Difference(self.accuracy - self.accuracy_float, None, self.difference_low95, self.difference_high95)

    def is_of(self, plan: Plan) -> bool:
        """Whether this is the point that was planned."""
        return all(getattr(self, field.name) == getattr(plan, field.name) for field in fields(Plan))


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
    with tempfile.TemporaryDirectory(prefix="asnn-deploy-") as folder:
        path = Path(folder) / "graph.npz"
        save_graph(path, replace(graph, quantization=Quantization(scales=graph.quantization.scales)))
        value.update(digest(path).encode())
    for array in arrays:
        value.update(f"{array.dtype}{array.shape}".encode())
        value.update(array.tobytes())
    return value.hexdigest()


def read_points(path: Path) -> list[Point]:
    """The points in a `sweep.json`; none where there is no such file. Raises InputError where it is damaged."""
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ValueError(f"holds {type(entries).__name__}, expected a list")
        points = [_point(entry) for entry in entries]
        if len({(p.method, p.bits) for p in points}) < len(points):
            raise ValueError("holds a point twice")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not the results of a sweep ({describe(error)}); remove it or choose another folder"
        ) from None
    return points


def _point(entry: Any) -> Point:
    """A point from its JSON. Raises ValueError naming the key."""
    if not isinstance(entry, dict):
        raise ValueError(f"holds {type(entry).__name__}, expected a point")
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    kinds |= {f"{name} | None": (*types, type(None)) for name, types in kinds.items()}
    for field in fields(Point):
        if field.name not in entry:
            raise ValueError(f"a point lacks {field.name!r}")
        value = entry[field.name]
        if isinstance(value, bool) or not isinstance(value, kinds[str(field.type)]):
            raise ValueError(f"{field.name} = {value!r}")
    point = Point(**{field.name: entry[field.name] for field in fields(Point)})
    _check(point)
    return point


def _check(point: Point) -> None:
    shares = {key: getattr(point, key) for key in ("accuracy", "accuracy_float", "spike_disagreement")}
    allowed = {
        "method": point.method in METHODS,
        "bits": 2 <= point.bits <= 8,
        "sops": 0 <= point.sops < math.inf,
        "samples": point.samples >= 1,
        "difference_low95": _is_interval(point.difference_low95, point.difference_high95),
        **{key: 0 <= share <= 1 for key, share in shares.items()},
    }
    for key, fits in allowed.items():
        if not fits:
            raise ValueError(f"{key} = {getattr(point, key)!r}")


def _is_interval(low: float | None, high: float | None) -> bool:
    return low is high is None or (low is not None and high is not None and -1 <= low <= high <= 1)


def ordered(points: Iterable[Point]) -> list[Point]:
    """Post-training points first, then by bits."""
    return sorted(points, key=lambda p: (METHODS.index(p.method), p.bits))


def to_json(points: Iterable[Point]) -> str:
    """What `sweep.json` holds."""
    return json.dumps([asdict(point) for point in ordered(points)], indent=2, allow_nan=False) + "\n"
