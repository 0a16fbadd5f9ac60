"""The page in a headless Chromium: nothing fetched, nothing complained of, every chart in its place and legible."""

import re

import pytest
from browser import BOXES, CHROMIUM, MISSING, OVERLAPS, Browser
from networks.lenet import small_lenet
from reports import changed, example_of, full_report, report_of

from asnn_deploy.reporting import html, write
from asnn_deploy.reporting.page import summary_html

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write(full_report(cores=300), folder, example_of(small_lenet()))[0]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """One step, one sample, no labels, no profiles, many classes, a deep network with long names."""
    graph = small_lenet(1, "latency", classes=100)
    report = report_of(graph, labels=False, profiles=[], samples=1)
    layers = tuple(changed(x, name=f"stage{i}.block{i}.{x.name}") for i in range(9) for x in report.layers)
    path = tmp_path_factory.mktemp("bare") / "page.html"
    path.write_text(html(changed(report, layers=layers), example_of(graph)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["page", "bare"])
def test_every_chart_lies_within_the_page(browser, request, which, width):
    path = request.getfixturevalue(which)
    browser.open(path, width)
    boxes = browser.ask(BOXES)
    assert len(boxes) >= 12
    for box in boxes:
        assert box["width"] > 5, box
        assert box["height"] > 5, box
        assert box["left"] >= 0, box
        assert box["right"] <= min(width, box["parent"] + 1), box
        assert box["loaded"], box
        assert box["name"], box
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(OVERLAPS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_requested_and_nothing_complained_of(browser, page, scheme):
    browser.events.clear()
    for width in WIDTHS:
        browser.open(page, width, scheme)
        assert browser.screenshot().startswith(b"\x89PNG")
    assert browser.requests == [page.resolve().as_uri()] * len(WIDTHS)
    assert browser.complaints == []


def test_the_scheme_decides_the_colours(browser, page):
    colours = {}
    for scheme in ("light", "dark"):
        browser.open(page, 1280, scheme)
        colours[scheme] = browser.ask("getComputedStyle(document.documentElement).backgroundColor")
    assert colours == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 23, 29)"}


def test_the_tables_behind_the_charts_are_printed(browser, page):
    table = "document.querySelector('details table').checkVisibility({contentVisibilityAuto: true}) && "
    table += "document.querySelector('details table').getBoundingClientRect().height > 0"
    browser.open(page, 1280)
    assert browser.ask(table) is False
    browser.open(page, 1280, media="print")
    assert browser.ask(table) is True
    assert browser.pdf().startswith(b"%PDF")


def test_it_reads_without_scripts(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page, 1280)
        text = browser.call("DOM.getDocument", depth=0)["root"]["documentURL"]
        assert text == page.resolve().as_uri()
        assert len(browser.screenshot()) > 50_000
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


PAPER = 672
"""CSS pixels between the margins of A4."""
OUTSIDE = """[...document.querySelectorAll('table')].flatMap(t => {
  const page = document.querySelector('main').getBoundingClientRect().right;
  return [...t.querySelectorAll('th, td')].filter(c => c.getBoundingClientRect().right > page + 1 ||
    c.scrollWidth > c.clientWidth + 1).map(c => (t.caption ? t.caption.textContent : '') + ' | ' + c.textContent.trim());
})"""
UNREACHABLE = """[...document.querySelectorAll('table')].filter(t => {
  const around = t.parentElement, right = around.getBoundingClientRect().right;
  return t.checkVisibility() && t.getBoundingClientRect().right > right + 1 && getComputedStyle(around).overflowX != 'auto';
}).map(t => t.caption.textContent)"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """16 steps and 20 classes, whose numbers are long."""
    path = tmp_path_factory.mktemp("wide") / "page.html"
    path.write_text(html(full_report(time_steps=16, classes=20), example_of(small_lenet(16, classes=20))))
    return path


@pytest.mark.parametrize("which", ["page", "bare", "wide"])
def test_printed_tables_lie_on_the_paper(browser, request, which):
    browser.open(request.getfixturevalue(which), PAPER, media="print")
    assert browser.ask(OUTSIDE) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["page", "bare", "wide"])
def test_what_is_wider_than_the_page_can_be_scrolled_to(browser, request, which, width):
    browser.open(request.getfixturevalue(which), width)
    assert browser.ask(UNREACHABLE) == []


LONG = "a-network-with-a-name-" * 9
SUMMARIES = {
    "full": full_report,
    "long names": lambda: changed(full_report(), network=LONG, data=f"folder:/{LONG}"),
    "many chips": lambda: changed(full_report(), fit={f"chip{i}": full_report().fit["loihi2"] for i in range(9)}),
    "hundred classes": lambda: full_report(classes=100),
    "bare": lambda: report_of(small_lenet(1, "latency"), labels=False, profiles=[], samples=1),
}


@pytest.mark.parametrize("case", SUMMARIES)
def test_a_summary_prints_on_one_page(browser, tmp_path, case):
    path = tmp_path / "summary.html"
    path.write_text(summary_html(SUMMARIES[case]()), encoding="utf-8")
    browser.open(path, PAPER, media="print")
    printed = browser.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    assert browser.ask(OUTSIDE) == []
    browser.open(path, 390)
    assert browser.ask("document.documentElement.scrollWidth") <= 390
