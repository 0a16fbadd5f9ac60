"""What a case is, how its network is drawn and how it is written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

Array = np.ndarray[Any, Any]
STEPS = 40


class Draw:
    """Weights and inputs of one try, all from one seed. Weights lie on a grid of 1/64 unless `raw`.

    `levels` scales the weights of each layer; `make.py` moves them until no layer fires too little or too much.
    """

    def __init__(self, name: str, attempt: int, raw: bool, levels: dict[int, float]) -> None:
        self.rng = np.random.default_rng([zlib.crc32(name.encode()), attempt])
        self.raw, self.levels, self.layer = raw, levels, 0

    def weight(self, *shape: int, recurrent: bool = False) -> torch.Tensor:
        """Return weights of both signs whose sum is mostly positive. Recurrent ones are half as large and no layer."""
        fan_in = int(np.prod(shape[1:]))
        gain = 2 ** self.rng.uniform(-0.5, 0.5) * (0.5 if recurrent else self.levels.setdefault(self.layer, 1.0))
        self.layer += not recurrent
        drawn = self.rng.normal(1.3 * gain / fan_in, 1.5 * gain / np.sqrt(fan_in), shape)
        return torch.tensor(drawn if self.raw else np.round(drawn * 64) / 64, dtype=torch.float32)

    def bias(self, size: int) -> torch.Tensor:
        drawn = self.rng.normal(0.03, 0.06, size)
        return torch.tensor(drawn if self.raw else np.round(drawn * 64) / 64, dtype=torch.float32)

    def spikes(self, *shape: int, batch: int = 4) -> Array:
        return (self.rng.random((STEPS, batch, *shape)) < 0.3).astype(np.float32)

    def values(self, *shape: int, batch: int = 4) -> Array:
        """Return values of both signs on a grid of 1/16, so that products with the weights' grid stay exact."""
        return (np.round(self.rng.normal(0.3, 0.5, (STEPS, batch, *shape)) * 16) / 16).astype(np.float32)

    def fill(self, module: torch.nn.Module) -> None:
        """Give every synapse in `module` weights from this draw."""
        for name, layer in module.named_modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                with torch.no_grad():
                    layer.weight.copy_(self.weight(*layer.weight.shape, recurrent=name.endswith("recurrent")))
                    if layer.bias is not None:
                        layer.bias.copy_(self.bias(len(layer.bias)))


@dataclass
class Built:
    """A network as its tool exports and computes it: NIR graph, input [T, B, ...], spikes and potentials by node."""

    graph: Any
    input: Array
    spikes: dict[str, Array]
    potentials: dict[str, Array]


@dataclass
class Case:
    """`words` are asnn-deploy's options; `extra` says in keys of neurons.py what no option says."""

    tool: str
    kind: str
    neuron: str
    words: dict[str, Any]
    build: Callable[[Draw], Built]
    potentials: str = "after the reset"
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    exporter: list[str] = field(default_factory=list)
    workaround: str | None = None
    raw: bool = False
    ties: bool = False

    @property
    def name(self) -> str:
        return f"{self.tool}-{self.kind}"

    @property
    def rule(self) -> dict[str, Any]:
        return self.words | self.extra


def fill_shapes(graph: Any, shapes: dict[str, tuple[int, ...]]) -> Any:
    """Give convolutions (height, width) and Flatten nodes their shapes, which `nir.write` asks for."""
    for name, shape in shapes.items():
        if hasattr(graph.nodes[name], "input_shape"):
            graph.nodes[name].input_shape = shape
        graph.nodes[name].input_type = {"input": np.array(shape)}
    return graph


def write_graph(path: Path, graph: Any) -> None:
    """Write the graph with `nir.write`, arrays without axes given one of length 1.

    Without compression, which would make every small array a separate chunk and the files six times as large.
    """
    for node in graph.nodes.values():
        for name, value in vars(node).items():
            if name in ("input_type", "output_type") or value is None:
                continue
            if isinstance(value, torch.Tensor):
                value = value.detach().numpy()
                setattr(node, name, value)
            if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0 and value.dtype.kind == "f":
                setattr(node, name, np.reshape(value, 1))
    nir.write(path, graph, compression=None)


def write(folder: Path, case: Case, built: Built, found: dict[str, Any], versions: dict[str, str]) -> None:
    """Write recording.npz and case.json beside network.nir."""
    arrays: dict[str, Array] = {"input": built.input if built.input.dtype == np.uint8 else _small(built.input)}
    arrays |= {name: _small(spikes) for name, spikes in built.spikes.items()}
    arrays |= {f"{name}/v": v.astype(np.float32) for name, v in built.potentials.items()}
    np.savez_compressed(folder / "recording.npz", **arrays)
    facts = {
        "tool": case.tool,
        "neuron": case.neuron,
        "rule": case.words,
        "in_words": case.extra,
        "notes": case.notes,
        "potentials": case.potentials,
        "exporter": case.exporter,
        "workaround": case.workaround,
        "weights": "raw float32" if case.raw else "multiples of 1/64",
        **found,
        "versions": versions,
        "licence": "Apache-2.0, see LICENSE at the root of asnn-deploy",
    }
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _small(values: Array) -> Array:
    """Return spikes or counts as uint8 where that loses nothing, else float32."""
    small = values.astype(np.uint8)
    return small if np.array_equal(small, values) else values.astype(np.float32)
