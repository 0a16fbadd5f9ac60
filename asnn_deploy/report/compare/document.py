"""The comparison as one dictionary of plain numbers: what `compare.json` holds and the pages are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from asnn_deploy.report.compare.paired import METHOD, Difference, difference_of_means, difference_of_shares
from asnn_deploy.report.compare.read import COUNTS, Recorded, check_same_samples
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


def compare(a: Recorded, b: Recorded) -> dict[str, Any]:
    """Two reports side by side. Raises InputError where they are not on the same samples.

    Every count and energy is a mean per sample; every difference is B minus A.
    """
    check_same_samples(a, b)
    shared, left_out = _profiles(a, b)
    return {
        "created_by": f"asnn-deploy {__version__}",
        "data": a.report["data"],
        "samples": len(a.labels),
        "samples_sha256": a.report["samples_sha256"],
        "a": _network(a, "A", b),
        "b": _network(b, "B", a),
        "answers": _answers(a, b),
        "measures": {
            "accuracy": _accuracy(a, b),
            **{name: _measure(a.counts[name], b.counts[name]) for name in COUNTS},
        },
        "profiles": shared,
        "left_out": left_out,
        "early_exit": _early_exit(a.report, b.report, shared),
        "method": METHOD,
    }


def _network(recorded: Recorded, letter: str, other: Recorded) -> dict[str, Any]:
    """What a network is called: by its report, or by the report's folder where both are called the same."""
    report, folder = recorded.report, recorded.folder.resolve().name
    about = {key: report[key] for key in ("network", "coding", "arithmetic", "time_steps")}
    alike = report["network"] == other.report["network"]
    return {"letter": letter, "name": folder if alike else report["network"] or folder, **about}


def _answers(a: Recorded, b: Recorded) -> dict[str, int]:
    """How many samples both, one or none of the two answer right."""
    right, other = a.right, b.right
    groups = {"both": right & other, "only_a": right & ~other, "only_b": other & ~right, "neither": ~(right | other)}
    return {name: int(np.count_nonzero(group)) for name, group in groups.items()}


def _accuracy(a: Recorded, b: Recorded) -> dict[str, Any]:
    one, other = float(a.right.mean()), float(b.right.mean())
    return _row(one, other, difference_of_shares(a.right, b.right))


def _measure(a: Any, b: Any) -> dict[str, Any]:
    return _row(float(a.mean()), float(b.mean()), difference_of_means(a, b))


def _row(a: float, b: float, difference: Difference) -> dict[str, Any]:
    """ratio: B over A; null where A is 0."""
    told = asdict(difference) | {"excludes_zero": difference.excludes_zero}
    return {"a": a, "b": b, "ratio": b / a if a else None, "difference": told}


def _profiles(a: Recorded, b: Recorded) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The profiles of both reports, and those that cannot be compared with the reason why."""
    one, other = a.report["profiles"], b.report["profiles"]
    shared: dict[str, Any] = {}
    left_out = []
    for name in dict.fromkeys([*one, *other]):
        reason = _incomparable(name, one, other)
        if reason is None and not (name in a.energies and name in b.energies):
            reason = "its energies of single samples are not recorded"
        if reason is not None:
            left_out.append({"profile": name, "reason": reason})
            continue
        shared[name] = {
            "kind": one[name].get("kind"),
            "source": one[name].get("source"),
            "energy_joules": {"a": _levels(one[name]), "b": _levels(other[name])},
            **_measure(a.energies[name], b.energies[name]),
        }
    return shared, left_out


def _incomparable(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    for letter, profiles in (("A", one), ("B", other)):
        if name not in profiles:
            return f"it is not in report {letter}"
    differing = [key for key in SAME if one[name].get(key) != other[name].get(key)]
    if differing:
        return f"not the same in both reports: its {', '.join(differing).replace('_', ' ')}"
    return None


def _levels(profile: Mapping[str, Any]) -> dict[str, float]:
    return {level: float(profile["energy_joules"][level]) for level in ("low", "mid", "high")}


def _early_exit(a: Mapping[str, Any], b: Mapping[str, Any], profiles: Mapping[str, Any]) -> dict[str, Any] | None:
    """Both curves, the margins chosen on the calibration splits, and the cheapest points of equal accuracy.

    Null where one of the reports has no curve.
    """
    curves = [(report.get("early_exit") or {}).get("curve") or [] for report in (a, b)]
    if not all(curves):
        return None
    shown = [[_point(point, profiles) for point in curve] for curve in curves]
    chosen = [_chosen(report, points) for report, points in zip((a, b), shown)]
    target = min(max(point["accuracy"] for point in points) for points in shown)
    cheapest = [
        min((p for p in points if p["accuracy"] >= target), key=lambda point: point["mean_steps"]) for points in shown
    ]
    return {
        "meaning": "Equal accuracy: for each network the point of its curve with the fewest steps whose accuracy "
        "reaches the target, the lower of the two curves' highest accuracies. These points are picked on the samples "
        "that they are reported on, so they flatter both networks; the chosen ones are not.",
        "curves": dict(zip("ab", shown)),
        "chosen": dict(zip("ab", chosen)),
        "equal_accuracy": {"target": target, **dict(zip("ab", cheapest))},
    }


def _point(point: Mapping[str, Any], profiles: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: point[key] for key in ("margin", "accuracy", "mean_steps", "sops")}
    return told | {"energy_joules": {n: e for n, e in point["energy_joules"].items() if n in profiles}}


def _chosen(report: Mapping[str, Any], points: list[dict[str, Any]]) -> dict[str, Any] | None:
    chosen = report["early_exit"].get("chosen")
    return next((p for p in points if chosen is not None and p["margin"] == chosen["margin"]), None)
