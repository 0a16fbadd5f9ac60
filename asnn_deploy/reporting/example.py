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
    image: uint8 `[C, H, W]`; of a sequence, how much each place sends over time, the most as 255.
    frames: what enters, `[T, C, H, W]` or `[T, N]`; analog: `[T]` bool, steps that send values, at most `largest`.
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
    largest: float = 255.0

    @classmethod
    def of(cls, graph: DeployGraph, images: Array, trace: Trace, index: int, labels: Array | None = None) -> Example:
        """Sample `index` of a run with spikes and step logits recorded.

        images: what the network takes, `[N, ...]`; labels: `[N]`. Raises InputError where there is no such sample,
        or the trace lacks what is drawn.
        """
        if not 0 <= index < len(images):
            raise InputError(f"sample {index}: there are {len(images)} samples, numbered from 0")
        if trace.step_logits is None or not trace.spikes:
            raise InputError("an example needs a trace with spikes and step logits")
        frames = graph.code.frames(images[index : index + 1])[:, 0]
        return cls(
            index,
            images[index] if graph.code.kind == "image" else _over_time(frames),
            frames,
            graph.code.analog,
            {name: np.ascontiguousarray(spikes[:, index]) for name, spikes in trace.spikes.items()},
            trace.step_logits[:, index],
            int(trace.predictions[index]),
            None if labels is None else int(labels[index]),
            float(graph.code.largest.max()),
        )


def _over_time(frames: Array) -> Array:
    """How much each place of a sequence sends, uint8 `[C, H, W]` with the most as 255; what has fewer axes is a row."""
    sent = np.abs(frames.astype(np.float64)).sum(axis=0)
    sent = sent.reshape(*(1,) * (3 - sent.ndim), *sent.shape)
    return (255 * sent / (sent.max(initial=0.0) or 1.0)).round().astype(np.uint8)
