"""Data sets as torchvision keeps them in folders, and its downloads."""

from __future__ import annotations

import gzip
import io
import math
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from asnn_deploy.errors import DataError, InputError
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.files import check_place, describe, making_folder
from asnn_deploy.util.progress import phase

Reader = Callable[[Path, bool], tuple[dict[str, Array], int | tuple[str, ...]]]
"""The path that is given, and whether what is not there may be downloaded, to the arrays and the classes."""
IDX_NAMES = ("MNIST", "FashionMNIST")
"""Folders of files with the same names; only the folder's name tells them apart."""
PATIENCE = 15.0
"""Seconds without an answer after which a server is given up."""


def idx_reader(name: str) -> Reader:
    """Return a reader of torchvision's MNIST-like folders, `DIR/<name>/raw/*-ubyte[.gz]`.

    It takes the folder with the files, its parent, or the one above.
    """

    def read(root: Path, download: bool) -> tuple[dict[str, Array], int]:
        usual = Path(name) / "raw"
        folder = _found(root, [root / usual, root / "raw", root], lambda place: any(place.glob("*-ubyte*")))
        if folder is None and (root / usual).is_dir():
            raise DataError(
                f"{root / usual}: holds none of the files of {name}; give the folder that does, or remove this one and "
                f"{ALLOW}"
            )
        if folder is None:
            _download(name, root, download)
        folder = folder or root / usual
        for other in IDX_NAMES:
            if other != name and other in (folder.name, folder.parent.name):
                raise DataError(f"{folder}: holds {other}, not {name}; give the folder of {name}")
        arrays = {}
        for split, prefix in (("train", "train"), ("test", "t10k")):
            arrays[f"x_{split}"] = _read_idx(folder / f"{prefix}-images-idx3-ubyte", 3)
            arrays[f"y_{split}"] = _read_idx(folder / f"{prefix}-labels-idx1-ubyte", 1)
        return arrays, 10

    return read


def cifar_reader(name: str) -> Reader:
    """Return a reader of torchvision's CIFAR folders; torchvision checks their MD5 sums before it reads them.

    It takes the folder with the files, its parent, or the one above.
    """

    def read(root: Path, download: bool) -> tuple[dict[str, Array], tuple[str, ...]]:
        from torchvision import datasets

        make = getattr(datasets, name)
        above = [Path(os.path.realpath(root)).parent] if Path(os.path.realpath(root)).name == make.base_folder else []
        below = [place.parent for place in sorted(root.glob(f"*/{make.base_folder}"))]
        parent = _found(root, [root, *above, *below], lambda place: (place / make.base_folder).is_dir())
        if parent is None:
            _download(name, root, download)
        parent = parent or root
        try:
            parts = {split: make(parent, train=split == "train", download=False) for split in ("train", "test")}
        except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
            reason = "a file is missing or damaged" if "download=True" in str(error) else f"damaged ({describe(error)})"
            raise DataError(f"{parent / make.base_folder}: {reason}; remove that folder and {ALLOW}") from None
        arrays = {f"x_{split}": part.data for split, part in parts.items()}
        labels = {f"y_{split}": np.array(part.targets) for split, part in parts.items()}
        return arrays | labels, tuple(parts["train"].classes)

    return read


def _found(root: Path, places: list[Path], fits: Callable[[Path], bool]) -> Path | None:
    """The first place that fits. Raises DataError if what was given is a file."""
    if root.exists() and not root.is_dir():
        raise DataError(f"{root}: is a file; give the folder that holds the data set")
    return next((place for place in places if place.is_dir() and fits(place)), None)


def _read_idx(path: Path, dimensions: int) -> Array:
    """One IDX file of unsigned bytes, gzipped or not (format: LeCun et al., the MNIST database's page)."""
    packed = path.with_name(path.name + ".gz")
    source = packed if not path.exists() and packed.exists() else path
    try:
        content = gzip.decompress(source.read_bytes()) if source is packed else source.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}[.gz]: no such file; give the folder that holds torchvision's files") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{source}: damaged ({describe(error)}); fetch it again") from None
    header = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    if content[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(f"{source}: not an IDX file of {dimensions}-dimensional bytes; fetch it again")
    expected = math.prod(sizes)
    if len(content) < header:
        raise DataError(f"{source}: truncated: it has no whole header; fetch it again")
    if len(content) - header != expected:
        raise DataError(f"{source}: truncated: {len(content) - header} of {expected} bytes; fetch it again")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes).copy()


ALLOW = "allow the download"
"""What a message advises where data are absent and may not be fetched."""


def _download(name: str, root: Path, allowed: bool) -> None:
    """Let torchvision fetch a data set into a folder, whole or not at all. Raises DataError if it does not come."""
    from torchvision import datasets

    absent = f"{root}: holds no {name} data"
    remedy = "give the folder that holds torchvision's files"
    if not allowed:
        raise DataError(f"{absent}; {remedy}, or {ALLOW}")
    check_place(root)
    try:
        with making_folder(root), tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            with _fetching(name):
                getattr(datasets, name)(Path(temporary), download=True)
            for entry in Path(temporary).iterdir():
                os.replace(entry, root / entry.name)
    except (OSError, RuntimeError, EOFError, InputError):  # torchvision raises three, by where the download broke off
        raise DataError(
            f"{absent}, and it could not be downloaded; {remedy}, or look at the network connection"
        ) from None


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    """What torchvision prints is kept back, our own progress is told; a server that is silent is given up."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        with phase(f"download {name}"), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
