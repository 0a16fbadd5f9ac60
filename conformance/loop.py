"""A NIR file evaluated node by node in NumPy, by the rule of its case: plain loops, no library but h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from neurons import Array, Neuron, f32

ENDS = ("Input", "Output")
NEURONS = {"IF", "LIF", "CubaLIF", "LI", "CubaLI"}


def read(path: Path) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """Return nodes (name: parameters and `type`) and edges; nested graphs are inlined, names joined with dots."""
    with h5py.File(path, "r") as file:
        return _graph(file["node"])


def _graph(group: Any) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    nodes: dict[str, dict[str, Any]] = {}
    edges = [(a.decode(), b.decode()) for a, b in group["edges"][()]]
    for name, node in group["nodes"].items():
        if node["type"][()] != b"NIRGraph":
            fields = {k: v[()] for k, v in node.items() if not isinstance(v, h5py.Group)}
            nodes[name] = {k: v.decode() if isinstance(v, bytes) else v for k, v in fields.items()}
            continue
        inner, wires = _graph(node)
        nodes |= {f"{name}.{k}": v for k, v in inner.items()}
        ends = {inner[k]["type"]: f"{name}.{k}" for k in node["nodes"] if inner.get(k, {}).get("type") in ENDS}
        edges = [(ends["Output"] if a == name else a, ends["Input"] if b == name else b) for a, b in edges]
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in wires]
    return nodes, edges


class Network:
    """All nodes of one file. `run` returns spikes and potentials of each neuron node."""

    def __init__(self, path: Path, rule: dict[str, Any], arithmetic: str = "tool") -> None:
        self.nodes, self.edges = read(path)
        self.rule, self.arithmetic = rule, arithmetic
        self.neurons: dict[str, Neuron] = {}
        if rule.get("recurrent_input") == "to the neuron":
            self.edges = [(a, _neuron_beside(b) if a.endswith(".input") else b) for a, b in self.edges]

    def rules(self, name: str) -> dict[str, Any]:
        return self.rule | self.rule.get("nodes", {}).get(name, {})

    def run(self, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        spikes: dict[str, list[Array]] = {}
        potentials: dict[str, list[Array]] = {}
        last: dict[str, Array] = {}
        for frame in np.asarray(x, f32):
            self.frame, self.done, self.last = frame, {}, last
            self.potentials: dict[str, Array] = {}
            for name in self.nodes:
                self.value(name)
            last = {name: self.done[name] for name in self.neurons}
            for name in self.neurons:
                spikes.setdefault(name, []).append(self.done[name])
                potentials.setdefault(name, []).append(self.potentials[name])
        return {k: np.stack(v) for k, v in spikes.items()}, {k: np.stack(v) for k, v in potentials.items()}

    def value(self, name: str) -> Array:
        if name not in self.done:
            node = self.nodes[name]
            self.done[name] = self.neuron(name) if node["type"] in NEURONS else self.evaluate(name, node)
        return self.done[name]

    def total(self, name: str) -> Array:
        """Return the sum of all that arrives. On a cycle, a neuron that is not done yet counts with its last spikes."""
        values = [self.value(a) for a, b in self.edges if b == name]
        return np.sum(values, axis=0, dtype=f32) if len(values) > 1 else values[0]

    def neuron(self, name: str) -> Array:
        neuron = self.neurons.get(name)
        if neuron is None:
            shape = self.shape_of(name)
            neuron = Neuron(
                {k: v for k, v in self.nodes[name].items() if k != "type"}, self.rules(name), shape, self.arithmetic
            )
            neuron.start(len(self.frame))
            self.neurons[name] = neuron
        emitted = neuron.emit()
        before = self.last.get(name, np.zeros((len(self.frame), *neuron.shape), f32))
        self.done[name] = before if emitted is None else emitted
        spikes, self.potentials[name] = neuron.step(self.total(name), emitted)
        return spikes

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape behind the node's predecessors that are not on a cycle with it."""
        sizes = [np.shape(v) for k, v in self.nodes[name].items() if k != "type" and np.ndim(v)]
        largest = max(sizes, key=lambda s: int(np.prod(s)), default=(1,))
        if int(np.prod(largest)) > 1:
            return largest
        self.done[name] = np.zeros((len(self.frame), 1), f32)
        shape = next(self.value(a).shape[1:] for a, b in self.edges if b == name and not self.on_cycle(a, name))
        for key in [k for k in self.done if k not in self.neurons]:
            del self.done[key]
        return shape

    def on_cycle(self, start: str, end: str) -> bool:
        return (end, start) in self.edges

    def evaluate(self, name: str, node: dict[str, Any]) -> Array:
        kind = node["type"]
        if kind == "Input" and not any(b == name for _, b in self.edges):
            return self.frame
        x = self.total(name)
        if kind in ("Input", "Output"):
            return x
        if kind in ("Affine", "Linear"):
            out = x.astype(np.float64) @ np.asarray(node["weight"], np.float64).T
            return (out + node["bias"] if kind == "Affine" else out).astype(f32)
        if kind == "Flatten":
            if self.rule.get("flatten") == "channels last":
                x = np.moveaxis(x, 1, -1)
            return x.reshape(len(x), -1)
        if kind == "Conv2d":
            return convolve(x, node)
        if kind in ("SumPool2d", "AvgPool2d"):
            total = pool(x, node)
            return (total / np.prod(node["kernel_size"])).astype(f32) if kind == "AvgPool2d" else total.astype(f32)
        raise ValueError(f"{name}: no rule for {kind}")


