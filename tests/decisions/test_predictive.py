"""Stopping on the predictive probability of success."""

import numpy as np
import pytest

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import Efficacy, Predictive
from sps_adaptive.errors import DesignError, UsageError
from sps_adaptive.exact.binding import designs
from tests.analytic.helpers import scenario
from tests.contracts.fakes import look_at_better

TRUTHS = {"t": {"y": {"a": 0.3, "b": 0.6}}}
SUCCESS = {"kind": "efficacy", "probability": 0.95, "from_look": 4}


def rule(**given):
    """A rule bound to a table that says of an arm what the fake posterior says."""
    return Predictive(kind="predictive", **given).bind(lambda look: look.posterior.prob_better(look.control))


@pytest.mark.parametrize(
    "better, is_open, stops",
    [
        ([0, 0.01, 0.02], [True, True, True], True),
        ([0, 0.01, 0.05], [True, True, True], False),  # on the threshold
        ([0, 0.01, 0.9], [True, True, False], True),  # a closed arm has no say
    ],
)
def test_the_trial_stops_when_no_arm_will_succeed(better, is_open, stops):
    said = rule(probability=0.05).verdict(look_at_better(better, is_open=is_open))
    assert said.stop.tolist() == [Stop.FUTILITY if stops else Stop.NO]
    assert not said.claim.any() and not said.close.any()


def test_an_arm_that_will_surely_succeed_is_claimed():
    said = rule(probability=0.9, then="efficacy").verdict(look_at_better([[0, 0.95, 0.5], [0, 0.9, 0.5]]))
    assert said.stop.tolist() == [Stop.EFFICACY, Stop.NO]
    assert said.claim.tolist() == [[False, True, False], [False, False, False]]


def test_it_is_silent_at_the_final_analysis():
    said = rule(probability=0.05).verdict(look_at_better([0, 0.01, 0.02], k=3))
    assert not said.stop.any()


def test_alone_it_knows_no_trial():
    with pytest.raises(TypeError, match="bound"):
        Predictive(kind="predictive", probability=0.05).verdict(look_at_better([0, 0.01, 0.02]))


def case(*decisions, **sections):
    return scenario(
        population=24, looks={"kind": "enrolled", "first": 6, "every": 6}, decisions=list(decisions), truths=TRUTHS,
        **sections,
    )  # fmt: skip


@pytest.mark.parametrize(
    "decisions, message",
    [
        ([{"kind": "predictive", "probability": 0.1}], "no efficacy rule"),
        ([SUCCESS, {"kind": "predictive", "probability": 0.1, "margin": 0.1}], "margin has no place"),
        ([SUCCESS | {"test": "conditional"}, {"kind": "predictive", "probability": 0.1}], "conditional test"),
        ([SUCCESS | {"test": "conditional", "from_look": 1}], "final analysis only"),
    ],
)
def test_what_cannot_be(decisions, message):
    with pytest.raises(DesignError, match=message):
        case(*decisions)


def test_a_trial_whose_paths_cannot_be_summed_is_refused_in_words():
    from sps_adaptive.scenario import Scenario

    made = case(SUCCESS, {"kind": "predictive", "probability": 0.1}).model_dump()
    made["population"]["accrual"] = {"kind": "poisson", "patients_per_month": 1}
    made["endpoints"]["y"]["assessed_at_month"] = 3
    with pytest.raises(UsageError, match="paths can be summed"):
        designs(Scenario.model_validate(made))


def test_designs_without_such_rules_are_those_of_the_scenario():
    plain = case(SUCCESS)
    assert isinstance(designs(plain)["adaptive"].decisions[0], Efficacy)
    both = designs(case(SUCCESS, {"kind": "predictive", "probability": 0.1}))
    assert len(both["fixed"].decisions) == 1
    assert np.array_equal(both["adaptive"].decisions[1].applies(look_at_better([0, 0.5, 0.5])), True)
