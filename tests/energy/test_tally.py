import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asnn_deploy.energy.tally import BLOCK, add_up, fits_narrow, weigh_spikes, weigh_values

SIZES = st.tuples(st.integers(1, 3), st.integers(0, 2 * BLOCK + 9), st.integers(0, 2**32 - 1))


@given(SIZES, st.sampled_from([1, 9, 576, 2**31 // BLOCK - 1, 2**40]))
def test_spikes_are_weighed_as_numpy_weighs_them(size, largest):
    rows, elements, seed = size
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (rows, elements)).astype(np.uint8)
    fan = rng.integers(0, largest, elements, endpoint=True)
    fan = fan.astype(np.int32) if fits_narrow(fan) else fan
    synapses, spikes = weigh_spikes(x, fan)
    assert np.array_equal(synapses, x.astype(np.int64) @ fan.astype(np.int64))
    assert np.array_equal(spikes, x.sum(axis=1, dtype=np.int64))
    assert np.array_equal(add_up(x), spikes)


def test_a_block_full_of_spikes_and_the_largest_narrow_fan_out_do_not_overflow():
    fan = np.full(3 * BLOCK, 2**31 // BLOCK - 1, np.int32)
    assert fits_narrow(fan)
    assert not fits_narrow(fan.astype(np.int64) + 1)
    synapses, _ = weigh_spikes(np.ones((1, 3 * BLOCK), np.uint8), fan)
    assert synapses[0] == fan.astype(np.int64).sum()


@given(SIZES, st.sampled_from([np.uint8, np.int64, np.float32]))
def test_values_are_weighed_as_numpy_weighs_them(size, kind):
    rows, elements, seed = size
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (rows, elements)).astype(kind)
    fan = rng.integers(0, 100, elements).astype(np.int32)
    expected = x @ fan.astype(np.float64), (x != 0) @ fan, (x == 1) @ fan, x.sum(axis=1), (x != 0).sum(axis=1)
    for found, amount in zip(weigh_values(x, fan), expected):
        assert np.array_equal(found, amount)
