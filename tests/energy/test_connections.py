import numpy as np
from energy.brute_force import CONNECTIONS
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import convolutions
from networks.making import constant

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Product, Readout
from asnn_deploy.ir.step_table import StepTable

STEPS = 2


@settings(max_examples=60)
@given(convolutions(STEPS))
def test_fan_out_of_a_convolution_is_the_count_of_every_connection(drawn):
    layer, shape = drawn

    class Graph:
        shapes = {"conv": layer.output_shape(shape)}  # noqa: RUF012

    for t in range(STEPS):
        one_by_one = np.zeros(shape)
        index = np.arange(one_by_one.size, dtype=float).reshape(shape)
        for _, (element,), weight in CONNECTIONS["conv"](Graph, layer, t, [index]):
            one_by_one[np.unravel_index(int(element), shape)] += weight != 0
        np.testing.assert_array_equal(layer.fan_out(shape)[layer.weight.index[t]], one_by_one)


def test_fan_out_where_the_stride_skips_input():
    layer = Conv("conv", constant(np.ones((1, 1, 1, 1)), 1), None, stride=(3, 2))
    np.testing.assert_array_equal(layer.fan_out((1, 4, 4))[0, 0], [[1, 0, 1, 0], [0] * 4, [0] * 4, [1, 0, 1, 0]])


def test_fan_out_where_a_kernel_position_reads_padding_only():
    layer = Conv("conv", constant(np.ones((1, 1, 3, 1)), 1), None, padding=(2, 0))
    np.testing.assert_array_equal(layer.fan_out((1, 1, 1))[0, 0], [[3]])


def test_fan_out_of_a_linear_layer_leaves_out_zero_weights():
    layer = Linear("fc", StepTable(np.float32([[[0, 1, 2], [0, 0, 3]]]), [0, 0]))
    np.testing.assert_array_equal(layer.fan_out((3,)), [[0, 1, 2]])


def test_biases_are_read_at_every_position_and_zero_ones_never():
    weight = constant(np.ones((2, 1, 1, 1)), 2)
    layer = Conv("conv", weight, StepTable.per_step(np.float32([[1, 0], [1, 2]])))
    np.testing.assert_array_equal(layer.bias_reads((2, 3, 3)), [9, 18])


@settings(max_examples=30)
@given(st.sampled_from(["hnd,hmd->hnm", "nd,nd->n", "ab,bc->ac", "ab,cd->abcd", "ab,b->a"]), st.integers(0, 99))
def test_product_pairs_are_every_scalar_product(equation, seed):
    rng = np.random.default_rng(seed)
    sizes = dict(zip("abcdhnm", rng.integers(1, 4, size=7)))
    terms = equation.split("->")[0].split(",")
    left, right = (rng.integers(0, 3, size=(2, *(sizes[axis] for axis in term))) for term in terms)
    layer = Product("product", equation)
    for b, pairs in enumerate(layer.pairs(left, right)):
        visited = CONNECTIONS["product"](None, layer, 0, [left[b], right[b]])
        assert pairs == sum(np.prod(factors) for _, factors, _ in visited)


def test_a_graph_whose_layers_all_count_nothing():
    from asnn_deploy.energy import Counter, baselines, load_profiles
    from asnn_deploy.engine.runner import run
    from asnn_deploy.ir.trace import Record

    code = input_code("latency", STEPS)
    layers = [Flatten("flat"), Readout("readout", constant(1, STEPS))]
    graph = DeployGraph((1, 2, 2), code, tuple(layers), (Edge("input", "flat"), Edge("flat", "readout")))
    images = np.full((2, 1, 2, 2), 200, np.uint8)
    counter = Counter(graph)
    counter.add(images, run(graph, images, Record(True, False, True)))
    assert counter.result().layers == ()
    assert counter.result().sops.mean == 0
    assert baselines(load_profiles(), counter.result()).spike_rate is None
