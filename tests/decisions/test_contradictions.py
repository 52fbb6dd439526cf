"""Rules that cannot stand beside each other."""

from __future__ import annotations

import pytest

from sps_adaptive.decisions.contradictions import contradictions
from tests.exact.helpers import scenario


def pairs(*rules, looks=2, patients=40):
    at = [10 * (k + 1) for k in range(looks)]
    schedule = {"kind": "enrolled", "at": at} if at else {"kind": "none"}
    from sps_adaptive.scenario import Scenario

    sound = scenario(patients, (0.3, 0.6, 0.5), schedule, {"kind": "equal"}, [])
    case = Scenario.model_validate(sound.model_dump() | {"decisions": list(rules)})
    return list(contradictions(case.decisions, case.n_looks, case.planned_fractions()))


EFFICACY = {"kind": "efficacy", "probability": 0.9}


@pytest.mark.parametrize("kind", ["futility", "drop_arm"])
def test_giving_up_above_the_threshold_of_efficacy(kind):
    (found,) = pairs(EFFICACY, {"kind": kind, "probability": 0.95})
    assert found.path == (1, "probability") and found.also == (0, "probability")
    assert "look 1" in found.message and "below 0.95" in found.message and "above 0.9" in found.message


@pytest.mark.parametrize(
    "low",
    [
        {"kind": "futility", "probability": 0.9},  # every arm is one or the other
        {"kind": "futility", "probability": 0.95, "margin": 0.1},  # another question
        {"kind": "futility", "probability": 0.95, "margin": -0.1},
        {"kind": "futility", "probability": 0.95, "against": 0.3},
        {"kind": "predictive", "probability": 0.95},
        {"kind": "futility", "probability": [0.8, 0.9, 0.9]},
        {"kind": "harm", "probability": 0.95},
    ],
)
def test_what_is_no_contradiction(low):
    assert pairs(EFFICACY, low) == []


def test_only_analyses_at_which_both_are_heard_count():
    drop = {"kind": "drop_arm", "probability": 0.95}
    assert pairs(EFFICACY | {"from_look": 3}, drop) == []  # efficacy at the final analysis, dropping before
    assert len(pairs(EFFICACY | {"from_look": 3}, {"kind": "futility", "probability": 0.95})) == 1
    assert pairs(EFFICACY | {"at_looks": [1]}, drop | {"at_looks": [2]}) == []


def test_thresholds_by_look_and_shapes_are_compared_look_by_look():
    (found,) = pairs(EFFICACY, {"kind": "futility", "probability": [0.1, 0.95, 0.1]})
    assert "look 2" in found.message
    shape = {"shape": "obrien_fleming", "final": 0.9}
    (found,) = pairs(EFFICACY | {"probability": shape}, {"kind": "futility", "probability": 0.95})
    assert "look 2" in found.message or "final" in found.message


def test_a_p_value_is_recognised():
    (found,) = pairs({"kind": "efficacy", "probability": 0.025}, {"kind": "futility", "probability": 0.05})
    assert "is 0.025 a p-value, for 0.975?" in found.hint


def test_joined_rules_must_have_one_consequence():
    inside = {"kind": "any_of", "rules": [EFFICACY, EFFICACY | {"then": "close_arm"}]}
    (found,) = pairs({"kind": "all_of", "rules": [EFFICACY, inside]})
    assert found.path == (0, "rules", 1, "rules", 1) and found.also == (0, "rules", 1, "rules", 0)
    (found,) = pairs({"kind": "all_of", "rules": [EFFICACY, {"kind": "futility", "probability": 0.1}]})
    assert "rules that cannot be combined" in found.message
    assert "gives the trial up for futility" in found.message and "declares an arm effective" in found.message
    two = {"kind": "any_of", "rules": [{"kind": "drop_arm", "probability": 0.1}, {"kind": "harm", "probability": 0.9}]}
    (found,) = pairs(two)
    assert "for harm" in found.message and "for futility" in found.message


def test_effective_has_one_meaning():
    weaker = {"kind": "non_inferiority", "margin": 0.1, "probability": 0.95}
    (found,) = pairs(EFFICACY, weaker)
    assert found.path == (1,) and found.also == (0,) and "two things" in found.message
    (found,) = pairs(weaker, EFFICACY)
    assert found.path == (1,) and found.also == (0,)
    (found,) = pairs(weaker, weaker | {"margin": 0.2})
    assert found.path == (1, "margin") and found.also == (0, "margin")


def test_thresholds_that_follow_from_an_error_are_compared():
    """With two looks Pocock's threshold for an error of 0.3 is near 0.84."""
    error = EFFICACY | {"probability": {"shape": "pocock", "error": 0.3}}
    (found,) = pairs(error, {"kind": "futility", "probability": 0.9})
    assert found.also == (0, "probability") and "declared effective above 0.8" in found.message
    assert pairs(error, {"kind": "futility", "probability": 0.7}) == []


def test_each_rule_of_any_of_is_compared_at_the_looks_of_both():
    low = [{"kind": "futility", "probability": p} for p in (0.1, 0.7, 0.9)]
    either = {"kind": "any_of", "rules": low}
    efficacy = EFFICACY | {"probability": 0.6}
    assert [pair.path for pair in pairs(efficacy, either)] == [
        (1, "rules", 1, "probability"),
        (1, "rules", 2, "probability"),
    ]
    inside = {"kind": "any_of", "rules": [either, {"kind": "futility", "probability": 0.2}]}
    assert len(pairs(efficacy, inside)) == 2
    assert pairs(efficacy, {"kind": "all_of", "rules": low}) == []
    drops = [{"kind": "drop_arm", "probability": p} for p in (0.1, 0.9)]
    late = {"kind": "any_of", "rules": drops, "from_look": 2}
    assert pairs(efficacy | {"at_looks": [1]}, late) == []
    (found,) = pairs(efficacy, late)
    assert "at look 2" in found.message
