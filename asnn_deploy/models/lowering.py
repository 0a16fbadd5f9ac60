"""Lowering: a trained SpikingNetwork to a DeployGraph, batch norm folded in, weights snapped to order-free grids.

Each kind of torch module has one rule in `RULES`; what has none is refused by its path and type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import snap
from asnn_deploy.errors import GraphError, LoweringError
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.layers import (
    Add,
    Concat,
    Conv,
    Flatten,
    Layer,
    Linear,
    Neuron,
    Pool,
    Product,
    Readout,
    Reshape,
    Scale,
)
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.models.cells import AdaptiveLIFCell, MultiStep, NeuronCell
from asnn_deploy.models.layers import Multiply, PerStep, Recent, Reshaped, Scaled, Sum, Synapses, WeightedMean
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase


@phase("lower the network")
def lower(network: SpikingNetwork, dt: float = 1e-3, snapped: bool = True) -> DeployGraph:
    """The deployable graph of a trained network in evaluation mode.

    snapped: round weights to order-free grids (`order_free.snap`); False keeps them as folded, for comparison.
    Raises LoweringError naming the path and type of a module that has no deployable counterpart.
    """
    layers = [_lower_module(name, f"layers.{name}", module) for name, module in network.layers.items()]
    edges = [
        Edge(source, name, delay)
        for name, sources in network.sources.items()
        for source in sources
        for delay in _delays(network.layers[name])
    ]
    graph = DeployGraph(network.input_shape, network.code, tuple(layers), tuple(edges), dt=dt)
    check_padded_maxima(graph, lambda name: f"layers.{name}")
    return snap(graph) if snapped else graph


def check_padded_maxima(graph: DeployGraph, path: Callable[[str], str]) -> None:
    """Raise LoweringError if a largest value may be a padding's zero. path: of the module that became a layer."""
    for layer in graph.layers:
        padded = isinstance(layer, Pool) and layer.mode == "max" and any(layer.padding)
        if padded and flow(graph)[layer.name].bounds[0].min() < 0:
            raise LoweringError(
                f"module '{path(layer.name)}' (MaxPool2d) cannot be deployed: it pads currents with minus infinity, "
                "a deployed pooling pads with zeros; pool the spikes, or without padding"
            )


def _delays(module: nn.Module) -> range:
    """The delays of the edges from what a module reads."""
    return range(module.depth) if isinstance(module, Recent) else range(1)


def _lower_module(name: str, path: str, module: nn.Module) -> Layer:
    inner = module.module if isinstance(module, PerStep) else module
    if isinstance(module, PerStep):
        path += ".module"
    for kind, rule in RULES.items():
        if type(inner) is kind:
            try:
                return rule(name, path, inner)
            except LoweringError:
                raise
            except GraphError as error:  # such as a leak that is not finite
                raise LoweringError(f"module '{path}' cannot be deployed: {error}") from None
    known = ", ".join(kind.__name__ for kind in RULES)
    raise LoweringError(
        f"module '{path}' ({type(inner).__module__}.{type(inner).__qualname__}) cannot be deployed; deployable: {known}"
    )


def array(tensor: Tensor) -> Array:
    """Return a tensor's numbers."""
    return tensor.detach().cpu().numpy()


