import math

import pytest

from asnn_deploy.reporting.numbers import count, interval, interval_text, joule_range, joules, seconds, share, short


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (0.456, "0.456"), (4.56, "4.56"), (45.67, "45.7"), (456.7, "457"), (1234567.8, "1,234,568")],
)
def test_count(value, text):
    assert count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01, "<0.1"),
        (4.56, "4.6"),
        (9.97, "10"),
        (456.7, "457"),
        (999.7, "1.0k"),
        (12345, "12k"),
        (1.2e6, "1.2M"),
    ],
)
def test_short_fits_a_cell(value, text):
    assert short(value) == text
    assert len(short(value)) <= 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 %"), (0.00123, "0.12 %"), (0.123, "12.3 %"), (0.9996, "100 %"), (1, "100 %")],
)
def test_share(value, text):
    assert share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 J"),
        (1.234e-9, "1.23 nJ"),
        (9.9e-16, "0.990 fJ"),
        (2.5e-6, "2.50 µJ"),
        (0.1, "100 mJ"),
        (3e6, "3,000 kJ"),
    ],
)
def test_joules(value, text):
    assert joules(value) == text


def test_seconds():
    assert seconds(2.02e-6) == "2.02 µs"
    assert seconds(None) == "–"


def test_ranges_share_a_unit_where_that_reads_well():
    assert joule_range([1.5e-9, 3e-8]) == "1.50 – 30.0 nJ"
    assert joule_range([9e-9, 2.5e-6]) == "9.00 nJ – 2.50 µJ"
    assert joule_range([0.5e-6, 2.5e-6]) == "0.500 – 2.50 µJ"
    assert joule_range([1e-9]) == "1.00 nJ"
    assert joule_range([0, 0]) == "0 J"


@pytest.mark.parametrize(("right", "samples"), [(0, 10), (10, 10), (7, 10), (87, 100), (1, 1)])
def test_the_interval_holds_the_rates_that_a_score_test_does_not_reject(right, samples):
    low, high = interval(right / samples, samples)
    assert 0 <= low <= right / samples <= high <= 1
    for edge in (low, high):
        if 0 < edge < 1:
            assert abs(right / samples - edge) == pytest.approx(1.96 * math.sqrt(edge * (1 - edge) / samples))


def test_an_interval_as_text_is_the_interval():
    low, high = interval(0.9, 100)
    assert interval_text(0.9, 100) == f"{100 * low:.1f} – {100 * high:.1f} %"
