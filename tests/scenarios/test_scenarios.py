"""The scenarios of the field: each asks one question, says where its numbers come from, and runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.spec import load_scenario
from sps_adaptive.trial import run

FOLDER = Path(__file__).parents[2] / "scenarios"

NULLS = {
    "azathioprine": "no effect",
    "benzodiazepine": "no effect",
    "cannabinoid": "no effect",
    "gad65": "no effect",
    "magnetic_stimulation": "no effect",
    "multicentre": "nothing works",
    "mycophenolate": "no effect",
    "plasmapheresis": "no effect",
    "rituximab_2017": "no effect",
}
"""The truth of each scenario in which no arm works."""

LEVEL = {"multicentre": 0.05}
"""The stated level of the error, familywise where there are several arms; 0.025 elsewhere."""

OTHER_DISEASES = re.compile(
    "multiple sclerosis|myasthenia|after stroke|"
    "Sanders 2008|Palace 1998|Collin 2010|SAVANT|SativexStroke|Mori 2010|Paisley"
)

each_scenario = pytest.mark.parametrize("name", NULLS)


def some_trials(scenario, truth, replicates):
    """Trials of a scenario on a few of its patients: (trial record, names of the endpoints)."""
    cohort = scenario.draw(scenario.simulation.seed, 0, replicates)
    first, *others = (scenario.potential(truth, name, cohort) for name in scenario.endpoints)
    names = list(scenario.endpoints)
    return run(scenario.designs()["adaptive"], cohort, first, dict(zip(names[1:], others, strict=True)))


@each_scenario
def test_the_file_begins_with_its_question(name):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    opening = text.split("\n#\n")[0].replace("\n#", "")
    assert opening.startswith("# ")
    assert opening.endswith("?")
    assert opening.count("?") == 1


@each_scenario
def test_everything_assumed_has_a_source(name):
    scenario = load_scenario(FOLDER / f"{name}.yaml")
    stated = [*scenario.truths.values(), *scenario.endpoints.values(), scenario.population.accrual]
    stated += [scenario.population.dropout] if scenario.population.dropout else []
    assert all(each.source for each in stated)


@each_scenario
def test_figures_of_other_diseases_are_called_analogues(name):
    scenario = load_scenario(FOLDER / f"{name}.yaml")
    stated = [*scenario.truths.values(), *scenario.endpoints.values(), scenario.population.dropout]
    for each in stated:
        if each is not None and OTHER_DISEASES.search(each.source):
            assert "analogue" in each.source


@each_scenario
def test_trials_run_under_every_truth_and_every_fit_converges(name):
    scenario = load_scenario(FOLDER / f"{name}.yaml")
    for truth in scenario.truths:
        record = some_trials(scenario, truth, 40)
        final = record.looks[-1]
        assert np.isfinite(final.estimate).all()
        assert np.isfinite(final.prob_better).all()
        assert not final.fit_failed.any()
        assert all(np.isfinite(each.prob_better).all() for each in record.secondaries)


@pytest.mark.long
@pytest.mark.slow
@each_scenario
def test_errors_are_near_the_stated_level_where_nothing_works(name):
    """In 1,000 trials, within four Monte Carlo standard errors."""
    record = some_trials(load_scenario(FOLDER / f"{name}.yaml"), NULLS[name], 1000)
    level = LEVEL.get(name, 0.025)
    assert (record.selected >= 0).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000))
