"""The summary: what it says of every kind of report, and that nothing in a report contradicts it."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.lenet import small_lenet
from reports import ODD_NAMES, changed, full_report, report_of, seen

from asnn_deploy.energy.estimate import JouleRange
from asnn_deploy.reporting import html, markdown
from asnn_deploy.reporting.page import summary_html
from asnn_deploy.reporting.summary import exactness, shortened, summary
from asnn_deploy.reporting.summary_picture import LETTER, picture, wrapped
from asnn_deploy.reporting.verdicts import LEVELS, against, cheaper
from asnn_deploy.verifying.document import Verification


@pytest.fixture(scope="module")
def report():
    return full_report()


def facts(report):
    return {fact.name: fact for fact in summary(report).facts}


def test_it_is_about_the_first_chip_with_an_energy_profile(report):
    other = {"loihi2": report.fit["loihi2"], "loihi1": report.fit["loihi1"]}
    assert summary(report).chip == summary(changed(report, fit=other)).chip == "loihi1"
    alone = changed(report, fit={"loihi2": report.fit["loihi2"]})
    assert summary(alone).chip == "loihi2"
    assert facts(alone)["Energy on loihi2"].figure == facts(alone)["Time on loihi2"].figure == "no figure"
    nowhere = changed(report, fit={}, latency={}, no_latency={})
    assert summary(nowhere).chip is None
    assert not any(" on " in name for name in facts(nowhere))


def test_figures_are_those_of_the_report(report):
    found = facts(report)
    energy, time = report.profiles["loihi1-davies-2018"].energy_joules, report.latency["loihi1"].seconds
    assert found["Energy on loihi1"].figure == f"{energy.mid * 1e9:.3g} nJ"
    assert found["Time on loihi1"].figure.split()[0] == f"{time.mid * 1e6:.3g}"
    assert found["On loihi1"].figure == "40 cores"
    assert found["On loihi2"].figure == "does not fit"
    assert "fewer channels" in found["On loihi2"].meaning
    assert found["In integers"].figure == "50.0 %"
    point = report.early_exit.chosen_point
    assert found["Early exit"].figure == f"saves {100 * (1 - point.sops / report.totals.sops):.1f} %"


def test_every_page_shows_it(report):
    told = summary(report)
    for page in (html(report), summary_html(report), seen(markdown(report))):
        text = re.sub(r"<[^>]+>", "", page).replace("\N{NO-BREAK SPACE}", " ")
        for fact in told.facts:
            assert fact.figure in text
        assert told.verdict in text.replace("&#39;", "'")


def verification(**targets):
    """A verification of some targets, each with so many wrong spikes."""
    step = {"per_step_mismatches": [0], "per_step_spikes": [1]}
    found = {
        name.replace("_", "-"): {
            "against": "reference",
            "exact": not wrong,
            "spikes_compared": 100,
            "spike_mismatches": wrong,
            "argmax_mismatches": 0,
            "max_abs_logit_diff": 0.0,
            "accuracy": None,
            "first_divergence": None,
            "layers": [{"name": "conv1", **step}],
        }
        for name, wrong in targets.items()
    }
    return Verification.model_validate({"samples": 1, "time_steps": 1, "targets": found}, strict=False)


def test_exactness_in_words():
    assert exactness(verification(lava=0, nir=0))[0] == "exact"
    word, sentence = exactness(verification(lava=0, reference_fixed=7))
    assert word == "exact"
    assert "1 target, 1 sample, 100 spikes compared, none differs but the integer network's against" in sentence
    word, sentence = exactness(verification(lava=3, nir=0))
    assert word == "not exact"
    assert "3 spikes differ on lava, of 200 compared" in sentence
    assert exactness(verification(reference_fixed=7))[0] == "not compared"
    assert summary(changed(full_report(), verify=None)).facts[1].figure == "not compared"


def test_what_is_not_there_is_said_or_left_out():
    bare = report_of(small_lenet(1, "latency"), labels=False, profiles=[], samples=1)
    found = facts(bare)
    assert found["Accuracy"].figure == "not known"
    assert set(found) == {"Accuracy", "Same network", "Synaptic work"}
    assert summary(bare).prices == ()
    assert picture(summary(bare)).startswith(b"\x89PNG")


def test_a_network_that_never_spikes(report):
    silent = changed(report, totals=changed(report.totals, spikes=0.0))
    assert "No neuron fired" in facts(silent)["Synaptic work"].meaning
    assert "No neuron fired" in summary_html(silent)
    nothing = changed(silent, totals=changed(silent.totals, sops=0.0))
    assert facts(nothing)["Early exit"].figure == "nothing to save"
    assert picture(summary(nothing)).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [*ODD_NAMES, "数字の網", "a\nb", "$x^2$", "", "x" * 300])
def test_names_are_shown_as_they_are(report, name):
    odd = changed(report, network=name, data=name)
    assert "\n" not in summary(odd).title
    assert len(shortened(name)) <= 61
    assert picture(summary(odd)).startswith(b"\x89PNG")
    page = summary_html(odd)
    assert "<b>a</b>" not in page


def test_the_picture_is_a_page_of_a4_with_margins(report):
    from io import BytesIO

    from PIL import Image

    for told in (summary(report), summary(changed(report, fit={f"c{i}": report.fit["loihi2"] for i in range(9)}))):
        with Image.open(BytesIO(picture(told))) as image:
            pixels = np.asarray(image.convert("L"))
        assert abs(pixels.shape[0] / pixels.shape[1] - 297 / 210) < 0.002
        dark = np.argwhere(pixels < 200)
        assert dark.min() > 60
        assert dark[:, 0].max() < pixels.shape[0] - 60
        assert dark[:, 1].max() < pixels.shape[1] - 60


@given(st.text(st.sampled_from("ab c数"), max_size=80), st.integers(6, 20), st.floats(0.5, 7))
def test_wrapped_texts_lose_no_letter_and_fit(text, size, width):
    lines = wrapped(text, size, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert len(line) <= max(4, width * 72 / (size * LETTER))


AMOUNTS = st.floats(1e-9, 1e-3)
RANGES = st.lists(AMOUNTS, min_size=3, max_size=3).map(lambda values: JouleRange(*sorted(values)))


@given(RANGES, RANGES)
def test_one_rule_decides_what_is_cheaper(ours, theirs):
    verdict = cheaper(ours, theirs)
    levels = [(getattr(ours, level), getattr(theirs, level)) for level in LEVELS]
    assert (verdict is True) == all(a < b for a, b in levels)
    assert (verdict is False) == all(a > b for a, b in levels)
    mirrored = cheaper(theirs, ours)
    assert mirrored is (None if verdict is None else not verdict)
    said = against(ours, {"ANN": theirs, "QNN": None})
    assert said.startswith({True: "less than", False: "more than", None: "more or less than"}[verdict])
    assert "QNN" not in said


def test_break_even_never_contradicts_the_verdict():
    """A rate below break-even at some constants is no "more than", one above is no "less than"."""
    checked = 0
    for steps, seed in itertools.product((1, 4, 7), range(4)):
        report = report_of(small_lenet(steps, "latency", seed=seed))
        firing = report.break_even.spike_rate
        for row in report.break_even.against:
            priced = report.profiles[row.profile]
            theirs = getattr(report.baselines, row.network).energy_joules[row.profile]
            if row.spike_rate is None or (priced.breakdown.memory and not row.memory):
                continue  # the energies of the table contain memory accesses, such a rate does not
            assert cheaper(priced.energy_joules, theirs) is not (firing >= row.spike_rate), row
            checked += 1
    assert checked > 10


def test_pages_say_what_costs_less_by_that_rule_only(report):
    text = re.sub(r"<[^>]+>", " ", html(report)) + markdown(report)
    assert not re.search(r"cheaper|costs (less|more)(?! or less than)", text)
