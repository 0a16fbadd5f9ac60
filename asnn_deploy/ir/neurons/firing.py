"""How a neuron fires: its reset, its comparison with the threshold, and how many spikes it may send in a step."""

from __future__ import annotations

IMMEDIATE = ("subtract", "zero")
"""The resets that take place in the step of the spike."""


class Firing(str):
    """How a neuron resets (the text itself, one of `ir.meaning.RESETS`), when it fires and how often in a step.

    at: at its threshold, too, and not above it only. many: as many spikes as thresholds fit into its potential.
    """

    at: bool
    many: bool

    def __new__(cls, reset: str, at: bool = False, many: bool = False) -> Firing:
        """The reset with the rest of it."""
        self = super().__new__(cls, reset)
        self.at, self.many = at, many
        return self

    @property
    def plain(self) -> bool:
        """Whether it fires once a step, above its threshold."""
        return not (self.at or self.many)

    @property
    def usual(self) -> bool:
        """Whether it fires so and resets in that step, which every backend knows."""
        return self.plain and self in IMMEDIATE
