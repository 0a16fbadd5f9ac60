import errno
import itertools
import json
import math
import os
import re
from html import escape
from pathlib import Path

import pytest
from html_page import Page
from networks.lenet import small_lenet
from networks.making import constant
from reports import ODD_NAMES, changed, full_report, renamed, report_of, seen

from asnn_deploy.energy import PARTS
from asnn_deploy.errors import InputError
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.reporting import html, markdown, write
from asnn_deploy.reporting.figures import Report

STEP_KEYS = {"macs", "acs", "spikes_in", "spikes_out", "neuron_updates"}


def silent_lenet():
    from dataclasses import replace

    graph = small_lenet()
    never = constant(1e6, graph.time_steps)

    def mute(layer):
        return replace(layer, parameters={**layer.parameters, "threshold": never})

    layers = tuple(mute(layer) if isinstance(layer, Neuron) else layer for layer in graph.layers)
    return replace(graph, layers=layers)


@pytest.fixture(scope="module")
def report():
    return report_of(small_lenet(), data="digits", network="digits-lenet")


@pytest.fixture(scope="module")
def page(report):
    return html(report)


def numbers_in(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, float):
        yield value


def test_totals_are_the_sums_of_layers_and_steps(report):
    assert len(report.layers) == 7
    for key in ("macs", "acs", "neuron_updates"):
        added = sum(getattr(step, key) for layer in report.layers for step in layer.per_step)
        assert added == pytest.approx(getattr(report.totals, key), rel=1e-9)
    emitted = sum(step.spikes_out for layer in report.layers for step in layer.per_step)
    assert report.totals.spikes == pytest.approx(emitted, rel=1e-9)
    assert report.totals.sops == report.totals.acs + report.totals.macs
    assert report.spread.sops.mean == pytest.approx(report.totals.sops, rel=1e-9)
    assert report.by_step[-1].sops == pytest.approx(report.totals.sops, rel=1e-9)


def test_every_layer_has_one_entry_per_step_with_the_five_counts(report):
    for layer in report.layers:
        assert len(layer.per_step) == report.time_steps == len(report.by_step) == 4
        assert all(vars(step).keys() >= STEP_KEYS for step in layer.per_step)
    neurons = {layer.name: layer.neurons for layer in report.layers}
    assert neurons == {"conv1": 0, "lif1": 384, "conv2": 0, "lif2": 128, "fc1": 0, "lif3": 12, "fc2": 0}


def test_profiles_and_baselines_have_the_promised_keys(report):
    for profile in report.profiles.values():
        assert profile.to_json().keys() >= {"energy_joules", "breakdown", "latency_seconds", "kind", "source"}
        amounts = profile.energy_joules
        assert amounts.low <= amounts.mid <= amounts.high
        assert tuple(vars(profile.breakdown)) == PARTS
        assert sum(vars(profile.breakdown).values()) == pytest.approx(amounts.mid, rel=1e-12)
    assert report.baselines.ann.energy_joules.keys() == report.profiles.keys()
    assert report.baselines.qnn.bits == 3
    assert report.break_even_spike_rate > 0


def test_an_accuracy_given_overrides_the_counted_one():
    graph = small_lenet()
    assert report_of(graph).accuracy == pytest.approx(4 / 6)
    assert report_of(graph, accuracy=0.5).accuracy == 0.5
    assert report_of(graph, labels=False).accuracy is None


