import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from networks.lenet import small_lenet
from networks.making import constant, linked, static_neuron

from asnn_deploy.errors import GraphError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge, check_neurons
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Scale

T = 4


one = partial(constant, steps=T)
lif = partial(static_neuron, steps=T)


def conv(name, *shape, **options):
    return Conv(name, one(np.zeros(shape)), **options)


def graph(layers, edges=None, shape=(1, 8, 8)):
    if edges is None:
        return DeployGraph.chain(shape, input_code("latency", T), layers)
    return DeployGraph(shape, input_code("latency", T), tuple(layers), tuple(edges))


def test_equal_by_content_and_through_pickle():
    for coding in ("direct", "hybrid-latency"):
        made = small_lenet(coding=coding, granularity="channel")
        assert made == small_lenet(coding=coding, granularity="channel")
        assert pickle.loads(pickle.dumps(made)) == made
        assert hash(made) == hash(small_lenet(coding=coding, granularity="channel"))
    assert small_lenet(seed=1) != small_lenet(seed=2)


def test_shapes():
    made = graph(
        [
            conv("a", 4, 1, 3, 3, stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
            lif("s"),
            Pool("p", "max", (2, 2), (2, 2)),
            Flatten("f"),
            Linear("l", one(np.zeros((3, 16)))),
            Readout("r", one(1)),
        ]
    )
    assert [made.shapes[k] for k in ("a", "s", "p", "f", "l", "r")] == [
        (4, 4, 4),
        (4, 4, 4),
        (4, 2, 2),
        (16,),
        (3,),
        (3,),
    ]


def test_a_loop_that_the_input_does_not_reach_needs_a_layer_whose_shape_is_its_own():
    """It runs on its bias; a linear map says what leaves it whatever enters, and neurons do not."""
    made = [Flatten("flat"), lif("lif"), Add("sum"), Readout("out", one(np.float32(1)))]
    led = [Edge(INPUT, "flat"), Edge("flat", "sum"), Edge("lif", "sum"), Edge("sum", "out")]
    with pytest.raises(GraphError, match="must pass through an add or a linear map"):
        graph(made, [*led, Edge("lif", "lif", 1)])
    linear = Linear("back", one(np.zeros((64, 64))), one(np.ones(64)))
    looped = graph([linear, *made], [*led, Edge("lif", "back", 1), Edge("back", "lif")])
    assert looped.shapes["lif"] == (64,)
    with pytest.raises(GraphError, match="cannot read an input of shape"):
        graph([replace(linear, weight=one(np.zeros((65, 64))), bias=None), *made], looped.edges)


def test_residual_product_and_recurrence():
    layers = [
        conv("c", 2, 1, 3, 3, padding=(1, 1)),
        lif("s1"),
        conv("d", 2, 2, 3, 3, padding=(1, 1)),
        conv("back", 2, 2, 1, 1),
        Add("sum"),
        lif("s2"),
        Add("res"),
        Product("prod", "cij,cjk->cik"),
        Scale("half", one(0.5)),
        lif("s3"),
        Flatten("f"),
        Linear("l", one(np.zeros((3, 128)))),
        Readout("r", one(1)),
    ]
    links = {"back": [("s2", 1)], "sum": ["d", "back"], "res": ["s2", "s1"], "prod": ["res", "s2"]}
    made = linked((1, 8, 8), input_code("latency", T), layers, links)
    assert made.shapes["back"] == made.shapes["res"] == made.shapes["prod"] == (2, 8, 8)


def ends(*middle):
    return [*middle, Flatten("f"), Linear("l", one(np.zeros((3, 64)))), Readout("r", one(1))]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: graph(ends(lif("a/b"))), "'a/b'.*letters, digits"),
        (lambda: graph(ends(lif("f"))), "'f'.*name is taken"),
        (lambda: graph([lif("a")]), "exactly one readout, found none"),
        (
            lambda: graph(ends(lif("a", gain=constant(1, 3)))),
            "gain covers 3 time steps, the graph has 4",
        ),
        (lambda: graph(ends(lif("a", leak=one([1, 2])))), r"leak has granularity \(2,\); allowed: \(\) per layer"),
        (lambda: graph(ends(replace(lif("a"), reset="hard"))), "reset 'hard', allowed: subtract, zero"),
        (lambda: graph(ends(conv("c", 1, 3, 3, 3, padding=(1, 1)))), r"'c' \(conv\).*cannot read 1 channels"),
        (lambda: graph(ends(conv("c", 1, 1, 9, 9))), "kernel .* does not fit into input"),
        (lambda: graph(ends(conv("c", 1, 1, 3, 3, padding=(1,)))), "padding .* needs 2 entries"),
        (lambda: graph(ends(conv("c", 1, 1, 3, 3, stride=(0, 1)))), r"stride \(0, 1\) must be at least 1"),
        (lambda: graph(ends(conv("c", 1, 1, 3, 3, padding=(-1, 0)))), r"padding \(-1, 0\) must be at least 0"),
        (lambda: graph(ends(Pool("p", "max", (2, 2), (0, 2)))), r"stride \(0, 2\) must be at least 1"),
        (lambda: graph(ends(Pool("p", "median"))), "mode 'median', allowed: max, sum, average"),
        (
            lambda: graph([Flatten("f"), Linear("l", one(np.zeros((3, 63)))), Readout("r", one(1))]),
            "cannot read an input of shape",
        ),
        (lambda: graph(ends(), [Edge("nobody", "f"), Edge("f", "l"), Edge("l", "r")]), "there is no layer 'nobody'"),
        (
            lambda: graph(ends(), [Edge(INPUT, "f"), Edge("f", "l"), Edge("r", "l"), Edge("l", "r")]),
            "topological order",
        ),
        (lambda: graph(ends(), [Edge(INPUT, "f", -1), Edge("f", "l"), Edge("l", "r")]), "delay is at least 0"),
        (lambda: graph(ends(), [Edge(INPUT, "f"), Edge("f", "l")]), "'l'.*leads nowhere"),
        (
            lambda: graph(ends(lif("a")), [Edge(INPUT, "a"), Edge(INPUT, "f"), Edge("f", "l"), Edge("l", "r")]),
            "'a'.*leads nowhere",
        ),
        (lambda: graph(ends(Add("a"))), "'a'.*takes two or more input"),
        (lambda: replace(small_lenet(), arithmetic="int4"), "arithmetic 'int4'"),
        (lambda: replace(small_lenet(), dt=0.0), "dt = 0.0 s, must be positive"),
        (lambda: replace(small_lenet(), dt=float("inf")), "dt = inf s, must be positive and finite"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(GraphError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_product_names_its_axes():
    layers = [lif("a"), lif("b"), Product("p", "cij,cjk"), *ends()]
    edges = [
        Edge(INPUT, "a"),
        Edge(INPUT, "b"),
        Edge("a", "p"),
        Edge("b", "p"),
        Edge("p", "f"),
        Edge("f", "l"),
        Edge("l", "r"),
    ]
    with pytest.raises(GraphError, match="'p' .*equation 'cij,cjk' must name every axis and its result"):
        graph(layers, edges)
    layers[2] = Product("p", "cii,cij->cij")
    with pytest.raises(GraphError, match="'p' .*equation 'cii,cij->cij' names an axis twice in one operand"):
        graph(layers, edges)


def test_residual_of_different_shapes_names_both():
    layers = [
        conv("c", 2, 1, 1, 1),
        Add("res"),
        Flatten("f"),
        Linear("l", one(np.zeros((3, 128)))),
        Readout("r", one(1)),
    ]
    edges = [Edge(INPUT, "c"), Edge("c", "res"), Edge(INPUT, "res"), Edge("res", "f"), Edge("f", "l"), Edge("l", "r")]
    with pytest.raises(GraphError, match=r"'res' \(add\): adds signals of different shapes: \(2, 8, 8\), \(1, 8, 8\)"):
        graph(layers, edges)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (Neuron("a", "liff", {}), "unknown neuron model 'liff'; did you mean 'lif'"),
        (lif("a", leek=one(1)), "unknown parameter of 'lif' 'leek'; did you mean 'leak'"),
        (Neuron("a", "lif", {"gain": one(1)}), "lacks parameter 'leak'"),
    ],
)
def test_neuron_parameters_are_checked(neuron, message):
    with pytest.raises(GraphError, match=message):
        check_neurons(graph(ends(neuron)))
