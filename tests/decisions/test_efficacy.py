"""Declaring an arm effective."""

import numpy as np
import pytest

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import Efficacy
from tests.contracts.fakes import look_at_best, look_at_better

BETTER = [[0, 0.99, 0.2], [0, 0.99, 0.995], [0, 0.5, 0.5]]


def test_a_claim_stops_the_trial():
    said = Efficacy(kind="efficacy", probability=0.985).verdict(look_at_better(BETTER))
    assert said.stop.tolist() == [Stop.EFFICACY, Stop.EFFICACY, Stop.NO]
    assert said.claim.tolist() == [[False, True, False], [False, True, True], [False] * 3]
    assert not said.close.any()


def test_or_it_only_closes_the_arm():
    said = Efficacy(kind="efficacy", probability=0.985, then="close_arm").verdict(look_at_better(BETTER))
    assert not said.stop.any()
    assert said.claim.tolist() == said.close.tolist() == [[False, True, False], [False, True, True], [False] * 3]


@pytest.mark.parametrize("then", ["stop", "close_arm"])
def test_certainty_cannot_be_exceeded(then):
    said = Efficacy(kind="efficacy", probability=1, then=then).verdict(look_at_better([0, 1.0, 1.0]))
    assert not said.claim.any() and not said.stop.any() and not said.close.any()


def test_only_open_arms_are_claimed():
    look = look_at_better(BETTER, is_open=np.array([[True, False, True]] * 3))
    said = Efficacy(kind="efficacy", probability=0.985).verdict(look)
    assert said.claim.tolist() == [[False] * 3, [False, False, True], [False] * 3]
    assert said.stop.tolist() == [Stop.NO, Stop.EFFICACY, Stop.NO]


def test_the_control_may_be_declared_the_best():
    rule = Efficacy(kind="efficacy", probability=0.9, against="best", control_too=True)
    said = rule.verdict(look_at_best([[0.95, 0.02, 0.03], [0.02, 0.95, 0.03], [0.4, 0.3, 0.3]]))
    assert said.claim.tolist() == [[True, False, False], [False, True, False], [False] * 3]
    assert said.stop.tolist() == [Stop.EFFICACY, Stop.EFFICACY, Stop.NO]
    assert rule.problems(3, True) == []
    found = rule.model_copy(update={"against": "control"}).problems(3, True)
    assert [path for path, _, _ in found] == [("control_too",)]
