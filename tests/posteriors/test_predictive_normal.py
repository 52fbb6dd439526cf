"""Predictive probabilities of normal outcomes with a known standard deviation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from sps_adaptive.models.normal import BoundNormal
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from sps_adaptive.posteriors.predictive_normal import NormalPriors, success_of_gaussian
from tests.posteriors.nested import agree, fitted, repeated

SD = 1.7
FLAT = NormalPriors(np.zeros(3), np.zeros(3), SD)


def draw(rng, replicates):
    return (
        rng.normal(size=(replicates, 3)),
        SD / np.sqrt(rng.integers(2, 20, (replicates, 3))),
        rng.integers(0, 15, (replicates, 3)),
    )


def test_conditional_power_averaged_over_a_flat_posterior():
    """With equal arms it is the formula of information: z now, information now and at the end."""
    z, now, end = np.linspace(-1, 3, 9), 10, 25  # patients an arm
    unit = SD * np.sqrt(2 / now)
    location, scale = np.stack([0 * z, z * unit], axis=1), np.full((len(z), 2), SD / np.sqrt(now))
    found = success_of_gaussian(location, scale, SD, 0, 0.0, 0.975, np.full((len(z), 2), end - now))[:, 1]
    expected = norm.cdf((z * np.sqrt(end / now) - norm.ppf(0.975)) / np.sqrt((end - now) / now))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)  # ties of 1e-12 move the normal quantile by 2e-11


@pytest.mark.parametrize("patients", [(0.0, 0.0, 0.0), (10.0, 2.0, 0.0)])
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(("than", "by", "threshold"), [(0, 0.2, 0.9), (2, -0.3, 0.4)])
def test_nested_simulation(patients, fresh, than, by, threshold):
    """Through the model: a first analysis, then trials of further patients whose means it expects."""
    rng, trials = np.random.default_rng([3, int(fresh)]), 50_000
    n, more = (7, 4, 9), np.array([6, 12, 3])
    priors = NormalPriors(np.array([0.4, 0.0, -0.1]), np.array(patients), SD)
    model = BoundNormal("known", SD, 1.0, priors.mean, priors.patients)
    arm, later = repeated(n), repeated(more)
    value = np.array([0.0, 0.9, 0.4])[arm] + SD * rng.normal(size=len(arm))
    now = fitted(model, arm, value)
    theta = now.location + now.scale * rng.normal(size=(trials, 3))
    outcome = theta[:, later] + SD * rng.normal(size=(trials, len(later)))
    if not fresh:
        arm, outcome = np.concatenate([arm, later]), np.hstack([np.tile(value, (trials, 1)), outcome])
    final = fitted(model, later if fresh else arm, outcome)
    found = success_of_gaussian(
        now.location, now.scale, SD, than, by, threshold, more[None], priors if fresh else None
    )[0]
    agree(found, final.prob_better(than, by) > threshold)


def test_one_arm_against_a_value():
    location, scale, more = draw(np.random.default_rng(4), 20)
    found = success_of_gaussian(location, scale, SD, None, 0.3, 0.9, more + 1)
    # A control arm that is known exactly, and gets nobody.
    wide = (np.insert(location, 0, 0.3, axis=1), np.insert(scale, 0, 1e-12, axis=1), np.insert(more + 1, 0, 0, axis=1))
    expected = success_of_gaussian(wide[0], wide[1], SD, 0, 0.0, 0.9, wide[2])[:, 1:]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_without_further_patients_it_is_the_claim_itself():
    location, scale, more = draw(np.random.default_rng(5), 200)
    posterior = GaussianPosterior(location, scale)
    for by, threshold in ((0.0, 0.8), (0.3, 0.5), (-0.2, 0.1)):
        found = success_of_gaussian(location, scale, SD, 1, by, threshold, 0 * more)
        np.testing.assert_array_equal(found, posterior.prob_better(1, by) - threshold > 1e-12)


@pytest.mark.parametrize("priors", [None, FLAT])
def test_many_further_patients_reveal_the_truth(priors):
    location, scale, more = draw(np.random.default_rng(6), 20)
    found = success_of_gaussian(location, scale, SD, 1, 0.2, 0.975, more * 0 + 10**9, priors)
    expected = GaussianPosterior(location, scale).prob_better(1, 0.2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_a_higher_threshold_is_met_less_often():
    location, scale, more = draw(np.random.default_rng(7), 20)
    for priors in (None, FLAT):
        found = [
            success_of_gaussian(location, scale, SD, 1, 0.2, threshold, more + 1, priors)[:, [0, 2]]
            for threshold in (0.0, 0.01, 0.3, 0.5, 0.7, 0.99, 1.0)
        ]
        assert (np.diff(found, axis=0) <= 0).all()
        np.testing.assert_array_equal(found[-1], 0.0)


def test_an_arm_that_a_separate_trial_leaves_out_is_better_with_probability_one_half():
    location, scale, _ = draw(np.random.default_rng(8), 20)
    more = np.tile([10, 0, 5], (20, 1))
    for threshold, answer in ((0.501, 0.0), (0.499, 1.0)):
        found = success_of_gaussian(location, scale, SD, 0, 0.2, threshold, more, FLAT)
        np.testing.assert_allclose(found[:, 1], answer, rtol=0, atol=1e-9)
