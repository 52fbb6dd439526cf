"""Rules that do not bind: a third design of the run, in which nobody follows them."""

from __future__ import annotations

import numpy as np
import pytest

from sps_adaptive.block import DESIGNS, simulate_block
from sps_adaptive.characteristics.exact import exact_tables
from sps_adaptive.characteristics.summary import summarise
from sps_adaptive.characteristics.sums import block_sums
from sps_adaptive.decisions import DropArm, Futility, Predictive
from sps_adaptive.decisions.contradictions import contradictions
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.calibration import calibrate
from sps_adaptive.exact.sizes import curve
from sps_adaptive.replay import replay
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.spec import variant
from tests.exact.helpers import scenario

EFFICACY = {"kind": "efficacy", "probability": 0.95}
FREE = {"kind": "futility", "probability": 0.7, "binding": False}
DROP = {"kind": "drop_arm", "probability": 0.1}
LOOKS = {"kind": "enrolled", "at": [8, 16]}


def trial(*rules, rates=(0.4, 0.4, 0.4), looks=LOOKS) -> Scenario:
    return scenario(24, rates, looks, {"kind": "equal"}, rules)


def figures(frame, design):
    rows = frame[(frame["design"] == design) & (frame["arm"] == "") & (frame["look"] == 0)]
    return dict(zip(rows["metric"], rows["estimate"], strict=True))


def test_there_is_such_a_design_only_where_a_rule_does_not_bind():
    assert trial(EFFICACY, FREE | {"binding": True}, DROP).design_names == ("adaptive", "fixed")
    assert trial(EFFICACY, FREE, DROP).design_names == DESIGNS
    assert list(trial(EFFICACY, DROP | {"binding": False}).designs()) == list(DESIGNS)
    joined = {"kind": "any_of", "rules": [FREE, FREE | {"margin": 0.1}]}
    assert trial(EFFICACY, joined).strictest == "no_futility"


def test_it_is_the_trial_without_the_rule():
    """Exactly: every figure is that of the adaptive design of a scenario from which the rule was left out."""
    with_it, without = trial(EFFICACY, FREE, DROP), trial(EFFICACY, DROP)
    ignored = figures(exact_tables(with_it).characteristics, "no_futility")
    left_out = figures(exact_tables(without).characteristics, "adaptive")
    assert ignored.keys() == left_out.keys()
    for metric, value in ignored.items():
        assert value == pytest.approx(left_out[metric], abs=1e-12), metric
    followed = figures(exact_tables(with_it).characteristics, "adaptive")
    assert followed["familywise_error"] < ignored["familywise_error"] - 0.002


def test_simulated_trials_are_those_without_the_rule_too():
    with_it, without = trial(EFFICACY, FREE, DROP), trial(EFFICACY, DROP)
    both, one = (simulate_block(case, "truth", 0) for case in (with_it, without))
    for table in both:
        third, first = both[table]["design"] == DESIGNS.index("no_futility"), one[table]["design"] == 0
        for column, values in both[table].items():
            if column not in ("design", "closed_by"):
                np.testing.assert_array_equal(values[third], one[table][column][first], err_msg=f"{table}.{column}")
    arms = both["arms"]
    closed = set(arms["closed_by"][arms["design"] == DESIGNS.index("no_futility")].tolist())
    assert closed == {0, 3}  # the numbers of the file: the rule that is ignored keeps its place


def test_the_summary_names_it():
    case = trial(EFFICACY, FREE)
    found = summarise(case, [("truth", block_sums(case, "truth", simulate_block(case, "truth", 0), BLOCK_SIZE))])
    assert set(found["design"]) >= set(DESIGNS)
    free, followed = (figures(found, name)["familywise_error"] for name in ("no_futility", "adaptive"))
    exactly = figures(exact_tables(case).characteristics, "no_futility")["familywise_error"]
    assert abs(free - exactly) < 4 * np.sqrt(exactly * (1 - exactly) / BLOCK_SIZE)
    assert followed <= free  # the same patients: giving up takes claims away, and adds none


def test_it_can_be_replayed_and_the_numbers_of_the_rules_remain():
    case = trial(EFFICACY, FREE, DROP)
    told = replay(case, "truth", 3, "no_futility")
    spoke = {heard.number for look in told.looks() for heard in told.rules(look["look"])}
    assert spoke == {1, 3}
    with pytest.raises(UsageError, match="no design 'no_futility'"):
        replay(trial(EFFICACY, DROP), "truth", 3, "no_futility")


def test_thresholds_are_found_for_the_trial_in_which_it_is_ignored():
    final = EFFICACY | {"from_look": 3}
    free, without = calibrate(trial(final, FREE), 0.05), calibrate(trial(final), 0.05)
    bound = calibrate(trial(final, FREE | {"binding": True}), 0.05)
    assert free.threshold == pytest.approx(without.threshold, abs=1e-9)
    assert bound.threshold < free.threshold
    with pytest.raises(UsageError, match="rules that do not bind"):
        curve(trial(final, FREE, rates=(0.3, 0.6, 0.3)), [16, 24], "truth", level=0.05)


def test_what_cannot_be():
    rule = Predictive(kind="predictive", then="efficacy", probability=0.9, binding=False)
    assert [where for where, _, _ in rule.problems(2, False)] == [("binding",)]
    joined = {"kind": "all_of", "rules": [FREE, FREE | {"binding": True}]}
    with pytest.raises(Exception, match="without binding"):
        trial(EFFICACY, joined)
    assert not Futility(**FREE).is_binding and DropArm(**DROP).is_binding
    assert list(contradictions(trial(EFFICACY, FREE).decisions, 2, (0.3, 0.6))) == []


def test_a_rule_that_does_not_bind_is_another_scenario():
    case = trial(EFFICACY, FREE)
    assert case.digest() != variant(case, decisions=[EFFICACY, FREE | {"binding": True}]).digest()
