"""Where parameters, weights and windows lie in memory, element by element."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.drawn import convolutions
from networks.making import constant

from asnn_deploy.engine.kernels.records import BLOCK, SPACE
from asnn_deploy.engine.layout import aligned, arrange, geometry, in_blocks, poolable, side_by_side, spread, window
from asnn_deploy.ir.layers import Linear, Pool

SHAPES = [(3,), (2, 4), (2, 3, 2), (1, 2, 3)]


def rows_of(shape):
    """Each element's row and its place in it, channels last: a signal's height is its rows."""
    for place in np.ndindex(*shape):
        channel, *spatial = place
        row, column = (spatial[0], spatial[1]) if len(spatial) == 2 else (0, spatial[0] if spatial else 0)
        yield place, row, column * shape[0] + channel


@given(st.data(), st.sampled_from(SHAPES), st.integers(1, 3))
def test_each_neuron_reads_its_own_parameters(data, shape, steps):
    """In every granularity; rows share a table exactly if they are alike."""
    grains = [(), shape[:1], (shape[0], *(1,) * (len(shape) - 1)), shape, (1, *shape[1:])]
    tables = []
    for _ in range(data.draw(st.integers(1, 3))):
        grain = data.draw(st.sampled_from(grains))
        count = steps * int(np.prod(grain))
        values = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
        tables.append(list(np.array(values, np.float32).reshape(steps, *grain)))
    pitch, found = spread(tables, shape)
    height = shape[1] if len(shape) > 2 else 1
    each = []
    for table, flat in zip(tables, found):
        for t, value in enumerate(table):
            if value.ndim == 1 and len(shape) > 1:  # one for each channel, or for each neuron of a flat signal
                value = value.reshape(-1, *(1,) * (len(shape) - 1))
            whole = np.broadcast_to(value, shape)
            each.append(whole.reshape(*shape[:1], height, -1))
            for place, row, at in rows_of(shape):
                assert flat[t, row * pitch + at] == whole[place]
    assert (pitch == 0) == all((rows == rows[:, :1]).all() for rows in each)
    assert pitch in (0, int(np.prod(shape)) // height)


@given(st.data(), st.sampled_from([1, 3, BLOCK, BLOCK + 1]), st.integers(1, 3), st.integers(1, 2))
def test_blocks_of_neurons_read_their_parameters(data, channels, positions, parameters):
    """Alike for all, for all positions, or for none; of a row whose blocks begin at multiples of their length."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    alike = data.draw(st.sampled_from(["layer", "channel", "neuron"]))
    size = {"layer": (1, 1), "channel": (1, channels), "neuron": (positions, channels)}[alike]
    rows = np.broadcast_to(rng.integers(0, 9, (2, parameters, *size)), (2, parameters, positions, channels))
    rows = rows.reshape(2, parameters, -1).astype(np.float32)
    block, along, stacked = in_blocks(rows, channels)
    assert 0 < block <= BLOCK
    for first in range(0, rows.shape[2], block):
        n = min(block, rows.shape[2] - first)
        assert np.array_equal(stacked[..., first * along : first * along + n], rows[..., first : first + n])
    if alike == "layer" or (alike == "channel" and channels <= BLOCK):
        assert (along, stacked.shape[2]) == (0, SPACE), "shared parameters stay in the cache"


@given(convolutions())
def test_every_weight_has_its_place_in_a_run(drawn):
    """Kernels are mirrored in runs of several taps; what pads a run is 0."""
    layer, shape = drawn
    g = geometry(layer, shape, layer.output_shape(shape))
    weight = layer.weight.values[0]
    flat = weight[:, :, None] if weight.ndim == 3 else weight
    runs = arrange(weight, g, np.float32).reshape(g.channels, g.kernel_height, g.kernel_width // g.taps, g.run)
    outputs, inputs = g.outputs // g.groups, g.channels // g.groups
    expected = np.zeros_like(runs)
    for o, c, ky, kx in np.ndindex(*flat.shape):
        channel = o // outputs * inputs + c
        if g.taps > 1:
            expected[channel, ky, 0, (g.kernel_width - 1 - kx) * g.outputs + o] = flat[o, c, ky, kx]
        else:
            expected[channel, ky, kx, o % outputs] = flat[o, c, ky, kx]
    assert np.array_equal(runs, expected)


def test_a_linear_map_is_one_pixel():
    layer = Linear("l", constant(np.arange(6).reshape(2, 3), 1))
    g = geometry(layer, (3,), (2,))
    assert (g.height, g.width, g.channels, g.out_height, g.out_width, g.outputs) == (1, 1, 3, 1, 1, 2)
    runs = arrange(layer.weight.values[0], g, np.float32).reshape(3, g.run)
    assert runs[:, :2].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert not runs[:, 2:].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_neurons_without_synapses_lie_as_their_spikes_will(shape):
    g = side_by_side(shape)
    places = {row * g.pitch + g.left * g.outputs + at for _, row, at in rows_of(shape)}
    assert places == set(range(int(np.prod(shape))))


@given(st.integers(0, 100), st.sampled_from([np.int8, np.int16, np.float32, np.float64]))
def test_aligned_zeros(length, kind):
    found = aligned(length, kind)
    assert (len(found), found.dtype, found.any()) == (length, kind, False)
    assert found.ctypes.data % 64 == 0 or not length


def test_windows():
    flat, square = Pool("p", "sum", (3,), (2,), (1,)), Pool("p", "max", (2, 3), (1, 2), (0, 1))
    assert window(flat, (4, 5)) == (True, 1, 3, 1, 2, 0, 1, 1, 5)
    assert window(square, (4, 6, 7)) == (False, 2, 3, 1, 2, 0, 1, 6, 7)
    assert set(window(None, ())) == {False}


@pytest.mark.parametrize(
    ("mode", "kernel", "known"),
    [("max", (99, 99), True), ("sum", (5, 51), True), ("sum", (16, 16), False), ("average", (1, 1), False)],
)
def test_what_is_pooled_within_a_byte(mode, kernel, known):
    assert poolable(Pool("p", mode, kernel, (1, 1))) is known
