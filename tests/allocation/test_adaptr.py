"""Allocation probabilities of adaptr 1.4.0 (Granholm et al. 2022): 127 stored calls of its allocation function.

What can be said in both programs must agree to the 11 digits stored. What cannot:

- two-arm cases with a ceiling of 0.6 in which one arm has probability 0 of being best (`leaves its bounds`): adaptr
  settles floor and ceiling in one pass and then rescales to (1/7, 6/7), beyond the ceiling; the projection stays
  within it.

Where limits or fixed probabilities grow by 4/3 as one arm of four has left, a control that is "ignored" keeps its
share. A minimum for the experimental arms only is the same floor for all, where the control is far from it.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.allocation import Fixed, Thompson
from tests.contracts.fakes import look_at_best

STORED = json.loads((Path(__file__).parent / "data" / "adaptr_allocation.json").read_text(encoding="utf-8"))
CASES = STORED["reallocate_probs"]


def reason_against(case):
    """Why a case cannot be said in a scenario, or None."""
    outside = [
        p > high + 1e-6 for p, high in zip(case["new_alloc"], case["max_probs"], strict=True) if high is not None
    ]
    return "leaves its bounds" if any(outside) else None


def rule_for(case):
    """The rule that says the same: the first arm is the control."""
    fixed = case["fixed_probs"]
    if None not in fixed:
        arms = [str(arm) for arm in range(len(fixed))]
        return Fixed(kind="fixed", ratio=dict(zip(arms, fixed, strict=True))).bind(tuple(arms))
    assert fixed[1:] == [None] * (len(fixed) - 1)
    assert case["match_arm"] in (None, 1)
    floors, ceilings = set(case["min_probs"][1:]), set(case["max_probs"][1:])
    assert len(floors) == len(ceilings) == 1
    return Thompson(
        kind="thompson",
        power=case["soften_power"],
        floor=floors.pop() or 0,
        ceiling=ceilings.pop() or 1,
        control_share="matched" if case["match_arm"] else fixed[0],
        rescale=rescaled(case),
    )


def rescaled(case):
    """What grows, in our words: the control may be left out of it."""
    control = case["rescale_fixed"] and case["rescale_ignore"] is None
    return {(True, True): "both", (True, False): "bounds", (False, True): "control"}.get(
        (case["rescale_limits"], control)
    )


def look_for(case):
    """A look at the case: where adaptr rescales by 4/3, one arm of four has closed."""
    best, gone = case["probs_best"], int(case["rescale_factor"] > 1)
    return look_at_best([*best, *[0] * gone], is_open=np.array([[True] * len(best) + [False] * gone]))


def grown_by_hand(case):
    """Four arms left and a factor of 4/3 are of no whole number of arms: the bounds are stated as they have grown."""
    factor, by_hand = case["rescale_factor"], dict(case)
    if case["rescale_limits"]:
        by_hand["min_probs"] = [None if p is None else p * factor for p in case["min_probs"]]
        by_hand["max_probs"] = [None if p is None else 1 - (1 - p) * factor for p in case["max_probs"]]
    if case["rescale_fixed"] and case["rescale_ignore"] is None:
        by_hand["fixed_probs"] = [None if p is None else p * factor for p in case["fixed_probs"]]
    return by_hand | {"rescale_limits": False, "rescale_fixed": False, "rescale_factor": 1}


@pytest.mark.parametrize("case", [case for case in CASES if not reason_against(case)], ids=lambda case: case["number"])
def test_the_same_probabilities(case):
    if case["rescale_factor"] > 1 and len(case["probs_best"]) != 3:
        case = grown_by_hand(case)
    found = rule_for(case).probabilities(look_for(case))[0, : len(case["probs_best"])]
    np.testing.assert_allclose(found, case["new_alloc"], rtol=0, atol=STORED["tolerance"])


def test_all_but_a_few_cases_can_be_said():
    reasons = [reason_against(case) for case in CASES]
    assert {reason: reasons.count(reason) for reason in set(reasons)} == {
        None: 124,
        "leaves its bounds": 3,
    }


@pytest.mark.parametrize(
    "case", [case for case in CASES if reason_against(case) == "leaves its bounds"], ids=lambda case: case["number"]
)
def test_where_adaptr_leaves_the_bounds_the_projection_keeps_them(case):
    assert case["probs_best"] == [0, 1] and case["new_alloc"] == pytest.approx([1 / 7, 6 / 7])
    np.testing.assert_allclose(rule_for(case).probabilities(look_at_best([0, 1]))[0], [0.4, 0.6], atol=1e-11)


@pytest.mark.parametrize("case", STORED["sqrt_based"], ids=lambda case: f"{case['n_arms']} arms")
def test_the_square_root_share_of_the_control_as_arms_leave(case):
    rule, arms = Thompson(kind="thompson", control_share="square_root"), case["n_arms"]
    start = rule.start(np.ones((1, arms), bool), 0)[0]
    np.testing.assert_allclose(start[1:], case["start_other"], atol=1e-10)
    for left, share in zip(range(arms, 1, -1), case["control_prob_when_k_arms_left"], strict=True):
        is_open = np.arange(arms)[None] < left
        np.testing.assert_allclose(rule.start(is_open, 0)[0, 0], share, atol=1e-10)
