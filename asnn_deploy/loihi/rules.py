"""What Loihi's own neurons and synapses can be: the rules that a graph for Lava's stock Processes keeps.

A line of layers (`line.py`); 2-D convolutions and linear layers; spikes, or graded spikes of 8 bits, between them; one
leak and one threshold a population; every parameter the same at all time steps.
"""

from __future__ import annotations

import math

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import row_sums
from asnn_deploy.ir.fixed_point import STATE_BITS
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Layer, Pool, Synapses
from asnn_deploy.ir.neurons.loihi_lif import THRESHOLDS
from asnn_deploy.loihi.line import FUSED, line
from asnn_deploy.loihi.synapses import MESSAGE_BITS, exponent_of

LARGEST_NUMBER = 127
"""Lava's Conv holds strides, paddings, dilations and groups as int8."""
LONGEST = THRESHOLDS[1] + 1
"""Time steps that a LIF can count, which parts one sample's recurrent spikes from the next one's."""
UNSHARED = ("du", "dv", "vth")
"""Parameters of which Lava's LIF has one for its population."""


def check_line(graph: DeployGraph) -> None:
    """The layers form a line, each of a kind that stock Processes carry, every parameter the same at all steps.

    Holds for float graphs as for integer ones. Raises UnsupportedError naming the layer, and the table.
    """
    for place in line(graph):
        check_events(place.layer, place.before)
        if place.feedback is not None and graph.time_steps > LONGEST:
            raise place.layer.unsupported(
                f"reads itself over {graph.time_steps} time steps; a Loihi neuron counts to {LONGEST}; {FUSED}"
            )
        for layer in (place.layer, place.feedback):
            if layer is not None:
                check_static(layer, graph)


def check_events(layer: Layer, before: Layer | None) -> None:
    """Synapses read events and feed neurons or the answer, which may read events, too."""
    current = before is not None and before.weighted
    if before is None if layer.answers else layer.fires != current:
        expected = "must follow a convolution or linear layer" if layer.fires or layer.answers else "reads a current"
        raise layer.unsupported(
            f"{expected}; stock Processes carry synapses into neurons or the answer, and spikes out"
        )


def check_static(layer: Layer, graph: DeployGraph) -> None:
    """Convolutions are 2-D, and every parameter is the same at all steps."""
    if layer.sliding and len(graph.shapes[layer.name]) != 3:
        raise layer.unsupported(f"works on shape {graph.shapes[layer.name]}; Lava's Conv is 2-D")
    for key, table in layer.tables().items():
        if not (table.expanded() == table.at(0)).all():
            raise layer.unsupported(
                f"{key} is not the same at all {table.time_steps} time steps, and Lava's own Processes hold one "
                "value; train with the neuron lif and the coding direct, latency or embedding, or use this "
                "project's Processes (processes=fused)",
            )


def check_loihi(graph: DeployGraph) -> None:
    """A graph is what stock Processes can run, as `to_loihi` makes them. Raises UnsupportedError naming the layer."""
    for neuron in graph.neurons:
        if graph.arithmetic != "fixed" or neuron.model != "loihi-lif":
            raise neuron.unsupported(
                f"neuron model {neuron.model!r} is none of Lava's own; "
                "make a version for them: export a lava bundle with processes=stock (in Python: loihi.to_loihi)",
            )
        if neuron.reset != "zero":
            raise neuron.unsupported(f"reset {neuron.reset!r}, Lava's LIF resets to zero")
        for key in UNSHARED:
            if neuron.parameters[key].shape:
                raise neuron.unsupported(f"{key} has shape {neuron.parameters[key].shape}; Lava's LIF has one value")
    check_line(graph)
    last = graph.by_name.get(graph.inputs_of[graph.readout.name][0].source)
    if isinstance(last, Synapses) and last.bias is not None:
        raise last.unsupported("has a bias; what leaves Loihi's last synapses has none, the readout has it")
    most = {layer.name: float(flow(graph).arriving(layer.name)[0].largest.max()) for layer in graph.layers}
    for synapses in graph.synapses:
        check_weights(synapses, most[synapses.name])
    for layer in graph.layers:
        check_reading(layer, most[layer.name])


def check_weights(layer: Synapses, most: float) -> None:
    """Loihi can store a layer's weights, and its bias as those of a spike at every step; its sums fit.

    most: the largest input.
    """
    for key, table in layer.tables().items():
        if table.dtype.kind not in "iu" or exponent_of(table.at(0)) is None:
            raise layer.unsupported(f"its {key} is not such as Loihi can store (-128 to 127, or even, -256 to 254)")
    if row_sums(layer.weight.at(0)).max() * most >= 1 << (STATE_BITS - 1):
        raise layer.unsupported(f"its sums can leave the {STATE_BITS} bits of Lava's Conv")


def check_reading(layer: Layer, most: float) -> None:
    """What a layer reads, inputs up to `most`, and how, fits Loihi."""
    if (layer.weighted or layer.sliding) and most >= 1 << MESSAGE_BITS:
        raise layer.unsupported(f"reads counts up to {most:g}, a graded spike carries {MESSAGE_BITS} bits")
    for what in ("stride", "padding", "dilation"):
        if layer.sliding and max(getattr(layer.sliding, what)) > LARGEST_NUMBER:
            found = getattr(layer.sliding, what)
            raise layer.unsupported(f"{what} {found}; Lava's Conv holds at most {LARGEST_NUMBER}")
    if isinstance(layer, Pool):
        if layer.mode == "average":
            raise layer.unsupported("averages; in integers only sums and maxima can be taken")
        if layer.mode == "max" and most > 1:
            raise layer.unsupported(f"takes the largest of counts up to {most:g}; Lava's LIF can only OR spikes")
        if layer.mode == "sum" and most * math.prod(layer.kernel) >= 1 << MESSAGE_BITS:
            raise layer.unsupported(f"sums up to {most * math.prod(layer.kernel):g}, a graded spike has 8 bits")
