"""Closing an arm that does harm."""

import pytest

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import Harm
from tests.contracts.fakes import look_at_better


def said(better, *, by=0.0, **given):
    rule = Harm(kind="harm", **{"probability": 0.9} | given)
    return rule.verdict(look_at_better(better, by=by))


def test_an_arm_that_is_probably_worse_closes_and_the_trial_goes_on():
    found = said([[0, 0.05, 0.5], [0, 0.2, 0.3]])
    assert found.close.tolist() == [[False, True, False], [False] * 3]
    assert not found.stop.any() and not found.claim.any()


def test_or_the_trial_stops_for_harm():
    found = said([[0, 0.05, 0.5], [0, 0.2, 0.3]], then="stop")
    assert found.stop.tolist() == [Stop.HARM, Stop.NO]
    assert found.close.tolist() == [[False, True, False], [False] * 3]


def test_worse_by_a_margin_is_not_better_by_less_than_nothing():
    """P(a < 0 - 0.1) is one less P(a > 0 - 0.1): the posterior is asked about -0.1 and about nothing else."""
    assert said([0, 0.05, 0.5], by=-0.1, margin=0.1).close.tolist() == [[False, True, False]]


@pytest.mark.parametrize("distance, beyond", [(0.0, False), (0.5e-12, False), (3e-12, True)])
def test_the_threshold_is_strict(distance, beyond):
    assert said([0, 0.1 - distance]).close.any() == beyond


def test_it_is_silent_at_the_final_analysis():
    rule = Harm(kind="harm", probability=0.5)
    found = rule.verdict(look_at_better([0, 0.0, 0.0], k=3))
    assert not found.stop.any() and not found.close.any()
    assert rule.reason == Stop.HARM and not rule.at_final
