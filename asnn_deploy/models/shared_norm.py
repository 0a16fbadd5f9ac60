"""Batch norm whose statistics are those of the whole batch, however many processes share it.

On CUDA that is torch's SyncBatchNorm; torch has none for the CPU, so there it is written here.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Takes the place of a batch norm, with its parameters; same names in the state. (DDP refuses to see one of torch's
    own on a CPU.)"""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of axes behind `[N, C]`."""

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, ...]`; the mean over N and all axes behind C, of all processes; sums are in float32 at least."""
        if not self.training or not torch.distributed.is_initialized():
            return super().forward(x)
        if x.is_cuda:
            return self._torch_sync(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        axes = [0, *range(2, x.dim())]
        count = torch.full_like(wide[0, :1].flatten()[:1], x.numel() / x.shape[1])
        total = all_reduce(torch.cat([wide.sum(axes), count]))
        mean = total[:-1] / total[-1]
        spread: Any = (-1, *(1,) * (x.dim() - 2))
        centred = wide - mean.reshape(spread)
        variance = all_reduce(centred.square().sum(axes)) / total[-1]
        with torch.no_grad():
            self.num_batches_tracked += 1
            factor = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            unbiased = variance * (total[-1] / (total[-1] - 1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), factor)
        y = centred * torch.rsqrt(variance + self.eps).reshape(spread)
        return (y * self.weight.reshape(spread) + self.bias.reshape(spread)).to(x.dtype)

    def _torch_sync(self, x: Tensor) -> Tensor:
        """By torch's own module, which shares this one's parameters and statistics."""
        twin = nn.SyncBatchNorm(self.num_features, self.eps, self.momentum, device="meta")
        for key in ("weight", "bias"):
            twin._parameters[key] = self._parameters[key]
        for key in ("running_mean", "running_var", "num_batches_tracked"):
            twin._buffers[key] = self._buffers[key]
        return twin(x)  # type: ignore[no-any-return]


def share_statistics(network: nn.Module) -> None:
    """Replace every batch norm in a network."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared)
