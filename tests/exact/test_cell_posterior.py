"""The posterior in all states of a batch, against the posterior of one state at a time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sps_adaptive.exact.layout import compositions, layer
from sps_adaptive.exact.posterior import CellPosterior, counts
from sps_adaptive.posteriors.beta import BetaPosterior

CASES = {
    "2 arms": (((1.0, 1.0),) * 2, 14, 20, False),
    "2 arms, one prior each": (((1.0, 3.0), (2.0, 1.0)), 11, 20, False),
    "2 arms, thinned": (((0.5, 0.5), (1.0, 1.0)), 6, 9, True),
    "3 arms": (((1.0, 1.0),) * 3, 8, 12, False),
    "3 arms, no whole numbers": (((0.7, 1.3), (1.0, 1.0), (0.7, 1.3)), 6, 8, False),
    "3 arms, thinned": (((1.0, 2.0), (1.0, 1.0), (2.5, 0.5)), 4, 5, True),
    "4 arms": (((1.0, 1.0), (1.0, 1.0), (3.0, 2.0), (0.5, 1.5)), 5, 9, False),
    "4 arms, thinned": (((1.0, 1.0),) * 4, 3, 4, True),
    "5 arms": (((1.0, 1.0),) * 5, 3, 6, False),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def both(request):
    priors, total, n_max, thinned = request.param
    (batch,) = layer(compositions(total, len(priors)), total, thinned).batches(10**9)
    known, successes = counts(batch.rows())
    return CellPosterior(priors, batch, n_max), BetaPosterior.from_counts(priors, known, successes, n_max)


def close(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_probability_of_being_best_among_any_arms(both):
    cells, one_by_one = both
    arms = len(cells.priors)
    for size in range(arms + 1):
        for chosen in combinations(range(arms), size):
            among = np.zeros(cells.batch.rows().shape, bool)
            among[:, list(chosen)] = True
            best = cells.prob_best(among)
            close(best, one_by_one.prob_best(among))
            assert (best[:, [a for a in range(arms) if a not in chosen]] == 0).all()
            if size:
                np.testing.assert_allclose(best.sum(axis=1), 1.0, rtol=0, atol=1e-13)


def test_probability_of_being_best_among_other_arms_in_every_state(both):
    """At a look a rule may have closed different arms in different states."""
    cells, one_by_one = both
    among = np.random.default_rng(7).random(cells.batch.rows().shape) < 0.6
    close(cells.prob_best(among), one_by_one.prob_best(among))


@pytest.mark.parametrize("margin", [0.0, 0.1, -0.1, 0.75, -0.4, 0.999, 1.0, -1.0, 3.0, -3.0])
def test_probability_of_being_better_by_a_margin(both, margin):
    cells, one_by_one = both
    for than in range(len(cells.priors)):
        better = cells.prob_better(than, margin)
        close(better, one_by_one.prob_better(than, margin))
        assert (better[:, than] == (margin < 0)).all()
        assert (better >= 0).all() and (better <= 1).all()


def test_means_intervals_and_differences(both):
    cells, one_by_one = both
    close(cells.mean(), one_by_one.mean())
    close(cells.interval(0.9), one_by_one.interval(0.9))
    close(cells.difference(1, 0.95), one_by_one.difference(1, 0.95))


def test_batches_say_the_same_as_the_whole_layer():
    priors = ((1.0, 1.0), (2.0, 1.0), (1.0, 1.0))
    where = layer(compositions(9, 3), 9, False)
    (whole,) = where.batches(10**9)
    complete = CellPosterior(priors, whole, 12)
    among = np.ones((whole.size, 3), bool)
    for batch in where.batches(150):
        piece = CellPosterior(priors, batch, 12)
        close(piece.prob_best(among[batch.place]), complete.prob_best(among)[batch.place])
        close(piece.prob_better(2, 0.05), complete.prob_better(2, 0.05)[batch.place])


def test_each_question_is_answered_once():
    (batch,) = layer(compositions(5, 2), 5, False).batches(10**9)
    posterior = CellPosterior(((1.0, 1.0),) * 2, batch, 5)
    assert posterior.prob_better(0, 0.1) is posterior.prob_better(0, 0.1)
    assert posterior.prob_better(0, 0.1) is not posterior.prob_better(1, 0.1)


def test_no_states_at_all():
    (batch,) = layer(compositions(5, 2), 5, False).batches(10**9)
    empty = batch._replace(cells=batch.cells[:0], start=batch.start[:1])
    posterior = CellPosterior(((1.0, 1.0),) * 2, empty, 5)
    assert posterior.prob_best(np.ones((0, 2), bool)).shape == (0, 2)
    assert posterior.prob_better(0).shape == (0, 2)
    assert posterior.mean().shape == (0, 2)
