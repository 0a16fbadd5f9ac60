"""Export to ONNX: one file that takes raw 8-bit images in any batch size and gives logits.

`scope.py` names nodes and signals, `layers.py` writes layers without memory, `loops.py` neurons and recurrent loops,
`model.py` the whole. Adding a kind of layer means one function in `layers.py`; a neuron model, one in `loops.py`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asnn_deploy.deploy.exporters import Exporter
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.files import replacing

FILE = "network.onnx"


class OnnxExporter(Exporter):
    """The float32 graph only; spikes and logits are exact in onnxruntime."""

    name = "onnx"
    suffix = ".onnx"
    file = FILE

    def unavailable(self) -> str | None:
        """Needs the package onnx."""
        return None if find_spec("onnx") else "the package onnx is not installed; pip install onnx"

    def write(self, graph: DeployGraph, folder: Path, **_options: Any) -> list[str]:
        """Write `network.onnx`. Raises UnsupportedError naming a layer that cannot be carried."""
        from asnn_exporters.onnx.model import build

        content = build(graph).SerializeToString(deterministic=True)
        with replacing(Path(folder) / FILE) as temporary:
            temporary.write_bytes(content)
        return [FILE]


exporter = OnnxExporter()
