"""Chips: what one core can hold, one TOML file each in `chips/`.

How to add one: copy `chips/generic.toml` to `chips/NAME.toml`, pass a FILE.toml, or register the path of one by the
entry-point group `asnn_deploy.chips`; nothing else knows the list. Every limit has a value, a unit, and either its
source or the reason why it has none (`unverified`). A limit that is left out is not checked; `unpublished` says which
of them exist without a published value. `times` says how long operations take, for `fitting/latency.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from asnn_deploy.errors import InputError
from asnn_deploy.fitting.sourced import Limit, Sourced, Whole
from asnn_deploy.fitting.times import Times
from asnn_deploy.ir.meaning import RESETS
from asnn_deploy.util.discover import Parts
from asnn_deploy.util.suggest import unknown_name
from asnn_deploy.util.toml_schema import Section, Text, read_toml

FOLDER = Path(__file__).parent / "chips"
WHAT = "chip"
Amount = Annotated[int, Field(strict=True, ge=0)]


def _known_reset(name: str) -> str:
    if name not in RESETS:
        raise ValueError(f"must be one of {', '.join(RESETS)}")
    return name


Reset = Annotated[str, AfterValidator(_known_reset)]
Potential = Literal["minimum", "reset_potential"]


class Cores(Limit):
    """Number of cores of a chip."""

    unit: Literal["cores"]


class Neurons(Limit):
    """Number of neurons."""

    unit: Literal["neurons"]


class Bytes(Limit):
    """Size of a memory."""

    unit: Literal["bytes"]


class Axons(Limit):
    """Number of axons."""

    unit: Literal["axons"]


class Synapses(Limit):
    """Number of synapses."""

    unit: Literal["synapses"]


class Bits(Limit):
    """Width of a number."""

    unit: Literal["bits"]


class Steps(Limit):
    """Number of time steps."""

    unit: Literal["steps"]


class Values(Limit):
    """Number of values of a parameter."""

    unit: Literal["values"]


class WeightBits(Sourced):
    """The widths that a weight can have, sign included."""

    min: Whole
    max: Whole
    unit: Literal["bits"]

    @model_validator(mode="after")
    def _ordered(self) -> WeightBits:
        if self.min > self.max:
            raise ValueError(f"min <= max must hold, found {self.min}, {self.max}")
        return self


class Limits(Section):
    """What a chip, a core or a neuron can be; one that is left out is not checked.

    cores: of one chip.
    neurons: of one core.
    synapse_memory: of one core, for synapses only.
    core_memory: of one core, for synapses, neurons' states and parameters, and axon entries together.
    axons_in, axons_out: entries of one core's tables of incoming and outgoing axons.
    fan_in, fan_out: synapses that end at, or leave, one neuron.
    weight_bits: of one weight, sign included.
    payload_bits: that one spike carries; 1 where a spike is an event without a value.
    delay: longest delay of a synapse.
    step_values: different values that one parameter of a neuron can take over the time steps.
    """

    cores: Cores
    neurons: Neurons
    synapse_memory: Bytes | None = None
    core_memory: Bytes | None = None
    axons_in: Axons | None = None
    axons_out: Axons | None = None
    fan_in: Synapses | None = None
    fan_out: Synapses | None = None
    weight_bits: WeightBits
    payload_bits: Bits
    delay: Steps | None = None
    step_values: Values | None = None


class Width(Sourced):
    """Bits that something takes; 0 where it does not lie in the memory that is counted."""

    value: Amount
    unit: Literal["bits"]


class Lists(Sourced):
    """How synapses are stored as lists: blocks of `synapses`, each with a header, each filling whole words.

    weight_widths, index_widths: the widths there are for a weight and for the target's index within the core.
    """

    word: Whole
    header: Amount
    synapses: Whole
    weight_widths: Annotated[tuple[Whole, ...], Field(min_length=1)]
    index_widths: Annotated[tuple[Whole, ...], Field(min_length=1)]
    unit: Literal["bits"]

    @model_validator(mode="after")
    def _ascending(self) -> Lists:
        for key in ("weight_widths", "index_widths"):
            widths = getattr(self, key)
            if list(widths) != sorted(set(widths)):
                raise ValueError(f"{key} must ascend, found {list(widths)}")
        return self


class PopulationAxons(Sourced):
    """Axons that a convolution's input position has for all its channels: the spike carries the channel.

    channels: the most that one axon can tell apart.
    narrow: up to so many channels, an entry of the table of outgoing axons takes one slot; above, `wide_slots`.
    """

    channels: Whole
    narrow: Whole
    wide_slots: Whole


class Storage(Section):
    """What things take in memory.

    sharing: what a core stores of a convolution: "kernels" (each kernel once), "lists" (one list of synapses for each
        channel and each way in which a position meets the core's neurons), or "none" (every synapse).
    lists: how lists are laid out; needed unless sharing is "kernels".
    state, accumulator: for each of a neuron's state variables, and for the sum of its input.
    axon: for an entry of the table of incoming axons, and of outgoing ones.
    """

    sharing: Literal["kernels", "lists", "none"]
    lists: Lists | None = None
    population_axons: PopulationAxons | None = None
    state: Width
    accumulator: Width
    axon: Width

    @model_validator(mode="after")
    def _lists_described(self) -> Storage:
        if self.sharing != "kernels" and self.lists is None:
            raise ValueError(f"sharing '{self.sharing}' needs the table 'lists'")
        return self


class System(Section):
    """A published machine of several such chips."""

    name: Text
    chips: Whole
    source: Text


class Unpublished(Section):
    """A limit that exists and has no published value, so that it is not checked."""

    limit: Text
    why: Text


class Chip(Section):
    """One chip.

    resets: how its neurons can reset: "zero", "subtract" and the others of `ir.meaning.RESETS`.
    potentials: what else its neurons hold of their membrane potential, a lower bound ("minimum") or a value other than
    zero that they reset to ("reset_potential"); both if the file is silent.
    notes: where public sources differ, one sentence each.
    times: how long its operations take; no_times: why that is not known, without the period at its end.
    """

    name: Text
    title: Text
    source: Text
    resets: Annotated[tuple[Reset, ...], Field(min_length=1)]
    potentials: tuple[Potential, ...] = ("minimum", "reset_potential")
    notes: tuple[Text, ...] = ()
    limits: Limits
    storage: Storage
    systems: tuple[System, ...] = ()
    unpublished: tuple[Unpublished, ...] = ()
    times: Times | None = None
    no_times: Text = "its file gives no times of operations"

    def unverified(self) -> list[str]:
        """What of this chip has no published source, one line each."""
        lines = [f"{key}: {x.unverified}" for key, x in sourced(self) if x.unverified]
        return lines + [f"limits.{x.limit}: {x.why}; not checked" for x in self.unpublished]


def sourced(section: Section, path: str = "") -> Iterator[tuple[str, Sourced]]:
    """Yield everything in a table that has a source or lacks one, by its key in the file."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Sourced):
            yield path + key, value
        elif isinstance(value, Section):
            yield from sourced(value, f"{path}{key}.")


CHIPS: Parts[Path] = Parts(
    WHAT, "asnn_deploy.chips", __name__, own={path.stem: path for path in FOLDER.glob("*.toml")}, base=Path
)
"""The files of the chips that are known by name."""


def chip_names() -> tuple[str, ...]:
    """The names of the chips that are known: the files in `chips/`, and others' by entry point."""
    return tuple(CHIPS)


def load_chip(name_or_path: str | Path) -> Chip:
    """A chip by name, or anyone's by the path of a .toml file.

    Raises InputError for an unknown name or an unreadable file, ConfigError for a file that breaks the schema, and
    MissingDependency if the package that registers it cannot be imported.
    """
    text = str(name_or_path)
    if text in CHIPS:
        return read_toml(CHIPS.find(text), WHAT, Chip)
    if text.endswith(".toml"):
        return read_toml(Path(text), WHAT, Chip)
    raise InputError(f"{unknown_name(WHAT, text, CHIPS)}; a file of your own must end in .toml")
