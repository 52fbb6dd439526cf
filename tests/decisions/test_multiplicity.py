"""Corrections for several arms: against their definitions by brute force, and the errors they promise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import ndtr

from sps_adaptive.decisions import Efficacy
from sps_adaptive.decisions.multiplicity import adjusted
from tests.contracts.fakes import look_at_better

METHODS = ("bonferroni", "holm", "closed")


def by_definition(p: list[float], method: str, level: float) -> list[bool]:
    """Rejections of one family, from the definition of each procedure."""
    m = len(p)
    if method == "bonferroni":
        return [each < level / m for each in p]
    if method == "holm":
        rejected = [False] * m
        for step, arm in enumerate(sorted(range(m), key=p.__getitem__)):
            if p[arm] >= level / (m - step):
                break
            rejected[arm] = True
        return rejected

    def simes(members: tuple[int, ...]) -> bool:
        ordered = sorted(p[arm] for arm in members)
        return any(each < (k + 1) * level / len(members) for k, each in enumerate(ordered))

    every = [group for size in range(1, m + 1) for group in combinations(range(m), size)]
    return [all(simes(group) for group in every if arm in group) for arm in range(m)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("m", [1, 2, 3, 4, 6])
def test_adjusted_tail_areas_are_the_procedure_at_every_level(method, m):
    rng = np.random.default_rng(m)
    p = rng.random((150, m)) ** rng.choice([1, 3, 6], (150, 1))
    p[:10] = np.round(p[:10], 1)  # ties
    for level in (0.025, 0.1, 0.5):
        expected = [by_definition(row.tolist(), method, level) for row in p]
        found = adjusted(p, method)
        close = np.abs(found - level) < 1e-12
        np.testing.assert_array_equal((found < level) & ~close, np.array(expected) & ~close)


def test_values_that_can_be_found_by_hand():
    """Of 0.01, 0.02, 0.03: Holm 3 * 0.01, then max(0.03, 2 * 0.02), then max(0.04, 0.03)."""
    p = np.array([[0.02, 0.01, 0.03]])
    np.testing.assert_allclose(adjusted(p, "bonferroni"), [[0.06, 0.03, 0.09]])
    np.testing.assert_allclose(adjusted(p, "holm"), [[0.04, 0.03, 0.04]])
    np.testing.assert_allclose(adjusted(p, "closed"), [[0.03, 0.03, 0.03]])  # Simes: 3 * 0.03 / 3 for all three


@pytest.mark.parametrize("method", METHODS)
def test_one_less_strict_than_the_other(method):
    """Closed testing rejects all that Holm does, and Holm all that Bonferroni does."""
    p = np.random.default_rng(3).random((2000, 4)) ** 4
    order = [adjusted(p, each) for each in ("closed", "holm", "bonferroni")]
    assert (order[0] <= order[1] + 1e-12).all() and (order[1] <= order[2] + 1e-12).all()


def rule(method, **given):
    return Efficacy(kind="efficacy", probability=0.95, multiplicity=method, then="close_arm", **given)


@pytest.mark.parametrize(
    "method, expected", [("bonferroni", [1, 0, 0]), ("holm", [1, 0, 0]), ("closed", [1, 1, 1]), ("none", [1, 1, 1])]
)
def test_a_rule_compares_with_the_level_of_its_correction(method, expected):
    """Tail areas 0.01, 0.03, 0.049 at level 0.05: 0.03 is above the half of it, and 0.049 is below all of it."""
    said = rule(method).verdict(look_at_better([0, 0.99, 0.97, 0.951]))
    assert said.claim[0, 1:].tolist() == [bool(each) for each in expected]


def test_arms_declared_effective_before_count_as_rejected_and_dropped_ones_do_not():
    """Tail area 0.02 at level 0.05: one of three, one of two with one rejected before, the only one left."""
    look = look_at_better([0, 0.98, 0.5, 0.5], is_open=[[True, True, False, False]])
    for method in ("holm", "closed"):
        said = [
            bool(rule(method).verdict(look._replace(is_claimed=np.array([[False, False, *claimed]]))).claim[0, 1])
            for claimed in ((False, False), (True, False), (True, True))
        ]
        assert said == [False, True, True]
        assert (
            not rule("bonferroni").verdict(look._replace(is_claimed=np.array([[False, False, True, True]]))).claim.any()
        )


def test_at_the_final_analysis_an_arm_declared_effective_before_is_judged_anew():
    """Its own tail area is 0.03 now, above the third and the half of 0.05; the other one's 0.02 passes beside it."""
    look = look_at_better([0, 0.97, 0.98, 0.5], k=3)._replace(is_claimed=np.array([[False, True, False, False]]))
    assert rule("holm").verdict(look).claim.tolist() == [[False, False, True, False]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("effects", [(0, 0, 0), (0, 0, 3), (0, 3, 3)], ids=["none works", "one works", "two work"])
def test_the_familywise_error_with_normal_outcomes_and_a_flat_prior(method, effects):
    """Tail areas are p-values there. Statistics of arms that share a control of the same size correlate by one half.

    400,000 draws: at most 0.05 within four standard errors; and not far below it where nothing works.
    """
    rng = np.random.default_rng(11)
    draws = 400_000
    z = (rng.standard_normal((draws, 3)) + rng.standard_normal((draws, 1))) / np.sqrt(2) + np.array(effects)
    better = np.concatenate([np.zeros((draws, 1)), ndtr(z)], axis=1)
    claimed = rule(method).verdict(look_at_better(better)).claim[:, 1:]
    error = claimed[:, np.array(effects) == 0].any(axis=1).mean()
    assert error <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / draws)
    if not any(effects):
        assert error > 0.04
    if method != "bonferroni" and effects == (0, 3, 3):  # what Holm's steps are for
        assert error > 0.03
