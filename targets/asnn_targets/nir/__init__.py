"""Target `nir`: the exported NIR file, evaluated node by node by a small evaluator of its own, in NumPy.

It knows the stateless NIR primitives, and the two nodes of the extended dialect, and nothing about spiking networks: a
node's input is the sum of what its edges bring (a product has two operands instead), nodes run in topological order,
and the arithmetic is float32 throughout. Nodes with a state are refused.

Labels in the nodes' metadata (layer, step, role) tell which values to keep for the Trace; they never enter the
arithmetic that leads to the logits.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import LOGITS_ONLY, Session, Target
from asnn_deploy.errors import BundleError, DataError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.inputs import LARGEST_COUNT
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_targets.nir.file import Label, kind_of, label_of, load, sources_of, topological_order
from asnn_targets.nir.primitives import EVALUATE, PRODUCT, multiply

SPECIAL = {"reset_potential", "minimum"}
"""Parameters of neurons that make more of a spike than a reset to zero or by subtraction."""
Values = dict[str, Array]
Kept = dict[Label, Array]


class NIRSession(Session):
    """A NIR file, ready to run."""

    def __init__(self, path: Path, network: DeployGraph) -> None:
        self.path = path
        self.network = network
        self.sequence = network.code.kind == "sequence"
        self.graph = load(path, network.time_steps if self.sequence else None)
        self.sources = sources_of(self.graph)
        self.order = topological_order(self.sources, path)
        self.labels = {name: label_of(node) for name, node in self.graph.nodes.items()}

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[B, C, H, W]`."""
        shapes = [tuple(int(n) for n in node.input_type["input"]) for node in self.graph.inputs.values()]
        wanted = (len(shapes), *shapes[0]) if self.sequence else shapes[0]
        if images.shape[1:] != wanted:
            raise DataError(f"images have shape {images.shape[1:]}, the network in {self.path} takes {wanted}")
        roles = set()
        if record.spikes or record.potentials:
            roles.add("spikes")
        if record.potentials:
            roles.add("potential")
        if record.step_logits:
            roles.add("summand")
        logits, kept = self.evaluate(images.astype(np.float32), roles)
        return self.trace(logits, kept, record)

    def evaluate(self, images: Array, roles: set[str]) -> tuple[Array, Kept]:
        """All nodes once. Returns the output's value and those of the nodes labelled with one of `roles`."""
        uses = Counter(source for feeding in self.sources.values() for source in feeding)
        values: Values = {}
        kept: Kept = {}
        # The inputs of a sequence are its frames, in the order of their names.
        entering = {name: i for i, name in enumerate(sorted(self.graph.inputs))}
        for name in self.order:
            node, feeding = self.graph.nodes[name], self.sources[name]
            if kind_of(node) == PRODUCT:
                values[name] = multiply(node, values[node.left], values[node.right])
            elif feeding:
                x = values[feeding[0]]
                for source in feeding[1:]:
                    x = x + values[source]
                values[name] = EVALUATE[kind_of(node)](node, x)
            else:
                values[name] = images[:, entering[name]] if self.sequence else images
            label = self.labels[name]
            if label[2] in roles:
                kept[label] = narrow(values[name]) if label[2] == "spikes" else values[name]
            for source in feeding:
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        (answer,) = self.graph.outputs
        return values[answer].reshape(len(images), -1), kept

    def trace(self, logits: Array, kept: Kept, record: Record) -> Trace:
        """What was kept, layer by layer in the model's order."""
        spikes, potentials = {}, {}
        for neuron in self.network.neurons:
            sends_spikes = neuron in self.network.spiking
            if sends_spikes and (record.spikes or record.potentials):
                fired = self.steps(kept, neuron.name, "spikes")
                if record.spikes:
                    spikes[neuron.name] = fired
            if record.potentials:
                v = self.steps(kept, neuron.name, "potential")
                potentials[neuron.name] = self.after_reset(neuron, fired, v) if sends_spikes else v
        step_logits = None
        if record.step_logits:
            summands = self.steps(kept, self.network.readout.name, "summand")
            step_logits = summands.reshape(*summands.shape[:2], -1)
        return Trace("nir", logits, spikes, potentials, step_logits, rule=self.network.readout.rule)

    def steps(self, kept: Kept, layer: str, role: str) -> Array:
        """A layer's values of one role at all steps, `[T, B, ...]`."""
        keys = [(layer, step, role) for step in range(self.network.time_steps)]
        for key in keys:
            if key not in kept:
                raise BundleError(
                    f"{self.path}: no node is labelled as the {role} of layer {layer!r} at step {key[1]}; "
                    "its layers cannot be traced, export it again"
                )
        return np.stack([kept[key] for key in keys])

    def after_reset(self, neuron: Neuron, fired: Array, potential: Array) -> Array:
        """The membrane potential after the reset, from that before it and the spikes, `[T, B, ...]`."""
        if not neuron.firing.usual or SPECIAL & set(neuron.parameters):
            raise neuron.unsupported("the target nir does not record membrane potentials of neurons that reset so")
        if neuron.reset == "zero":
            return np.where(fired, np.float32(0), potential)
        nodes = {label: self.graph.nodes[name] for name, label in self.labels.items()}
        thresholds = [nodes[neuron.name, step, "spikes"].threshold for step in range(len(fired))]
        return np.stack([v - s * threshold for v, s, threshold in zip(potential, fired, thresholds)])


def narrow(spikes: Array) -> Array:
    """Return spikes, or how many there are, in a byte if that holds them."""
    return spikes.astype(np.uint8 if spikes.max(initial=0) <= LARGEST_COUNT else np.float32)


class NIRTarget(Target):
    """The evaluator."""

    name = "nir"
    arithmetic = "float32"

    def unavailable(self) -> str | None:
        """NIR must be installed."""
        try:
            import nir  # noqa: F401
        except ImportError as error:
            return f"{error.name} is not installed; pip install nir==1.0.8"
        return None

    def open(self, deployment: Deployment, batch_size: int) -> Session:
        """Load the exported file; any batch size will do."""
        return NIRSession(deployment.file("nir"), deployment.graph)


target = NIRTarget()
