"""Populations that read themselves, on Lava's own Processes: nothing of a sample reaches the next one."""

from __future__ import annotations

import json
from pathlib import Path

import naive
import numpy as np
import pytest
from asnn_targets.lava.stock import target
from hypothesis import given, settings
from hypothesis import strategies as st
from lava_processes import processes_of
from networks.feedback import Feedback, looped
from networks.making import random_inputs

from asnn_deploy import cli
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine import runner as reference
from asnn_deploy.ir.trace import Record
from asnn_deploy.loihi import to_loihi

WANTED = Record(spikes=True, step_logits=True)
needs_lava = pytest.mark.skipif(target.unavailable() is not None, reason=str(target.unavailable()))


@settings(max_examples=60)
@given(st.data())
def test_the_integers_are_those_of_the_equations(data):
    fixed = to_loihi(Feedback(data.draw).whole())
    samples = random_inputs(fixed, 2)
    found = reference.run(fixed, samples, Record(spikes=True, potentials=True))
    for n, sample in enumerate(samples):
        spikes, potentials, logits = naive.run(fixed, sample)
        for name in spikes:
            assert np.array_equal(found.spikes[name][:, n], spikes[name])
            assert np.array_equal(found.potentials[name][:, n], potentials[name])
        assert np.array_equal(found.logits[n], logits)


@needs_lava
@settings(max_examples=12)
@given(st.data())
def test_drawn_networks_equal_the_reference(data):
    """Sample after sample, batch after batch."""
    graph = Feedback(data.draw).whole()
    fixed, samples = to_loihi(graph), random_inputs(graph, 5)
    expected = reference.run(fixed, samples, WANTED)
    with target.open(Deployment(graph, fixed=fixed), 3) as lava:
        for batch in (slice(0, 3), slice(3, 5)):
            check(lava.run(samples[batch], WANTED), expected, batch)


def check(found, expected, batch):
    for name, spikes in expected.spikes.items():
        assert np.array_equal(found.spikes[name], spikes[:, batch])
    assert np.array_equal(found.logits, expected.logits[batch])
    assert np.array_equal(found.step_logits, expected.step_logits[:, batch])


@needs_lava
@pytest.mark.parametrize(("steps", "fires"), [(1, [1]), (3, [1, 0, 1])])
def test_a_sample_runs_as_it_does_alone(steps, fires):
    """Each neuron fires at the last step, and at the first one unless it hears the last step of another sample, or
    what it sent before there was any."""
    graph = looped(steps, -4 * np.eye(3), bias=1.5, leak=2.0**-12)
    with target.open(Deployment(graph, fixed=to_loihi(graph)), 4) as lava:
        for _ in range(2):
            found = lava.run(np.zeros((4, steps, 2), np.uint8), WANTED)
            assert found.spikes["lif"].tolist() == [[[fire] * 3] * 4 for fire in fires]


@needs_lava
@pytest.mark.parametrize("case", ["snntorch-rleaky-zero", "snntorch-rsynaptic-zero"])
def test_networks_of_another_tool(case, tmp_path, capsys):
    """Their neurons read as resetting at once; the synapses of a cuba-lif and the answer are theirs."""
    folder = Path(__file__).parents[2] / "conformance" / "cases" / case
    with np.load(folder / "recording.npz") as file:
        frames = file["input"].swapaxes(0, 1)
    np.savez(tmp_path / "frames.npz", x_test=frames)
    data = ["--data", f"npz:{tmp_path / 'frames.npz'}"]
    bundle, figures = str(tmp_path / "net.lava"), tmp_path / "verify.json"
    meaning = ["--from", "snntorch", "--node", "lif1.lif:reset=zero", "--node", "lif2.lif:reset=zero"]
    export = ["export", str(folder / "network.nir"), *meaning, *data, "--target", "lava", "--set", "processes=stock"]
    assert cli.run([*export, "--out", bundle]) == 0
    targets = ["--target", "lava-fixed", "--target", "lava-stock"]
    assert cli.run(["verify", bundle, *targets, *data, "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())["targets"]
    for name in ("lava-fixed", "lava-stock"):
        assert (found[name]["against"], found[name]["exact"]) == ("reference-fixed", True)
        assert found[name]["spikes_compared"] == frames.shape[0] * frames.shape[1] * (16 + 5)


@needs_lava
def test_every_process_is_lavas_own():
    made = (
        "import numpy as np; from networks.feedback import looped; from asnn_deploy.loihi import to_loihi; "
        "graph = to_loihi(looped(3, np.eye(2), bias=1, model='cuba-lif'))"
    )
    assert processes_of(made, ["lif"]) == [
        "lava.proc.dense.process.Dense",
        "lava.proc.io.extractor.Extractor",
        "lava.proc.io.injector.Injector",
        "lava.proc.lif.process.LIF",
        "lava.proc.lif.process.LIFReset",
    ]
