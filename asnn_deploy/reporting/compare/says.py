"""A comparison's conclusions as sentences: each says what the interval allows to say, and no more."""

from __future__ import annotations

from collections.abc import Callable

from asnn_deploy.reporting import numbers
from asnn_deploy.reporting.compare.document import TITLES, Comparison, Row
from asnn_deploy.reporting.compare.paired import Difference


def points(value: float) -> str:
    """A difference of shares in percentage points, without its sign."""
    return f"{100 * abs(value):.2f} points"


def amount(value: float) -> str:
    """A count without its sign."""
    return numbers.count(abs(value))


def joules(value: float) -> str:
    """An energy without its sign."""
    return numbers.joules(abs(value)) if value else "0 J"


def signed(value: float, spoken: Callable[[float], str]) -> str:
    """With a sign in front; 0 has none."""
    return ("+" if value > 0 else "−" if value < 0 else "") + spoken(value)


def interval(difference: Difference, spoken: Callable[[float], str]) -> str:
    """`−1.2 to +3.4 points`; a dash where there is none."""
    if difference.low95 is None or difference.high95 is None:
        return "–"
    low, high = (signed(end, spoken) for end in (difference.low95, difference.high95))
    number, space, unit = low.rpartition(" ")
    return f"{number if space and high.endswith(' ' + unit) else low} to {high}"


def conclusions(compared: Comparison) -> list[str]:
    """One sentence for the accuracy, one for the operations, one for the spikes, one for each profile."""
    measures = compared.measures
    return [
        _accuracy(measures.accuracy.difference),
        _count(TITLES["sops"], measures.sops),
        _count(TITLES["spikes"], measures.spikes),
        *(_energy(name, row) for name, row in compared.profiles.items()),
    ]


def _accuracy(difference: Difference) -> str:
    mean = difference.mean
    apart = f"B’s accuracy is {points(mean)} {'higher' if mean > 0 else 'lower'} than A’s"
    return _sentence(difference, apart, "A and B answer equally many samples right", points)


def _count(title: str, row: Row) -> str:
    mean = row.difference.mean
    apart = f"B makes {amount(mean)} {'more' if mean > 0 else 'fewer'} {title} per sample than A{_times(row)}"
    return _sentence(row.difference, apart, f"A and B make equally many {title} per sample", amount)


def _energy(name: str, row: Row) -> str:
    mean = row.difference.mean
    more = f"{joules(mean)} {'more' if mean > 0 else 'less'}"
    apart = f"Under {name} (mid), B takes {more} per sample than A{_times(row)}"
    return _sentence(row.difference, apart, f"Under {name} (mid), A and B take the same energy", joules)


def _sentence(difference: Difference, apart: str, alike: str, text: Callable[[float], str]) -> str:
    """What is said where the means differ, or where they do not, with the verdict of the interval."""
    return (apart if difference.mean else alike) + _verdict(difference, interval(difference, text))


def _times(row: Row) -> str:
    return "" if row.ratio is None else f", {numbers.significant(row.ratio, 3)} times A’s"


def _verdict(difference: Difference, said: str) -> str:
    if difference.excludes_zero is None:
        return "; one sample has no interval."
    if difference.excludes_zero:
        return f"; the 95 % interval, {said}, excludes 0."
    return f"; the 95 % interval, {said}, includes 0, so these samples do not tell the two apart."
