"""The page of the gallery says what the command computes."""

from pathlib import Path

import pytest

from sps_adaptive.search.gallery import ENTRIES, gallery
from sps_adaptive.spec import load_scenario

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| rule")
]
RULES = {row[0].removesuffix(" ▼"): row for row in ROWS}


def test_every_entry_has_a_row_and_rows_are_sorted():
    assert set(RULES) == {entry.name for entry in ENTRIES}
    power = [float(row[1]) for row in ROWS]
    assert power == sorted(power, reverse=True)
    bar = float(RULES["equal, arms dropped"][1])
    fixed = ("equal", "equal, arms dropped", "square-root control")
    for rule, row in RULES.items():
        assert row[0].endswith("▼") == (rule not in fixed and float(row[1]) < bar), rule


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["equal", "Thompson, control 1/3", "Gittins", "Trippa"])
def test_figures(rule):
    entry = next(entry for entry in ENTRIES if entry.name == rule)
    found = gallery(load_scenario(ROOT / "scenarios" / "gallery.yaml"), 0.05, [entry]).set_index("truth")
    one, both, row = found.loc["ivig works"], found.loc["both work"], RULES[rule]
    expected = (
        f"{100 * one.power:.1f}", f"{100 * both.power:.1f}", f"{100 * one.share_on_best:.1f}", f"{one.failures:.1f}",
        f"{one.patients:.1f}", f"{100 * one.wrong_direction:.1f}",
    )  # fmt: skip
    assert tuple(row[1:-1]) == expected
    assert row[-1] == f"{one.threshold:.6g}"
