"""A neuron model's step on plain arrays."""

from asnn_deploy.ir.neurons import Parameters, State
from asnn_deploy.ir.neurons.operations import FLOATS, INTEGERS


def float_step(model, state, x, p, reset="subtract"):
    """What is sent, and the states after a step in floats; `state` by name."""
    sent, after = model.step(FLOATS, State(**state), x, Parameters(p, reset))
    return sent, vars(after)


def fixed_step(model, state, x, p, reset="subtract"):
    """The same in integers."""
    sent, after = model.step_fixed(INTEGERS, State(**state), x, Parameters(model.prepared(p), reset))
    return sent, vars(after)
