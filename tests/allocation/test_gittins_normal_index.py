"""The Gittins index of normal arms against printed tables; its forward-looking rule against closed forms and chance."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from sps_adaptive.allocation.gittins_index import beside_control
from sps_adaptive.allocation.gittins_normal_index import (
    controlled_flgi_normal_probabilities,
    flgi_normal_probabilities,
    normal_bonus,
    normal_tables,
)

PRINTED = json.loads((Path(__file__).parent / "data" / "gittins_normal.json").read_text(encoding="utf-8"))

# ------------------------------------------------------------------------------------------------ the index


@pytest.mark.parametrize("discount", PRINTED["values"])
def test_the_bonus_is_that_of_the_printed_table(discount):
    n = np.array(PRINTED["n"])
    bonus = normal_bonus(1.0, float(discount), 99)[n - 1]
    scaled = bonus * n * np.sqrt(1 - float(discount))
    tolerance = np.where(n <= 10, PRINTED["tolerance"]["up to n = 10"], PRINTED["tolerance"]["above"])
    assert np.all(np.abs(scaled - PRINTED["values"][discount]) < tolerance)


@pytest.mark.parametrize("first", [0.3, 1.0, 6.5])
def test_an_arm_breaks_even_at_its_index(first):
    """The definition on one fixed grid of means, expectations by the trapezoidal rule, 25 patients ahead."""
    discount, mean, z = 0.5, np.linspace(-4, 8, 6001), np.linspace(-7, 7, 281)
    density = norm.pdf(z) / norm.pdf(z).sum()
    gain = np.maximum(mean, 0) / (1 - discount)
    for n in first + np.arange(25)[::-1]:
        after = mean[:, None] + z / np.sqrt(n * (n + 1))
        known = np.where(after > mean[-1], after / (1 - discount), np.interp(after, mean, gain))
        one_more = mean + discount * known @ density
        gain = np.maximum(one_more, 0)
    bonus = normal_bonus(first, discount, 10)[0]
    assert np.interp(0, one_more, mean) == pytest.approx(-bonus, abs=1e-4)


def test_the_bonus_falls_with_outcomes_and_rises_with_the_discount():
    bonuses = np.array([normal_bonus(1.0, discount, 60) for discount in (0.0, 0.3, 0.7, 0.9, 0.97, 0.99)])
    np.testing.assert_allclose(bonuses[0], 0, rtol=0, atol=1e-12)
    assert np.all(np.diff(bonuses, axis=0) > 0)
    assert np.all(np.diff(bonuses[1:], axis=1) < 0)


def test_an_outcome_of_the_prior_counts_like_any_other():
    np.testing.assert_allclose(normal_bonus(1.0, 0.9, 12)[3:], normal_bonus(4.0, 0.9, 9), rtol=0, atol=1e-8)


@pytest.mark.parametrize("first, discount", [(0.0, 0.9), (1.0, 1.0), (1.0, -0.1)])
def test_what_has_no_index_is_refused(first, discount):
    with pytest.raises(ValueError, match="no Gittins index"):
        normal_bonus(first, discount, 5)


# -------------------------------------------------------------------------------- the forward-looking rule


def tables(block, arms=3, discount=0.9, firsts=None):
    return normal_tables(firsts or (1.0,) * arms, discount, 40, block)


def rows(number=200, arms=4):
    rng = np.random.default_rng(5)
    n = rng.integers(0, 15, (number, arms))
    mean = rng.normal(0, 0.5, (number, arms)) * (n > 0)
    return mean, n, rng.uniform(0.5, 2, (number, arms)), rng.random((number, arms)) < 0.8


def indices(mean, n, sd, made):
    bonus = np.array([made.bonus[t] for t in made.of_arm])
    return mean + sd * np.take_along_axis(bonus[None], n[..., None], axis=2)[..., 0]


def test_one_patient_goes_to_the_highest_index_and_ties_share():
    mean, n, sd, is_open = rows()
    n[0], mean[0], sd[0], is_open[0] = 0, 0, 1, [True, True, False, True]
    n[1], mean[1], sd[1], is_open[1] = 3, [0.2, 0.1, 0.2, -1], 1, True
    found = flgi_normal_probabilities(mean, n, sd, is_open, tables(1, 4))
    index = np.where(is_open, indices(mean, n, sd, tables(1, 4)), -np.inf)
    leads = (index > index.max(axis=1, keepdims=True) - 1e-9) & is_open
    np.testing.assert_allclose(found, leads / np.maximum(leads.sum(axis=1, keepdims=True), 1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[:2], [[1 / 3, 1 / 3, 0, 1 / 3], [0.5, 0, 0.5, 0]], rtol=0, atol=1e-12)


def test_two_patients_in_closed_form():
    """The second goes to the arm of the first unless its mean falls so far that another arm leads."""
    mean, n, sd, _ = rows(arms=3)
    firsts = (1.0, 0.5, 4.0)
    made = tables(2, firsts=firsts)
    index = indices(mean, n, sd, made)
    order = np.argsort(-index, axis=1)
    row = np.arange(len(mean))
    leader, second = order[:, 0], order[:, 1]
    size = np.array(firsts)[leader] + n[row, leader]
    later = np.array([made.bonus[made.of_arm[a], n[r, a] + 1] for r, a in zip(row, leader, strict=True)])
    lead = mean[row, leader] + sd[row, leader] * later - index[row, second]
    stays = norm.cdf(lead / sd[row, leader] * np.sqrt(size * (size + 1)))
    expected = np.zeros(mean.shape)
    expected[row, leader], expected[row, second] = (1 + stays) / 2, (1 - stays) / 2
    found = flgi_normal_probabilities(mean, n, sd, np.ones(mean.shape, bool), made)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def played(mean, n, sd, firsts, block, courses=200_000):
    """Parts of the block by arm, in each of many courses with drawn outcomes; ties at random."""
    rng = np.random.default_rng(11)
    bonus = np.array([normal_bonus(first, 0.9, 40) for first in firsts])
    mean, n = np.tile(np.asarray(mean, float), (courses, 1)), np.tile(n, (courses, 1))
    parts, row = np.zeros(mean.shape), np.arange(courses)
    for _ in range(block):
        index = mean + sd * bonus[np.arange(len(firsts)), n] + 1e-9 * rng.random(mean.shape)
        arm = index.argmax(axis=1)
        parts[row, arm] += 1 / block
        size = np.array(firsts)[arm] + n[row, arm]
        surprise = sd[arm] * np.sqrt(1 + 1 / size) * rng.standard_normal(courses)
        mean[row, arm] += surprise / (size + 1)
        n[row, arm] += 1
    return parts


@pytest.mark.parametrize("block", [3, 9])
@pytest.mark.parametrize(
    "mean, n, sd, firsts",
    [
        ([0, 0, 0.9], [0, 0, 6], [1, 1, 1], (1.0, 1.0, 1.0)),  # two arms tie, and do not lead
        ([0.3, 0.3, 0.1], [4, 4, 4], [1, 1, 1], (1.0, 1.0, 1.0)),  # two arms tie, and lead
        ([-0.2, 0.3, 0.5], [2, 5, 11], [1.5, 0.7, 1], (1.0, 2.0, 0.5)),
        ([0.1, 0.0, 0.3, 0.2, 0.1], [0, 3, 8, 5, 0], [1, 1, 1, 1, 1], (1.0, 1.0, 1.0, 1.0, 1.0)),
    ],
)
def test_probabilities_are_those_of_drawn_courses(mean, n, sd, firsts, block):
    sd = np.array(sd, float)
    state = np.array([mean], float), np.array([n]), sd[None], np.ones((1, len(n)), bool)
    made = tables(block, firsts=firsts)
    found = flgi_normal_probabilities(*state, made, cells=200)[0]
    drawn = played(mean, n, sd, firsts, block)
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(found - drawn.mean(axis=0)) < 4.5 * error + 1e-5)
    # The levels that are used by default leave an error of no consequence.
    np.testing.assert_allclose(flgi_normal_probabilities(*state, made)[0], found, rtol=0, atol=5e-4)


def test_rows_sum_to_one_closed_arms_get_nothing_and_inputs_stay_as_they_are():
    state = rows()
    copies = [each.copy() for each in state]
    found = flgi_normal_probabilities(*state, tables(6, 4))
    is_open = state[3]
    np.testing.assert_allclose(found.sum(axis=1), is_open.any(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found[~is_open], 0)
    for before, after in zip(copies, state, strict=True):
        np.testing.assert_array_equal(before, after)


def test_splitting_the_batch_changes_not_one_bit():
    state = rows()
    whole = flgi_normal_probabilities(*state, tables(6, 4))
    parts = [slice(0, 1), slice(1, 77), slice(77, None)]
    split = [flgi_normal_probabilities(*(each[part] for each in state), tables(6, 4)) for part in parts]
    np.testing.assert_array_equal(whole, np.concatenate(split))


def test_permuting_the_arms_permutes_the_probabilities():
    state = rows()
    state[1][:20], state[0][:20], state[2][:20] = 0, 0, 1  # with ties
    order, firsts = np.array([2, 0, 3, 1]), (1.0, 1.0, 0.5, 1.0)
    straight = flgi_normal_probabilities(*state, tables(6, firsts=firsts))
    turned_firsts = tuple(firsts[a] for a in order)
    turned = flgi_normal_probabilities(*(each[:, order] for each in state), tables(6, firsts=turned_firsts))
    np.testing.assert_allclose(turned, straight[:, order], rtol=0, atol=1e-12)


def test_neither_origin_nor_unit_of_the_outcome_matters():
    mean, n, sd, is_open = rows()
    straight = flgi_normal_probabilities(mean, n, sd, is_open, tables(6, 4))
    moved = flgi_normal_probabilities(mean * 8 + 40, n, sd * 8, is_open, tables(6, 4))
    np.testing.assert_allclose(moved, straight, rtol=0, atol=1e-8)


def test_the_control_keeps_its_share_and_the_others_share_the_rest():
    state = rows()
    found = controlled_flgi_normal_probabilities(*state, tables(6, 4), control=2)
    rivals, share = beside_control(state[3], 2)
    alone = flgi_normal_probabilities(*state[:3], rivals, tables(6, 4))
    np.testing.assert_array_equal(found[:, 2], share)
    np.testing.assert_allclose(found[rivals], (alone * (1 - share)[:, None])[rivals], rtol=0, atol=1e-15)


def test_tables_that_are_too_small_are_refused():
    state = np.zeros((1, 2)), np.array([[5, 6]]), np.ones((1, 2)), np.ones((1, 2), bool)
    assert flgi_normal_probabilities(*state, normal_tables((1.0, 1.0), 0.9, 8, 3)).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="for 7 outcomes where 8 can be reached"):
        flgi_normal_probabilities(*state, normal_tables((1.0, 1.0), 0.9, 7, 3))
    with pytest.raises(ValueError, match="no forward-looking rule for blocks of 0"):
        normal_tables((1.0, 1.0), 0.9, 7, 0)
