"""Energy profiles: published energies per operation, one TOML file each in `profiles/`.

How to add one: write `profiles/NAME.toml` (the file's name is the profile's), or pass a FILE.toml of your own; nothing
else knows the list. Every constant names its unit, its range and its source; see `docs/energy.md` for the keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from asnn_deploy.errors import InputError
from asnn_deploy.util.suggest import unknown_name
from asnn_deploy.util.toml_schema import Section, Text, read_toml

WHAT = "energy profile"
FOLDER = Path(__file__).parent / "profiles"
NO_PROFILE = {
    "loihi2": "no energy per operation of Loihi 2 has been published, so there is no profile; figures exist for whole "
    "workloads only, and none is invented here"
}
"""Chips without a profile, and why."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Level = Literal["low", "mid", "high"]
Kind = Literal["measured", "simulated", "estimated"]


class Levels(Section):
    """An amount with what is known of its range."""

    low: Amount
    mid: Amount
    high: Amount

    @model_validator(mode="after")
    def _ordered(self) -> Levels:
        if not self.low <= self.mid <= self.high:
            raise ValueError(f"low <= mid <= high must hold, found {self.low}, {self.mid}, {self.high}")
        return self

    def at(self, level: Level) -> float:
        """The amount at one level, in its unit."""
        return float(getattr(self, level))


class Range(Levels):
    """A published amount. kind, process: where they differ from the profile's."""

    source: Text
    note: str = ""
    kind: Kind | None = None
    process: Text | None = None


class Picojoules(Range):
    """Energy of one operation."""

    unit: Literal["pJ"]


class Milliwatts(Range):
    """Power."""

    unit: Literal["mW"]


class Nanoseconds(Range):
    """Duration."""

    unit: Literal["ns"]


class Constants(Section):
    """Energies of single operations; one that is left out costs nothing in this profile.

    multiply_accumulate, accumulate: one synaptic operation of either kind.
    multiply, add: arithmetic of neuron updates, for profiles of bare arithmetic.
    neuron_active, neuron_inactive: one neuron update with and without a spike, for profiles of chips.
    spike: carrying one spike to its destination.
    """

    multiply_accumulate: Picojoules
    accumulate: Picojoules
    multiply: Picojoules | None = None
    add: Picojoules | None = None
    neuron_active: Picojoules | None = None
    neuron_inactive: Picojoules | None = None
    spike: Picojoules | None = None


class MemoryPoint(Section):
    """One access to a memory of a size."""

    bytes: Annotated[int, Field(gt=0)]
    unit: Literal["pJ"]
    energy: Amount


class Memory(Section):
    """Energy of one access by memory size: linear between the points, constant outside them."""

    source: Text
    points: Annotated[tuple[MemoryPoint, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ascending(self) -> Memory:
        sizes = [point.bytes for point in self.points]
        if sizes != sorted(set(sizes)):
            raise ValueError(f"points must ascend in bytes, found {sizes}")
        return self

    def access(self, size: float) -> float:
        """Picojoules of one access to a memory of that many bytes."""
        smaller = [p for p in self.points if p.bytes <= size]
        larger = [p for p in self.points if p.bytes > size]
        if not smaller or not larger:
            return (smaller[-1] if smaller else larger[0]).energy
        a, b = smaller[-1], larger[0]
        return a.energy + (b.energy - a.energy) * (size - a.bytes) / (b.bytes - a.bytes)


class Static(Section):
    """Power that is drawn whatever happens, over the least time that T steps take."""

    power: Milliwatts
    step: Nanoseconds


class IntegerNetwork(Section):
    """What a quantised conventional network costs: one multiply-accumulate of up to `max_bits`."""

    max_bits: Annotated[int, Field(gt=0)]
    multiply_accumulate: Picojoules


class Profile(Section):
    """One energy profile.

    kind: how its constants were obtained: "measured", "simulated" or "estimated".
    counts: what a spike count above 1 costs: k "accumulates", or one "graded" multiply-accumulate.
    runs_ann: whether the hardware could run the conventional network, so that a baseline makes sense.
    leaves_out: what its energies do not contain, one sentence each.
    chip: the chip of `asnn_deploy.fitting` that it prices, where that one says how long operations take.
    """

    name: Text
    title: Text
    kind: Kind
    process: Text
    source: Text
    counts: Literal["accumulates", "graded"]
    runs_ann: bool
    leaves_out: Annotated[tuple[Text, ...], Field(min_length=1)]
    constants: Constants
    memory: Memory | None = None
    static: Static | None = None
    qnn: IntegerNetwork | None = None
    chip: Text | None = None


@cache
def profile_names() -> tuple[str, ...]:
    """The names of the built-in profiles: the files in `profiles/`."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_profile(name_or_path: str | Path, others: Sequence[str] = ()) -> Profile:
    """A built-in profile by name, or anyone's by the path of a .toml file.

    others: further names that the asker knows, for the error's text. Raises InputError for an unknown name (with the
    nearest ones) or an unreadable file, ConfigError for a file that breaks the schema.
    """
    text = str(name_or_path)
    if text in profile_names():
        return read_toml(FOLDER / f"{text}.toml", WHAT, Profile)
    if text.endswith(".toml"):
        return read_toml(Path(text), WHAT, Profile)
    plain = "".join(c for c in text.lower() if c.isalnum())
    if plain in NO_PROFILE:
        raise InputError(f"energy profile {text!r}: {NO_PROFILE[plain]} (allowed: {', '.join(profile_names())})")
    allowed = (*profile_names(), *others)
    raise InputError(f"{unknown_name('energy profile', text, allowed)}; a file of your own must end in .toml")


def load_profiles(names: Sequence[str | Path] | None = None, others: Sequence[str] = ()) -> list[Profile]:
    """The named profiles, or all built-in ones; see `load_profile`. Raises InputError where two have the same name."""
    profiles = [load_profile(name, others) for name in names or profile_names()]
    twice = [p.name for i, p in enumerate(profiles) if p.name in {q.name for q in profiles[:i]}]
    if twice:
        raise InputError(f"energy profile {twice[0]!r} is given twice; give each profile another file name")
    return profiles
