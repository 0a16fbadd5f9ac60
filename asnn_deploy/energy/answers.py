"""The labelled side of the counts: accuracy, after each step and by class, with what each class costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from asnn_deploy.energy.results import ClassCount
from asnn_deploy.energy.running import Running
from asnn_deploy.engine.early_exit import running_logits
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Answered:
    """accuracy, by_step (`T`), by_class: see `Counts`."""

    accuracy: float | None
    by_step: tuple[float, ...] | None
    by_class: tuple[ClassCount, ...]


NOT_ASKED = Answered(None, None, ())


class Answers:
    """Takes in labelled batches."""

    def __init__(self, time_steps: int) -> None:
        self.labelled = self.stepped = self.correct = 0
        self.correct_by_step = np.zeros(time_steps, dtype=np.int64)
        self.classes: dict[int, tuple[Running, Running, Running]] = {}
        self.answers: dict[int, Counter[int]] = {}

    def add(self, trace: Trace, labels: Array, sops: Array, spikes: Array) -> None:
        """A batch's trace, labels, synaptic operations and spikes, `[B]` each."""
        right = trace.predictions == labels
        self.labelled += len(labels)
        self.correct += int(right.sum())
        if trace.step_logits is not None:
            self.stepped += len(labels)
            answers = running_logits(trace.step_logits, trace.rule).argmax(axis=2)
            self.correct_by_step += (answers == labels).sum(axis=1)
        for label in np.unique(labels).tolist():
            among = labels == label
            kept = self.classes.setdefault(label, (Running(), Running(), Running()))
            for running, values in zip(kept, (right, sops, spikes)):
                running.add(values[among])
            self.answers.setdefault(label, Counter()).update(trace.predictions[among].tolist())

    def of(self, samples: int) -> Answered:
        """What is known where so many samples were counted; accuracies only where all of them had labels."""
        complete = self.labelled == samples
        by_step = tuple((self.correct_by_step / samples).tolist()) if complete and self.stepped == samples else None
        by_class = tuple(
            ClassCount(
                *(label, right.count, float(right.mean), sops.interval(), spikes.interval()),
                answers=tuple(sorted(self.answers[label].items())),
            )
            for label, (right, sops, spikes) in sorted(self.classes.items())
        )
        return Answered(self.correct / samples if complete else None, by_step, by_class)
