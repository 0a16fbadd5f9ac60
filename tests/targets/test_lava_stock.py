"""Lava's own Processes against this project's integer reference: every spike and every logit."""

from __future__ import annotations

import os
import signal

import numpy as np
import psutil
import pytest
from asnn_targets.lava.stock import target
from lava_processes import processes_of
from networks.lenet import loihi_cuba, loihi_lif, small_lenet, static_lenet, without_synaptic_bias
from networks.making import constant, random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine import runner as reference
from asnn_deploy.errors import InputError, TargetError, UnsupportedError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Pool, Readout
from asnn_deploy.ir.trace import Record
from asnn_deploy.loihi import to_loihi
from asnn_deploy.verifying.parity import Comparison

WANTED = Record(spikes=True, step_logits=True)
needs_lava = pytest.mark.skipif(target.unavailable() is not None, reason=str(target.unavailable()))


def opened(graph, batch_size=8, bits=8):
    return target.open(Deployment(graph, fixed=to_loihi(graph, bits)), batch_size)


def check(found, expected):
    comparison = Comparison("reference-fixed", bitwise=True)
    comparison.add(expected, found)
    assert comparison.report().exact
    assert np.array_equal(found.step_logits, expected.step_logits)
    assert found.logits.dtype == expected.logits.dtype
    assert not found.potentials


def test_it_is_found_by_its_entry_point():
    assert "lava-stock" in TARGETS
    assert TARGETS.find("lava-stock") is target


@needs_lava
@pytest.mark.parametrize(
    ("bits", "graph"),
    [
        (8, static_lenet(channels=2)),
        (8, static_lenet(coding="direct", pool="average", steps=3)),
        (4, static_lenet(coding="direct", steps=1)),
        (8, static_lenet(coding="embedding", pool="sum", lif=lambda *a: loihi_lif(*a, leak=0.9, gain=1.5, bias=0.1))),
        (8, static_lenet(coding="embedding-reference", pool="sum", steps=6)),
    ],
    ids=["latency", "direct", "one-step", "embedding", "embedding-reference"],
)
def test_spikes_and_logits_are_the_references(graph, bits):
    images = random_inputs(graph, 6)
    expected = reference.run(to_loihi(graph, bits), images, WANTED)
    with opened(graph, bits=bits) as lava:
        check(lava.run(images, WANTED), expected)
    assert expected.spikes["lif1"].any()


@needs_lava
def test_a_synaptic_current():
    graph = without_synaptic_bias(static_lenet(lif=loihi_cuba))
    images = random_inputs(graph, 6)
    with opened(graph) as lava:
        check(lava.run(images, WANTED), reference.run(to_loihi(graph), images, WANTED))


@needs_lava
def test_more_channels_than_lavas_conv_has_groups():
    """It holds them in int8, and a pooling is a group for each channel."""
    rng = np.random.default_rng(0)
    table = lambda *shape: constant(rng.normal(0, 0.5, shape), 3)
    layers = [
        Conv("conv1", table(130, 1, 3, 3)),
        loihi_lif("lif1", 3),
        Pool("pool1", "max", (2, 2), (2, 2)),
        Conv("conv2", table(260, 1, 2, 2), groups=130),
        loihi_lif("lif2", 3),
        Flatten("flatten"),
        Linear("fc", table(3, 260 * 4)),
        Readout("readout", constant(1, 3)),
    ]
    graph = DeployGraph.chain((1, 8, 8), input_code("latency", 3), layers)
    images = random_inputs(graph, 3)
    with opened(graph) as lava:
        check(lava.run(images, WANTED), reference.run(to_loihi(graph), images, WANTED))


@needs_lava
def test_batches_stream_through_one_session():
    """Nothing of a sample is left for the next one, nor of a batch; the network is built once."""
    graph = static_lenet(lif=lambda *a: loihi_lif(*a, leak=1.0, bias=0.2))
    fixed = to_loihi(graph)
    with opened(graph, 5) as lava:
        pids = None
        for seed, count in enumerate((3, 1, 5)):
            images = random_inputs(graph, count, seed)
            check(lava.run(images, WANTED), reference.run(fixed, images, WANTED))
            assert pids in (None, lava.pids)
            pids = lava.pids
        nobody = lava.run(images[:0], WANTED)
        assert nobody.logits.shape == (0, 5)
        assert nobody.spikes["lif1"].shape == (4, 0, 6, 8, 8)
        answer = lava.run(images)
        assert np.array_equal(answer.logits, reference.run(fixed, images).logits)
        assert (answer.spikes, answer.step_logits) == ({}, None)
        with pytest.raises(InputError, match="target 'lava-stock': 6 images, opened for batches of 5"):
            lava.run(random_inputs(graph, 6))


@needs_lava
def test_every_process_is_lavas_own():
    made = "from networks.lenet import static_lenet; from asnn_deploy.loihi import to_loihi; graph = to_loihi(static_lenet())"
    assert processes_of(made, ["lif1"]) == [
        "lava.proc.conv.process.Conv",
        "lava.proc.dense.process.Dense",
        "lava.proc.io.extractor.Extractor",
        "lava.proc.io.injector.Injector",
        "lava.proc.lif.process.LIF",
        "lava.proc.lif.process.LIFReset",
    ]


@needs_lava
def test_a_process_that_is_killed_is_named_and_nothing_stays():
    graph = static_lenet()
    with opened(graph) as lava:
        lava.run(random_inputs(graph, 2))
        pids = lava.pids
        os.kill(pids[2], signal.SIGKILL)
        with pytest.raises(
            TargetError, match=r"target 'lava-stock': lif1 \(LIFReset\) \(process \d+\) was killed by SIGKILL"
        ):
            lava.run(random_inputs(graph, 8))
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_other_networks_are_refused_before_anything_starts():
    adaptive = Deployment(small_lenet())
    assert not target.runs(adaptive)
    with pytest.raises(UnsupportedError, match=r"layer 'lif1' .*'lif' is none of Lava's own.*processes=stock"):
        target.open(adaptive, 4)
    graph = static_lenet()
    assert target.runs(Deployment(graph, fixed=to_loihi(graph)))
