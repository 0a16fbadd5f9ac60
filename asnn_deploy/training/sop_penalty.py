"""A price on synaptic operations: fewer spikes where they reach many neurons."""

from __future__ import annotations

from torch import Tensor


def sop_penalty(traffic: Tensor) -> Tensor:
    """The mean over the steps of the share of synaptic operations that are done, 0..1 (`SpikingNetwork.watched`).

    It is what the energy counters call synaptic operations over those of a network in which every neuron fires at
    every step, but for the image's borders and weights that are zero, and without the layer that reads the image,
    whose operations no training changes.
    """
    return traffic.mean()