def _synapses(name: str, path: str, module: Synapses) -> Layer:
    folded = [
        fold(path, module.deployed_weight(k), layer.bias, module.norms[k] if module.norms else None)
        for k, layer in enumerate(module.weights)
    ]
    steps = range(len(module.index))
    weight = StepTable.per_step(
        [(folded[module.index[t]][0] * module.input_scale[t]).astype(np.float32) for t in steps]
    )
    bias = StepTable.per_step([folded[module.index[t]][1].astype(np.float32) for t in steps])
    layer: Any = module.weights[0]
    if isinstance(layer, nn.Linear):
        return Linear(name, weight, bias)
    if not isinstance(layer, (nn.Conv1d, nn.Conv2d)) or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise LoweringError(
            f"module '{path}.weights.0' ({type(layer).__name__}) cannot be deployed: only Linear, and "
            "Conv1d and Conv2d with padding of zeros given as numbers"
        )
    return Conv(name, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def fold(path: str, weight: Array, own_bias: Any, norm: Any) -> tuple[Array, Array]:
    """Return weight and bias with the batch norm in them, in float64. Raises LoweringError if they are not finite."""
    bias = np.zeros(len(weight)) if own_bias is None else array(own_bias).astype(np.float64)
    if norm is not None:
        scale, shift = (1.0, 0.0) if norm.weight is None else (array(norm.weight).astype(np.float64), array(norm.bias))
        factor = scale / np.sqrt(array(norm.running_var).astype(np.float64) + norm.eps)
        weight = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
        bias = (bias - array(norm.running_mean)) * factor + shift
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise LoweringError(
            f"module '{path}' holds NaN or infinite weights: the training diverged; lower the learning rate"
        )
    return weight, bias


def _neuron(name: str, path: str, module: MultiStep) -> Layer:
    cell = module.cell
    if type(cell) not in (NeuronCell, AdaptiveLIFCell):
        raise LoweringError(f"module '{path}.cell' ({type(cell).__name__}) cannot be deployed; deployable: NeuronCell")
    known = cell.p.model.parameters
    tables = {key: _shared(array(table)) for key, table in cell.p.tables().items()}
    stated = {key: StepTable.per_step(table) for key, table in tables.items() if table.any() or known[key].default != 0}
    return Neuron(name, cell.p.model.name, stated, cell.p.reset)


def _shared(table: Array) -> Array:
    """A parameter `[T, *granularity]`, held once for each step where all neurons of the layer have the same."""
    flat = table.reshape(len(table), -1)
    return flat[:, 0] if (flat == flat[:, :1]).all() else table


def max_pool(name: str, path: str, module: nn.MaxPool2d) -> Layer:
    """Return the layer of a max-pooling. Raises LoweringError for what a layer cannot say."""
    pair = lambda n: (n, n) if isinstance(n, int) else tuple(n)  # noqa: E731
    if module.ceil_mode or pair(module.dilation) != (1, 1):
        raise LoweringError(f"module '{path}' (MaxPool2d) cannot be deployed with ceil_mode or dilation")
    return Pool(name, "max", pair(module.kernel_size), pair(module.stride), pair(module.padding))


def average_pool(name: str, path: str, module: nn.AvgPool2d) -> Layer:
    """Return the layer of an average-pooling. Raises LoweringError for what a layer cannot say."""
    pair = lambda n: (n, n) if isinstance(n, int) else tuple(n)  # noqa: E731
    if module.ceil_mode or not module.count_include_pad or module.divisor_override not in (None, 1):
        raise LoweringError(
            f"module '{path}' (AvgPool2d) cannot be deployed with ceil_mode, count_include_pad=False or a "
            "divisor_override other than 1"
        )
    return Pool(
        name,
        "sum" if module.divisor_override else "average",
        pair(module.kernel_size),
        pair(module.stride),
        pair(module.padding),
    )


def _flatten(name: str, path: str, module: nn.Flatten) -> Layer:
    if module.start_dim != 1 or module.end_dim != -1:
        raise LoweringError(f"module '{path}' (Flatten) cannot be deployed: it must flatten all axes but the batch")
    return Flatten(name)


def _scaled(name: str, _path: str, module: Scaled) -> Layer:
    return Scale(name, StepTable.constant(np.float32(module.factor), module.time_steps))


def _readout(name: str, _path: str, module: WeightedMean) -> Layer:
    return Readout(name, StepTable.per_step(array(module.step_weights())))


RULES: dict[type[nn.Module], Callable[[str, str, Any], Layer]] = {
    Synapses: _synapses,
    MultiStep: _neuron,
    nn.MaxPool2d: max_pool,
    nn.AvgPool2d: average_pool,
    nn.Flatten: _flatten,
    Scaled: _scaled,
    Recent: lambda name, _path, _module: Concat(name),
    Sum: lambda name, _path, _module: Add(name),
    Multiply: lambda name, _path, module: Product(name, module.equation),
    Reshaped: lambda name, _path, module: Reshape(name, module.shape),
    WeightedMean: _readout,
}
