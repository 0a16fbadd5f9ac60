"""How each neuron of NIR becomes layers, by the rules of a tool: so far Euler's method, and reset to zero."""

from __future__ import annotations

import numpy as np

from asnn_deploy.ir.layers import Layer, Neuron, Shape
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.network import Node
from asnn_exporters.nir.others.synapses import broadcast


def neuron_layers(node: Node, shape: Shape, meaning: Meaning, recurrent: bool) -> list[Layer]:  # noqa: ARG001
    """Return the layers of a node of neurons, one after another; the last has the node's name.

    recurrent: whether the node lies in a cycle. Raises UnsupportedError naming a node that cannot be computed.
    """

    def of(key: str) -> Array:
        return broadcast(node, key, shape)

    tau = {"LIF": "tau", "LI": "tau", "CubaLI": "tau_mem", "CubaLIF": "tau_mem"}.get(node.kind)
    step: Array = np.asarray(meaning.dt, np.float32)
    decay: Array = np.asarray(step / of(tau) if tau else step)
    values: dict[str, Array] = {}
    if tau:
        values["leak"] = 1 - decay
    if "r" in node.fields:
        values["gain"] = decay * of("r")
    if tau and of("v_leak").any():
        values["bias"] = decay * of("v_leak")
    if node.kind.startswith("Cuba"):
        values["current_leak"] = 1 - step / of("tau_syn")
    threshold = next((key for key in ("v_threshold", "threshold") if key in node.fields), None)
    if threshold:
        values["threshold"] = of(threshold)
    model = {"LIF": "lif", "LI": "li", "CubaLI": "li", "CubaLIF": "cuba-lif", "I": "li"}.get(node.kind, "if")
    if model == "li":
        values.pop("current_leak", None)
        values.setdefault("leak", np.ones((), np.float32))
    values.setdefault("gain", np.ones((), np.float32))
    tables = {key: StepTable.constant(np.asarray(value, np.float32), 1) for key, value in values.items()}
    return [Neuron(node.name, model, tables, "zero")]
