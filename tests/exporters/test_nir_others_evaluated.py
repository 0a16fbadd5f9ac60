"""What is read of drawn NIR files computes what a naive evaluator (tests/naive_nir.py) computes of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from asnn_exporters.nir.foreign import ForeignFile
from hypothesis import HealthCheck, given, settings
from naive_fields import Refused
from naive_nir import Network
from nir_damage import damaged
from nir_drawing import networks
from nir_files import write

from asnn_deploy.conventions import meaning
from asnn_deploy.deploy.reading import settled
from asnn_deploy.engine.executor import Executor
from asnn_deploy.errors import AsnnDeployError
from asnn_deploy.ir.meaning import MENDS
from asnn_deploy.ir.trace import Record

QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck))
EVERYTHING = Record(spikes=True, potentials=True, step_logits=True)
ROUNDED = 1e-5
"""How far float32 may take a number of a few steps from float64's, as a share of the largest one."""
LARGEST = 1e30
"""Of numbers that are compared: float32 ends at 3e38."""
MEANINGLESS = (Refused, ValueError, TypeError, KeyError, IndexError, ZeroDivisionError, AttributeError, OverflowError)
"""What the evaluator, which checks little, ends in for a damaged file."""
TAKEN_OTHERWISE = ("batch axis", "taken for time", "as many elements")
"""What the reader takes for meant and says aloud (docs/nir.md)."""


class Reading:
    """A file as it is read by drawn rules."""

    def __init__(self, path, drawn):
        file = ForeignFile(path)
        self.names, self.notes = file.nodes, file.notes
        own = tuple((file.nodes[name], rule, value) for name, rule, value in drawn.own)
        graph = file.graph(replace(drawn.told, nodes=own))
        samples = drawn.samples.reshape(*drawn.samples.shape[:2], *graph.input_shape)
        self.trace = Executor(settled(graph, samples), compiled=False).run(samples, EVERYTHING)


def evaluated(path, drawn):
    """The naive runs of a file's samples."""
    rules = drawn.told.to_json() | {"nodes": drawn.own}
    network = Network(path, rules)
    return [network.run(sample) for sample in drawn.samples]


def same(naive, reading, i, seen):
    """Equal as long as float32 is exact; then to rounding, until a potential lies as near to its threshold."""
    names, trace = reading.names, reading.trace
    for t, (exact, margin, largest) in enumerate(zip(naive.exact, naive.margin, naive.largest)):
        off = 0.0 if exact else ROUNDED * largest
        if margin < off or largest > LARGEST:
            break
        seen["exact steps" if exact else "rounded steps"] += 1
        told = [(trace.spikes[names[name]], spikes, 0, f"spikes of {name!r}") for name, spikes in naive.spikes.items()]
        told += [(trace.potentials[names[name]], v, off, f"v of {name!r}") for name, v in naive.potentials.items()]
        for ours, theirs, most, what in [*told, (trace.step_logits, naive.output, off, "output")]:
            np.testing.assert_allclose(ours[t, i].ravel(), theirs[t].ravel(), 0, most, err_msg=f"{what} at step {t}")


def ending(make, errors, path, drawn):
    """What reading a network ends in, or the error."""
    try:
        return make(path, drawn)
    except errors as error:
        return error


def check(path, drawn, seen, undefined):
    """Both refuse a network, or both run it and compute the same; undefined: the errors with which naively."""
    write(path, drawn.nodes, drawn.edges)
    seen["networks"] += 1
    reading = ending(Reading, AsnnDeployError, path, drawn)
    runs = ending(evaluated, undefined, path, drawn)
    if isinstance(reading, Exception):
        assert "\n" not in str(reading)
        assert isinstance(runs, Exception), f"only the reader refuses it: {reading}"
        seen["refused"] += 1
    elif isinstance(runs, Exception):
        assert any(words in note for words in TAKEN_OTHERWISE for note in reading.notes), (
            f"only naively refused: {runs}"
        )
        seen["read otherwise"] += 1
    else:
        for i, naive in enumerate(runs):
            same(naive, reading, i, seen)


def hold(folder, examples, drawing, undefined):
    """Check so many networks; return how many were what."""
    seen = Counter()

    @settings(QUIET, max_examples=examples, report_multiple_bugs=False)
    @given(drawing)
    def each(drawn):
        check(folder / "drawn.nir", drawn, seen, undefined)

    each()
    return seen


def hold_right_ones(folder, examples):
    """Most are read, and most steps are compared without tolerance."""
    seen = hold(folder, examples, networks(), Refused)
    assert seen["refused"] < 0.4 * seen["networks"]
    assert seen["exact steps"] > seen["networks"]
    assert seen["exact steps"] > seen["rounded steps"] > 0


def test_what_is_read_computes_what_the_file_says(tmp_path):
    hold_right_ones(tmp_path, 80)


def test_what_is_damaged_is_refused_by_both_or_computed_by_both(tmp_path):
    seen = hold(tmp_path, 40, damaged(), MEANINGLESS)
    assert 0 < seen["refused"] < seen["networks"]


def test_whatever_is_put_right_files_are_read_or_refused(tmp_path):
    """The errors of an exporter are looked for in files that are not its own, too."""
    seen = Counter()

    @settings(QUIET, max_examples=60)
    @given(networks())
    def each(drawn):
        write(tmp_path / "drawn.nir", drawn.nodes, drawn.edges)
        told = replace(meaning("spyx", dt=drawn.told.dt), mends=tuple(MENDS))
        read = ending(Reading, AsnnDeployError, tmp_path / "drawn.nir", replace(drawn, told=told, own=()))
        seen[type(read)] += 1
        assert "\n" not in str(read)

    each()
    assert seen[Reading] > 30


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_thousand_networks(tmp_path):
    hold_right_ones(tmp_path, 10_000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_five_thousand_damaged_networks(tmp_path):
    hold(tmp_path, 5000, damaged(), MEANINGLESS)
