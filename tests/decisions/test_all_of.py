"""Several conditions at once."""

import pytest

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import AllOf, Efficacy
from sps_adaptive.endpoints import Binary
from sps_adaptive.exact.binding import designs
from tests.contracts.fakes import FakePosterior, a_look
from tests.exact.helpers import scenario

POSTERIOR = FakePosterior([[1, 1, 1, 1]], {0.0: [[0, 0.99, 0.97, 0.5]], 0.1: [[0, 0.7, 0.85, 0.1]]})


def look(k=0):
    import numpy as np

    better = {by: np.array(rows, float) for by, rows in POSTERIOR.better.items()}
    return a_look(FakePosterior(np.ones((1, 4)), better), [[True] * 4], k=k, n_looks=3)


def both(*rules, **given):
    return AllOf(kind="all_of", rules=list(rules), **given)


def efficacy(probability, margin=0.0, **given):
    return {"kind": "efficacy", "probability": probability, "margin": margin} | given


def test_an_arm_meets_it_if_it_meets_every_condition():
    said = both(efficacy(0.95), efficacy(0.8, 0.1)).verdict(look())
    assert said.claim.tolist() == [[False, False, True, False]] and said.stop.tolist() == [Stop.EFFICACY]


def test_the_trial_stops_for_futility_if_every_arm_meets_every_condition():
    said = {
        (low, lower): int(
            both({"kind": "futility", "probability": low}, {"kind": "futility", "margin": 0.1, "probability": lower})
            .verdict(look())
            .stop[0]
        )
        for low in (0.98, 1.0)
        for lower in (0.8, 0.9)
    }
    assert said == {(0.98, 0.8): 0, (0.98, 0.9): 0, (1.0, 0.8): 0, (1.0, 0.9): Stop.FUTILITY}


def test_nothing_follows_where_one_of_the_rules_is_not_heard():
    rule = both(efficacy(0.95), efficacy(0.8, 0.1, from_look=2))
    assert [bool(rule.verdict(look(k)).claim.any()) for k in range(4)] == [False, True, True, True]
    later = both(efficacy(0.95), efficacy(0.8, 0.1), at_looks=[3])
    assert [bool(later.verdict(look(k)).claim.any()) for k in range(4)] == [False, False, True, True]


def test_it_speaks_at_the_final_analysis_if_all_do():
    closing = both({"kind": "harm", "probability": 0.9}, {"kind": "harm", "margin": 0.1, "probability": 0.5})
    assert not closing.at_final and closing.reason == Stop.HARM
    assert both(efficacy(0.9), efficacy(0.8, 0.1)).at_final
    early = both(efficacy(0.9), {"kind": "predictive", "then": "efficacy", "probability": 0.9})
    assert not early.at_final


def test_what_is_turned_for_the_endpoint_or_the_benchmark_is_turned_inside():
    rule = both(efficacy([0.99, 0.98, 0.97, 0.95], from_look=2), both(efficacy(0.9, against=0.3), efficacy(0.8, 0.1)))
    turned = rule.oriented(lambda _: Binary(kind="binary", better="lower", assessed_at_month=1).scale("probability"))
    (first, second, third) = [leaf for _, leaf in turned.leaves()]
    assert second.against == pytest.approx(0.7) and first == rule.rules[0] and third == rule.rules[1].rules[1]
    last = [leaf for _, leaf in rule.for_final().leaves()]
    assert [leaf.probability for leaf in last] == [0.95, 0.9, 0.8] and last[0].from_look == 1
    assert [path for path, _ in rule.leaves()] == [("rules", 0), ("rules", 1, "rules", 0), ("rules", 1, "rules", 1)]


def test_rules_that_need_the_paths_of_their_trial_are_bound_inside():
    """Both conditions stated one by one, and joined: an arm is claimed early where it meets both."""
    predicts = {"kind": "predictive", "then": "efficacy", "probability": 0.8}
    final = efficacy(0.9, from_look=2)
    rules = [{"kind": "all_of", "rules": [efficacy(0.9), predicts]}, final]
    case = scenario(16, (0.3, 0.7), {"kind": "enrolled", "at": [8]}, {"kind": "equal"}, rules)
    joined, _ = designs(case)["adaptive"].decisions
    assert [type(each).__name__ for each in joined.rules] == ["Efficacy", "BoundPredictive"]
    assert isinstance(joined.rules[0], Efficacy)
