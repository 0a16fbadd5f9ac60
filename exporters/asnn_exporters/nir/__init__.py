"""NIR (Neuromorphic Intermediate Representation, https://neuroir.org): networks as graphs of standard primitives.

NIR's parameters are static and its time is implicit, so a network with parameters per time step is written unrolled:
see `unroll.py`. `write` and `read` are exact inverses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asnn_deploy.deploy.bundle import NETWORK
from asnn_deploy.deploy.exporters import Exporter
from asnn_deploy.deploy.reading import Foreign
from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.util.suggest import unknown_name

if TYPE_CHECKING:
    from asnn_exporters.nir.nodes import Node

DIALECTS = {"canonical": NETWORK, "extended": NETWORK, "compact": "compact.nir"}
"""The dialects, and the files that they are written to."""
NOT_WRITTEN = ("portable",)

__all__ = ["exporter", "read"]


def read(path: Path) -> DeployGraph:
    """The graph of a file that `exporter.write` wrote, rebuilt from its nodes and verified against them.

    Raises BundleError naming the file, and the node where one is to blame.
    """
    from asnn_exporters.nir.rollup import rollup
    from asnn_exporters.nir.storage import load

    try:
        return rollup(load(path))
    except BundleError as error:
        raise error if str(error).startswith(f"{path}: ") else BundleError(f"{path}: {error}") from error


class NIRExporter(Exporter):
    """A user chooses a dialect; what is written unasked (bundles, the target `nir`) is extended, for every network."""

    name = "nir"
    suffix = ".nir"
    file = NETWORK
    settings: Mapping[str, tuple[str, ...]] = {"dialect": tuple(DIALECTS)}
    carries_bits = True

    def unavailable(self) -> str | None:
        """NIR and h5py must be installed."""
        try:
            import h5py  # noqa: F401
            import nir  # noqa: F401
        except ImportError as error:
            return f"{error.name} is not installed; pip install nir==1.0.8 h5py"
        return None

    def write(self, graph: DeployGraph, folder: Path, *, dialect: str = "extended", **_others: Any) -> list[str]:
        """Write the dialect's file.

        dialect: "canonical", which is exact and can be read back; "extended", which is the same with nodes of its own
        where NIR's do not suffice (see `extension.py`), and canonical where they do; or "compact" (see `compact.py`),
        which is neither.
        """
        from asnn_exporters.nir.nodes import to_nir
        from asnn_exporters.nir.storage import save

        check_dialect(dialect)
        nodes, metadata = _compact(graph) if dialect == "compact" else _unrolled(graph, dialect == "extended")
        save(Path(folder) / DIALECTS[dialect], to_nir(nodes, metadata))
        return [DIALECTS[dialect]]

    def read(self, path: Path) -> DeployGraph:
        """See the module's `read`."""
        return read(path)

    def foreign(self, path: Path) -> Foreign | None:
        """See Exporter."""
        from asnn_exporters.nir.foreign import ForeignFile, is_ours

        return None if is_ours(path) else ForeignFile(path)

    def restate(self, path: Path, out: Path, meaning: Meaning) -> None:
        """See Exporter."""
        from asnn_exporters.nir.foreign import restate

        restate(path, out, meaning)


def check_dialect(dialect: str) -> None:
    """Raise InputError where a dialect cannot be written."""
    if dialect in NOT_WRITTEN:
        allowed = " or ".join(DIALECTS)
        raise InputError(f"NIR dialect {dialect!r} is not written by this version; use {allowed}")
    if dialect not in DIALECTS:
        raise InputError(unknown_name("NIR dialect", dialect, DIALECTS))


def _unrolled(graph: DeployGraph, extended: bool) -> tuple[dict[str, Node], dict[str, Any]]:
    from asnn_exporters.nir import extension, header, unroll
    from asnn_exporters.nir.layers import needs_extension

    unrolled = unroll.unroll(graph, extended)
    aside = {header.UNUSED: header.kept_aside(unrolled.unused)}
    needed = any(needs_extension(layer, graph) for layer in graph.layers)  # also where no step reads them
    dialect, about = ("extended", extension.ABOUT) if needed else ("canonical", "")
    if graph.code.preparation != "raw":
        about += f" Images are to be prepared by {graph.code.preparation} first."
    return unrolled.nodes, header.metadata(graph, dialect, unroll.ABOUT + about, **aside)


def _compact(graph: DeployGraph) -> tuple[dict[str, Node], dict[str, Any]]:
    from asnn_exporters.nir import compact, header

    tables = {header.TABLES: compact.tables(graph)}
    return compact.compact(graph), header.metadata(graph, "compact", compact.ABOUT, **tables)


exporter = NIRExporter()
