"""The whole model: raw image in, encoder, layers, readout, logits out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.graph import INPUT, DeployGraph, check_neurons
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Neuron, Shape
from asnn_deploy.util.version import __version__
from asnn_exporters.onnx.layers import emit
from asnn_exporters.onnx.loops import groups, scan, spikes_of
from asnn_exporters.onnx.scope import BATCH, IMAGE, Names, Scope, Signal

OPSET = 18
IR_VERSION = 10
"""What onnxruntime 1.20 to 1.23 read; 1.23.2, the newest for Python 3.10, refuses opset 24 and IR 12."""
LOGITS = "logits"
STEP_LOGITS = "step_logits"

EXPLANATION = """A spiking network of {steps} time steps with {code} input coding.

In: image, uint8 [batch, {shape}], raw pixels 0..255; the encoder is part of the graph.
Out: logits, float32 [batch, {classes}].

Layers without memory run over all time steps at once, [T*batch, ...]; each layer of neurons is one Scan over time.
Initializers <layer>.<parameter> [T, 1, ...] hold what differs from step to step.
Values inside: spikes/<layer> [T, batch, ...] 0 or 1; step_logits [T, batch, classes], whose sum is logits; in each
Scan's body <layer>/v/next, the membrane potential after the reset. Declare one as an output to see it.
"""


def build(graph: DeployGraph) -> onnx.ModelProto:
    """The graph as a checked model. Raises UnsupportedError naming what ONNX cannot carry."""
    if graph.arithmetic != "float32":
        raise UnsupportedError(
            f"ONNX carries float32 graphs, this one's arithmetic is {graph.arithmetic!r}; export the float graph"
        )
    check_neurons(graph)
    reserved = {IMAGE, LOGITS, STEP_LOGITS, *(spikes_of(neuron.name) for neuron in graph.spiking)}
    scope = Scope(Names(reserved), graph.time_steps)
    signals = write_layers(scope, graph)
    write_answer(scope, graph, signals[graph.readout.name])
    proto = helper.make_graph(
        scope.nodes,
        "asnn-deploy",
        [helper.make_tensor_value_info(IMAGE, *entering(graph))],
        [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, (BATCH, graph.classes))],
        scope.initializers,
    )
    model = helper.make_model(
        proto,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="asnn-deploy",
        producer_version=__version__,
        doc_string=explanation(graph),
    )
    metadata = {
        "created_by": f"asnn-deploy {__version__}",
        "time_steps": str(graph.time_steps),
        "coding": graph.code.name,
        "preparation": graph.code.preparation,
    }
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def explanation(graph: DeployGraph) -> str:
    """The model's doc_string."""
    shape = ", ".join(map(str, graph.input_shape))
    text = EXPLANATION.format(steps=graph.time_steps, code=graph.code.name, shape=shape, classes=graph.classes)
    if graph.code.preparation == "raw":
        return text
    return f"{text}Images are to be prepared by {graph.code.preparation} before they enter.\n"


def entering(graph: DeployGraph) -> tuple[int, tuple[int | str, ...]]:
    """The type and shape of what enters, batch first: uint8 pixels, or the frames of a sequence."""
    if not isinstance(graph.code, SequenceInput):
        return TensorProto.UINT8, (BATCH, *graph.input_shape)
    kind = TensorProto.FLOAT if graph.code.values == "values" else TensorProto.UINT8
    return kind, (BATCH, graph.time_steps, *graph.input_shape)


def write_layers(scope: Scope, graph: DeployGraph) -> dict[str, Signal]:
    """Write the encoder and all layers; returns every signal that leaves a group, by layer name."""
    signals = {INPUT: encode(scope, graph)}
    late: dict[tuple[str, int], Signal] = {}

    def incoming(source: str, delay: int) -> Signal:
        if (source, delay) not in late:
            late[source, delay] = delayed(scope, signals[source], delay) if delay else signals[source]
        return late[source, delay]

    for group in groups(graph):
        inside = {layer.name for layer in group}
        edges = [e for layer in group for e in graph.inputs_of[layer.name]]
        outside = {(e.source, e.delay): incoming(e.source, e.delay) for e in edges if e.source not in inside}
        if len(group) > 1 or isinstance(group[0], Neuron):
            signals |= scan(scope, graph, group, outside)
        else:
            name = group[0].name
            signals[name] = emit(scope, group[0], graph.shapes[name], [outside[e.source, e.delay] for e in edges])
    return signals


