"""The room that a layer's records ask for is the room that its runs of weights take."""

import numpy as np
from hypothesis import given
from networks.drawn import convolutions

from asnn_deploy.engine.kernels.records import PADDED_TO
from asnn_deploy.engine.layout import arrange, geometry


@given(convolutions())
def test_runs_and_accumulators_have_the_room_that_they_take(drawn):
    layer, shape = drawn
    out = layer.output_shape(shape)
    g = geometry(layer, shape, out)
    assert g.weights == arrange(layer.weight.values[0], g, np.float32).size
    assert g.run % PADDED_TO == 0
    # The last output that any run begins at; a run reaches `run` numbers from there.
    last = (g.out_height - 1) * g.pitch
    columns = range(g.width) if g.taps > 1 else range(g.out_width)
    for x in columns:
        at = x + g.padding_x - (g.kernel_width - 1) + g.left if g.taps > 1 else x
        assert at >= 0
        for group in range(g.groups):
            begin = last + at * g.outputs + group * (g.outputs // g.groups)
            assert begin + g.run <= g.accumulators
