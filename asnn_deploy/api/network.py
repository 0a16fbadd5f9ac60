"""What the public functions take: a network, by its path or as a graph, and data, by name or as arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.source import Source, open_source
from asnn_deploy.errors import DataError, InputError
from asnn_deploy.input.choices import inheriting
from asnn_deploy.input.data import Data, as_images, channels_last, load_data, load_sequences
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
        loaded = given()
        check_type(loaded, Data, "data", "loaded data from what loads them")
        return loaded
    if isinstance(given, str) or given is None:
        if given is None and source.data is None:
            raise DataError(f"{source.path}: remembers no data; name a data set, or give images")
        return load_for(source, spec_of(source, given))
    images, labels = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    return _in_memory(source.graph, array_of(images, "images"), labels)


def spec_of(source: Source, given: str | None) -> str:
    """Return the text of data, with what the network's own data choose and this does not say."""
    return str(source.data) if given is None else inheriting(given, source.data)


def load_for(source: Source, spec: str, download: bool = False) -> Data:
    """Load data as a network takes them: frames may be without labels. Raises DataError."""
    return (load_data if source.graph.code.kind == "image" else load_sequences)(spec, download)


def _in_memory(graph: DeployGraph, images: Array, labels: Any) -> Data:
    """Data that a user has in memory, which are all splits."""
    kind = "image" if graph.code.kind == "image" else "values"
    images = as_images(channels_last(images, "images"), "images") if kind == "image" else images
    known: dict[str, Array] = {}
    if labels is not None:
        labels = array_of(labels, "labels")
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
            raise DataError(
                f"labels: shape {labels.shape} and type {labels.dtype}; expected whole numbers from 0, one for each of "
                f"the {len(images)} samples"
            )
        known = dict.fromkeys(("train", "test"), labels.astype(np.int64))
    classes = int(labels.max()) + 1 if known and len(images) else 0
    return Data(ARRAYS, dict.fromkeys(("train", "test"), images), known, classes, kind)


def taken(
    source: Source, data: Data, split: str = "test", limit: int | None = None, allow_empty: bool = False
) -> Taken:
    """Return the first samples of a split as the network reads them; one that is open to any frames settles on these.

    Raises DataError naming the data unless the network takes them and answers their labels, and if there are none.
    """
    if limit is not None:
        check_count(limit, "limit")
    if not len(data.images[split]) and not allow_empty:
        raise DataError(f"data {data.spec}: there are no samples")
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
    if "\0" in os.fspath(value):
        raise InputError(f"{name} = {str(value)[:80]!r}: a path holds no zero character")
    return Path(value)


def names_of(value: Any, name: str) -> tuple[str, ...]:
    """Return one name, or several, as several. Raises InputError naming the argument if it is neither."""
    if isinstance(value, (str, os.PathLike)):
        return (os.fspath(value),)
    check_type(value, (tuple, list, set, frozenset, dict), name, "a name, or a list of names")
    for one in value:
        check_type(one, (str, os.PathLike), f"one of {name}", "a name")
    return tuple(os.fspath(one) for one in value)


def settings_of(value: Any) -> dict[str, Any]:
    """Return settings by key. Raises InputError if they are not."""
    if value is None:
        return {}
    check_type(value, Mapping, "settings", 'values by key, such as {"key": "value"}')
    for key in value:
        check_type(key, str, "a key of settings", "a text")
    return dict(value)


def array_of(value: Any, name: str) -> Array:
    """Return an array. Raises DataError naming the argument if it is not one."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(
            f"{name}: is not an array, its parts differ in shape; images and their labels are given as a tuple of two"
        ) from None
    if array.dtype == object:
        raise DataError(f"{name} = {str(value)[:80]!r}: is not an array of numbers")
    return array


def check_type(value: Any, kinds: Any, name: str, expected: str) -> None:
    """Raise InputError for an argument of another type."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise InputError(f"{name} = {str(value)[:80]!r} ({type(value).__name__}): expected {expected}")


def check_count(value: Any, name: str, least: int = 1) -> None:
    """Raise InputError unless an argument is a whole number, and large enough."""
    check_type(value, int, name, "a whole number")
    if value < least:
        raise InputError(f"{name} = {value}: must be at least {least}")
