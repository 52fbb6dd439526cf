"""The two-part analysis of a walk near the threshold, against dense sums; its closed means; calibration at length."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kstest, nct, t

import sps_adaptive.models.walk as walk_model
from tests.models.accuracy_of_walk import (
    CANNOT,
    CENTRE,
    SECONDS,
    THRESHOLD,
    Walks,
    believed,
    case,
    dense_win,
    dense_within,
    fit,
    reference,
    trials,
)

STORED = json.loads((Path(__file__).parent / "data" / "accuracy_walk.json").read_text())["cases"]
NUMBERS = range(len(STORED))
ESTIMANDS = ("win_probability", "within_seconds")

TOLERANCE = 0.002
"""Of a sum over 1,024 points: the largest error of the stored data sets is 0.0014, the usual one 0.0003. The points are
the same for all data, so that errors have a common part (-0.0002), which does not average out over trials."""


@pytest.fixture
def many_points(monkeypatch):
    """The model with 16,384 points."""
    monkeypatch.setattr(walk_model, "DRAWS", 16384)
    walk_model._quantiles.cache_clear()
    yield
    walk_model._quantiles.cache_clear()


def test_there_are_300_data_sets_near_the_threshold():
    assert sum(len(one["reference"]) for one in STORED) >= 300
    assert all(np.abs(np.array(one["reference"]) - THRESHOLD).max() < 0.02 for one in STORED)


@pytest.mark.parametrize("number", NUMBERS)
def test_stored_probabilities_near_the_threshold_are_met(number):
    """A verdict may differ only where the probability is nearer to the threshold than the error of the sum."""
    one = STORED[number]
    found, expected = case(one["places"], one["inputs"]).probability, np.array(one["reference"])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    differs = (found > THRESHOLD) != (expected > THRESHOLD)
    assert (np.abs(expected - THRESHOLD)[differs] < TOLERANCE).all()
    assert int(differs.sum()) <= one["flips"]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stored_probabilities_are_what_dense_sums_give(number):
    one = STORED[number]
    found = case(one["places"], one["inputs"])
    places = [0, len(one["reference"]) - 1]
    again = [reference(found, place) for place in places]
    np.testing.assert_allclose(again, np.array(one["reference"])[places], atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_all_stored_probabilities_are_what_dense_sums_give(number):
    one = STORED[number]
    found = case(one["places"], one["inputs"])
    again = [reference(found, place) for place in range(len(one["reference"]))]
    np.testing.assert_allclose(again, one["reference"], atol=1e-9)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_with_many_points_the_error_is_gone(many_points, estimand):
    """So the formula is right, and what is wrong with as few as it takes is their number."""
    one = next(one for one in STORED if one["inputs"]["estimand"] == estimand)
    data = case(one["places"], one["inputs"]).data.only(slice(0, 30))
    found = fit(data, estimand=estimand).prob_better(0)[:, 1]
    np.testing.assert_allclose(found, one["reference"][:30], atol=2e-4)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_dense_sums_are_the_share_of_a_million_draws(estimand):
    rng = np.random.default_rng(8)
    data = trials(rng, 3, 24, np.log([9.5, 7.0]), 0.5, np.array([0.2, 0.1]))
    draws = 1_000_000
    for place in range(3):
        known = believed(data, place, 2)
        q = rng.beta(known.alpha, known.beta, (draws, 2))
        sigma = np.sqrt(known.variance * known.df / rng.chisquare(known.df, draws))[:, None]
        mean = known.location + np.sqrt(known.own) * sigma * rng.standard_normal((draws, 2))
        if estimand == "within_seconds":
            theta = (1 - q) * ndtr((np.log(SECONDS) - mean) / sigma)
            found, dense = (theta[:, 1] - theta[:, 0] > 0.05).mean(), dense_within(known, by=0.05)
        else:
            faster = ndtr((mean[:, 0] - mean[:, 1]) / (sigma[:, 0] * np.sqrt(2)))
            win = (1 - q[:, 1]) * (q[:, 0] + (1 - q[:, 0]) * faster) + q[:, 0] * q[:, 1] / 2
            found, dense = (win > 0.55).mean(), dense_win(known, above=0.55)
        assert abs(found - dense) < 4 * np.sqrt(dense * (1 - dense) / draws)


@pytest.mark.parametrize("above", [0.5, 0.6])
def test_where_all_walk_the_probability_to_win_is_a_non_central_t(above):
    """The standardised distance of the means is a non-central t at the distance that the margin asks for."""
    data = trials(np.random.default_rng(4), 40, 24, np.log([9.5, 7.0]), 0.5, np.zeros(2))
    found = fit(data, cannot_walk={"alpha": 1e-4, "beta": 1e4}).prob_better(0, above - 0.5)[:, 1]
    from scipy.special import ndtri

    for place in range(40):
        known = believed(data, place, 2)
        unit = np.sqrt(known.own.sum())
        centre = (known.location[0] - known.location[1]) / (np.sqrt(known.variance) * unit)
        expected = nct.sf(-centre, known.df, -np.sqrt(2) * ndtri(above) / unit)
        if above == 0.5:
            assert expected == pytest.approx(t.cdf(centre, known.df), abs=1e-9)
        assert found[place] == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("cannot", [(0.0, 0.0), (0.3, 0.1), (1.0, 1.0)])
def test_posterior_means_are_closed(cannot):
    """The mean is what is predicted of a new patient: Student-t seconds, and the mean of the share.

    Also if nobody walks, where the prior tells the seconds.
    """
    data = trials(np.random.default_rng(5), 40, 24, np.log([9.5, 7.0]), 0.5, np.array(cannot))
    within, win = (fit(data, estimand=estimand).mean() for estimand in ("within_seconds", "win_probability"))
    for place in range(40):
        known = believed(data, place, 2)
        walks = known.beta / (known.alpha + known.beta)
        scale = np.sqrt(known.variance)
        expected = walks * t.cdf((np.log(SECONDS) - known.location) / (scale * np.sqrt(1 + known.own)), known.df)
        np.testing.assert_allclose(within[place], expected, atol=TOLERANCE)
        gap = (known.location[0] - known.location[1]) / (scale * np.sqrt(2 + known.own.sum()))
        lost = 1 - walks
        expected = walks[1] * lost[0] + walks.prod() * t.cdf(gap, known.df) + lost.prod() / 2
        np.testing.assert_allclose(win[place], [0.5, expected], atol=TOLERANCE)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_not_being_able_to_walk_counts_against_an_arm(estimand):
    """The same seconds, and more and more patients who cannot walk."""
    rng = np.random.default_rng(6)
    arm, log_seconds = np.tile([0, 1], (6, 20)), np.broadcast_to(2 + 0.5 * rng.standard_normal(40), (6, 40))
    walks = np.ones((6, 40), bool)
    for lost in range(6):  # of the second arm, those nearest to its middle, so that its mean hardly changes
        own = np.flatnonzero(arm[0] == 1)
        middle = own[np.argsort(np.abs(log_seconds[0, own] - log_seconds[0, own].mean()))]
        walks[lost, middle[: 2 * lost]] = False
    better = fit(Walks(arm, log_seconds, walks), estimand=estimand).prob_better(0)[:, 1]
    assert (np.diff(better) < 0).all()


def places_of_the_truth(estimand, patients, replicates, rng):
    """Truths from the prior, data from the truths: P(gap below the true one), of each replicate by itself."""
    df, worth = 6.0, 2.0
    prior = {"prior": {"median": float(np.exp(CENTRE)), "patients": worth}, "sd_patients": df}
    sigma = 0.5 / np.sqrt(rng.chisquare(df, (replicates, 1)) / df)
    mean = CENTRE + sigma / np.sqrt(worth) * rng.standard_normal((replicates, 2))
    q = rng.beta(*CANNOT, (replicates, 2))
    data = trials(rng, replicates, patients, mean, sigma, q)
    if estimand == "within_seconds":
        true = np.diff((1 - q) * ndtr((np.log(SECONDS) - mean) / sigma), axis=1)[:, 0]
    else:
        faster = ndtr((mean[:, 0] - mean[:, 1]) / (sigma[:, 0] * np.sqrt(2)))
        true = (1 - q[:, 1]) * (q[:, 0] + (1 - q[:, 0]) * faster) + q[:, 0] * q[:, 1] / 2 - 0.5
    below = np.empty(replicates)
    for r in range(replicates):
        found = fit(data.only(slice(r, r + 1)), estimand=estimand, **prior)
        below[r] = 1 - found.prob_better(0, float(true[r]))[0, 1]
    return below


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_posteriors_are_calibrated_over_the_prior_at_length(estimand, patients):
    """Kolmogorov and Smirnov at the level 1e-4."""
    below = places_of_the_truth(estimand, patients, 5000, np.random.default_rng(100 + patients))
    assert kstest(below, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_posteriors_are_calibrated_over_the_prior(estimand):
    below = places_of_the_truth(estimand, 24, 1000, np.random.default_rng(24))
    assert kstest(below, "uniform").pvalue > 1e-4
