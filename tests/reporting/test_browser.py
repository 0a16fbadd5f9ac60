"""The page in a headless Chromium: nothing fetched, nothing complained of, every chart in its place and legible."""

import pytest
from browser import BOXES, CHROMIUM, MISSING, OVERLAPS, Browser
from networks.lenet import small_lenet
from reports import example_of, full_report, report_of

from asnn_deploy.reporting import html, write

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
    layers = [{**x, "name": f"stage{i}.block{i}.{x['name']}"} for i in range(9) for x in report["layers"]]
    path = tmp_path_factory.mktemp("bare") / "page.html"
    path.write_text(html({**report, "layers": layers}, example_of(graph)), encoding="utf-8")
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
