"""Two reports side by side, as a model: what `compare.json` holds and the pages are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Generic, TypeVar

import numpy as np

from asnn_deploy.energy.estimate import JouleRange
from asnn_deploy.reporting.compare.paired import METHOD, Difference, difference_of_means, difference_of_shares
from asnn_deploy.reporting.compare.read import COUNTS, Recorded, check_same_samples
from asnn_deploy.reporting.energies import ProfileRow
from asnn_deploy.reporting.figures import ExitPoint, Report
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.document import CREATOR, Document
from asnn_deploy.util.version import __version__

SAME = ("constants", "kind", "process", "spike_counts", "source", "leaves_out")
"""What of a profile must be the same in both reports, for its energies to be comparable."""
TITLES = {
    "accuracy": "accuracy",
    "sops": "synaptic operations",
    "acs": "accumulates",
    "macs": "multiply-accumulates",
    "spikes": "spikes",
}
T = TypeVar("T")


class Pair(Document, Generic[T]):
    """The same of both networks."""

    a: T
    b: T

    @property
    def sides(self) -> tuple[tuple[str, T], tuple[str, T]]:
        """Both with their letters in small."""
        return ("a", self.a), ("b", self.b)


class Row(Pair[float]):
    """A mean of both networks. ratio: B over A; None if A is 0, or so small that there is none. difference: B - A."""

    ratio: float | None
    difference: Difference


class _Named(Document):
    kind: str
    source: str
    energy_joules: Pair[JouleRange]


class ProfilePair(Row, _Named):
    """The energies under one profile."""


class Network(Document):
    """What a network is called, by letter and name, and what it is."""

    letter: str
    name: str
    network: str | None
    coding: str
    arithmetic: str
    time_steps: int


class Answers(Document):
    """How many samples both, one or none of the two answer right."""

    both: int
    only_a: int
    only_b: int
    neither: int


class Measures(Document):
    """Means per sample; the fields are the keys of TITLES."""

    accuracy: Row
    sops: Row
    acs: Row
    macs: Row
    spikes: Row

    @property
    def titled(self) -> list[tuple[str, Row]]:
        """Every measure with its title."""
        return [(title, getattr(self, name)) for name, title in TITLES.items()]


class LeftOut(Document):
    """A profile that cannot be compared, and why."""

    profile: str
    reason: str


class Point(Document):
    """A point of an early-exit curve, with the energies of the profiles that are compared."""

    margin: float
    accuracy: float
    mean_steps: float
    sops: float
    energy_joules: dict[str, float]


class _Target(Document):
    target: float


class EqualAccuracy(Pair[Point], _Target):
    """The cheapest points that reach an accuracy which both networks reach."""


class EarlyExits(Document):
    """Both curves, the margins chosen on the calibration splits, and the cheapest points of equal accuracy."""

    meaning: str
    curves: Pair[tuple[Point, ...]]
    chosen: Pair[Point | None]
    equal_accuracy: EqualAccuracy


class Comparison(Document):
    """Two reports side by side: every count and energy is a mean per sample, every difference is B minus A."""

    created_by: str
    data: str | None
    samples: int
    samples_sha256: str
    a: Network
    b: Network
    answers: Answers
    measures: Measures
    profiles: dict[str, ProfilePair]
    left_out: tuple[LeftOut, ...]
    early_exit: EarlyExits | None
    method: dict[str, str]


def compare(a: Recorded, b: Recorded) -> Comparison:
    """Return two reports side by side. Raises InputError if they are not on the same samples."""
    check_same_samples(a, b)
    shared, left_out = _profiles(a, b)
    return Comparison(
        created_by=f"{CREATOR}{__version__}",
        data=a.report.data,
        samples=len(a.labels),
        samples_sha256=a.fingerprint,
        a=_network(a, "A", b),
        b=_network(b, "B", a),
        answers=_answers(a, b),
        measures=Measures(
            accuracy=_row(float(a.right.mean()), float(b.right.mean()), difference_of_shares(a.right, b.right)),
            **{name: _measure(a.counts[name], b.counts[name]) for name in COUNTS},
        ),
        profiles=shared,
        left_out=tuple(left_out),
        early_exit=_early_exit(a.report, b.report, shared),
        method=METHOD,
    )


def _network(recorded: Recorded, letter: str, other: Recorded) -> Network:
    """What a network is called: by its report, or by the report's folder if both are called the same."""
    report, folder = recorded.report, recorded.folder.resolve().name
    return Network(
        letter=letter,
        name=folder if report.network == other.report.network else report.network or folder,
        network=report.network,
        coding=report.coding,
        arithmetic=report.arithmetic,
        time_steps=report.time_steps,
    )


