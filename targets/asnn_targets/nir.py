"""Target `nir`: the exported NIR file, evaluated node by node by a small evaluator of its own, in NumPy.

It knows the stateless NIR primitives, and the two nodes of the extended dialect (docs/nir.md), and nothing about
spiking networks: a node's input is the sum of what its edges bring (a product has two operands instead), nodes run in
topological order, and the arithmetic is float32 throughout. Nodes with a state are refused.

Labels in the nodes' metadata (layer, step, role) tell which values to keep for the Trace; they never enter the
arithmetic that leads to the logits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

from asnn_deploy.deployment import Deployment
from asnn_deploy.errors import BundleError, DataError, UnsupportedError
from asnn_deploy.graph import DeployGraph
from asnn_deploy.layers import Neuron
from asnn_deploy.plugins import Session
from asnn_deploy.step_table import Array
from asnn_deploy.trace import Record, Trace

Values = dict[str, Array]
Label = tuple[str, int, str]
"""Layer, step and role."""
Kept = dict[Label, Array]
LOGITS_ONLY = Record()
PRODUCT, RESHAPE = "asnn_deploy.Product", "asnn_deploy.Reshape"
FIELDS = {PRODUCT: ("equation", "left", "right"), RESHAPE: ("shape",)}
CHUNK = 1 << 23
"""Elements of unfolded convolution input to hold at a time (32 MiB)."""


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """A geometry of NIR as one integer per axis; NIR allows one number for all of them."""
    given = tuple(int(n) for n in np.atleast_1d(value))
    return given * axes if len(given) == 1 else given


def windows(node: Any, x: Array, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> list[Array]:
    """For each position in the kernel, in C order, what of `[B, C, *spatial]` it meets: views `[B, C, *output]`.

    node: a convolution or pooling node, with `stride` and `padding`; outside the input there are zeros.
    """
    axes = len(kernel)
    padding, stride = per_axis(node.padding, axes), per_axis(node.stride, axes)
    if any(padding):
        x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    spans = [n - d * (k - 1) - 1 for n, k, d in zip(x.shape[2:], kernel, dilation)]
    views = []
    for offset in np.ndindex(*kernel):
        cuts = (slice(o * d, o * d + span + 1, s) for o, d, span, s in zip(offset, dilation, spans, stride))
        window = (slice(None), slice(None), *cuts)
        views.append(x[window])
    return views


def convolve(node: Any, x: Array) -> Array:
    """Conv1d and Conv2d, by matrix products over a few samples at a time."""
    weight = node.weight
    kernel, groups = weight.shape[2:], int(node.groups)
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    size = tuple(int(n) for n in node.output_type["output"][1:])
    dilation = per_axis(node.dilation, len(kernel))
    y = np.empty((len(x), len(weight), *size), np.float32)
    step = max(1, CHUNK // (x.shape[1] * math.prod(kernel) * math.prod(size)))
    for start in range(0, len(x), step):
        columns = np.stack(windows(node, x[start : start + step], kernel, dilation), axis=2)
        product = matrices @ columns.reshape(len(columns), groups, -1, math.prod(size))
        y[start : start + step] = product.reshape(len(columns), -1, *size)
    y += node.bias.reshape(-1, *(1,) * len(kernel))
    return y


def pool(node: Any, x: Array) -> Array:
    """SumPool2d and AvgPool2d, added up in C order; padding counts."""
    kernel = per_axis(node.kernel_size, x.ndim - 2)
    first, *others = windows(node, x, kernel, (1,) * len(kernel))
    y = first.copy()
    for view in others:
        y += view
    if type(node).__name__ == "AvgPool2d":
        y /= np.float32(math.prod(kernel))
    return y


def flatten(node: Any, x: Array) -> Array:
    """Flatten; NIR counts axes without the batch."""
    return x.reshape(len(x), *(int(n) for n in node.output_type["output"]))


EVALUATE: dict[str, Callable[[Any, Array], Array]] = {
    "Output": lambda _node, x: x,
    "Scale": lambda node, x: x * node.scale,
    "Threshold": lambda node, x: (x > node.threshold).astype(np.float32),
    "Linear": lambda node, x: x @ node.weight.T,
    "Affine": lambda node, x: x @ node.weight.T + node.bias,
    "Conv1d": convolve,
    "Conv2d": convolve,
    "SumPool2d": pool,
    "AvgPool2d": pool,
    "Flatten": flatten,
    RESHAPE: lambda node, x: x.reshape(len(x), *node.shape),
}


def load(path: Path) -> Any:
    """The `nir.NIRGraph` of a file, with NIR's type check. Raises BundleError naming the file."""

    try:
        graph = read_extended(path)
    # NIR's reader raises whatever comes: bare AssertionErrors, KeyErrors, TypeErrors from constructors.
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise BundleError(f"{path}: cannot be read as a NIR file ({type(error).__name__}: {text})") from error
    for name, node in graph.nodes.items():
        kind = kind_of(node)
        if kind not in ("Input", PRODUCT) and kind not in EVALUATE:
            raise UnsupportedError(f"{path}: node {name!r} is a {kind}, which this target cannot evaluate")
        if isinstance(getattr(node, "padding", None), (str, bytes)):
            raise UnsupportedError(f"{path}: node {name!r} names its padding, {node.padding!r}; give numbers instead")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UnsupportedError(
            f"{path}: {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; this target takes one of each"
        )
    return graph


