"""`verify`: every spike of every target against its reference."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asnn_deploy.analysis.order_free import analyse
from asnn_deploy.api.network import (
    DEFAULT_BATCH,
    Network,
    Samples,
    Taken,
    check_count,
    data_of,
    names_of,
    opened,
    path_of,
    taken,
)
from asnn_deploy.deploy.reading import settled
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.deploy.source import Source
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import GraphError, InputError
from asnn_deploy.ir.serialize import fingerprint
from asnn_deploy.ir.trace import Record
from asnn_deploy.matching.recording import Recording, read_recording
from asnn_deploy.matching.search import Search
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import batches
from asnn_deploy.verifying.document import Verification
from asnn_deploy.verifying.targets import DEFAULT_TARGETS, Pairing, pairing
from asnn_deploy.verifying.targets import verify as compared

TOLD = ("spikes_compared", "differing", "within_rounding", "first_divergence", "exact")
"""What a verification says of a recording."""


def verify(
    net: Network,
    data: Samples = None,
    *,
    targets: Sequence[str] = (),
    limit: int | None = None,
    batch_size: int = DEFAULT_BATCH,
    recording: str | os.PathLike[str] | None = None,
    batch_first: bool = False,
) -> Verification:
    """Compare every spike of every layer at every step between targets.

    data: "NAME[:PATH]", images, or images and labels; default: the network's own, or what was recorded. targets: by
    name; default: all that can run here, `left_out` says why others cannot. limit: the first samples only.
    recording: of another tool's network given by its path: a .npz file of what the tool was fed and sent (see
    docs/other-tools.md); batch_first: its arrays are `[B, T, ...]`.
    Returns a Verification: `holds`, and by target `exact`, `spike_mismatches`, `first_divergence`, ...
    Raises AsnnDeployError.
    """
    check_count(batch_size, "batch_size")
    targets = names_of(targets, "targets")
    for name in targets:
        TARGETS.find(name)  # a name that is none is said before anything is loaded
    with opened(net) as source:
        more: dict[str, Any] = {"network_sha256": fingerprint(source.graph)}  # before data settle what enters it
        recorded = None if recording is None else _recorded(source, path_of(recording, "recording"), batch_first)
        if recorded is not None and data is None:
            samples = _fed(source, recorded, limit)
        else:
            samples = taken(source, data_of(source, data), "test", limit)
        pairs, left_out = choose(source, targets)
        found = _verification(source, pairs, samples, batch_size)
        if left_out:
            more["left_out"] = left_out
        if source.reading.snapped:
            more["snapped"] = _snapping(source, samples.images)
        if recorded is not None:
            more["recording"] = _against_recording(source, recorded)
        return found.model_copy(update=more)


def choose(source: Source, targets: Sequence[str] = ()) -> tuple[list[Pairing], dict[str, str]]:
    """Return the named targets, or all that can run this network here, and why others are left out."""
    has_run = source.deployment.has_run
    if targets:
        return [pairing(name, TARGETS.available(name).arithmetic, has_run) for name in dict.fromkeys(targets)], {}
    pairs, left_out = [], {}
    for name in dict.fromkeys([*DEFAULT_TARGETS, *TARGETS]):
        if not has_run and name in ("norse", "norse-fixed", "reference"):
            continue  # there is no trained module, and `reference` is what the others are held against
        if reason := TARGETS.reason(name):
            left_out[name] = reason
            continue
        target = TARGETS.find(name)
        try:
            if target.arithmetic == "fixed":
                _ = source.deployment.fixed
            if target.runs(source.deployment):
                pairs.append(pairing(name, target.arithmetic, has_run))
        except GraphError as error:
            left_out[name] = str(error)
    return pairs, left_out


def _verification(source: Source, pairs: list[Pairing], samples: Taken, batch_size: int) -> Verification:
    count = len(samples.images)
    size = min(batch_size, count)
    cuts = batches(count, size, "verify")
    reports = compared(source.deployment, pairs, samples.images, samples.labels, cuts, size)
    inexact = {
        name: next(e.reason for e in entries if not e.exact)
        for name, entries in analyse(source.graph).items()
        if not all(e.exact for e in entries)
    }
    return Verification(
        samples=count,
        time_steps=source.graph.time_steps,
        targets=reports,
        order_free=not inexact,
        not_order_free=inexact,
        snapping=source.summary.get("snapping"),
    )


def _snapping(source: Source, images: Array) -> dict[str, int]:
    """How many spikes the snapped network of another tool fires otherwise than the one in its file."""
    assert source.foreign is not None
    before = settled(source.reading.graph_of(source.foreign), images)
    found = [run(graph, images, Record(spikes=True)).spikes for graph in (before, source.graph)]
    changed = sum(int(np.count_nonzero(spikes != found[1][name])) for name, spikes in found[0].items())
    return {"spikes": sum(spikes.size for spikes in found[0].values()), "spikes_changed": changed}


def _recorded(source: Source, path: Path, batch_first: bool) -> Recording:
    """Return the recording of another tool's network. Raises InputError if the network is not one."""
    if source.foreign is None:
        raise InputError(f"recording {path}: {source.path} is not a NIR file of another tool")
    if source.graph.code.kind == "image":
        raise InputError(f"recording {path}: holds what the network itself was fed; leave the coding out")
    return read_recording(path, source.graph, source.foreign.nodes, batch_first)


def _fed(source: Source, recording: Recording, limit: int | None) -> Taken:
    """Return what a tool was fed, as the samples to verify on."""
    source.settle(recording.samples)
    source.graph.code.check(recording.samples, source.graph.input_shape, "recording")
    return Taken(recording.samples[:limit].astype(source.graph.code.dtype), None)


def _against_recording(source: Source, recording: Recording) -> dict[str, Any]:
    """Hold the network against what its tool recorded, every layer fed what was recorded of those before it."""
    assert source.foreign is not None
    assert source.graph.meaning is not None
    names = {layer: node for node, layer in source.foreign.nodes.items()}
    found = Search(lambda _: source.graph, recording, names).held_against(source.graph.meaning)
    if found is None:
        raise GraphError(f"{source.path}: cannot be replayed; record the neurons of every recurrent connection")
    return {key: value for key, value in (found.to_json() | {"exact": found.exact}).items() if key in TOLD}
