"""Layers over time: each module takes `[T, B, ...]` and gives `[T, B, ...]`, layer by layer instead of step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from asnn_deploy.ir.images import PIXEL_MAX, InputCode
from asnn_deploy.models.cells import CellState
from asnn_deploy.models.fake_quantization import fake_quantized, rounded_weight, settled_clips
from asnn_deploy.util.arrays import Array


class Encode(nn.Module):
    """8-bit images `[B, C, H, W]` to frames `[T, B, C, H, W]`: the torch twin of `InputCode.frames`.

    Analog steps hold the pixel, 0..255, as in a DeployGraph; `Synapses.input_scale` makes it 0..1 for training.
    Frames lie channels-last in memory, which every layer keeps: convolutions and poolings are fastest on it.
    """

    table: Tensor

    def __init__(self, code: InputCode) -> None:
        super().__init__()
        self.register_buffer("table", torch.from_numpy(code.table.copy()).float(), persistent=False)

    def forward(self, images: Tensor, steps: slice = slice(None)) -> Tensor:
        """See the class's text. steps: those that are wanted."""
        return self.table[steps][:, images.movedim(1, -1).long()].movedim(-1, 2)


class Synapses(nn.Module):
    """A convolution or linear layer with its batch norm; one pair for each kind of step, K pairs.

    make: makes the bare layer. features: channels to normalise, None for no batch norm.
    index: `[T]`, which pair serves each step: all 0, or 0 1 1 .. for a hybrid input.
    input_scale: factor on what arrives at each step, `[T]`: 1/255 where that is analog, 1/n for a mean of n.

    In training, batch norm's statistics are those of all steps in a row that share weights; if `norm_by_step`, it is
    called step by step, as the reference code does, and they are those of one step. In evaluation one mean and one
    variance serve all steps of a pair; `measured` sets them from what passes (see `statistics.py`).
    After `quantize` it is trained with weights of few bits (see `fake_quantization.py`), after `fold` it computes with
    given weights, on unscaled input, and is no longer trainable.
    """

    clips: Tensor

    def __init__(
        self,
        make: Callable[[], nn.Module],
        features: int | None,
        index: Sequence[int],
        input_scale: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        kinds = max(index) + 1
        self.index = list(index)
        self.input_scale = list(input_scale or [1.0] * len(index))
        self.weights = nn.ModuleList(make() for _ in range(kinds))
        norm = nn.BatchNorm2d if isinstance(self.weights[0], nn.Conv2d) else nn.BatchNorm1d
        self.norms = nn.ModuleList() if features is None else nn.ModuleList(norm(features) for _ in range(kinds))
        self.norm_by_step, self.measured = False, False
        self.folded: list[tuple[Tensor, Tensor]] | None = None
        self.bits: int | None = None

    def quantize(self, bits: int) -> None:
        """Train with weights of that many bits from now on; the clips, `[K, out]`, become part of the state."""
        self.bits = bits
        layers: Any = self.weights
        self.register_buffer("clips", torch.stack([torch.ones(len(layer.weight)) for layer in layers]))

    def settle_clips(self) -> None:
        """Choose the clips anew, from the weights as they are."""
        if self.bits is not None:
            for k, clips in enumerate(self.clips):
                clips.copy_(torch.from_numpy(settled_clips(self.raw_weight(k), self.bits)))

    def raw_weight(self, k: int) -> Array:
        """The k-th pair's weight as it is stored, `[out, ...]` float64."""
        layer: Any = self.weights[k]
        return layer.weight.detach().cpu().numpy().astype(np.float64)

    def deployed_weight(self, k: int) -> Array:
        """The k-th pair's weight as the network uses it, `[out, ...]` float64."""
        if self.bits is None:
            return self.raw_weight(k)
        return rounded_weight(self.raw_weight(k), self.bits, self.clips[k].cpu().numpy().astype(np.float64))

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """See the class's text. first: the step that x begins with."""
        runs = self.runs(first, first + len(x))
        # Split along the batch and joined there, not sliced and stacked: so signals and gradients stay channels-last.
        split = x.flatten(0, 1).split([len(steps) * x.shape[1] for steps in runs])
        parts = [self.apply_at(steps[0], part) for steps, part in zip(runs, split)]
        if self.norms and not self.folded:
            pairs = [self.index[steps[0]] for steps in runs]
            if self.measured:
                for k in set(pairs):
                    measure(self.norms[k], [part for pair, part in zip(pairs, parts) if pair == k])
            size = x.shape[1] if self.norm_by_step else None
            parts = [self.norms[k](y) for k, part in zip(pairs, parts) for y in part.split(size or len(part))]
        return torch.cat(parts).unflatten(0, x.shape[:2])

    @property
    def connections(self) -> int:
        """Synapses of one output."""
        layer: Any = self.weights[0]
        return int(layer.weight[0].numel())

    def runs(self, first: int, end: int) -> list[range]:
        """Consecutive steps that use the same weights."""
        starts = [t for t in range(first, end) if t == first or self.key(t) != self.key(t - 1)]
        return [range(a, b) for a, b in zip(starts, [*starts[1:], end])]

    def key(self, t: int) -> tuple[int, float]:
        """What makes two steps computable in one call."""
        return self.index[t], self.input_scale[t]

    def apply_at(self, t: int, x: Tensor) -> Tensor:
        """The bare layer in force at step t, on `[N, ...]`."""
        layer: Any = self.weights[self.index[t]]
        if self.folded is None:
            x = x if self.input_scale[t] == 1.0 else x * self.input_scale[t]
            if self.bits is None:
                return layer(x)
            weight, bias = fake_quantized(layer.weight, self.bits, self.clips[self.index[t]]), layer.bias
        else:
            weight, bias = self.folded[t]
        if isinstance(layer, nn.Linear):
            return functional.linear(x, weight, bias)
        convolve: Any = functional.conv1d if isinstance(layer, nn.Conv1d) else functional.conv2d
        return convolve(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    def fold(self, layer: Any) -> None:
        """Compute with the weights of a deployed layer from now on."""
        assert layer.bias is not None, "lowering gives every layer of a trained module a bias"
        device: Any = self.weights[0].weight.device
        weights = torch.tensor(layer.weight.expanded(), device=device)
        biases = torch.tensor(layer.bias.expanded(), device=device)
        self.folded = list(zip(weights, biases))


def measure(norm: Any, parts: Sequence[Tensor]) -> None:
    """Set a batch norm's mean and variance to those of parts `[N, C, ...]` taken together; sums are in float64."""
    axes = [0, *range(2, parts[0].dim())]
    count = sum(part.numel() for part in parts) / parts[0].shape[1]
    mean = torch.stack([part.sum(axes, dtype=torch.float64) for part in parts]).sum(0) / count
    centre = mean.to(parts[0].dtype).reshape(-1, *(1,) * (parts[0].dim() - 2))
    squares = torch.stack([(part - centre).square_().sum(axes, dtype=torch.float64) for part in parts]).sum(0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(squares / count)


class PerStep(nn.Module):
    """A stateless torch module applied at each step."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return self.module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Sum(nn.Module):
    """The sum of signals of one shape, from the first on."""

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """See the class's text."""
        for other in others:
            x = x + other
        return x


class Recent(nn.Module):
    """The last `depth` steps of a signal, the newest first, their channels side by side; zeros before the first step.

    `[T, B, C, ...]` to `[T, B, depth * C, ...]`. A convolution behind it is one over time and space, causal in time.
    """

    state_tensors: int = 1

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return self.after(x, None)[0]

    def after(self, x: Tensor, state: CellState | None) -> tuple[Tensor, CellState]:
        """The same in steps that follow on a state (None: from step 0 on), the latest frames, and the state behind."""
        kept = self.depth - 1
        first, past = (state.step, state.values[0]) if state else (0, x.new_zeros(kept, *x.shape[1:]))
        whole = torch.cat([past, x])
        steps = [whole[kept - delay : kept - delay + len(x)] for delay in range(self.depth)]
        # Joined as they lie in memory, channels-last.
        joined = torch.cat([step.movedim(2, -1) for step in steps], -1).movedim(-1, 2)
        return joined, CellState((whole[len(whole) - kept :],), first + len(x))


class Multiply(nn.Module):
    """The product of two signals by an einsum equation over their axes behind `[T, B]`.

    carrier: the type that holds the sums exactly.
    """

    def __init__(self, equation: str, carrier: torch.dtype | None = None) -> None:
        super().__init__()
        self.equation, self.carrier = equation, carrier

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """See the class's text."""
        terms, _, result = self.equation.partition("->")
        equation = ",".join("..." + term for term in terms.split(",")) + "->..." + result
        return torch.einsum(equation, left.to(self.carrier or left.dtype), right.to(self.carrier or right.dtype))


class Reshaped(nn.Module):
    """The same elements under other axes behind `[T, B]`."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return x.reshape(*x.shape[:2], *self.shape)


class Scaled(nn.Module):
    """Multiplied by a number, the same at all T steps."""

    def __init__(self, factor: float, time_steps: int) -> None:
        super().__init__()
        self.factor, self.time_steps = factor, time_steps

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return x * self.factor


class WeightedMean(nn.Module):
    """The answer: the mean over t of `scale[t] * x[t]`, `[T, B, classes]` to `[B, classes]`, added from step 0 on."""

    def __init__(self, time_steps: int, learned: bool = True) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(time_steps), requires_grad=learned)

    def step_weights(self) -> Tensor:
        """`scale / T`, `[T]`."""
        return self.scale / len(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return added_up(self.summands(x))

    def summands(self, x: Tensor) -> Tensor:
        """Each step's part of the answer, `[T, B, classes]`."""
        return self.step_weights().reshape(-1, *(1,) * (x.dim() - 1)) * x


def added_up(summands: Tensor) -> Tensor:
    """The sum over the first axis, from 0 on: a reduction would leave the order to the device."""
    total = torch.zeros_like(summands[0])
    for summand in summands:
        total = total + summand
    return total


def pixel_scales(code: InputCode) -> list[float]:
    """1/255 at analog steps, 1 elsewhere."""
    return [1 / PIXEL_MAX if analog else 1.0 for analog in code.analog]
