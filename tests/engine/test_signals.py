"""Memory orders are inverse to each other; a byte carries what it holds, at the exact borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.making import constant, linked

from asnn_deploy.analysis.flow import Track
from asnn_deploy.engine.signals import carried_types, channels_first, channels_last, is_byte
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Linear, Readout
from asnn_deploy.ir.signals import Kind, Signal
from asnn_deploy.quantizing import quantize


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), st.integers(0, 2), st.integers(0, 2))
def test_channels_last_and_first(shape, steps, batch):
    x = np.arange(steps * batch * int(np.prod(shape))).reshape(steps, batch, *shape)
    flat = channels_last(x)
    assert flat.flags.c_contiguous
    assert flat.shape == (steps, batch, int(np.prod(shape)))
    for t, b, channel, *place in np.ndindex(*x.shape):
        position = int(np.ravel_multi_index(place, shape[1:])) if place else 0
        assert flat[t, b, position * shape[0] + channel] == x[(t, b, channel, *place)]
    again = channels_first(flat, shape)
    assert np.array_equal(again, x)
    assert np.shares_memory(again, flat) or not x.size
    assert np.shares_memory(channels_last(again), flat) or not x.size, "no copy of what lies so already"


def test_a_signal_of_one_number():
    x = np.arange(6).reshape(2, 3, 1)
    assert channels_first(x, ()).shape == (2, 3)


def track(low, high, grid=0, kind=Kind.COUNTS):
    quiet = Signal(Kind.SPIKES, np.zeros(1), np.ones(1), 0)
    return Track((quiet, Signal(kind, np.array([float(low)]), np.array([float(high)]), grid)))


@pytest.mark.parametrize(
    ("signal", "byte"),
    [
        (track(0, 255), True),
        (track(0, 256), False),
        (track(-1, 255), False),
        (track(0, 255, grid=-1), False),
        (track(0, 255, grid=None), False),
        (track(0, 255, kind=Kind.VALUES), True),
        (track(0, 1, kind=Kind.CURRENTS), False),
    ],
)
def test_a_byte_carries_whole_events_up_to_255(signal, byte):
    assert is_byte(signal) is byte


@pytest.mark.parametrize(("most", "byte"), [(127, True), (128, False)])
def test_sums_of_counts_leave_the_byte_at_256(most, byte):
    """127 and 127 are 254; 128 and 128 are 256. What is summed arrives whole all the same."""
    layers = [Add("sum"), Linear("fc", constant([[1.0]], 1)), Readout("answer", constant(1, 1))]
    graph = linked((1,), SequenceInput(1, "counts", most), layers, {"sum": ["input", "input"]})
    for form, native in ((graph, np.float32), (quantize(graph), np.int64)):
        types = carried_types(form)
        assert types["input"] == np.uint8
        assert types["sum"] == (np.uint8 if byte else native)
        assert types["fc"] == native
