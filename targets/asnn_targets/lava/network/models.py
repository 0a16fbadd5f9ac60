"""ProcessModels on the CPU. The arithmetic is that of `stages.py`, hence of the reference executor.

Pipelining: a stage receives what its neighbour sent one time step ago, so within a time step all stages work at
the same time on neighbouring steps of the samples. A stage at position p has nothing to do in the first p time steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from asnn_targets.lava.messages import filled
from asnn_targets.lava.network import processes
from asnn_targets.lava.stages import Stage as StageWork


class StageModel(PyLoihiProcessModel):
    """One time step of a stage."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.uint8)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.uint8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.position: int = proc_params["position"]
        self.answering: range | None = proc_params["answering"]
        self.stage = StageWork(proc_params["plan"], first=self.position == 0)

    def run_spk(self) -> None:
        """Receive the neighbour's message of the time step before, compute, send. Bubbles do not leave the pipeline."""
        if self.time_step <= self.position:
            return
        step = self.stage.next_step
        message = self.stage.step(self.s_in.recv() if self.stage.wants_message else None)
        if self.answering is None or (filled(message) and step in self.answering):
            self.s_out.send(message)


@implements(proc=processes.Stage, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatStageModel(StageModel):
    """A stage in float32."""


@implements(proc=processes.Stage, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedStageModel(StageModel):
    """A stage in Loihi-style integers."""
