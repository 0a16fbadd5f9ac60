"""Lists of inputs, and sums of their runs, against plain loops."""

from types import SimpleNamespace

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import convolutions

from asnn_deploy.engine.compiler import compiled
from asnn_deploy.engine.kernels.records import Events
from asnn_deploy.engine.kernels.synapses import gather, gather_spikes, integrate, reached, trailing_zeros
from asnn_deploy.engine.layout import aligned, arrange, geometry
from asnn_deploy.engine.signals import channels_last
from asnn_deploy.ir.layers import Conv
from asnn_deploy.ir.step_table import StepTable


@compiled
def zeros_below(word):
    return trailing_zeros(word)


@given(st.integers(0, 63), st.integers(0, 2**64 - 1))
def test_the_lowest_one_of_a_word(place, word):
    word = (word | 1) << place & (2**64 - 1)
    assert zeros_below(np.uint64(word)) == len(bin(word)) - len(bin(word).rstrip("0"))


@given(*(st.integers(0, 6),) * 2, st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 6))
def test_which_output_an_input_reaches(place, tap, stride, padding, dilation, count):
    """The output whose window has the input at that tap; below 0 if there is none."""
    found = reached(place, tap, stride, padding, dilation, count)
    expected = [out for out in range(count) if out * stride - padding + tap * dilation == place]
    assert ([found] if found >= 0 else []) == expected


@settings(max_examples=50)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 999), st.floats(0, 1))
def test_inputs_are_listed_pixel_by_pixel_and_group_by_group(height, width, groups, words, seed, share):
    """Spikes by words of eight channels as by single ones, from the middle of a batch, and a table behind others."""
    rng = np.random.default_rng(seed)
    channels = 8 * words * groups
    weight = StepTable.constant(np.ones((groups, 8 * words, 1, 1), np.float32), 1)
    layer, shape = Conv("c", weight, groups=groups), (channels, height, width)
    g = geometry(layer, shape, layer.output_shape(shape))
    x = (rng.random((3, height * width * channels)) < share).astype(np.uint8)
    table, size = 5, g.run
    expected_begins, expected = [], []
    sample = x[1].reshape(height * width, groups, channels // groups)
    for pixel, group in np.ndindex(height * width, groups):
        expected_begins.append(len(expected))
        members = np.flatnonzero(sample[pixel, group]) + group * (channels // groups)
        expected += [table + c * size for c in members]
    room = x.shape[1] + 1
    start, flat = x.shape[1], x.reshape(-1)
    begins, listed, values = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int32)
    for spikes in (True, False):
        if spikes:
            gather_spikes(flat.view(np.uint64), start // 8, table, g, begins, listed)
        else:
            gather(flat, start, table, g, begins, listed, values)
            assert (values[: len(expected)] == 1).all()
        assert begins[: height * width * groups + 1].tolist() == [*expected_begins, len(expected)]
        assert listed[: len(expected)].tolist() == expected


@pytest.mark.parametrize("graded", [False, True])
@settings(max_examples=50)
@given(convolutions(), st.integers(0, 999), st.booleans())
def test_events_add_up_to_the_convolution(graded, drawn, seed, biased):
    """Of any geometry, step by step with its own weights and bias."""
    layer, shape = drawn
    rng, out = np.random.default_rng(seed), layer.output_shape(shape)
    g = geometry(layer, shape, out)
    x = rng.integers(0, 9 if graded else 2, (2, 2, *shape)).astype(np.uint8)
    weights = aligned(2 * g.weights, np.int8)
    for k, value in enumerate(layer.weight.values):
        weights[k * g.weights : (k + 1) * g.weights] = arrange(value, g, np.int8)
    bias = rng.integers(-9, 10, (2, g.accumulators)).astype(np.int16) if biased else np.zeros((0, 0), np.int16)
    events = Events(graded, weights, layer.weight.index * g.weights, g, bias, aligned(g.accumulators, np.int16))
    currents = np.empty((2, 2, g.out_height, g.out_width * g.outputs), np.int16)
    integrate(channels_last(x), events, currents)
    graph = SimpleNamespace(shapes={layer.name: out})
    for t, b in np.ndindex(2, 2):
        plain = np.array([int(v) for v in x[t, b].ravel()], object).reshape(shape)
        sums = naive.conv(graph, layer, t, [plain], int, {}, {})
        added = bias[t, : g.out_height * g.pitch].reshape(g.out_height, -1) if biased else 0
        first = g.left * g.outputs
        rows = np.moveaxis(sums, 0, -1).reshape(g.out_height, -1)
        offset = added[:, first : first + g.out_width * g.outputs] if biased else 0
        assert np.array_equal(currents[t, b], rows + offset)
