"""Target `lava-stock`: networks of Loihi's own neurons on Processes that Lava ships, and on nothing else.

    network.py   a graph as LIFReset, Conv, Dense and LIF Processes, between an Injector and Extractors
    host.py      the program that the runtime lives in
    session.py   this side of it

For hardware that runs no programmable neurons. It is slow: a Process for each operation, one sample at a time;
`lava-fixed` runs the same integer graph far faster (`docs/loihi.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asnn_deploy.deploy.deployment import Deployment
from asnn_targets.lava import LavaRuntime

if TYPE_CHECKING:
    from asnn_targets.lava.stock.session import StockSession


@dataclass(frozen=True)
class StockTarget(LavaRuntime):
    """Lava's own Processes, in integers."""

    def runs(self, deployment: Deployment) -> bool:
        """Whether the network's integer version has Loihi's own neurons, and no others."""
        return {neuron.model for neuron in deployment.fixed.neurons} == {"loihi-lif"}

    def open(self, deployment: Deployment, batch_size: int) -> StockSession:
        """See Target. Raises UnsupportedError naming the layer that Lava's own Processes cannot be."""
        from asnn_targets.lava.stock.session import StockSession

        return StockSession(self.name, deployment.fixed, batch_size, self.time_limit)


target = StockTarget("lava-stock", "fixed")
