"""Measuring: a network is run on the reference executor, counted, and held against early exits, in one pass.

It gives what a report says (`Measured`), and for each single sample what a comparison pairs with another network's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asnn_deploy.energy.counts import Counter
from asnn_deploy.energy.estimate import energy, sample_energies
from asnn_deploy.energy.profiles import Profile
from asnn_deploy.energy.results import KEYS, Counts
from asnn_deploy.engine.early_exit import Outcomes, candidate_margins, curve
from asnn_deploy.engine.runner import Runner
from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import batches

BATCH = 256


@dataclass(frozen=True)
class Measured:
    """What a network did with some labelled samples.

    early_exit: what `early_exit.curve` says; None where no calibration samples were given.
    samples: by name an array `[N]`: labels, predictions, sops, acs, macs, spikes, and `energy/PROFILE`, the middle
        estimate in joules.
    fingerprint: SHA-256 of the images and labels in their order.
    """

    counts: Counts
    early_exit: dict[str, Any] | None
    samples: dict[str, Array] = field(repr=False)
    fingerprint: str


def measure(
    graph: DeployGraph,
    images: Array,
    labels: Array,
    profiles: Sequence[Profile],
    calibration: tuple[Array, Array] | None = None,
) -> Measured:
    """Run and count uint8 images `[N, C, H, W]` with labels `[N]`.

    calibration: images and labels of another split, on which exit margins are chosen. Raises InputError
    without samples.
    """
    if not len(images):
        raise InputError("0 samples: a report needs at least 1")
    counter = Counter(graph)
    with Runner(graph) as runner:
        chosen = _calibrate(runner, *calibration) if calibration is not None else None
        test = Outcomes(chosen.margins if chosen else (), graph.time_steps, graph.readout.rule)
        rows = []
        for cut in batches(len(images), BATCH, "count"):
            answered = labels[cut]
            trace, table = counter.observe(
                runner,
                images[cut],
                answered,
                lambda logits, answered=answered: test.add(logits, answered),  # type: ignore[misc]
            )
            rows.append(_single(trace, answered, table, counter, profiles))
    counts = counter.result()
    costs = {margin: _cost(counter.result(margin), profiles) for margin in test.margins}
    return Measured(
        counts,
        curve(chosen, test, costs) if chosen else None,
        {name: np.concatenate([row[name] for row in rows]) for name in rows[0]},
        fingerprint(images, labels),
    )


def fingerprint(images: Array, labels: Array) -> str:
    """SHA-256 of uint8 images and labels, in their order."""
    digest = hashlib.sha256(str(images.shape).encode())
    digest.update(images.astype(np.uint8).tobytes())
    digest.update(np.asarray(labels).astype("<i8").tobytes())
    return digest.hexdigest()


def _calibrate(runner: Runner, images: Array, labels: Array) -> Outcomes:
    """Exit margins worth trying, and what each does to the calibration samples."""
    record = Record(step_logits=True)
    traces = [runner.run(images[cut], record) for cut in batches(len(images), BATCH, "choose exit margins")]
    logits = Trace.concatenate(traces).step_logits
    assert logits is not None
    rule = runner.graph.readout.rule
    outcomes = Outcomes(candidate_margins(logits, rule=rule), runner.graph.time_steps, rule)
    outcomes.add(logits, labels)
    return outcomes


def _cost(counts: Counts, profiles: Sequence[Profile]) -> dict[str, Any]:
    joules = {profile.name: energy(profile, counts).energy_joules.mid for profile in profiles}
    return {"sops": counts.sops.mean, "energy_joules": joules}


def _single(
    trace: Trace, labels: Array, table: Array, counter: Counter, profiles: Sequence[Profile]
) -> dict[str, Array]:
    """Each sample of a batch by itself; table: its counts `[B, layers, KEYS]`."""
    totals = dict(zip(KEYS, table.sum(axis=1).T))
    layers = tuple(counter.sizes.values())
    steps = counter.graph.time_steps
    return {
        "labels": np.asarray(labels, np.int64),
        "predictions": trace.predictions,
        "sops": totals["acs"] + totals["macs"],
        "acs": totals["acs"],
        "macs": totals["macs"],
        "spikes": totals["spikes_out"],
    } | {f"energy/{p.name}": sample_energies(p, layers, table, steps) for p in profiles}
