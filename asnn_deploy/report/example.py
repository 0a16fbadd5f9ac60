"""One sample through the whole network: its image, what the coding sends, every spike, the answer as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True, eq=False)
class Example:
    """What the page draws of one sample; it is not in `report.json`.

    index: which sample of the run it is.
    image: uint8 `[C, H, W]`. frames: the coded image, int `[T, C, H, W]`; analog: `[T]` bool, steps that send values.
    spikes: layer name to `[T, ...]`, in the model's order.
    step_logits: `[T, classes]`, the answer's summand at each step.
    label: None where there is none.
    """

    index: int
    image: Array
    frames: Array
    analog: Array
    spikes: Mapping[str, Array]
    step_logits: Array
    prediction: int
    label: int | None = None

    @classmethod
    def of(cls, graph: DeployGraph, images: Array, trace: Trace, index: int, labels: Array | None = None) -> Example:
        """Sample `index` of a run with spikes and step logits recorded.

        images: uint8 `[N, C, H, W]`; labels: `[N]`. Raises InputError where there is no such sample, or the trace
        lacks what is drawn.
        """
        if not 0 <= index < len(images):
            raise InputError(f"sample {index}: there are {len(images)} samples, numbered from 0")
        if trace.step_logits is None or not trace.spikes:
            raise InputError("an example needs a trace with spikes and step logits")
        return cls(
            index,
            images[index],
            graph.code.frames(images[index]),
            graph.code.analog,
            {name: np.ascontiguousarray(spikes[:, index]) for name, spikes in trace.spikes.items()},
            trace.step_logits[:, index],
            int(trace.predictions[index]),
            None if labels is None else int(labels[index]),
        )
