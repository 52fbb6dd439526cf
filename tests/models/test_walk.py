"""The two-part analysis of a walk: against long Monte Carlo sums of its posterior, limits, calibration."""

import numpy as np
import pytest
from scipy.stats import kstest, t

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import TimedWalk
from sps_adaptive.models import Walk
from tests.models.snapshots import snapshot

ARMS = ("placebo", "ivig")
ENDPOINT = TimedWalk(kind="timed_walk", assessed_at_month=4, sd=0.5)
SETTING = AnalysisSetting(ARMS, endpoint=ENDPOINT)
WITHIN = {"estimand": "within_seconds", "seconds": 8.0}


def bound(**given):
    return Walk(kind="walk", **given).bind(SETTING)


def trials(rng, replicates, patients, median=(9.0, 6.5), cannot=(0.15, 0.05)):
    """Speeds of patients on two arms, half on each."""
    arm = np.tile([0, 1], (replicates, patients // 2))
    seconds = np.array(median)[arm] * np.exp(0.5 * rng.standard_normal(arm.shape))
    return snapshot(arm, np.where(rng.random(arm.shape) < np.array(cannot)[arm], 0.0, 25 / seconds), n_arms=2)


def long_sum(seen, replicate, draws, rng, estimand):
    """P(better) of one replicate by plain draws from the posterior, with the normal cdf only for the estimand."""
    from scipy.special import ndtr

    q, counts, means, squares, df = [], [], [], [], 1.0
    for arm in (0, 1):
        speed = seen.value[replicate, seen.known[replicate, :, 0] & (seen.arm[replicate] == arm), 0]
        logs = np.log(25 / speed[speed > 0])
        q.append(rng.beta(0.5 + (speed == 0).sum(), 4.5 + len(logs), draws))
        n, centre = len(logs), logs.mean()
        counts.append(n + 0.5)
        means.append((n * centre + 0.5 * np.log(10)) / (n + 0.5))
        squares.append(((logs - centre) ** 2).sum() + 0.5 * n / (n + 0.5) * (centre - np.log(10)) ** 2)
        df += n
    sigma = np.sqrt((0.25 + sum(squares)) / rng.chisquare(df, draws))
    mean = [means[a] + sigma / np.sqrt(counts[a]) * rng.standard_normal(draws) for a in (0, 1)]
    if estimand == "within_seconds":
        theta = [(1 - q[a]) * ndtr((np.log(8) - mean[a]) / sigma) for a in (0, 1)]
        return (theta[1] > theta[0]).mean()
    faster = ndtr((mean[0] - mean[1]) / (sigma * np.sqrt(2)))
    return ((1 - q[1]) * q[0] + (1 - q[1]) * (1 - q[0]) * faster + q[1] * q[0] / 2 > 0.5).mean()


def largest_error(estimand, patients, wanted, draws, seed):
    """Largest error and number of verdicts that differ at 0.975, over data sets near the threshold."""
    rng = np.random.default_rng(seed)
    given = WITHIN if estimand == "within_seconds" else {}
    seen = trials(rng, 40 * wanted, patients, median=(9.0, 6.5))
    found = bound(**given).fit(seen).prob_better(0)[:, 1]
    near = np.flatnonzero(np.abs(found - 0.975) < 0.02)[:wanted]
    assert len(near) == wanted
    exact = np.array([long_sum(seen, r, draws, rng, estimand) for r in near])
    noise = np.sqrt(exact * (1 - exact) / draws)
    clear = np.abs(exact - 0.975) > 4 * noise
    flips = ((found[near] > 0.975) != (exact > 0.975)) & clear
    return np.abs(found[near] - exact).max() - 4 * noise.max(), int(flips.sum())


@pytest.mark.parametrize("patients", [24, 60])
@pytest.mark.parametrize("estimand", ["within_seconds", "win_probability"])
def test_probabilities_near_the_threshold(estimand, patients):
    error, _ = largest_error(estimand, patients, 20, 200_000, patients)
    assert error < 0.002


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
@pytest.mark.parametrize("estimand", ["within_seconds", "win_probability"])
def test_probabilities_of_300_data_sets_near_the_threshold(estimand, patients):
    error, flips = largest_error(estimand, patients, 300, 400_000, 7 + patients)
    assert error < 0.002 and flips <= 6


def test_where_all_walk_the_probability_to_win_is_that_of_the_faster_mean():
    """With next to no mass at standing still, winning with probability above a half is having the smaller mean: t."""
    seen = trials(np.random.default_rng(3), 50, 24, cannot=(0.0, 0.0))
    posterior = bound(cannot_walk={"alpha": 1e-6, "beta": 10_000}, prior={"patients": 1e-9}).fit(seen)
    for r in range(50):
        logs = [np.log(25 / seen.value[r, seen.arm[r] == a, 0]) for a in (0, 1)]
        df = 1 + 24  # a proper prior, however weak, costs no degree of freedom
        scale = np.sqrt((0.25 + sum(((x - x.mean()) ** 2).sum() for x in logs)) / df * (2 / 12))
        expected = t.sf((logs[1].mean() - logs[0].mean()) / scale, df)
        assert posterior.prob_better(0)[r, 1] == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("given", [{}, WITHIN])
def test_hard_data_are_answered(given):
    """Nobody known; nobody walks; one patient; everybody walks but in one arm."""
    nothing = [np.nan] * 6
    values = [nothing, [0.0] * 6, [3.0, *nothing[1:]], [0.0, 3.0, 0.0, 2.5, 0.0, 2.0], [2.0] * 6]
    posterior = bound(**given).fit(snapshot([[0, 1] * 3] * 5, values, n_arms=2))
    for found in (posterior.prob_better(0), posterior.mean(), posterior.interval(0.9), posterior.difference(0, 0.9)):
        assert np.isfinite(found).all()
    assert posterior.prob_better(0)[0, 1] == pytest.approx(0.5, abs=0.02)
    assert posterior.prob_better(0)[1, 1] == pytest.approx(0.5, abs=0.02)
    assert posterior.prob_better(0)[3, 1] > 0.6


def test_splitting_the_batch_changes_nothing():
    seen = trials(np.random.default_rng(5), 9, 24)
    whole = bound().fit(seen).prob_better(0)
    part = seen._replace(**{name: v[4:6] for name, v in seen._asdict().items() if v is not None})
    np.testing.assert_array_equal(bound().fit(part).prob_better(0), whole[4:6])


def test_the_control_asked_against_an_arm_is_the_other_side():
    seen = trials(np.random.default_rng(6), 30, 24)
    for given in ({}, WITHIN):
        posterior = bound(**given).fit(seen)
        np.testing.assert_allclose(posterior.prob_better(0)[:, 1] + posterior.prob_better(1)[:, 0], 1, atol=0.004)


@pytest.mark.parametrize("patients", [24, 60])
@pytest.mark.parametrize("given", [{}, WITHIN], ids=["win", "within"])
def test_calibration_by_simulation(given, patients):
    """Truths from the prior, data from the truths: where the truth lies in the posterior is uniform (Talts 2018)."""
    rng, replicates = np.random.default_rng(patients), 1000
    prior = {"prior": {"median": 9, "patients": 2}, "sd": 0.5, "sd_patients": 6}
    sigma = 0.5 / np.sqrt(rng.chisquare(6, replicates) / 6)
    mean = np.log(9) + sigma[:, None] / np.sqrt(2) * rng.standard_normal((replicates, 2))
    q = rng.beta(0.5, 4.5, (replicates, 2))
    arm = np.tile([0, 1], (replicates, patients // 2))
    rows = np.arange(replicates)[:, None]
    logs = mean[rows, arm] + sigma[:, None] * rng.standard_normal(arm.shape)
    seen = snapshot(arm, np.where(rng.random(arm.shape) < q[rows, arm], 0.0, 25 * np.exp(-logs)), n_arms=2)
    posterior = bound(**given, **prior).fit(seen)
    from scipy.special import ndtr

    if given:
        theta = (1 - q) * ndtr((np.log(8) - mean) / sigma[:, None])
        true = theta[:, 1] - theta[:, 0]
    else:
        faster = ndtr((mean[:, 0] - mean[:, 1]) / (sigma * np.sqrt(2)))
        true = (1 - q[:, 1]) * q[:, 0] + (1 - q[:, 1]) * (1 - q[:, 0]) * faster + q[:, 1] * q[:, 0] / 2 - 0.5
    below = np.array([1 - posterior.prob_better(0, float(by))[r, 1] for r, by in enumerate(true[:200])])
    assert kstest(below, "uniform").pvalue > 1e-4
