"""Negative binomial rates: against dense quadrature, gamma distributions, brute sums and draws from the prior."""

import json
from math import lgamma, log

import numpy as np
import pytest
from scipy import integrate, stats

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import NegativeBinomial
from sps_adaptive.models.negative_binomial import FOLD
from sps_adaptive.models.negative_binomial_kernels import rising
from tests.models import accuracy_negative_binomial as accuracy
from tests.models.accuracy_negative_binomial import ENDPOINT, MODEL, WEEKS, fitted, snapshot
from tests.models.dense_counts import Data, dense, log_likelihood

CELLS = [cell for cell in json.loads(accuracy.FILE.read_text())["cells"] if "complete_diaries" in cell]
RATE_PRIOR = log(5), log(20) / FOLD
DISPERSION_PRIOR = 0.0, log(8) / FOLD
POISSON = NegativeBinomial(kind="negative_binomial", prior={"median": 5}, dispersion="poisson")


def model(**given):
    return NegativeBinomial(kind="negative_binomial", **{"prior": {"median": 5}} | given)


def diaries(patients, arms=2, number=1, seed=0, dispersion=1.0, rate=4.0):
    """Arms in turn, weeks and counts of some trials."""
    rng = np.random.default_rng(seed)
    shape = number, patients
    arm = np.broadcast_to(np.arange(patients) % arms, shape)
    weeks = WEEKS * rng.integers(20, 29, shape) / 28
    return arm, weeks, rng.poisson(rng.gamma(1 / dispersion, dispersion * rate * weeks)).astype(float)


# -------------------------------------------------------------------------------------- dense quadrature


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['patients']}-complete-{cell['complete_diaries']}")
def test_stored_data_sets_near_the_threshold_have_the_probabilities_of_dense_quadrature(cell):
    """All of them, with the stored answers of the dense grids: largest error 2e-6, no verdict another."""
    sets = cell["data_sets"]
    assert len(sets) == 100
    days, count = np.array([one["days"] for one in sets]), np.array([one["count"] for one in sets])
    arm = np.broadcast_to(np.arange(cell["patients"]) % 2, days.shape)
    fast = fitted(arm, WEEKS * days / accuracy.DAYS, count).prob_better(0)[:, 1]
    exact = np.array([one["probability"] for one in sets])
    np.testing.assert_allclose(fast, exact, rtol=0, atol=2e-6)
    assert cell["flips_at_0.975"] == 0 and ((fast > 0.975) == (exact > 0.975)).all()
    told = accuracy.told({"data_sets": sets}, fast)
    assert told["largest_error"] == pytest.approx(cell["largest_error"], abs=1e-8)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['patients']}-complete-{cell['complete_diaries']}")
def test_the_stored_answers_are_those_of_the_dense_grids(cell, picked=(3, 57)):
    arm = np.arange(cell["patients"]) % 2
    for number in picked:
        one = cell["data_sets"][number]
        assert accuracy.reference(arm, one["days"], one["count"]) == pytest.approx(one["probability"], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['patients']}-complete-{cell['complete_diaries']}")
def test_all_stored_answers_are_those_of_the_dense_grids(cell):
    test_the_stored_answers_are_those_of_the_dense_grids(cell, range(100))


def test_the_likelihood_of_the_dense_grids_is_that_of_scipy():
    arm, weeks, count = (x[0] for x in diaries(7, seed=2))
    rate, log_dispersion = np.array([-1.0, 0.5, 2.0]), np.array([-3.0, 0.0, 1.5])
    found = log_likelihood(Data(arm, weeks, count), 2, rate, log_dispersion)
    for d, x in enumerate(log_dispersion):
        for j, k in ((0, 1), (2, 0)):  # log rates of the two arms
            mean = weeks * np.exp(np.where(arm == 0, rate[j], rate[k]))
            size = np.exp(-x)
            expected = stats.nbinom.logpmf(count, size, size / (size + mean)).sum()
            assert found[d, 0, j] + found[d, 1, k] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_three_arms_means_spreads_tails_and_margins_are_those_of_dense_quadrature(seed):
    arm, weeks, count = diaries(30, 3, seed=seed, dispersion=(0.2, 1.0, 3.0)[seed])
    posterior = fitted(arm, weeks, count, better="higher", arms=("a", "b", "c"))
    exact = dense(Data(arm[0], weeks[0], count[0]), 3, RATE_PRIOR, DISPERSION_PRIOR, 1200)
    mean, sd = exact.moments()
    np.testing.assert_allclose(posterior.mean()[0], mean, atol=1e-6)
    np.testing.assert_allclose(posterior.sd()[0], sd, rtol=1e-5)
    np.testing.assert_allclose(posterior.prob_best(np.ones((1, 3), bool))[0], exact.best(), atol=2e-6)
    for value in (1.0, 1.5):
        np.testing.assert_allclose(posterior.prob_above(value)[0], exact.above(value), atol=2e-6)
    for by in (0.0, 0.25, -0.4):
        assert posterior.prob_better(0, by)[0, 2] == pytest.approx(exact.better(2, 0, by), abs=2e-6)
    low, high = posterior.interval(0.9)[0, 1]
    np.testing.assert_allclose([exact.above(low)[1], exact.above(high)[1]], [0.95, 0.05], atol=2e-6)
    _, low, high = posterior.difference(0, 0.9)[0, 1]
    np.testing.assert_allclose([exact.better(1, 0, low), exact.better(1, 0, high)], [0.95, 0.05], atol=2e-6)


