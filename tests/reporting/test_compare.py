"""Comparing two report folders: the intervals, what is refused, and the pages."""

import dataclasses
import errno
import json
import math
import os
import re
import shutil
from html import escape
from pathlib import Path

import numpy as np
import pytest
from html_page import Page
from hypothesis import given
from hypothesis import strategies as st
from networks.lenet import small_lenet
from networks.making import random_inputs
from reports import ODD_NAMES, changed, renamed, seen
from scipy.stats import t as student

from asnn_deploy.cli import run as command_line
from asnn_deploy.energy import load_profiles
from asnn_deploy.energy.measure import measure
from asnn_deploy.errors import InputError
from asnn_deploy.reporting import build
from asnn_deploy.reporting.compare import compare, html, markdown, read_report, write
from asnn_deploy.reporting.compare.paired import difference_of_means, difference_of_shares
from asnn_deploy.reporting.compare.says import conclusions

PROFILES = ("horowitz-45nm", "loihi1-davies-2018")
COUNT = 12


def report_folder(folder, seed=0, count=COUNT, coding="hybrid-latency", profiles=PROFILES, images_seed=0, early=True):
    """What `report` leaves of a small network: the files that a comparison reads."""
    graph = small_lenet(coding=coding, seed=seed)
    images = random_inputs(graph, count, images_seed)
    labels = np.arange(count) % 5
    chosen = load_profiles(profiles)
    measured = measure(graph, images, labels, chosen, (images[:6], labels[:6]) if early else None)
    report = build(
        graph,
        measured.counts,
        chosen,
        data="digits",
        network=folder.name,
        samples_sha256=measured.fingerprint,
        early_exit=measured.early_exit,
    )
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(report.to_text(indent=1))
    np.savez(folder / "samples.npz", **measured.samples)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two networks on the same samples; do not change them."""
    base = tmp_path_factory.mktemp("reports")
    return report_folder(base / "hybrid"), report_folder(base / "direct", 3, coding="direct")


@pytest.fixture(scope="module")
def compared(folders):
    return compare(*map(read_report, folders))


@pytest.fixture
def pair(tmp_path):
    """Two folders that a test may change, without early exits and profiles."""
    plain = {"profiles": PROFILES[:1], "early": False}
    return report_folder(tmp_path / "one", **plain), report_folder(tmp_path / "two", 3, coding="direct", **plain)


def change_json(folder, **changes):
    file = folder / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def change_samples(folder, **changes):
    with np.load(folder / "samples.npz") as held:
        arrays = {name: held[name] for name in held.files} | changes
    np.savez(folder / "samples.npz", **{name: values for name, values in arrays.items() if values is not None})


def test_measures_are_the_reports_and_differences_are_b_minus_a(folders, compared):
    reports = [json.loads((folder / "report.json").read_text()) for folder in folders]
    for name in ("sops", "acs", "macs", "spikes"):
        row = getattr(compared.measures, name)
        assert (row.a, row.b) == pytest.approx(tuple(report["totals"][name] for report in reports))
        assert row.difference.mean == pytest.approx(row.b - row.a)
    for side, report in zip("ab", reports):
        assert getattr(compared.measures.accuracy, side) == pytest.approx(report["accuracy"])
        for name in PROFILES:
            levels = {level: report["profiles"][name]["energy_joules"][level] for level in ("low", "mid", "high")}
            assert vars(getattr(compared.profiles[name].energy_joules, side)) == levels
            assert getattr(compared.profiles[name], side) == pytest.approx(levels["mid"])
    assert sum(vars(compared.answers).values()) == compared.samples == COUNT
    assert compared.left_out == ()


def test_a_report_against_itself_differs_in_nothing(folders):
    same = compare(read_report(folders[0]), read_report(folders[0]))
    for name, row in same.measures:
        assert row.difference.mean == 0
        assert row.difference.excludes_zero is False
        assert name == "accuracy" or row.difference.low95 == row.difference.high95 == 0
    assert all("equal" in sentence or "the same energy" in sentence for sentence in conclusions(same))


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=2, max_size=20))
def test_the_interval_of_a_mean_is_its_formula(pairs):
    a, b = np.array(pairs).T
    found = difference_of_means(a, b)
    apart = [y - x for x, y in pairs]
    mean = math.fsum(apart) / len(apart)
    error = math.sqrt(math.fsum((d - mean) ** 2 for d in apart) / (len(apart) - 1) / len(apart))
    t = student.ppf(0.975, len(apart) - 1)
    assert found.mean == pytest.approx(mean, abs=1e-6)
    assert found.standard_error == pytest.approx(error, abs=1e-6)
    assert (found.low95, found.high95) == pytest.approx((mean - t * error, mean + t * error), rel=1e-9, abs=1e-5)
    back = difference_of_means(b, a)
    assert (back.low95, back.high95) == pytest.approx((-found.high95, -found.low95))


def test_the_interval_of_paired_proportions_by_hand():
    """20 samples: 9 right in both, 6 by B alone, 1 by A alone: p = 7/22, q = 2/22."""
    a = np.array([True] * 9 + [False] * 6 + [True] + [False] * 4)
    b = np.array([True] * 9 + [True] * 6 + [False] + [False] * 4)
    found = difference_of_shares(a, b)
    assert found.mean == pytest.approx(5 / 20)
    error = math.sqrt((9 / 22 - (5 / 22) ** 2) / 22)
    assert found.standard_error == pytest.approx(error) == pytest.approx(0.127464, abs=1e-6)
    assert (found.low95, found.high95) == pytest.approx((-0.022553, 0.477098), abs=1e-6)
    assert found.excludes_zero is False


def test_the_intervals_hold_what_they_promise():
    """Of 2,000 draws with a known difference, about 95 % of the intervals contain it."""
    rng = np.random.default_rng(1)
    held = {"shares": 0, "means": 0}
    for _ in range(2000):
        kind = rng.choice(4, size=100, p=[0.8, 0.1, 0.04, 0.06])  # both, only B, only A, neither
        shares = difference_of_shares(np.isin(kind, (0, 2)), np.isin(kind, (0, 1)))
        held["shares"] += shares.low95 <= 0.06 <= shares.high95
        a = rng.gamma(2.0, 100.0, 100)
        means = difference_of_means(a, a + rng.gamma(2.0, 5.0, 100))
        held["means"] += means.low95 <= 10 <= means.high95
    assert all(0.93 <= hits / 2000 <= 0.975 for hits in held.values()), held


def test_one_sample_has_differences_and_no_intervals(tmp_path):
    one = [report_folder(tmp_path / str(seed), seed, 1, early=False) for seed in (0, 3)]
    found = compare(*map(read_report, one))
    assert all(row.difference.low95 is None for _, row in found.measures)
    assert "one sample has no interval" in html(found)
    assert json.loads(found.to_text(indent=1)) == found.to_json()


def test_profiles_whose_constants_differ_or_that_one_report_lacks_are_left_out(pair):
    one, two = pair
    report = json.loads((two / "report.json").read_text())
    mine = report["profiles"][PROFILES[0]]
    mine["constants"][0]["mid"] *= 2
    change_json(two, profiles=report["profiles"] | {"mine": mine})
    found = compare(read_report(one), read_report(two))
    assert found.profiles == {}
    assert [entry.to_json() for entry in found.left_out] == [
        {"profile": PROFILES[0], "reason": "not the same in both reports: its constants"},
        {"profile": "mine", "reason": "it is not in report A"},
    ]
    for page in (html(found), markdown(found)):
        assert "The two reports share no profile" in page
        assert "not the same in both reports: its constants" in page


def test_a_profile_without_energies_of_single_samples_is_left_out(pair):
    change_samples(pair[0], **{f"energy/{PROFILES[0]}": None})
    found = compare(*map(read_report, pair))
    (entry,) = found.left_out
    assert entry.to_json() == {"profile": PROFILES[0], "reason": "its energies of single samples are not recorded"}


def test_early_exits_at_equal_accuracy(folders, compared):
    early = compared.early_exit
    reports = [json.loads((folder / "report.json").read_text())["early_exit"] for folder in folders]
    target = min(max(p["accuracy"] for p in report["curve"]) for report in reports)
    assert early.equal_accuracy.target == target
    for side, report in zip("ab", reports):
        point = getattr(early.equal_accuracy, side)
        assert point.accuracy >= target
        good = [p["mean_steps"] for p in report["curve"] if p["accuracy"] >= target]
        assert point.mean_steps == min(good)
        assert getattr(early.chosen, side).margin == report["chosen"]["margin"]
        assert len(getattr(early.curves, side)) == len(report["curve"])


def test_without_early_exit_in_both_reports_there_is_none(pair):
    found = compare(*map(read_report, pair))
    assert found.early_exit is None
    assert "Early exit" not in html(found)


def test_a_network_that_does_nothing_divides_nothing(pair):
    report = json.loads((pair[0] / "report.json").read_text())
    for folder in pair:
        change_json(folder, totals=report["totals"] | {"sops": 0.0}, profiles={})
        change_samples(folder, **{name: np.zeros(COUNT) for name in ("sops", "acs", "macs", "spikes")})
    found = compare(*map(read_report, pair))
    assert found.measures.sops.ratio is None
    assert not re.search(r"\b(nan|inf)\b", html(found) + markdown(found), re.IGNORECASE)


def test_the_page_stands_alone(compared):
    page = html(compared)
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.references == []
    assert not {"script", "link"} & set(parsed.tags)
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(page.encode()) < 1_000_000
    assert len(parsed.svgs) == 6  # three charts, each for wide and narrow pages
    assert parsed.tags.count("table") >= parsed.tags.count("figure") == 3
    assert all(len(svg["aria-label"]) > 80 for svg in parsed.svgs)


def test_colours_are_the_pages_own(compared):
    for svg in re.findall(r"<svg.*?</svg>", html(compared), re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}", svg)


def test_pages_say_what_the_intervals_allow(compared):
    said = conclusions(compared)
    assert len(said) == 3 + len(PROFILES)
    for page in (html(compared), markdown(compared)):
        for sentence in said:
            assert sentence in page.replace("&#39;", "'")
        assert "Bonett and Price 2012" in page
        assert "B − A" in page
    for sentence in said:
        assert sentence.endswith(("excludes 0.", "do not tell the two apart."))


def test_names_are_escaped(folders):
    a, b = map(read_report, folders)
    odd = dataclasses.replace(a, report=changed(a.report, network="<b>a|b</b>", data="<i>"))
    page = html(compare(odd, dataclasses.replace(b, report=changed(b.report, data="<i>"))))
    assert "<b>a|b</b>" not in page
    assert "&lt;b&gt;" in page


def test_writing_gives_three_files_of_the_same_bytes(compared, tmp_path):
    first = {path.name: path.read_bytes() for path in write(compared, tmp_path / "new")}
    assert list(first) == ["compare.html", "compare.json", "compare.md"]
    assert json.loads(first["compare.json"]) == compared.to_json()
    assert {path.name: path.read_bytes() for path in write(compared, tmp_path / "new")} == first


def test_a_write_that_fails_leaves_the_old_comparison_whole(compared, tmp_path, monkeypatch):
    write(compared, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = os.replace

    def full(source, target):
        if Path(target).name == "compare.md" and "old" not in Path(source).parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="cannot be written"):
        write(changed(compared, data="other"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_command_writes_and_says(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert command_line(["compare", *map(str, folders), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["compare.html", "compare.json", "compare.md"]
    assert f"A = hybrid, B = direct, {COUNT} samples" in capsys.readouterr().out


def refusal(capsys, one, two, out):
    """The one line of a comparison that is refused, with nothing written."""
    before = sorted(out.parent.rglob("*"))
    assert command_line(["compare", str(one), str(two), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert sorted(out.parent.rglob("*")) == before
    return said


def test_other_samples_are_refused_saying_which(pair, tmp_path, capsys):
    other = report_folder(tmp_path / "other", 3, images_seed=5, profiles=PROFILES[:1], early=False)
    said = refusal(capsys, pair[0], other, tmp_path / "out")
    prints = [json.loads((f / "report.json").read_text())["samples_sha256"][:12] for f in (pair[0], other)]
    assert f"{COUNT} samples of digits ({prints[0]}) against {COUNT} samples of digits ({prints[1]})" in said
    assert "all labels are the same, the images are not; report both on the same samples of the same data" in said
    shorter = report_folder(tmp_path / "shorter", 3, 7, profiles=PROFILES[:1], early=False)
    assert "7 samples of digits" in (said := refusal(capsys, pair[0], shorter, tmp_path / "out"))
    assert "the first 7 have the same labels" in said
    change_json(pair[1], samples_sha256="0" * 64)
    change_samples(pair[1], labels=np.where(np.arange(COUNT) == 8, 1, np.arange(COUNT) % 5))
    assert "sample 8 is of class 3 there and 1 here" in refusal(capsys, *pair, tmp_path / "out")


def damage_json(text):
    return lambda folder: (folder / "report.json").write_text(text)


DAMAGED = {
    "no folder": (lambda folder: folder.rename(folder.with_name("gone")), "is not there; give a folder that"),
    "no report": (lambda folder: (folder / "report.json").unlink(), "is not a report: it holds no report.json"),
    "no JSON": (damage_json("{"), "report.json: not a report (invalid JSON: "),
    "a list": (damage_json("[]"), "report.json: not a report (the file = []: input should be an object)"),
    "another's": (damage_json('{"created_by": "me"}'), "created_by = 'me': string should match"),
    "nested": (damage_json("[" * 100_000), "report.json: not a report (invalid JSON: "),
    "zero samples": (
        lambda folder: change_json(folder, samples=0),
        "samples = 0: input should be greater than or equal to 1",
    ),
    "no totals": (lambda folder: change_json(folder, totals={}), "totals.macs: is missing"),
    "older": (lambda folder: (folder / "samples.npz").unlink(), "an older report, without samples.npz"),
    "no zip": (lambda folder: (folder / "samples.npz").write_bytes(b"PK?"), "samples.npz: not a readable .npz file"),
    "pickled": (
        lambda folder: np.savez(folder / "samples.npz", labels=np.array([{}], object)),
        "samples.npz: not a readable .npz file",
    ),
    "lacking": (lambda folder: change_samples(folder, spikes=None), "samples.npz: holds no 'spikes'"),
    "short": (lambda folder: change_samples(folder, acs=np.zeros(3)), "'acs' is float64 of shape [3]"),
    "words": (lambda folder: change_samples(folder, acs=np.full(COUNT, "x")), "'acs' is <U1 of shape [12]"),
    "float labels": (lambda folder: change_samples(folder, labels=np.zeros(COUNT)), "'labels' is float64"),
    "NaN": (lambda folder: change_samples(folder, macs=np.full(COUNT, math.nan)), "'macs' holds a number that is"),
    "foreign": (lambda folder: change_samples(folder, sops=np.ones(COUNT)), "they are of different runs"),
}


VALUES = {
    "a text in a curve": ("early_exit.curve.2", '"x"', "early_exit.curve.2 = 'x': input should be an object"),
    "a number for a range": (f"profiles.{PROFILES[0]}.energy_joules", "3", "energy_joules = 3: input should be an"),
    "infinity": (f"profiles.{PROFILES[0]}.energy_joules.high", "1e999", "high = inf: input should be a finite number"),
    "NaN as a text": (f"profiles.{PROFILES[0]}.energy_joules.mid", '"nan"', "mid = 'nan': input should be a valid"),
    "beyond all energies": (f"profiles.{PROFILES[0]}.energy_joules.high", "1e308", "low <= mid <= high <= 1e+60"),
    "a missing key": (f"profiles.{PROFILES[0]}.energy_joules.low", None, "energy_joules.low: is missing"),
    "no curve": ("early_exit.curve", "[]", "early_exit.curve = []: tuple should have at least 1 item"),
    "half a character": ("network", r'"\ud800"', "invalid JSON: "),
    "a share above 1": ("early_exit.curve.0.accuracy", "1.5", "early_exit.curve.0.accuracy = 1.5: input should be"),
    "a text without end": ("network", '"' + "a" * 20_000 + '"', "network = 'aaa"),
    "one step too few": ("by_step", "[]", "by_step has 0 entries; expected 4, one for every time step"),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_damaged_value_is_named_by_its_key(folders, tmp_path, capsys, case):
    key, literal, expected = VALUES[case]
    spoiled = shutil.copytree(folders[1], tmp_path / "two")
    report = json.loads((spoiled / "report.json").read_text())
    *path, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    place = report
    for part in path:
        place = place[part]
    place[last] = "@"
    if literal is None:
        del place[last]
    (spoiled / "report.json").write_text(json.dumps(report).replace('"@"', str(literal)))
    said = refusal(capsys, folders[0], spoiled, tmp_path / "out")
    assert f"{spoiled / 'report.json'}: not a report (" in said
    assert expected in said
    assert len(said) < 600


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_reports_are_refused_by_file(pair, tmp_path, capsys, case):
    spoil, expected = DAMAGED[case]
    spoil(pair[1])
    said = refusal(capsys, *pair, tmp_path / "out")
    assert expected in said
    assert "asnn-deploy report" in said


def test_out_may_be_neither_a_report_nor_anybody_elses(pair, tmp_path, capsys):
    assert "is one of the two reports; choose another folder" in refusal(capsys, *pair, pair[1])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    assert "was not made by this command" in refusal(capsys, *pair, tmp_path / "mine")


def test_networks_of_the_same_name_are_told_apart_by_their_reports_folders(pair):
    for folder in pair:
        change_json(folder, network="run")
    compared = compare(*map(read_report, pair))
    assert (compared.a.name, compared.b.name) == ("one", "two")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_markdown_shows_names_as_they_are(compared, name):
    names = ("digits", "hybrid", "direct", *PROFILES)
    plain = seen(markdown(renamed(compared, names, "plain")))
    assert seen(markdown(renamed(compared, names, name))) == plain.replace("plain", escape(name))
