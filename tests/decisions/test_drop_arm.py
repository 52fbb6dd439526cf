"""Closing an arm that does not do well."""

import numpy as np

from sps_adaptive.decisions import DropArm
from tests.contracts.fakes import look_at_best, look_at_better


def test_each_hopeless_arm_closes_and_the_trial_does_not_stop():
    better = [[0, 0.05, 0.5], [0, 0.05, 0.01], [0, 0.1, 0.9]]
    said = DropArm(kind="drop_arm", probability=0.1).verdict(look_at_better(better))
    assert said.close.tolist() == [[False, True, False], [False, True, True], [False] * 3]
    assert not said.stop.any() and not said.claim.any()


def test_it_is_silent_at_the_final_analysis():
    said = DropArm(kind="drop_arm", probability=[0.1, 0.1, 0.1]).verdict(look_at_better(np.zeros((2, 3)), k=3))
    assert not said.close.any() and not said.stop.any() and not said.claim.any()


def closed(best, **given):
    rule = DropArm(kind="drop_arm", against="best", **given)
    return rule.verdict(look_at_best(best)).close.tolist()


def test_against_the_best_it_asks_again_about_those_that_are_left():
    """Of 0.05, 0.15, 0.8 the first leaves; the second then has 0.15 / 0.95, which is below 0.16."""
    assert closed([0.8, 0.05, 0.15], probability=0.151) == [[False, True, True]]
    assert closed([0.8, 0.05, 0.15], probability=0.158) == [[False, True, True]]
    assert closed([0.7, 0.1, 0.2], probability=0.2) == [[False, True, False]]
    assert closed([0.05, 0.8, 0.15], probability=0.158) == [[False, False, True]]


def test_the_control_too_and_never_the_one_most_likely_to_be_the_best():
    assert closed([0.05, 0.8, 0.15], probability=0.1, control_too=True) == [[True, False, False]]
    assert closed([0.05, 0.8, 0.15], probability=1, control_too=True) == [[True, False, True]]
    assert closed([[0.9, 0.05, 0.05], [0.1, 0.5, 0.4]], probability=0.06, control_too=True) == [
        [False, True, True],
        [False, False, False],
    ]


def test_the_control_is_not_compared_with_itself():
    found = DropArm(kind="drop_arm", probability=0.1, control_too=True).problems(3, False)
    assert [path for path, _, _ in found] == [("control_too",)]
