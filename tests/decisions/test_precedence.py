"""Several rules at one look, asked in order by the trial."""

from typing import Any

import numpy as np
import pytest

from sps_adaptive.contracts import Design, Stop
from sps_adaptive.decisions import DropArm, Efficacy, Futility
from sps_adaptive.tables import OUTCOMES
from sps_adaptive.verdicts import decide, judge, outcome_of
from tests.contracts.fakes import look_at_better

EFFICACY = Efficacy(kind="efficacy", probability=0.9)
CLOSING = Efficacy(kind="efficacy", probability=0.9, then="close_arm")
FUTILITY = Futility(kind="futility", probability=0.1)
DROP = DropArm(kind="drop_arm", probability=0.1)
FIRST = np.array([0])
ALWAYS_FUTILE = Futility(kind="futility", probability=1)


def design(*rules) -> Any:
    nothing: Any = None
    return Design(("placebo", "a", "b"), 0, 100, "y", *[nothing] * 5, tuple(rules), 0.0)


def decided(rules, better, is_claimed=(False, False, False), **rest):
    """Verdict of one replicate: name of the reason to stop, arms closed, arms claimed."""
    look = look_at_better(better, **rest)
    plan = design(*rules)
    said = judge(plan, look, FIRST) if look.is_final else decide(plan, look, np.array([is_claimed]), FIRST)
    return Stop(said.stop[0]).name, np.flatnonzero(said.close[0]).tolist(), np.flatnonzero(said.claim[0]).tolist()


@pytest.mark.parametrize(
    "rules, better, expected",
    [
        ([], [0, 0.99, 0.99], ("NO", [], [])),
        ([EFFICACY, FUTILITY], [0, 0.99, 0.01], ("EFFICACY", [], [1])),
        ([EFFICACY, FUTILITY], [0, 0.5, 0.5], ("NO", [], [])),
        ([EFFICACY, FUTILITY], [0, 0.01, 0.01], ("FUTILITY", [], [])),
        # The first that stops a trial has the last word on it.
        ([EFFICACY, ALWAYS_FUTILE], [0, 0.99, 0.5], ("EFFICACY", [], [1])),
        ([ALWAYS_FUTILE, EFFICACY], [0, 0.99, 0.5], ("FUTILITY", [], [])),
        ([EFFICACY, DROP], [0, 0.99, 0.01], ("EFFICACY", [], [1])),
        # A rule sees the arms that those before it have left open.
        ([DROP, EFFICACY], [0, 0.99, 0.01], ("EFFICACY", [2], [1])),
        ([DROP, FUTILITY], [0, 0.01, 0.5], ("NO", [1], [])),
        ([DropArm(kind="drop_arm", probability=1), EFFICACY], [0, 0.99, 0.99], ("FUTILITY", [1, 2], [])),
        ([EFFICACY, DropArm(kind="drop_arm", probability=1)], [0, 0.99, 0.2], ("EFFICACY", [], [1])),
        ([DROP, ALWAYS_FUTILE], [0, 0.01, 0.5], ("FUTILITY", [1], [])),
        # No open experimental arm is left.
        ([DROP], [0, 0.01, 0.01], ("FUTILITY", [1, 2], [])),
        ([CLOSING], [0, 0.99, 0.99], ("EFFICACY", [1, 2], [1, 2])),
        ([CLOSING], [0, 0.99, 0.5], ("NO", [1], [1])),
        ([CLOSING, DROP], [0, 0.99, 0.01], ("EFFICACY", [1, 2], [1])),
        ([DROP, CLOSING], [0, 0.99, 0.01], ("EFFICACY", [1, 2], [1])),
    ],
)
def test_the_order_of_the_rules_is_their_order_of_precedence(rules, better, expected):
    assert decided(rules, better) == expected


@pytest.mark.parametrize(
    "rules", [[DROP], [DROP, FUTILITY], [FUTILITY, DROP]], ids=["drop", "drop, futile", "futile, drop"]
)
def test_when_nothing_is_left_the_trial_stops_for_futility_if_nothing_was_claimed(rules):
    stop, _, claimed = decided(rules, [0, 0.01, 0.01])
    assert (stop, claimed) == ("FUTILITY", [])


@pytest.mark.parametrize("rules", [[DROP], [DROP, FUTILITY], [DROP, CLOSING, FUTILITY]])
def test_and_for_efficacy_if_an_arm_was_claimed_before(rules):
    """An arm was claimed and closed at an earlier look; now the last open one closes."""
    stop, closed, _ = decided(rules, [0, 0.99, 0.01], is_claimed=(False, True, False), is_open=[True, False, True])
    assert (stop, closed) == ("EFFICACY", [2])


@pytest.mark.parametrize("rules", [[CLOSING], [CLOSING, FUTILITY], [CLOSING, DROP, FUTILITY]])
def test_and_for_efficacy_if_the_last_open_arms_are_claimed_at_this_look(rules):
    """A futility rule behind `close_arm` has no open arm left to find hopeless."""
    assert decided(rules, [0, 0.99, 0.99]) == ("EFFICACY", [1, 2], [1, 2])


def test_at_the_final_analysis_no_arm_closes_for_want_of_others():
    assert decided([DROP, EFFICACY], [0, 0.01, 0.01], k=3) == ("NO", [], [])
    assert decided([EFFICACY, FUTILITY], [0, 0.01, 0.01], k=3) == ("FUTILITY", [], [])
    assert decided([EFFICACY, FUTILITY], [0, 0.01, 0.99], k=3) == ("EFFICACY", [], [2])


def outcome(rules, better, *, running=False, is_claimed=(False, False, False), judged=(True, True, True)):
    """How a trial ends whose final analysis finds these probabilities."""
    claimed = np.array([is_claimed])
    look = look_at_better(better, k=3, is_open=np.array([judged]))
    final = judge(design(*rules), look, FIRST)
    claimed_in_the_end = claimed | (final.claim & running)
    return OUTCOMES[int(outcome_of(np.array([running]), claimed_in_the_end, final)[0])]


CLAIMED = (False, True, False)


@pytest.mark.parametrize("efficacy", [EFFICACY, CLOSING], ids=["stop", "close_arm"])
@pytest.mark.parametrize(
    "better, given, expected",
    [
        ([0, 0.99, 0.5], {"is_claimed": CLAIMED}, "early success"),
        ([0, 0.5, 0.5], {"is_claimed": CLAIMED}, "early success"),
        ([0, 0.05, 0.05], {"is_claimed": CLAIMED}, "success, then futility"),
        (
            [0, 0.99, 0.01],
            {"is_claimed": CLAIMED},
            "early success",
        ),  # confirmed; that the other fails is no contradiction
        ([0, 0.99, 0.99], {"is_claimed": (False, True, True)}, "early success"),
        ([0, 0.99, 0.0], {"is_claimed": CLAIMED, "judged": (True, True, False)}, "early success"),
        ([0, 0.05, 0.05], {}, "early futility"),
        ([0, 0.5, 0.05], {}, "early futility"),
        ([0, 0.99, 0.05], {}, "futility, then success"),
        ([0, 0.99, 0.05], {"running": True}, "late success"),
        ([0, 0.05, 0.05], {"running": True}, "late futility"),
        ([0, 0.5, 0.05], {"running": True}, "inconclusive"),
    ],
)
def test_how_a_trial_ends(efficacy, better, given, expected):
    assert outcome([efficacy, FUTILITY], better, **given) == expected