# ------------------------------------------------------------------------------------------- closed forms


def test_poisson_rates_with_a_flat_prior_have_gamma_distributions():
    """Sums s of t weeks and a flat prior of the log rate: Gamma(s, t), and the ratio of two is a matter of Beta."""
    arm, weeks, count = diaries(24, seed=4, rate=2.0)
    flat = model(prior={"median": 3, "fold": 1e6}, dispersion="poisson")
    posterior = fitted(arm, weeks, count, flat, better="higher")
    s, t = (np.array([x[0][arm[0] == a].sum() for a in (0, 1)]) for x in (count, weeks))
    width = log(1e6) / FOLD  # the prior is normal after all: it moves the mean by about (sd / width)^2 of its distance
    atol = 3 * (1 / s.min()) / width**2
    for a in (0, 1):
        for value in (0.5, 0.8):
            law = stats.gamma(s[a], scale=1 / t[a])
            assert posterior.prob_above(value)[0, a] == pytest.approx(law.sf(np.exp(value)), abs=atol)
    p = t[0] / t.sum()  # P(rate_1 > rate_0) = P(B > t_1 / (t_0 + t_1)) with B ~ Beta(s_1, s_0)
    assert posterior.prob_better(0)[0, 1] == pytest.approx(stats.beta.sf(1 - p, s[1], s[0]), abs=atol)


def test_poisson_rates_are_one_integral_each():
    arm, weeks, count = diaries(12, seed=9, rate=1.0)
    posterior = fitted(arm, weeks, count, POISSON, better="higher")
    law = stats.norm(*RATE_PRIOR)
    for a in (0, 1):
        s, t = count[0][arm[0] == a].sum(), weeks[0][arm[0] == a].sum()

        def density(x, s=s, t=t):
            return np.exp(s * x - t * np.exp(x) - (s * log(s / t) - s)) * law.pdf(x)

        whole = integrate.quad(density, -3, 3, epsabs=1e-13)[0]
        above = integrate.quad(density, 0.3, 3, epsabs=1e-13)[0] / whole
        assert posterior.prob_above(0.3)[0, a] == pytest.approx(above, abs=2e-7)


def test_without_dispersion_it_is_the_poisson_analysis():
    arm, weeks, count = diaries(24, number=20, seed=5)
    none = model(dispersion={"median": 1e-9, "fold": 1.01})
    with_none, poisson = fitted(arm, weeks, count, none), fitted(arm, weeks, count, POISSON)
    np.testing.assert_allclose(with_none.prob_better(0), poisson.prob_better(0), atol=1e-6)
    np.testing.assert_allclose(with_none.mean(), poisson.mean(), atol=1e-6)
    np.testing.assert_allclose(with_none.interval(0.95), poisson.interval(0.95), atol=1e-5)


def test_a_known_dispersion_and_complete_diaries_leave_one_beta_integral():
    """With the size r = 1/φ, t e^θ / (r + t e^θ) has the likelihood of s events among n r failures."""
    rng = np.random.default_rng(8)
    arm = np.arange(20)[None, :] % 2
    count = rng.poisson(rng.gamma(2.0, 4.0, (1, 20))).astype(float)
    known = model(prior={"median": 2, "fold": 1e6}, dispersion={"median": 0.5, "fold": 1.000001})
    posterior = fitted(arm, 4.0, count, known, better="higher")
    s = np.array([count[0][arm[0] == a].sum() for a in (0, 1)])
    laws = [stats.beta(one, 10 / 0.5) for one in s]
    at = np.exp(0.7) * 4 / (2 + np.exp(0.7) * 4)
    width = log(1e6) / FOLD
    np.testing.assert_allclose(posterior.prob_above(0.7)[0], [law.sf(at) for law in laws], atol=0.3 / width**2)


