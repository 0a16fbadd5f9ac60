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
        self.sums[name] = self.sums[name].to(value.device) + value if name in self.sums else value

    def over_all(self) -> dict[str, Tensor]:
        """The sums over all processes; each process must call this, with the same names."""
        return {name: added_over_all(sums) for name, sums in self.sums.items()}

    def means(self) -> dict[str, Tensor]:
        """Of every name, over all processes; each process must call this, with the same names."""
        return {name: (sums[0] / sums[1]).cpu() for name, sums in self.over_all().items()}


def added_over_all(value: Tensor) -> Tensor:
    """The sum over all processes; each must call this."""
    value = value.clone()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(value)
    return value
