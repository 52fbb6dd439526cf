"""A score between bounds: moments, bounds, and how well it is analysed as if it were normal."""

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import beta, kstest

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import BoundedScore
from sps_adaptive.models import Normal
from tests.contracts.fakes import a_cohort
from tests.models.snapshots import snapshot

ARMS = ("placebo", "ivig")
N = 100_000
RNG = np.random.default_rng(20_261_125)
COHORT = a_cohort(
    np.sort(RNG.uniform(0, 1800, (N // 50, 50)), axis=1), u_outcome={"eq5d": RNG.random((N // 50, 50, 1))}
)
TRUTH = {"placebo": 0.5, "ivig": 0.85}


def bounded(**given):
    fields = {"lowest": -0.59, "highest": 1.0, "sd": 0.25, "sd_at": 0.5} | given
    return BoundedScore(kind="bounded_score", better="higher", assessed_at_month=4, **fields)


def outcomes(endpoint, shift=None, truth=TRUTH):
    return endpoint.natural(endpoint.potential(COHORT, "eq5d", ARMS, truth, shift).value[..., 0].reshape(-1, 2))


def test_it_is_a_beta_distribution_between_the_bounds():
    endpoint = bounded()
    found = (outcomes(endpoint) + 0.59) / 1.59
    assert found.min() >= 0 and found.max() <= 1
    for arm, mean in enumerate(TRUTH.values()):
        m = (mean + 0.59) / 1.59
        own = beta(m * endpoint.precision, (1 - m) * endpoint.precision)
        assert kstest(found[:, arm], own.cdf).pvalue > 1e-4
    assert outcomes(endpoint)[:, 0].std() == pytest.approx(0.25, rel=4 / np.sqrt(2 * N))


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_true_value_is_the_mean(better):
    endpoint = bounded().model_copy(update={"better": better})
    shift = np.where(COHORT.covariates > 0, 0.4, -0.2)
    for added in (None, shift):
        found = outcomes(endpoint, added)
        true = endpoint.natural(endpoint.true_values(COHORT, ARMS, TRUTH, "mean", added))
        assert (np.abs(found.mean(axis=0) - true) < 4 * found.std(axis=0) / np.sqrt(N)).all()


def test_shifts_add_to_the_logit_of_the_mean():
    one = np.full((1, 1, 1), 0.7)
    moved = bounded().true_values(COHORT, ARMS, TRUTH, "mean", one)
    part = (np.array(list(TRUTH.values())) + 0.59) / 1.59
    np.testing.assert_allclose(logit((moved + 0.59) / 1.59), logit(part) + 0.7)


def test_quantiles_from_the_table_are_right():
    u = np.linspace(0.0005, 0.9995, 1000)[None]
    cohort = a_cohort(np.zeros((1, 1000)), u_outcome={"eq5d": u[..., None]})
    endpoint = bounded(lowest=0, sd=0.2, sd_at=0.5)
    found = endpoint.potential(cohort, "eq5d", ARMS, TRUTH).value[0, :, :, 0]
    for arm, mean in enumerate(TRUTH.values()):
        exact = beta.ppf(u[0], mean * endpoint.precision, (1 - mean) * endpoint.precision)
        np.testing.assert_allclose(found[:, arm], exact, atol=1e-5)


def test_the_interval_of_a_skewed_score_in_24_patients_holds_what_it_says():
    """12 an arm, one mean close to the upper bound: coverage of the normal analysis within 1.5 points and noise."""
    endpoint, replicates = bounded(), 4000
    cohort = a_cohort(np.zeros((replicates, 24)), u_outcome={"eq5d": RNG.random((replicates, 24, 1))})
    value = endpoint.potential(cohort, "eq5d", ARMS, TRUTH).value[..., 0]
    arm = np.tile([0, 1], (replicates, 12))
    seen = snapshot(arm, np.take_along_axis(value, arm[..., None], axis=2)[..., 0], n_arms=2)
    model = Normal(kind="normal", variance="arm_specific", sd=0.25).bind(AnalysisSetting(ARMS))
    _, low, high = model.fit(seen).difference(0, 0.95)[:, 1].T
    inside = ((low <= 0.35) & (high >= 0.35)).mean()
    assert inside == pytest.approx(0.95, abs=0.015 + 4 * np.sqrt(0.05 * 0.95 / replicates))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sd": 0.9}, "use a standard deviation below 0.738"),
        ({"highest": -1}, "make it larger"),
        ({"sd_at": 1.2}, "give a mean between them"),
    ],
)
def test_what_cannot_be_is_told(given, words):
    assert words in bounded(**given).problems()[0][2]


def test_a_mean_outside_the_bounds_is_told():
    assert bounded().truth_problems({"placebo": 1.2, "ivig": 0.5})[0][0] == ("placebo",)