def encode(scope: Scope, graph: DeployGraph) -> Signal:
    """The frames: of an image what its coding sends, of a sequence what enters, time first."""
    last = len(graph.input_shape) + 1
    if isinstance(graph.code, InputCode):
        return code_image(scope, graph.code, graph.input_shape)
    frames = scope.op("Cast", [IMAGE], "input/frames", to=TensorProto.FLOAT)
    steps = scope.op("Transpose", [frames], "input/steps", perm=[1, 0, *range(2, last + 1)])
    return Signal(INPUT, graph.input_shape, steps=steps)


def code_image(scope: Scope, code: InputCode, shape: Shape) -> Signal:
    """Look up what each pixel value sends, at all steps in one copy: table `[256, T]`, frames `[T, B, C, H, W]`."""
    table = scope.initializer("input.table", code.table.T.astype(np.float32))
    pixels = scope.op("Cast", [IMAGE], "input/pixels", to=TensorProto.INT32)
    frames = scope.op("Gather", [table, pixels], "input/by_pixel", axis=0)
    last = len(shape) + 1
    steps = scope.op("Transpose", [frames], "input/frames", perm=[last, *range(last)])
    return Signal(INPUT, shape, steps=steps)


def delayed(scope: Scope, signal: Signal, delay: int) -> Signal:
    """The signal, that many steps later; zeros before."""
    late = min(delay, scope.steps)
    rest = [0] * (len(signal.shape) + 1)
    name = f"{signal.name}/late{delay}"
    zero = scope.initializer("const.zero", np.float32(0))
    padded = scope.op("Pad", [scope.in_steps(signal), scope.integers(late, *rest, 0, *rest), zero], f"{name}/padded")
    bounds = [scope.integers(0), scope.integers(scope.steps), scope.integers(0)]
    return Signal(name, signal.shape, steps=scope.op("Slice", [padded, *bounds], name))


def write_answer(scope: Scope, graph: DeployGraph, summands: Signal) -> None:
    """Add the summands up, step by step from the first: a reduction would leave the order to the runtime."""
    flat = scope.integers(scope.steps, -1, graph.classes)
    scope.ops("Reshape", [scope.in_steps(summands), flat], [STEP_LOGITS])
    names = [scope.names.new(f"{STEP_LOGITS}/{t}") for t in range(scope.steps)]
    scope.ops("Split", [STEP_LOGITS], names, axis=0, num_outputs=scope.steps)
    total = answer(scope, graph.readout.rule, names)
    scope.ops("Reshape", [total, scope.integers(-1, graph.classes)], [LOGITS])


def answer(scope: Scope, rule: str, summands: list[str]) -> str:
    """The answer of each step's summands, by its rule (`asnn_deploy.ir.answers`)."""
    if rule == "last":
        return summands[-1]
    if rule == "first-spike":  # how many steps have seen a spike by then
        zero = scope.initializer("const.zero", np.float32(0))
        fired = [scope.op("Greater", [x, zero], f"{LOGITS}/fired{t}") for t, x in enumerate(summands)]
        summands = [scope.op("Cast", [x], f"{LOGITS}/spike{t}", to=TensorProto.FLOAT) for t, x in enumerate(fired)]
        for t in range(1, len(summands)):
            summands[t] = scope.op("Max", [summands[t - 1], summands[t]], f"{LOGITS}/seen{t}")
    total = summands[0]
    for t, name in enumerate(summands[1:], 1):
        total = scope.op("Max" if rule == "maximum" else "Add", [total, name], f"{LOGITS}/{t}")
    if rule == "mean":
        total = scope.op(
            "Mul", [total, scope.initializer(f"{LOGITS}.share", np.float32(1 / scope.steps))], f"{LOGITS}/mean"
        )
    return total
