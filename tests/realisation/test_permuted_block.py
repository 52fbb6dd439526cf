"""Permuted blocks by largest remainder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive.allocation import Equal, Thompson
from sps_adaptive.realisation import PermutedBlock
from sps_adaptive.realisation.permuted_block import largest_remainder
from tests.realisation.helpers import counts, dealt, patients


@pytest.mark.parametrize(
    "pi, block, places",
    [
        ((0.5, 0.3, 0.2), 5, (3 - 0.5, 2 - 0.5, 1)),  # 2.5 and 1.5 tie for one place
        ((0.47, 0.16, 0.158, 0.12, 0.061, 0.031), 10, (5, 2, 1, 1, 1, 0)),
        ((0.46, 0.34, 0.20), 10, (5, 3, 2)),
        ((0.62, 0.38), 8, (5, 3)),
        ((1 / 3, 1 / 3, 1 / 3), 6, (2, 2, 2)),
        ((1 / 3, 1 / 3, 1 / 3), 4, (4 / 3, 4 / 3, 4 / 3)),
        ((0.05, 0.95), 6, (0, 6)),
        ((0.0, 0.45, 0.55), 1, (0, 0, 1)),
        ((0.0, 1.0, 0.0), 7, (0, 7, 0)),
    ],
)
def test_the_largest_remainders_get_the_places_that_are_left(pi, block, places):
    """The second line is the usual textbook example of Hamilton's method, with a hundredth of its votes."""
    np.testing.assert_allclose(largest_remainder(np.array([pi]), block)[0] * block, places, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=6).filter(any), st.integers(1, 20), st.randoms())
def test_rounding_is_within_a_patient_sums_to_one_and_does_not_see_the_order_of_the_arms(parts, block, chance):
    pi = np.array([parts]) / sum(parts)
    rounded = largest_remainder(pi, block)
    assert rounded.sum() == pytest.approx(1, abs=1e-12)
    assert (np.abs(rounded - pi) * block < 1).all()
    assert (rounded[pi == 0] == 0).all() and (rounded >= 0).all()
    order = list(range(len(parts)))
    chance.shuffle(order)
    np.testing.assert_allclose(largest_remainder(pi[:, order], block), rounded[:, order], atol=1e-12)
    np.testing.assert_allclose(largest_remainder(rounded, block), rounded, atol=1e-12)


def test_every_block_has_the_same_numbers_in_an_order_by_chance():
    pi = largest_remainder(np.array([[0.48, 0.33, 0.19]]), 6)[0]
    arm = dealt(PermutedBlock(kind="permuted_block", block=6), patients(2000, 18), pi)
    for first in (0, 6, 12):
        assert (counts(arm[:, first : first + 6], 3) == (3, 2, 1)).all()
    assert len({tuple(row) for row in arm[:, :6].tolist()}) == 60  # 6! / (3! 2! 1!) orders


def test_the_rule_that_is_carried_out_is_the_rounded_one():
    rule = Equal(kind="equal", realisation="permuted_block", block=4)
    rounded = rule.rounded(rule, 3)
    is_open = np.array([[True, True, True], [True, False, True]])
    np.testing.assert_allclose(rounded.start(is_open, 0), [[1 / 3] * 3, [0.5, 0, 0.5]], atol=1e-15)
    assert rounded.block_length(3) == 4 and rounded.learns is False and rounded.counts_enrolled is False
    other = Thompson(kind="thompson", burn_in_per_arm=3, realisation="permuted_block")
    assert other.rounded(other, 2).counts_enrolled and other.rounded(other, 2).learns
    assert Equal(kind="equal").rounded(rule, 3) is rule
