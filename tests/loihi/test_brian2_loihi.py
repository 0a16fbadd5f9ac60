"""Loihi's neuron against brian2-loihi, an emulator of the chip by others, where it is installed.

Michaelis, Lehr, Oed, Tetzlaff, "Brian2Loihi", Frontiers in Neuroinformatics 16, 2022. It has no bias, and neither
saturates nor wraps, so nothing here leaves 24 bits. Where it and Lava part, the second test says how.
"""

from __future__ import annotations

import numpy as np
import pytest
from neuron_steps import fixed_step

from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.loihi import synapses

LIF = MODELS["loihi-lif"]
INPUTS, NEURONS, STEPS = 12, 30, 200


@pytest.fixture(scope="module")
def emulator():
    module = pytest.importorskip("brian2_loihi", reason="brian2-loihi is not installed")
    import brian2

    brian2.prefs.codegen.target = "numpy"
    return module


def connected(emulator, weight, spikes, exponent, bits=8, **neuron):
    """A spike generator, weights `[N, inputs]`, and neurons."""
    times, indices = np.nonzero(spikes)
    source = emulator.LoihiSpikeGeneratorGroup(spikes.shape[1], indices, times)
    group = emulator.LoihiNeuronGroup(len(weight), **neuron)
    mode = emulator.synapse_sign_mode.MIXED
    edges = emulator.LoihiSynapses(source, group, sign_mode=mode, w_exp=exponent, num_weight_bits=bits)
    edges.connect()
    edges.w = weight.T.reshape(-1)
    return source, group, edges


@pytest.mark.parametrize(("du", "dv", "vth"), [(4095, 2048, 300), (1023, 511, 3000), (0, 2000, 5_000), (50, 3000, 40)])
@pytest.mark.parametrize("exponent", [0, 1])
def test_the_emulator_agrees(emulator, du, dv, vth, exponent):
    """Every membrane potential and every spike; the emulator's decay_I is Lava's du + 1."""
    rng = np.random.default_rng(du + exponent)
    spikes = (rng.random((STEPS, INPUTS)) < 0.1).astype(np.int64)
    weight = synapses.stored(rng.integers(-256, 255, (NEURONS, INPUTS)), 8, "mixed")

    neuron = {"threshold_v_mant": vth, "decay_v": dv, "decay_I": du + 1}
    parts = connected(emulator, weight, spikes, exponent, **neuron)
    potentials, fired = emulator.LoihiStateMonitor(parts[1], "v"), emulator.LoihiSpikeMonitor(parts[1])
    emulator.LoihiNetwork(*parts, potentials, fired).run(STEPS)

    p = {"du": np.int64(du), "dv": np.int64(dv), "vth": np.int64(vth)}
    state = dict.fromkeys("uv", np.zeros((1, NEURONS), np.int64))
    v, raster = [], []
    for t in range(STEPS):
        x = synapses.arriving(weight @ spikes[t], exponent)
        s, state = fixed_step(LIF, state, x[None], p, "zero")
        v.append(state["v"][0])
        raster.append(s[0])
    assert np.array_equal(potentials.v.T, v)
    expected = np.zeros((STEPS, NEURONS), bool)
    expected[np.rint(np.asarray(fired.t_) * 1000).astype(int), np.asarray(fired.i)] = True  # t_: seconds
    assert np.array_equal(expected, raster)
    assert np.max(raster) == 1


def test_where_the_emulator_and_lava_part(emulator):
    """The emulator truncates negative weights towards zero and shifts each weight; Lava goes downwards, and shifts
    sums. Weights that Loihi can store, with an exponent of at least 0, mean the same to both."""
    weight = np.arange(-250, 250)[:, None]
    spikes = np.ones((1, 1), np.int64)
    neuron = {"threshold_v_mant": 100}

    def actual(bits, exponent):
        *_, edges = connected(emulator, weight, spikes, exponent, bits, **neuron)
        return edges.w_act[:, None] // 64

    for bits in range(2, 9):
        stored = synapses.stored(weight, bits, "mixed")
        step = synapses.granularity(bits, "mixed")
        assert np.array_equal(actual(bits, 0), stored + step * ((weight < 0) & (weight % step != 0)))
        assert np.array_equal(actual(bits, 2)[weight > 0], synapses.arriving(stored, 2)[weight > 0])
    assert np.array_equal(actual(8, -2)[weight % 2 == 0], (weight >> 2)[weight % 2 == 0])
