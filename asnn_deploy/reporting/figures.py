"""What `report.json` holds, as models: the pages are made of them, and `compare` reads them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from asnn_deploy.energy.results import KEYS, StepCount, StepIntervals
from asnn_deploy.energy.running import Interval, Spread
from asnn_deploy.fitting.document import FitDocument
from asnn_deploy.fitting.latency import Latency
from asnn_deploy.reporting.energies import BaselineRows, BreakEvenRows, ProfileRow, SimulatedRow
from asnn_deploy.util.document import Amount, Count, CreatedBy, Document, Positive, Share
from asnn_deploy.util.text import printable
from asnn_deploy.verifying.document import Verification


class CodedStep(Document):
    """What the coding sends at one step; analog: whether values are sent, not spikes."""

    spikes: float
    values: float
    analog: bool


class CodedInput(Document):
    """What the coding sends, step by step."""

    per_step: tuple[CodedStep, ...]


class LayerRow(Document):
    """One layer; per_step has T entries, intervals T or none."""

    name: str
    kind: str
    neurons: Count
    connections: Count
    weights: Count
    per_step: tuple[StepCount, ...]
    intervals: tuple[StepIntervals, ...]

    @property
    def sum(self) -> StepCount:
        """The counts over all steps."""
        return StepCount(**{key: sum(getattr(step, key) for step in self.per_step) for key in KEYS})


class Totals(Document):
    """Sums over all layers and steps."""

    macs: Amount
    acs: Amount
    neuron_updates: Amount
    macs_graded: Amount
    acs_graded: Amount
    bias_reads: Amount
    weight_fetches: Amount
    state_reads: Amount
    state_writes: Amount
    sops: Amount
    spikes: Amount


class Spreads(Document):
    """Over the samples."""

    sops: Spread
    spikes: Spread


class StepRow(Document):
    """What the network would have answered and spent had it stopped after this step; by profile."""

    accuracy: Share | None
    sops: Amount
    energy_joules: dict[str, Amount]
    latency_seconds: dict[str, Amount | None]


class ClassRow(Document):
    """The samples of one class. answers: each class that they were given, and how often."""

    label: int = Field(validation_alias="class", serialization_alias="class")
    samples: Count
    accuracy: Share
    sops: Interval
    spikes: Interval
    answers: tuple[tuple[Count, Count], ...] = ()


class ExitPoint(Document):
    """Early exit at one margin; exits: the share of samples that answer after each step, T numbers."""

    margin: Amount
    calibration_accuracy: Share
    accuracy: Share
    mean_steps: Amount
    sops: Amount
    energy_joules: dict[str, Amount]
    exits: tuple[Share, ...]


class Calibration(Document):
    """The samples on which the margin was chosen."""

    split: str
    samples: Count
    accuracy: Share


class ChosenMargin(Document):
    """The chosen margin, and the accuracy that it may cost there."""

    margin: Amount
    tolerance: Amount


class EarlyExit(Document):
    """The curve over margins, at least one point."""

    meaning: str
    calibration: Calibration
    curve: Annotated[tuple[ExitPoint, ...], Field(min_length=1)]
    chosen: ChosenMargin | None

    @property
    def chosen_point(self) -> ExitPoint | None:
        """The point of the curve at the chosen margin."""
        return next((p for p in self.curve if self.chosen is not None and p.margin == self.chosen.margin), None)


class Packets(Document):
    """Spike packets between cores per sample, all together and by source."""

    samples: Count
    total: Amount
    sources: dict[str, Amount]


class PlacedFit(FitDocument):
    """A fit with the packets that the network's spikes become on the chip."""

    packets: Packets | None = None


class Registers(Document):
    """Bits that the registers have."""

    membrane_bits: Count
    accumulator_bits: Count


