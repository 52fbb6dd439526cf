"""Counts in a diary: against the probabilities and moments of the distribution, one number at a time."""

import time
from math import lgamma

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import Count
from sps_adaptive.endpoints.count import ArmRate
from sps_adaptive.endpoints.count_kernels import fill_counts, log_probability, quantile
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig")
PATIENTS = 100_000


def count(**given):
    """An endpoint like that of a trial of spasms, but for what is given."""
    usual = {"better": "lower", "assessed_at_month": 6, "over_weeks": 4, "dispersion": 1.0}
    return Count(kind="count", **usual | given)


def cohort(patients=PATIENTS, uniforms=2, seed=3):
    rng = np.random.default_rng(seed)
    shape = patients // 50, 50
    enrolled_at = np.sort(rng.uniform(0, 900, shape), axis=1)
    return a_cohort(enrolled_at, u_outcome={"spasms": rng.random((*shape, uniforms))})


COHORT = cohort()


def diaries(endpoint, truth, shift=None, cohort=COHORT):
    """Weeks kept and events of each patient on each arm: two arrays [patients, arms]."""
    value = endpoint.potential(cohort, "spasms", tuple(truth), endpoint.read(truth), shift).value
    value = value.reshape(-1, len(truth), 2)
    return value[..., 0], endpoint.natural(value[..., 1])


def by_hand(u, mean, dispersion):
    """The quantile, by adding probabilities from 0 on: the twin of the compiled search."""
    p, k, total = np.exp(log_probability(0.0, mean, dispersion)), 0, 0.0
    while True:
        total += p
        if total > u:
            return k
        p *= mean / (1 + dispersion * mean) * (1 + dispersion * k) / (k + 1)
        k += 1


# ---------------------------------------------------------------------------------------- the distribution


@pytest.mark.parametrize("mean", [0.3, 4.0, 60.0])
@pytest.mark.parametrize("dispersion", [0.0, 0.2, 1.0, 5.0])
def test_the_probabilities_are_those_of_the_negative_binomial_distribution(mean, dispersion):
    k = np.arange(40.0)
    found = [log_probability(x, mean, dispersion) for x in k]
    if dispersion == 0:
        expected = k * np.log(mean) - mean - np.array([lgamma(x + 1) for x in k])
    else:
        r = 1 / dispersion
        choose = np.array([lgamma(x + r) - lgamma(r) - lgamma(x + 1) for x in k])
        expected = choose + r * np.log(r / (r + mean)) + k * np.log(mean / (r + mean))
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("mean", [0.02, 1.0, 24.0, 300.0])
@pytest.mark.parametrize("dispersion", [0.0, 0.01, 0.8, 6.0])
def test_the_quantiles_are_those_of_scipy_and_of_a_sum_by_hand(mean, dispersion):
    u = np.concatenate([np.random.default_rng(5).random(4000), [1e-12, 1 - 1e-9]])
    found = np.array([quantile(x, mean, dispersion) for x in u])
    law = stats.poisson(mean) if dispersion == 0 else stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    np.testing.assert_array_equal(found, law.ppf(u))
    np.testing.assert_array_equal(found[:200], [by_hand(x, mean, dispersion) for x in u[:200]])


@pytest.mark.parametrize("mean, dispersion", [(2_000.0, 0.0), (9_000.0, 0.001), (5_000.0, 0.05), (900.0, 20.0)])
def test_large_means_neither_underflow_nor_go_astray(mean, dispersion):
    u = np.array([1e-9, 0.1, 0.5, 0.9, 1 - 1e-9, 1 - 2.0**-53])
    law = stats.poisson(mean) if dispersion == 0 else stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    found = np.array([quantile(x, mean, dispersion) for x in u])
    np.testing.assert_array_equal(found[:5], law.ppf(u[:5]))
    assert found[4] < found[5] < mean + 60 * np.sqrt(mean) + 60 * mean * dispersion, "the largest luck there is"


def test_nothing_is_counted_at_a_rate_of_zero_and_the_smallest_luck_gives_the_smallest_count():
    assert quantile(0.999, 0.0, 1.0) == 0
    assert quantile(0.0, 3.0, 1.0) == 0


