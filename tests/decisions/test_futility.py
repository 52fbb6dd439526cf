"""Giving up."""

import numpy as np
import pytest

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import Futility
from tests.contracts.fakes import look_at_better


@pytest.mark.parametrize(
    "better, is_open, stops",
    [
        ([0, 0.01, 0.02], [True, True, True], True),
        ([0, 0.01, 0.05], [True, True, True], False),  # on the threshold
        ([0, 0.01, 0.9], [True, True, True], False),
        ([0, 0.01, 0.9], [True, True, False], True),  # a closed arm has no say
        ([0, 0.9, 0.9], [True, True, True], False),
    ],
)
def test_the_trial_stops_when_every_open_arm_is_hopeless(better, is_open, stops):
    said = Futility(kind="futility", probability=0.05).verdict(look_at_better(better, is_open=is_open))
    assert said.stop.tolist() == [Stop.FUTILITY if stops else Stop.NO]
    assert not said.claim.any() and not said.close.any()


def test_the_same_condition_holds_at_the_final_analysis():
    look = look_at_better([[0, 0.01, 0.02], [0, 0.5, 0.02]], k=3)
    assert Futility(kind="futility", probability=0.05).verdict(look).stop.tolist() == [Stop.FUTILITY, Stop.NO]


def test_nothing_is_below_zero():
    look = look_at_better(np.zeros((1, 3)))
    assert not Futility(kind="futility", probability=0).verdict(look).stop.any()
