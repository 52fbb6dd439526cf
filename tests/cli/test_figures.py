"""How figures are written."""

import pytest

from sps_adaptive.cli.figures import Figure, number, percent, plain, rate


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (None, "-"),
        (Figure(0.5861, 0.0049, 0.576, 0.596), "58.6 ±0.5"),
        (Figure(0.0003, 0.00017, 0.0001, 0.0009), "0.03 ±0.02"),
        (Figure(0.0, 0.000094, 0.0, 0.00037), "0 (<0.037)"),
        (Figure(0.0, 0.009, 0.0, 0.0365), "0 (<3.6)"),
        (Figure(1.0, 0.009, 0.9635, 1.0), "100 (>96.35)"),
        (Figure(1 / 3, 0.0, 1 / 3, 1 / 3), "33.3"),
        (Figure(0.0, 0.0, 0.0, 0.0), "0.0"),
        (Figure(0.5, None, None, None), "50.0"),
    ],
)
def test_percent(figure, text):
    assert percent(figure) == text


@pytest.mark.parametrize(
    ("figure", "digits", "signed", "text"),
    [
        (None, 1, False, "-"),
        (Figure(54.31, 0.12, None, None), 1, False, "54.3 ±0.1"),
        (Figure(54.31, 0.012, None, None), 1, False, "54.3 ±<0.1"),
        (Figure(60.0, 0.0, None, None), 1, False, "60.0"),
        (Figure(60.0, None, None, None), 1, False, "60.0"),
        (Figure(-0.0004, 0.01, None, None), 3, True, "+0.000 ±0.010"),
        (Figure(-0.014, 0.01, None, None), 3, True, "-0.014 ±0.010"),
    ],
)
def test_number(figure, digits, signed, text):
    assert number(figure, digits, signed=signed) == text


def test_numbers_without_their_error():
    assert plain(None) == rate(None) == "-"
    assert plain(Figure(56.78, 0.6, None, None)) == "57"
    assert rate(Figure(0.0, 0.1, 0.0, 0.1)) == "0"
    assert rate(Figure(0.455, 0.1, 0.4, 0.5)) == "45.5"
    assert rate(Figure(0.0004, 0.1, 0.0, 0.1)) == "<0.1"
