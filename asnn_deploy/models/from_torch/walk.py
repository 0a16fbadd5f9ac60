"""Where the reading of a network stands: the layers so far, the signal that the next module reads, and its shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asnn_deploy.errors import LoweringError
from asnn_deploy.ir.graph import INPUT, Edge
from asnn_deploy.ir.layers import Add, Layer, Neuron, Shape, Synapses, constant_neuron
from asnn_deploy.models.lowering import array
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.names import free_name, plain_name


@dataclass
class Walk:
    """The network as far as it has been read.

    signal, shape: what the next module reads: the layer that sends it, and its shape without leading axes.
    paths: of the module that each layer was made of. feedback: the neurons that read themselves.
    used: where each module with a state was read, by its identity.
    said: rules of the first module that says them, by their names in `Meaning`.
    """

    shape: Shape
    layers: list[Layer] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    signal: str = INPUT
    taken: set[str] = field(default_factory=lambda: {INPUT, "output"})
    paths: dict[str, str] = field(default_factory=dict)
    feedback: set[str] = field(default_factory=set)
    used: dict[int, str] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def put(self, layer: Layer, path: str, *more: Edge) -> None:
        """Add a layer that reads the signal; what it sends is the signal from then on. more: other edges into it."""
        self.shape = layer.output_shape(self.shape, *(self.shape for _ in more))
        self.edges += [Edge(self.signal, layer.name), *more]
        self.layers.append(layer)
        self.signal, self.paths[layer.name] = layer.name, path


@dataclass(frozen=True)
class Place:
    """One module while it is read.

    path: within the network, "" for the network itself. axes: how many axes stand before a sample's own where it is
    called: 1, the batch, or 2, the batch and time. read: reads a module within it.
    """

    walk: Walk
    path: str
    module: Any
    axes: int
    read: Callable[[Place], None]

    @property
    def named(self) -> str:
        """The module in words: its path and type."""
        kind = type(self.module)
        where = f"module '{self.path}'" if self.path else "the network"
        return f"{where} ({kind.__module__}.{kind.__qualname__})"

    def refuse(self, problem: str) -> LoweringError:
        """Return an error that names the module by path and type."""
        return LoweringError(f"{self.named} cannot be deployed: {problem}")

    def name(self, suffix: str = "") -> str:
        """Return a name for a layer: the module's path."""
        return free_name(plain_name(self.path or type(self.module).__name__) + suffix, self.walk.taken)

    def inside(self, name: str, module: Any, axes: int | None = None) -> Place:
        """Return the place of a module within this one."""
        path = f"{self.path}.{name}" if self.path else name
        return replace(self, path=path, module=module, axes=self.axes if axes is None else axes)

    def put(self, layer: Layer, *more: Edge) -> None:
        """Add a layer that reads the signal (see `Walk.put`)."""
        self.walk.put(layer, self.path, *more)

    def once(self) -> None:
        """Raise LoweringError if the module has a state and was read before: both places would share it."""
        before = self.walk.used.setdefault(id(self.module), self.path)
        if before != self.path:
            raise self.refuse(f"it is also module '{before}', and both would share its state; make one for each place")

    def numbers(self, **given: Any) -> dict[str, Array]:
        """Return parameters as arrays that broadcast against the signal; those that are None are left out.

        Raises LoweringError naming one that is not in float32, is not finite, or does not fit the signal.
        """
        return {key: self._number(key, value) for key, value in given.items() if value is not None}

    def _number(self, key: str, value: Any) -> Array:
        if isinstance(value, Tensor) and value.ndim:
            self.single(key, value)
        found = array(value) if isinstance(value, Tensor) else np.asarray(value)
        if not np.isfinite(found).all():
            raise self.refuse(f"its {key} holds NaN or infinity; every parameter must be finite")
        wide, shape = found.shape, self.walk.shape
        while len(wide) > len(shape) and wide[0] == 1:
            wide = wide[1:]
        fits = len(wide) <= len(shape) and all(a in (1, b) for a, b in zip(wide[::-1], shape[::-1]))
        if found.size > 1 and not fits:
            raise self.refuse(f"its {key} has shape {tuple(found.shape)}, what it reads has shape {shape}")
        return found.reshape(wide if found.size > 1 else ())

    def single(self, key: str, value: Tensor) -> Tensor:
        """Return a tensor. Raises LoweringError unless it is in float32, as deployed networks compute."""
        if value.dtype != torch.float32:
            found = str(value.dtype).removeprefix("torch.")
            raise self.refuse(f"its {key} is in {found}; call .float() on the network")
        return value

    def neuron(
        self,
        model: str,
        parameters: Mapping[str, Any],
        *rules: str,
        recurrent: Callable[[Place], None] | None = None,
        late: bool = False,
        suffix: str = "",
    ) -> None:
        """Add neurons of a model; parameters that are None are left out, rules: reset, when and how often they fire.

        recurrent: puts the layers that their spikes pass on their way back to them, where they arrive one step later.
        late: those layers' sums of the step before arrive, so that at the first step nothing does, no bias either.
        """
        self.once()
        values = self.numbers(**parameters)
        layer = constant_neuron(self.name(suffix), model, values, self.walk.shape, *rules)
        if recurrent is None:
            self.put(layer)
        else:
            self._recurrent(layer, recurrent, late)

    def _recurrent(self, layer: Neuron, way: Callable[[Place], None], late: bool) -> None:
        """Neurons that also read what `way` makes of their own spikes, and the sum of both that comes before them."""
        walk, arriving = self.walk, self.walk.shape
        total = Add(self.name("_sum"))
        back = Walk(arriving, signal=layer.name, taken=walk.taken, paths=walk.paths, used=walk.used)
        way(replace(self, walk=back, axes=1))
        if back.shape != arriving:
            raise self.refuse(f"its recurrent connection gives {back.shape}, it reads {arriving}")
        if not back.layers:
            raise self.refuse("its recurrent connection has no layer that can be deployed")
        late = late and any(isinstance(one, Synapses) and one.bias is not None for one in back.layers)
        first, *others = back.edges
        walk.layers += [] if late else back.layers
        walk.edges += others if late else [Edge(first.source, first.target, 1), *others]
        self.put(total, Edge(back.signal, total.name, 1 if late else 0))
        self.put(layer)
        if late:
            walk.layers += back.layers
            walk.edges.append(first)
        walk.feedback.add(layer.name)