@pytest.mark.parametrize("dispersion", [1e-6, 0.03, 0.06, 0.5, 4.0])
@pytest.mark.parametrize("count", [0, 1, 2, 11, 12, 13, 400])
def test_the_sum_over_events_is_that_of_its_terms(count, dispersion):
    expected = sum(np.log1p(j * dispersion) for j in range(count))
    assert rising(float(count), dispersion) == pytest.approx(expected, rel=1e-10, abs=1e-13)
    if dispersion > 1e-3:
        size = 1 / dispersion
        other = lgamma(count + size) - lgamma(size) + count * log(dispersion)
        assert rising(float(count), dispersion) == pytest.approx(other, rel=1e-8, abs=1e-10)


def test_the_unit_of_time_is_a_matter_of_the_prior():
    """The same diaries in days: rates a day are a seventh."""
    arm, weeks, count = diaries(24, number=5, seed=6)
    by_week = fitted(arm, weeks, count)
    by_day = fitted(arm, 7 * weeks, count, model(prior={"median": 5 / 7}))
    np.testing.assert_allclose(by_day.mean(), by_week.mean() + log(7), atol=1e-9)
    np.testing.assert_allclose(by_day.prob_better(0), by_week.prob_better(0), atol=1e-9)


def test_fewer_is_better_is_the_mirror_of_more_is_better():
    arm, weeks, count = diaries(24, 3, number=5, seed=7)
    arms = ("a", "b", "c")
    more, fewer = (fitted(arm, weeks, count, better=better, arms=arms) for better in ("higher", "lower"))
    np.testing.assert_allclose(fewer.mean(), -more.mean(), atol=1e-9)
    np.testing.assert_allclose(fewer.sd(), more.sd(), rtol=1e-8)
    np.testing.assert_allclose(fewer.prob_better(0)[:, 1:], 1 - more.prob_better(0)[:, 1:], atol=1e-8)
    np.testing.assert_allclose(fewer.interval(0.9), -more.interval(0.9)[..., ::-1], atol=1e-6)


# ---------------------------------------------------------------------------------------------- hard data


def test_where_nothing_is_known_the_prior_answers():
    known = np.zeros((2, 24), bool)
    arm, weeks, count = diaries(24, number=2)
    own = model(arm_priors={"ivig": {"median": 2, "fold": 4}})
    setting = AnalysisSetting(("placebo", "ivig"), False, 0, ENDPOINT)
    posterior = own.bind(setting).fit(snapshot(arm, weeks, count, known=known))
    mean, sd = np.array([RATE_PRIOR, (log(2), log(4) / FOLD)]).T
    np.testing.assert_allclose(posterior.mean(), [-mean] * 2, atol=1e-8)
    np.testing.assert_allclose(posterior.sd(), [sd] * 2, rtol=1e-7)
    expected = stats.norm.sf(0, mean[0] - mean[1], np.hypot(*sd))
    np.testing.assert_allclose(posterior.prob_better(0)[:, 1], expected, atol=1e-7)
    assert posterior.interval(0.95)[0, 1] == pytest.approx([-log(8), -log(0.5)], abs=1e-6)


HARD = {
    "all zeros": [[0] * 12, [0] * 12],
    "zeros against many": [[0] * 12, [40] * 12],
    "zeros but one": [[0] * 11 + [900], [0] * 12],
    "all alike": [[7] * 12, [7] * 12],
    "a million": [[10**6] * 12, [10**6] * 12],
    "one patient": [[3], []],
    "one patient without events": [[0], []],
    "one against many": [[5], [0, 1, 2, 3, 90, 4, 5, 6, 7, 8, 9, 1]],
}


@pytest.mark.parametrize("dispersion", [{"median": 1}, {"median": 0.01, "fold": 100}, "poisson"], ids=str)
@pytest.mark.parametrize("counts", HARD.values(), ids=HARD)
def test_hard_data_have_an_answer(counts, dispersion):
    arm = np.concatenate([np.full(len(one), a) for a, one in enumerate(counts)])[None, :].astype(int)
    count = np.concatenate(counts)[None, :].astype(float)
    posterior = fitted(arm, 4.0, count, model(dispersion=dispersion), better="higher")
    for answer in (
        posterior.mean(),
        posterior.interval(0.95),
        posterior.prob_better(0),
        posterior.difference(0, 0.95),
        posterior.prob_above(1.0),
        posterior.outcome_sd(),
    ):
        assert np.isfinite(answer).all()
    np.testing.assert_allclose(posterior.prob_best(np.ones((1, 2), bool)).sum(), 1)
    assert (posterior.weight >= 0).all() and posterior.weight.sum() == pytest.approx(1)
    low, high = posterior.interval(0.95)[0].T
    assert (low < posterior.mean()[0]).all() and (posterior.mean()[0] < high).all()


