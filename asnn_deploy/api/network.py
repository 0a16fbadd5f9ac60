"""What the public functions take: a network, by its path or as a graph, and data, by name or as arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.source import Source, open_source
from asnn_deploy.errors import DataError, InputError
from asnn_deploy.input.choices import inheriting
from asnn_deploy.input.data import Data, as_images, load_data, load_sequences
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.preprocessing import prepare
from asnn_deploy.util.arrays import Array

Network: TypeAlias = "DeployGraph | Source | str | os.PathLike[str]"
"""A network: as `load` returns it; the path of a run folder, a bundle or a .nir file; or such a path, opened."""
Samples: TypeAlias = "str | Data | Callable[[], Data] | Array | tuple[Array, Array] | None"
"""Data: "NAME[:PATH]", loaded data or what loads them, images (or frames), or these and their labels; None: the
network's own."""
DEFAULT_BATCH = 64
CALIBRATION_SAMPLES = 256
"""Training samples on which an integer version's choices are made."""
GRAPH = "graph"
"""The kind of a Source that is no path."""
ARRAYS = "arrays"
"""What messages call data that have no name."""


class Taken(NamedTuple):
    """Samples as a network reads them: images `[N, C, H, W]` or frames `[N, T, ...]`; labels `[N]`, if known."""

    images: Array
    labels: Array | None

    def labelled(self, data: Data, split: str) -> tuple[Array, Array]:
        """Return both. Raises DataError if the labels are not known."""
        if self.labels is None and data.spec == ARRAYS:
            raise DataError("labels are needed too; give (images, labels)")
        if self.labels is None:
            raise DataError(f"data {data.spec}: lacks 'y_{split}', the labels, which this needs")
        return self.images, self.labels


@contextmanager
def opened(net: Network) -> Iterator[Source]:
    """Open a network, and close it in the end unless it was open. Raises AsnnDeployError."""
    if isinstance(net, Source):
        yield net
        return
    if isinstance(net, DeployGraph):
        source = Source(Path("network"), GRAPH, Deployment(net), None, {})
    else:
        source = open_source(path_of(net, "net", "a network, as asnn_deploy.load returns it, or a path"))
    with source.deployment:
        yield source


def data_of(source: Source, given: Samples) -> Data:
    """Return data as they were loaded, or load them by their name. Raises DataError."""
    if isinstance(given, Data):
        return given
    if callable(given):
        return given()
    if isinstance(given, str) or given is None:
        if given is None and source.data is None:
            raise DataError(f"{source.path}: remembers no data; name a data set, or give images")
        return load_for(source, spec_of(source, given))
    images, labels = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    return _in_memory(source.graph, np.asarray(images), labels)


def spec_of(source: Source, given: str | None) -> str:
    """Return the text of data, with what the network's own data choose and this does not say."""
    return str(source.data) if given is None else inheriting(given, source.data)


def load_for(source: Source, spec: str, download: bool = False) -> Data:
    """Load data as a network takes them: frames may be without labels. Raises DataError."""
    return (load_data if source.graph.code.kind == "image" else load_sequences)(spec, download)


def _in_memory(graph: DeployGraph, images: Array, labels: Any) -> Data:
    """Data that a user has in memory, which are all splits."""
    kind = "image" if graph.code.kind == "image" else "values"
    images = as_images(images, "images") if kind == "image" else images
    known: dict[str, Array] = {}
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
            raise DataError(
                f"labels: shape {labels.shape} and type {labels.dtype}; expected whole numbers from 0, one for each of "
                f"the {len(images)} samples"
            )
        known = dict.fromkeys(("train", "test"), labels.astype(np.int64))
    classes = int(labels.max()) + 1 if known and len(images) else 0
    return Data(ARRAYS, dict.fromkeys(("train", "test"), images), known, classes, kind)


def taken(source: Source, data: Data, split: str = "test", limit: int | None = None) -> Taken:
    """Return the first samples of a split as the network reads them; one that is open to any frames settles on these.

    Raises DataError naming the data unless the network takes them and answers their labels.
    """
    graph = source.graph
    if graph.code.kind == "sequence" and data.kind != "image":
        # What is the largest, and whether only spikes enter, is asked of all data of that length.
        alike = [x for x in data.images.values() if x.shape[1:] == data.images[split].shape[1:]]
        source.settle(np.concatenate(alike))
        graph = source.graph
    check_data(data, graph, split)
    try:
        source.called(data.class_names)
    except DataError as error:
        raise DataError(f"data {data.spec}: {error}") from None
    images, labels = data.images[split][:limit], data.labels[split][:limit] if split in data.labels else None
    return Taken(prepare(graph.code.preparation, images).astype(graph.code.dtype, copy=False), labels)


def check_data(data: Data, graph: DeployGraph, split: str) -> None:
    """Raise DataError unless a network takes a split's samples and answers their labels."""
    where, kind = f"data {data.spec}", "image" if graph.code.kind == "image" else "sequence"
    if (data.kind == "image") != (kind == "image"):
        raise DataError(f"{where}: holds {data.kind}s, the network takes {kind}s")
    graph.code.check(data.images[split], graph.input_shape, where)
    if data.classes > graph.classes:
        raise DataError(f"{where}: has {data.classes} classes, the network answers {graph.classes}")


def path_of(value: Any, name: str, expected: str = "a path") -> Path:
    """Return a path. Raises InputError naming the argument if it is not one."""
    check_type(value, (str, os.PathLike), name, expected)
    return Path(value)


def check_type(value: Any, kinds: Any, name: str, expected: str) -> None:
    """Raise InputError for an argument of another type."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise InputError(f"{name} = {str(value)[:80]!r} ({type(value).__name__}): expected {expected}")


def check_count(value: Any, name: str, least: int = 1) -> None:
    """Raise InputError unless an argument is a whole number, and large enough."""
    check_type(value, int, name, "a whole number")
    if value < least:
        raise InputError(f"{name} = {value}: must be at least {least}")
