"""The analysis of covariance against matrix algebra, one replicate at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import Ancova, Normal
from tests.models.snapshots import random_snapshot, snapshot

ARMS = ("placebo", "low", "high")
PRIOR = {"mean": 0.4, "patients": 2}
SLOPE = {"mean": 0.3, "patients": 1.5}


def model(**fields):
    return Ancova(kind="ancova", **{"sd": 1.3, "sd_patients": 3.0, "prior": PRIOR, "slope": SLOPE} | fields)


def conjugate(seen, r, mean, precision, a, b):
    """Normal-inverse-gamma regression with the full matrices: location, covariance factor, a, b."""
    known = seen.known[r, :, -1]
    arm, y, x = seen.arm[r, known], seen.value[r, known, -1], seen.covariates[r, known, 0]
    design = np.column_stack([arm == k for k in range(seen.n_arms)] + [x]).astype(float)
    after = np.diag(precision) + design.T @ design
    location = np.linalg.solve(after, precision * mean + design.T @ y)
    b = b + 0.5 * (y @ y + mean @ (precision * mean) - location @ after @ location)
    return location, np.linalg.inv(after), a + len(y) / 2, b


def test_agrees_with_matrix_algebra():
    # 1e-10: the textbook formula itself subtracts squares.
    seen = random_snapshot(np.random.default_rng(1), replicates=30)
    posterior = model(arm_priors={"high": {"mean": -1, "patients": 5}}).bind(AnalysisSetting(ARMS)).fit(seen)
    mean, precision = np.array([0.4, 0.4, -1, 0.3]), np.array([2, 2, 5, 1.5])
    for r in range(30):
        location, factor, a, b = conjugate(seen, r, mean, precision, 1.5, 1.5 * 1.3**2)
        np.testing.assert_allclose(posterior.location[r], location[:3], atol=1e-11)
        loading = posterior.loading[r]
        np.testing.assert_allclose(
            np.diag(posterior.diagonal[r]) + np.outer(loading, loading), factor[:3, :3], atol=1e-12
        )
        assert posterior.variance[r] == pytest.approx(b / a, rel=1e-10)
        assert posterior.df[r] == pytest.approx(2 * a, abs=1e-12)
        contrast = np.array([-1, 0, 1, 0])
        difference = t(2 * a, contrast @ location, np.sqrt(b / a * contrast @ factor @ contrast))
        assert posterior.prob_better(0, 0.2)[r, 2] == pytest.approx(difference.sf(0.2), abs=1e-10)


def test_flat_priors_give_least_squares():
    # As the prior fades, the residual variance and the contrasts are those of ordinary regression, with n - 4
    # degrees of freedom but for the slope, whose prior stays proper and costs none: n - 3.
    seen = random_snapshot(np.random.default_rng(2), patients=60)
    flat = {"mean": 0.0, "patients": 0.0}
    posterior = model(prior=flat, sd_patients=0.0, slope={"patients": 1e-9}).bind(AnalysisSetting(ARMS)).fit(seen)
    for r in range(1, len(seen.arm)):
        known = seen.known[r, :, -1]
        arm, y, x = seen.arm[r, known], seen.value[r, known, -1], seen.covariates[r, known, 0]
        design = np.column_stack([arm == k for k in range(3)] + [x]).astype(float)
        fitted, residual, *_ = np.linalg.lstsq(design, y)
        np.testing.assert_allclose(posterior.location[r], fitted[:3], atol=1e-7)
        assert posterior.df[r] == len(y) - 3
        assert posterior.variance[r] * posterior.df[r] == pytest.approx(residual[0], rel=1e-7)


def test_without_a_spread_of_the_baseline_it_is_the_common_variance():
    seen = random_snapshot(np.random.default_rng(3))._replace(covariates=np.zeros((6, 24, 1)))
    normal = (
        Normal(kind="normal", variance="common", sd=1.3, sd_patients=3.0, prior=PRIOR)
        .bind(AnalysisSetting(ARMS))
        .fit(seen)
    )
    ancova = model().bind(AnalysisSetting(ARMS)).fit(seen)
    for name in ("location", "diagonal", "loading", "variance", "df"):
        np.testing.assert_allclose(getattr(ancova, name), getattr(normal, name), atol=1e-13, err_msg=name)


def test_a_strong_prior_of_the_slope_subtracts_it():
    seen = random_snapshot(np.random.default_rng(4))
    adjusted = snapshot(seen.arm, seen.value[..., 0] - 0.6 * seen.covariates[..., 0])
    ancova = model(slope={"mean": 0.6, "patients": 10_000}).bind(AnalysisSetting(ARMS)).fit(seen)
    normal = Normal(kind="normal", variance="common", sd=1.3, sd_patients=3.0, prior=PRIOR)
    normal = normal.bind(AnalysisSetting(ARMS)).fit(adjusted)
    # 21 outcomes against a prior worth 10 000: the slope moves by some thousandths
    np.testing.assert_allclose(ancova.location, normal.location, atol=5e-3)


def test_a_large_mean_costs_no_accuracy():
    one, other = (
        model(prior={"patients": 0})
        .bind(AnalysisSetting(ARMS))
        .fit(random_snapshot(np.random.default_rng(5), mean=mean))
        for mean in (0.0, 1e8)
    )
    np.testing.assert_allclose(one.prob_better(0)[1:], other.prob_better(0)[1:], atol=1e-6)


@pytest.mark.parametrize("sd_patients", [0.0, 1.0])
@pytest.mark.parametrize("patients", [0.0, 2.0])
def test_whatever_is_known_there_are_answers(sd_patients, patients):
    nothing = [np.nan] * 6
    values = [nothing, [0.7, *nothing[1:]], [0.7, 0.9, *nothing[2:]], [0.5] * 6, [1, 2, 3, 4, 5, 6]]
    x = [[0.0, 1, -2, 0.4, 3, -1]] * 5
    seen = snapshot([[0, 1, 0, 1, 0, 1]] * 5, values, x)  # nobody is on the third arm
    bound = model(sd_patients=sd_patients, prior={"patients": patients, "mean": 0.2}).bind(AnalysisSetting(ARMS))
    posterior = bound.fit(seen)
    better = posterior.prob_better(0)
    for answer in (better, posterior.prob_best(np.ones((5, 3), bool)), posterior.difference(0, 0.95)):
        assert np.isfinite(answer).all()
    if patients == 0:
        np.testing.assert_allclose(better[:, 2], 0.5, atol=1e-5)  # nothing is known of the third arm


def test_lower_may_be_better():
    seen = random_snapshot(np.random.default_rng(6))
    turned = snapshot(seen.arm, -seen.value[..., 0], seen.covariates[..., 0])
    one, other = (
        model().bind(AnalysisSetting(ARMS)).fit(seen),
        model().bind(AnalysisSetting(ARMS, False)).fit(turned),
    )
    np.testing.assert_allclose(one.mean(), -other.mean(), atol=1e-14)
    np.testing.assert_allclose(one.prob_better(0, 0.1), 1 - other.prob_better(0, -0.1), atol=1e-12)


def test_adjusting_helps_when_the_baseline_predicts():
    rng = np.random.default_rng(7)
    arm, x = np.tile([0, 1, 2], (200, 20)), rng.normal(size=(200, 60))
    seen = snapshot(arm, 0.9 * x + 0.4 * rng.normal(size=x.shape), x)
    ancova = model(prior={}, sd_patients=0, slope={"patients": 0.1}).bind(AnalysisSetting(ARMS)).fit(seen)
    plain = Normal(kind="normal", variance="common", sd=1.3, sd_patients=0).bind(AnalysisSetting(ARMS)).fit(seen)
    width = [np.ptp(posterior.difference(0, 0.95)[:, 1, 1:], axis=-1).mean() for posterior in (ancova, plain)]
    # sqrt(0.16 / 0.97) = 0.41, and a little for the estimated slope
    assert 0.38 < width[0] / width[1] < 0.46
