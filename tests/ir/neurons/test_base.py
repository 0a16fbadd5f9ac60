"""What every neuron model holds to, whoever wrote it."""

import numpy as np
import pytest
from neuron_steps import Watched

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.neurons import MODELS, NeuronModel, Parameter, Parameters, State
from asnn_deploy.ir.neurons.operations import FLOATS, INTEGERS

FORMS = [(name, fixed) for name in MODELS for fixed in (False, True) if fixed or MODELS[name].real]


class Reading(Parameters):
    """Parameters that note which of them are read."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            super().__getattribute__("__dict__").setdefault("_read", set()).add(name)
        return super().__getattribute__(name)


def test_parameters_that_are_left_out_are_none():
    p = Parameters({"leak": 1}, "zero")
    assert (p.leak, p.reset, p.bias) == (1, "zero", None)


def test_training_begins_with_the_initial_value_or_the_default():
    assert Parameter("m", 1.0, initial=0.5).first == 0.5
    assert Parameter("m", 1.0, initial=0.0).first == 0.0
    assert Parameter("m", 1.0).first == 1.0
    assert Parameter("m").first is None


@pytest.mark.parametrize(("name", "fixed"), FORMS)
def test_a_step_reads_what_its_model_declares_and_no_more(name, fixed):
    """With all given, every parameter is read; with those left out that may be, the step runs as well."""
    model = MODELS[name]
    known = model.known(fixed)
    kind = np.int64 if fixed else np.float32
    step, ops = (model.step_fixed, Watched(INTEGERS)) if fixed else (model.step, FLOATS)
    state = State(**dict.fromkeys(model.states, np.zeros(1, kind)))
    needed = {
        key: np.ones(1, kind) for key, parameter in known.items() if parameter.default != 0 and not parameter.optional
    }
    for given in ({key: np.ones(1, kind) for key in known}, needed):
        ready = model.prepared(given) if fixed else given
        p = Reading(ready, "zero")
        sent, after = step(ops, state, np.ones(1, kind), p)
        model.before(p, np.zeros(1, kind), np.copy)
        read = vars(p)["_read"] - {"reset"}
        assert set(ready) - {known[key].instead_of for key in given if key in known} <= read
        assert set(vars(after)) == set(model.states)
        assert np.shape(sent) == (1,)


def test_what_a_model_does_not_define_is_refused_by_its_name():
    class Nothing(NeuronModel):
        name = "nothing"

    model = Nothing()
    assert not model.real
    for call, method in (
        (lambda: model.step(FLOATS, State(), 0, Parameters({}, "zero")), "step"),
        (lambda: model.step_fixed(INTEGERS, State(), 0, Parameters({}, "zero")), "step_fixed"),
        (lambda: model.quantized(Parameters({}, "zero"), None), "quantized"),
    ):
        with pytest.raises(UnsupportedError, match=f"neuron model 'nothing' has no .*\\(its method `{method}`\\)"):
            call()