@pytest.mark.parametrize(
    "graph", [small_lenet(), silent_lenet(), small_lenet(1, "latency")], ids=["lenet", "silent", "one"]
)
def test_reports_are_finite_json_and_every_page_can_be_made(graph, tmp_path):
    report = report_of(graph, labels=False)
    assert all(math.isfinite(x) for x in numbers_in(report.to_json()))
    paths = write(report, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["report.html", "report.json", "report.md"]
    assert json.loads(paths[1].read_text()) == report.to_json()
    assert Report.model_validate_json(paths[1].read_bytes()) == report
    assert not re.search(r"\b(nan|inf)\b", paths[0].read_text() + paths[2].read_text(), re.IGNORECASE)


def test_a_network_that_never_spikes_says_why_there_is_no_break_even():
    report = report_of(silent_lenet())
    assert report.break_even_spike_rate is None
    assert "no neuron fired" in html(report)
    assert "no neuron fired" in markdown(report)


def test_a_report_without_profiles_can_be_made():
    report = report_of(small_lenet(), profiles=[])
    assert report.profiles == {}
    assert "Synaptic operations" in html(report)


def test_the_page_stands_alone(page):
    parsed = Page(page)
    assert parsed.open == []
    assert {r[0] for r in parsed.references} == {"#"}
    assert {r[1:] for r in parsed.references} <= set(parsed.ids)
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    assert len(parsed.ids) == len(set(parsed.ids))
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(page.encode()) < 1_000_000


def test_charts_are_labelled_svgs_in_figures_with_captions(page):
    parsed = Page(page)
    assert len(parsed.svgs) == 8  # spikes, operations, energies, steps, each for wide and narrow pages
    for svg in parsed.svgs:
        assert re.fullmatch(r"0 0 [\d.]+ [\d.]+", svg["viewbox"])
        assert svg["role"] == "img"
        assert len(svg["aria-label"]) > 80
    assert page.count("<figure>") == page.count("<figcaption>") == 4


def test_charts_take_their_colours_from_the_page(page):
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    style = page[page.index("<style>") : page.index("</style>")]
    for svg in drawn:
        assert not re.search(r"#[0-9a-f]{6}", svg)
        for role in set(re.findall(r"var\((--[a-z-]+)\)", svg)):
            assert style.count(f"{role}:") >= 3, role  # light, dark, print
    assert "prefers-color-scheme: dark" in style


def test_the_heat_map_shows_every_layer_and_its_spikes(report, page):
    svg = page[page.index("<svg") : page.index("</svg>")]
    for layer in report.layers:
        assert (f">{layer.name}<" in svg) == (layer.kind == "neuron")
    assert "analog" in svg


def test_names_that_look_like_numbers_survive_in_charts(report):
    layers = [changed(layer, name=layer.name.replace("lif1", "lif1.23456")) for layer in report.layers]
    assert ">lif1.23456<" in html(changed(report, layers=layers))


def test_pages_state_conventions_sources_and_what_is_left_out(report, page):
    text = re.sub(r"\s+", " ", page)
    for name in report.conventions:
        assert f"<dt>{name}</dt>" in text
    for profile in report.profiles.values():
        assert all(sentence in text for sentence in profile.leaves_out)
    for work in ("Lemaire et al. 2022", "Dampfhoffer et al. 2023", "Yan et al. 2024", "Horowitz", "Davies"):
        assert work in text
        assert work in markdown(report)
    assert "What these figures do not contain" in text


def test_a_deep_network_over_many_steps_stays_under_a_megabyte(report):
    layers = [
        changed(layer, name=f"block{i}.{layer.name}", per_step=layer.per_step * 4, intervals=layer.intervals * 4)
        for i in range(12)
        for layer in report.layers
    ]
    steps = changed(report.input, per_step=report.input.per_step * 4)
    deep = changed(report, layers=layers, time_steps=16, input=steps, by_step=report.by_step * 4)
    assert len(html(deep).encode()) < 1_000_000


def test_names_are_escaped():
    report = report_of(small_lenet(), network="<b>a|b</b>", data="<i>")
    assert "<b>a|b</b>" not in html(report)
    assert "&lt;b&gt;" in html(report)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_markdown_shows_names_as_they_are(name):
    """Of the network, the data, a layer, a chip, a target and a profile."""
    report, names = full_report(), ("digits", "conv1", "loihi2", "lava", "horowitz-45nm")
    plain = seen(markdown(renamed(report, names, "plain")))
    assert seen(markdown(renamed(report, names, name))) == plain.replace("plain", escape(name))


def test_a_sequence_is_not_called_a_coding(report):
    sequence = changed(report, coding="sequence")
    for page in (html(sequence), markdown(sequence)):
        assert "a sequence, given as it is" in page
        assert "sequence coding" not in page


def test_markdown_tables_are_rectangular(report):
    rows = [line for line in markdown(report).splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    tables = [width for row, width in zip(rows, widths) if set(row) <= set("|-: ")]
    assert len(tables) == 11
    lines = markdown(report).splitlines()
    for before, row in itertools.pairwise(lines):
        if before.startswith("|") and row.startswith("|"):
            assert before.count("|") == row.count("|")


def test_writing_again_gives_the_same_bytes(report, tmp_path):
    first = {path.name: path.read_bytes() for path in write(report, tmp_path)}
    second = {path.name: path.read_bytes() for path in write(report, tmp_path)}
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(first)


def test_other_files_in_the_folder_stay(report, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    write(report, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("failing", ["report.html", "report.json", "report.md"])
def test_a_write_that_fails_leaves_the_old_report_whole(report, tmp_path, monkeypatch, failing):
    write(report, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = os.replace

    def full(source, target):
        if Path(target) == tmp_path / failing and "old" not in Path(source).parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)") as caught:
        write(changed(report, network="another"), tmp_path)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_first_write_that_fails_leaves_nothing(report, tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="cannot be written"):
        write(report, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(report, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken: cannot be written"):
        write(report, tmp_path / "taken")
