"""A replayed trial is the simulated one: every number of its rows, to the last bit."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.block import simulate_block
from sps_adaptive.cli.output import _state, story
from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.errors import UsageError
from sps_adaptive.replay import replay
from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.spec import load_scenario, parse_scenario
from sps_adaptive.tables import DICTIONARY, OUTCOMES, STOP_REASONS, flatten

SCENARIOS = Path(__file__).parents[1] / "scenarios"
FILES = ["ivig.yaml", "stiffness.yaml"]
TRUTHS = ["ivig as expected", "early placebo response"]
pytestmark = pytest.mark.xdist_group("replay")  # the blocks below are simulated once

DESIGNS = ("adaptive", "fixed")
every_trial = pytest.mark.parametrize("design", DESIGNS)
every_file = pytest.mark.parametrize("file", FILES)


@cache
def scenario(file):
    return load_scenario(SCENARIOS / file)


@cache
def tables(file, truth, block):
    return simulate_block(scenario(file), truth, block)


def rows(file, truth, replicate, design):
    """The rows of one trial in the three tables of its block."""
    found = {}
    for name, columns in tables(file, truth, replicate // BLOCK_SIZE).items():
        these = (columns["replicate"] == replicate) & (columns["design"] == DESIGNS.index(design))
        found[name] = {column: values[these] for column, values in columns.items()}
    return found


def interesting(file, truth, block):
    """Replicates that end in every way there is, the first and the last of a block among them."""
    trials = tables(file, truth, block)["trials"]
    adaptive = trials["design"] == 0
    _, first = np.unique(trials["outcome"][adaptive], return_index=True)
    in_block = sorted({0, BLOCK_SIZE - 1, *first.tolist()})
    return [block * BLOCK_SIZE + row for row in in_block]


@every_file
@pytest.mark.parametrize("truth, block", [(TRUTHS[0], 0), (TRUTHS[1], 1)])
@every_trial
def test_the_tables_of_a_replayed_trial_are_the_rows_of_its_block(file, truth, block, design):
    for replicate in interesting(file, truth, block):
        again = replay(scenario(file), truth, replicate, design)
        found = flatten(again.record, replicate, DAYS_PER_MONTH)
        for name, expected in rows(file, truth, replicate, design).items():
            for column, values in found[name].items():
                np.testing.assert_array_equal(values, expected[column], err_msg=f"{replicate}: {name}.{column}")
            assert set(expected) == set(found[name]) | {"truth", "design"}


@every_file
@every_trial
def test_the_story_of_a_trial_tells_the_numbers_of_the_tables(file, design):
    names = scenario(file).arm_names
    for replicate in interesting(file, TRUTHS[0], 0):
        again, expected = replay(scenario(file), TRUTHS[0], replicate, design), rows(file, TRUTHS[0], replicate, design)
        story = again.looks()
        assert len(story) == len(expected["looks"]["look"])
        for number, told in enumerate(story):
            for column in ("look", "is_final", "month", "n_enrolled", "n_known", "n_pending"):
                assert told[column] == expected["looks"][column][number], column
            assert told["stop_reason"] == STOP_REASONS[expected["looks"]["stop_reason"][number]]
            these = expected["arms"]["look"] == told["look"]
            renamed = {"arm_enrolled": "n_enrolled", "arm_known": "n_known", "arm_total": "total"}
            for key in (
                "is_open", "is_claimed", "meets_efficacy", "arm_enrolled", "arm_known", "arm_total", "estimate",
                "prob_best", "prob_better", "allocation", "effect", "effect_lower", "effect_upper",
            ):  # fmt: skip
                np.testing.assert_array_equal(told[key], expected["arms"][renamed.get(key, key)][these], err_msg=key)
        trial = {column: values[0] for column, values in expected["trials"].items()}
        assert again.outcome() == OUTCOMES[trial["outcome"]]
        assert again.selected_arm() == (None, *names)[trial["selected_arm"]]
        assert story[-1]["is_final"] and not any(told["is_final"] for told in story[:-1])


@every_file
@every_trial
def test_the_patients_of_a_trial_are_those_who_were_counted(file, design):
    names = list(scenario(file).arm_names)
    for replicate in interesting(file, TRUTHS[0], 0):
        again = replay(scenario(file), TRUTHS[0], replicate, design)
        patients, final = again.patients(), again.looks()[-1]
        assert patients["patient"].tolist() == list(range(1, final["n_enrolled"] + 1))
        assert patients["arm"].value_counts()[names].tolist() == final["arm_enrolled"]
        assert patients["enrolled_month"].is_monotonic_increasing
        gone = patients["dropout_month"].dropna()
        assert (gone >= patients["enrolled_month"][gone.index]).all()
        assert patients["site"].min() >= 1
        assert patients["enrolled_month"].max() <= final["month"]


def test_both_designs_and_all_truths_meet_the_same_patients():
    one, other = (replay(scenario(FILES[0]), truth, 11, design) for truth, design in zip(TRUTHS, DESIGNS, strict=True))
    for values, others in zip(one.cohort[:-2], other.cohort[:-2], strict=True):
        np.testing.assert_array_equal(values, others)


def test_every_column_of_the_dictionary_is_there_and_no_other():
    block = tables(FILES[0], TRUTHS[0], 0)
    assert {name: list(columns) for name, columns in block.items()} == {
        name: [column.name for column in columns] for name, columns in DICTIONARY.items() if name != "secondaries"
    }


@pytest.mark.parametrize(
    "truth, replicate, design, words",
    [
        ("nobody", 0, "adaptive", "no truth named 'nobody'"),
        ("null", 0, "sequential", "no design 'sequential'"),
        ("null", -1, "adaptive", "counted from 0"),
    ],
)
def test_what_is_not_there_cannot_be_replayed(truth, replicate, design, words):
    with pytest.raises(UsageError, match=words):
        replay(scenario(FILES[0]), truth, replicate, design)


def test_what_the_rules_compared_is_what_they_decided():
    """Closing and claiming follow from the probabilities told."""
    scenario = load_scenario("scenarios/stiffness.yaml")
    for replicate in range(12):
        told = replay(scenario, "ivig as expected", replicate)
        was_open = np.ones(3, bool)
        for look in told.looks():
            for number, _, _, threshold, better in told.rules(look["look"]):
                rule = scenario.decisions[number - 1]
                for arm, probability in better.items():
                    a = scenario.arm_names.index(arm)
                    if rule.kind == "drop_arm" and was_open[a] and look["stop_reason"] == "none":
                        assert look["is_open"][a] == (probability >= threshold)
                    if rule.kind == "efficacy" and look["meets_efficacy"][a]:
                        assert probability > threshold and probability == pytest.approx(
                            look["prob_better"][a], abs=1e-12
                        )
            was_open = np.array(look["is_open"])


PAUSING = """
title: a trial that pauses, and whose enrolment closes
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 40
  closes_at_month: 30
  accrual: {kind: poisson, patients_per_month: 1.6}
  dropout: {kind: exponential, proportion: 0.2, by_month: 6}
