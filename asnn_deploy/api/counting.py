"""`report`: what an inference takes and would cost."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asnn_deploy.api.network import (
    ARRAYS,
    GRAPH,
    Network,
    Samples,
    check_count,
    check_type,
    data_of,
    names_of,
    opened,
    path_of,
    taken,
)
from asnn_deploy.api.simulating import SAMPLES, profiles_and_simulators, simulate
from asnn_deploy.deploy.bundle import claimed_folder
from asnn_deploy.deploy.source import Source
from asnn_deploy.energy.measure import Measured, measure
from asnn_deploy.energy.packets import packets
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import DeployNote, GraphError, InputError
from asnn_deploy.fitting import fit, load_chip
from asnn_deploy.fitting.activity import activity
from asnn_deploy.fitting.latency import Latency, latency, no_latency
from asnn_deploy.input.data import Data
from asnn_deploy.ir.serialize import fingerprint
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantization_report
from asnn_deploy.reporting import Example, build, write
from asnn_deploy.reporting.figures import Packets, PlacedFit, Report
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase
from asnn_deploy.verifying.document import Verification, read_verification

CHIPS = ("loihi1", "loihi2")
EXIT_SAMPLES = 1000
"""Training samples on which the margins of early exits are chosen."""
QUANTIZATION_SAMPLES = 256
"""The integer network is held against the float one on at most this many samples; whole traces are kept meanwhile."""
CHIP_SAMPLES = 64
"""Packets between cores, and what each core does, are counted on at most this many samples, for the same reason."""
VERIFY_FILE = "verify.json"


@dataclass(frozen=True)
class Wish:
    """What a report is to show, see `report`."""

    profiles: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    sample: int = 0
    simulate_samples: int = SAMPLES


def report(
    net: Network,
    data: Samples = None,
    out: str | os.PathLike[str] | None = None,
    *,
    profiles: Sequence[str] = (),
    chips: Sequence[str] = (),
    limit: int | None = None,
    verification: Verification | str | os.PathLike[str] | None = None,
    sample: int = 0,
    simulate_samples: int = SAMPLES,
    summary: bool = False,
) -> Report:
    """Count every operation and spike on labelled samples, and price them by published constants.

    data: "NAME[:PATH]", or images and labels; default: the network's own. out: a folder for report.html, report.json
    and report.md; default: nothing is written. profiles: of energy, by name or as TOML files, and simulators; default:
    all profiles. chips: to place the network on; default: loihi1 and loihi2. verification: as `verify` returns it, or
    a file that `verify --json` wrote; default: the network's folder's own, if there is one. sample: the one that the
    page shows spike by spike. simulate_samples: samples that simulators replay. summary: also write the summary alone,
    on one A4 page, as summary.html and summary.png.
    Returns a Report. Raises AsnnDeployError.
    """
    check_count(sample, "sample", 0)
    check_count(simulate_samples, "simulate_samples")
    profiles, chips = names_of(profiles, "profiles"), names_of(chips, "chips")
    profiles_and_simulators(profiles)  # names that are none are said before anything is loaded
    for chip in chips:
        load_chip(chip)
    given, where = _given(verification)
    wish = Wish(profiles, chips, sample, simulate_samples)
    folder = None if out is None else path_of(out, "out")
    with ExitStack() as stack:
        if folder is not None:
            stack.enter_context(claimed_folder(folder, "report.json"))
        source = stack.enter_context(opened(net))
        verified = _verified(source, given, where)  # before data settle what enters
        samples = data_of(source, data)
        images, labels = taken(source, samples, "test", limit).labelled(samples, "test")
        if sample >= len(images):
            raise InputError(f"sample {sample}: there are {len(images)} samples, numbered 0 to {len(images) - 1}")
        found, measured = _counted(source, samples, images, labels, wish, verified)
        if folder is not None:
            with phase("draw the report"):
                write(found, folder, _example(source, images, labels, sample), measured.samples, summary)
    return found


def _given(verification: Verification | str | os.PathLike[str] | None) -> tuple[Verification | None, str]:
    """Return the verification that is given, and what messages call it. Raises InputError if it is not one."""
    if isinstance(verification, (str, os.PathLike)):
        return read_verification(Path(verification)), os.fspath(verification)
    if verification is not None:
        check_type(verification, Verification, "verification", "what verify returns, or its file")
    return verification, "the verification"


def _verified(source: Source, given: Verification | None, where: str) -> Verification | None:
    """Return the verification that is given, or the one in the network's folder, unless it is of another network.

    Raises InputError if the given one is.
    """
    found = given
    if given is None:
        file = source.path / VERIFY_FILE
        if source.kind == GRAPH or not file.is_file():
            return None
        found, where = read_verification(file), str(file)
    assert found is not None
    if found.network_sha256 is None:
        warnings.warn(
            f"{where}: does not say which network it verified; verify again to know", DeployNote, stacklevel=2
        )
    elif found.network_sha256 != fingerprint(source.graph):
        if given is not None:
            raise InputError(
                f"{where}: is of another network, or of another state of it; verify this one, {source.path}"
            )
        text = f"{where}: is of another state of the network and left out of the report; verify again"
        warnings.warn(text, DeployNote, stacklevel=2)
        return None
    return found


def _counted(
    source: Source, data: Data, images: Array, labels: Array, wish: Wish, verified: Verification | None
) -> tuple[Report, Measured]:
    """Run the reference and count."""
    profiles, simulators = profiles_and_simulators(wish.profiles)
    simulated = simulate(source, images, simulators, wish.simulate_samples)
    fits, times = _on_chips(source, wish.chips, images)
    measured = measure(source.graph, images, labels, profiles, _calibration(source, data))
    found = build(
        source.graph,
        measured.counts,
        profiles,
        data=None if data.spec == ARRAYS else data.spec,
        network=None if source.kind == GRAPH else source.path.name,
        class_names=source.class_names,
        samples_sha256=measured.fingerprint,
        early_exit=measured.early_exit,
        simulated=simulated,
        fit=fits,
        latency=times,
        quantization=_quantized(source, images, labels),
        verify=verified,
    )
    return found, measured


def _calibration(source: Source, data: Data) -> tuple[Array, Array] | None:
    """Return the samples on which margins of early exits are chosen; None if there are only those that are counted."""
    if data.images["train"] is data.images["test"]:
        return None
    return taken(source, data, "train", EXIT_SAMPLES).labelled(data, "train")


def _example(source: Source, images: Array, labels: Array, sample: int) -> Example:
    """Return the reference's run of one sample, as the page draws it; it keeps its number."""
    one = slice(sample, sample + 1)
    trace = run(source.graph, images[one], Record(spikes=True, step_logits=True))
    return replace(Example.of(source.graph, images[one], trace, 0, labels[one]), index=sample)


