"""Means over an epoch and over all processes, each sample once; checkpoints keep them, so an epoch can be cut."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor


class Tally:
    """Named sums of values and of the samples they stand for, in float64."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, mean: Tensor, samples: int) -> None:
        """Take in the mean of a number of samples: a number, or an array of them."""
        value = torch.stack([mean.detach().double() * samples, torch.full_like(mean, samples, dtype=torch.float64)])
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def means(self) -> dict[str, Tensor]:
        """Of every name, over all processes; each process must call this, with the same names."""
        found = {}
        for name, sums in self.sums.items():
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                sums = sums.clone()
                torch.distributed.all_reduce(sums)
            found[name] = (sums[0] / sums[1]).cpu()
        return found