@pytest.mark.parametrize("dispersion", [0.0, 0.4, 2.0])
def test_counts_have_the_mean_and_variance_of_the_formula_and_its_probabilities(dispersion):
    """Chi-square of the counts, and moments in standard errors (that of the variance from the fourth moment)."""
    _, y = diaries(count(dispersion=dispersion), {"placebo": 1.5, "ivig": 0.8})
    for a, rate in enumerate((1.5, 0.8)):
        mean = 4 * rate
        variance = mean + dispersion * mean**2
        law = stats.poisson(mean) if dispersion == 0 else stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
        assert abs(y[:, a].mean() - mean) < 4 * np.sqrt(variance / PATIENTS)
        error = variance * np.sqrt((float(law.stats("k")) + 2) / PATIENTS)
        assert abs(y[:, a].var() - variance) < 4 * error
        top = int(law.ppf(1 - 50 / PATIENTS))
        seen = np.bincount(np.minimum(y[:, a], top).astype(int), minlength=top + 1)
        expected = PATIENTS * np.append(law.pmf(np.arange(top)), law.sf(top - 1))
        assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-4


def test_counts_are_poisson_counts_of_patients_whose_rates_have_a_gamma_distribution():
    """The other way to make them: a rate for each patient, then a Poisson count. Two-sample chi-square."""
    rng = np.random.default_rng(11)
    _, y = diaries(count(dispersion=0.7), {"placebo": 2.0})
    other = rng.poisson(rng.gamma(1 / 0.7, 0.7 * 8.0, PATIENTS))
    top = 40
    table = np.array([np.bincount(np.minimum(x, top).astype(int), minlength=top + 1) for x in (y[:, 0], other)])
    assert stats.chi2_contingency(table).pvalue > 1e-4


# ------------------------------------------------------------------------------------- truths and diaries


def test_an_arm_may_have_a_dispersion_of_its_own():
    _, y = diaries(count(dispersion=0.5), {"placebo": 3, "ivig": {"rate": 3, "dispersion": 2.5}})
    np.testing.assert_allclose(y.mean(axis=0), 12, rtol=0.03)
    np.testing.assert_allclose(y.var(axis=0), [12 + 0.5 * 144, 12 + 2.5 * 144], rtol=0.08)


def test_the_same_luck_gives_fewer_events_at_a_lower_rate():
    _, y = diaries(count(), {"placebo": 5, "ivig": 3})
    assert (y[:, 1] <= y[:, 0]).all() and (y[:, 1] < y[:, 0]).mean() > 0.5


def test_what_covariates_add_multiplies_the_rate():
    shift = np.full((*COHORT.enrolled_at.shape, 2), np.log(1.8))
    shift[..., 1] = 0.0
    _, moved = diaries(count(), {"placebo": 2, "ivig": 2}, shift)
    _, plain = diaries(count(), {"placebo": 3.6, "ivig": 2})
    np.testing.assert_array_equal(moved, plain)


def test_rates_may_change_with_the_month_of_enrolment():
    endpoint = count(dispersion=0)
    _, y = diaries(endpoint, {"placebo": {0: 8, 12: 2}})
    month = COHORT.enrolled_at.ravel() / DAYS_PER_MONTH
    early, late = y[month < 1, 0], y[month > 12, 0]
    assert early.mean() == pytest.approx(4 * (8 - 0.25), rel=0.02) and late.mean() == pytest.approx(8, rel=0.02)
    assert endpoint.changes(endpoint.read({"a": {"rate": {0: 8, 12: 2}}})["a"]) and not endpoint.changes(3.0)


def test_a_diary_is_kept_on_whole_days_anywhere_alike_between_the_share_and_all():
    weeks, y = diaries(count(completeness=0.75, dispersion=0), {"placebo": 6})
    days = np.round(7 * weeks[:, 0], 9)
    assert set(days) == set(range(21, 29))
    seen = np.bincount(days.astype(int))[21:]
    assert stats.chisquare(seen).pvalue > 1e-4
    for kept in (21, 28):
        some = y[days == kept, 0]
        assert abs(some.mean() - 6 * kept / 7) < 4 * np.sqrt(6 * kept / 7 / len(some))


def test_how_long_the_diary_is_kept_says_nothing_about_the_rate():
    weeks, y = diaries(count(completeness=0.5), {"placebo": 6})
    r = np.corrcoef(weeks[:, 0], y[:, 0] / weeks[:, 0])[0, 1]
    assert abs(r) < 4 / np.sqrt(PATIENTS)


def test_complete_diaries_need_one_uniform_and_others_two():
    assert count().uniforms == 1 and count(completeness=0.9).uniforms == 2
    assert count().outcomes == 2
    weeks, _ = diaries(count(over_weeks=2.5), {"placebo": 1}, cohort=cohort(500, uniforms=1))
    assert (weeks == 2.5).all()


