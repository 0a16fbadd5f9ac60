"""Batch norm's statistics as they are deployed: measured on images, with the weights as they are.

A norm is deployed with one mean and one variance for all the steps that share its weights, because it is folded into
them. A running average does not find these where batches are few: it still holds those of weights many batches ago, and
where batch norm is called step by step, the last steps of the last batches weigh most.

Here images pass through the network once, layer by layer and all steps at once: each norm takes the mean and the
variance of what arrives there, over all images and steps, and normalises with them before the next layer sees its
signal. So every norm is measured behind norms that are settled already, in one pass for a network of any depth. What
does not fit into memory at once passes in groups of equal size, whose statistics are put together; then a layer is
measured behind those of its group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from asnn_deploy.models.layers import Synapses
from asnn_deploy.models.network import SpikingNetwork, exact_sums
from asnn_deploy.util.progress import phase

ROOM = 2**27
"""Numbers that a group's largest signal may have: half a gigabyte in float32, and a pass holds about four signals."""


@phase("measure statistics")
def settle_statistics(network: SpikingNetwork, images: Tensor) -> None:
    """Set the statistics of all batch norms to those of 8-bit images `[N, C, H, W]`; see above.

    The variance is that of the images themselves (N in the denominator). No random numbers are drawn, and the network's
    mode (training or evaluation) stays as it was.
    """
    norms: list[Any] = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    with _measured(network), exact_sums():
        at_once = max(1, ROOM // _largest_signal(network, images[:1]))
        groups = images.chunk(math.ceil(len(images) / at_once))
        found = [_statistics_of(network, group, norms) for group in groups]
    if len(groups) == 1:
        return
    shares = torch.tensor([len(group) / len(images) for group in groups], dtype=torch.float64).unsqueeze(1)
    for norm, *each in zip(norms, *found):
        means, variances = (torch.stack(values).cpu() for values in zip(*each))
        mean = (shares * means).sum(0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((shares * (variances + (means - mean) ** 2)).sum(0))


def _statistics_of(network: SpikingNetwork, images: Tensor, norms: Sequence[Any]) -> list[tuple[Tensor, Tensor]]:
    """Each norm's mean and variance, `[C]` in float64, on a group of images."""
    network.watched(images.to(network.encode.table.device), traffic=False)
    return [(norm.running_mean.double(), norm.running_var.double()) for norm in norms]


def _largest_signal(network: SpikingNetwork, image: Tensor) -> int:
    """Numbers in the largest signal of one image, over all steps."""
    sizes: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _module, _inputs, y: sizes.append(y.numel()))
        for layer in network.layers.values()
        if isinstance(layer, Synapses)
    ]
    try:
        network.watched(image.to(network.encode.table.device), traffic=False)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@contextmanager
def _measured(network: SpikingNetwork) -> Iterator[None]:
    """Evaluation in which every batch norm measures what arrives before it normalises."""
    layers = [layer for layer in network.layers.values() if isinstance(layer, Synapses)]
    training = network.training
    network.eval()
    try:
        for layer in layers:
            layer.measured = True
        yield
    finally:
        for layer in layers:
            layer.measured = False
        network.train(training)
