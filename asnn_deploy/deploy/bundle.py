"""Bundles: folders with a manifest that names every file and its SHA-256."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from asnn_deploy.deploy.exporters import EXPORTERS, Exporter
from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.document import CREATOR, CreatedBy, Document, Plain, Positive, read_document
from asnn_deploy.util.files import (
    claim_folder,
    digest,
    holding_folder,
    replacing,
    replacing_folder,
    write_text,
)
from asnn_deploy.util.progress import phase
from asnn_deploy.util.version import __version__

MANIFEST = "manifest.json"
SCHEMA = 1
NETWORK = "network.nir"
"""The network itself, in every bundle."""
FIXED = "fixed.npz"
"""Its integer version (see `serialize.save_graph`), in bundles of formats that have one."""


class Manifest(Document):
    """`manifest.json`. files: names to SHA-256; data: the `--data` text of the network's own data."""

    schema_version: int = Field(validation_alias="schema", serialization_alias="schema")
    format: str
    time_steps: Positive
    files: dict[str, str]
    created_by: CreatedBy
    data: str | None = None
    summary: dict[str, Plain] = Field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A bundle, read and checked. files: names in it; data: the `--data` text of the network's own data."""

    folder: Path
    format: str
    files: tuple[str, ...]
    data: str | None
    summary: Mapping[str, Any]


@phase("write the bundle")
def write_bundle(
    graph: DeployGraph,
    exporter_name: str,
    path: Path,
    data: str | None,
    summary: Mapping[str, Any],
    network: Path | None = None,
    **options: Any,
) -> None:
    """Export into a new folder, which takes the place of an older bundle only when it is whole.

    Every bundle holds the network as NIR, as exporter `nir` keeps it, next to the format's own files. network: a NIR
    file that holds the graph already. Raises InputError if `path` holds something that is not a bundle.
    """
    exporter = EXPORTERS.available(exporter_name)
    claim_bundle(path)
    with replacing_folder(path, claim_bundle) as folder:
        if network is not None:
            shutil.copyfile(network, folder / NETWORK)
        names = {NETWORK, *exporter.write(graph, folder, data=data, **options)}
        if not (folder / NETWORK).exists():
            EXPORTERS.available("nir").keep(graph, folder)
        manifest = Manifest(
            schema_version=SCHEMA,
            format=exporter_name,
            time_steps=graph.time_steps,
            files={name: digest(folder / name) for name in sorted(names)},
            created_by=f"{CREATOR}{__version__}",
            data=data,
            summary=dict(summary),
        )
        write_text(folder / MANIFEST, manifest.to_text(indent=2))


@phase("write the file")
def write_file(graph: DeployGraph, exporter: Exporter, path: Path, **options: Any) -> None:
    """Export to the format's main file alone, which is written whole or not at all."""
    with replacing(path) as temporary, tempfile.TemporaryDirectory(prefix="asnn-deploy-") as folder:
        name = exporter.write(graph, Path(folder), **options)[0]
        shutil.copyfile(Path(folder) / name, temporary)


def keep_file(graph: DeployGraph, path: Path) -> None:
    """Write the network as one NIR file that is read back as it is, whole or not at all."""
    with replacing(path) as temporary, tempfile.TemporaryDirectory(prefix="asnn-deploy-") as folder:
        EXPORTERS.available("nir").keep(graph, Path(folder))
        shutil.copyfile(Path(folder) / NETWORK, temporary)


def read_bundle(folder: Path) -> Bundle:
    """Read a manifest and check every file against it. Raises BundleError naming the file."""
    file = folder / MANIFEST
    manifest = read_document(file, Manifest, "a bundle's manifest", "export again")
    if manifest.schema_version != SCHEMA:
        raise BundleError(f"{file}: schema {manifest.schema_version}, this version reads schema {SCHEMA}; export again")
    for name, expected in manifest.files.items():
        if Path(name).name != name:
            raise BundleError(f"{file}: names {name!r}, which is not a plain file name; export again")
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name}: missing, though {MANIFEST} names it; export again")
        if digest(folder / name) != expected:
            raise BundleError(
                f"{folder / name}: does not match its hash in {MANIFEST}; it was changed or damaged, export again"
            )
    if NETWORK not in manifest.files:
        raise BundleError(f"{file}: names no {NETWORK}; export again")
    return Bundle(folder, manifest.format, tuple(manifest.files), manifest.data, manifest.summary)


def claim_bundle(path: Path) -> None:
    """`path` may be replaced: it is absent, empty, or a bundle with nothing else in it. Raises InputError."""
    claim_folder(path, MANIFEST)
    if not (path / MANIFEST).is_file():
        return
    try:
        named = read_document(path / MANIFEST, Manifest, "a bundle's manifest", "choose another place").files
    except BundleError:
        named = None
    if named is None:
        raise InputError(
            f"{path}: exists and was not made by this command (its {MANIFEST} is another's); choose another place"
        )
    strangers = {entry.name for entry in path.iterdir()} - {MANIFEST, *named}
    if strangers:
        raise InputError(
            f"{path}: holds {min(strangers)!r}, which is not the bundle's; move it or choose another place"
        )


@contextmanager
def claimed_folder(path: Path, marker: str) -> Iterator[None]:
    """Hold a folder that may be written, see `claim_folder` and `files.holding_folder`. Raises InputError."""
    claim_folder(path, marker)  # what is not ours is not touched, not even to lock it
    with holding_folder(path):
        claim_folder(path, marker)
        yield
