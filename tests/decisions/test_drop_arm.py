"""Closing an arm that does not do well."""

import numpy as np

from sps_adaptive.decisions import DropArm
from tests.contracts.fakes import look_at_better


def test_each_hopeless_arm_closes_and_the_trial_does_not_stop():
    better = [[0, 0.05, 0.5], [0, 0.05, 0.01], [0, 0.1, 0.9]]
    said = DropArm(kind="drop_arm", probability=0.1).verdict(look_at_better(better))
    assert said.close.tolist() == [[False, True, False], [False, True, True], [False] * 3]
    assert not said.stop.any() and not said.claim.any()


def test_it_is_silent_at_the_final_analysis():
    said = DropArm(kind="drop_arm", probability=[0.1, 0.1, 0.1]).verdict(look_at_better(np.zeros((2, 3)), k=3))
    assert not said.close.any() and not said.stop.any() and not said.claim.any()
