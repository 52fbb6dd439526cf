"""The crossover analysis against t-tests, matrix algebra, the formula of its bias, and the prior that made the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import CrossoverAnalysis, Normal
from tests.models.crossovers import drawn, seen
from tests.models.snapshots import snapshot

ARMS = ("placebo", "ivig")
SETTING = AnalysisSetting(ARMS)


def model(**given):
    fields = {"kind": "crossover", "sd_within": 0.8, "sd_between": 1.2, "sd_patients": 0.0}
    return CrossoverAnalysis(**fields | given)


def fit(snapshot, setting=SETTING, **given):
    return model(**given).bind(setting).fit(snapshot)


def by_order(snapshot, r, place=2):
    """The scores of a replicate, [patients, periods], of those who had the treatment first and of the others."""
    known = snapshot.known[r, :, place]
    return [snapshot.value[r, known & (snapshot.arm[r] == a)][:, :2] for a in (1, 0)]


# ------------------------------------------------------------------------------------- closed forms


def test_flat_priors_give_the_two_sample_t_test_of_differences():
    # Hills and Armitage: half the difference of the mean differences, n - 2 degrees of freedom.
    data = drawn(np.random.default_rng(1), 40, 21, effect=0.5, period=0.4, missing=0.15, equal=False)
    posterior = fit(data)
    better, difference = posterior.prob_better(0), posterior.difference(0, 0.95)
    for r in range(40):
        one, other = (score[:, 0] - score[:, 1] for score in by_order(data, r))
        test = stats.ttest_ind(one, other, alternative="greater")
        assert better[r, 1] == pytest.approx(1 - test.pvalue, abs=1e-12)
        low, high = stats.ttest_ind(one, other).confidence_interval(0.95)
        expected = [(one.mean() - other.mean()) / 2, low / 2, high / 2]
        np.testing.assert_allclose(difference[r, 1], expected, rtol=1e-10, atol=1e-12)


def test_it_is_least_squares_with_patients_periods_and_treatments():
    """The linear model with one constant per patient, as a crossover is analysed in the textbooks."""
    data = drawn(np.random.default_rng(2), 10, 12, effect=-0.6, period=0.3)
    difference = fit(data).difference(0, 0.9)
    for r in range(10):
        scores, arm = data.value[r, :, :2], data.arm[r]
        rows = np.arange(24)
        patient, period = rows // 2, rows % 2
        treated = (arm[patient] == 1) == (period == 0)
        design = np.column_stack([patient == p for p in range(12)] + [period == 1, treated]).astype(float)
        fitted, residual, *_ = np.linalg.lstsq(design, scores.ravel())
        df = 24 - 14
        unit = np.sqrt(residual[0] / df * np.linalg.inv(design.T @ design)[-1, -1])
        law = stats.t(df, fitted[-1], unit)
        np.testing.assert_allclose(difference[r, 1], [fitted[-1], law.ppf(0.05), law.ppf(0.95)], atol=1e-10)


def test_with_carry_over_estimated_it_is_the_t_test_of_the_first_period():
    data = drawn(np.random.default_rng(3), 20, 15, effect=0.5, share=0.5, missing=0.2, equal=False)
    better = fit(data, carry_over="estimated").prob_better(0, 0.1)
    for r in range(20):
        one, other = (score[:, 0] for score in by_order(data, r, place=0))
        test = stats.ttest_ind(one - 0.1, other, alternative="greater")
        assert better[r, 1] == pytest.approx(1 - test.pvalue, abs=1e-12)


def test_what_is_carried_over_is_the_t_test_of_sums():
    data = drawn(np.random.default_rng(4), 20, 14, effect=0.8, share=0.6, missing=0.1)
    location, scale, df = model().bind(SETTING).carried(data)
    for r in range(20):
        one, other = (score.sum(axis=1) for score in by_order(data, r))
        test = stats.ttest_ind(one, other)
        assert location[r] == pytest.approx(one.mean() - other.mean(), abs=1e-12)
        assert location[r] / scale[r] == pytest.approx(test.statistic, abs=1e-10)
        assert df[r] == test.df


def regression(s, x, mean, patients, sd, sd_patients):
    """Conjugate regression of x on (s, 1) with matrices: location and covariance factor, variance, df."""
    design = np.column_stack([s, np.ones(len(s))]).astype(float)
    precision = np.diag([patients, 0.0])
    after = precision + design.T @ design
    prior = np.array([mean, 0.0])
    location = np.linalg.solve(after, precision @ prior + design.T @ x)
    residual = x - design @ location
    spread = sd_patients * sd**2 + residual @ residual + patients * (location[0] - mean) ** 2
    df = sd_patients + len(x) - (1 if patients else 2)
    return location, np.linalg.inv(after), spread / df, df


@pytest.mark.parametrize("patients", [0.0, 3.5])
@pytest.mark.parametrize("carry_over", ["ignored", "estimated"])
def test_priors_agree_with_matrix_algebra(carry_over, patients):
    data = drawn(np.random.default_rng(5), 15, 13, effect=0.5, period=0.3, missing=0.1, equal=False)
    given = {"carry_over": carry_over, "sd_patients": 2.5, "effect": {"mean": 0.7, "patients": patients}}
    posterior = fit(data, **given)
    difference, better = posterior.difference(0, 0.8), posterior.prob_better(0, 0.2)
    for r in range(15):
        one, other = by_order(data, r, place=2 if carry_over == "ignored" else 0)
        s = np.repeat([1.0, -1.0], [len(one), len(other)])
        both = np.concatenate([one, other])
        if carry_over == "ignored":  # differences are tau s + c
            x, mean, sd, double = both[:, 0] - both[:, 1], 0.7, np.sqrt(2) * 0.8, 1.0
        else:  # first scores are tau s / 2 + c
            x, mean, sd, double = both[:, 0], 0.35, np.hypot(1.2, 0.8), 2.0
        location, factor, variance, df = regression(s, x, mean, patients, sd, 2.5)
        law = stats.t(df, double * location[0], double * np.sqrt(variance * factor[0, 0]))
        np.testing.assert_allclose(difference[r, 1], [law.mean(), law.ppf(0.1), law.ppf(0.9)], rtol=1e-9, atol=1e-11)
        assert better[r, 1] == pytest.approx(law.sf(0.2), abs=1e-11)
        if carry_over == "estimated":  # arms by themselves
            for arm, turn in ((1, 1.0), (0, -1.0)):
                c = np.array([turn, 1.0])
                own = stats.t(df, c @ location, np.sqrt(variance * c @ factor @ c))
                assert posterior.prob_above(0.3)[r, arm] == pytest.approx(own.sf(0.3), abs=1e-10)


def test_the_first_period_alone_is_the_analysis_of_a_parallel_trial():
    data = drawn(np.random.default_rng(6), 10, 20, effect=0.4)
    alone = fit(data, carry_over="estimated", sd_patients=2.0)
    normal = Normal(kind="normal", variance="common", sd=float(np.hypot(1.2, 0.8)), sd_patients=2.0)
    parallel = normal.bind(SETTING).fit(snapshot(data.arm, data.value[..., 0], n_arms=2))
    more = np.array([[3, 4]] * 10)
    for ask in (
        lambda p: p.mean(), lambda p: p.interval(0.9), lambda p: p.prob_better(0, 0.1), lambda p: p.difference(1, 0.9),
        lambda p: p.prob_success(0, 0.1, 0.9, more), lambda p: p.prob_success(0, 0.1, 0.9, more, fresh=True),
    ):  # fmt: skip
        np.testing.assert_allclose(ask(alone), ask(parallel), atol=1e-12)


# --------------------------------------------------------------------------------------- what it gives


def test_a_crossover_needs_as_many_patients_as_theory_says():
    """The first period alone has the variance 4 s^2 / n, differences 2 s_w^2 / n: the ratio is 2 / (1 - rho)."""
    data = drawn(np.random.default_rng(7), 20_000, 24, effect=0.5)
    within, parallel = (
        fit(data, carry_over=each).difference(0, 0.95)[:, 1, 0].var() for each in ("ignored", "estimated")
    )
    rho = 1.2**2 / (1.2**2 + 0.8**2)
    # Each variance has the relative standard error sqrt(2 / 20 000) = 0.01, and they are nearly independent.
    assert parallel / within == pytest.approx(2 / (1 - rho), rel=4 * 0.01 * np.sqrt(2))
    assert within == pytest.approx(2 * 0.8**2 / 24, rel=0.04)


@pytest.mark.parametrize("share", [0.0, 0.157, 0.5])
def test_what_is_carried_over_biases_the_difference_by_half_of_it(share):
    data = drawn(np.random.default_rng(8), 20_000, 14, effect=0.89, share=share, period=0.2)
    found = {each: fit(data, carry_over=each).difference(0, 0.95)[:, 1, 0] for each in ("ignored", "estimated")}
    for name, expected in (("ignored", 0.89 * (1 - share / 2)), ("estimated", 0.89)):
        error = found[name].std() / np.sqrt(20_000)
        assert abs(found[name].mean() - expected) < 4 * error


def test_a_test_of_carry_over_that_chooses_the_analysis_errs_more_often_than_it_says():
    """What Freeman (1989) found: the estimate of the first period and the test depend on each other.

    Without any carry-over and with a correlation of 0.9, a preliminary test at 10% nearly doubles an error of 5%.
    """
    data = drawn(np.random.default_rng(15), 40_000, 40, between=1.2, within=0.4)
    location, scale, df = model().bind(SETTING).carried(data)
    suspected = 2 * stats.t.sf(np.abs(location / scale), df) < 0.1
    within, first = (fit(data, carry_over=each).prob_better(0)[:, 1] for each in ("ignored", "estimated"))
    wrong = {name: np.abs(better - 0.5) > 0.475 for name, better in (("within", within), ("first", first))}
    error = 4 * np.sqrt(0.05 * 0.95 / 40_000)
    assert abs(wrong["within"].mean() - 0.05) < error and abs(wrong["first"].mean() - 0.05) < error
    two_stage = np.where(suspected, wrong["first"], wrong["within"]).mean()
    assert 0.08 < two_stage < 0.095
    assert wrong["first"][suspected].mean() > 0.3


def test_intervals_cover_whatever_the_period_effect():
    data = drawn(np.random.default_rng(9), 20_000, 16, effect=0.5, period=3.0, missing=0.1, level=50.0)
    low, high = fit(data).difference(0, 0.9)[:, 1, 1:].T
    share = ((low < 0.5) & (high > 0.5)).mean()
    assert abs(share - 0.9) < 4 * np.sqrt(0.09 / 20_000)


@pytest.mark.parametrize("patients", [8, 16, 60])
def test_the_mean_under_a_treatment_is_covered_too(patients):
    """A Student-t variable by Satterthwaite's degrees of freedom: one percentage point is allowed for it."""
    data = drawn(np.random.default_rng(10), 20_000, patients, effect=0.5, level=2.0)
    interval = fit(data).interval(0.9)
    for arm, true in ((0, 2.0), (1, 2.5)):
        share = ((interval[:, arm, 0] < true) & (interval[:, arm, 1] > true)).mean()
        assert abs(share - 0.9) < 0.01 + 4 * np.sqrt(0.09 / 20_000)


