"""The kinds of layers that a DeployGraph is made of.

base.py       what a layer answers for itself
synapses.py   convolutions and linear maps
shaping.py    scaling, pooling, flattening, reshaping
joining.py    sums and products of signals, channels put together
neuron.py     populations of neurons; their models are in `ir/neurons/`
readout.py    the answer
"""

from __future__ import annotations

from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.layers.base import Layer
from asnn_deploy.ir.layers.joining import Add, Concat, Product
from asnn_deploy.ir.layers.neuron import Neuron, constant_neuron
from asnn_deploy.ir.layers.readout import Readout
from asnn_deploy.ir.layers.shaping import Flatten, Pool, Reshape, Scale
from asnn_deploy.ir.layers.synapses import Conv, Linear, Synapses

LAYERS: dict[str, type[Layer]] = {
    cls.kind: cls for cls in (Conv, Linear, Scale, Pool, Flatten, Reshape, Neuron, Add, Concat, Product, Readout)
}
"""By name, as files have it."""

__all__ = [
    "LAYERS",
    "Add",
    "Concat",
    "Conv",
    "Flatten",
    "Layer",
    "Linear",
    "Neuron",
    "Pool",
    "Product",
    "Readout",
    "Reshape",
    "Scale",
    "Shape",
    "Synapses",
    "constant_neuron",
]