class IntegerLayer(Document):
    """One layer of the integer network; what does not apply to it is None, further registers may stand there.

    *_bits: the bits needed. spike_disagreement: share of neurons that differ from the float network's, T numbers.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Count]

    name: str
    kind: str
    bits: Count | None = None
    scales: tuple[tuple[float, ...], ...] | None = None
    weights: Count | None = None
    saturated: Count | None = None
    threshold: int | None = None
    gain_shift: tuple[int, ...] | None = None
    product_bits: Count | None = None
    membrane_bits: Count | None = None
    current_bits: Count | None = None
    unit: float | None = None
    accumulator_bits: Count | None = None
    spike_disagreement: tuple[Share, ...] | None = None


class IntegerNetwork(Document):
    """What quantisation does on some of the samples."""

    samples: Count
    time_steps: Count
    bits: Count
    accuracy: Share | None
    accuracy_float: Share | None
    spike_disagreement: Share | None
    registers: Registers
    layers: tuple[IntegerLayer, ...]


class Report(Document):
    """The report of one network. Every count and energy is a mean per sample, but in `spread`.

    latency: by chip, None where `no_latency` says why there is none.
    """

    def __repr__(self) -> str:
        right = "" if self.accuracy is None else f"accuracy {self.accuracy:.2%}, "
        return (
            f"<Report: {self.network or 'network'!r}, {self.samples:,} samples, {right}{self.totals.sops:,.0f} "
            f"synaptic operations and {self.totals.spikes:,.0f} spikes per sample>"
        )

    created_by: CreatedBy
    network: str | None
    data: str | None
    samples_sha256: str | None
    coding: str
    arithmetic: str
    samples: Positive
    time_steps: Positive
    conventions: dict[str, str]
    accuracy: Share | None
    input: CodedInput
    layers: tuple[LayerRow, ...]
    totals: Totals
    spread: Spreads
    by_step: tuple[StepRow, ...]
    by_class: tuple[ClassRow, ...]
    class_names: tuple[str, ...] | None = None
    early_exit: EarlyExit | None
    profiles: dict[str, ProfileRow]
    simulated: dict[str, SimulatedRow]
    baselines: BaselineRows
    break_even_spike_rate: Amount | None
    break_even: BreakEvenRows
    fit: dict[str, PlacedFit]
    latency: dict[str, Latency | None] = Field(default_factory=dict)
    no_latency: dict[str, str] = Field(default_factory=dict)
    quantization: IntegerNetwork | None
    verify: Verification | None

    def named(self, label: int) -> str:
        """Return what a class is called; its number if it has no name."""
        names = self.class_names or ()
        return printable(names[label]) if label < len(names) else str(label)

    @property
    def answered(self) -> list[int]:
        """The classes that were answered or asked for, of rows that say so."""
        return sorted({c for row in self.by_class if row.answers for c in (row.label, *dict(row.answers))})

    @property
    def synaptic(self) -> list[LayerRow]:
        """The layers with synapses."""
        return [layer for layer in self.layers if layer.kind != "neuron"]

    @property
    def neuronal(self) -> list[LayerRow]:
        """The layers of neurons."""
        return [layer for layer in self.layers if layer.kind == "neuron"]

    @model_validator(mode="after")
    def _every_step(self) -> Report:
        for what, count in self._lengths():
            if count != self.time_steps:
                raise ValueError(f"{what} has {count} entries; expected {self.time_steps}, one for every time step")
        return self

    def _lengths(self) -> Iterator[tuple[str, int]]:
        yield "by_step", len(self.by_step)
        yield "input.per_step", len(self.input.per_step)
        yield from ((f"layer {layer.name!r}", len(layer.per_step)) for layer in self.layers)
        timed = {chip: found for chip, found in self.latency.items() if found is not None}
        yield from (
            (f"latency on {x!r} behind its pipeline", len(y.by_step) - y.pipeline_steps) for x, y in timed.items()
        )
        if self.early_exit is not None:
            yield from ((f"exits at margin {p.margin:g}", len(p.exits)) for p in self.early_exit.curve)
