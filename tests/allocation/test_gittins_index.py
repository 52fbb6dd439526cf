"""The Gittins index against printed values, its definition and bounds; the forward-looking rule against enumeration."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive.allocation.gittins_index import (
    controlled_flgi_probabilities,
    flgi_probabilities,
    gittins_table,
    gittins_tables,
    index_bounds,
)
from sps_adaptive.allocation.gittins_kernels import TIE

PROGRAMS = json.loads((Path(__file__).parent / "data" / "gittins_index.json").read_text(encoding="utf-8"))["programs"]
UNIFORM = (1.0, 1.0)

# ------------------------------------------------------------------------------------------------ the index


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program['discount']} {program['source'][:20]}")
def test_indices_are_those_of_other_programs(program):
    table = gittins_table(UNIFORM, program["discount"], 20)
    for alpha, beta, index in program["index"]:
        assert table[alpha - 1, beta - 1] == pytest.approx(index, abs=program["tolerance"])


def test_indices_of_slow_discounting():
    """Bisection in a program of its own, horizon 750."""
    table = gittins_table(UNIFORM, 0.99, 120)
    assert table[0, 0] == pytest.approx(0.8699, abs=5.5e-5)
    assert table[1, 0] == pytest.approx(0.9102, abs=5.5e-5)
    assert table[0, 1] == pytest.approx(0.7005, abs=5.5e-5)


def gain(alpha, beta, discount, charge, ahead):
    """What one play is worth, and all that may follow it, at a charge a play: the definition, without the rest."""

    @cache
    def worth(s, f):
        mean = (alpha + s) / (alpha + beta + s + f)
        if s + f == ahead:
            return max(mean - charge, 0) / (1 - discount)
        return max(mean - charge + discount * (mean * worth(s + 1, f) + (1 - mean) * worth(s, f + 1)), 0)

    mean = alpha / (alpha + beta)
    return mean - charge + discount * (mean * worth(1, 0) + (1 - mean) * worth(0, 1))


@pytest.mark.parametrize("prior", [(1, 1), (0.5, 0.5), (0.02, 0.3), (2.5, 0.7), (20, 55)])
@pytest.mark.parametrize("s, f", [(0, 0), (3, 0), (0, 4), (5, 7)])
def test_an_arm_breaks_even_at_its_index(prior, s, f):
    index = gittins_table(tuple(map(float, prior)), 0.9, 12)[s, f]
    alpha, beta = prior[0] + s, prior[1] + f
    assert gain(alpha, beta, 0.9, index - 1e-5, 120) > 0
    assert gain(alpha, beta, 0.9, index + 1e-5, 120) < 0


@pytest.mark.parametrize("discount, prior", [(0.5, (1.0, 1.0)), (0.9, (0.5, 0.5)), (0.99, (1.0, 1.0))])
def test_more_charges_bring_the_bounds_together_and_stay_within_them(discount, prior):
    lower, upper = index_bounds(prior, discount, 60)
    finer_lower, finer_upper = index_bounds(prior, discount, 60, charges=64_000)
    there = ~np.isnan(lower)
    assert np.all((upper - lower)[there] < 3e-5)
    assert np.all((finer_upper - finer_lower)[there] < 3e-6)
    assert np.all((finer_lower - lower)[there] > -1e-9)
    assert np.all((upper - finer_upper)[there] > -1e-9)
    assert np.all(np.abs(finer_lower - lower)[there] < 1e-5)


def test_the_table_has_all_states_and_no_more():
    table = gittins_table((0.3, 4.0), 0.95, 33)
    states = np.add.outer(np.arange(34), np.arange(34))
    np.testing.assert_array_equal(np.isnan(table), states > 33)


@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 0.5), (3.0, 8.0)])
@pytest.mark.parametrize("discount", [0.3, 0.9, 0.99])
def test_successes_raise_the_index_failures_lower_it_and_it_lies_above_the_mean(prior, discount):
    table = gittins_table(prior, discount, 60)
    s, f = np.nonzero(~np.isnan(table))
    mean = (prior[0] + s) / (sum(prior) + s + f)
    assert np.all(table[s, f] > mean)
    assert np.all(table[s, f] < 1)
    inside = s + f < 60
    assert np.all(table[s[inside] + 1, f[inside]] > table[s[inside], f[inside]])
    assert np.all(table[s[inside], f[inside] + 1] < table[s[inside], f[inside]])


def test_the_index_rises_with_the_discount_from_the_mean():
    tables = np.array([gittins_table(UNIFORM, discount, 40) for discount in (0.0, 0.3, 0.7, 0.9, 0.97, 0.99)])
    s, f = np.nonzero(~np.isnan(tables[0]))
    np.testing.assert_allclose(tables[0][s, f], (1 + s) / (2 + s + f), rtol=0, atol=1e-12)
    assert np.all(np.diff(tables[:, s, f], axis=0) > 0)


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_one_posterior_has_one_index_whatever_the_prior(discount):
    uniform, informed = gittins_table(UNIFORM, discount, 40), gittins_table((2.0, 3.0), discount, 37)
    s, f = np.nonzero(~np.isnan(informed))
    np.testing.assert_allclose(uniform[s + 1, f + 2], informed[s, f], rtol=0, atol=TIE / 4)


@pytest.mark.parametrize("prior, discount, most", [((0.0, 1.0), 0.9, 5), (UNIFORM, 1.0, 5), (UNIFORM, -0.1, 5)])
def test_what_has_no_index_is_refused(prior, discount, most):
    with pytest.raises(ValueError, match="no Gittins index"):
        gittins_table(prior, discount, most)


# -------------------------------------------------------------------------------- the forward-looking rule


def enumerated(successes, failures, is_open, priors, discount, block):
    """Expected shares by walking through every course of the block, one patient at a time."""
    tables = [gittins_table(prior, discount, 60) for prior in priors]

    @cache
    def shares(s, f, left):
        if left == 0:
            return np.zeros(len(s))
        index = [tables[a][s[a], f[a]] if is_open[a] else -1 for a in range(len(s))]
        leaders = [a for a in range(len(s)) if index[a] > max(index) - TIE]
        total = np.zeros(len(s))
        for a in leaders:
            chance = (priors[a][0] + s[a]) / (sum(priors[a]) + s[a] + f[a])
            won = shares((*s[:a], s[a] + 1, *s[a + 1 :]), f, left - 1)
            lost = shares(s, (*f[:a], f[a] + 1, *f[a + 1 :]), left - 1)
            total += (np.arange(len(s)) == a) + chance * won + (1 - chance) * lost
        return total / len(leaders)

    return shares(tuple(successes), tuple(failures), block) / block


def probabilities(successes, failures, block, *, is_open=None, priors=None, discount=0.9, most=60):
    successes, failures = np.atleast_2d(successes), np.atleast_2d(failures)
    is_open = np.ones(successes.shape, bool) if is_open is None else np.atleast_2d(is_open)
    tables = gittins_tables(priors or (UNIFORM,) * successes.shape[1], discount, most)
    return flgi_probabilities(successes, failures, is_open, tables, block)


def test_two_patients_by_hand():
    """Arm 0 has won once: it is played, again after a success (2/3), and not after a failure: .6346 < .7029."""
    np.testing.assert_allclose(probabilities([1, 0], [0, 0], 2), [[5 / 6, 1 / 6]], rtol=0, atol=1e-15)


def test_one_patient_goes_to_the_highest_index_and_ties_share():
    found = probabilities([[3, 1, 0], [1, 1, 0], [2, 2, 2]], [[1, 0, 0], [0, 0, 3], [1, 1, 1]], 1)
    np.testing.assert_array_equal(found, [[0, 1, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])


@st.composite
def states(draw):
    arms = draw(st.integers(2, 4))
    some = st.lists(st.integers(0, 6), min_size=arms, max_size=arms)
    prior = st.sampled_from([UNIFORM, (0.5, 0.5), (2.0, 1.0), (3.5, 6.0)])
    return {
        "successes": draw(some),
        "failures": draw(some),
        "is_open": draw(st.lists(st.booleans(), min_size=arms, max_size=arms).filter(any)),
        "priors": tuple(draw(st.lists(prior, min_size=arms, max_size=arms))),
        "discount": draw(st.sampled_from([0.0, 0.5, 0.9])),
        "block": draw(st.integers(1, 8)),
    }


@settings(max_examples=150, deadline=None)
@given(states())
def test_probabilities_are_those_of_every_course_of_the_block(state):
    expected = enumerated(**state)
    found = probabilities(**state)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(found[~np.array(state["is_open"])], 0)
    assert found.sum() == pytest.approx(1, abs=1e-13)


def test_many_ties_leave_thousands_of_states_to_keep():
    """Five arms and a discount of 0, under which different states tie: more states than the first tables hold."""
    start = {"successes": [0, 0, 0, 0, 1], "failures": [0, 0, 0, 0, 1], "discount": 0.0, "block": 8}
    expected = enumerated(**start, is_open=[True] * 5, priors=(UNIFORM,) * 5)
    np.testing.assert_allclose(probabilities(**start)[0], expected, rtol=0, atol=1e-13)
    equal = probabilities([0] * 5, [0] * 5, 12)
    np.testing.assert_allclose(equal, np.full((1, 5), 0.2), rtol=0, atol=1e-13)


def many(rows=400, arms=4):
    rng = np.random.default_rng(3)
    successes, failures = rng.integers(0, 12, (2, rows, arms))
    return successes, failures, rng.random((rows, arms)) < 0.8


def test_splitting_the_batch_changes_not_one_bit_and_inputs_stay_as_they_are():
    successes, failures, is_open = many()
    copies = successes.copy(), failures.copy(), is_open.copy()
    whole = probabilities(successes, failures, 9, is_open=is_open)
    parts = [slice(0, 1), slice(1, 170), slice(170, None)]
    split = [probabilities(successes[part], failures[part], 9, is_open=is_open[part]) for part in parts]
    np.testing.assert_array_equal(whole, np.concatenate(split))
    for before, after in zip(copies, (successes, failures, is_open), strict=True):
        np.testing.assert_array_equal(before, after)


def test_permuting_the_arms_permutes_the_probabilities():
    successes, failures, is_open = many()
    priors = (UNIFORM, (2.0, 1.0), UNIFORM, (0.5, 0.5))
    order = np.array([2, 3, 0, 1])
    straight = probabilities(successes, failures, 7, is_open=is_open, priors=priors)
    turned = probabilities(
        successes[:, order], failures[:, order], 7, is_open=is_open[:, order], priors=tuple(priors[a] for a in order)
    )
    np.testing.assert_allclose(turned, straight[:, order], rtol=0, atol=1e-13)


def test_a_row_without_open_arms_has_no_probabilities():
    np.testing.assert_array_equal(probabilities([1, 2], [0, 0], 3, is_open=[False, False]), [[0, 0]])


def test_closed_arms_may_have_seen_more_than_the_table_holds():
    found = probabilities([[900, 3]], [[80, 4]], 3, is_open=[[False, True]], most=20)
    np.testing.assert_array_equal(found, [[0, 1]])


def test_a_table_that_is_too_small_is_refused():
    assert probabilities([5, 0], [3, 0], 3, most=10).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="for 10 outcomes where 11 can be reached"):
        probabilities([5, 0], [4, 0], 3, most=10)


@pytest.mark.parametrize("block, arms", [(0, 2), (17, 7), (40, 6)])
def test_blocks_that_do_not_fit_a_whole_number_are_refused(block, arms):
    with pytest.raises(ValueError, match="no forward-looking rule for blocks"):
        probabilities([0] * arms, [0] * arms, block)


# ------------------------------------------------------------------------------------- the controlled rule


def test_the_control_keeps_its_share_and_the_others_share_the_rest():
    successes, failures, is_open = many()
    tables = gittins_tables((UNIFORM,) * 4, 0.9, 60)
    found = controlled_flgi_probabilities(successes, failures, is_open, tables, 5, control=1)
    rivals = is_open & (np.arange(4) != 1)
    alone = flgi_probabilities(successes, failures, rivals, tables, 5)
    share = np.where(is_open[:, 1], 1 / np.maximum(is_open.sum(axis=1), 1), 0)
    np.testing.assert_allclose(found[:, 1], share, rtol=0, atol=0)
    np.testing.assert_allclose(found[rivals], (alone * (1 - share)[:, None])[rivals], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=1), is_open.any(axis=1), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(found[~is_open], 0)


def test_a_control_alone_gets_everybody():
    tables = gittins_tables((UNIFORM,) * 3, 0.9, 60)
    zeros = np.zeros((2, 3), int)
    is_open = np.array([[True, False, False], [False, True, True]])
    found = controlled_flgi_probabilities(zeros, zeros, is_open, tables, 4, control=0)
    np.testing.assert_allclose(found, [[1, 0, 0], [0, 0.5, 0.5]], rtol=0, atol=1e-15)
