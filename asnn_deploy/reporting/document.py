"""A report from what was counted, priced, fitted and verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from asnn_deploy.energy.baselines import BREAK_EVEN_PROFILE, Baselines, baselines
from asnn_deploy.energy.counts import CONVENTIONS
from asnn_deploy.energy.estimate import Energy, energy
from asnn_deploy.energy.profiles import Profile, Range
from asnn_deploy.energy.results import Counts, LayerCount
from asnn_deploy.energy.simulation import Simulation
from asnn_deploy.fitting.latency import Latency
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.reporting.energies import (
    AnnBaseline,
    BaselineRows,
    BreakEvenRows,
    Constant,
    ProfileRow,
    QnnBaseline,
    SimulatedRow,
)
from asnn_deploy.reporting.figures import (
    ClassRow,
    CodedInput,
    CodedStep,
    EarlyExit,
    IntegerNetwork,
    LayerRow,
    PlacedFit,
    Report,
    Spreads,
    StepRow,
    Totals,
)
from asnn_deploy.util.document import CREATOR, Document
from asnn_deploy.util.version import __version__
from asnn_deploy.verifying.document import Verification

TOTALS = ("macs", "acs", "neuron_updates", "macs_graded", "acs_graded", "bias_reads")
ACCESSES = ("weight_fetches", "state_reads", "state_writes")


def build(
    graph: DeployGraph,
    counts: Counts,
    profiles: Sequence[Profile],
    accuracy: float | None = None,
    data: str | None = None,
    network: str | None = None,
    *,
    class_names: Sequence[str] | None = None,
    samples_sha256: str | None = None,
    early_exit: Mapping[str, Any] | None = None,
    simulated: Sequence[tuple[Simulation, str, Energy]] = (),
    fit: Mapping[str, PlacedFit] | None = None,
    latency: Mapping[str, Latency | str] | None = None,
    quantization: Mapping[str, Any] | None = None,
    verify: Verification | None = None,
) -> Report:
    """Return the report of one network.

    counts: from a Counter of the same graph; accuracy: overrides the one that the counter found; data, network: what
    the report calls the data set and the network; class_names: of the network's answers. samples_sha256: of images and
    labels in order. early_exit: the curve over margins. simulated: what simulators found, each with the profile that
    prices the same chip by constants and that one's energy of the same samples. fit: by chip. latency: by chip, a
    sentence if there is none. quantization: from `quantization_report`. What is None or empty is left out of the pages.
    """
    compared = baselines(list(profiles), counts)
    priced = {profile.name: _profile(profile, counts) for profile in profiles}
    replayed = {found.name: _plain(ProfileRow, found.as_profile()) for found, _, _ in simulated}
    return Report(
        created_by=f"{CREATOR}{__version__}",
        network=network,
        data=data,
        samples_sha256=samples_sha256,
        coding=graph.code.name,
        arithmetic=graph.arithmetic,
        samples=counts.samples,
        time_steps=counts.time_steps,
        conventions={**CONVENTIONS, **meaning_of(graph)},
        accuracy=counts.accuracy if accuracy is None else float(accuracy),
        input=_input(graph, counts),
        layers=tuple(_layer(layer) for layer in counts.layers),
        totals=_totals(counts),
        spread=Spreads(sops=counts.sops, spikes=counts.spikes),
        by_step=tuple(_by_step(profiles, counts)),
        by_class=tuple(ClassRow(**vars(row)) for row in counts.by_class),
        class_names=tuple(class_names) if class_names else None,
        early_exit=None if early_exit is None else _plain(EarlyExit, early_exit),
        profiles=priced | replayed,
        simulated={f.name: _plain(SimulatedRow, f.beside(base, constants)) for f, base, constants in simulated},
        baselines=_baselines(compared, list(replayed)),
        break_even_spike_rate=compared.break_even_spike_rate,
        break_even=_break_even(compared),
        fit=dict(fit or {}),
        latency={chip: None if isinstance(found, str) else found for chip, found in (latency or {}).items()},
        no_latency={chip: found for chip, found in (latency or {}).items() if isinstance(found, str)},
        quantization=None if quantization is None else _plain(IntegerNetwork, quantization),
        verify=verify,
    )


def meaning_of(graph: DeployGraph) -> dict[str, str]:
    """Return by which rules a network of another tool was read, as a convention of its report."""
    return {} if graph.meaning is None else {"meaning": f"The network was read {graph.meaning.in_words()}."}


D = TypeVar("D", bound=Document)


def _plain(model: type[D], values: Mapping[str, Any]) -> D:
    """What another room gives as plain values; lists become tuples."""
    return model.model_validate(values, strict=False)


def _input(graph: DeployGraph, counts: Counts) -> CodedInput:
    """What the coding sends at each step."""
    sent = zip(counts.input_spikes, counts.input_values, graph.code.analog)
    return CodedInput(per_step=tuple(CodedStep(spikes=s, values=v, analog=bool(a)) for s, v, a in sent))


def _break_even(compared: Baselines) -> BreakEvenRows:
    return BreakEvenRows(
        meaning="spikes per neuron and time step at which the spiking network costs as much as the ANN, all "
        "spikes behind the input thinned out or multiplied evenly, neuron updates included",
        profile=BREAK_EVEN_PROFILE,
        spike_rate=compared.spike_rate,
        spikes_per_synapse=compared.spikes_per_synapse,
        against=compared.break_even,
    )


def _by_step(profiles: Sequence[Profile], counts: Counts) -> Iterator[StepRow]:
    """What the network would have answered and spent had it stopped after each step."""
    accuracies = counts.accuracy_by_step or (None,) * counts.time_steps
    for steps, (accuracy, sops) in enumerate(zip(accuracies, counts.sops_by_step()), start=1):
        layers = tuple(replace(layer, per_step=layer.per_step[:steps]) for layer in counts.layers)
        stopped = replace(counts, time_steps=steps, mean_steps=float(steps), layers=layers)
        spent = {profile.name: energy(profile, stopped) for profile in profiles}
        yield StepRow(
            accuracy=accuracy,
            sops=sops,
            energy_joules={name: found.energy_joules.mid for name, found in spent.items()},
            latency_seconds={name: found.latency_seconds for name, found in spent.items()},
        )


def _layer(layer: LayerCount) -> LayerRow:
    return LayerRow(
        name=layer.name,
        kind=layer.kind,
        neurons=layer.neurons,
        connections=layer.connections,
        weights=layer.weights,
        per_step=layer.per_step,
        intervals=layer.intervals,
    )


def _totals(counts: Counts) -> Totals:
    totals = {key: counts.total(key) for key in TOTALS}
    totals |= {access: sum(getattr(layer, access) for layer in counts.layers) for access in ACCESSES}
    return Totals(**totals, sops=totals["acs"] + totals["macs"], spikes=counts.total("spikes_out"))


def _profile(profile: Profile, counts: Counts) -> ProfileRow:
    return ProfileRow(
        **vars(energy(profile, counts)),
        latency_is_lower_bound=profile.static is not None,
        chip=profile.chip,
        title=profile.title,
        process=profile.process,
        spike_counts=profile.counts,
        leaves_out=profile.leaves_out,
        constants=tuple(_constants(profile)),
    )


def _constants(profile: Profile) -> Iterator[Constant]:
    """Every published amount that the profile rests on."""
    named: dict[str, Range | None] = {key.replace("_", " "): value for key, value in profile.constants}
    if profile.qnn is not None:
        width = f"multiply accumulate, up to {profile.qnn.max_bits} bit (QNN)"
        named[width] = profile.qnn.multiply_accumulate
    if profile.static is not None:
        named |= {"static power": profile.static.power, "time step, at least": profile.static.step}
    known = {"kind": profile.kind, "process": profile.process}
    for name, value in named.items():
        if value is not None:
            yield Constant(name=name, **known | value.model_dump(exclude={"note"}, exclude_none=True))
    if profile.memory is not None:
        for point in profile.memory.points:
            name = f"memory access, {point.bytes // 1024:,} KiB"
            amounts = {"low": point.energy, "mid": point.energy, "high": point.energy}
            values = {"unit": point.unit, "source": profile.memory.source}
            yield Constant.model_validate({"name": name} | known | amounts | values)


def _baselines(compared: Baselines, simulated: Sequence[str]) -> BaselineRows:
    """The conventional networks; none runs on a simulated chip of spikes."""
    none = dict.fromkeys(simulated, None)
    return BaselineRows(
        ann=AnnBaseline(macs=compared.macs, energy_joules=compared.ann | none),
        qnn=QnnBaseline(bits=compared.qnn_bits, macs=compared.macs, energy_joules=compared.qnn | none),
    )
