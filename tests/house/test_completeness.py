"""Every kind of layer and every neuron through every pass: a rule, or a refusal that names it."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
from membranes import FIRINGS, spelled
from networks.making import constant, firing_neuron, grid_weights, linked, random_inputs, static_neuron

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import analyse, snap
from asnn_deploy.analysis.overflow import prove
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.energy import Counter
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import GraphError, MissingDependency
from asnn_deploy.fitting import fit, load_chip
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.layers import (
    LAYERS,
    Add,
    Concat,
    Conv,
    Flatten,
    Layer,
    Linear,
    Pool,
    Product,
    Readout,
    Reshape,
    Scale,
)
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.trace import Record
from asnn_deploy.loihi import to_loihi
from asnn_deploy.quantizing import calibrate, quantize

STEPS = 3


table = partial(constant, steps=STEPS)


def with_layer(layer):
    """A network in which a layer of one input stands between spikes and synapses."""
    rng = np.random.default_rng(0)
    layers = (
        Conv("conv", table(grid_weights(rng, (2, 1, 3, 3))), None, padding=(1, 1)),
        static_neuron("lif", STEPS),
        layer,
        Flatten("flat"),
        Linear("fc", table(grid_weights(rng, (3, 16 if layer.kind == "concat" else 8)))),
        Readout("readout", table(1.0)),
    )
    links = {layer.name: ["lif"] if layer.inputs == 1 else ["lif", "lif"]}
    return linked((1, 2, 2), input_code("latency", STEPS), layers, links)


@dataclass(frozen=True)
class Mystery(Layer):
    """A kind of layer that nothing knows but its own shape."""

    kind: ClassVar[str] = "mystery"

    def output_shape(self, *shapes):
        return shapes[0]


KINDS = {
    "conv": lambda: Conv("odd", table(np.ones((2, 2, 1, 1)))),
    "scale": lambda: Scale("odd", table(0.5)),
    "pool": lambda: Pool("odd", "sum", (1, 1), (1, 1)),
    "reshape": lambda: Reshape("odd", (2, 4)),
    "concat": lambda: Concat("odd"),
    "add": lambda: Add("odd"),
    "product": lambda: Product("odd", "chw,chw->chw"),
    **{
        f"neuron {model}": (lambda model=model: static_neuron("odd", STEPS, model))
        for model in MODELS
        if model != "loihi-lif"
    },
    **{f"neuron {spelled(firing)}": (lambda firing=firing: firing_neuron("odd", STEPS, firing)) for firing in FIRINGS},
}


def on_target(name):
    def through(graph):
        target = TARGETS.find(name)
        if target.unavailable():
            raise MissingDependency(f"layer 'odd': {target.unavailable()}")
        with Deployment(graph) as deployment, target.open(deployment, 2) as session:
            session.run(random_inputs(graph, 2), Record(spikes=True))

    return through


PASSES = {
    "flow": flow,
    "order-free grids": analyse,
    "snapping": snap,
    "executor": lambda graph: run(graph, random_inputs(graph, 2)),
    "NumPy": lambda graph: Executor(graph, compiled=False).run(random_inputs(graph, 2)),
    "integers": lambda graph: prove(quantize(graph)),
    "calibration": lambda graph: calibrate(graph, random_inputs(graph, 4)),
    "counts": lambda graph: Counter(graph).add(
        random_inputs(graph, 2), run(graph, random_inputs(graph, 2), Record(spikes=True))
    ),
    "fit": lambda graph: fit(graph, load_chip("loihi2")),
    "Loihi": to_loihi,
    **{f"target {name}": on_target(name) for name in TARGETS if not name.startswith(("norse", "lava-stock"))},
}


@pytest.mark.parametrize("what", PASSES)
def test_a_kind_that_a_pass_does_not_know_is_refused_by_name(what):
    with pytest.raises((GraphError, MissingDependency), match="layer 'odd'"):
        PASSES[what](with_layer(Mystery("odd")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", [name for name in PASSES if not name.startswith("target lava")])
def test_every_kind_has_a_rule_or_a_refusal(kind, what):
    """No pass lets a kind through unseen, and none stumbles: whatever is not done is said of a layer."""
    try:
        PASSES[what](with_layer(KINDS[kind]()))
    except (GraphError, MissingDependency) as error:
        if not str(error).startswith("layer '"):
            raise


def test_every_kind_of_layer_is_asked_here():
    asked = {kind.partition(" ")[0] for kind in KINDS} | {"linear", "flatten", "readout"}
    assert asked == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_every_kind_answers_for_itself(kind):
    """None of our kinds leaves an answer to the base class, which would refuse."""
    assert kind.output_shape is not Layer.output_shape
    assert kind.output_signal is not Layer.output_signal
    assert kind.quantized is not Layer.quantized
    assert kind.fan_out is not Layer.fan_out or not kind.weighted