def comparison(place: Place, key: str, function: Any) -> str:
    """Return when neurons fire, "above" their threshold or "at" it too, by the function that makes spikes of distances.

    It is called on a few distances, on both sides of 0 and at it. Raises LoweringError unless it gives 0 and 1 there.
    """
    distances = torch.tensor([-1.0, -(2.0**-20), 0.0, 2.0**-20, 1.0])
    try:
        with torch.no_grad():
            found = [float(x) for x in function(distances)]
    except Exception as error:
        raise place.refuse(f"its {key} cannot be called on distances from the threshold: {error}") from None
    if found not in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1]):
        raise place.refuse(f"its {key} sends {found} at distances {distances.tolist()} from the threshold, not 0 and 1")
    return "at" if found[2] else "above"


@dataclass(frozen=True)
class Rule:
    """How modules of one class are read.

    read: adds the layers of the module at its place. axes: how many axes must stand before a sample's own where the
    module is called, 1 or 2; None if it does not matter. children: the modules that it calls one after another.
    """

    read: Callable[[Place], None]
    axes: Callable[[Any], int | None] = lambda _module: None
    children: Callable[[Any], Iterable[tuple[str, Any]]] = lambda _module: ()


def children(module: Any) -> Iterable[tuple[str, Any]]:
    """Return a module's children by name, one that stands there twice both times."""
    return ((name, child) for name, child in module._modules.items() if child is not None)


def holding(
    inside: Callable[[Any], Iterable[tuple[str, Any]]] = children, axes: int | None = None, own: int | None = None
) -> Rule:
    """Return the rule of a module that calls others one after another.

    inside: which. axes: how many axes stand before a sample's own where they are called, if others than for the
    module itself, for which it is `own`.
    """

    def read(place: Place) -> None:
        for name, child in inside(place.module):
            place.read(place.inside(name, child, axes))

    return Rule(read, lambda _module: own, inside if own is None else lambda _module: ())
