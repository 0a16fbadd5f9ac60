"""Networks and traces show themselves in a line, and networks as a drawing in a notebook."""

import itertools
import re
from html import escape
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import features
from networks.lenet import small_lenet

import asnn_deploy
from asnn_deploy.errors import InputError
from asnn_deploy.ir.drawing import Line, lanes

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("graph", [small_lenet(), features.recurrent(), features.sequence("spikes")], ids=str)
def test_a_network_is_a_line(graph):
    shown = repr(graph)
    assert "\n" not in shown
    assert len(shown) < 200
    assert f"{len(graph.layers)} layers" in shown


GRAPHS = [small_lenet(), *(make() for make in (features.recurrent, features.residual, features.delayed_edges))]
GRAPHS += [features.two_populations(), features.awkward_names(), features.sequence("spikes")]


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
def test_a_network_is_drawn(graph):
    html = graph._repr_html_()
    svg = ElementTree.fromstring(html[html.index("<svg") :])
    names = [text[0].text for text in svg.iter(f"{SVG}text") if text.get("font-weight")]
    assert names == ["input", *(layer.name for layer in graph.layers)]
    paths = list(svg.iter(f"{SVG}path"))
    connections = {(edge.source, edge.target, edge.delay) for edge in graph.edges}
    assert len(paths) == len(connections)
    assert sum(bool(path.get("stroke-dasharray")) for path in paths) == sum(bool(delay) for *_, delay in connections)
    width, height = map(float, svg.get("viewBox").split()[2:])
    for path in paths:
        numbers = [float(n) for n in re.findall(r"-?[0-9.]+", path.get("d"))]
        assert min(numbers) >= 0
        assert max(numbers) <= max(width, height)
    assert html.split("<svg")[0] == f"<p>{escape(repr(graph)[1:-1])}</p>"


@given(st.lists(st.builds(Line, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2)), unique=True))
def test_lines_of_one_lane_do_not_meet(lines):
    lines = [line for line in lines if not line.straight]
    found = lanes(lines)
    for one, other in itertools.combinations(lines, 2):
        if found[one] == found[other]:
            assert one.rows[1] <= other.rows[0] or other.rows[1] <= one.rows[0]


def test_a_trace_is_a_line():
    graph = small_lenet()
    images = np.random.default_rng(0).integers(0, 256, (3, *graph.input_shape[1:], graph.input_shape[0]), np.uint8)
    shown = repr(asnn_deploy.run(graph, images))
    assert "\n" not in shown
    assert len(shown) < 200
    assert "3 samples" in shown
    assert f"{graph.time_steps} time steps" in shown


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net, x: asnn_deploy.load(3), "source = '3' (int): expected a path"),
        (lambda net, x: asnn_deploy.load(None), "source = 'None' (NoneType): expected a path"),
        (lambda net, x: asnn_deploy.run(5, x), "net = '5' (int): expected a network"),
        (lambda net, x: asnn_deploy.run(net, x, target=3), "target = '3' (int): expected a target's name"),
        (lambda net, x: asnn_deploy.run(net, x, batch_size="8"), "batch_size = '8' (str): expected a whole number"),
        (lambda net, x: asnn_deploy.from_checkpoint(7, coding="time"), "path = '7' (int): expected a path"),
    ],
)
def test_arguments_of_another_type_are_refused_in_one_line(call, said):
    graph = small_lenet()
    images = np.zeros((2, *graph.input_shape[1:], graph.input_shape[0]), np.uint8)
    with pytest.raises(InputError) as caught:
        call(graph, images)
    assert str(caught.value).startswith(said)