def _on_chips(
    source: Source, chips: Sequence[str], images: Array
) -> tuple[dict[str, PlacedFit], dict[str, Latency | str]]:
    """Return the network on each chip, as `fit --json` has it, with the packets that its spikes become there; and its
    latency, or a sentence if there is none."""
    images = images[:CHIP_SAMPLES]
    trace = run(source.graph, images, Record(spikes=True))
    fits: dict[str, PlacedFit] = {}
    times: dict[str, Latency | str] = {}
    for name in dict.fromkeys(chips or CHIPS):
        placed = fit(source.graph, load_chip(name))
        chip = placed.placement.chip
        work = None if chip.times is None else activity(source.graph, placed.placement, images, trace)
        times[chip.name] = no_latency(chip) if work is None else latency(placed.placement, work)
        sent = packets(source.graph, placed.placement.destinations, images, trace)
        means = {layer: float(count.mean()) for layer, count in sent.items()}
        fits[chip.name] = PlacedFit(
            **dict(placed.document()), packets=Packets(samples=len(images), total=sum(means.values()), sources=means)
        )
    return fits, times


def _quantized(source: Source, images: Array, labels: Array) -> dict[str, Any] | None:
    """Return what quantisation does on some of the samples; None where the network has no integer version."""
    try:
        return quantization_report(source.graph, images[:QUANTIZATION_SAMPLES], labels[:QUANTIZATION_SAMPLES])
    except GraphError as error:
        warnings.warn(f"no integer version: {error}", DeployNote, stacklevel=2)
        return None
