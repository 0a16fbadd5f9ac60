"""Our counts against other tools' on the networks of benchmarks/agreement.py; a tool that is absent is skipped.

SpikingJelly needs Python 3.11: name an interpreter that has it in ASNN_SPIKINGJELLY_PYTHON.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from agreement_networks import NETWORKS, network, samples, save
from agreement_rows import by_call, counted, full_weights, neurobench_rows, sanafe_rows, spikingjelly_rows, total
from torch_network import TorchNetwork

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPIKINGJELLY = os.environ.get("ASNN_SPIKINGJELLY_PYTHON") or (sys.executable if find_spec("spikingjelly") else None)


@pytest.fixture(params=NETWORKS)
def case(request, tmp_path):
    """Name, graph, images, trace, and the file for other tools."""
    graph = network(request.param)
    images, trace = samples(graph)
    saved = tmp_path / f"{request.param}.npz"
    save(saved, graph, images)
    return request.param, graph, images, trace, saved


def assert_equal(rows):
    assert rows
    assert [row for row in rows if not row["equal"]] == []


def test_the_torch_network_that_others_watch_spikes_as_the_reference_does(case):
    *_, trace, saved = case
    other = TorchNetwork(saved)
    logits = other(other.frames)
    assert logits.numpy() == pytest.approx(trace.logits, rel=1e-6)
    for layer, steps in other.spikes.items():
        assert np.array_equal(np.stack([step.numpy() for step in steps]), trace.spikes[layer])
    assert all(spikes.any() for spikes in trace.spikes.values())


def test_the_networks_have_what_tools_treat_differently():
    counts = {name: counted(network(name), *samples(network(name))) for name in NETWORKS}
    assert {name for name in NETWORKS if total(counts[name], "macs")} == {"hybrid", "direct-pruned", "hybrid-counts"}
    assert total(counts["hybrid-counts"], "acs") > total(counts["hybrid-counts"], "acs_graded", "macs_graded")
    pruned = network("latency-pruned")
    assert by_call(full_weights(pruned), *samples(pruned))[0] > total(counts["latency-pruned"], "acs")


def test_neurobench(case):
    pytest.importorskip("neurobench", reason="needs the extra agreement")
    assert_equal(neurobench_rows(*case))


def test_sanafe(case):
    pytest.importorskip("sanafe", reason="needs the extra sanafe")
    assert_equal(sanafe_rows(*case[:4]))


@pytest.mark.skipif(SPIKINGJELLY is None, reason="needs SpikingJelly 2.0: set ASNN_SPIKINGJELLY_PYTHON")
def test_spikingjelly(case):
    name, graph, images, trace, saved = case
    command = [SPIKINGJELLY, BENCHMARKS / "agreement_spikingjelly.py", saved]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])["networks"][name]
    assert found["spikes"] == {layer: int(spikes.sum()) for layer, spikes in trace.spikes.items()}
    assert_equal(spikingjelly_rows(name, graph, images, trace, found))


def test_the_figures_that_are_kept_are_equal_and_ours_still(case):
    """benchmarks/results/agreement.json, of the run with every tool."""
    name, graph, images, trace, _ = case
    kept = json.loads((BENCHMARKS / "results" / "agreement.json").read_text())["rows"]
    mine = {row["quantity"]: row for row in kept if row["network"] == name}
    assert_equal(list(mine.values()))
    assert {row["tool"] for row in mine.values()} == {"NeuroBench", "SANA-FE", "SpikingJelly"}
    counts = counted(graph, images, trace)
    assert mine["delivered events"]["ours"] == total(counts, "acs", "macs")
    assert mine["SynOpCounter"]["ours"] == total(counts, "acs")
    assert mine["MACCounter"]["ours"] == total(counts, "macs")
