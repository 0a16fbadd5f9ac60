"""NIR files by anyone: read with h5py, checked, and made a DeployGraph by the rules of the tool that wrote them.

network.py    nodes, edges and shapes as plain values
fields.py     what each kind of node may hold
files.py      HDF5 to nodes, with every damage named
nesting.py    graphs within graphs; edges and nodes that lead nowhere
synapses.py   weights, pooling, flattening: layers whatever the rules
shapes.py     what leaves each node
mending.py    what a tool writes otherwise than NIR means it
wiring.py     delays, and the step that a cycle takes
neurons.py    neurons by a tool's rules
graph.py      all of it as a DeployGraph
"""

from __future__ import annotations

from pathlib import Path

from asnn_deploy.errors import BundleError, GraphError
from asnn_exporters.nir.others.files import MEANING, read_file
from asnn_exporters.nir.others.graph import graph_of
from asnn_exporters.nir.others.nesting import flattened
from asnn_exporters.nir.others.network import Network, Node, layer_names
from asnn_exporters.nir.others.shapes import infer

__all__ = ["MEANING", "Network", "Node", "graph_of", "layer_names", "read_network"]


def read_network(path: Path) -> Network:
    """Return the network of a file, whichever tool wrote it.

    Raises BundleError for files that are not NIR's or damaged, and GraphError for networks that cannot be computed;
    each names the file, and the node, edge or field.
    """
    path = Path(path)
    try:
        nested = read_file(path)
        found = infer(flattened(nested))
    except (BundleError, GraphError) as error:
        raise type(error)(f"{path}: {error}") from error
    flat = found.flat
    return Network(
        flat.nodes,
        flat.edges,
        found.shapes,
        dict(nested.metadata),
        tuple(found.notes),
        flat.input,
        flat.output,
        found.layers,
    )