def _neuron_beside(name: str) -> str:
    return name.removesuffix(".w_rec") + ".lif" if name.endswith(".w_rec") else name


def pair(value: Any) -> tuple[int, int]:
    first, *rest = np.atleast_1d(value).tolist()
    return int(first), int(rest[0] if rest else first)


def convolve(x: Array, node: dict[str, Any]) -> Array:
    """Return the convolution of x [B, C, H, W], summed in float64."""
    weight = np.asarray(node["weight"], np.float64)
    (sh, sw), (dh, dw), groups = pair(node["stride"]), pair(node["dilation"]), int(node["groups"])
    out_channels, depth, kh, kw = weight.shape
    if isinstance(node["padding"], str):
        spans = ((kh - 1) * dh, (kw - 1) * dw) if node["padding"] == "same" else (0, 0)
        (top, left), (bottom, right) = (spans[0] // 2, spans[1] // 2), ((spans[0] + 1) // 2, (spans[1] + 1) // 2)
    else:
        (top, left) = (bottom, right) = pair(node["padding"])
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = (x.shape[2] - (kh - 1) * dh - 1) // sh + 1, (x.shape[3] - (kw - 1) * dw - 1) // sw + 1
    out = np.zeros((len(x), out_channels, height, width))
    for o in range(out_channels):
        first = o // (out_channels // groups) * depth
        for c in range(depth):
            for i in range(kh):
                for j in range(kw):
                    seen = x[:, first + c, i * dh : i * dh + height * sh : sh, j * dw : j * dw + width * sw : sw]
                    out[:, o] += weight[o, c, i, j] * seen[:, :height, :width]
    return (out + np.asarray(node["bias"]).reshape(-1, 1, 1)).astype(f32)


def pool(x: Array, node: dict[str, Any]) -> Array:
    """Return the sums over the windows of x [B, C, H, W] in float64."""
    (kh, kw), (sh, sw), (ph, pw) = pair(node["kernel_size"]), pair(node["stride"]), pair(node["padding"])
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    height, width = (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1
    windows = [
        x[:, :, i : i + height * sh : sh, j : j + width * sw : sw][:, :, :height, :width]
        for i in range(kh)
        for j in range(kw)
    ]
    return np.sum(windows, axis=0)
