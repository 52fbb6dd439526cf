"""Win probabilities against the control, from patients to verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import Ordinal
from sps_adaptive.models import BetaBinomial, WinProbability
from tests.models.snapshots import snapshot

ARMS = ("placebo", "low", "high")
BOTH = AnalysisSetting(("placebo", "ivig"))


def endpoint(better="higher", highest=6):
    return Ordinal(kind="ordinal", better=better, assessed_at_month=6, lowest=0, highest=highest)


def setting(arms=ARMS, better="higher", control=0, highest=6):
    return AnalysisSetting(arms, better == "higher", control, endpoint(better, highest))


def model(**fields):
    return WinProbability(kind="win_probability", **fields)


def seen(rng, arms=3, patients=60, highest=6, replicates=8):
    """Snapshots of natural scores; the first replicate knows nothing, the second nothing of the last arm."""
    arm = rng.integers(0, arms, (replicates, patients))
    score = np.minimum(rng.integers(0, highest + 1, arm.shape) + (arm == 1), highest).astype(float)
    score[rng.random(arm.shape) < 0.2] = np.nan
    score[0] = np.nan
    score[1, arm[1] == arms - 1] = np.nan
    return snapshot(arm, score, n_arms=arms)


def test_the_mean_is_the_share_of_pairs_won_with_the_prior_as_patients():
    """By counting pairs, one by one, with the prior's patient spread over the categories."""
    given = seen(np.random.default_rng(1))
    found = model(prior_patients=1.4).bind(setting()).fit(given).mean()
    for r in range(len(given.arm)):
        counts = [[0.2 + ((given.arm[r] == a) & (given.value[r, :, 0] == k)).sum() for k in range(7)] for a in range(3)]
        for a in (1, 2):
            pairs = np.outer(counts[a], counts[0])
            won = np.tril(pairs, -1).sum() + np.trace(pairs) / 2
            assert found[r, a] == pytest.approx(won / pairs.sum(), rel=1e-12)
    assert (found[:, 0] == 0.5).all()


def test_lower_scores_win_where_lower_is_better():
    given = seen(np.random.default_rng(2))
    turned = given._replace(value=6 - given.value, arm_total=6 * given.arm_known - given.arm_total)
    lower = given._replace(value=-given.value, arm_total=-given.arm_total)
    one = model().bind(setting()).fit(turned)
    other = model().bind(setting(better="lower")).fit(lower)
    np.testing.assert_array_equal(one.prob_better(0), other.prob_better(0))


def test_two_categories_are_the_beta_binomial_analysis_with_half_the_difference():
    """Jeffreys' prior of each arm; the fixed points are good to 0.0015 with two categories, 0.0003 on the average."""
    given = seen(np.random.default_rng(3), arms=2, highest=1, replicates=60)
    wins = model().bind(setting(BOTH.arms, highest=1)).fit(given)
    jeffreys = {"alpha": 0.5, "beta": 0.5}
    rates = BetaBinomial(kind="beta_binomial", prior=jeffreys).bind(BOTH).fit(given)
    for by in (0.0, 0.1):
        error = np.abs(wins.prob_better(0, by) - rates.prob_better(0, 2 * by))[:, 1]
        assert error.max() < 1.5e-3 and error.mean() < 3e-4
    gap = rates.mean()[:, 1] - rates.mean()[:, 0]
    np.testing.assert_allclose(wins.mean()[:, 1], 0.5 + gap / 2, rtol=1e-12)


def test_arms_in_another_order_are_answered_in_that_order():
    given = seen(np.random.default_rng(4))
    order = [2, 0, 1]
    turned = given._replace(
        arm=np.argsort(order)[given.arm],
        arm_known=given.arm_known[:, order],
        arm_enrolled=given.arm_enrolled[:, order],
        arm_total=given.arm_total[:, order],
    )
    one = model().bind(setting()).fit(given)
    other = model().bind(setting(tuple(ARMS[a] for a in order), control=1)).fit(turned)
    among = np.ones((8, 3), bool)
    np.testing.assert_allclose(other.prob_best(among), one.prob_best(among)[:, order], rtol=1e-12)
    np.testing.assert_array_equal(other.prob_better(0), one.prob_better(2)[:, order])


def test_ranks_are_calibrated():
    """Truths from the prior, patients from the truths: P(win probability < truth | data) is uniform (Talts 2018).

    10,000 trials of 24; the largest distance from the uniform distribution at a level of 1e-4, plus the error of the
    fixed points.
    """
    rng, categories, replicates, patients = np.random.default_rng(5), 4, 10_000, 24
    share = rng.gamma(0.75, size=(replicates, 2, categories))
    share /= share.sum(axis=2, keepdims=True)
    theta = (share[:, 1] * (share[:, 0].cumsum(axis=1) - share[:, 0] / 2)).sum(axis=1)
    arm = np.tile(np.arange(patients) % 2, (replicates, 1))
    at_most = share.cumsum(axis=2)[:, :, :-1]
    drawn = (rng.random(arm.shape)[..., None] >= at_most[np.arange(replicates)[:, None], arm]).sum(axis=2)
    fit = model(prior_patients=3.0).bind(setting(BOTH.arms, highest=3))
    rank = np.empty(replicates)
    for start in range(0, replicates, 1000):
        rows = slice(start, start + 1000)
        posterior = fit.fit(snapshot(arm[rows], drawn[rows], n_arms=2))
        rank[rows] = posterior._above_on(posterior._alone, 1, theta[rows, None]).mean(axis=1)
    distance = np.abs(np.sort(rank) - (np.arange(replicates) + 0.5) / replicates).max()
    assert distance < 2.23 / np.sqrt(replicates) + 0.002


def test_the_prior_expects_even_odds():
    generator = np.random.default_rng(6)
    means = model().prior_means(setting(), 4000, generator)
    assert (means[:, 0] == 0.5).all() and np.abs(means.mean(axis=0) - 0.5).max() < 0.02
    scores = model().prior_predictive(setting(better="lower"), 4000, generator)
    shares = np.stack([(scores == k).mean(axis=0) for k in range(7)])
    np.testing.assert_allclose(shares, 1 / 7, atol=4 * np.sqrt(1 / 7 / 4000))
