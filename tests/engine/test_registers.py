"""Registers at their exact borders."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from networks.making import constant

from asnn_deploy.engine.runner import run
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Linear, Readout


@pytest.mark.parametrize(("bound", "kind"), [(32767, np.int16), (32768, np.int32)])
def test_accumulators_are_as_narrow_as_their_bound_allows(bound, kind):
    halves = [bound // 2, bound - bound // 2]
    weight = np.array([halves, [-h for h in halves], [halves[0], -halves[1]]], np.int32)
    code = InputCode("ones", np.ones((1, 256)), np.zeros(1, bool))
    layers = [Linear("fc", constant(weight, 1, np.int32)), Readout("answer", constant(1, 1, np.int32))]
    graph = DeployGraph.chain((2,), code, layers, arithmetic="fixed")
    fused = assert_compiled_equals_numpy(graph, np.zeros((2, 2), np.uint8))
    assert fused.units[0].types == [kind]
    logits = run(graph, np.zeros((1, 2), np.uint8)).logits[0]
    assert logits.tolist() == [bound, -bound, halves[0] - halves[1]]
