"""Networks and traces show themselves in a line, and networks as a table in a notebook."""

from html.parser import HTMLParser

import numpy as np
import pytest
from networks import features
from networks.lenet import small_lenet

import asnn_deploy
from asnn_deploy.errors import InputError


class Cells(HTMLParser):
    """The texts of a table's cells."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.inside = [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "td":
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "td"

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


@pytest.mark.parametrize("graph", [small_lenet(), features.recurrent(), features.sequence("spikes")], ids=str)
def test_a_network_is_a_line_and_a_table(graph):
    shown = repr(graph)
    assert "\n" not in shown
    assert len(shown) < 200
    assert f"{len(graph.layers)} layers" in shown
    cells = Cells(graph._repr_html_()).cells
    assert cells[::5] == [layer.name for layer in graph.layers]
    delayed = {edge.target for edge in graph.edges if edge.delay}
    assert {name for name, reads in zip(cells[::5], cells[2::5]) if "later)" in reads} == delayed


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
