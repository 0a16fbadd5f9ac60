"""The meaning of a NIR file: what its numbers do in a time step.

A NIR file holds equations in continuous time, and neither a time step nor how a step is computed; each tool has its own
rules (`asnn_deploy/conventions/`). A graph that was read from such a file keeps the rules that it was read by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from asnn_deploy.errors import InputError
from asnn_deploy.util.suggest import unknown_name

RESETS = {
    "subtract": "subtracts the threshold at once",
    "zero": "sets the membrane potential to its reset value at once",
    "delayed-subtract": "subtracts the threshold at the next step, after the leak",
    "delayed-zero": "sets the membrane potential to its reset value at the next step, after that step's input",
    "leftover-subtract": "subtracts the threshold at once, and again at the next step if what is left lies above it",
    "early-subtract": "fires on the membrane potential of the step before, and subtracts the threshold after the leak",
    "none": "never resets",
}
"""How neurons reset, in words."""
INTEGRATIONS = {
    "euler": "Euler's method, decay 1 - dt/tau",
    "exponential": "exact integration, decay exp(-dt/tau)",
}
FIRES = {"above": "fires above its threshold", "at": "fires at its threshold and above"}
SPIKES = {"one": "sends at most one spike in a step", "many": "sends as many spikes in a step as thresholds fit in"}
UPDATES = {
    "integrated": "inputs are integrated over the step: times dt/tau and r",
    "added": "inputs are added as they are, times r",
    "relaxing": "the membrane potential moves towards its input: v + dt/tau ((v_leak - v) + r x); currents jump first",
    "dividing": "as relaxing, but divided by tau/dt instead of times dt/tau",
    "unit": "inputs and synaptic currents are added as they are, whatever the file's r and w_in",
    "decaying": "inputs are added as they are; the synaptic current decays after its input is added",
}
"""The arithmetic of inputs, in words."""
STARTS = ("zero", "leak", "reset")
"""Where membrane potentials begin."""
TAUS = ("as written", "times dt")
"""What an exporter has made of time constants."""
MENDS = {
    "recurrent layers": "what enters a recurrent layer is wired to the weights of its recurrent connection, and spikes "
    "that are decided before the input come back in the same step",
    "leak": "the threshold of a CubaLIF that decides before its input is taken off before the leak",
    "flatten": "the columns of weights behind a Flatten are in the order height, width, channels",
}
"""What an exporter may write wrongly, and reading puts right."""
SMALLEST, LARGEST = 2.0**-126, 2.0**127
"""Of normal float32 numbers: IEEE 754-2019, table 3.5."""
RULES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"reset": RESETS, "integration": INTEGRATIONS, "fires": FIRES, "spikes": SPIKES, "update": UPDATES}
)
"""The rules and what each may be, with the words for it."""


@dataclass(frozen=True)
class Meaning:
    """The rules by which a NIR file is read.

    tool: whose rules they are, None if nobody's in particular.
    dt: the length of a time step, in the unit of the file's time constants.
    reset, integration, fires, spikes, update: see the tables above.
    feedback_reset: how neurons with a synaptic current or a recurrent connection reset, if not as the others.
    taus: "as written", or "times dt" if its exporter multiplied them by the time step once too often.
    start: where membrane potentials begin: at 0, at v_leak ("leak") or at v_reset ("reset").
    minimum: a lower bound of all membrane potentials, which no file holds.
    mends: what of its exporter's errors is put right, see MENDS.
    nodes: rules of single nodes that differ from the others', `(layer, rule, value)` each.
    assumed: the rules that nobody stated.

    Raises InputError naming a rule and what it may be.
    """

    tool: str | None = None
    dt: float = 1e-4
    reset: str = "zero"
    integration: str = "euler"
    fires: str = "above"
    spikes: str = "one"
    update: str = "integrated"
    feedback_reset: str | None = None
    taus: str = "as written"
    start: str = "zero"
    minimum: float | None = None
    mends: tuple[str, ...] = ()
    nodes: tuple[tuple[str, str, str], ...] = ()
    assumed: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.dt, bool) or not SMALLEST <= self.dt <= LARGEST:
            raise InputError(f"dt = {self.dt}: a time step must be a positive number that float32 holds")
        for rule, words in RULES.items():
            if getattr(self, rule) not in words:
                raise InputError(unknown_name(rule, getattr(self, rule), words))
        if self.minimum is not None and (isinstance(self.minimum, bool) or not abs(self.minimum) <= LARGEST):
            raise InputError(f"minimum = {self.minimum}: a lower bound must be a number that float32 holds")
        for key, allowed in (("start", STARTS), ("taus", TAUS), ("feedback_reset", (None, *RESETS))):
            if getattr(self, key) not in allowed:
                raise InputError(unknown_name(key, str(getattr(self, key)), [name for name in allowed if name]))
        object.__setattr__(self, "assumed", tuple(self.assumed))
        object.__setattr__(self, "mends", tuple(self.mends))
        for name in self.mends:
            if name not in MENDS:
                raise InputError(unknown_name("mend", str(name), MENDS))
        object.__setattr__(self, "nodes", tuple((str(n), str(r), str(v)) for n, r, v in self.nodes))
        for _, rule, value in self.nodes:
            if rule not in RULES:
                raise InputError(unknown_name("rule", rule, RULES))
            if value not in RULES[rule]:
                raise InputError(unknown_name(rule, value, RULES[rule]))

    @property
    def rules(self) -> dict[str, Any]:
        """The rules by name, with dt."""
        bound = {} if self.minimum is None else {"minimum": self.minimum}
        nodes = {"nodes": [list(own) for own in self.nodes]} if self.nodes else {}
        return {"dt": self.dt, **{rule: getattr(self, rule) for rule in RULES}, **bound, **nodes}

    def of(self, node: str) -> Meaning:
        """Return the rules of one node."""
        own: dict[str, Any] = {rule: value for name, rule, value in self.nodes if name == node}
        if not own:
            return self
        return replace(self, **own, nodes=(), feedback_reset=None if "reset" in own else self.feedback_reset)

    def in_words(self) -> str:
        """Return what the rules are, on one line."""
        whose = f"as {self.tool} means it: " if self.tool else ""
        words = ", ".join(
            [f"dt {self.dt:g}", *(f"{key} {value}" for key, value in self.rules.items() if key not in ("dt", "nodes"))]
        )
        if self.feedback_reset:
            words += f", reset {self.feedback_reset} of neurons with a current or in a cycle"
        words += "".join(f", {rule} {value} of {node}" for node, rule, value in self.nodes)
        assumed = f" (assumed: {', '.join(self.assumed)})" if self.assumed else ""
        return f"{whose}{words}{assumed}"

    def to_json(self) -> dict[str, Any]:
        """The meaning as JSON values."""
        return {f.name: list(v) if isinstance(v := getattr(self, f.name), tuple) else v for f in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> Meaning | None:
        """The inverse of `to_json`; None stays None. Raises TypeError or InputError for anything else."""
        return None if values is None else cls(**values)
