"""Tables at any width: names and numbers are never broken, and nothing is wider than the terminal."""

import os
import pty
import subprocess
import sys
from itertools import product

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from asnn_deploy.cli.tables import laid_out

NAMES = st.text("abcdefgh_.0123456789漢é", min_size=1, max_size=12)
FIGURES = st.one_of(st.integers(0, 10**9).map("{:,}".format), st.floats(0, 100).map("{:.2f} %".format), st.just(""))
PROSE = st.lists(NAMES, min_size=3, max_size=12).map(" ".join)


@st.composite
def tables(draw):
    kinds = [NAMES, *draw(st.lists(st.sampled_from([NAMES, FIGURES, PROSE]), min_size=1, max_size=7))]
    heads = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds)))
    return heads, draw(st.lists(st.tuples(*kinds).map(list), max_size=5))


def shown(columns, rows, width):
    return [click.unstyle(line) for line in laid_out(columns, rows, width)]


@given(tables(), st.integers(40, 140))
def test_no_word_is_broken_and_no_line_too_long(table, width):
    lines = shown(*table, width)
    assert max(map(cell_len, lines), default=0) <= width
    words = {word for line in lines for word in line.split()}
    missing = {word for row in table[1] for cell in row for word in cell.split()} - words
    assert not missing
    for cell in (cell for row in table[1] for cell in row if len(cell.split()) == 2):
        assert any(cell in line for line in lines), "a number stays with its unit"


@given(tables())
def test_in_a_pipe_a_row_is_a_line_without_padding(table):
    lines = shown(*table, None)
    assert len(lines) == 1 + len(table[1])
    assert all(line == line.rstrip() for line in lines)
    for line, row in zip(lines[1:], table[1]):
        assert line.split() == " ".join(row).split()


LONG = "a_convolution_with_a_long_name"


def on_a_terminal(width, *arguments):
    """What a command prints on a terminal of that many columns."""
    leader, follower = pty.openpty()
    os.set_blocking(leader, True)
    code = (
        "import fcntl, struct, sys, termios; from asnn_deploy.cli import main\n"
        f"fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 50, {width}, 0, 0)); main()"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=follower, env=environment) as process:
        os.close(follower)
        parts = []
        try:
            while part := os.read(leader, 1 << 16):
                parts.append(part)
        except OSError:  # the other end is closed
            pass
    os.close(leader)
    assert process.returncode == 0
    return click.unstyle(b"".join(parts).decode()).replace("\r", "").split("\n")


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    from dataclasses import replace

    from networks.lenet import small_lenet

    from asnn_deploy.deploy.bundle import write_bundle

    graph = small_lenet()
    names = {layer.name: f"{LONG}_{layer.name}" for layer in graph.layers if layer.name != "readout"}
    layers = tuple(replace(layer, name=names.get(layer.name, layer.name)) for layer in graph.layers)
    edges = tuple(
        replace(e, source=names.get(e.source, e.source), target=names.get(e.target, e.target)) for e in graph.edges
    )
    folder = tmp_path_factory.mktemp("long") / "bundle"
    write_bundle(replace(graph, layers=layers, edges=edges), "nir", folder, None, {})
    return folder, list(names.values())


@pytest.mark.parametrize(
    ("width", "arguments"), product((60, 80, 120), [["inspect"], ["fit", "--chip", "loihi2"]]), ids=str
)
def test_names_stay_whole_on_a_terminal(width, arguments, long_names):
    folder, names = long_names
    lines = on_a_terminal(width, arguments[0], str(folder), *arguments[1:])
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith(("fits", "does not")) or not line)]
    assert max(map(cell_len, table)) <= width
    if arguments[0] == "inspect":
        assert [name for name in names if not any(name in line.split() for line in table)] == []


def test_list_fits_a_narrow_terminal():
    tables = [line for line in on_a_terminal(60, "list") if ": no profile: " not in line]
    assert max(map(cell_len, tables)) <= 60
