"""Spike packets: how often a spike crosses to a core, once a placement is known.

A spike goes as one packet to each core that holds a synapse of its neuron. What a core is sent is counted where the
placement has the source: coded input, neurons, and relays such as poolings that have neurons of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from asnn_deploy.energy.signals import Replay
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase


@phase("count packets")
def packets(graph: DeployGraph, destinations: Mapping[str, Array], images: Array, trace: Trace) -> dict[str, Array]:
    """Source name to the packets that it sends for each sample, over all steps, `[B]` int64.

    destinations: of a placement (`asnn_deploy.fitting`): source to the number of cores that its elements' spikes reach.
    images, trace: as for `Counter.add`. A value that is not zero, such as an analog pixel, goes as one packet.
    """
    signals = Replay(graph).signals(images, trace)
    return {
        source: np.einsum("tbi,i->b", (signals[source] != 0).reshape(*signals[source].shape[:2], -1), cores)
        for source, cores in destinations.items()
        if source in signals
    }
