"""A DeployGraph unrolled in time: standard NIR primitives only, coding included, one raw image in, the logits out.

Every time step has its own nodes, so nothing in the file has a state and any reader that knows the primitives computes
the exact network. Inputs of a node add up; every sum of real numbers has two summands, so their order cannot matter.

    frame[t]  = sum of Scale(w)(Threshold(level - 0.5)(image)); at an analog step the image itself
    delayed   = the node of an earlier step; before that exists, a node that is zero everywhere

Layers are written by `layers.py`, neurons by `neurons.py`. What never reaches the logits (the leak at step 0, the last
steps of a delayed current) cannot be a node; tables that stand there are kept aside as `unused`, so that the graph can
still be read back whole. Spikes are never left out: see `Unrolling.finished`.
"""

from __future__ import annotations

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Product
from asnn_exporters.nir.layers import WRITERS, check
from asnn_exporters.nir.unrolling import Unrolled, Unrolling

ABOUT = (
    "A spiking network unrolled in time by asnn-deploy. Input: 8-bit pixel values 0..255 as float32. Output: logits. "
    "No node has a state; the inputs of a node add up. Evaluate once per image in IEEE float32."
)


def unroll(graph: DeployGraph, extended: bool = False) -> Unrolled:
    """Write the network out, step by step; `extended` allows the nodes of `extension.py`.

    Raises UnsupportedError naming the layer that cannot be written.
    """
    check_graph(graph, extended)
    unrolling = Unrolling(graph)
    for t in range(graph.time_steps):
        for layer in graph.layers:
            sources = [unrolling.signal(edge, t) for edge in graph.inputs_of[layer.name]]
            unrolling.outputs[layer.name, t] = WRITERS[type(layer)](unrolling, layer, t, sources)
    return unrolling.finished()


def check_graph(graph: DeployGraph, extended: bool = False) -> None:
    """Raise UnsupportedError where a graph, or a layer that it names, has no counterpart in NIR."""
    if graph.arithmetic != "float32":
        raise UnsupportedError("NIR holds float32 networks; export the float graph, not the quantised one")
    for layer in sorted(graph.layers, key=lambda layer: not isinstance(layer, Product)):  # they are why others fail
        check(layer, graph, extended)
