"""Several conditions, of which one is enough."""

import numpy as np

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import AnyOf
from tests.contracts.fakes import FakePosterior, a_look


def look(k=0):
    better = {0.0: np.array([[0, 0.3, 0.01, 0.2]]), 0.1: np.array([[0, 0.02, 0.01, 0.1]])}
    return a_look(FakePosterior(np.ones((1, 4)), better), [[True] * 4], k=k, n_looks=3)


def either(*rules, **given):
    return AnyOf(kind="any_of", rules=list(rules), **given)


def low(kind, probability, margin=0.0, **given):
    return {"kind": kind, "probability": probability, "margin": margin} | given


def test_an_arm_meets_it_if_it_meets_one_condition():
    said = either(low("drop_arm", 0.05), low("drop_arm", 0.05, 0.1)).verdict(look())
    assert said.close.tolist() == [[False, True, True, False]]


def test_futility_may_have_another_reason_for_each_arm():
    """Arm 3 is hopeless by the first condition, arm 1 by the second; neither condition alone stops the trial."""
    first, second = low("futility", 0.25), low("futility", 0.05, 0.1)
    assert either(first, second).verdict(look()).stop.tolist() == [Stop.FUTILITY]
    assert either(first, first).verdict(look()).stop.tolist() == [Stop.NO]
    assert either(second, second).verdict(look()).stop.tolist() == [Stop.NO]


def test_rules_that_are_not_heard_are_passed_over():
    rule = either(low("drop_arm", 0.05), low("drop_arm", 0.05, 0.1, from_look=2))
    assert rule.verdict(look(0)).close.tolist() == [[False, False, True, False]]
    assert rule.verdict(look(1)).close.tolist() == [[False, True, True, False]]
    assert not rule.verdict(look(3)).close.any() and not rule.at_final


def test_within_all_of_it_says_a_and_b_or_c():
    from sps_adaptive.decisions import AllOf

    inner = {"kind": "any_of", "rules": [low("drop_arm", 0.05, 0.1), low("drop_arm", 0.015)]}
    rule = AllOf(kind="all_of", rules=[low("drop_arm", 0.25), inner])
    assert rule.verdict(look()).close.tolist() == [[False, False, True, False]]


def test_of_the_benchmark_only_what_speaks_at_the_end_is_left():
    predictive = {"kind": "predictive", "probability": 0.05}
    rule = either(low("futility", 0.25, from_look=2), predictive)
    assert rule.at_final
    assert [(leaf.kind, leaf.from_look) for _, leaf in rule.for_final().leaves()] == [("futility", 1)]
