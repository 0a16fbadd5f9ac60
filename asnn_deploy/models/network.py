"""SpikingNetwork: an input code and named layers over time that read each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asnn_deploy.analysis.flow import flow
from asnn_deploy.ir import layers as deployed
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Neuron, Product, Readout, Scale
from asnn_deploy.models.cells import CellState, MultiStep
from asnn_deploy.models.integers import IntegerNeuron, IntegerReadout, IntegerSynapses, carrier
from asnn_deploy.models.layers import Encode, Multiply, PerStep, Recent, Synapses


@contextmanager
def exact_sums() -> Iterator[None]:
    """Evaluation in which torch computes plain sums: no gradients, and none of NNPACK's Winograd kernels."""
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        yield


class SpikingNetwork(nn.Module):
    """8-bit images `[B, C, H, W]` to logits `[B, classes]`.

    layers: name to module, in order; the last one is the answer. Spiking layers are what `trace` returns, under their
    names: those of neurons (MultiStep) whose model sends spikes. sources: the names of the layers (or "input") that a
    layer reads; where it is not named, the layer before.
    """

    def __init__(
        self,
        code: InputCode,
        input_shape: tuple[int, ...],
        layers: Mapping[str, nn.Module],
        sources: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.code = code
        self.input_shape = input_shape
        self.encode = Encode(code)
        self.layers = nn.ModuleDict(layers)
        before = zip(layers, [INPUT, *layers])
        self.sources = {name: tuple((sources or {}).get(name, (last,))) for name, last in before}
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._last_reader = {source: name for name, read in self.sources.items() for source in read}

    def forward(self, images: Tensor) -> Tensor:
        """See the class's text."""
        return self.trace(images)[0]

    def trace(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the spikes of each spiking layer, `[T, B, ...]`."""
        spikes: dict[str, Tensor] = {}
        x, _ = self._run(images, spikes=spikes)
        return self.answer(x), spikes

    def step_logits(self, images: Tensor, segment: int | None = None) -> Tensor:
        """Each step's summand of the logits, `[T, B, classes]`, of a network that is not folded into integers.

        segment: keep the signals of that many steps only, and between them the neurons' states; the backward pass
        computes the rest again. None: keep all.
        """
        return self.watched(images, segment)[0]

    def watched(self, images: Tensor, segment: int | None = None, traffic: bool = True) -> tuple[Tensor, Tensor]:
        """`step_logits`, and each step's traffic, `[T]`: the share of all possible synaptic operations that are done.

        That is the mean of what arrives at each layer of synapses, weighted with its number of connections; the layer
        that reads the image is left out. traffic: False does not look, and gives zeros.
        """
        steps = self.code.time_steps
        segment = segment or steps
        states: list[Tensor] = []
        arriving, shares = [], []
        for first in range(0, steps, segment):
            size = min(segment, steps - first)
            compute = partial(self._segment, images, first, size, traffic)
            if size == steps:
                x, share, *states = compute(*states)
            else:
                x, share, *states = checkpoint(
                    compute,
                    *states,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    context_fn=lambda: (nullcontext(), self.statistics_kept()),
                )
            arriving.append(x)
            shares.append(share)
        return self.answer.summands(torch.cat(arriving)), torch.cat(shares)

    def _segment(self, images: Tensor, first: int, size: int, traffic: bool, *before: Tensor) -> tuple[Tensor, ...]:
        """What arrives at the answer, the traffic, and the states of all layers behind some steps, in a row."""
        waiting = iter(before)
        states = {
            name: CellState(tuple(islice(waiting, layer.state_tensors)), first)
            for name, layer in self._with_state.items()
            if before
        }
        shares: list[tuple[int, Tensor]] | None = [] if traffic else None
        x, after = self._run(images, slice(first, first + size), states, shares)
        total = sum(count for count, _ in shares or ())
        share = sum((mean * (count / total) for count, mean in shares or ()), x.new_zeros(size))
        return x, share, *(value for name in self._with_state for value in after[name].values)

    @contextmanager
    def statistics_kept(self) -> Iterator[None]:
        """Batch norm in which a batch that passes leaves no trace, such as one that is computed again."""
        norms = [module for module in self.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
            norm.num_batches_tracked = None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
        try:
            yield
        finally:
            for norm, momentum, tracked in before:
                norm.momentum, norm.num_batches_tracked = momentum, tracked

    @property
    def _with_state(self) -> dict[str, MultiStep | Recent]:
        return {name: layer for name, layer in self.layers.items() if isinstance(layer, (MultiStep, Recent))}

    def first_not_finite(self, images: Tensor) -> str | None:
        """The first layer that gives NaN or infinity for these images; None where none does."""
        found: list[str] = []

        def look(name: str) -> Any:
            return lambda _module, _inputs, y: None if torch.isfinite(y).all() else found.append(name)

        hooks = [layer.register_forward_hook(look(name)) for name, layer in self.layers.items()]
        try:
            with torch.no_grad():
                self.trace(images)
        finally:
            for hook in hooks:
                hook.remove()
        return found[0] if found else None

    @property
    def answer(self) -> Any:
        """The last layer."""
        return self.layers[next(reversed(self.sources))]

    def _run(
        self,
        images: Tensor,
        steps: slice = slice(0, None),
        states: Mapping[str, CellState] = MappingProxyType({}),
        traffic: list[tuple[int, Tensor]] | None = None,
        spikes: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, CellState]]:
        """What arrives at the last layer, and the state that the spikes on the way leave, from a state on.

        traffic: filled with the connections of each layer of synapses, and the mean of what arrives there, `[T]`.
        spikes: filled with those of each spiking layer, `[T, B, ...]`; None keeps no signal longer than it is read.
        """
        signals, after = {INPUT: self.encode(images, steps)}, {}
        *before, _ = self.layers.items()
        for name, layer in before:
            sources = self.sources[name]
            read = [signals[source] for source in sources]
            if isinstance(layer, (MultiStep, Recent)):
                signals[name], after[name] = layer.after(read[0], states.get(name))
            elif isinstance(layer, Synapses):
                signals[name] = layer(*read, steps.start)
                if traffic is not None and INPUT not in sources:
                    count = signals[name][0, 0].numel() * layer.connections
                    traffic.append((count, read[0].flatten(1).mean(1, dtype=torch.float32)))
            else:
                signals[name] = layer(*read)
            spiking = isinstance(layer, (MultiStep, IntegerNeuron)) and layer.model.spikes
            if spikes is not None and spiking:
                spikes[name] = signals[name]
            for source in {source for source in sources if self._last_reader[source] == name}:
                del signals[source]
        (source,) = self.sources[next(reversed(self.sources))]
        return signals[source], after

    def quantize(self, bits: int) -> None:
        """Train with weights of that many bits from now on."""
        for module in self.layers.values():
            if isinstance(module, Synapses):
                module.quantize(bits)

    def settle_clips(self) -> None:
        """Choose the weight clips anew, where training is with few bits."""
        for module in self.layers.values():
            if isinstance(module, Synapses):
                module.settle_clips()

    def fold(self, graph: DeployGraph) -> None:
        """Compute with the weights of the graph that this network was lowered to (batch norm folded in, snapped), or
        with those of its integer version: then all is computed in integers, on the CPU."""
        if graph.arithmetic == "fixed":
            self._fold_integers(graph)
            return
        for name, module in self.layers.items():
            if isinstance(module, Synapses):
                module.fold(graph.by_name[name])

    def _fold_integers(self, graph: DeployGraph) -> None:
        known = flow(graph)
        for name, module in self.layers.items():
            layer, shape, largest = graph.by_name[name], graph.shapes[name], float(known[name].largest.max())
            if isinstance(layer, deployed.Synapses):
                self.layers[name] = IntegerSynapses(layer, largest)
            elif isinstance(layer, Product):
                self.layers[name] = Multiply(layer.equation, carrier(largest))
            elif isinstance(layer, Scale):
                self.layers[name] = nn.Identity()  # its factor is in the gain behind it
            elif isinstance(layer, Neuron):
                self.layers[name] = IntegerNeuron(layer, shape)
            elif isinstance(layer, Readout):
                self.layers[name] = IntegerReadout(layer, shape)
            elif isinstance(module, PerStep) and isinstance(module.module, nn.AvgPool2d):
                module.module.divisor_override = 1  # integers are summed; the gain behind them divides
