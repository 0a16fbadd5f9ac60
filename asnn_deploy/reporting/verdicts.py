"""The one rule by which a report says that one network costs less than another.

Both are priced by the same profile. Profiles give low, middle and high constants; if the spiking network costs less at
all three, it costs less, if it costs more at all three, it costs more, and otherwise it depends on the constants. A
break-even rate belongs to one of the three, so no rate of firing can contradict the verdict.
"""

from __future__ import annotations

from asnn_deploy.energy.estimate import JouleRange

LEVELS = ("low", "mid", "high")


def cheaper(ours: JouleRange, theirs: JouleRange) -> bool | None:
    """Return whether a network costs less than another under the same profile; None if that depends on the constants
    or both cost the same."""
    pairs = [(getattr(ours, level), getattr(theirs, level)) for level in LEVELS]
    if all(a < b for a, b in pairs):
        return True
    return False if all(a > b for a, b in pairs) else None


def against(ours: JouleRange, others: dict[str, JouleRange | None]) -> str:
    """Return what a network costs against others, by their names: "less than the ANN, more than the QNN"."""
    said = {name: cheaper(ours, theirs) for name, theirs in others.items() if theirs is not None}
    words = {True: "less than", False: "more than"}
    told = [
        f"{words[verdict]} the {name}" if verdict is not None else f"more or less than the {name}, by the constants"
        for name, verdict in said.items()
    ]
    return "; ".join(told)
