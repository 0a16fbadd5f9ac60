"""Frames against the codings' own definitions, pixel by pixel and step by step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.making import CODING_STEPS

from asnn_deploy.engine.encoder import encode
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.inputs import SequenceInput


@pytest.mark.parametrize("coding", CODING_STEPS)
@given(st.tuples(*(st.integers(0, 3),) * 4), st.integers(0, 99))
def test_frames_of_images(coding, shape, seed):
    """Of images of any size, none too, that lie in memory in any order."""
    code = input_code(coding, CODING_STEPS[coding])
    images = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    for given_ in (images, np.asfortranarray(images), images[::-1, ..., ::-1]):
        frames = encode(code, given_)
        assert (frames.dtype, frames.shape) == (np.uint8, (code.time_steps, *shape))
        assert np.moveaxis(frames, 2, -1).flags.c_contiguous, "channels last"
        for t, b, *place in np.ndindex(*frames.shape):
            assert frames[(t, b, *place)] == int(code.table[t][int(given_[(b, *place)])])


def test_sequences_are_frames_already():
    x = np.random.default_rng(0).integers(0, 2, (2, 3, 1, 2, 2)).astype(np.uint8)
    assert np.array_equal(encode(SequenceInput(3), x), x.swapaxes(0, 1))