def test_the_spread_of_scores_is_estimated():
    data = drawn(np.random.default_rng(11), 4000, 60)
    for carry_over in ("ignored", "estimated"):
        spread = fit(data, carry_over=carry_over).outcome_sd()
        assert np.median(spread) == pytest.approx(np.hypot(1.2, 0.8), rel=0.02)


@pytest.mark.parametrize("patients", [24, 60])
@pytest.mark.parametrize("carry_over", ["ignored", "estimated"])
def test_the_posterior_is_calibrated_over_the_prior(carry_over, patients):
    """Effects and variances from the prior, data given them: the posterior probability of less is uniform.

    Kolmogorov and Smirnov at the level 0.0001, of 5,000 trials; the general mean and the period effect, whose priors
    are flat, stay where they are.
    """
    rng = np.random.default_rng(12)
    trials, prior = 5000, {"mean": 0.3, "patients": 4.0}
    size = 5.0 / rng.chisquare(5.0, trials)
    if carry_over == "ignored":
        within, between = 0.8 * np.sqrt(size), 1.2
        effect = 0.3 + np.sqrt(2 / 4) * within * rng.standard_normal(trials)
    else:
        within, between = 0.8 * np.sqrt(size), 1.2 * np.sqrt(size)
        effect = 0.3 + np.sqrt(4 / 4 * size) * np.hypot(0.8, 1.2) * rng.standard_normal(trials)
    data = drawn(rng, trials, patients, effect=effect, level=3.0, period=0.7, between=between, within=within,
                 missing=0.1, equal=False)  # fmt: skip
    posterior = fit(data, carry_over=carry_over, sd_patients=5.0, effect=prior)
    # A margin is one for all trials: each is asked about its own by moving the treatment's arm.
    halves = getattr(posterior, "halves", posterior)
    moved = replace(halves, location=halves.location - np.stack([np.zeros(trials), effect], axis=1))
    assert stats.kstest(1 - moved.prob_better(0)[:, 1], "uniform").pvalue > 1e-4


