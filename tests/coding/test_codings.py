import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asnn_deploy.coding import CODINGS, input_code
from asnn_deploy.errors import ConfigError, GraphError
from asnn_deploy.input_code import InputCode
from asnn_deploy.models.layers import Encode

STEPS = {"embedding": 4, "hybrid-embedding": 5}
images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 5), st.integers(1, 5)))


def naive_latency(pixel, steps, intervals):
    """The issue's words, for one pixel."""
    fired = []
    for i in range(steps):
        fires = np.float32(pixel) >= np.float32(1 - (i + 1) / intervals)
        fired.append(float(fires))
        if fires:
            pixel = 0.0
    return fired


def naive(name, pixel, steps):
    if name == "direct":
        return [pixel] * steps
    if name == "latency":
        return naive_latency(pixel, steps, steps)
    if name == "hybrid-latency":
        return [pixel, *naive_latency(pixel, steps - 1, steps)]
    level = next(k for k in range(15) if np.float32(pixel) >= np.float32(1 - (k + 1) / 15))
    planes = [[0, 2, 4, 6, 8, 10, 12, 14], [1, 2, 5, 6, 9, 10, 13, 14], [3, 4, 5, 6, 11, 12, 13, 14], range(7, 15)]
    bits = [float(level in plane) for plane in planes]
    return bits if name == "embedding" else [pixel, *bits]


@pytest.mark.parametrize("name", CODINGS)
@given(pixels=images, steps=st.integers(2, 9))
def test_definition_and_table_and_torch_agree(name, pixels, steps):
    steps = STEPS.get(name, steps)
    code = input_code(name, steps)
    shares = pixels.astype(np.float32) / np.float32(255)
    frames = code.frames(pixels)
    defined = CODINGS[name].frames(shares, steps)
    for t in range(steps):
        expected = pixels if code.analog[t] else defined[t]
        assert np.array_equal(frames[t], expected)
        assert np.array_equal(code.frame(pixels, t), expected)
    assert np.array_equal(Encode(code)(torch.from_numpy(pixels)).numpy(), frames)


@pytest.mark.parametrize("name", CODINGS)
def test_definition_is_the_naive_recursion(name):
    steps = STEPS.get(name, 7)
    shares = np.arange(256, dtype=np.float32) / np.float32(255)
    frames = CODINGS[name].frames(shares, steps)
    for pixel in range(256):
        assert frames[:, pixel].tolist() == pytest.approx(naive(name, float(shares[pixel]), steps))


def test_latency_fires_everywhere_at_the_last_step():
    assert input_code("latency", 5).table[-1].min() == 1
    assert input_code("hybrid-latency", 5).table[-1].min() == 0


def test_jumps_rebuild_the_table():
    for name in CODINGS:
        code = input_code(name, STEPS.get(name, 6))
        for t in range(code.time_steps):
            rebuilt = sum(w * (np.arange(256) >= level) for level, w in code.jumps(t))
            assert np.array_equal(rebuilt, code.table[t])


@pytest.mark.parametrize(
    ("name", "steps", "message"),
    [
        ("hybrid-latencie", 4, "did you mean 'hybrid-latency'"),
        ("hybrid-latency", 1, "needs at least 2 time steps, found time_steps = 1"),
        ("embedding", 7, "has exactly 4 time steps"),
        ("hybrid-embedding", 4, "has exactly 5 time steps"),
        ("direct", 0, "needs at least 1 time step"),
    ],
)
def test_refusals(name, steps, message):
    with pytest.raises(ConfigError, match=message):
        input_code(name, steps)


def test_input_code_refusals():
    with pytest.raises(GraphError, match="table must be"):
        InputCode("x", np.zeros((2, 10)), [False, False])
    with pytest.raises(GraphError, match=r"must lie in 0\.\.255"):
        InputCode("x", np.full((1, 256), -1), [False])
    with pytest.raises(GraphError, match="step 0 is marked analog"):
        InputCode("x", np.zeros((1, 256)), [True])
