"""An arm that beats the control takes its place."""

from typing import Any

import numpy as np
import pytest

from sps_adaptive.contracts import Design, Stop
from sps_adaptive.decisions import DropArm, Efficacy, Equivalence, Futility, Promote
from sps_adaptive.decisions.rule import Measured
from sps_adaptive.verdicts import decide, judge
from tests.contracts.fakes import a_look

PROMOTE = Promote(kind="promote", probability=0.9)
DROP = DropArm(kind="drop_arm", probability=0.1)


class Pairs:
    """P(row better than column), one trial; a margin of 0.1 or -0.1 takes 0.2 from it or adds it."""

    def __init__(self, table: Any) -> None:
        self.table = np.array(table, float)

    def prob_better(self, than: int, by: float = 0.0) -> np.ndarray:
        return np.clip(self.table[None, :, than] - 2 * by, 0, 1)


def pairs(*upper: float) -> Pairs:
    """From P(1 better than 0), P(2 better than 0), P(2 better than 1) and so on."""
    arms = {1: 2, 3: 3, 6: 4}[len(upper)]
    table, given = np.zeros((arms, arms)), iter(upper)
    for one in range(1, arms):
        for other in range(one):
            table[one, other] = next(given)
            table[other, one] = 1 - table[one, other]
    return Pairs(table)


def decided(rules: list[Any], posterior: Pairs, control: int = 0, is_open: Any = None) -> dict[str, Any]:
    nothing: Any = None
    arms = len(posterior.table)
    design = Design(tuple("pabc"[:arms]), 0, 100, "y", *[nothing] * 5, tuple(rules), 0.0)
    look = a_look(posterior, [np.ones(arms, bool) if is_open is None else is_open])
    said = decide(design, look, np.zeros((1, arms), bool), np.array([control]))
    return {
        "stop": Stop(said.stop[0]).name,
        "closed": said.closed_by[0].tolist(),
        "claimed": np.flatnonzero(said.claim[0]).tolist(),
        "control": int(said.control[0]),
    }


def test_the_arm_most_probably_better_becomes_the_control_and_the_old_one_leaves():
    said = decided([PROMOTE], pairs(0.95, 0.99, 0.6))
    assert said == {"stop": "NO", "closed": [1, 0, 0], "claimed": [2], "control": 2}


def test_nobody_is_promoted_at_the_threshold():
    assert decided([PROMOTE], pairs(0.9, 0.5, 0.5)) == {"stop": "NO", "closed": [0] * 3, "claimed": [], "control": 0}


def test_the_rules_are_asked_again_against_the_new_control():
    said = decided([DROP, PROMOTE], pairs(0.95, 0.7, 0.05))
    assert said == {"stop": "EFFICACY", "closed": [2, 0, 1], "claimed": [1], "control": 1}


def test_two_arms_may_be_promoted_one_after_the_other():
    """Probabilities of pairs need not be transitive in the order of their sizes: c is worse off against p than b is."""
    said = decided([PROMOTE], pairs(0.95, 0.91, 0.93))
    assert said == {"stop": "EFFICACY", "closed": [1, 1, 0], "claimed": [1, 2], "control": 2}


def test_an_arm_below_the_threshold_leaves_before_the_promotion():
    said = decided([DROP, PROMOTE], pairs(0.95, 0.05, 0.5))
    assert said == {"stop": "EFFICACY", "closed": [2, 0, 1], "claimed": [1], "control": 1}


def test_rules_behind_it_are_not_heard_in_a_round_that_promotes():
    """Arm b is futile against the first control, and not against the new one (in numbers made for it)."""
    futile = DropArm(kind="drop_arm", margin=0.1, probability=0.2)
    posterior = pairs(0.95, 0.3, 0.5)
    assert decided([PROMOTE, futile], posterior)["closed"] == [1, 0, 0]
    assert decided([futile, PROMOTE], posterior)["closed"] == [2, 0, 1]


def test_when_the_others_leave_without_a_promotion_nothing_is_claimed():
    said = decided([DROP, PROMOTE], pairs(0.05, 0.02, 0.5))
    assert said == {"stop": "FUTILITY", "closed": [0, 1, 1], "claimed": [], "control": 0}


@pytest.mark.parametrize(
    "rule",
    [
        Equivalence(kind="equivalence", margin=0.1, probability=0.3, first_control_only=True),
        DropArm(kind="drop_arm", margin=0.1, probability=0.4, first_control_only=True),
    ],
    ids=lambda rule: rule.kind,
)
def test_rules_about_the_first_control_are_silent_after_a_promotion(rule):
    posterior = pairs(0.5, 0.5, 0.5)
    assert decided([rule], posterior)["closed"] == [0, 1, 1]
    later = {"control": 1, "is_open": [False, True, True]}
    assert decided([rule], posterior, **later)["closed"] == [0, 0, 0]
    assert decided([rule.model_copy(update={"first_control_only": False})], posterior, **later)["closed"] == [0, 0, 1]


def final(posterior: Pairs, control: int, is_claimed: list[bool], rules: list[Any]) -> Any:
    nothing: Any = None
    design = Design(("p", "a", "b"), 0, 100, "y", *[nothing] * 5, tuple(rules), 0.0)
    look = a_look(posterior, [[False, True, True]], k=3)
    return judge(design, look, np.array([control]), np.array([is_claimed]))


FUTILITY = Futility(kind="futility", probability=0.1)


def test_the_final_analysis_asks_of_promoted_arms_whether_they_are_better_than_the_first_control():
    """a beat p and b beat a; in the end b is far ahead of a, which is no contradiction."""
    said = final(pairs(0.95, 0.99, 0.97), 2, [False, True, True], [PROMOTE, FUTILITY])
    assert said.claim.tolist() == [[False, True, True]] and said.stop[0] == Stop.EFFICACY


def test_and_they_are_contradicted_where_they_are_not():
    said = final(pairs(0.5, 0.95, 0.97), 2, [False, True, True], [PROMOTE, FUTILITY])
    assert said.claim.tolist() == [[False, False, True]] and said.stop[0] == Stop.EFFICACY
    said = final(pairs(0.5, 0.5, 0.97), 2, [False, True, True], [PROMOTE, FUTILITY])
    assert said.claim.tolist() == [[False, False, False]] and said.stop[0] == Stop.FUTILITY


def test_without_looks_it_is_a_rule_for_efficacy():
    rule = Promote(kind="promote", probability=[0.99, 0.98, 0.97], margin=0.1, from_look=2).for_final()
    assert rule == Efficacy(kind="efficacy", probability=0.97, margin=0.1)


def test_it_tells_itself_in_plain_english():
    said = PROMOTE.words(Measured("placebo", True, ""))
    assert said == (
        "an arm that is better than placebo, or than the control of the time, with probability above 0.9 is declared "
        "effective and becomes the control (if several are, the one most probably better); the old control takes no "
        "more patients, and all rules are asked again"
    )