def read_extended(path: Path) -> Any:
    """The `nir.NIRGraph` of a file: NIR's own reading, but for graphs with nodes of the extended dialect.

    Those are left as their fields, and no types are checked, because NIR's check has no node of two inputs.
    """
    import h5py
    import nir
    from nir.serialization import hdf2dict

    with h5py.File(path, "r") as file:
        kinds = {node["type"][()] for node in file["node"].get("nodes", {}).values()}
        if not {PRODUCT.encode(), RESHAPE.encode()} & kinds:
            return nir.read(path)
        stored = hdf2dict(file["node"])
    nodes = {
        name: SimpleNamespace(**values) if values["type"] in (PRODUCT, RESHAPE) else nir.dict2NIRNode(values)
        for name, values in stored["nodes"].items()
    }
    edges = [(a.decode(), b.decode()) for a, b in stored["edges"]]
    for name, node in nodes.items():
        node.metadata = getattr(node, "metadata", {})
        missing = [field for field in FIELDS.get(kind_of(node), ()) if not hasattr(node, field)]
        if missing:
            raise ValueError(f"node {name!r} ({kind_of(node)}) lacks {missing[0]!r}")
        if kind_of(node) == PRODUCT and {node.left, node.right} != {a for a, b in edges if b == name}:
            raise ValueError(f"node {name!r} multiplies {node.left!r} by {node.right!r}, its edges come from elsewhere")
    return nir.NIRGraph(nodes, edges, metadata=stored.get("metadata", {}), type_check=False)


def kind_of(node: Any) -> str:
    """The type under which the file has a node."""
    return node.type if isinstance(node, SimpleNamespace) else type(node).__name__


def multiply(node: Any, left: Array, right: Array) -> Array:
    """An einsum over the axes behind the batch."""
    terms, _, result = node.equation.partition("->")
    equation = ",".join(f"...{term.strip()}" for term in terms.split(",")) + f"->...{result.strip()}"
    return np.einsum(equation, left, right)  # type: ignore[no-any-return]


def sources_of(graph: Any) -> dict[str, list[str]]:
    """The nodes that feed each node, in the order of their names."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in sorted(graph.edges):
        sources[target].append(source)
    return sources


def topological_order(sources: dict[str, list[str]], path: Path) -> list[str]:
    """Every node after its sources, depth first so that few values are alive. Raises UnsupportedError for a loop."""
    missing = {name: len(feeding) for name, feeding in sources.items()}
    targets: dict[str, list[str]] = {name: [] for name in sources}
    for name, feeding in sources.items():
        for source in feeding:
            targets[source].append(name)
    ready = [name for name, count in missing.items() if not count]
    order = []
    while ready:
        name = ready.pop()
        order.append(name)
        for target in targets[name]:
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    if len(order) < len(sources):
        looped = min(set(sources) - set(order))
        raise UnsupportedError(f"{path}: node {looped!r} is part of, or behind, a loop; this target has no state")
    return order


def label_of(node: Any) -> Label:
    """A node's layer, step and role; empty where its metadata do not say."""
    found = node.metadata if isinstance(node.metadata, dict) else {}
    layer, step, role = (found.get(key) for key in ("layer", "step", "role"))
    if isinstance(layer, str) and isinstance(step, (int, np.integer)) and isinstance(role, str):
        return layer, int(step), role
    return "", 0, ""


class NIRSession:
    """A NIR file, ready to run. See `asnn_deploy.plugins.Session`."""

    def __init__(self, path: Path, network: DeployGraph) -> None:
        self.path = path
        self.network = network
        self.graph = load(path)
        self.sources = sources_of(self.graph)
        self.order = topological_order(self.sources, path)
        self.labels = {name: label_of(node) for name, node in self.graph.nodes.items()}

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[B, C, H, W]`."""
        (image,) = self.graph.inputs.values()
        wanted = tuple(int(n) for n in image.input_type["input"])
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
                values[name] = images
            label = self.labels[name]
            if label[2] in roles:
                kept[label] = values[name].astype(np.uint8) if label[2] == "spikes" else values[name]
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
            if record.spikes or record.potentials:
                fired = self.steps(kept, neuron.name, "spikes")
                if record.spikes:
                    spikes[neuron.name] = fired
            if record.potentials:
                potentials[neuron.name] = self.after_reset(neuron, fired, self.steps(kept, neuron.name, "potential"))
        step_logits = None
        if record.step_logits:
            summands = self.steps(kept, self.network.readout.name, "summand")
            step_logits = summands.reshape(*summands.shape[:2], -1)
        return Trace("nir", logits, spikes, potentials, step_logits)

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
        if neuron.reset == "zero":
            return np.where(fired, np.float32(0), potential)
        nodes = {label: self.graph.nodes[name] for name, label in self.labels.items()}
        thresholds = [nodes[neuron.name, step, "spikes"].threshold for step in range(len(fired))]
        return np.stack([v - s * threshold for v, s, threshold in zip(potential, fired, thresholds)])


class NIRTarget:
    """See `asnn_deploy.plugins.Target`."""

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
