"""Neuron models, one file each, found by being here or by the entry-point group `asnn_deploy.neurons`. NumPy only.

base.py         what a model is
firing.py       how it resets, when it fires and how often
operations.py   what its step is written in, and how NumPy runs it
bounds.py       the same in intervals
quantizing.py   what a model needs to give its integer parameters
fitting.py      the search for the finest integers of a layer that fit
program.py      the step as a list of instructions
"""

from __future__ import annotations

from asnn_deploy.ir.neurons.base import NeuronModel, Parameter, Parameters, State
from asnn_deploy.util.discover import Parts

MODELS: Parts[NeuronModel] = Parts("neuron model", "asnn_deploy.neurons", __name__, __path__, "model", base=NeuronModel)

__all__ = ["MODELS", "NeuronModel", "Parameter", "Parameters", "State"]