# ------------------------------------------------------------------------------------- whatever is known


@pytest.mark.parametrize("patients", [0.0, 2.0])
@pytest.mark.parametrize("sd_patients", [0.0, 1.0])
@pytest.mark.parametrize("carry_over", ["ignored", "estimated"])
def test_whatever_is_known_there_are_answers(carry_over, sd_patients, patients):
    nan = np.nan
    first = [[nan] * 4, [0.7, nan, nan, nan], [0.7, 0.9, nan, nan], [0.5] * 4, [1, 2, 3, 4], [1, nan, 3, nan]]
    second = [[nan] * 4, [nan] * 4, [0.7, nan, nan, nan], [0.5] * 4, [4, 3, 2, 2], [1, nan, 2, nan]]
    data = seen([[0, 1, 0, 1]] * 5 + [[0, -1, 0, -1]], first, second)
    posterior = fit(data, carry_over=carry_over, sd_patients=sd_patients, effect={"mean": 0.2, "patients": patients})
    more = np.array([[2, 2]] * 6)
    for answer in (
        posterior.mean(), posterior.sd(), posterior.outcome_sd(), posterior.interval(0.9), posterior.prob_above(0.1),
        posterior.prob_best(np.ones((6, 2), bool)), posterior.prob_better(0), posterior.difference(0, 0.9),
        posterior.prob_success(0, 0.0, 0.9, more), posterior.prob_success(None, 0.0, 0.9, more),
    ):  # fmt: skip
        assert np.isfinite(answer).all()
    better = posterior.prob_better(0)[:, 1]
    unknown = better[[0, 1, 5]]  # nothing is known of the difference
    if patients == 0:
        np.testing.assert_allclose(unknown, 0.5, atol=1e-5)
    elif sd_patients > 0:
        sd = np.sqrt(2) * 0.8 if carry_over == "ignored" else 2 * np.hypot(0.8, 1.2)
        assert better[0] == pytest.approx(stats.t(1, 0.2, sd / np.sqrt(2)).sf(0), abs=1e-9)


