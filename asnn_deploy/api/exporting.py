"""`export`: a network as files of a format."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asnn_deploy.api.integers import with_bits
from asnn_deploy.api.network import ARRAYS, Network, Samples, check_type, data_of, opened, path_of, settings_of, taken
from asnn_deploy.deploy.bundle import write_bundle, write_file
from asnn_deploy.deploy.exporters import EXPORTERS, Exporter
from asnn_deploy.deploy.reading import is_settled
from asnn_deploy.deploy.source import Source
from asnn_deploy.errors import DataError, DeployNote, InputError
from asnn_deploy.input.data import Data

PORTABLE = "portable"
"""The dialect that holds networks for any number of steps."""
KEPT = ("test_accuracy", "snapping")
"""What a bundle keeps of a run's summary."""


@dataclass(frozen=True)
class Exported:
    """What was written: a file or a bundle's folder, its format, and the time steps it runs (None: any number)."""

    path: Path
    format: str
    time_steps: int | None


def export(
    net: Network,
    target: str,
    out: str | os.PathLike[str],
    *,
    bits: int | None = None,
    data: Samples = None,
    settings: Mapping[str, str] | None = None,
) -> Exported:
    """Write a network for a target: one file if `out` ends in .nir or .onnx, else a bundle with all that it needs.

    target: "nir", "onnx", "lava", or another exporter. bits: weight bits of its integer version, chosen on training
    samples of the data. data: the data set that a bundle remembers; default: the network's own. settings: of the
    format, such as {"processes": "stock"} for lava or {"dialect": "portable", "for": "snntorch"} for nir.
    Returns what was written. What is not exactly as it was is said by DeployNotes; nothing is written unless all of it
    can be.
    Raises InputError for a target, setting or place that cannot be used, UnsupportedError naming the layer that the
    format cannot hold.
    """
    check_type(target, str, "target", "an exporter's name")
    exporter = EXPORTERS.available(target)
    options = with_defaults(exporter, settings_of(settings))
    path = path_of(out, "out")
    with opened(net) as source:
        known = None if data is None else data_of(source, data)
        if options.get("dialect") != PORTABLE or source.reading.snapped:
            settle(source, known)
        elif bits is not None or known is not None:
            raise InputError("a portable NIR file holds neither weight bits nor data")
        _write(source, exporter, path, bits, known, options)
        return Exported(path, target, source.graph.code.time_steps)


def with_defaults(exporter: Exporter, settings: Mapping[str, str]) -> dict[str, str]:
    """Return all settings of an exporter: what is given, else its defaults. Raises InputError with the nearest name."""
    for key, value in settings.items():
        exporter.check_setting(key, value)
    chosen = {key: values[0] for key, values in exporter.settings.items()} | dict(settings)
    if settings.get("for") is not None and chosen.get("dialect") != PORTABLE:
        raise InputError(f"only a NIR file of the dialect {PORTABLE} is written for a tool")
    return chosen


def settle(source: Source, data: Data | None) -> None:
    """Settle what enters a network of another tool by the data; without them, spikes over the stated steps.

    Raises InputError if no number of steps was stated.
    """
    if is_settled(source.graph):
        return
    if data is not None:
        taken(source, data)
        return
    if source.graph.any_length:
        raise InputError(f"{source.path}: takes sequences of any length; state the number of time steps, or give data")
    if not getattr(source.graph.code, "stated", True):
        warnings.warn("spikes are taken to enter, 0 or 1", DeployNote, stacklevel=2)
    source.settle_for_spikes()


def _write(
    source: Source, exporter: Exporter, out: Path, bits: int | None, data: Data | None, options: dict[str, Any]
) -> None:
    """Write one file, if `out` ends as a format's files do, or a bundle."""
    alone = is_file(exporter, out)
    if alone and bits is not None and not exporter.carries_bits:
        raise InputError(
            f"{out}: a {exporter.suffix} file holds the float network only, no weights of {bits} bits; export a bundle"
        )
    if alone and source.graph.meaning is not None and is_unchanged(source, options):
        exporter.restate(source.path, out, source.graph.meaning)
        return
    graph = source.graph
    if bits is not None and bits != graph.quantization.bits:
        if data is None and source.data is None:
            raise DataError(f"weights of {bits} bits: are chosen on data, and {source.path} remembers none; give data")
        graph = with_bits(source, bits, data_of(source, data))
    options["tell"] = lambda note: warnings.warn(note, DeployNote, stacklevel=2)
    if alone:
        write_file(graph, exporter, out, **options)
        return
    remembered = source.data if data is None else data.spec if data.spec != ARRAYS else None
    if data is not None:  # what a bundle remembers must be readable
        source.called(data.class_names)
    kept = {key: source.summary[key] for key in KEPT if key in source.summary}
    kept |= {"class_names": source.class_names} if source.class_names else {}
    ours = graph is source.graph and graph.meaning is None  # another tool's network is kept in its own nodes
    network = source.deployment.file("nir") if ours else None
    write_bundle(graph, exporter.name, out, remembered, kept, network, **options)


def is_unchanged(source: Source, options: Mapping[str, str]) -> bool:
    """Whether a file of another tool is to be written as it came: portable, for anyone, and its network as it is."""
    as_read = source.foreign is not None and not (
        source.reading.snapped or source.reading.coding or source.reading.round_delays
    )
    others = {key: value for key, value in options.items() if key != "dialect"}
    return as_read and options.get("dialect") == PORTABLE and others == {"for": "anyone"}


def is_file(exporter: Exporter, out: Path) -> bool:
    """Whether the exporter writes `out` as one file. Raises InputError if that is another's, or a folder."""
    if out.suffix and out.suffix == exporter.suffix:
        if out.is_dir():
            raise InputError(f"{out}: is a folder; choose another place")
        return True
    if out.suffix in {EXPORTERS.find(name).suffix for name in EXPORTERS if not EXPORTERS.problem(name)}:
        raise InputError(f"{out}: exporter {exporter.name!r} does not write {out.suffix} files")
    return False
