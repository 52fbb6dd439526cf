"""Where states stand in memory."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive.exact.layout import compositions, first_row, grown, layer, n_rows, place
from sps_adaptive.exact.posterior import counts
from sps_adaptive.posteriors.beta import state_rows

EXAMPLES = settings(max_examples=40)


@st.composite
def layers(draw):
    arms = draw(st.integers(2, 4))
    total = draw(st.integers(0, {2: 12, 3: 7, 4: 4}[arms]))
    cells = compositions(total, arms)
    chosen = draw(st.lists(st.integers(0, len(cells) - 1), min_size=1, max_size=12))
    return layer(cells[chosen], total, draw(st.booleans()))


def states_of_arm(n: int, thinned: bool) -> list[tuple[int, int]]:
    """(known, responders) of an arm with n settled patients, in order."""
    return [(k, s) for k in (range(n + 1) if thinned else [n]) for s in range(k + 1)]


@EXAMPLES
@given(layers())
def test_states_are_row_major_over_the_states_of_the_arms(where):
    expected, enrolled = [], []
    for cell in where.cells.tolist():
        for state in product(*(states_of_arm(n, where.thinned) for n in cell)):
            expected.append(state)
            enrolled.append(cell)
    (batch,) = where.batches(10**9)
    known, successes = counts(batch.rows())
    assert where.size == batch.size == len(expected)
    np.testing.assert_array_equal(np.stack([known, successes], axis=-1), expected)
    np.testing.assert_array_equal(batch.enrolled(), enrolled)
    assert (known <= batch.enrolled()).all()
    assert where.thinned or (known == batch.enrolled()).all()
    assert len(np.unique(np.column_stack([batch.enrolled(), known, successes]), axis=0)) == batch.size


@EXAMPLES
@given(layers())
def test_rows_are_those_of_the_table_of_posteriors(where):
    (batch,) = where.batches(10**9)
    known, successes = counts(batch.rows())
    priors = ((1.0, 1.0),) * known.shape[1]
    np.testing.assert_array_equal(batch.rows(), state_rows(((1.0, 1.0),), priors, known, successes, 40))


@EXAMPLES
@given(layers(), st.integers(1, 300))
def test_batches_are_the_layer_cut_between_cells(where, most):
    (whole,) = where.batches(10**9)
    rows, enrolled, at = whole.rows(), whole.enrolled(), 0
    for batch in where.batches(most):
        assert batch.place == slice(at, at + batch.size)
        assert batch.size <= most or len(batch.cells) == 1
        np.testing.assert_array_equal(batch.rows(), rows[batch.place])
        np.testing.assert_array_equal(batch.enrolled(), enrolled[batch.place])
        at += batch.size
    assert at == where.size


@EXAMPLES
@given(layers())
def test_every_cell_is_found_and_no_other(where):
    assert (where.cells.sum(axis=1) == where.total).all()
    order = sorted(map(tuple, where.cells.tolist()))
    assert list(map(tuple, where.cells.tolist())) == order
    for cell in compositions(where.total, where.cells.shape[1]):
        found = where.where[place(cell[None, :], where.total)[0]]
        if found < 0:
            assert tuple(cell) not in order
        else:
            assert tuple(where.cells[found]) == tuple(cell)
    assert (where.where >= 0).sum() == len(where.cells)


@pytest.mark.parametrize("thinned", [False, True])
def test_rows_of_an_arm(thinned):
    for n in range(30):
        rows = first_row(n, thinned) + np.arange(n_rows(n, thinned))
        known, successes = counts(rows)
        assert list(zip(known.tolist(), successes.tolist(), strict=True)) == states_of_arm(n, thinned)


def test_rows_of_large_tables():
    """The square root must not round a state into its neighbour."""
    known = np.concatenate([[n, n] for n in (1, 1000, 99_999, 10**6, 3 * 10**7)])
    successes = np.where(np.arange(len(known)) % 2 == 0, 0, known)
    found = counts(known * (known + 1) // 2 + successes)
    np.testing.assert_array_equal(found, (known, successes))


def test_compositions():
    for total, parts in ((0, 1), (0, 3), (5, 1), (5, 2), (4, 4)):
        found = compositions(total, parts)
        assert len(found) == comb(total + parts - 1, parts - 1)
        assert (found.sum(axis=1) == total).all() and (found >= 0).all()
        assert list(map(tuple, found)) == sorted(set(map(tuple, found)))
    only = compositions(3, 3, np.array([True, False, True]))
    assert list(map(tuple, only)) == [(0, 0, 3), (1, 0, 2), (2, 0, 1), (3, 0, 0)]
    assert list(map(tuple, compositions(3, 3, np.array([True, True, False])))) == [(0, 3, 0), (1, 2, 0), (2, 1, 0),
                                                                                   (3, 0, 0)]  # fmt: skip
    assert len(compositions(3, 2, np.array([False, False]))) == 0
    assert len(compositions(0, 2, np.array([False, False]))) == 1


def test_cells_that_can_be_reached():
    cells, steps = np.array([[1, 0], [0, 1]]), np.array([[0, 2], [1, 1]])
    assert grown(cells, steps).tolist() == [[0, 3], [1, 2], [2, 1]]


def test_an_empty_trial_has_one_state():
    where = layer(np.zeros((1, 3)), 0, True)
    assert where.size == 1
    (batch,) = where.batches(10)
    assert batch.rows().tolist() == [[0, 0, 0]]
