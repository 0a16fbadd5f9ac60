"""Tables at any width: names and numbers are never broken, and nothing is wider than the terminal."""

import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks.lenet import small_lenet
from reference_lenet import state_dict
from rich.cells import cell_len
from terminals import shown

from asnn_deploy.cli import COMMANDS
from asnn_deploy.cli.tables import laid_out
from asnn_deploy.deploy.bundle import write_bundle

NAMES = st.text("abcdefgh_.0123456789漢é", min_size=1, max_size=12)
FIGURES = st.one_of(st.integers(0, 10**9).map("{:,}".format), st.floats(0, 100).map("{:.2f} %".format), st.just(""))
PROSE = st.lists(NAMES, min_size=3, max_size=12).map(" ".join)


@st.composite
def tables(draw):
    kinds = [NAMES, *draw(st.lists(st.sampled_from([NAMES, FIGURES, PROSE]), min_size=1, max_size=7))]
    heads = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds)))
    return heads, draw(st.lists(st.tuples(*kinds).map(list), max_size=5))


def drawn(columns, rows, width):
    return [click.unstyle(line) for line in laid_out(columns, rows, width)]


@given(tables(), st.integers(40, 140))
def test_no_word_is_broken_and_no_line_too_long(table, width):
    lines = drawn(*table, width)
    assert max(map(cell_len, lines), default=0) <= width
    words = {word for line in lines for word in line.split()}
    missing = {word for row in table[1] for cell in row for word in cell.split()} - words
    assert not missing
    for cell in (cell for row in table[1] for cell in row if len(cell.split()) == 2):
        assert any(cell in line for line in lines), "a number stays with its unit"


@given(tables())
def test_in_a_pipe_a_row_is_a_line_without_padding(table):
    lines = drawn(*table, None)
    assert len(lines) == 1 + len(table[1])
    assert all(line == line.rstrip() for line in lines)
    for line, row in zip(lines[1:], table[1]):
        assert line.split() == " ".join(row).split()


LONG = "a_convolution_with_a_long_name"


WIDTHS = (60, 80, 120)
FEW = ["--data", "digits", "--limit", 4]
CASE = Path(__file__).parents[2] / "conformance" / "cases" / "snntorch-leaky-none"


def renamed(graph):
    """The graph with long names, and these."""
    names = {layer.name: f"{LONG}_{layer.name}" for layer in graph.layers if layer.name != "readout"}
    layers = tuple(replace(layer, name=names.get(layer.name, layer.name)) for layer in graph.layers)
    edges = tuple(
        replace(e, source=names.get(e.source, e.source), target=names.get(e.target, e.target)) for e in graph.edges
    )
    return replace(graph, layers=layers, edges=edges), list(names.values())


def long_nodes(folder):
    """A network of another tool and its recording, whose nodes have long names."""
    import h5py

    shutil.copy(CASE / "network.nir", folder / "net.nir")
    with h5py.File(folder / "net.nir", "r+") as file:
        nodes = [name for name in file["node/nodes"] if name not in ("input", "output")]
        for name in nodes:
            file["node/nodes"].move(name, f"{LONG}_{name}")
        told = {name.encode(): f"{LONG}_{name}".encode() for name in nodes}
        edges = file["node/edges"]
        edges[...] = [[told.get(end, end) for end in edge] for edge in edges[()]]
    with np.load(CASE / "recording.npz") as recorded:
        arrays = {f"{LONG}_{name}" if name.split("/")[0] in nodes else name: recorded[name] for name in recorded.files}
    np.savez(folder / "recording.npz", **arrays)
    return [f"{LONG}_{name}" for name in nodes if f"{LONG}_{name}" in arrays]


@pytest.fixture(scope="module")
def place(tmp_path_factory, run_folder):
    """A folder with what commands are given, whose layers have long names; and the names, by the source."""
    folder = tmp_path_factory.mktemp("long")
    graph, names = renamed(small_lenet(classes=10))
    write_bundle(graph, "lava", folder / "bundle", "digits", {})
    torch.save(state_dict(0, "time"), folder / "lenet.pt")
    assert shown(["report", folder / "bundle", *FEW, "--out", folder / "report"], False).code == 0
    return folder, {"bundle": names, "net.nir": long_nodes(folder)}


RUNS = {
    "train": ["--preset", "digits-lenet", "--set", "model.widths=[4, 4]", "--train-limit", 64, "--epochs", 1],
    "import": ["lenet.pt", "--kind", "asnn-reference", "--coding", "time"],
    "export": ["bundle", "--target", "nir"],
    "run": ["bundle", "--target", "reference", *FEW],
    "verify": ["bundle", "--target", "nir", "--target", "reference-fixed", *FEW],
    "quantize": ["bundle", *FEW],
    "sweep": ["bundle", "--bits", "2,8", *FEW],
    "match": ["net.nir", "--recording", "recording.npz"],
    "report": ["bundle", *FEW],
    "compare": ["report", "report"],
    "fit": ["bundle", "--chip", "loihi2"],
    "inspect": ["bundle"],
    "list": [],
}
"""A run of every command; `quickstart` prints what `verify` does."""
WRITING = ("train", "import", "export", "sweep", "report", "compare")
NAMING = ("quantize", "inspect", "match")
"""Commands whose tables name layers."""
NUMBER = re.compile(r"[−+-]?\d[\d,.]*\d|\d")


def test_there_is_a_run_of_every_command():
    assert {*RUNS, "quickstart"} == set(COMMANDS)


@pytest.fixture
def tried(place, tmp_path, monkeypatch):
    folder, names = place
    monkeypatch.chdir(folder)

    def call(command, terminal, width=80):
        out = ["--out", tmp_path / f"{width}-{terminal}"] if command in WRITING else []
        found = shown([command, *RUNS[command], *out], terminal, width)
        assert found.code in (0, 1), found.err
        return found.lines, names.get(str((RUNS[command] or [""])[0]), [])

    return call


@pytest.mark.parametrize("command", RUNS)
def test_no_name_and_no_number_is_broken_at_any_width(command, tried):
    """What a pipe gets is one line a row, without padding; on a terminal, the same words stand whole, on lines that it
    need not break."""
    piped, names = tried(command, terminal=False)
    assert all(line == line.rstrip() for line in piped)
    assert (command in NAMING) <= any(name in line for name in names for line in piped)
    figures = Counter(NUMBER.findall(timeless(piped)))
    for width in WIDTHS:
        lines, _ = tried(command, terminal=True, width=width)
        broken = [line for line in lines if cell_len(line) > width and len(line.split()) > 1]
        assert broken == []
        assert [name for name in names if any(name in line for line in piped)] == [
            name for name in names if any(name in line for line in lines)
        ]
        assert not figures - Counter(NUMBER.findall(timeless(lines))), "all numbers are whole"


def timeless(lines):
    """The text without what differs from run to run: speeds and paths."""
    return re.sub(r"[\d.]+ (samples|images)/s|/\S+", "", " ".join(lines))