def test_lower_may_be_better_and_either_arm_the_control():
    data = drawn(np.random.default_rng(13), 8, 15, effect=0.5, equal=False, missing=0.1)
    turned = data._replace(value=-data.value)
    other = data._replace(arm=np.where(data.arm >= 0, 1 - data.arm, -1))
    for carry_over in ("ignored", "estimated"):
        given = {"carry_over": carry_over, "sd_patients": 1.0, "effect": {"mean": 0.4, "patients": 3}}
        one = fit(data, **given)
        lower = fit(turned, AnalysisSetting(ARMS, higher_is_better=False), **given)
        np.testing.assert_allclose(lower.mean(), -one.mean(), atol=1e-12)
        np.testing.assert_allclose(lower.prob_better(0, 0.1)[:, 1], 1 - one.prob_better(0, -0.1)[:, 1], atol=1e-12)
        swapped = fit(other, AnalysisSetting(ARMS[::-1], control=1), **given)
        np.testing.assert_allclose(swapped.prob_better(1, 0.1)[:, 0], one.prob_better(0, 0.1)[:, 1], atol=1e-12)
        np.testing.assert_allclose(swapped.interval(0.9), one.interval(0.9)[:, ::-1], atol=1e-12)


def test_a_large_mean_costs_no_accuracy():
    one, other = (
        fit(drawn(np.random.default_rng(14), 8, 15, effect=0.5, level=level), carry_over=carry_over).prob_better(0)
        for carry_over in ("ignored",)
        for level in (0.0, 1e7)
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_is_for_two_arms():
    assert model().problems(SETTING) == []
    (place, message, _), *_ = model().problems(AnalysisSetting((*ARMS, "rituximab")))
    assert place == ("kind",) and "3 arms" in message
