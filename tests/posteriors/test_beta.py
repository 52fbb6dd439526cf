"""Beta posteriors against dense quadrature, closed forms and the numpy twins of the kernels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betainc
from scipy.stats import beta as beta_distribution
from scipy.stats import norm

from sps_adaptive.posteriors import beta as room
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.posteriors.dense import dense_best, dense_better, states

WHOLE = [(1, 1), (2, 3)]
HALF = [(0.5, 0.5), (1.5, 0.5), (2.4, 5.7)]
SINGULAR = [(0.1, 0.1), (0.1, 2.3), (0.7, 0.7), (1.2, 1.1)]


# Whole-number priors: rounding only, which the recurrences let grow to some 1e-13 at 200 patients.
# Half numbers: the integrand is analytic, so the same. Singular priors: what the rule leaves out.
CASES = [(prior, 1e-12) for prior in WHOLE] + [(prior, 1e-11) for prior in HALF] + [(prior, 1e-8) for prior in SINGULAR]


@pytest.mark.parametrize(("prior", "tolerance"), CASES)
@pytest.mark.parametrize("n_max", [1, 10, 60, 200])
def test_best_agrees_with_dense_quadrature(prior, tolerance, n_max):
    n, s = states(14, 3, n_max, 11)
    posterior = BetaPosterior.from_counts((prior,) * 3, n, s, n_max)
    best = posterior.prob_best(np.ones(n.shape, bool))
    expected = [dense_best(a, b) for a, b in zip(posterior.alpha, posterior.beta, strict=True)]
    np.testing.assert_allclose(best, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("prior", "tolerance"), CASES)
@pytest.mark.parametrize("n_max", [10, 200])
@pytest.mark.parametrize("margin", [0.0, 0.1, -0.25, 0.9])
def test_better_agrees_with_dense_quadrature(prior, tolerance, n_max, margin):
    n, s = states(14, 3, n_max, 12)
    posterior = BetaPosterior.from_counts((prior,) * 3, n, s, n_max)
    better = posterior.prob_better(1, margin)
    for r in range(len(n)):
        expected = dense_better(posterior.alpha[r], posterior.beta[r], 1, margin)
        np.testing.assert_allclose(better[r, [0, 2]], expected[[0, 2]], atol=tolerance, rtol=0)


def adaptive_best(one, two, three):
    """P(three is the best)."""
    return quad(lambda x: three.pdf(x) * one.cdf(x) * two.cdf(x), 0, 1, points=[three.mean(), one.mean()], epsabs=1e-11)


def adaptive_better(one, three, margin):
    middle = min(one.mean(), 0.8)
    return quad(lambda x: one.pdf(x) * three.sf(x + margin), 0, 1 - margin, points=[middle], epsabs=1e-11)


def test_best_and_better_agree_with_adaptive_quadrature():
    # scipy's quad is another algorithm, on another cdf: good to about 1e-10 on these smooth integrands.
    n, s = states(34, 3, 40, 13)
    posterior = BetaPosterior.from_counts(((1, 1), (2, 3), (4, 2)), n, s, 40)
    best, better = posterior.prob_best(np.ones(n.shape, bool)), posterior.prob_better(0, 0.15)
    for r in range(len(n)):
        arms = [beta_distribution(a, b) for a, b in zip(posterior.alpha[r], posterior.beta[r], strict=True)]
        assert best[r, 2] == pytest.approx(adaptive_best(*arms)[0], abs=1e-9)
        assert better[r, 2] == pytest.approx(adaptive_better(arms[0], arms[2], 0.15)[0], abs=1e-9)


@pytest.mark.parametrize("prior", [(1, 1), (0.5, 0.5), (0.3, 4.2)])
@pytest.mark.parametrize("margin", [0.0, 0.2, -0.2])
def test_the_recurrences_agree_with_the_incomplete_beta_function(prior, margin):
    # n_max additions, each with a rounding error of at most one unit: 1e-12 is the bound that was asked for.
    kinds, n_max = (prior, (3.0, 1.0)), 150
    table = room.beta_table(kinds, n_max, margin)
    row = np.random.default_rng(3).integers(0, len(table.cdf), 400)
    alpha, beta = room.state_parameters(kinds, row, n_max)
    direct = room.direct_table(alpha, beta, margin, room.quadrature(kinds, n_max))
    np.testing.assert_allclose(table.cdf[row], direct.cdf, atol=1e-12, rtol=0)
    np.testing.assert_allclose(table.weighted_pdf[row], direct.weighted_pdf, atol=1e-12, rtol=1e-11)


def test_rows_name_their_states():
    kinds, n_max = ((0.5, 0.5), (1.0, 2.0)), 30
    states_of_both = [(p, n, s) for p in range(2) for n in range(n_max + 1) for s in range(n + 1)]
    p, n, s = np.array(states_of_both).T
    for k, prior in enumerate(kinds):
        row = room.state_rows(kinds, (prior,), n[p == k, None], s[p == k, None], n_max)[:, 0]
        alpha, beta = room.state_parameters(kinds, row, n_max)
        np.testing.assert_array_equal(alpha, prior[0] + s[p == k])
        np.testing.assert_array_equal(beta, prior[1] + (n - s)[p == k])
        np.testing.assert_array_equal(row, np.flatnonzero(p == k))


def best_twin(weighted_pdf, cdf, row, among):
    best = np.zeros(row.shape)
    for k in range(row.shape[1]):
        others = np.where(among[:, :, None], cdf[row], 1.0)
        others[:, k] = 1.0
        best[:, k] = np.where(among[:, k], (weighted_pdf[row[:, k]] * others.prod(axis=1)).sum(axis=1), 0.0)
    return best / best.sum(axis=1, keepdims=True)


def test_the_kernels_repeat_their_twins():
    # Sums of some forty products in another order.
    rng = np.random.default_rng(4)
    for margin, prior in [(0.0, (1.0, 1.0)), (0.1, (0.5, 0.5)), (-0.1, (1.0, 1.0))]:
        table = room.beta_table((prior,), 40, margin)
        for arms in (2, 3, 5):
            row = rng.integers(0, len(table.cdf), (50, arms))
            among = rng.random((50, arms)) < 0.7
            among[:, 0] = True
            best = np.zeros(row.shape)
            if margin == 0:
                room.best_of(table.weighted_pdf, table.cdf, row, among, best)
                np.testing.assert_allclose(best, best_twin(table.weighted_pdf, table.cdf, row, among), atol=1e-13)
            better = np.full(row.shape, 7.0)
            room.better_than(table.weighted_pdf, table.cdf, row, 1, margin >= 0, better)
            cdf, pdf = table.cdf[row], table.weighted_pdf[row[:, [1]]]
            twin = (pdf * (1 - cdf)).sum(-1) if margin >= 0 else 1 - (pdf * cdf).sum(-1)
            twin[:, 1] = 7.0
            np.testing.assert_allclose(better, np.where(twin == 7, 7, np.clip(twin, 0, 1)), atol=1e-13)


def test_without_a_table_the_answers_are_the_same(monkeypatch):
    # The same nodes, the cdf from scipy instead of the recurrences.
    n, s = states(12, 3, 80, 5)
    posterior = BetaPosterior.from_counts(((1, 1), (2, 2), (1, 1)), n, s, 80)
    everyone = np.ones(n.shape, bool)
    best, better = posterior.prob_best(everyone), posterior.prob_better(1, 0.1)
    monkeypatch.setattr(room, "TABLE_BYTES", 0)
    np.testing.assert_allclose(posterior.prob_best(everyone), best, atol=1e-12, rtol=0)
    np.testing.assert_allclose(posterior.prob_better(1, 0.1), better, atol=1e-12, rtol=0)


def test_large_trials_do_without_a_table():
    n = np.full((1, 2), 1500)
    posterior = BetaPosterior.from_counts(((1, 1), (1, 1)), n, np.array([[700, 790]]), 3000)
    # Normal approximation: the errors of a difference of two Betas this large are of order 1/n.
    mean, variance = posterior.mean()[0], posterior.mean()[0] * (1 - posterior.mean()[0]) / 1503
    z = (mean[1] - mean[0]) / np.sqrt(variance.sum())
    assert posterior.prob_better(0)[0, 1] == pytest.approx(norm.cdf(z), abs=1e-4)
    assert posterior.prob_best(np.ones((1, 2), bool))[0, 1] == pytest.approx(norm.cdf(z), abs=1e-4)


def test_mean_and_interval_are_those_of_the_distribution():
    n, s = states(20, 3, 50, 6)
    posterior = BetaPosterior.from_counts(((1, 1), (0.5, 0.5), (3, 2)), n, s, 50)
    np.testing.assert_allclose(posterior.mean(), beta_distribution(posterior.alpha, posterior.beta).mean(), rtol=1e-13)
    interval = posterior.interval(0.9)
    for end, q in ((0, 0.05), (1, 0.95)):  # by the cdf: quantiles near 0 have no absolute accuracy to speak of
        cdf = betainc(posterior.alpha, posterior.beta, interval[..., end])
        np.testing.assert_allclose(cdf, q, atol=1e-10, rtol=0)


@pytest.mark.parametrize("by", [1.0, 1.5, -1.0, -2.0])
def test_margins_beyond_the_scale(by):
    posterior = BetaPosterior.from_counts(((1, 1),) * 2, np.array([[3, 4]]), np.array([[1, 2]]), 10)
    np.testing.assert_array_equal(posterior.prob_better(0, by), [[float(by < 0)] * 2])


def test_tiny_priors_give_numbers():
    # Outside the range whose accuracy is stated; the answers must still be probabilities.
    n, s = states(8, 3, 12, 7)
    posterior = BetaPosterior.from_counts(((0.01, 0.02),) * 3, n, s, 12)
    everyone = np.ones(n.shape, bool)
    for answer in (posterior.prob_best(everyone), posterior.prob_better(0), posterior.prob_better(0, -0.2)):
        assert ((answer >= 0) & (answer <= 1)).all()
    assert np.isfinite(posterior.difference(0, 0.9)).all()


@pytest.mark.parametrize(
    ("n", "successes"), [([[3, 2]], [[4, 0]]), ([[3, 2]], [[-1, 0]]), ([[11, 2]], [[1, 0]]), ([[3]], [[1]])]
)
def test_impossible_counts_are_refused(n, successes):
    with pytest.raises(ValueError, match="counts"):
        BetaPosterior.from_counts(((1, 1),) * 2, np.array(n), np.array(successes), 10)
