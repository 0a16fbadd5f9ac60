"""Conventions: what each tool means by its NIR files, one TOML file each.

How to add one: copy `nir.toml`; nothing else knows the list. Every rule was measured against the tool itself or read in
its source, and says which (`source`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from asnn_deploy.errors import InputError
from asnn_deploy.ir.meaning import RULES, Meaning
from asnn_deploy.util.suggest import unknown_name
from asnn_deploy.util.toml_schema import Section, Text, read_toml

FOLDER = Path(__file__).parent
WHAT = "convention"


class Resets(Section):
    """What a tool does that resets so; feedback: neurons with a synaptic current or a recurrent connection."""

    others: Text
    feedback: Text | None = None


class Importer(Section):
    """How a tool reads NIR files, which may differ from how it writes them.

    source: where that was read. kinds: the nodes that it reads right.
    dt: its time step; None: the tool's, or any. reset: as it sets it.
    cuba: the update of CubaLIF, if it differs.
    gain: the factor on the inputs that it takes: "one"; "inside", that of the way to them; "either" of these two; or
        "decay", that of the synaptic current.
    uniform: fields of one number for a layer. wide: whether it takes float64.
    zero: fields that it ignores, or takes at 0 only; "KIND.FIELD" of one kind.
    leak_is_reset: kinds that leak to where they reset.
    rounds: kinds whose steps it rounds otherwise than asnn-deploy; "KIND.FIELD" if it does where that is not 0.
    groups: of convolutions: "none", or "divide" if groups must divide the inputs of each.
    bound: the field whose negative is a lower bound of the potentials of IF.
    slower: kinds whose time constants must be longer than a step.
    by_channel: whether nodes of several axes need one number for each channel.
    sums: whether nodes may read several signals. cycles: whether it reads recurrent connections.
    """

    source: Text
    kinds: tuple[Text, ...]
    dt: float | None = None
    reset: Text
    cuba: Text | None = None
    gain: Literal["one", "inside", "either", "decay"]
    uniform: tuple[Text, ...] = ()
    wide: bool = False
    zero: tuple[Text, ...] = ()
    leak_is_reset: tuple[Text, ...] = ()
    rounds: tuple[Text, ...] = ()
    groups: Literal["none", "divide"] = "divide"
    bound: Text | None = None
    slower: tuple[Text, ...] = ()
    by_channel: bool = False
    sums: bool = False
    cycles: bool = False


class Convention(Section):
    """One tool's rules.

    time_unit: of its time constants. dt: the time step that its exporter takes for granted; None: the file says.
    resets: what its users' words for a reset mean in its neurons, if not what they mean elsewhere.
    taus: "times dt" if its exporter multiplies time constants by the time step once too often.
    start: where its membrane potentials begin, see `Meaning`.
    mends: what of its exporter's errors is put right on reading, see `ir.meaning.MENDS`.
    measured: whether its rules were held against the tool itself.
    writes: the kinds of neurons that its exporter writes; any if there are none.
    options: the rules, and "minimum", that its users choose when they make a neuron.
    faults: what else its exporter does, one sentence each.
    importer: what it reads, if that is known.
    """

    name: Text
    title: Text
    versions: Text
    source: Text
    time_unit: Literal["seconds", "milliseconds", "steps"]
    dt: float | None = None
    reset: Text
    integration: Text
    fires: Text
    spikes: Text
    update: Text
    taus: Literal["as written", "times dt"] = "as written"
    start: Literal["zero", "leak", "reset"] = "zero"
    mends: tuple[Literal["recurrent layers", "leak", "flatten"], ...] = ()
    resets: dict[str, Resets] = Field(default_factory=dict)
    measured: bool = False
    writes: tuple[Text, ...] = ()
    options: tuple[Text, ...] = ()
    faults: tuple[Text, ...] = ()
    importer: Importer | None = None


def tools() -> tuple[str, ...]:
    """Return the names of the tools whose conventions are known."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@lru_cache
def load_convention(tool: str) -> Convention:
    """Return a tool's convention. Raises InputError for an unknown name."""
    if tool not in tools():
        raise InputError(unknown_name("tool", tool, tools()))
    return read_toml(FOLDER / f"{tool}.toml", WHAT, Convention)


def importing_tools() -> tuple[str, ...]:
    """Return the names of the tools of which it is known how they read NIR files."""
    return tuple(tool for tool in tools() if load_convention(tool).importer is not None)


def meaning(
    tool: str | None = None,
    *,
    dt: float | None = None,
    minimum: float | None = None,
    nodes: tuple[tuple[str, str, str], ...] = (),
    **stated: str | None,
) -> Meaning:
    """Return the rules of a tool, each replaced by what is stated; without a tool, those of NIR's text (`nir.toml`).

    stated: rules by name (`ir.meaning.RULES`); those that are None are the tool's. What nobody stated is `assumed`.
    Raises InputError for an unknown tool or rule, or a time step that is not positive.
    """
    convention = load_convention(tool or "nir")
    rules: dict[str, Any] = {rule: getattr(convention, rule) for rule in RULES}
    given = {rule: value for rule, value in stated.items() if value is not None}
    unknown = next((rule for rule in given if rule not in RULES), None)
    if unknown is not None:
        raise InputError(unknown_name("rule", unknown, RULES))
    step = dt if dt is not None else convention.dt
    assumed = [] if tool else [rule for rule in RULES if rule not in given]
    if tool is None and dt is None:
        assumed.insert(0, "dt")
    found = Meaning(
        tool,
        1e-4 if step is None else step,
        **rules | given,
        taus=convention.taus,
        start=convention.start,
        mends=convention.mends,
        minimum=minimum,
        nodes=nodes,
        assumed=tuple(assumed),
    )
    resets = convention.resets.get(found.reset)
    return found if resets is None else replace(found, reset=resets.others, feedback_reset=resets.feedback)
