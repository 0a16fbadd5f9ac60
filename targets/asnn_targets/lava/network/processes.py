"""The Lava Process that carries any DeployGraph, as a line of stages."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from asnn_targets.lava.stages import Plan, StagePlan

BUFFER = 4
"""Messages that the pipes to and from the outside hold."""


class Stage(AbstractProcess):
    """Synapses, neurons and pooling of one stage, fused.

    answering: for the last stage, the steps after which it sends; None for the others, which always do.
    position: 0 for the first stage, and so on; it works that many time steps behind the first.
    s_in, s_out: ports, `[rows, bytes]`; the first stage's in-port and the last one's out-port are pipes to outside.
    """

    def __init__(self, plan: StagePlan, position: int, answering: range | None, **others: Any) -> None:
        super().__init__(plan=plan, position=position, answering=answering, **others)
        self.plan = plan
        self.s_in = InPort(shape=(plan.rows, plan.inlet.row_bytes))
        self.s_out = OutPort(shape=(plan.rows, plan.outlet.row_bytes))
        if position == 0:
            self.s_in.flag_external_pipe(buffer_size=BUFFER)
        if answering is not None:
            self.s_out.flag_external_pipe(buffer_size=BUFFER)


def connect(plan: Plan) -> list[Stage]:
    """The Processes of a pipeline, connected."""
    stages: list[Stage] = []
    for i, stage in enumerate(plan.stages):
        answering = plan.answering_steps if stage is plan.stages[-1] else None
        stages.append(Stage(stage, i, answering, name=f"stage{i + 1}"))
        if i:
            stages[i - 1].s_out.connect(stages[i].s_in)
    return stages