@pytest.mark.parametrize("name", ["all zeros", "zeros but one", "one against many", "all alike"])
def test_hard_data_have_the_answer_of_dense_quadrature(name):
    counts = HARD[name]
    arm = np.concatenate([np.full(len(one), a) for a, one in enumerate(counts)]).astype(int)
    count = np.concatenate(counts).astype(float)
    posterior = fitted(arm, 4.0, count, better="higher")
    exact = dense(Data(arm, np.full(len(arm), 4.0), count), 2, RATE_PRIOR, DISPERSION_PRIOR, 900, 150)
    assert posterior.prob_better(0)[0, 1] == pytest.approx(exact.better(1, 0), abs=1e-5)
    mean, sd = exact.moments()
    np.testing.assert_allclose(posterior.mean()[0], mean, atol=1e-4)
    np.testing.assert_allclose(posterior.sd()[0], sd, rtol=1e-4)


# ---------------------------------------------------------------------------------- what it is used for


def test_patients_who_differ_make_the_analysis_less_certain_than_poisson_counts_would():
    arm, weeks, count = diaries(60, number=50, seed=12, dispersion=1.0)
    ours, poisson = fitted(arm, weeks, count), fitted(arm, weeks, count, POISSON)
    assert (ours.sd() > 2 * poisson.sd()).mean() > 0.95


def test_what_one_patient_says_is_the_spread_of_the_log_rate_for_one_patient():
    """With many patients the posterior variance is that of one patient divided by their number."""
    arm, weeks, count = diaries(4000, number=1, seed=13)
    posterior = fitted(arm, np.full_like(weeks, 4.0), count)
    np.testing.assert_allclose(posterior.outcome_sd() / np.sqrt(2000), posterior.sd(), rtol=0.05)


def test_a_prior_tells_what_patients_it_expects():
    counts = MODEL.prior_predictive(
        AnalysisSetting(("placebo", "ivig"), False, 0, ENDPOINT), 200_000, np.random.default_rng(3)
    )
    assert counts.shape == (200_000, 2) and (counts == np.round(counts)).all()
    rng = np.random.default_rng(4)
    rate = np.exp(rng.normal(*RATE_PRIOR, 200_000))
    dispersion = np.exp(rng.normal(*DISPERSION_PRIOR, 200_000))
    again = stats.nbinom.rvs(1 / dispersion, 1 / (1 + dispersion * 4 * rate), random_state=5)
    for q in (0.25, 0.5, 0.75, 0.9):
        below = (counts[:, 0] <= np.quantile(again, q)).mean()
        assert abs(below - (again <= np.quantile(again, q)).mean()) < 4 * np.sqrt(2 * q * (1 - q) / 200_000)


def truths_and_answers(patients, number, seed):
    """Rates and dispersions from the prior, data from them, and the posterior distribution functions at the truth."""
    rng = np.random.default_rng(seed)
    prior = model(prior={"median": 4, "fold": 5}, dispersion={"median": 0.8, "fold": 5})
    sd = log(5) / FOLD
    rate = np.exp(rng.normal(log(4), sd, (number, 2)))
    dispersion = np.exp(rng.normal(log(0.8), sd, (number, 1)))
    arm = rng.integers(0, 2, (number, patients))
    weeks = WEEKS * rng.integers(20, 29, (number, patients)) / 28
    mean = weeks * np.take_along_axis(rate, arm, axis=1)
    count = rng.poisson(rng.gamma(1 / dispersion, dispersion * mean)).astype(float)
    posterior = fitted(arm, weeks, count, prior, better="higher")
    place = np.array([below_one(posterior, r, np.log(rate[r])) for r in range(number)])
    return {"placebo": place[:, 0], "ivig": place[:, 1], "difference": place[:, 2]}


def below_one(posterior, r, truth):
    """P(each arm, and the difference, is below its true value) in replicate r."""
    some = type(posterior)(
        *(x[r : r + 1] for x in (posterior.weight, posterior.start, posterior.step, posterior.table)),
        posterior.spread[r : r + 1],
        posterior.known[r : r + 1],
    )
    arms = [1 - some.prob_above(truth[a])[0, a] for a in (0, 1)]
    return [*arms, 1 - some.prob_better(0, truth[1] - truth[0])[0, 1]]


@pytest.mark.parametrize("patients", [24, 60])
def test_the_truth_lies_anywhere_alike_in_the_posterior(patients, number=1000):
    """Simulation-based calibration: with truths from the prior, posterior probabilities of the truth are uniform."""
    for name, u in truths_and_answers(patients, number, 17 + patients).items():
        assert stats.kstest(u, "uniform").pvalue > 1e-4, name
        tails = (np.minimum(u, 1 - u) < 0.025).mean()
        assert abs(tails - 0.05) < 4 * np.sqrt(0.05 * 0.95 / number), name


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
def test_the_truth_lies_anywhere_alike_in_the_posterior_of_many_trials(patients):
    test_the_truth_lies_anywhere_alike_in_the_posterior(patients, 10_000)
