import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asnn_deploy.errors import ConfigError, GraphError
from asnn_deploy.input.coding import CODINGS, input_code
from asnn_deploy.ir.images import InputCode
from asnn_deploy.models.layers import Encode

ANY_STEPS = range(2, 10)
STEPS = {
    "embedding": [4],
    "hybrid-embedding": [5],
    "embedding-reference": range(4, 19),  # fewer and more steps than its 15 levels
    "hybrid-embedding-reference": range(5, 19),
}
PLANES = [[0, 2, 4, 6, 8, 10, 12, 14], [1, 2, 5, 6, 9, 10, 13, 14], [3, 4, 5, 6, 11, 12, 13, 14], range(7, 15)]
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


def naive_reference(pixel, steps, first):
    """The reference code's loop over the levels, for one pixel; the code's four steps begin at `first`."""
    frames = [0.0] * steps
    for level in range(15):
        if np.float32(pixel) >= np.float32(1 - (level + 1) / steps):
            pixel = 0.0
            for bit in range(4):
                frames[first + bit] += level in PLANES[bit]
    return frames


def naive(name, pixel, steps):
    if name == "direct":
        return [pixel] * steps
    if name == "latency":
        return naive_latency(pixel, steps, steps)
    if name == "hybrid-latency":
        return [pixel, *naive_latency(pixel, steps - 1, steps)]
    if name == "embedding-reference":
        return naive_reference(pixel, steps, 0)
    if name == "hybrid-embedding-reference":
        return [pixel, *naive_reference(pixel, steps, 1)[1:]]
    level = next(k for k in range(15) if np.float32(pixel) >= np.float32(1 - (k + 1) / 15))
    bits = [float(level in plane) for plane in PLANES]
    return bits if name == "embedding" else [pixel, *bits]


@pytest.mark.parametrize("name", CODINGS)
@given(pixels=images, data=st.data())
def test_definition_and_table_and_torch_agree(name, pixels, data):
    steps = data.draw(st.sampled_from(STEPS.get(name, ANY_STEPS)))
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
    shares = np.arange(256, dtype=np.float32) / np.float32(255)
    for steps in STEPS.get(name, ANY_STEPS):
        frames = CODINGS[name].frames(shares, steps)
        for pixel in range(256):
            assert frames[:, pixel].tolist() == naive(name, float(shares[pixel]), steps)


def test_the_reference_codes_embedding_sends_counts():
    """Every pixel fires at each level from T - 1 on, in all four bits, and nothing is sent behind the code."""
    code = input_code("embedding-reference", 7)
    assert code.table[:4].min() > 0
    assert 1 < code.table.max() <= 8
    assert not code.table[4:].any()
    assert np.array_equal(input_code("embedding", 4).table, input_code("embedding", 4).table.astype(bool))
    hybrid = input_code("hybrid-embedding-reference", 7)
    assert np.array_equal(hybrid.table[1:5], code.table[:4])
    assert len(np.unique(code.table[:4], axis=1).T) == 7, "as many brightness levels as steps"


def test_latency_fires_everywhere_at_the_last_step():
    assert input_code("latency", 5).table[-1].min() == 1
    assert input_code("hybrid-latency", 5).table[-1].min() == 0


def test_jumps_rebuild_the_table():
    for name in CODINGS:
        code = input_code(name, STEPS.get(name, ANY_STEPS)[-1])
        for t in range(code.time_steps):
            rebuilt = sum((w * (np.arange(256) >= level) for level, w in code.jumps(t)), start=np.zeros(256))
            assert np.array_equal(rebuilt, code.table[t])


@pytest.mark.parametrize(
    ("name", "steps", "message"),
    [
        ("hybrid-latencie", 4, "did you mean 'hybrid-latency'"),
        ("hybrid-latency", 1, "needs at least 2 time steps, found time_steps = 1"),
        ("embedding", 7, "has exactly 4 time steps"),
        ("hybrid-embedding", 4, "has exactly 5 time steps"),
        ("embedding-reference", 3, "needs at least 4 time steps"),
        ("hybrid-embedding-reference", 4, "needs at least 5 time steps"),
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
