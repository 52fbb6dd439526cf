"""The law of the counts, against every randomisation list there is."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive import kernels
from sps_adaptive.exact import dealing as module
from sps_adaptive.exact.dealing import blocks, dealing, independent_law, key_counts, multinomial, quota_law, radix

EXAMPLES = settings(max_examples=60)

Law = dict[tuple[tuple[int, ...], ...], float]
"""Probability by counts of each segment on each arm."""


def law_of(segments: tuple[int, ...], block: int, before_end: int, pi: np.ndarray) -> Law:
    how = dealing(len(pi), segments, block, before_end)
    if len(how.block) == 0:
        law = np.empty((len(how.segment_keys), 1))
        independent_law(pi[None, :], how, np.empty((len(pi), 1)), law)
        keys, probabilities = how.segment_keys, law[:, 0]
        assert len(np.unique(keys)) == len(keys)
        np.testing.assert_array_equal(how.totals, how.key_counts[keys].sum(axis=1))
    else:
        keys, probabilities, n, mark = with_quotas(how, pi)
        assert (mark == -1).all()
        assert len(np.unique(keys[:n])) == n
        keys, probabilities = keys[:n], probabilities[:n]
    return {
        tuple(map(tuple, how.key_counts[key].tolist())): float(p)
        for key, p in zip(keys, probabilities, strict=True)
        if p > 0
    }


def with_quotas(how, pi):
    room = how.n_keys
    keys, work = np.zeros((2, room), np.int64)
    probabilities, work_probabilities = np.zeros((2, room))
    mark = np.full(room, -1, np.int64)
    n = quota_law(np.asarray(pi, float), how, keys, probabilities, work, work_probabilities, mark)
    return keys, probabilities, n, mark


def list_of(cumulative: list[Fraction], size: int) -> list[tuple[Fraction, list[int]]]:
    """The arms at the places of a block of this size, in order of the places, for each interval of u."""
    corners = sorted({Fraction(0), Fraction(1), *(c * size % 1 for c in cumulative)})
    found = []
    for low, high in pairwise(corners):
        u = (low + high) / 2
        found.append((high - low, [sum((place + u) / size >= c for c in cumulative) for place in range(size)]))
    return found


def enumerated(segments: tuple[int, ...], block: int, before_end: int, pi: list[Fraction]) -> Law:
    """Every u and every order of every block; or every independent draw."""
    arms, cumulative = len(pi), [sum(pi[: a + 1], Fraction(0)) for a in range(len(pi) - 1)]
    belongs = [segment for segment, length in enumerate(segments) for _ in range(length)]
    nothing = tuple((0,) * arms for _ in segments)
    law: dict = {nothing: Fraction(1)}
    position = 0
    while position < len(belongs):
        size = min(block, before_end - position) if block else 1
        seen = belongs[position : position + size]
        dealt: dict = defaultdict(Fraction)  # arms of those seen, in order
        if block == 0:
            for arm, p in enumerate(pi):
                dealt[(arm,)] += p
        else:
            for width, arms_at in list_of(cumulative, size):
                orders = list(permutations(arms_at))
                for order in orders:
                    dealt[order[: len(seen)]] += width / len(orders)
        after: dict = defaultdict(Fraction)
        for counts, p in law.items():
            for order, q in dealt.items():
                changed = [list(each) for each in counts]
                for segment, arm in zip(seen, order, strict=True):
                    changed[segment][arm] += 1
                after[tuple(map(tuple, changed))] += p * q
        law, position = after, position + size
    return {counts: float(p) for counts, p in law.items() if p > 0}


HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
UNEVEN = [Fraction(3, 17), Fraction(9, 17), Fraction(5, 17)]


@pytest.mark.parametrize("pi", [[HALF, HALF], [Fraction(1, 10), Fraction(9, 10)], [Fraction(3, 7), Fraction(4, 7)],
                                [Fraction(0), Fraction(1)], [Fraction(1), Fraction(0)]])  # fmt: skip
@pytest.mark.parametrize(("segments", "block", "before_end"), [
    ((1,), 4, 9), ((4,), 4, 9), ((3,), 4, 9), ((6,), 4, 9), ((6,), 4, 6), ((7,), 4, 7), ((2, 3), 4, 9),
    ((0, 5), 4, 5), ((1, 0, 2), 5, 9), ((2, 2, 1, 1), 6, 6), ((5,), 0, 9), ((2, 3), 0, 5), ((0, 1), 4, 9), ((0,), 4, 9),
    ((5,), 1, 9), ((2, 4), 100, 6), ((3,), 100, 5),
])  # fmt: skip
def test_the_law_of_two_arms(segments, block, before_end, pi):
    agree(segments, block, before_end, pi)


@pytest.mark.parametrize("pi", [[THIRD] * 3, UNEVEN, [Fraction(1, 4), HALF, Fraction(1, 4)], [HALF, Fraction(0), HALF],
                                [Fraction(2, 5), Fraction(3, 5), Fraction(0)], [Fraction(0), Fraction(0), Fraction(1)],
                                [Fraction(1, 6), Fraction(1, 6), Fraction(1, 6), HALF],
                                [Fraction(3, 11), Fraction(1, 11), Fraction(5, 11), Fraction(2, 11)],
                                [HALF, Fraction(0), HALF, Fraction(0)]])  # fmt: skip
@pytest.mark.parametrize(("segments", "block", "before_end"), [
    ((3,), 3, 9), ((2,), 3, 9), ((5,), 3, 9), ((4,), 3, 4), ((5,), 4, 5), ((1, 2), 3, 9), ((2, 0, 3), 5, 6),
    ((4,), 0, 9), ((1, 2), 0, 3), ((2, 2), 6, 6),
])  # fmt: skip
def test_the_law_of_three_and_four_arms(segments, block, before_end, pi):
    agree(segments, block, before_end, pi)


def agree(segments, block, before_end, pi):
    expected = enumerated(segments, block, before_end, pi)
    found = law_of(segments, block, before_end, np.array([float(p) for p in pi]))
    assert found.keys() == expected.keys()
    for counts, p in expected.items():
        assert found[counts] == pytest.approx(p, rel=1e-11, abs=1e-15)


@st.composite
def situations(draw):
    arms = draw(st.integers(2, 4))
    segments = tuple(draw(st.lists(st.integers(0, 5 if arms == 2 else 3), min_size=1, max_size=3)))
    weights = np.array(draw(st.lists(st.integers(0, 97), min_size=arms, max_size=arms)), float)
    weights[draw(st.integers(0, arms - 1))] += 1
    return segments, draw(st.integers(0, 8)), sum(segments) + draw(st.integers(0, 5)), weights / weights.sum()


@EXAMPLES
@given(situations())
def test_probabilities_sum_to_one_and_each_segment_has_its_patients_and_its_mean(situation):
    segments, block, before_end, pi = situation
    law = law_of(segments, block, before_end, pi)
    assert sum(law.values()) == pytest.approx(1.0, abs=1e-12)
    mean = np.zeros((len(segments), len(pi)))
    for counts, p in law.items():
        assert tuple(map(sum, counts)) == segments
        assert min(map(min, counts)) >= 0
        mean += p * np.array(counts)
    np.testing.assert_allclose(mean, np.outer(segments, pi), rtol=0, atol=1e-10)


@EXAMPLES
@given(situations())
def test_a_quota_is_missed_by_less_than_one_in_each_block(situation):
    segments, block, before_end, pi = situation
    total, block = sum(segments), max(block, 1)
    if total % block and total != before_end:  # the last block is cut: only what is whole has a quota
        total -= total % block
        segments = (total,)
    n_blocks = -(-total // block)
    for counts in law_of(segments, block, before_end, pi):
        missed = np.abs(np.sum(counts, axis=0) - total * pi)
        assert (missed < n_blocks + 1e-9).all()
        if n_blocks == 1:
            assert (missed < 1).all()


@pytest.mark.parametrize(("pi", "block", "expected"), [
    ([1 / 3] * 3, 6, {(2, 2, 2)}), ([0.1, 0.2, 0.7], 10, {(1, 2, 7)}), ([1 / 4] * 4, 8, {(2, 2, 2, 2)}),
    ([0.5 + 1e-14, 0.5 - 1e-14], 4, {(2, 2)}), ([0.5 - 1e-14, 0.5 + 1e-14], 4, {(2, 2)}),
    ([1 / 6, 1 / 3, 1 / 2, 0.0], 12, {(2, 4, 6, 0)}), ([0.3, 0.7], 5, {(1, 4), (2, 3)}),
])  # fmt: skip
def test_quotas_that_are_whole_numbers_are_exact(pi, block, expected):
    """However the sums round: three times 1/3 are no more than 1 and no less."""
    found = law_of((block,), block, block, np.array(pi))
    assert {counts[0] for counts in found} == expected
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(("segments", "block", "before_end", "pi"), [
    ((7,), 4, 7, [0.23, 0.77]), ((2, 5), 6, 20, [0.15, 0.35, 0.5]), ((3, 3, 1), 5, 8, [0.4, 0.35, 0.2, 0.05]),
])  # fmt: skip
def test_the_lists_that_are_dealt_one_by_one_follow_the_law(segments, block, before_end, pi):
    trials, total = 100_000, sum(segments)
    rng = np.random.default_rng(1)
    position = np.zeros((trials, before_end))
    u_arm, u_block = rng.random((2, trials, before_end))
    kernels.spread(position, u_arm, u_block, np.zeros(trials, np.int64), block)
    arm = np.zeros((trials, before_end), np.int8)
    kernels.deal(arm, np.tile([*np.cumsum(pi)[:-1], 1.0], (trials, 1)), position, np.zeros(trials, np.int64))
    ends = np.cumsum([0, *segments])
    counts = np.stack([(arm[:, :total] == a) for a in range(len(pi))], axis=-1)
    by_segment = np.stack([counts[:, low:high].sum(axis=1) for low, high in pairwise(ends.tolist())], axis=1)
    cells, seen = np.unique(by_segment.reshape(trials, -1), axis=0, return_counts=True)
    law = law_of(segments, block, before_end, np.array(pi))
    for cell, number in zip(cells.tolist(), seen, strict=True):
        p = law[tuple(map(tuple, np.reshape(cell, (len(segments), len(pi))).tolist()))]
        assert abs(number - trials * p) <= 4 * np.sqrt(trials * p * (1 - p)) + 1


# ------------------------------------------------------------------------------------------------ keys


@pytest.mark.parametrize(("lengths", "arms"), [((3,), 2), ((2, 3), 3), ((1, 0, 2), 4), ((), 3), ((0,), 2)])
def test_keys_add_up(lengths, arms):
    """A key is the sum of what its patients add to it, and stands for no other counts."""
    weights, every = radix(lengths, arms), key_counts(lengths, arms)
    assert len(every) == module.n_keys(lengths, arms)
    possible = (every >= 0).all(axis=(1, 2))
    keys = np.einsum("dsa,sa->d", every[:, :, : arms - 1], weights[:, : arms - 1])
    np.testing.assert_array_equal(keys, np.arange(len(every)))
    assert (every.sum(axis=2) == np.array(lengths)).all()
    ways = np.prod([module.comb(length + arms - 1, arms - 1) for length in lengths])
    assert possible.sum() == ways


def test_orders_of_independent_draws():
    assert multinomial(np.array([2, 1, 1])) == 12
    assert multinomial(np.array([0, 0])) == 1
    how = dealing(3, (2, 2), 0, 9)
    assert how.ways.sum() == 3**4


def test_the_last_block_is_as_long_as_patients_remain():
    assert blocks((7,), 3, 7) == ([3, 3, 1], [(3,), (3,), (1,)])
    assert blocks((7,), 3, 8) == ([3, 3, 2], [(3,), (3,), (1,)])
    assert blocks((2, 3), 4, 9) == ([4, 4], [(2, 2), (0, 1)])
    assert blocks((2, 3), 100, 9) == ([9], [(2, 3)])
