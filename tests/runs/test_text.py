from pathlib import Path

import pytest

from sps_adaptive.runs.text import scenario_text
from sps_adaptive.spec import load_scenario, parse_scenario
from tests.runs.fakes import a_scenario

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_of_the_project_comes_back(file):
    scenario = load_scenario(file)
    assert parse_scenario(scenario_text(scenario)) == scenario


def test_order_and_strange_names_come_back():
    scenario = a_scenario('  "null":', "  zwölf (50%):")
    again = parse_scenario(scenario_text(scenario))
    assert again == scenario
    assert again.arm_names == scenario.arm_names == ("placebo", "low dose", "high dose")
    assert list(again.truths) == ["zwölf (50%)", "it works"]
