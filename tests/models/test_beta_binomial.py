"""The Beta-binomial analysis against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import BetaBinomial
from tests.models.snapshots import of_arm, random_snapshot, snapshot

ARMS = ("placebo", "low", "high")


def model(**fields):
    return BetaBinomial(kind="beta_binomial", **fields)


def test_the_posterior_counts_events():
    seen = random_snapshot(np.random.default_rng(1), binary=True)
    given = model(prior={"alpha": 2, "beta": 3}, arm_priors={"placebo": {"alpha": 5.5, "beta": 0.5}})
    posterior = given.bind(AnalysisSetting(ARMS)).fit(seen)
    for r in range(len(seen.arm)):
        for arm, (a, b) in enumerate([(5.5, 0.5), (2, 3), (2, 3)]):
            outcomes, _ = of_arm(seen, r, arm)
            assert posterior.alpha[r, arm] == a + sum(outcomes == 1)
            assert posterior.beta[r, arm] == b + sum(outcomes == 0)


def test_the_default_is_uniform():
    posterior = model().bind(AnalysisSetting(ARMS)).fit(snapshot([[0, 1, -1]], [[np.nan, 1, np.nan]]))
    np.testing.assert_array_equal(posterior.alpha, [[1, 2, 1]])
    np.testing.assert_array_equal(posterior.beta, [[1, 1, 1]])
    np.testing.assert_allclose(posterior.prob_better(0), [[0, 2 / 3, 0.5]], atol=1e-14)


def test_the_prior_turns_with_the_endpoint():
    prior = {"alpha": 2, "beta": 7}
    bound = model(prior=prior, arm_priors={"low": {"alpha": 1, "beta": 4}}).bind(AnalysisSetting(ARMS, False))
    assert bound.priors == ((7, 2), (4, 1), (7, 2))


def test_turning_the_outcome_turns_the_answers():
    # P(theta_a > theta_0 + d) of good outcomes is P(1 - theta_a < 1 - theta_0 - d) of bad ones.
    rng = np.random.default_rng(2)
    seen = random_snapshot(rng, binary=True)
    turned = snapshot(seen.arm, 1 - seen.value[..., 0])
    given = model(prior={"alpha": 2, "beta": 5})
    one, other = given.bind(AnalysisSetting(ARMS)).fit(seen), given.bind(AnalysisSetting(ARMS, False)).fit(turned)
    np.testing.assert_allclose(one.mean(), 1 - other.mean(), atol=1e-15)
    np.testing.assert_allclose(one.prob_better(0, 0.1), 1 - other.prob_better(0, -0.1), atol=1e-12)


@pytest.mark.parametrize("good", [0.0, 1.0])
@pytest.mark.parametrize("patients", [1, 2, 25])
def test_all_alike(good, patients):
    seen = snapshot([[0, 1, 2] * patients], [[good] * (3 * patients)])
    posterior = model().bind(AnalysisSetting(ARMS)).fit(seen)
    mean = (1 + good * patients) / (2 + patients)
    np.testing.assert_allclose(posterior.mean(), mean, atol=1e-15)
    np.testing.assert_allclose(posterior.prob_best(np.ones((1, 3), bool)), 1 / 3, atol=1e-13)


@pytest.mark.parametrize("prior", [{"alpha": 0}, {"beta": -1}, {"gamma": 1}])
def test_impossible_priors_are_refused(prior):
    with pytest.raises(ValidationError):
        model(prior=prior)
