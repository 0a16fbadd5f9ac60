"""Sweeps: figures against a count of their own, points read back, what a point rests on, the page and the plot."""

import json
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from networks.lenet import small_lenet
from networks.making import random_inputs
from reports import ODD_NAMES, seen

from asnn_deploy.engine.runner import run
from asnn_deploy.errors import InputError
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize
from asnn_deploy.reporting.compare.paired import difference_of_shares
from asnn_deploy.sweeping import (
    COLUMNS,
    FILE,
    Plan,
    Point,
    fingerprint,
    measure,
    parse_bits,
    publish,
    read_points,
    rows,
    synapse_bytes,
)

PLAN = Plan(bits=3, method="ptq", epochs=None, inputs="0" * 64)
POINT = Point(
    bits=3,
    method="ptq",
    epochs=None,
    inputs="0" * 64,
    accuracy=0.5,
    accuracy_float=0.75,
    difference_low95=-0.4,
    difference_high95=-0.05,
    spike_disagreement=0.01,
    synapse_bytes=100,
    weight_scales=5,
    sops=1234.5,
    samples=8,
)


@pytest.fixture(scope="module")
def network():
    graph = small_lenet()
    return graph, replace(graph, quantization=Quantization(3))


def synaptic_operations(graph, trace, images):
    """Mean per sample, by loops: a weight that is not zero, times each input that is not zero."""
    total = 0
    frames = graph.code.frames(images)
    pool = lambda s: s.reshape(*s.shape[:2], s.shape[2] // 2, 2, s.shape[3] // 2, 2).max(axis=(3, 5))
    for t in range(graph.time_steps):
        lif1, lif2, lif3 = (trace.spikes[name][t] for name in ("lif1", "lif2", "lif3"))
        arriving = {
            "conv1": frames[t],
            "conv2": pool(lif1),
            "fc1": pool(lif2).reshape(len(images), -1),
            "fc2": lif3,
        }
        for name, x in arriving.items():
            weight = graph.by_name[name].weight.at(t) != 0
            if weight.ndim == 2:
                total += int((x != 0).sum(axis=0) @ weight.sum(axis=0))
                continue
            for _, c, i, j in np.argwhere(x != 0):
                for di in range(3):
                    for dj in range(3):
                        inside = 0 <= i + 1 - di < x.shape[2] and 0 <= j + 1 - dj < x.shape[3]
                        total += inside and int(weight[:, c, di, dj].sum())
    return total / len(images)


def test_figures_against_a_count_of_their_own(network):
    graph, chosen = network
    fixed = quantize(chosen)
    images, labels = random_inputs(graph, 10), np.arange(10) % 5
    cuts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    point = measure(PLAN, graph, chosen, images, labels, cuts, 4)
    expected, got = (run(g, images, Record(spikes=True)) for g in (graph, fixed))
    wrong = np.concatenate([(expected.spikes[k] != got.spikes[k]).ravel() for k in expected.spikes])
    assert 0 < wrong.mean() < 1
    assert point.spike_disagreement == wrong.mean()
    assert point.accuracy == (got.predictions == labels).mean()
    assert point.accuracy_float == (expected.predictions == labels).mean()
    assert point.sops == pytest.approx(synaptic_operations(fixed, got, images), rel=1e-12)
    paired = difference_of_shares(expected.predictions == labels, got.predictions == labels)
    assert (point.difference_low95, point.difference_high95) == (paired.low95, paired.high95)
    assert point.samples == 10
    # conv1 has two weights (analog step, spiking steps); 6x1x3x3, 8x6x3x3, 12x32, 5x12
    assert point.synapse_bytes == -(-3 * (2 * 54 + 432 + 384 + 60) // 8)
    assert synapse_bytes(fixed, 8) == 2 * 54 + 432 + 384 + 60
    # One scale for each output channel: conv1 has two weights
    assert point.weight_scales == 2 * 6 + 8 + 12 + 5
    assert point.is_of(PLAN)
    assert not point.is_of(PLAN.model_copy(update={"epochs": 1}))


def test_batches_change_nothing(network):
    graph, chosen = network
    images, labels = random_inputs(graph, 6), np.arange(6) % 5
    whole = measure(PLAN, graph, chosen, images, labels, [slice(0, 6)], 6)
    assert measure(PLAN, graph, chosen, images, labels, [slice(0, 5), slice(5, 6)], 5) == whole


def test_a_fingerprint_is_of_content(network):
    graph, _ = network
    images, labels = random_inputs(graph, 3), np.arange(3)
    first = fingerprint(graph, [images, labels])
    assert fingerprint(replace(graph, quantization=Quantization(4)), [images.copy(), labels]) == first
    brighter = np.where(np.arange(images.size).reshape(images.shape) == 7, images ^ 1, images)
    other = small_lenet(seed=1)
    slower = replace(graph, layers=(*graph.layers[:-1], replace(graph.readout, scale=StepTable.constant(0.5, 4))))
    changed = [
        fingerprint(graph, [brighter, labels]),
        fingerprint(graph, [images, labels[::-1]]),
        fingerprint(graph, [images[:2], labels[:2]]),
        fingerprint(other, [images, labels]),
        fingerprint(slower, [images, labels]),
        fingerprint(replace(graph, quantization=Quantization(scales="layer")), [images, labels]),
        fingerprint(graph, [images, labels], start="x"),
    ]
    assert len({first, *changed}) == 8


def test_bits():
    assert parse_bits("8, 2,4") == [2, 4, 8]
    for text, message in (
        ("1", "weights have 2 to 8 bits, found 1"),
        ("4,9", "weights have 2 to 8 bits, found 9"),
        ("x", "weight bits 'x': expected whole numbers from 2 to 8"),
        ("", "weight bits '': expected whole numbers"),
        ("2,,4", "weight bits '2,,4': expected whole numbers"),
        ("-4", "weight bits '-4': expected whole numbers"),
        ("4.0", "weight bits '4.0': expected whole numbers"),
        ("²", "weight bits '²': expected whole numbers"),
        ("4,2,4", "weight bits '4,2,4': 4 stands there twice"),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            parse_bits(text)


def test_what_is_published_is_read_back(tmp_path):
    trained = POINT.model_copy(update={"method": "qat", "bits": 2, "epochs": 2, "accuracy": 1.0})
    points = [POINT, POINT.model_copy(update={"bits": 8, "spike_disagreement": 0.0}), trained]
    publish(tmp_path / "new" / "out", points[::-1], "a network")
    assert read_points(tmp_path / "new" / "out" / FILE) == points
    assert read_points(tmp_path / "absent.json") == []
    page = (tmp_path / "new" / "out" / "sweep.md").read_text()
    assert "| ptq | 3 | 50.00 % | -25.00 (-40.00 to -5.00) | 1 % | 100 B | 1,234 |" in page
    assert page.index("| ptq | 8 |") < page.index("| qat | 2 |")
    assert "(epochs: 2)" in page
    plot = (tmp_path / "new" / "out" / "sweep.png").read_bytes()
    assert plot.startswith(b"\x89PNG")
    assert int.from_bytes(plot[16:20], "big") == 1280


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_page_shows_a_name_as_it_is(tmp_path, name):
    publish(tmp_path, [POINT], name)
    assert f"<h1>{escape(name)}: " in seen((tmp_path / "sweep.md").read_text())


def test_points_of_an_older_version_have_no_interval(tmp_path):
    older = {key: value for key, value in POINT.to_json().items() if not key.startswith("difference")}
    (tmp_path / FILE).write_text(json.dumps([older]))
    points = read_points(tmp_path / FILE)
    assert rows(points)[0][COLUMNS.index("against float")] == "no interval"
    publish(tmp_path, points, "a network")
    assert list(json.loads((tmp_path / FILE).read_text())[0]) == list(POINT.to_json())


@pytest.mark.parametrize("mean", [0.28, -0.28])
def test_a_difference_within_its_interval_is_not_stated(mean):
    """Neither a gain nor a loss that these samples do not show."""
    point = POINT.model_copy(update={"accuracy": 0.5 + mean, "accuracy_float": 0.5})
    column = COLUMNS.index("against float")
    shown = point.model_copy(update={"difference_low95": mean - 0.1, "difference_high95": mean + 0.1})
    assert rows([shown])[0][column] == f"{100 * mean:+.2f} ({100 * mean - 10:+.2f} to {100 * mean + 10:+.2f})"
    hidden = point.model_copy(update={"difference_low95": -0.3, "difference_high95": 0.3})
    assert rows([hidden])[0][column] == "none (-30.00 to +30.00)"
    alone = point.model_copy(update={"difference_low95": None, "difference_high95": None})
    assert rows([alone])[0][column] == "no interval"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("", "invalid JSON"),
        ("[", "invalid JSON"),
        ('{"bits": 2}', "input should be a valid"),
        ("[3]", "0 = 3: input should be an object"),
        ("[" * 100_000, "invalid JSON"),
        ({"bits": 9}, "bits = 9"),
        ({"bits": True}, "bits = True"),
        ({"bits": 4.0}, "bits = 4.0"),
        ({"method": "gptq"}, "method = 'gptq'"),
        ({"accuracy": 1.5}, "accuracy = 1.5"),
        ({"accuracy": None}, "accuracy = None"),
        ({"difference_low95": 0.2}, "difference_low95 = 0.2"),
        ({"difference_high95": None}, "difference_low95 = -0.4"),
        ({"difference_low95": float("nan")}, "difference_low95 = nan"),
        ({"spike_disagreement": float("nan")}, "spike_disagreement = nan"),
        ({"sops": float("inf")}, "sops = inf"),
        ({"samples": 0}, "samples = 0"),
        ("twice", "holds a point twice"),
        ("lacking", "0.inputs: is missing"),
    ],
)
def test_damaged_results(tmp_path, damage, message):
    entry = POINT.to_json()
    if isinstance(damage, dict):
        text = json.dumps([entry | damage])
    elif damage == "twice":
        text = json.dumps([entry, entry])
    elif damage == "lacking":
        text = json.dumps([{k: v for k, v in entry.items() if k != "inputs"}])
    else:
        text = damage
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match="not the results of a sweep .*; remove it or choose another folder") as error:
        read_points(tmp_path / FILE)
    assert message in str(error.value)
