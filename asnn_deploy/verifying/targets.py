"""Verification: every spike of every target against its reference, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import Session
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.matching.recording import Recording
from asnn_deploy.matching.replay import Replay, explained
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase
from asnn_deploy.verifying.document import QUANTISED
from asnn_deploy.verifying.heads import place
from asnn_deploy.verifying.parity import Comparison, ParityReport, Rounding

DEFAULT_TARGETS = ("norse", "reference", "nir", "onnxruntime", "lava", "reference-fixed", "norse-fixed", "lava-fixed")


@dataclass(frozen=True)
class Pairing:
    """A target and what it is held against.

    promised: every spike must be equal; bitwise: every logit, too.
    """

    target: str
    against: str
    promised: bool
    bitwise: bool = False


def pairing(target: str, arithmetic: str, has_run: bool) -> Pairing:
    """What a target is held against.

    Float targets: `norse` where there is a trained module, else `reference`; `norse` itself: `reference`, and
    `reference` without a trained module: `nir`, since holding it against itself would prove nothing.
    Integer targets: `reference-fixed`; that one itself: `reference`, where the difference is quantisation, no promise.
    """
    if target == QUANTISED:
        return Pairing(target, "reference", promised=False)
    if arithmetic == "fixed":
        return Pairing(target, "reference-fixed", promised=True, bitwise=True)
    if target == "reference" and not has_run:
        return Pairing(target, "nir", promised=True)
    return Pairing(target, "norse" if has_run and target != "norse" else "reference", promised=True)


def verify(
    deployment: Deployment,
    pairings: Sequence[Pairing],
    images: Array,
    labels: Array | None,
    cuts: Iterable[slice],
    batch_size: int,
) -> dict[str, ParityReport]:
    """Run all targets over the same batches and compare; only one batch is held at a time.

    images: uint8 `[N, C, H, W]`; labels: `[N]`, if known; cuts: the batches as slices of at most `batch_size`.
    """
    needed = list(dict.fromkeys(name for pair in pairings for name in (pair.against, pair.target)))
    comparisons = {pair.target: Comparison(pair.against, pair.bitwise) for pair in pairings}
    departures: dict[str, list[tuple[int, int]]] = {}
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(opened(name, deployment, batch_size)) for name in needed}
        for cut in cuts:
            traces = {name: answered(name, session, images[cut]) for name, session in sessions.items()}
            known = None if labels is None else labels[cut]
            for pair in pairings:
                comparison, got = comparisons[pair.target], traces[pair.target]
                comparison.add(traces[pair.against], got, known)
                if pair.promised and deployment.graph.meaning is not None and not pair.bitwise:
                    departures.setdefault(pair.target, []).append(departing(deployment.graph, images[cut], got))
    reports = {target: placed(comparison.report(), deployment.graph) for target, comparison in comparisons.items()}
    for target, found in departures.items():
        within, unexplained = (sum(counts) for counts in zip(*found))
        reports[target] = replace(reports[target], rounding=Rounding(within, unexplained))
    return reports


def opened(name: str, deployment: Deployment, batch_size: int) -> Session:
    """Return a target that has loaded the network."""
    with phase(f"load {name}"):
        return TARGETS.available(name).open(deployment, batch_size)


def answered(name: str, session: Session, images: Array) -> Trace:
    """Return what a target does with a batch."""
    with phase(name):
        return session.run(images, Record(spikes=True))


def departing(graph: DeployGraph, frames: Array, trace: Trace) -> tuple[int, int]:
    """Return how many spikes of a run depart from the network's definition within rounding errors, and beyond."""
    recording = Recording(graph.code.frames(frames), trace.spikes, {})
    replay = Replay(recording)
    runs = replay.run(graph)
    if all(np.array_equal(runs[name].sent, spikes) for name, spikes in trace.spikes.items()):
        return 0, 0
    runs = replay.run(graph, bounded=True)
    within = unexplained = 0
    for name, spikes in trace.spikes.items():
        differs = runs[name].sent != spikes
        inside = int(np.count_nonzero(differs & explained(runs[name], spikes)))
        within, unexplained = within + inside, unexplained + int(np.count_nonzero(differs)) - inside
    return within, unexplained


def placed(report: ParityReport, graph: DeployGraph) -> ParityReport:
    """The report with the head and token of the first divergence, where that is in self-attention."""
    first = report.first_divergence
    where = None if first is None else place(graph, first.layer, tuple(first.index))
    if first is None or where is None:
        return report
    return replace(report, first_divergence=replace(first, head=where.head, token=where.token))
