"""Which rule reads a module, and the whole network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from asnn_deploy.conventions import meaning
from asnn_deploy.errors import GraphError, InputError, LoweringError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Flatten, Neuron, Readout
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.models.from_torch import norse, sinabs, snntorch, spikingjelly, stateless
from asnn_deploy.models.from_torch.stateless import table
from asnn_deploy.models.from_torch.walk import Place, Rule, Walk
from asnn_deploy.models.lowering import check_padded_maxima
from asnn_deploy.util.names import free_name

TABLES = {
    "torch.nn": stateless.RULES,
    "snntorch": snntorch.RULES,
    "norse.torch": norse.RULES,
    "spikingjelly.activation_based": spikingjelly.RULES,
    "sinabs": sinabs.RULES,
}
"""The rules by the path of the modules in which their classes are."""
TOOLS = tuple(package.split(".")[0] for package in TABLES if package != "torch.nn")


def read_network(module: nn.Module, example: Any, tool: str | None = None) -> DeployGraph:
    """See `asnn_deploy.from_torch`."""
    if tool is not None and tool not in TOOLS:
        raise InputError(f"tool {tool!r}: modules of {', '.join(TOOLS)} can be read")
    axes = leading_axes(module)
    shape = tuple(int(n) for n in getattr(example, "shape", ()))
    if len(shape) <= axes or 0 in shape:
        expected = "[B, ...]" if axes == 1 else "[T, B, ...] or [B, T, ...]"
        raise InputError(f"example has shape {list(shape)}; the network is called on {expected}")
    walk = Walk(shape[axes:])
    read(Place(walk, "", module, axes, read))
    found = tools(module)
    if tool is not None and found - {tool}:
        raise InputError(f"tool {tool!r}: the network has modules of {', '.join(sorted(found))}")
    whose = tool or (found.pop() if len(found) == 1 else None)
    output = Readout("output", table(1))
    if len(walk.shape) > 1:
        walk.put(Flatten(free_name("output_flatten", walk.taken)), "")
    walk.put(output, "")
    said = meaning_of(walk, whose)
    code = SequenceInput(None, "values", stated=False)
    graph = DeployGraph(shape[axes:], code, tuple(walk.layers), tuple(walk.edges), dt=said.dt, meaning=said)
    check_padded_maxima(graph.over(2), walk.paths.__getitem__)  # feedback arrives at the second step
    return graph


def read(place: Place) -> None:
    """Read one module. Raises LoweringError naming it by path and type if it has no deployable counterpart."""
    rule = rule_of(place)
    needed = rule.axes(place.module)
    if needed is not None and needed != place.axes:
        called = {1: "one step, [B, ...]", 2: "whole sequences, with an axis for time"}
        raise place.refuse(f"it takes {called[needed]}, and what comes before it gives {called[place.axes]}")
    try:
        rule.read(place)
    except LoweringError:
        raise
    except GraphError as error:  # such as a weight that cannot read its input
        raise place.refuse(str(error)) from None


def rule_of(place: Place) -> Rule:
    """Return the rule that reads a module.

    Raises LoweringError for a class that has none, or that computes otherwise than the class that has one.
    """
    known, kind = kind_of(place.module)
    if known is None or kind is None:
        raise place.refuse(unknown(place.module))
    changed = own_methods(place.module, kind)
    if changed:
        raise place.refuse(f"it defines {changed[0]}() itself, so it need not compute as {kind.__name__} does")
    if place.module._forward_pre_hooks:
        raise place.refuse("it has a forward pre-hook, which may change its weights or what it reads; remove it")
    return known


def kind_of(module: Any) -> tuple[Rule | None, type | None]:
    """Return a module's rule and the class that it belongs to: its own, or the nearest base that has one."""
    for kind in type(module).__mro__:
        for package, rules in TABLES.items():
            if kind.__qualname__ in rules and f"{kind.__module__}.".startswith(f"{package}."):
                return rules[kind.__qualname__], kind
    return None, None


def own_methods(module: Any, kind: type) -> list[str]:
    """Return the methods of a known class that a module or its own class defines again."""
    own = (vars(module), *map(vars, type(module).__mro__[: type(module).__mro__.index(kind)]))
    names = {name for part in own for name, value in part.items() if callable(value) and hasattr(kind, name)}
    return sorted(name for name in names if not name.startswith("__") and name != "extra_repr")


def unknown(module: Any) -> str:
    """Return what to do about a class that has no rule."""
    for package, rules in TABLES.items():
        if f"{type(module).__module__}.".startswith(f"{package}."):
            return f"deployable of {package}: {', '.join(sorted(rules))}"
    return (
        "its class is not known; put its layers into a torch.nn.Sequential, in the order in which its forward calls "
        f"them (known: those of {', '.join(TOOLS)}, and of torch.nn {', '.join(sorted(stateless.RULES))})"
    )


def leading_axes(module: nn.Module) -> int:
    """Return how many axes stand before a sample's own where the network is called: batch, or batch and time.

    Raises LoweringError naming one module for each if its modules do not agree.
    """
    found: dict[int, str] = {}
    waiting: list[tuple[str, Any]] = [("", module)]
    while waiting:
        path, one = waiting.pop(0)
        rule, _ = kind_of(one)
        if rule is None:
            continue
        axes = rule.axes(one)
        if axes is not None:
            found.setdefault(axes, path)
        waiting += [(f"{path}.{name}" if path else name, child) for name, child in rule.children(one)]
    if len(found) > 1:
        raise LoweringError(
            f"module '{found[1]}' takes one step, [B, ...], and module '{found[2]}' whole sequences; "
            "a network is called on one or the other"
        )
    return next(iter(found), 1)


def tools(module: nn.Module) -> set[str]:
    """Return the tools whose modules are in a network."""
    kinds = (kind_of(one)[1] for one in module.modules())
    return {kind.__module__.split(".")[0] for kind in kinds if kind is not None} - {"torch"}


def meaning_of(walk: Walk, tool: str | None) -> Meaning:
    """Return the rules of the first layer that fires, and those of single layers that differ from them."""
    base = meaning(tool, **walk.said)
    spiking = [layer for layer in walk.layers if isinstance(layer, Neuron) and layer.definition.spikes]
    if not spiking:
        return base
    fed = {n.name: n for n in spiking if n.name in walk.feedback or "i" in n.definition.states}
    first = next((n for n in spiking if n.name not in fed), spiking[0])
    back = next(iter(fed.values()), first)
    nodes = []
    for n in spiking:
        usual = {"reset": back if n.name in fed else first, "fires": first, "spikes": first}
        nodes += [(n.name, rule, fact(n)) for rule, fact in FACTS.items() if fact(n) != fact(usual[rule])]
    bounds = {float(n.parameters["minimum"].values.max()) if "minimum" in n.parameters else None for n in spiking}
    return replace(
        base,
        reset=first.reset,
        fires=first.comparison,
        spikes=first.spiking,
        feedback_reset=None if back.reset == first.reset else back.reset,
        taus="as written",
        minimum=bounds.pop() if len(bounds) == 1 else None,
        nodes=tuple(nodes),
    )


FACTS: dict[str, Callable[[Neuron], str]] = {
    "reset": lambda n: n.reset,
    "fires": lambda n: n.comparison,
    "spikes": lambda n: n.spiking,
}
"""The rules that a layer of neurons holds."""
