import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.step_table import StepTable


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=st.floats(-2, 2, width=16)))
def test_per_step_keeps_every_value(values):
    table = StepTable.per_step(values)
    assert np.array_equal(table.expanded(), values)
    assert len(table.values) == len(np.unique(values, axis=0))
    assert table == StepTable(values, np.arange(len(values)))
    assert hash(table) == hash(StepTable(values, np.arange(len(values))))
    assert pickle.loads(pickle.dumps(table)) == table


def test_constant_is_one_value():
    table = StepTable.constant(np.float32(0.5), 7)
    assert (len(table.values), table.time_steps, table.shape) == (1, 7, ())
    assert table.at(6) == np.float32(0.5)


def test_tables_differ_by_value_type_and_length():
    table = StepTable.constant(np.float32(0.5), 3)
    assert table != StepTable.constant(np.float32(0.25), 3)
    assert table != StepTable.constant(np.float64(0.5), 3)
    assert table != StepTable.constant(np.float32(0.5), 4)


def test_frozen():
    table = StepTable.constant(np.zeros(3), 2)
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 1
    with pytest.raises(AttributeError, match="frozen"):
        table.values = np.ones(3)


@pytest.mark.parametrize(
    ("values", "index", "message"),
    [
        (np.float32(1), [0], "need shape"),
        ([1.0], [], "need shape"),
        ([1.0], [1], "points outside"),
        ([1.0], [-1], "points outside"),
        ([np.nan], [0], "NaN or infinity"),
        ([np.inf], [0], "NaN or infinity"),
    ],
)
def test_refusals(values, index, message):
    with pytest.raises(GraphError, match=message):
        StepTable(values, index)
