"""A table fits whatever terminal there is, and nothing in it is lost."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sps_adaptive.cli.layout import Table, cells, fold

LONG = "intravenous immunoglobulin 2 g/kg over two days, every month"
UNBROKEN = "efgartigimodalfasubcutaneousweeklyforfourweeksthenasneeded"


def table(truths, arms):
    made = Table("Title", ["truth", "design"], [*arms, "any\nright"], "note")
    for number, truth in enumerate(truths):
        for design in ("adaptive", "fixed"):
            made.add(truth, design, *(f"{number}.{k} ±0.5" for k in range(len(arms))), "12.5")
    return made


def solid(text):
    """The text without what folding may change."""
    return re.sub(r"\s", "", text)


def test_a_table_that_fits_is_one_table():
    assert table(["null", "one works"], ["A", "B"]).parts(80) == [
        [
            "                                           any",
            "truth      design           A         B  right",
            "──────────────────────────────────────────────",
            "null       adaptive  0.0 ±0.5  0.1 ±0.5   12.5",
            "           fixed     0.0 ±0.5  0.1 ±0.5   12.5",
            "one works  adaptive  1.0 ±0.5  1.1 ±0.5   12.5",
            "           fixed     1.0 ±0.5  1.1 ±0.5   12.5",
        ]
    ]


def test_a_long_name_goes_on_in_the_rows_below():
    (part,) = table(["early placebo response that fades", "null"], ["A", "B"]).parts(80)
    assert [line[:34] for line in part[-4:]] == [
        "early placebo response that  adapt",
        "  fades                      fixed",
        "null                         adapt",
        "                             fixed",
    ]


def test_a_name_takes_rows_of_its_own_if_the_table_is_then_not_split():
    (part,) = table(["early placebo response that fades", "null"], ["A", "B"]).parts(55)
    assert [line[:22] for line in part[-5:]] == [
        "early placebo    adapt",
        "  response that  fixed",
        "  fades",
        "null             adapt",
        "                 fixed",
    ]


@pytest.mark.parametrize("width", [50, 80, 100, 140])
@pytest.mark.parametrize("n_arms", [1, 2, 5, 50])
@pytest.mark.parametrize("name", ["A", LONG, UNBROKEN])
def test_no_line_is_wider_than_the_terminal(width, n_arms, name):
    arms = [f"{name} {k}" for k in range(n_arms)]
    parts = table([name, f"{name}, but not"], arms).parts(width)
    assert max(cells(line) for part in parts for line in part) <= width
    for part in parts:
        assert part[-1].strip()
        assert sum("adaptive" in line for line in part) == 2
    figures = [f"{truth}.{k} ±0.5" for truth in range(2) for k in range(n_arms)]
    text = "\n".join(line for part in parts for line in part)
    assert all(figure in text for figure in figures)
    assert "…" not in text


def test_the_parts_of_a_split_table_are_about_equally_wide():
    parts = table(["null"], [f"arm {k}" for k in range(12)]).parts(90)
    widths = [len(part[-1]) for part in parts]
    assert len(parts) == 2
    assert max(widths) - min(widths) <= 12


def test_a_heading_is_as_narrow_as_its_words_allow():
    made = Table("Title", ["truth"], ["stops for futility, %"], rows=[("null", "0.1")])
    assert made.parts(80) == [
        ["       stops for", "       futility,", "truth          %", "─" * 16, "null         0.1"]
    ]


@given(st.text(alphabet="abc xyz-_/+,.ÄÖ世", max_size=60), st.integers(1, 40))
@example("", 1)
@example(UNBROKEN, 16)
def test_folding_loses_nothing(text, width):
    lines = fold(text, width)
    assert solid("".join(lines)) == solid(text)
    if "世" not in text:
        assert max(map(cells, lines)) <= width


def test_words_are_broken_only_if_they_must():
    assert fold("mycophenolate mofetil 2 g", 14) == ["mycophenolate", "mofetil 2 g"]
    assert fold("mycophenolate_mofetil", 14) == ["mycophenolate_", "mofetil"]
    assert fold("mycophenolate", 6, "  ") == ["mycoph", "  enol", "  ate"]
    assert fold("any wrong\n(familywise)", 12) == ["any wrong", "(familywise)"]


def test_wide_characters_count_twice():
    assert cells("世界") == 4
    assert cells("e\u0301") == 1
    made = Table("Title", ["truth"], ["n"], rows=[("世界", "1"), ("null", "2")])
    assert made.parts(80)[0][-2:] == ["世界   1", "null   2"]
