"""Writes NIR files as other tools do, and as they should not, with h5py alone."""

from __future__ import annotations

from itertools import pairwise

import h5py
import numpy as np

INPUT, OUTPUT = "input", "output"


def write(path, nodes, edges, metadata=None, *, version="1.0.8"):
    """Write a file of nodes `{name: {"type": .., field: ..}}`; those with "nodes" and "edges" are graphs."""
    with h5py.File(path, "w") as file:
        if version:
            file["version"] = version
        graph = {"nodes": nodes, "edges": edges, "type": "NIRGraph"}
        _write(file.create_group("node"), graph | ({"metadata": metadata} if metadata else {}))
    return path


def _write(group, fields):
    for key, value in fields.items():
        if key == "edges":
            pairs = np.array(value, dtype=object).reshape(-1, 2)
            group.create_dataset(key, data=pairs, dtype=h5py.string_dtype())
        elif isinstance(value, dict):
            inner = group.create_group(key)
            _write(inner, {"type": "NIRGraph", **value} if "nodes" in value and "type" not in value else value)
        elif value is not None:
            group[key] = value


def node(kind, **fields):
    """A node of a kind; neurons have sensible numbers where none are given."""
    usual = {
        "IF": {"r": 1.0, "v_threshold": 1.0},
        "LIF": {"tau": 0.002, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0},
        "LI": {"tau": 0.002, "r": 1.0, "v_leak": 0.0},
        "I": {"r": 1.0},
        "CubaLI": {"tau_mem": 0.002, "tau_syn": 0.001, "r": 1.0, "v_leak": 0.0},
        "CubaLIF": {"tau_mem": 0.002, "tau_syn": 0.001, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0},
        "Threshold": {"threshold": 0.5},
        "Conv1d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
        "Conv2d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    }
    return {"type": kind, **usual.get(kind, {}), **fields}


def affine(outputs, inputs, **fields):
    """An Affine whose weights lie on a grid."""
    weight = ((np.arange(outputs * inputs) * 5 % 17 - 8) / 16).reshape(outputs, inputs).astype(np.float32)
    return node("Affine", weight=weight, **{"bias": np.zeros(outputs, np.float32), **fields})


def conv(outputs, inputs, *kernel, **fields):
    """A Conv1d or Conv2d whose weights are whole numbers. inputs: in each group."""
    weight = (np.arange(outputs * inputs * np.prod(kernel)) * 5 % 7 - 3).reshape(outputs, inputs, *kernel)
    return node(f"Conv{len(kernel)}d", weight=weight.astype(np.float32), **fields)


def between(nodes, edges, entry, exit_):
    """Nodes and edges with an input and an output of these shapes."""
    return {INPUT: node("Input", shape=np.array(entry)), **nodes, OUTPUT: node("Output", shape=np.array(exit_))}, edges


def chain(entry, exit_, *nodes, **named):
    """The nodes and edges of a network in which each node reads the one before; named "0", "1", .. if not by name."""
    inner = {str(i): n for i, n in enumerate(nodes)} | named
    names = [INPUT, *inner, OUTPUT]
    return between(inner, list(pairwise(names)), entry, exit_)


def recurrent():
    """Nodes and edges of a recurrent population, as a graph within a graph, with a readout that integrates."""
    inner = {
        "input": node("Input", shape=np.array([4])),
        "lif": node("LIF"),
        "w_rec": affine(4, 4, bias=np.full(4, 0.25, np.float32)),
        "output": node("Output", shape=np.array([4])),
    }
    loop = {"nodes": inner, "edges": [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]}
    nodes = {"fc1": affine(4, 3), "lif1": loop, "fc2": affine(2, 4), "li": node("LI", tau=np.full(2, 0.01))}
    edges = [("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "li"), ("li", "output")]
    return between(nodes, edges, (3,), (2,))


def looped(*kinds, delay=None):
    """Nodes and edges of one cycle through these kinds, all of 3 elements; the last leads to the output and back."""
    inner = {f"n{i}": affine(3, 3) if kind == "Affine" else node(kind) for i, kind in enumerate(kinds)}
    names = list(inner)
    edges = [("input", names[0]), *pairwise(names), (names[-1], "output")]
    if delay is None:
        return between(inner, [*edges, (names[-1], names[0])], (3,), (3,))
    inner["delay"] = node("Delay", delay=delay)
    return between(inner, [*edges, (names[-1], "delay"), ("delay", names[0])], (3,), (3,))


def _with(network, **nodes):
    return network[0] | nodes, network[1]


def _edges(network, *more, without=()):
    return network[0], [edge for edge in network[1] if edge not in without] + list(more)


PLAIN = chain((3,), (2,), fc1=affine(4, 3), lif1=node("LIF"), fc2=affine(2, 4), lif2=node("LIF"))
"""Nodes and edges of a network without faults."""

FAULTY_NETWORKS = {
    "unknown target": (
        _edges(PLAIN, ("fc2", "lif3"), without=[("fc2", "lif2")]),
        "edge 'fc2' -> 'lif3': unknown node 'lif3'; did you mean 'lif2'? (allowed: fc1, fc2, input, lif1, lif2, output)",
    ),
    "flattened without its edges": (
        between(
            {"a.input": node("Input", shape=[3]), "a.lif": node("LIF"), "a.output": node("Output", shape=[3])},
            [("input", "a"), ("a.input", "a.lif"), ("a.lif", "a.output"), ("a", "output")],
            (3,),
            (3,),
        ),
        "edge 'input' -> 'a': unknown node 'a'; did you mean 'a.input'? (nodes within it: 'a.input', 'a.lif', 'a.output')",
    ),
    "duplicate edge": (
        _edges(PLAIN, ("fc1", "lif1")),
        "edge 'fc1' -> 'lif1' stands twice in the file: it may mean the signal twice, or once; leave one of them out for "
        "once, or double the weights that read it for twice",
    ),
    "nothing leads to it": (
        _edges(_with(PLAIN, lonely=affine(4, 3)), ("lonely", "lif1")),
        "node 'lonely' (Affine): no edge leads to it, so that there is no path from the Input 'input'; connect it or remove it",
    ),
    "leads nowhere": (
        _edges(_with(PLAIN, end=affine(2, 4), end2=node("LIF")), ("lif1", "end"), ("end", "end2")),
        "node 'end' (Affine): no path leads from it to the Output 'output' (nor for 'end2'); connect it or remove it",
    ),
    "two inputs": (
        _edges(_with(PLAIN, other=node("Input", shape=[3])), ("other", "fc1")),
        "the network has 2 inputs, the nodes 'input', 'other'; one is allowed: join them to one Input, and split its "
        "signal by weights",
    ),
    "two outputs": (
        _edges(_with(PLAIN, other=node("Output", shape=[4])), ("lif1", "other")),
        "the network has 2 outputs, the nodes 'other', 'output'; one is allowed: join them to one Output by weights, or "
        "leave all but one out",
    ),
    "no input": (
        ({"fc": affine(3, 3), "out": node("Output", shape=[3])}, [("fc", "out")]),
        "the network has no free Input; add a node of type Input",
    ),
    "input that is fed": (
        _edges(PLAIN, ("lif2", "input")),
        "the network has no free Input; each of 'input' is fed by others",
    ),
    "nested graph with two outputs": (
        between(
            {
                "g": {
                    "nodes": {k: node("Output" if "o" in k else "Input", shape=[3]) for k in ("i", "o1", "o2")},
                    "edges": [("i", "o1"), ("i", "o2")],
                }
            },
            [("input", "g"), ("g", "output")],
            (3,),
            (3,),
        ),
        "graph 'g': has 2 nodes of type Output ('g.o1', 'g.o2'); a nested NIRGraph needs exactly one, so that edges to "
        "its name mean something",
    ),
    "name of a nested node": (
        between(
            {
                "a": {"nodes": {"i": node("Input", shape=[3]), "o": node("Output", shape=[3])}, "edges": []},
                "a.i": node("IF"),
            },
            [],
            (3,),
            (3,),
        ),
        "node 'a.i': the name stands for two nodes, one of them in a nested graph; rename one",
    ),
    "38 neurons behind 7 sums": (
        chain((12,), (7,), fc1=affine(7, 12), lif1=node("LIF", tau=np.full(38, 0.002))),
        "node 'lif1' (LIF): tau has shape (38,), what it reads has shape (7,); it reads node 'fc1' (Affine)",
    ),
    "per channel without axes": (
        chain((3, 8, 8), (4, 6, 6), conv(4, 3, 3, 3), node("IF", v_threshold=np.ones(4))),
        "node '1' (IF): v_threshold has shape (4,), what it reads has shape (4, 6, 6); for one number a channel write the "
        "shape (4, 1, 1); it reads node '0' (Conv2d)",
    ),
    "sum of different shapes": (
        between(
            {"a": affine(4, 3), "b": affine(5, 3), "c": node("LIF")},
            [("input", "a"), ("input", "b"), ("a", "c"), ("b", "c"), ("c", "output")],
            (3,),
            (4,),
        ),
        "node 'c' (LIF): what it reads has different shapes and cannot be added: (4,) from 'a', (5,) from 'b'",
    ),
    "weights of another size": (
        chain((3,), (2,), affine(2, 5)),
        "node '0' (Affine): weight (2, 5) cannot read an input of shape (3,); it takes (5,); it reads node 'input' (Input)",
    ),
    "transposed weights": (
        chain((5,), (3,), affine(5, 3)),
        "node '0' (Affine): weight (5, 3) cannot read an input of shape (5,); it looks transposed; NIR has (outputs, "
        "inputs); it reads node 'input' (Input)",
    ),
    "bias of another size": (
        chain((3,), (4,), affine(4, 3, bias=np.ones(3))),
        "node '0' (Affine): bias has shape (3,), its weight has 4 outputs; expected (4,); it reads node 'input' (Input)",
    ),
    "no Flatten": (
        chain((2, 3, 4), (5,), affine(5, 24)),
        "node '0' (Affine): weight (5, 24) cannot read an input of shape (2, 3, 4); it takes (24,), which a Flatten with "
        "start_dim 0 makes of it; it reads node 'input' (Input)",
    ),
    "start_dim counts a batch": (
        chain((8, 4, 4), (5,), node("Flatten", start_dim=1, end_dim=-1), affine(5, 128)),
        "node '1' (Affine): weight (5, 128) cannot read an input of shape (8, 16); it takes (128,), which a Flatten with "
        "start_dim 0 makes of it; it reads node '0' (Flatten), which leaves (8, 16): its start_dim 1 seems to count a "
        "batch axis, as some tools do, and NIR counts none: start_dim 0 would be right",
    ),
    "start_dim counts a batch, before neurons": (
        chain((8, 4, 4), (128,), node("Flatten", start_dim=1), node("IF", r=np.ones(128))),
        "node '1' (IF): r has shape (128,), what it reads has shape (8, 16); it reads node '0' (Flatten), which leaves "
        "(8, 16): its start_dim 1 seems to count a batch axis, as some tools do, and NIR counts none: start_dim 0 would "
        "be right",
    ),
    "start_dim of a vector": (
        chain((8,), (8,), node("Flatten", start_dim=1, end_dim=-1)),
        "node '0' (Flatten): start_dim 1 and end_dim -1 do not fit an input of shape (8,), with axes 0 to 0; its start_dim "
        "1 seems to count a batch axis, as some tools do, and NIR counts none: start_dim 0 would be right; it reads node "
        "'input' (Input)",
    ),
    "input_type of another size": (
        chain((8, 4, 4), (128,), node("Flatten", start_dim=0, input_type=[8, 5, 5])),
        "node '0' (Flatten): input_type says (8, 5, 5), what arrives has shape (8, 4, 4); correct it or leave it out; it "
        "reads node 'input' (Input)",
    ),
    "input_shape of another size": (
        chain((3, 8, 8), (4, 6, 6), conv(4, 3, 3, 3, input_shape=[9, 9])),
        "node '0' (Conv2d): input_shape says (9, 9), what arrives has (8, 8); correct it or leave it out; it reads node "
        "'input' (Input)",
    ),
    "channels": (
        chain((4, 8, 8), (4, 6, 6), conv(4, 3, 3, 3)),
        "node '0' (Conv2d): weight (4, 3, 3, 3) with 1 group(s) cannot read an input of shape (4, 8, 8); it takes (3, "
        "height, width); it reads node 'input' (Input)",
    ),
    "groups": (
        chain((4, 8), (3, 8), conv(3, 2, 1, groups=2)),
        "node '0' (Conv1d): weight (3, 2, 1) has 3 outputs, not a multiple of its 2 groups; it reads node 'input' (Input)",
    ),
    "kernel too large": (
        chain((1, 4), (1, 4), conv(1, 1, 5)),
        "node '0' (Conv1d): kernel (5,) does not fit into input (1, 4); it reads node 'input' (Input)",
    ),
    "same with stride": (
        chain((3, 8, 8), (4, 4, 4), conv(4, 3, 3, 3, padding="same", stride=2)),
        "node '0' (Conv2d): padding 'same' with stride (2, 2) is not defined; write the padding in numbers; it reads node "
        "'input' (Input)",
    ),
    "same with an even kernel and dilation": (
        chain((1, 8), (1, 8), conv(1, 1, 2, padding="same", dilation=3)),
        "node '0' (Conv1d): padding 'same' of kernel (2,) with dilation (3,) takes an odd number of zeros; write an odd "
        "kernel, or the padding in numbers; it reads node 'input' (Input)",
    ),
    "pooling a vector": (
        chain((8,), (4,), node("SumPool2d", kernel_size=2)),
        "node '0' (SumPool2d): cannot pool an input of shape (8,); it takes (channels, height, width); it reads node "
        "'input' (Input)",
    ),
    "output of another size": (
        chain((3,), (7,), affine(4, 3)),
        "node 'output' (Output): its shape says (7,), what it reads has shape (4,); it reads node '0' (Affine)",
    ),
}
"""Networks that no graph can be: nodes and edges, and what is said of them."""
LOOPS = {
    "no place": (
        looped("Affine", "LI"),
        "the cycle through 'n0', 'n1' has no place that is a step later: no spiking neuron (IF, LIF, CubaLIF, Threshold) "
        "and no Delay of at least one step; put a Delay into it",
    ),
    "two places": (
        looped("LIF", "Affine", "IF", "Affine"),
        "the cycle 'n0' -> 'n1' -> 'n2' -> 'n3' -> 'n0' passes several spiking neurons, 'n0', 'n2': NIR does not say which "
        "of them comes a step later; put a Delay of one step behind that one",
    ),
    "itself": (
        looped("Affine"),
        "the cycle through 'n0' has no place that is a step later: no spiking neuron (IF, LIF, CubaLIF, Threshold) and no "
        "Delay of at least one step; put a Delay into it",
    ),
    "part of a step": (
        chain((3,), (3,), affine(3, 3), node("Delay", delay=np.full(3, 2.5e-4))),
        "node '1' (Delay): its delay of 0.00025 is 2.5 time steps of 0.0001, the nearest whole number is 2; choose a time "
        "step that divides it, or have delays rounded",
    ),
    "different delays": (
        chain((3,), (3,), affine(3, 3), node("Delay", delay=[1e-4, 2e-4, 3e-4])),
        "node '1' (Delay): its delays differ, from 1 to 3 time steps; all elements of a node have one delay: split it into "
        "a node for each",
    ),
    "another unit": (
        chain((3,), (3,), affine(3, 3), node("Delay", delay=1000.0)),
        "node 'output' (Output): reads a signal 65537 steps of 0.0001 later; at most 65536 are kept: the delays may be in "
        "another unit than the time step",
    ),
}
"""Networks whose delays are not known: nodes and edges, and what is said of them."""
