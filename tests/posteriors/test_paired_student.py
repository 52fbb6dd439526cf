"""The posterior of two treatments within patients: what it predicts of analyses to come, by nested simulation."""

from __future__ import annotations

import numpy as np
import pytest

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import CrossoverAnalysis
from tests.models.crossovers import drawn, seen

SETTING = AnalysisSetting(("placebo", "ivig"))


def bound(**given):
    return CrossoverAnalysis(kind="crossover", sd_within=0.8, sd_between=1.2, sd_patients=1.0, **given).bind(SETTING)


def to_come(rng, posterior, data, more, trials):
    """Trials in which patients of each order have been added, as the posterior of the first replicate predicts them."""
    halves = posterior.halves
    df, variance = halves.df[0], halves.variance[0]
    sigma = np.sqrt(variance * df / rng.chisquare(df, trials))[:, None]
    shared = halves.loading[0] * rng.standard_normal((trials, 1))
    means = halves.location[0] + sigma * (np.sqrt(halves.diagonal[0]) * rng.standard_normal((trials, 2)) + shared)
    arm = np.repeat([0, 1], more)
    half = means[:, arm] + sigma * rng.standard_normal((trials, sum(more)))
    old = [np.broadcast_to(each[0], (trials, data.arm.shape[1])) for each in (data.arm, *np.moveaxis(data.value, 2, 0))]
    arms = np.concatenate([old[0], np.broadcast_to(arm, (trials, sum(more)))], axis=1)
    return seen(arms, np.concatenate([old[1], half], axis=1), np.concatenate([old[2], -half], axis=1))


@pytest.mark.parametrize("effect", [{}, {"mean": 0.5, "patients": 4}], ids=["flat", "informative"])
@pytest.mark.parametrize("more", [(6, 6), (2, 9)])
def test_the_predicted_probability_of_success_is_that_of_nested_simulation(effect, more):
    """Four Monte Carlo standard errors of 20,000 simulated continuations, and the 0.002 of the one integral."""
    rng = np.random.default_rng(1)
    data = drawn(rng, 1, 12, effect=0.45)
    model = bound(effect=effect)
    posterior = model.fit(data)
    predicted = posterior.prob_success(0, 0.1, 0.95, np.array([more]))[0, 1]
    after = model.fit(to_come(rng, posterior, data, more, 20_000))
    simulated = (after.prob_better(0, 0.1)[:, 1] > 0.95).mean()
    assert 0.05 < simulated < 0.95
    assert abs(predicted - simulated) < 0.002 + 4 * np.sqrt(simulated * (1 - simulated) / 20_000)


def test_of_a_treatment_by_itself_success_is_approximated():
    data = drawn(np.random.default_rng(2), 5, 24, effect=0.5, level=0.3)
    posterior = bound().fit(data)
    nothing, much = np.zeros((5, 2), np.int64), np.full((5, 2), 10_000)
    above = posterior.prob_above(0.4)
    settled = posterior.prob_success(None, 0.4, 0.9, nothing)
    assert np.isin(settled, (0, 1)).all()
    np.testing.assert_allclose(posterior.prob_success(None, 0.4, 0.9, much), above, atol=0.03)


def test_arms_differ_by_the_difference():
    posterior = bound(effect={"mean": 0.5, "patients": 4}).fit(drawn(np.random.default_rng(3), 6, 15, equal=False))
    means = posterior.mean()
    np.testing.assert_allclose(posterior.difference(0, 0.9)[:, 1, 0], means[:, 1] - means[:, 0], atol=1e-12)
    np.testing.assert_allclose(posterior.prob_best(np.ones((6, 2), bool)).sum(axis=1), 1)
    np.testing.assert_allclose(posterior.prob_best(np.ones((6, 2), bool))[:, 1], posterior.prob_better(0)[:, 1])
