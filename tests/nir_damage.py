"""Draws NIR networks with one thing wrong, or merely unusual."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from nir_drawing import networks
from nir_files import node

SIZE = st.integers(1, 3)
SHAPES = st.lists(SIZE, min_size=1, max_size=4)
ANYTHING = st.one_of(
    st.just(1.0),
    st.floats(-2, 2, width=32),
    st.sampled_from([np.nan, np.inf, 1e300, 0, -1, True, 1j, "x", b"\xff", [], [[1.0], [2.0]]]),
    SHAPES.map(np.ones),
)
"""What a field may be replaced by."""


@st.composite
def damaged(draw):
    """A network with one thing wrong, or merely unusual: a field, a kind, an edge or a name."""
    drawn = draw(networks())
    graph = draw(st.sampled_from([{"nodes": drawn.nodes, "edges": drawn.edges}, *graphs(drawn.nodes)]))
    nodes, edges = graph["nodes"], graph["edges"]
    name = draw(st.sampled_from(sorted(nodes)))
    made = nodes[name]
    names = st.sampled_from([*nodes, "absent"])
    what = draw(st.sampled_from(["field", "field", "field", "kind", "edge", "no edge", "end", "twice", "node"]))
    if what == "field" and "type" in made:
        key = draw(st.sampled_from(sorted(made)))
        made[key] = draw(ANYTHING)
    elif what == "kind" and "type" in made:
        made["type"] = draw(
            st.sampled_from(["LIF", "IF", "LI", "Affine", "Flatten", "Delay", "Input", "Output", "Scale"])
        )
    elif what == "edge":
        edges.append((draw(names), draw(names)))
    elif what == "no edge":
        edges.remove(draw(st.sampled_from(edges)))
    elif what == "end":
        edges[draw(st.integers(0, len(edges) - 1))] = (draw(names), draw(names))
    elif what == "twice":
        edges.append(draw(st.sampled_from(edges)))
    elif what == "node":
        nodes["lonely"] = node(draw(st.sampled_from(["Input", "Output", "LIF"])), shape=[2])
    return drawn


def graphs(nodes):
    """The graphs within a graph."""
    for made in nodes.values():
        if "nodes" in made:
            yield made
            yield from graphs(made["nodes"])
