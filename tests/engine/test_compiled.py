"""Compiled synapses against the NumPy definitions: every geometry, events and dense products."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks.drawn import convolutions, exact_graphs
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.engine.choice import Choice
from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Readout
from asnn_deploy.quantize import quantize


@settings(max_examples=60)
@given(convolutions(), st.booleans(), st.booleans())
def test_every_convolution(drawn, fixed, analog):
    layer, shape = drawn
    if fixed:
        layer = Conv(
            "conv", layer.weight.astype(np.int8), None, layer.stride, layer.padding, layer.dilation, layer.groups
        )
    kind = np.int32 if fixed else np.float32
    layers = [layer, Readout("answer", constant(3, 2, kind), constant(1, 2, kind) if fixed else None)]
    code = input_code("direct" if analog else "latency", 2)
    graph = DeployGraph.chain(shape, code, layers, arithmetic="fixed" if fixed else "float32")
    fused = assert_compiled_equals_numpy(graph, random_inputs(graph, 3))
    assert isinstance(fused.units[0], Synapses)


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
@settings(max_examples=10)
@given(exact_graphs())
@example(small_lenet())
def test_events_and_dense_products_are_equal(events, convert, graph):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Choice, "takes_events", lambda *_: events)
        assert_compiled_equals_numpy(convert(graph), random_inputs(graph, 4))
