"""Every conformance case is read as its tool means it: 0 spikes differ, and match finds the tool from them alone."""

import numpy as np
import pytest
from reading import CASES, NOT_READ, facts, names, told

from asnn_deploy.conventions import load_convention, meaning, tools
from asnn_deploy.deploy.exporters import EXPORTERS
from asnn_deploy.deploy.reading import Reading, settled
from asnn_deploy.deploy.source import open_source
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.meaning import RESETS, RULES
from asnn_deploy.ir.trace import Record
from asnn_deploy.matching.recording import read_recording
from asnn_deploy.matching.replay import Replay
from asnn_deploy.matching.search import Search

READ = [case for case in names() if case not in NOT_READ]


def opened(case):
    source = open_source(CASES / case / "network.nir", Reading(**told(case)))
    recording = read_recording(CASES / case / "recording.npz", source.graph, source.foreign.nodes)
    source.settle(recording.samples)
    return source.graph, recording


@pytest.mark.parametrize("case", READ)
def test_the_spikes_are_the_tools_own(case):
    graph, recording = opened(case)
    trace = run(graph, recording.samples.astype(graph.code.dtype), Record(spikes=True))
    assert recording.spikes
    for name, spikes in recording.spikes.items():
        assert int(np.count_nonzero(trace.spikes[name] != spikes)) == 0, name


@pytest.mark.parametrize("case", READ)
def test_match_names_the_tool_among_what_fits(case):
    file = EXPORTERS.available("nir").foreign(CASES / case / "network.nir")
    recording = read_recording(CASES / case / "recording.npz", file.graph(meaning("nir")), file.nodes).first(2)
    names = {layer: node for node, layer in file.nodes.items()}
    found = Search(file.graph, recording, names, None, file.time_step, file.kinds).best()
    best = found[0]
    assert best.exact
    assert (best.differing, best.meaning.tool) == (0, facts(case)["tool"])


@pytest.mark.parametrize("case", [case for case in READ if case.endswith("-raw")])
def test_the_rounding_bound_holds_what_was_rounded(case):
    """Weights off the grid round, and the bound that explains differing spikes is never below what they rounded."""
    graph, recording = opened(case)
    replay = Replay(recording)
    plain, bounded = replay.run(graph), replay.run(graph, bounded=True)
    for name, run_ in bounded.items():
        away = np.abs(plain[name].potentials.astype(np.float64) - run_.potentials)
        assert (away <= run_.errors).all()
        assert away.max() > 0


def test_a_case_that_is_not_read_is_in_the_cases_and_says_why():
    assert set(NOT_READ) <= set(names())
    assert all(NOT_READ.values())


@pytest.mark.parametrize("tool", tools())
def test_every_convention_states_rules_that_there_are(tool):
    convention = load_convention(tool)
    found = meaning(tool)
    assert (found.tool, found.taus, found.start) == (tool, convention.taus, convention.start)
    assert found.assumed == ()
    for word in {*RESETS, *convention.resets}:
        said = meaning(tool, reset=word)
        own = convention.resets.get(word)
        assert (said.reset, said.feedback_reset) == ((own.others, own.feedback) if own else (word, None))
    assert set(convention.options) <= {*RULES, "minimum"}


def test_settling_is_what_opening_does():
    graph, recording = opened(READ[0])
    file = EXPORTERS.available("nir").foreign(CASES / READ[0] / "network.nir")
    assert settled(Reading(**told(READ[0])).graph_of(file), recording.samples) == graph
