"""NIR files on disk: written whole or not at all, identical arrays once; read with every damage as one clear error."""

from __future__ import annotations

import hashlib
import io
import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError
from asnn_deploy.util.files import describe, replacing
from asnn_exporters.nir import extension

LARGEST = 16 * 2**30
"""Bytes that a file may unpack to; an honest network stays far below, a made-up one must not exhaust the memory."""
FOREIGN = {
    b"version https://git-lfs": "it is a Git LFS pointer, which stands for the file; run `git lfs pull`",
    b"PK\x03\x04": "it is a zip archive, as torch.save writes them; export the network with nir.write",
    b"\x80": "it is a Python pickle; export the network with nir.write",
}
"""What other files begin with: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md; zip's local file header
(APPNOTE.TXT 4.3.7); pickle's PROTO opcode (pickletools)."""
SIGNATURE, HEAP = b"\x89HDF\r\n\x1a\n", b"GCOL\x01\0\0\0"
"""What HDF5 files and their heaps of texts begin with: HDF5 File Format Specification 3.0, sections II.A and III.E."""
SMALL = 512
"""Arrays of fewer bytes are stored as they are: HDF5's bookkeeping for compressed ones would take more."""


def save(path: Path, nir_graph: Any) -> None:
    """Write a `nir.NIRGraph`. Raises InputError where the file cannot be written; an older file then stays whole."""
    image = file_image(nir_graph)
    with replacing(path) as temporary:
        temporary.write_bytes(image)


def file_image(nir_graph: Any) -> bytes:
    """The file's bytes: what `nir.write` writes, with equal arrays and texts stored once and linked."""
    import h5py
    import nir

    buffer = io.BytesIO()
    nir.write(buffer, nir_graph, compression=None)
    shared = io.BytesIO()
    # Version 1.10 (2016) of the format takes a third of the bookkeeping for the hundreds of groups and small arrays.
    with h5py.File(buffer, "r") as source, h5py.File(shared, "w", libver=("v110", "v110")) as target:
        _share(source, target, {})
    return shared.getvalue()


def _share(source: Any, target: Any, seen: dict[Any, Any]) -> None:
    """Copy a group; datasets with equal content become hard links to the first of them."""
    import h5py

    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _share(item, target.create_group(name), seen)
            continue
        value = item[()]
        key = _content(value)
        if key in seen:
            target[name] = seen[key]
            continue
        # Texts get a fixed length: HDF5 keeps those of any length in a heap without checksums, where damage can make
        # its reader loop for ever.
        array = np.asarray(value, dtype="S" if item.dtype.kind == "O" else None)
        packed = array.ndim and array.nbytes >= SMALL
        options = {"compression": "gzip", "shuffle": True} if packed else {}
        seen[key] = target.create_dataset(name, data=array, **options)


def _content(value: Any) -> Any:
    """A key that is equal for equal datasets."""
    if isinstance(value, bytes):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return tuple(map(tuple, array.tolist()))
    return array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()


def load(path: Path) -> Any:
    """The `nir.NIRGraph` of a file, type-checked by NIR. Raises BundleError naming the file."""
    path = Path(path)
    problem = obvious_problem(path)
    if problem:
        raise BundleError(f"{path}: {problem}")
    import nir

    try:
        check_texts(path)
        check_size(path)
        graph = _read_extended(path) if _has_extensions(path) else nir.read(path)
    # NIR's reader raises whatever comes: bare AssertionErrors, KeyErrors, TypeErrors from constructors.
    except Exception as error:
        raise BundleError(f"{path}: cannot be read as a NIR file ({short(error)}); export it again") from error
    if not isinstance(graph, nir.NIRGraph):
        raise BundleError(f"{path}: holds a single {type(graph).__name__} node, expected a NIR graph")
    return graph


def _has_extensions(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        nodes = file["node"].get("nodes", {})
        return any(node["type"][()].decode() in extension.FIELDS for node in nodes.values())


def _read_extended(path: Path) -> Any:
    import h5py
    from nir.serialization import hdf2dict

    with h5py.File(path, "r") as file:
        return extension.graph_from(hdf2dict(file["node"]))


def obvious_problem(path: Path) -> str | None:
    """Return why a path cannot be a NIR file, as far as that shows without reading it; None if it may be one."""
    import h5py

    if not path.exists():
        return "no such file"
    if not path.is_file():
        return "not a file; expected a .nir file"
    try:
        if path.stat().st_size == 0:
            return "is empty; export it again"
        if not h5py.is_hdf5(path):
            return f"not a NIR file (it is not an HDF5 file){_foreign(path)}"
        h5py.File(path, "r").close()
    except OSError as error:
        lengths = re.search(r"eof = (\d+),.* stored_eof = (\d+)", str(error))
        if lengths:
            return f"is cut off: {lengths[1]} of its {lengths[2]} bytes are there; copy or export it again"
        return f"cannot be read ({error.strerror or describe(error)})"
    return None


def _foreign(path: Path) -> str:
    """What a file is that is not an HDF5 file, where its first bytes tell, and the remedy."""
    with path.open("rb") as file:
        start = file.read(64)
    found = next((what for first, what in FOREIGN.items() if start.startswith(first)), None)
    return "" if found is None else f": {found}"


def check_size(path: Path) -> None:
    """Raise ValueError where a file unpacks to too much, leads outside itself, or holds itself."""
    import h5py

    with h5py.File(path, "r") as file:
        waiting, seen, size = [file], set(), 0
        while waiting:
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name!r} is a link to elsewhere")
                item = group[name]
                if isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        raise ValueError(f"{name!r} is stored outside the file")
                    size += item.nbytes
                elif item in seen:
                    raise ValueError(f"{name!r} is a group that stands elsewhere too")
                else:
                    waiting.append(item)
                    seen.add(item)
                if size > LARGEST:
                    raise ValueError(f"it unpacks to more than {LARGEST / 2**30:.0f} GiB")


def check_texts(path: Path) -> None:
    """Raise ValueError where texts are stored in damaged heaps: HDF5's reader would follow them for ever.

    Texts of any length, as nir.write writes them, lie in heaps without checksums: objects one after another, each with
    its length; object 0 is what is free. Source: HDF5 File Format Specification 3.0, section III.E (Global Heap).
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        if image[:8] != SIGNATURE or image[14 if image[8] < 2 else 10] != 8:
            return  # lengths of other than 8 bytes: not written by h5py
        start = image.find(HEAP)
        while start >= 0:
            at, end = start + 16, start + int.from_bytes(image[start + 8 : start + 16], "little")
            while at + 16 <= end and end <= len(image):
                number, length = (int.from_bytes(image[at + a : at + b], "little") for a, b in ((0, 2), (8, 16)))
                step = 16 + -(-length // 8) * 8 if number else length
                if step < 16 or at + step > end:
                    raise ValueError("its texts are damaged")
                at += step
            start = image.find(HEAP, start + 8)


def short(error: Exception) -> str:
    """Return an exception's text in one line of at most 200 characters, led by its type where it says little."""
    text = describe(error)
    named = text if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {text}"
    return named if len(named) <= 200 else named[:197] + "..."
