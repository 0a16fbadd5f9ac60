"""The target `onnxruntime`: runs the exported ONNX file on the CPU.

The file has one output, the logits. What else is to be recorded is declared as further outputs of a copy in memory,
under the names that the file's own description gives. CPU only: GPU providers use TF32 and Winograd kernels, which
round the sums.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import LOGITS_ONLY, Session, Target
from asnn_deploy.engine.signals import carried_types
from asnn_deploy.errors import BundleError, TargetError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.machine import threads

if TYPE_CHECKING:
    import onnx

IMAGE, LOGITS, STEP_LOGITS = "image", "logits", "step_logits"
SLICE_BYTES = 4 * 2**20
"""Batches are run in slices whose largest signal, over all steps, takes about this much: it stays in the cache."""
SILENT = 4
"""onnxruntime's severity "fatal": whatever else it logs comes back as an exception."""


class OnnxRuntimeTarget(Target):
    """The exported file in onnxruntime."""

    name = "onnxruntime"
    arithmetic = "float32"

    def unavailable(self) -> str | None:
        """Needs onnxruntime, and onnx for recording."""
        missing = [package for package in ("onnxruntime", "onnx") if find_spec(package) is None]
        return f"not installed: {', '.join(missing)}; pip install {' '.join(missing)}" if missing else None

    def open(self, deployment: Deployment, batch_size: int) -> OnnxRuntimeSession:
        """Load the exported file; it takes any batch size. Raises BundleError where it is damaged or another's."""
        return OnnxRuntimeSession(deployment.graph, deployment.file("onnx"))


class OnnxRuntimeSession(Session):
    """One exported file, loaded. Uses as many threads as the process may, or OMP_NUM_THREADS where that is set."""

    def __init__(self, graph: DeployGraph, path: Path) -> None:
        self.graph = graph
        self.path = path
        self.dtype = graph.code.dtype
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}); export it again") from error
        self._sessions = {LOGITS_ONLY: self._load(self._content)}
        self._check(self._sessions[LOGITS_ONLY])
        largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
        self.slice = max(1, SLICE_BYTES // (4 * graph.time_steps * largest))

    def close(self) -> None:
        """Free the loaded network."""
        self._sessions.clear()

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[B, C, H, W]`."""
        if record not in self._sessions:
            self._sessions[record] = self._load(self._with_outputs(record))
        starts = range(0, max(len(images), 1), self.slice)
        parts = [self._run(images[i : i + self.slice], record) for i in starts]
        return parts[0] if len(parts) == 1 else Trace.concatenate(parts)

    def _run(self, images: Array, record: Record) -> Trace:
        session = self._sessions[record]
        try:
            values = session.run(None, {IMAGE: np.ascontiguousarray(images, self.dtype)})
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise TargetError(f"onnxruntime failed on {self.path}: {one_line(error)}") from error
        found = dict(zip((output.name for output in session.get_outputs()), values))
        names = [neuron.name for neuron in self.graph.neurons]
        spiking, kinds = [neuron.name for neuron in self.graph.spiking], carried_types(self.graph)
        return Trace(
            "onnxruntime",
            found[LOGITS],
            {name: found[f"spikes/{name}"].astype(kinds[name]) for name in spiking} if record.spikes else {},
            {name: found[f"potentials/{name}"] for name in names} if record.potentials else {},
            found.get(STEP_LOGITS),
            rule=self.graph.readout.rule,
        )

    def _load(self, content: bytes) -> Any:
        import onnxruntime

        onnxruntime.set_default_logger_severity(SILENT)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        options.intra_op_num_threads = threads()
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise BundleError(
                f"{self.path}: onnxruntime cannot load it ({one_line(error)}); export it again"
            ) from error

    def _check(self, session: Any) -> None:
        """The file must be this network's: the same image and the same classes."""
        code, frame = self.graph.code, list(self.graph.input_shape)
        kind = "tensor(float)" if self.dtype == np.float32 else "tensor(uint8)"
        expected = {
            IMAGE: (kind, [self.graph.time_steps, *frame] if code.kind == "sequence" else frame),
            LOGITS: ("tensor(float)", [self.graph.classes]),
        }
        found = {v.name: (v.type, list(v.shape[1:])) for v in (*session.get_inputs(), *session.get_outputs())}
        if found != expected:
            raise BundleError(
                f"{self.path}: is not this network's file: it has {spoken(found)}, "
                f"expected {spoken(expected)}; export it again"
            )

    @cached_property
    def _model(self) -> onnx.ModelProto:
        import onnx

        return onnx.load_model_from_string(self._content)

    def _with_outputs(self, record: Record) -> bytes:
        """The file with what is to be recorded declared as outputs."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        names = [neuron.name for neuron in self.graph.neurons]
        wanted = [f"spikes/{neuron.name}" for neuron in self.graph.spiking] if record.spikes else []
        if record.potentials:
            wanted += [_stack_potentials(model, name) for name in names]
        if record.step_logits:
            wanted.append(STEP_LOGITS)
        made = {output for node in model.graph.node for output in node.output}
        for name in wanted:
            if name not in made:
                raise BundleError(f"{self.path}: holds no value {name!r} to record; export it again")
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        return model.SerializeToString()


def _stack_potentials(model: onnx.ModelProto, neuron: str) -> str:
    """Let the Scan that runs a neuron layer also stack its membrane potential; returns the stack's name."""
    import onnx

    stacked = f"potentials/{neuron}"
    for node in (n for n in model.graph.node if n.op_type == "Scan"):
        body = next(attribute.g for attribute in node.attribute if attribute.name == "body")
        for output in body.output:
            if output.name == f"{neuron}/v/next":
                # A body may not give out one value twice, and this one is the state already.
                body.node.append(onnx.helper.make_node("Identity", [output.name], [f"{stacked}/step"]))
                body.output.append(onnx.helper.make_tensor_value_info(f"{stacked}/step", onnx.TensorProto.FLOAT, None))
                node.output.append(stacked)
                return stacked
    return stacked


def one_line(error: Exception) -> str:
    """An onnxruntime error's message, without its code, as one line."""
    return " ".join(str(error).rpartition(" : ")[2].split())


def spoken(values: dict[str, tuple[str, list[Any]]]) -> str:
    """Inputs and outputs, name to type and shape behind the batch axis, in words."""
    return ", ".join(f"{name} {kind} {['batch', *shape]}" for name, (kind, shape) in values.items()) or "nothing"


target = OnnxRuntimeTarget()
