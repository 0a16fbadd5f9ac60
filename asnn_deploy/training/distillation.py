"""Knowledge distillation: the network shall answer as its teacher does (Hinton, Vinyals, Dean, arXiv 1503.02531)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from asnn_deploy.models.layers import added_up


def distillation(summands: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """`K**2 KL(softmax(taught / K) || softmax(answer / K))`, mean over the batch; K is the temperature.

    taught: the teacher's logits, `[B, classes]`. Source: Hinton et al. 2015, section 2, with the factor K**2 that they
    give for gradients of one size at all temperatures.
    """
    ours = functional.log_softmax(added_up(summands) / temperature, 1)
    theirs = functional.log_softmax(taught.to(ours.dtype) / temperature, 1)
    return temperature**2 * functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
