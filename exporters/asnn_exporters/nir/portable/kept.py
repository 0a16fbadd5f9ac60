"""A network of another tool as a bundle keeps it: that tool's kinds of nodes, and a header that brings back the rest.

Unrolled, such a network of a hundred steps is a hundred times as many nodes. The nodes hold every parameter; the
header (`header.py`) what they cannot: the number of steps, what enters, the bits of the integer version. A file that
does not give back the very graph is not written.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from asnn_deploy.errors import AsnnDeployError, BundleError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.quantization import Quantization
from asnn_exporters.nir import header as headers
from asnn_exporters.nir.others import MEANING, graph_of, read_network
from asnn_exporters.nir.portable import write
from asnn_exporters.nir.rollup import readable

DIALECT = "kept"
MOST_STEPS = 1 << 20
"""Time steps: a header costs as little to write for any number, and the tables of each layer are as long."""


def keep(graph: DeployGraph, path: Path) -> bool:
    """Write a network of another tool; return whether the file holds it, which is not there otherwise."""
    if graph.meaning is None or graph.time_steps > MOST_STEPS:
        return False
    header = headers.metadata(graph, DIALECT)
    try:
        write(graph, path, None, lambda _: None, header)
        if read(path) == graph:
            return True
    except AsnnDeployError:  # what NIR's nodes cannot express is unrolled
        pass
    path.unlink(missing_ok=True)
    return False


def is_kept(path: Path) -> bool:
    """Return whether a file was written by `keep`; False if it cannot be read."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            header = json.loads(file["node"]["metadata"][headers.HEADER][()])
            return isinstance(header, dict) and header.get("dialect") == DIALECT
    except (OSError, RuntimeError, LookupError, AttributeError, TypeError, ValueError, RecursionError):
        return False


def read(path: Path) -> DeployGraph:
    """Return the graph of a file that `keep` wrote. Raises BundleError if nodes and header are not of one graph."""
    network = read_network(path)
    header = headers.parse(network.metadata, (DIALECT,))
    with readable("the header"):
        steps = headers.time_steps_of(header["coding"])
        if not 1 <= steps <= MOST_STEPS:
            raise BundleError(f"the header claims {steps} time steps, allowed: 1 to {MOST_STEPS}; export it again")
        graph = replace(
            graph_of(network, network.metadata[MEANING]).over(steps),
            code=headers.input_code(header["coding"]),
            quantization=Quantization.from_json(header["quantization"]),
            meaning=Meaning.from_json(header["meaning"]),
        )
        described = headers.describe(graph)
    for key, value in described.items():
        if json.dumps(header.get(key), sort_keys=True) != json.dumps(value, sort_keys=True):
            raise BundleError(f"the nodes are not those of the header: its {key} differ; export it again")
    return graph
