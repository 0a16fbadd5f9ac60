"""The extended dialect: what NIR's primitives cannot say, as nodes of four types that NIR does not know.

    asnn_deploy.Product   the einsum `equation` over the axes (batch not among them) of what the nodes `left` and
                          `right` give; both are also sources of its edges, and nothing is added up
    asnn_deploy.Reshape   what its one source gives, in C order, under the axes `shape`
    asnn_deploy.Divide    the sum of its sources divided by `scale`, element by element
    asnn_deploy.Count     how often `threshold` fits into the sum of its sources: the quotient, truncated; 0 below 0

Everything else in such a file is the canonical dialect. NIR's own reader refuses a type that it does not know, so
nobody can take the file for another network. docs/nir.md has the description for other readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PRODUCT, RESHAPE = "asnn_deploy.Product", "asnn_deploy.Reshape"
DIVIDE, COUNT = "asnn_deploy.Divide", "asnn_deploy.Count"
ABOUT = (
    " The nodes of types asnn_deploy.Product (the einsum of the nodes named left and right), asnn_deploy.Reshape, "
    "asnn_deploy.Divide (divides by scale) and asnn_deploy.Count (how often threshold fits) are extensions of NIR."
)
FIELDS: dict[str, tuple[str, ...]] = {
    PRODUCT: ("equation", "left", "right"),
    RESHAPE: ("shape",),
    DIVIDE: ("scale",),
    COUNT: ("threshold",),
}


@dataclass(eq=False)
class Extension:
    """One such node beside NIR's own classes. fields: as in `FIELDS`; texts, integers, and arrays of numbers."""

    kind: str
    fields: dict[str, Any]
    metadata: dict[str, Any]
    input_type: None = None
    output_type: None = None

    def to_dict(self) -> dict[str, Any]:
        """What NIR's writer stores."""
        return {**self.fields, "type": self.kind, "metadata": self.metadata}


def graph_from(stored: Mapping[str, Any]) -> Any:
    """A `nir.NIRGraph` of nodes as NIR's reader stores them in dictionaries, extension nodes among them.

    NIR's type check knows nodes of one input only, so it cannot run; the reader here checks every node by writing it
    anew. Raises ValueError for a missing field, and whatever NIR raises for its own nodes.
    """
    import nir

    nodes = {name: _node(name, values) for name, values in stored["nodes"].items()}
    edges = [(_text(a), _text(b)) for a, b in stored["edges"]]
    graph = nir.NIRGraph(nodes, edges, metadata=stored.get("metadata", {}), type_check=False)
    graph.validate_structure()
    return graph


def _node(name: str, stored: Mapping[str, Any]) -> Any:
    import nir

    kind = stored["type"]
    if kind not in FIELDS:
        return nir.dict2NIRNode(dict(stored))
    missing = [key for key in FIELDS[kind] if key not in stored]
    if missing:
        raise ValueError(f"node {name!r} ({kind}) lacks {missing[0]!r}")
    return Extension(kind, {key: stored[key] for key in FIELDS[kind]}, stored.get("metadata", {}))


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
