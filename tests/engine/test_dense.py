"""Products and pooling in NumPy against plain numbers (tests/naive.py), and the types that carry integer sums."""

from types import SimpleNamespace

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import convolutions
from networks.making import constant

from asnn_deploy.engine.dense import ConvKernel, LinearKernel, ProductKernel, carrier, exact_type, pool
from asnn_deploy.ir.layers import Linear, Pool, Product


def plainly(compute, layer, inputs, shape):
    """One sample's output in Python's integers."""
    graph = SimpleNamespace(shapes={layer.name: shape})
    wide = [np.array([int(v) for v in x.ravel()], object).reshape(x.shape) for x in inputs]
    return compute(graph, layer, 0, wide, int, {}, {})


@settings(max_examples=60)
@given(convolutions(steps=1), st.integers(0, 99), st.sampled_from([np.int8, np.float32]))
def test_convolutions(drawn, seed, kind):
    layer, shape = drawn
    x = np.random.default_rng(seed).integers(-9, 10, (2, *shape))
    weight = layer.weight.values[0].astype(kind)
    found = ConvKernel(layer, weight, 9.0)(x)
    for sample, y in zip(x, found):
        assert np.array_equal(y, plainly(naive.conv, layer, [sample], layer.output_shape(shape)))


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_linear_maps(outputs, inputs, seed):
    rng = np.random.default_rng(seed)
    layer = Linear("l", constant(rng.integers(-127, 128, (outputs, inputs)), 1, np.int8))
    x = rng.integers(-255, 256, (3, inputs))
    found = LinearKernel(layer, layer.weight.values[0], 255.0)(x)
    for sample, y in zip(x, found):
        assert y.tolist() == plainly(naive.linear, layer, [sample], (outputs,)).tolist()


@st.composite
def products(draw):
    """An einsum of two signals: any axes of each that the result has or lacks."""
    axes = "abcd"
    kept = {axis: draw(st.sampled_from(["left", "right", "both", "summed", "lost"])) for axis in axes}
    left = draw(st.permutations([a for a in axes if kept[a] != "right"]))
    right = draw(st.permutations([a for a in axes if kept[a] in ("right", "both", "summed")]))
    result = draw(st.permutations([a for a in axes if kept[a] not in ("summed", "lost")]))
    sizes = {axis: draw(st.integers(1, 3)) for axis in axes}
    return "".join(left), "".join(right), "".join(result), sizes


@given(products(), st.integers(0, 99), st.sampled_from([np.int64, np.float32]))
def test_products_of_signals(drawn, seed, kind):
    left, right, result, sizes = drawn
    if not (left and right and result):
        return
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-3, 4, (2, *(sizes[a] for a in term))).astype(kind) for term in (left, right))
    layer = Product("p", f"{left},{right}->{result}")
    found = ProductKernel(layer, kind, 9.0 * 81)(x, y)
    assert found.shape[1:] == tuple(sizes[a] for a in result)
    for one, other, z in zip(x, y, found):
        assert np.array_equal(z, plainly(naive.product, layer, [one, other], z.shape))


@given(
    st.sampled_from(["max", "sum", "average"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.booleans(),
    st.integers(0, 99),
)
def test_pooling(mode, kernel, stride, padding, flat, seed):
    """Also of negative numbers: what lies beyond the edge is 0."""
    cut = slice(1, None) if flat else slice(None)
    layer = Pool("p", mode, kernel[cut], stride[cut], padding[cut])
    shape = (2, 4, 5)[:1] + (4, 5)[cut]
    x = np.random.default_rng(seed).integers(-8, 9, (2, *shape)).astype(np.float32)
    graph = SimpleNamespace(shapes={"p": layer.output_shape(shape)})
    for sample, y in zip(x, pool(layer, x)):
        plain = np.array([np.float32(v) for v in sample.ravel()], object).reshape(shape)
        assert np.array_equal(y, naive.pool(graph, layer, 0, [plain], np.float32, {}, {}))


def test_integer_sums_travel_in_the_narrowest_float_that_is_exact():
    kind = np.dtype(np.int8)
    assert exact_type(kind, 2**24 - 1) == np.float32
    assert exact_type(kind, 2**24) == np.float64
    assert exact_type(kind, 2.0**53 - 1) == np.float64
    with pytest.raises(OverflowError, match="exceed 2\\*\\*53"):
        exact_type(kind, 2.0**53)
    assert exact_type(np.dtype(np.float32), 2.0**99) == np.float32


def test_a_layer_is_carried_by_the_sum_of_its_magnitudes():
    """Signs do not help: a partial sum may hold all of one sign."""
    weight = np.array([[2**22, -(2**22)], [1, 1]], np.int32)
    assert carrier(weight, 1.0) == np.float32
    assert carrier(weight, 2.0) == np.float64
    assert carrier(weight.astype(np.float32), 2.0) == np.float32
    x = np.array([[1, -1], [1, 1]])
    layer = Linear("l", constant(weight + 1, 1, np.int32))
    assert LinearKernel(layer, weight + 1, 2.0)(x).tolist() == [[2**23, 0], [2, 4]]
