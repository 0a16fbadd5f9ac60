"""Numbers as text: thousands, shares, SI prefixes."""

from __future__ import annotations

import math
from collections.abc import Sequence

PREFIXES = {3: "k", 0: "", -3: "m", -6: "µ", -9: "n", -12: "p", -15: "f"}


def count(value: float) -> str:
    """`1,234,567`, `1,234`, `12.3`, `0.45`: exact enough to compare, no more."""
    if value == 0:
        return "0"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else significant(value, 3)


def short(value: float) -> str:
    """At most four characters or so, for a chart's cell: `1.2M`, `34k`, `1.2k`, `123`, `4.5`, `0`."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * limit:
            scaled = value / limit
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    if value >= 9.95 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.05 else "<0.1"


def share(fraction: float | None) -> str:
    """A fraction in percent: `12.3 %`; an en dash where there is none."""
    if fraction is None:
        return "–"
    percent = 100 * fraction
    if percent == 0 or percent >= 99.95:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 1 else f"{significant(percent, 2)} %"


def significant(value: float, digits: int) -> str:
    """So many significant digits, never in scientific notation: `0.0123`."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def prefix(value: float) -> tuple[float, str]:
    """The power of 1000 that suits a value, and its SI prefix."""
    if value <= 0:
        return 1.0, ""
    exponent = min(max(3 * math.floor(math.log10(value) / 3), min(PREFIXES)), max(PREFIXES))
    return 10.0**exponent, PREFIXES[exponent]


def joules(value: float | None) -> str:
    """`1.23 µJ`; an en dash where there is none."""
    if value is None:
        return "–"
    scale, letter = prefix(value)
    return f"{significant(value / scale, 3)} {letter}J"


def seconds(value: float | None) -> str:
    """`1.23 µs`; an en dash where there is none."""
    return joules(value).replace("J", "s")


def joule_range(values: Sequence[float]) -> str:
    """`1.23 – 4.56 µJ` for the extremes of some energies; with two units where they differ by a prefix."""
    low, high = min(values), max(values)
    if low == high:
        return joules(low)
    (scale, letter), (_, low_letter) = prefix(high), prefix(low)
    if low_letter != letter and low / scale < 0.1:
        return f"{joules(low)} – {joules(high)}"
    return f"{significant(low / scale, 3)} – {significant(high / scale, 3)} {letter}J"


def seconds_range(values: Sequence[float]) -> str:
    """`1.23 – 4.56 µs` for the extremes of some times."""
    return joule_range(values).replace("J", "s")


def many(count: int, what: str) -> str:
    """`1 chip`, `1,234 chips`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def interval(accuracy: float, samples: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy seen on so many samples (Wilson 1927)."""
    centre = accuracy + z * z / (2 * samples)
    reach = z * math.sqrt(accuracy * (1 - accuracy) / samples + z * z / (4 * samples * samples))
    total = 1 + z * z / samples
    return max(0.0, (centre - reach) / total), min(1.0, (centre + reach) / total)


def interval_text(accuracy: float, samples: int) -> str:
    """The same interval as text: `88.6 – 99.7 %`."""
    low, high = interval(accuracy, samples)
    return f"{100 * low:.1f} – {100 * high:.1f} %"
