"""A score, as it is or as its change from baseline: moments against the closed form."""

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import Continuous
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig", "rituximab")
TRUTH = {"placebo": 0.1, "ivig": -0.7, "rituximab": -0.5}
N = 100_000
COHORT = a_cohort(np.sort(np.random.default_rng(1).uniform(0, 1800, (N // 50, 50)), axis=1))
Z = COHORT.covariates[..., 0].ravel()
BASELINE = {"mean": 3.8, "sd": 1.1, "correlation": 0.7}
SETTINGS = {
    "plain": {"sd": 1.4},
    "value": {"sd": 1.4, "baseline": BASELINE},
    "change": {"sd": 1.4, "baseline": BASELINE, "outcome": "change_from_baseline"},
    "against": {"sd": 0.8, "baseline": BASELINE | {"correlation": -0.4}, "outcome": "change_from_baseline"},
    "by arm": {"sd": {"placebo": 1.4, "ivig": 0.9, "rituximab": 2.0}, "baseline": BASELINE},
    "by arm, change": {
        "sd": {"placebo": 1.4, "ivig": 0.9, "rituximab": 2.0},
        "baseline": BASELINE,
        "outcome": "change_from_baseline",
    },
}
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def continuous(better="higher", **given):
    return Continuous(kind="continuous", better=better, assessed_at_month=6, **given)


def outcomes(endpoint, truth=TRUTH):
    """Outcomes on the endpoint's own scale: [patients, arms]."""
    value = endpoint.potential(COHORT, "response", ARMS, truth).value
    assert value.shape == (N // 50, 50, 3, 1)
    return endpoint.natural(value[..., 0].reshape(-1, 3))


def moments(setting, arm):
    """Standard deviation of the outcome and its correlation with the baseline, from the formulas."""
    s = setting["sd"][arm] if isinstance(setting["sd"], dict) else setting["sd"]
    if "baseline" not in setting:
        return s, 0.0
    s0, rho = setting["baseline"]["sd"], setting["baseline"]["correlation"]
    if setting.get("outcome") != "change_from_baseline":
        return s, rho
    sd = np.sqrt(s**2 + s0**2 - 2 * rho * s * s0)
    return sd, (rho * s - s0) / sd


@every_setting
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_mean_spread_and_correlation_with_the_baseline_are_those_of_the_closed_form(setting, better):
    """4 SEs of each: sd / sqrt(n), sd / sqrt(2 n), (1 - r^2) / sqrt(n)."""
    endpoint = continuous(better, **setting)
    y = outcomes(endpoint)
    for a, arm in enumerate(ARMS):
        sd, r = moments(setting, arm)
        assert abs(y[:, a].mean() - TRUTH[arm]) < 4 * sd / np.sqrt(N)
        assert abs(y[:, a].std(ddof=1) - sd) < 4 * sd / np.sqrt(2 * N)
        assert abs(np.corrcoef(y[:, a], Z)[0, 1] - r) < 4 * (1 - r**2) / np.sqrt(N)
        assert endpoint.sd_of_outcome(arm) == pytest.approx(sd)


@every_setting
def test_outcomes_are_normal(setting):
    """Kolmogorov-Smirnov at the level 0.001 after standardising by the closed form; the seed is fixed."""
    y = outcomes(continuous(**setting))
    for a, arm in enumerate(ARMS):
        sd, _ = moments(setting, arm)
        assert stats.kstest((y[:20_000, a] - TRUTH[arm]) / sd, "norm").pvalue > 0.001


def test_the_change_is_the_score_less_the_baseline():
    setting = SETTINGS["value"]
    score = outcomes(continuous(**setting), dict.fromkeys(ARMS, 3.8))
    change = outcomes(continuous(**setting, outcome="change_from_baseline"), dict.fromkeys(ARMS, 0.0))
    np.testing.assert_allclose(change[:, 0], score[:, 0] - (3.8 + 1.1 * Z), atol=1e-12)


def test_truths_and_arms_meet_the_same_patients():
    endpoint = continuous(sd=1.4)
    one, other = outcomes(endpoint), outcomes(endpoint, {"placebo": 0.1, "ivig": 2.3, "rituximab": -0.5})
    np.testing.assert_allclose(other - one, np.tile([0, 3.0, 0], (N, 1)), atol=1e-12)
    np.testing.assert_allclose(one[:, 1] - one[:, 0], -0.8, atol=1e-12)


def test_where_lower_is_better_the_outcome_is_turned():
    higher = continuous("higher", **SETTINGS["change"]).potential(COHORT, "response", ARMS, TRUTH).value
    lower = continuous("lower", **SETTINGS["change"]).potential(COHORT, "response", ARMS, TRUTH).value
    np.testing.assert_array_equal(lower, -higher)
    np.testing.assert_allclose(continuous("lower", sd=1).true_values(COHORT, ARMS, TRUTH, "mean"), [-0.1, 0.7, 0.5])
    np.testing.assert_allclose(continuous("higher", sd=1).true_values(COHORT, ARMS, TRUTH, "mean"), [0.1, -0.7, -0.5])


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_turning_back_is_turning(better):
    endpoint, x, y = continuous(better, sd=1), np.array([0.0, 0.3, -2.0]), np.array([0.5, 0.2, 0.1])
    np.testing.assert_array_equal(endpoint.natural(endpoint.natural(x)), x)
    np.testing.assert_allclose(endpoint.natural(x) - endpoint.natural(y), endpoint.natural_difference(x - y))


def test_a_mean_may_change_with_the_month_of_enrolment():
    endpoint, truth = continuous(sd=1.4), TRUTH | {"placebo": {0: -0.5, 24: 0.1}}
    shift = outcomes(endpoint, truth)[:, 0] - outcomes(endpoint, TRUTH | {"placebo": 0.0})[:, 0]
    month = COHORT.enrolled_at.ravel() / DAYS_PER_MONTH
    np.testing.assert_allclose(shift, np.interp(month, [0, 24], [-0.5, 0.1]), atol=1e-12)
    means = endpoint.true_values(COHORT, ARMS, truth, "mean")
    np.testing.assert_allclose(means, [np.interp(month, [0, 24], [-0.5, 0.1]).mean(), -0.7, -0.5])


def test_any_mean_is_possible():
    assert continuous(sd=1).truth_problems({"placebo": -1e9}) == []
