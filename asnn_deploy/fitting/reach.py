"""Who reaches whom along one spatial axis.

A window (of a convolution, a pooling, or a whole map) is `[outputs, inputs, kernel]` bool: which input each output
reads, and with which position of the kernel. Windows are products over the axes, so that everything that a core holds
follows from three numbers, one for each axis, without a list of connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from asnn_deploy.util.arrays import Array

Counts = tuple[tuple[int, int], ...]
"""(how many outputs are hit, how many inputs or patterns hit so many), ascending."""


@dataclass(frozen=True)
class Reach:
    """What a range of outputs reads along one axis.

    inputs: how many input positions it reads.
    each: (hits, number of input positions that hit so many outputs).
    distinct: (hits, number of different ways in which input positions hit so many outputs): same relative outputs,
        same kernel positions.
    """

    inputs: int
    each: Counts
    distinct: Counts


class Window:
    """A window along one axis: `reads [outputs, inputs, kernel]` bool."""

    def __init__(self, reads: Array) -> None:
        self.reads = reads
        self.key = (reads.shape, np.packbits(reads).tobytes())
        self._cached = lru_cache(maxsize=None)(self._reach)

    @classmethod
    def sliding(cls, size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Window:
        """A convolution's or pooling's, over `size` inputs."""
        outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        at = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel) * dilation
        return cls(at[:, None, :] == np.arange(size)[:, None])

    @classmethod
    def whole(cls, size: int) -> Window:
        """A linear layer's: one output, every input with a weight of its own."""
        return cls(np.eye(size, dtype=bool)[None])

    @classmethod
    def same(cls, size: int) -> Window:
        """Position to position."""
        return cls.sliding(size, 1, 1, 0)

    def before(self, pool: Window) -> Window:
        """This window reading what another has pooled, as one window on the pooled inputs."""
        return Window(np.einsum("opk,pi->oik", self.reads, pool.touches) > 0)

    def after(self, synapses: Window) -> Window:
        """This window pooling what synapses send, as one window of synapses."""
        return Window(np.einsum("op,pik->oik", self.touches, synapses.reads) > 0)

    def of_ones(self) -> Window:
        """This window with one weight for all kernel positions."""
        return Window(self.touches[:, :, None])

    @cached_property
    def touches(self) -> Array:
        """Which output reads which input, `[outputs, inputs]` bool."""
        return self.reads.any(axis=2)

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return len(self.reads)

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.reads.shape[1]

    @property
    def kernel(self) -> int:
        """Number of kernel positions."""
        return self.reads.shape[2]

    def reach(self, start: int, stop: int) -> Reach:
        """What the outputs from start to stop (not included) read."""
        return self._cached(start, stop)

    def _reach(self, start: int, stop: int) -> Reach:
        part, hit = self.reads[start:stop], self.touches[start:stop]
        hits = hit.sum(axis=0)
        patterns: dict[bytes, int] = {}
        for i in np.flatnonzero(hits):
            where = np.flatnonzero(hit[:, i])
            patterns[part[where[0] : where[-1] + 1, i].tobytes()] = int(hits[i])
        return Reach(
            inputs=int(np.count_nonzero(hits)),
            each=_counted(hits[hits > 0].tolist()),
            distinct=_counted(patterns.values()),
        )

    def chunks_reached(self, cuts: Array) -> Array:
        """How many of the ranges between the cuts `[n + 1]` each input reaches, `[inputs]`."""
        return np.logical_or.reduceat(self.touches, cuts[:-1], axis=0).sum(axis=0)  # type: ignore[no-any-return]


def _counted(values: Iterable[int]) -> Counts:
    return tuple(sorted(Counter(values).items()))
