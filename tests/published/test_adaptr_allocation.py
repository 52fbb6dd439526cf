"""The allocations that adaptr's own unit tests state.

Two cases cannot be said: two arms with fixed probabilities beside one that adapts, and a floor of its own for each arm.
In the other cases the limits are the same for all arms that have any.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.allocation import Thompson
from tests.contracts.fakes import look_at_best

STORED = json.loads((Path(__file__).parent / "data" / "adaptr_reallocate_probs.json").read_text(encoding="utf-8"))
RESCALED = {
    "fixed+limits, factor 4/3": ("both", 1),
    "limits only, 4/3": ("bounds", 1),
    "fixed only, 4/3": ("control", 1),
}
RESCALED["both, 4/2"] = ("both", 2)
"""Our word, and how many arms have left."""


def can_be_said(case):
    fixed = case.get("fixed", [None] * 3)
    floors = {floor for floor in case.get("min", [None] * 3)[1:] if floor is not None}
    return all(p is None for p in fixed[1:]) and len(floors) <= 1 and (not floors or case["min"][0] is None)


@pytest.mark.parametrize("case", [case for case in STORED["cases"] if can_be_said(case)])
def test_the_same_allocation(case):
    best = case.get("prob_best", [0.1, 0.3, 0.6])
    rescale, gone = RESCALED.get(case.get("rescale"), (None, 0))
    # The arm to be matched is the control of ours, so it stands first.
    first = case.get("match_arm", 1) - 1
    order = [first, *(arm for arm in range(len(best)) if arm != first)]
    rule = Thompson(
        kind="thompson",
        power=1,
        floor=case.get("min", [0])[-1] or 0,
        ceiling=case.get("max", [1])[-1] or 1,
        control_share="matched" if "match_arm" in case else case.get("fixed", [None])[0],
        rescale=rescale,
    )
    look = look_at_best([*np.array(best)[order], *[0] * gone], is_open=np.array([[True] * len(best) + [False] * gone]))
    found = rule.probabilities(look)[0]
    np.testing.assert_allclose(found[: len(best)], np.array(case["out"])[order], rtol=0, atol=STORED["tolerance"])
    assert (found[len(best) :] == 0).all()


def test_two_cases_cannot_be_said():
    assert [number for number, case in enumerate(STORED["cases"]) if not can_be_said(case)] == [1, 2]
