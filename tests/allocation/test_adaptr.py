"""Allocation probabilities of adaptr 1.4.0 (Granholm et al. 2022): 127 stored calls of its allocation function.

What can be said in both programs must agree to the 11 digits stored. What cannot:

- limits or fixed probabilities that are rescaled when arms have left (`rescale`): a scenario has no such option;
- two-arm cases with a ceiling of 0.6 in which one arm has probability 0 of being best (`leaves its bounds`): adaptr
  settles floor and ceiling in one pass and then rescales to (1/7, 6/7), beyond the ceiling; the projection stays
  within it.

A minimum for the experimental arms only is the same floor for all, where the control is far from it.
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
    if case["rescale_fixed"] or case["rescale_limits"]:
        return "rescale"
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
    )


@pytest.mark.parametrize("case", [case for case in CASES if not reason_against(case)], ids=lambda case: case["number"])
def test_the_same_probabilities(case):
    found = rule_for(case).probabilities(look_at_best(case["probs_best"]))
    np.testing.assert_allclose(found[0], case["new_alloc"], rtol=0, atol=STORED["tolerance"])


def test_all_but_a_few_cases_can_be_said():
    reasons = [reason_against(case) for case in CASES]
    assert {reason: reasons.count(reason) for reason in set(reasons)} == {
        None: 113,
        "rescale": 11,
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
