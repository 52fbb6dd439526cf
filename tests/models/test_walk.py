"""The two-part analysis of a walk: a limit, hard data; its accuracy is in `test_walk_accuracy`."""

import numpy as np
import pytest
from scipy.stats import t

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


def test_where_all_walk_the_probability_to_win_is_that_of_the_faster_mean():
    """With next to no mass at standing still, winning with probability above a half is having the smaller mean: t."""
    seen = trials(np.random.default_rng(3), 50, 24, cannot=(0.0, 0.0))
    posterior = bound(cannot_walk={"alpha": 1e-6, "beta": 10_000}, prior={"patients": 1e-9}).fit(seen)
    for r in range(50):
        logs = [np.log(25 / seen.value[r, seen.arm[r] == a, 0]) for a in (0, 1)]
        df = 5 + 24  # a proper prior, however weak, costs no degree of freedom
        scale = np.sqrt((5 * 0.25 + sum(((x - x.mean()) ** 2).sum() for x in logs)) / df * (2 / 12))
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
