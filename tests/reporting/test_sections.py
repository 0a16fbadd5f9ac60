"""The page's sections: what each says, the zero cases, and what stays legible when there is much of it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from networks.features import sequence
from networks.lenet import small_lenet
from networks.making import random_inputs
from pydantic import ValidationError
from reports import changed, example_of, fit, full_report, report_of, simulated

from asnn_deploy.energy import Breakdown, JouleRange, load_profile
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import InputError
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.reporting import Example, charts, html, markdown, numbers
from asnn_deploy.reporting.charts.cores import MOST_TILES, cores_per_tile
from asnn_deploy.reporting.pictures import MOST_STEPS, pictures
from asnn_deploy.reporting.times import in_short, latencies, latencies_by_step


@pytest.fixture(scope="module")
def report():
    return full_report()


@pytest.fixture(scope="module")
def page(report):
    return re.sub(r"\s+", " ", html(report, example_of(small_lenet())))


def test_the_last_step_costs_what_the_whole_run_costs(report):
    for name in ("horowitz-45nm", "lemaire-2022", "loihi1-davies-2018"):
        last, whole = report.by_step[-1], report.profiles[name]
        assert last.energy_joules[name] == pytest.approx(whole.energy_joules.mid, rel=1e-12)
        assert last.latency_seconds[name] == whole.latency_seconds
        spent = [step.energy_joules[name] for step in report.by_step]
        assert spent == sorted(spent)


def test_energy_by_step_is_that_of_a_network_which_ran_so_long():
    graph = small_lenet()
    short = report_of(graph).by_step[0].energy_joules["horowitz-45nm"]
    profile = load_profile("horowitz-45nm")
    first = [layer.per_step[0] for layer in report_of(graph).layers]
    synapses = sum(
        step.macs * profile.constants.multiply_accumulate.mid + step.acs * profile.constants.accumulate.mid
        for step in first
    )
    updates, spikes = (sum(getattr(step, key) for step in first) for key in ("neuron_updates", "spikes_out"))
    neurons = updates * (2 * profile.constants.multiply.mid + 2 * profile.constants.add.mid)
    assert short == pytest.approx(1e-12 * (synapses + neurons + spikes * profile.constants.add.mid), rel=1e-9)


def test_a_simulation_stands_beside_its_constants_with_the_ratio(report, page):
    assert report.simulated["loihi1-sanafe"].ratio == pytest.approx(2)
    assert report.profiles["loihi1-sanafe"].kind == "simulated"
    assert "Simulated, and counted times constants" in page
    assert report.profiles["loihi1-sanafe"].latency_seconds == 1.5e-3


def test_a_simulation_beside_nothing_has_no_ratio():
    found, profile, constants = simulated()
    nothing = replace(constants, energy_joules=JouleRange(0.0, 0.0, 0.0))
    report = report_of(small_lenet(), simulated=[(found, profile, nothing)])
    assert report.simulated["loihi1-sanafe"].ratio is None
    assert report.baselines.ann.energy_joules["loihi1-sanafe"] is None
    assert "Simulated, and counted" in html(report)


def test_every_section_of_a_full_report_is_there(page):
    for heading in (
        *("One sample, step by step", "Raster", "Spikes", "Synaptic operations", "Energy", "Early exit", "By class"),
        *("Against conventional networks", "Break-even", "Fit on a chip", "In integers", "Verified", "Conventions"),
        *("What these figures do not contain", "Sources", "reference-fixed against reference"),
    ):
        assert re.search(rf"<h[23]>{heading}</h[23]>", page), heading
    assert "margin 0.5" in page
    assert "Does not fit" in page
    assert "The chip does not offer: per-step parameters" in page
    assert "fewer channels" in page
    assert "cost 40 bytes (140 instead of 100) and no further core" in page
    assert len(page.encode()) < 1_000_000


def test_sections_without_figures_are_left_out():
    page = html(report_of(small_lenet(), labels=False))
    for heading in ("Early exit", "By class", "Fit on a chip", "In integers", "Verified", "One sample", "Simulated"):
        assert f"{heading}</h" not in page
    assert "There are no labels" in page


def test_break_even_is_told_against_each_network_with_and_without_memory(report, page):
    table = page[page.index("<h3>Break-even") :]
    table = table[: table.index("</table>")]
    rows = re.findall(
        r"<tr><th scope=\"row\">([^<]+)</th><td class=\"word\">(\w+)</td><td class=\"word\">([\w ]+)</td>", table
    )
    against = report.break_even.against
    assert len(rows) == len(against) >= 4
    assert {("lemaire-2022", "ANN", "counted"), ("horowitz-45nm", "QNN", "left out")} <= set(rows)


@pytest.mark.parametrize("width", [charts.WIDE, charts.NARROW])
def test_no_chart_is_wider_than_its_page(report, width):
    example = example_of(small_lenet())
    deep = changed(report, layers=[changed(x, name=f"stage{i}.{x.name}") for i in range(9) for x in report.layers])
    drawn = [
        *(draw(r, width) for r in (report, deep) for draw in (charts.spikes, charts.operations)),
        charts.over_steps(report, width),
        charts.energies(report.profiles, latencies(report), width),
        charts.early_exit(report, report.early_exit, width),
        charts.logits(example, width),
        charts.cores(report.fit["loihi1"], width),
    ]
    for svg in drawn:
        assert float(re.search(r'width="([\d.]+)"', svg)[1]) <= width
        assert "nan" not in svg
        assert re.search(r'aria-label="[^"]{40,}"', svg)


@pytest.mark.parametrize("cores", [1, 512, 513, 5000])
def test_a_map_of_many_cores_stays_small(report, cores):
    found = fit(report, cores)
    svg = charts.cores(found, charts.WIDE)
    layers = len({entry.layer for entry in found.map})
    assert svg.count("<rect") <= MOST_TILES + 2 * layers
    assert (cores_per_tile(found) == 1) == (cores <= MOST_TILES)
    assert len(svg) < 110_000
    if cores > MOST_TILES:
        assert f"cores of a layer, {cores:,} cores" in re.sub(r"\s+", " ", html(changed(report, fit={"loihi1": found})))


def test_bars_hold_for_eight_profiles_of_very_different_magnitude(report):
    base = report.profiles["loihi1-davies-2018"]
    names = [f"profile{i}" for i in range(8)]
    scales = dict(zip(names, (1e-6, 1e-3, 1, 1e3, 1e6, 0, 1, 1)))
    profiles = {
        name: changed(
            base,
            energy_joules=JouleRange(**{k: v * scale for k, v in vars(base.energy_joules).items()}),
            breakdown=Breakdown(**{k: v * scale for k, v in vars(base.breakdown).items()}),
        )
        for name, scale in scales.items()
    }
    svg = charts.energies(profiles, {}, charts.WIDE)
    assert all(f">{name}<" in svg for name in names)
    bars = [float(w) for w in re.findall(r'width="([\d.]+)" height="18"', svg)]
    assert len(bars) >= 7 * 3
    assert max(bars) < charts.WIDE
    assert "no energy" in svg


def test_one_step_one_sample_many_classes():
    graph = small_lenet(1, "latency", classes=100)
    report = report_of(graph, samples=1)
    page = html(report, example_of(graph))
    assert not re.search(r"\b(nan|inf)\b", page)
    assert "100 classes" in charts.logits(example_of(graph), charts.WIDE)
    assert markdown(report)


def test_rows_of_markdown_stand_below_their_heads():
    """A blank line would end the table."""
    lines = markdown(report_of(small_lenet(3, "hybrid-latency"))).splitlines()
    rows = [i for i, line in enumerate(lines) if line.startswith("|")]
    assert len(rows) > 50
    for i in rows:
        assert lines[i - 1].startswith("|") or set(lines[i + 1]) <= set("|:- "), lines[i]


def test_a_network_without_spikes_has_pictures_too():
    graph = small_lenet()
    example = example_of(graph, labels=False)
    silent = Example(
        0,
        *(example.image, example.frames, example.analog),
        {name: np.zeros_like(spikes) for name, spikes in example.spikes.items()},
        *(np.zeros_like(example.step_logits), 0),
    )
    assert all(layer.spikes == 0 for layer in pictures(silent).layers)
    assert "no label" in charts.logits(silent, charts.WIDE)
    assert "It has no label" in html(report_of(graph), silent)


def decoded(address):
    import base64
    import io

    from matplotlib.image import imread

    return imread(io.BytesIO(base64.b64decode(address.split(",")[1])), format="png")


@pytest.mark.parametrize(("kind", "most"), [("spikes", 1), ("counts", 3), ("values", 2)])
def test_a_sequence_is_drawn_frame_by_frame(kind, most):
    graph = sequence(kind, most)
    x = random_inputs(graph, 2)
    example = Example.of(graph, x, run(graph, x, Record(spikes=True, step_logits=True)), 1)
    assert np.array_equal(example.frames, x[1])
    assert example.image.shape == x.shape[2:]
    assert example.image.max() == 255
    sent = np.abs(x[1].astype(float)).sum(axis=0)
    assert np.argmax(example.image) == np.argmax(sent)
    drawn = pictures(example)
    assert drawn.steps == [0, 1, 2, 3]
    strip = decoded(drawn.frames)[..., 3]
    cell = strip.shape[1] // 4
    means = [np.abs(frame.astype(float)).mean() for frame in x[1]]
    inks = [strip[:, t * cell : (t + 1) * cell].sum() for t in range(4)]
    assert np.corrcoef(means, inks)[0, 1] > 0.9


def test_pictures_show_every_spike_where_it_is():
    spikes = np.zeros((2, 3, 4, 5), np.uint8)
    spikes[0, 1, 2, 3] = spikes[1, :, 0, 0] = 1
    vector = np.array([[0, 1, 0, 0], [0, 0, 0, 1]], np.uint8)
    image = np.full((1, 4, 5), 7, np.uint8)
    example = Example(
        0, image, np.repeat(image[None], 2, 0), np.array([True, False]), {"a": spikes, "b": vector}, np.zeros((2, 3)), 1
    )
    first, second = pictures(example).layers
    maps = decoded(first.maps)[..., 3]  # squares of 5 with a margin of 1 at each side
    assert maps.shape == (5, 14)
    assert maps[2, 1 + 3] == pytest.approx(1 / 3, abs=0.04)
    assert maps[0, 7 + 1] == 1
    assert np.count_nonzero(maps) == 2
    assert np.array_equal(decoded(second.raster)[..., 3], vector)
    assert np.array_equal(decoded(second.maps)[:, 1:3, 3], [[0, 1], [0, 0]])
    assert first.neurons == 60
    assert first.spikes == 4
    assert decoded(pictures(example).image)[0, 0, 0] == pytest.approx(7 / 255)


def test_pictures_of_a_deep_network_over_many_steps_stay_small():
    rng = np.random.default_rng(0)
    steps = 100
    spikes = {f"block{i}": (rng.random((steps, 8, 16, 16)) < 0.3).astype(np.uint8) for i in range(60)}
    image = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    frames = np.repeat(image[None], steps, 0)
    example = Example(0, image, frames, np.ones(steps, bool), spikes, rng.random((steps, 100)), 3, 4)
    drawn = pictures(example)
    assert len(drawn.steps) == MOST_STEPS
    assert (drawn.steps[0], drawn.steps[-1]) == (0, steps - 1)
    assert sum(len(layer.maps) + len(layer.raster) for layer in drawn.layers) + len(drawn.frames) < 700_000
    assert len(charts.logits(example, charts.WIDE)) < 120_000


def test_an_example_needs_its_sample_and_its_trace():
    graph = small_lenet()
    images = np.zeros((2, 1, 8, 8), np.uint8)
    with pytest.raises(InputError, match=r"^sample 2: there are 2 samples"):
        Example.of(graph, images, Trace("x", np.zeros((2, 5))), 2)
    with pytest.raises(InputError, match="spikes and step logits"):
        Example.of(graph, images, Trace("x", np.zeros((2, 5))), 0)


def test_odd_names_are_escaped_everywhere(report):
    odd = '<i>&"x'
    layers = [changed(layer, name=odd + layer.name) for layer in report.layers]
    verify = changed(report.verify, targets={odd: report.verify.targets["reference-fixed"]})
    fits = {odd: fit(report, 4, names=[odd])}
    page = html(changed(report, layers=layers, verify=verify, fit=fits, data=odd, network=odd))
    assert "<i>&" not in page
    assert "&lt;i&gt;&amp;" in page


@pytest.mark.parametrize(("blocks", "steps", "classes"), [(30, 16, 100), (30, 100, 10)])
def test_a_deep_networks_page_stays_under_a_megabyte(report, blocks, steps, classes):
    rng = np.random.default_rng(0)
    times = steps // 4
    layers = [
        changed(x, name=f"stage.{i}.{x.name}", per_step=x.per_step * times, intervals=x.intervals * times)
        for i in range(blocks)
        for x in report.layers[:2]
    ]
    by_class = [changed(report.by_class[0], label=c) for c in range(classes)]
    time = report.latency["loihi1"]
    deep = changed(
        report,
        early_exit=None,
        verify=None,
        quantization=None,
        layers=layers,
        time_steps=steps,
        input=changed(report.input, per_step=report.input.per_step * times),
        by_step=report.by_step * times,
        by_class=by_class,
        fit={"loihi1": fit(report, 5000, names=[x.name for x in layers])},
        latency={"loihi1": changed(time, by_step=(time.by_step * times)[: steps + time.pipeline_steps])},
    )
    spikes = {f"block{i}": (rng.random((steps, 8, 16, 16)) < 0.2).astype(np.uint8) for i in range(blocks)}
    image = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    frames = np.repeat(image[None], steps, 0)
    example = Example(0, image, frames, np.ones(steps, bool), spikes, rng.random((steps, classes)), 3, 4)
    size = len(html(deep, example).encode())
    assert 100_000 < size < 1_000_000


def test_the_estimate_for_a_chip_stands_where_the_least_time_stood(report, page):
    found = report.latency["loihi1"]
    assert report.profiles["loihi1-davies-2018"].chip == "loihi1"
    middle, low, high = (numbers.seconds(x) for x in (found.seconds.mid, found.seconds.low, found.seconds.high))
    assert latencies(report)["loihi1-davies-2018"] == middle
    assert "≥" not in page
    row = re.search(r'<th scope="row">loihi1-davies-2018</th>.*?</tr>', page)[0]
    assert f"<td>{middle}<small>" in row
    assert f"latency {middle}" in page
    assert f'<h2>Time on loihi1</h2> <p class="figure">{middle}</p>' in page.replace("\xa0", " ")
    (line,) = [x for x in markdown(report).splitlines() if x.startswith("| loihi1-davies-2018 | simulated |")]
    assert line.endswith(f" {middle} ({numbers.seconds_range([found.seconds.low, found.seconds.high])}) |")
    assert low != middle != high


def test_the_answer_after_each_step_comes_when_the_pipeline_has_it(report, page):
    found = report.latency["loihi1"]
    steps = [row.seconds.mid for row in found.by_step]
    assert len(steps) == report.time_steps + found.pipeline_steps
    texts = latencies_by_step(report)["loihi1-davies-2018"]
    assert texts[-1] == latencies(report)["loihi1-davies-2018"]
    assert texts[0] == numbers.seconds(sum(steps[: found.pipeline_steps + 1]))
    assert all(f"<small>{text}</small>" in page for text in texts)


def test_a_report_without_chips_gives_the_least_time_that_a_profile_knows():
    plain = report_of(small_lenet())
    least = "≥ " + numbers.seconds(plain.profiles["loihi1-davies-2018"].latency_seconds)
    assert latencies(plain) == {"loihi1-davies-2018": least}
    assert f"<td>{least}</td>" in html(plain)
    assert f" {least} |" in markdown(plain)
    assert plain.to_json()["latency"] == plain.to_json()["no_latency"] == {}
    assert in_short(plain) == []


def test_a_chip_without_times_is_said_in_one_sentence(report, page):
    assert report.to_json()["latency"]["loihi2"] is None
    (sentence,) = report.no_latency.values()
    assert sentence.endswith("so its latency is not estimated.")
    assert sentence in page
    assert sentence in re.sub(r"\\", "", markdown(report))
    assert in_short(report)[1:] == [sentence]


def test_the_page_says_what_the_time_is_made_of_and_what_it_leaves_out(report, page):
    found = report.latency["loihi1"]
    for text in (page, re.sub(r"\\", "", markdown(report))):
        assert f"{report.time_steps} time steps, and {found.pipeline_steps} more until the last layer" in text
        assert f"the slowest core is one of {found.binds.layer}" in text
        assert f"{numbers.count(found.samples_per_second.alone.mid)} one at a time" in text
        assert "Not counted: what the chip does not offer and the network needs: bits per spike" in text
    assert page.count("Davies et al. 2018, table 2") >= len(found.times) - 1
    assert "barrier, one tile" in page


def test_a_report_written_before_there_were_latencies_is_still_read(report):
    older = {key: value for key, value in report.to_json().items() if key not in ("latency", "no_latency")}
    assert type(report).model_validate_json(json.dumps(older)).latency == {}


def test_a_latency_that_lacks_steps_is_refused(report):
    damaged = report.to_json()
    damaged["latency"]["loihi1"]["by_step"].pop()
    with pytest.raises(ValidationError, match="latency on 'loihi1' behind its pipeline has 3 entries; expected 4, one"):
        type(report).model_validate_json(json.dumps(damaged))