endpoints: {response: {kind: binary, better: lower, assessed_at_month: 4, window_months: 0.5}}
analysis: {response: {kind: beta_binomial}}
looks: {kind: several, of: [{kind: enrolled, at: [12, 24]}, {kind: events, at: [8]}], pause: until_assessed}
allocation: {kind: thompson, power: 1, floor: 0.1}
decisions: [{kind: efficacy, probability: 0.95}, {kind: drop_arm, probability: 0.1}]
truths: {one works: {response: {placebo: 0.5, a: 0.3, b: 0.5}}}
"""


@every_trial
def test_a_trial_that_pauses_is_replayed_on_the_days_on_which_its_patients_came(design):
    planned = parse_scenario(PAUSING)
    block = simulate_block(planned, "one works", 0)
    for replicate in range(12):
        again = replay(planned, "one works", replicate, design)
        for name, columns in flatten(again.record, replicate, DAYS_PER_MONTH).items():
            these = (block[name]["replicate"] == replicate) & (block[name]["design"] == DESIGNS.index(design))
            for column, values in columns.items():
                np.testing.assert_array_equal(values, block[name][column][these], err_msg=f"{name}.{column}")
        patients, story = again.patients(), again.looks()
        assert patients["enrolled_month"].max() <= 30
        for look in story:
            assert (patients["enrolled_month"] <= look["month"]).sum() == look["n_enrolled"]
            assert (patients["assessed_month"] <= look["month"]).sum() == look["n_known"]
            assert look["n_pending"] == 0  # they are waited for
            assert not patients["enrolled_month"].between(look["month"] - 1e-9, look["month"]).any()
            for number, _, _, _, better in again.rules(look["look"]):
                if planned.decisions[number - 1].kind == "efficacy":
                    told = [look["prob_better"][planned.arm_names.index(arm)] for arm in better]
                    np.testing.assert_allclose(list(better.values()), told, atol=1e-12)


PLATFORM = """
title: an arm that opens late, and one that may become the control
arms: {placebo: {control: true}, a: {}, b: {}, late: {opens: {patient: 30}}}
population: {patients: 60, accrual: {kind: steady, patients_per_month: 2}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {response: {kind: beta_binomial, controls: all}}
looks: {kind: enrolled, at: [20, 40]}
allocation: {kind: equal}
decisions: [{kind: promote, probability: 0.9}, {kind: drop_arm, probability: 0.3}]
truths: {one works: {response: {placebo: 0.2, a: 0.7, b: 0.2, late: 0.5}}}
"""


def test_arms_to_come_and_new_controls_are_told_and_only_arms_judged_are_listed(capsys):
    planned = parse_scenario(PLATFORM)
    seen = set()
    for replicate in range(10):
        again = replay(planned, "one works", replicate)
        for look in again.looks():
            names = np.array(planned.arm_names)
            if not look["is_final"]:
                before = [each for each in again.looks() if each["look"] < look["look"]]
                closed = np.any([np.array(each["closed_by"]) > 0 for each in before] or [np.zeros(4)], axis=0)
                here = ~closed & np.array([True, True, True, look["n_enrolled"] >= 30])
                control = again.control_at(look["look"])
                for heard in again.rules(look["look"]):
                    assert set(heard.values) == set(names[here]) - {control}
            states = [_state(planned, look, k) for k in range(4)]
            assert (states[3] == "not yet open") == (look["n_enrolled"] < 30 and not look["is_final"])
            now = [name for name, state in zip(names, states, strict=True) if state.endswith("control now")]
            assert now == [name for name in names[look["is_control"]] if name != "placebo"]
            seen |= set(states)
        story(again, patients=False)
    assert {"not yet open", "closed", "open", "declared effective, control now"} <= seen
    assert "declared effective, control now" in " ".join(capsys.readouterr().out.split())


def test_what_rules_compare_in_a_platform_is_what_the_table_says():
    """The late arm is compared with the controls enrolled meanwhile, also where a replay asks the rules again."""
    scenario = load_scenario("scenarios/platform.yaml")
    design = scenario.designs()["adaptive"]
    margin = design.efficacy_margin
    heard = 0
    for replicate in range(12):
        trial = replay(scenario, next(iter(scenario.truths)), replicate)
        for number, seen in enumerate(trial.record.looks, start=1):
            if not seen.took_place[0]:
                continue
            for each in trial.rules(number):
                rule = scenario.decisions[each.number - 1]
                if getattr(rule, "margin", None) != margin or getattr(rule, "against", "") != "control":
                    continue
                for arm, value in each.values.items():
                    heard += 1
                    assert value == pytest.approx(seen.prob_better[0, design.arms.index(arm)], abs=1e-12)
    assert heard > 20
