"""The two Lava Processes that carry any DeployGraph: a Source that encodes images, and Stages in a line behind it."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from asnn_targets.lava.stages import Plan, StagePlan

BUFFER = 4
"""Messages that the pipes to and from the outside hold."""


class Source(AbstractProcess):
    """Takes raw images from outside and sends their coded frames, one message per time step.

    images: in-port, a pipe from outside, `[rows, 1 + C*H*W]`. frames: out-port, `[rows, bytes]`.
    """

    def __init__(self, plan: Plan, **others: Any) -> None:
        super().__init__(plan=plan, **others)
        self.images = InPort(shape=(plan.rows, plan.images.row_bytes))
        self.images.flag_external_pipe(buffer_size=BUFFER)
        self.frames = OutPort(shape=(plan.rows, plan.frames.row_bytes))


class Stage(AbstractProcess):
    """Synapses, neurons and pooling of one stage, fused.

    position: 1 for the stage behind the Source, and so on; it works that many time steps behind the Source.
    s_in, s_out: ports, `[rows, bytes]`; the last stage's out-port is a pipe to outside.
    """

    def __init__(self, plan: StagePlan, position: int, last: bool, **others: Any) -> None:
        super().__init__(plan=plan, position=position, last=last, **others)
        self.plan = plan
        self.s_in = InPort(shape=(plan.rows, plan.inlet.row_bytes))
        self.s_out = OutPort(shape=(plan.rows, plan.outlet.row_bytes))
        if last:
            self.s_out.flag_external_pipe(buffer_size=BUFFER)


def connect(plan: Plan) -> tuple[Source, list[Stage]]:
    """The Processes of a pipeline, connected."""
    source = Source(plan, name="source")
    stages: list[Stage] = []
    out = source.frames
    for i, stage in enumerate(plan.stages, 1):
        stages.append(Stage(stage, i, i == len(plan.stages), name=f"stage{i}"))
        out.connect(stages[-1].s_in)
        out = stages[-1].s_out
    return source, stages
