"""Declaring an arm not much worse than the control."""

import pytest
from pydantic import ValidationError

from sps_adaptive.characteristics.truths import true_state
from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import NonInferiority
from sps_adaptive.exact.certificate import nulls
from sps_adaptive.synopsis import describe
from tests.contracts.fakes import look_at_better
from tests.exact.helpers import scenario

RULE = {"kind": "non_inferiority", "margin": 0.15, "probability": 0.95}
EQUAL = {"kind": "equal"}


def test_it_asks_the_posterior_about_the_margin_and_about_nothing_else():
    said = NonInferiority(**RULE).verdict(look_at_better([[0, 0.96, 0.5], [0, 0.9, 0.95]], by=-0.15))
    assert said.claim.tolist() == [[False, True, False], [False] * 3]
    assert said.stop.tolist() == [Stop.EFFICACY, Stop.NO]


def test_only_the_arm_closes_if_the_others_are_to_go_on():
    said = NonInferiority(**RULE, then="close_arm").verdict(look_at_better([0, 0.96, 0.5], by=-0.15))
    assert said.close.tolist() == [[False, True, False]] and not said.stop.any()


@pytest.mark.parametrize("margin", [0, -0.1])
def test_the_margin_is_above_nothing(margin):
    with pytest.raises(ValidationError):
        NonInferiority(**RULE | {"margin": margin})


def the_trial(rates):
    return scenario(24, rates, {"kind": "enrolled", "at": [12]}, EQUAL, [RULE])


@pytest.mark.parametrize("rate, effective", [(0.44, False), (0.45, False), (0.46, True), (0.6, True), (0.7, True)])
def test_an_arm_counts_as_effective_where_it_is_not_worse_by_the_margin(rate, effective):
    """On the margin itself, 0.60 - 0.15, an arm is not."""
    case = the_trial((0.6, rate))
    assert case.designs()["adaptive"].efficacy_margin == -0.15
    assert true_state(case, "truth").is_effective.tolist() == [False, effective]


def test_the_error_is_certified_over_arms_that_are_worse_by_the_margin():
    (whole,) = nulls(the_trial((0.6, 0.5)))
    assert whole.margin == -0.15 and whole.below == (0, 1)
    assert whole.name == "arm 1 worse than arm 0 by 0.15 or more"


def test_the_synopsis_says_what_effective_means_here():
    (rule,) = [each for each in describe(the_trial((0.6, 0.5))) if each.startswith("Rule")]
    assert "here meaning non-inferior" in rule and "at most 15 percentage points worse than arm 0" in rule