def test_the_diary_is_known_when_it_is_assessed_both_of_its_numbers():
    known_at = count().potential(COHORT, "spasms", ("placebo",), {"placebo": 2.0}).known_at
    np.testing.assert_array_equal(known_at[..., 0], known_at[..., 1])
    np.testing.assert_allclose(known_at[:, :, 0, 1], COHORT.enrolled_at + 6 * DAYS_PER_MONTH)


def test_true_values_are_rates_a_week_of_all_patients_and_log_rates_of_the_average_one():
    endpoint = count(over_weeks=8)
    truth = endpoint.read({"placebo": 5, "ivig": {"rate": 3}})
    np.testing.assert_allclose(endpoint.true_values(COHORT, ARMS, truth, "mean_rate"), [-5, -3])
    np.testing.assert_allclose(endpoint.true_values(COHORT, ARMS, truth, "log_rate"), [-np.log(5), -np.log(3)])
    shift = np.where(COHORT.u_arm < 0.5, 1.0, -1.0)[..., None]
    share = (COHORT.u_arm < 0.5).mean()
    average = share * np.e + (1 - share) / np.e
    np.testing.assert_allclose(
        endpoint.true_values(COHORT, ARMS, truth, "mean_rate", shift), [-5 * average, -3 * average]
    )
    np.testing.assert_allclose(endpoint.true_values(COHORT, ARMS, truth, "log_rate", shift), [-np.log(5), -np.log(3)])
    assert endpoint.scale("log_rate").natural_difference(np.log(2)) == -np.log(2)
    assert endpoint.scale("mean_rate").unit == "events a week"


def test_the_observed_mean_rate_is_the_true_one():
    """4 standard errors, with covariates and diaries that are not complete."""
    endpoint = count(completeness=0.6, better="higher")
    shift = 0.5 * COHORT.covariates[..., :1]
    truth = {"placebo": 4.0}
    weeks, y = diaries(endpoint, truth, shift)
    rate = y[:, 0] / weeks[:, 0]
    expected = endpoint.true_values(COHORT, ("placebo",), truth, "mean_rate", shift)[0]
    assert abs(rate.mean() - expected) < 4 * rate.std() / np.sqrt(PATIENTS)


# ------------------------------------------------------------------------------------------ what cannot be


def test_truths_that_cannot_be_are_told():
    endpoint = count()
    truth = endpoint.read({"a": 0, "b": {"rate": -1}, "c": {0: 4, 12: 3000}, "d": 5})
    problems = endpoint.truth_problems(truth)
    assert [path for path, _, _ in problems] == [("a",), ("b", "rate"), ("c",)]
    assert "a rate of 0" in problems[0][1] and "12,000 events expected" in problems[2][1]
    assert endpoint.unreadable({"a": "many"}) and endpoint.unreadable({"a": {"rate": 3, "dispersion": -1}})
    assert not endpoint.unreadable({"a": 3, "b": {"rate": {0: 4}}})


def test_a_diary_that_begins_before_enrolment_is_told():
    assert count(over_weeks=26).problems() == []
    ((path, message, _),) = count(over_weeks=30).problems()
    assert path == ("over_weeks",) and "begins before enrolment" in message
    ((path, _, _),) = count(over_weeks=24, window_months=1).problems()
    assert path == ("over_weeks",)


def test_it_tells_itself_in_words():
    endpoint = count(unit="spasms", completeness=0.8)
    assert endpoint.describe() == "a count of spasms in a diary of 4 weeks kept on at least 80% of the days"
    assert endpoint.words(5.0) == "5 a week"
    assert endpoint.words(ArmRate(rate=5, dispersion=0.8)) == "5 a week, dispersion 0.8"


def test_a_block_of_trials_takes_a_moment():
    """2,000 trials of 60 patients on three arms; a second is far beyond what it takes (some 0.03 s)."""
    rng = np.random.default_rng(1)
    u, out = rng.random((2000, 60)), np.empty((2000, 60, 3))
    mean = 24 * np.exp(0.3 * rng.standard_normal((2000, 60, 3)))
    fill_counts(u[:1], mean[:1], np.ones(3), out[:1])
    began = time.perf_counter()
    fill_counts(u, mean, np.ones(3), out)
    assert time.perf_counter() - began < 1