def _answers(a: Recorded, b: Recorded) -> Answers:
    right, other = a.right, b.right
    groups = {"both": right & other, "only_a": right & ~other, "only_b": other & ~right, "neither": ~(right | other)}
    return Answers(**{name: int(np.count_nonzero(group)) for name, group in groups.items()})


def _measure(a: Array, b: Array) -> Row:
    return _row(float(a.mean()), float(b.mean()), difference_of_means(a, b))


def _row(a: float, b: float, difference: Difference) -> Row:
    ratio = b / a if a else math.inf
    return Row(a=a, b=b, ratio=ratio if math.isfinite(ratio) else None, difference=difference)


def _profiles(a: Recorded, b: Recorded) -> tuple[dict[str, ProfilePair], list[LeftOut]]:
    """The profiles of both reports, and those that cannot be compared with the reason why."""
    one, other = a.report.profiles, b.report.profiles
    shared: dict[str, ProfilePair] = {}
    left_out = []
    for name in dict.fromkeys([*one, *other]):
        reason = _incomparable(name, one, other)
        if reason is None and not (name in a.energies and name in b.energies):
            reason = "its energies of single samples are not recorded"
        if reason is not None:
            left_out.append(LeftOut(profile=name, reason=reason))
            continue
        shared[name] = ProfilePair(
            kind=one[name].kind,
            source=one[name].source,
            energy_joules=Pair[JouleRange](a=one[name].energy_joules, b=other[name].energy_joules),
            **dict(_measure(a.energies[name], b.energies[name])),
        )
    return shared, left_out


def _incomparable(name: str, one: Mapping[str, ProfileRow], other: Mapping[str, ProfileRow]) -> str | None:
    for letter, profiles in (("A", one), ("B", other)):
        if name not in profiles:
            return f"it is not in report {letter}"
    differing = [key for key in SAME if getattr(one[name], key) != getattr(other[name], key)]
    if differing:
        return f"not the same in both reports: its {', '.join(differing).replace('_', ' ')}"
    return None


def _early_exit(a: Report, b: Report, profiles: Mapping[str, ProfilePair]) -> EarlyExits | None:
    """None if one of the reports has no curve."""
    if a.early_exit is None or b.early_exit is None:
        return None
    one, other = (tuple(_point(p, profiles) for p in exits.curve) for exits in (a.early_exit, b.early_exit))
    target = min(max(point.accuracy for point in points) for points in (one, other))
    cheapest = [
        min((p for p in points if p.accuracy >= target), key=lambda point: point.mean_steps) for points in (one, other)
    ]
    chosen = [
        None if p is None else _point(p, profiles) for p in (a.early_exit.chosen_point, b.early_exit.chosen_point)
    ]
    return EarlyExits(
        meaning="Equal accuracy: for each network the point of its curve with the fewest steps whose accuracy "
        "reaches the target, the lower of the two curves' highest accuracies. These points are picked on the samples "
        "that they are reported on, so they flatter both networks; the chosen ones are not.",
        curves=Pair[tuple[Point, ...]](a=one, b=other),
        chosen=Pair[Point | None](a=chosen[0], b=chosen[1]),
        equal_accuracy=EqualAccuracy(target=target, a=cheapest[0], b=cheapest[1]),
    )


def _point(point: ExitPoint, profiles: Mapping[str, ProfilePair]) -> Point:
    return Point(
        margin=point.margin,
        accuracy=point.accuracy,
        mean_steps=point.mean_steps,
        sops=point.sops,
        energy_joules={name: joules for name, joules in point.energy_joules.items() if name in profiles},
    )
