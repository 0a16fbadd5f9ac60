"""Drawn NIR files, most of them faulty: each ends in one line, or in a graph that holds all rules of graphs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from asnn_exporters.nir.others import graph_of, read_network
from asnn_exporters.nir.others.fields import KINDS
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from nir_damage import ANYTHING, SHAPES, SIZE
from nir_files import affine, conv, node, write

from asnn_deploy.errors import AsnnDeployError
from asnn_deploy.ir.meaning import Meaning

QUIET = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = st.sampled_from(["a", "b", "c", "d", "input", "output", "g.a", "a b", "ü", "x\ny"])


@st.composite
def well_formed(draw):
    """A node that could be right at some place."""
    kind = draw(st.sampled_from([*KINDS, "LIF", "IF", "Affine"]))
    if kind in ("Affine", "Linear"):
        made = affine(draw(SIZE), draw(SIZE))
        return made if kind == "Affine" else {"type": "Linear", "weight": made["weight"]}
    if kind.startswith("Conv"):
        kernel = [draw(SIZE) for _ in range(int(kind[4]))]
        padding = draw(st.sampled_from(["same", "valid", 0, 1]))
        return conv(draw(SIZE), draw(SIZE), *kernel, padding=padding, groups=draw(st.sampled_from([1, 1, 2])))
    if kind.endswith("Pool2d"):
        return node(kind, kernel_size=draw(SIZE))
    if kind == "Flatten":
        return node(kind, start_dim=draw(st.integers(-2, 2)))
    if kind == "Delay":
        return node(kind, delay=draw(st.sampled_from([0.0, 1e-4, 2e-4, 1.5e-4, 1e6])))
    if kind in ("Input", "Output"):
        return node(kind, shape=draw(SHAPES))
    made = node(kind, **({"scale": 2.0} if kind == "Scale" else {}))
    if draw(st.booleans()):
        shape = draw(SHAPES)
        made = {key: value if key == "type" else np.full(shape, value) for key, value in made.items()}
    return made


@st.composite
def faulty(draw):
    """A node with one field replaced, left out, or of another kind."""
    made = dict(draw(well_formed()))
    key = draw(st.sampled_from(sorted(made)))
    made[key] = draw(st.one_of(st.none(), ANYTHING))
    return made


@st.composite
def networks(draw, depth=1):
    """Nodes and edges: a chain of fitting shapes with whatever else is drawn, or anything."""
    size = draw(SIZE)
    fitting = st.sampled_from([affine(size, size), node("LIF"), node("IF"), node("LI"), node("Delay", delay=1e-4)])
    chosen = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    strange = draw(st.integers(0, 5)) == 0
    kinds = st.one_of(fitting, well_formed(), faulty()) if strange else fitting
    nodes = {name: draw(kinds) for name in chosen}
    nodes |= {"input": node("Input", shape=[size]), "output": node("Output", shape=[size])}
    if depth and draw(st.booleans()):
        inner_nodes, inner_edges = draw(networks(depth=depth - 1))
        nodes["g"] = {"nodes": inner_nodes, "edges": inner_edges}
    inner = [name for name in nodes if name not in ("input", "output")]
    line = ["input", *draw(st.permutations(inner)), "output"]
    names = st.sampled_from([*nodes, "absent"] if strange else inner or ["input"])
    extra = draw(st.lists(st.tuples(names, names), max_size=3, unique=not strange))
    edges = list(dict.fromkeys([*pairwise(line), *extra]))
    return nodes, edges + (extra[:1] if strange and draw(st.booleans()) else [])


def read(path, network, dt, rounded):
    """What a network's file ends in: a graph, or an error's text."""
    try:
        return graph_of(read_network(write(path, *network)), Meaning(dt=dt), round_delays=rounded)
    except AsnnDeployError as error:
        return str(error)


def check(path, network, dt, rounded):
    found = read(path, network, dt, rounded)
    if isinstance(found, str):
        assert "\n" not in found
        assert len(found) < 700 + len(str(path))
        event("refused")
    else:
        assert found.shapes[found.readout.name] == (found.classes,)
        assert found.any_length
        event("a graph")


DRAWN = (networks(), st.sampled_from([1e-4, 1e-3, 5e-5]), st.booleans())


@QUIET
@given(*DRAWN)
def test_every_file_ends_in_a_graph_or_one_line(tmp_path_factory, network, dt, rounded):
    check(tmp_path_factory.getbasetemp() / "drawn.nir", network, dt, rounded)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(QUIET, max_examples=10_000)
@given(*DRAWN)
def test_ten_thousand_files(tmp_path_factory, network, dt, rounded):
    check(tmp_path_factory.getbasetemp() / "drawn.nir", network, dt, rounded)


@QUIET
@given(networks(), st.randoms(use_true_random=False))
def test_the_order_of_a_drawn_file_means_nothing(tmp_path_factory, network, draw):
    path = tmp_path_factory.getbasetemp() / "drawn.nir"
    nodes, edges = network
    other = {name: nodes[name] for name in draw.sample(list(nodes), len(nodes))}, draw.sample(edges, len(edges))
    assert read(path, network, 1e-4, False) == read(path, other, 1e-4, False)
