"""NIR (Neuromorphic Intermediate Representation, https://neuroir.org): networks as graphs of standard primitives.

NIR's parameters are static and its time is implicit, so a network with parameters per time step is written unrolled:
see `unroll.py`. `write` and `read` are exact inverses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asnn_deploy.conventions import importing_tools
from asnn_deploy.deploy.bundle import NETWORK
from asnn_deploy.deploy.exporters import Exporter
from asnn_deploy.deploy.reading import Foreign
from asnn_deploy.errors import BundleError, GraphError, InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.util.suggest import unknown_name

if TYPE_CHECKING:
    from asnn_exporters.nir.nodes import Node

DIALECTS = {"canonical": NETWORK, "extended": NETWORK, "compact": "compact.nir", "portable": "portable.nir"}
"""The dialects, and the files that they are written to."""
ANYONE = "anyone"
"""Who reads a portable file if no tool is named."""

__all__ = ["exporter", "read"]


def read(path: Path) -> DeployGraph:
    """The graph of a file that `exporter.write` or `keep` wrote, rebuilt from its nodes and verified against them.

    Raises BundleError naming the file, and the node where one is to blame.
    """
    from asnn_exporters.nir.portable import kept
    from asnn_exporters.nir.rollup import rollup
    from asnn_exporters.nir.storage import load

    try:
        return kept.read(path) if kept.is_kept(path) else rollup(load(path))
    except (BundleError, GraphError) as error:
        text = str(error)
        raise BundleError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from error


class NIRExporter(Exporter):
    """A user chooses a dialect; what is written unasked (bundles, the target `nir`) is extended, for every network."""

    name = "nir"
    suffix = ".nir"
    file = NETWORK
    settings: Mapping[str, tuple[str, ...]] = {"dialect": tuple(DIALECTS), "for": (ANYONE, *importing_tools())}
    carries_bits = True

    def unavailable(self) -> str | None:
        """NIR and h5py must be installed."""
        try:
            import h5py  # noqa: F401
            import nir  # noqa: F401
        except ImportError as error:
            return f"{error.name} is not installed; pip install nir==1.0.8 h5py"
        return None

    def write(self, graph: DeployGraph, folder: Path, *, dialect: str = "extended", **others: Any) -> list[str]:
        """Write the dialect's file.

        dialect: "canonical", which is exact and can be read back; "extended", which is the same with nodes of its own
        where NIR's do not suffice (see `extension.py`), and canonical where they do; "compact" (see `compact.py`),
        which is neither; or "portable" (see `portable/`), as other tools write NIR.
        for: the tool that is to read a portable file. Raises InputError for another dialect, too.
        """
        from asnn_exporters.nir.nodes import to_nir
        from asnn_exporters.nir.storage import save

        check_dialect(dialect)
        tool = None if others.get("for", ANYONE) == ANYONE else others["for"]
        if tool is not None and dialect != "portable":
            raise InputError(f"a file for {tool} is in the NIR dialect portable, not {dialect}")
        if dialect == "portable":
            from asnn_exporters.nir import portable

            portable.write(graph, Path(folder) / DIALECTS[dialect], tool, others.get("tell", str))
            return [DIALECTS[dialect]]
        nodes, metadata = _compact(graph) if dialect == "compact" else _unrolled(graph, dialect == "extended")
        save(Path(folder) / DIALECTS[dialect], to_nir(nodes, metadata))
        return [DIALECTS[dialect]]

    def keep(self, graph: DeployGraph, folder: Path) -> None:
        """See Exporter. A network of another tool in that tool's nodes, if they hold it; else extended."""
        from asnn_exporters.nir.portable import kept

        if not kept.keep(graph, folder / NETWORK):
            self.write(graph, folder)

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
    return unrolled.nodes, header.metadata(graph, dialect, about=unroll.ABOUT + about, **aside)


def _compact(graph: DeployGraph) -> tuple[dict[str, Node], dict[str, Any]]:
    from asnn_exporters.nir import compact, header

    tables = {header.TABLES: compact.tables(graph)}
    return compact.compact(graph), header.metadata(graph, "compact", about=compact.ABOUT, **tables)


exporter = NIRExporter()
