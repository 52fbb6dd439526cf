"""Negative binomial regression: against dense quadrature, the analysis without covariates, and draws from the prior."""

import json
from math import log

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import NegativeBinomial
from sps_adaptive.models.negative_binomial import FOLD
from tests.models import accuracy_negative_binomial as accuracy
from tests.models.accuracy_negative_binomial import ARMS, ENDPOINT, FACTORS, WEEKS, adjusted, fitted, snapshot
from tests.models.dense_counts import Data, dense_adjusted

CELLS = [cell for cell in json.loads(accuracy.FILE.read_text())["cells"] if "covariate" in cell]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: str(cell["patients"]))


def model(**given):
    usual = {"prior": {"median": 5}, "covariates": ("phenotype",)}
    return NegativeBinomial(kind="negative_binomial", **usual | given)


def trials(number, patients, seed, slope=0.7, dispersion=1.0, rate=4.0):
    """Arms in turn, levels and counts."""
    rng = np.random.default_rng(seed)
    arm = np.broadcast_to(np.arange(patients) % 2, (number, patients))
    level = (rng.random(arm.shape) < 0.4).astype(int)
    mean = WEEKS * rate * np.exp(slope * (level - 0.4))
    own = rng.gamma(1 / dispersion, dispersion * mean) if dispersion else mean
    return arm, level, rng.poisson(own).astype(float)


@every_cell
def test_stored_data_sets_near_the_threshold_have_the_probabilities_of_dense_quadrature(cell):
    """All of them against the stored answers of dense grids over rates, dispersion and slope; no verdict is another.

    The errors are those of Laplace's method where the posterior of the dispersion is skewed: few events, or one patient
    with many.
    """
    sets = cell["data_sets"]
    assert len(sets) == 100
    level, count = np.array([one["level"] for one in sets]), np.array([one["count"] for one in sets])
    arm = np.broadcast_to(np.arange(cell["patients"]) % 2, level.shape)
    fast = adjusted(arm, level, count).prob_better(0)[:, 1]
    exact = np.array([one["probability"] for one in sets])
    np.testing.assert_allclose(fast, exact, rtol=0, atol=1.3e-3 if cell["patients"] == 24 else 5e-4)
    told = accuracy.told({"data_sets": sets}, fast)
    assert told["largest_error"] == pytest.approx(cell["largest_error"], abs=1e-7)
    assert told["flips_at_0.975"] == cell["flips_at_0.975"] == 0


@every_cell
def test_the_stored_answers_are_those_of_the_dense_grids(cell, picked=(5, 61)):
    arm = np.arange(cell["patients"]) % 2
    for number in picked:
        one = cell["data_sets"][number]
        found = accuracy.reference_adjusted(arm, one["level"], one["count"])
        assert found == pytest.approx(one["probability"], abs=1e-8)


@pytest.mark.slow
@every_cell
def test_all_stored_answers_are_those_of_the_dense_grids(cell):
    test_the_stored_answers_are_those_of_the_dense_grids(cell, range(100))


def test_a_slope_that_cannot_differ_from_zero_leaves_the_analysis_without_covariates():
    """An exact reference for Laplace's method on its own: the log dispersion is among its parameters."""
    arm, level, count = trials(200, 24, 3)
    none = adjusted(arm, level, count, model(coefficients={"sd": 1e-4}))
    exact = fitted(arm, WEEKS, count)
    np.testing.assert_allclose(none.prob_better(0), exact.prob_better(0), atol=1e-3)
    np.testing.assert_allclose(none.mean(), exact.mean(), atol=5e-3)
    np.testing.assert_allclose(none.sd(), exact.sd(), rtol=5e-3)
    assert not none.failed().any()


def test_without_dispersion_it_is_poisson_regression():
    """Grids over rates and slope with next to no dispersion, and a prior of the dispersion that allows none."""
    arm, level, count = trials(4, 24, 5, dispersion=0, rate=0.6)
    poisson = adjusted(arm, level, count, model(dispersion="poisson"))
    nearly = adjusted(arm, level, count, model(dispersion={"median": 1e-8, "fold": 1.1}))
    np.testing.assert_allclose(nearly.prob_better(0), poisson.prob_better(0), atol=1e-6)
    for r in range(4):
        data = Data(arm[r], np.full(24, WEEKS), count[r])
        exact = dense_adjusted(data, level[r] - 0.4, (log(5), log(20) / FOLD), (-14.0, 0.01), 1.0, (400, 20, 60))
        assert poisson.prob_better(0)[r, 1] == pytest.approx(1 - exact.better(1, 0), abs=2e-4)


def test_the_rates_are_those_of_the_average_patient():
    """Many patients: rates at the mean of the covariate, whatever the slope, and the ratio of the arms."""
    arm, level, count = trials(1, 4000, 7, slope=1.2, dispersion=0.3)
    posterior = adjusted(arm, level, count, better="higher")
    np.testing.assert_allclose(posterior.mean()[0], [log(4), log(4)], atol=4 * posterior.sd().max())
    assert posterior.sd().max() < 0.03
    np.testing.assert_allclose(posterior.outcome_sd() / np.sqrt(2000), posterior.sd(), rtol=0.1)


def test_adjusting_for_what_predicts_the_rate_narrows_the_comparison():
    arm, level, count = trials(60, 60, 9, slope=2.0, dispersion=0.5)
    plain, better = fitted(arm, WEEKS, count), adjusted(arm, level, count)
    width = [np.ptp(one.difference(0, 0.9)[:, 1, 1:], axis=1) for one in (better, plain)]
    assert np.mean(width[0] / width[1]) < 0.9


HARD = {
    "all zeros": (np.zeros(12), np.arange(12) % 2),
    "one level": (np.arange(12.0), np.zeros(12)),
    "the level is the arm": (np.arange(12.0), np.arange(12) % 2),
    "events on one level alone": (9.0 * (np.arange(12) % 4 > 1), np.arange(12) % 4 > 1),
    "a million": (np.full(12, 1e6), np.arange(12) % 3 > 1),
    "one patient in a thousand": (np.where(np.arange(12) == 5, 5000.0, 0), np.arange(12) % 3 > 1),
}


@pytest.mark.parametrize("dispersion", [{"median": 1}, {"median": 0.01, "fold": 100}, "poisson"], ids=str)
@pytest.mark.parametrize("case", HARD.values(), ids=HARD)
def test_hard_data_have_an_answer(case, dispersion):
    count, level = case
    posterior = adjusted(np.arange(12)[None] % 2, level.astype(int), count, model(dispersion=dispersion))
    for answer in (posterior.mean(), posterior.sd(), posterior.prob_better(0), posterior.difference(0, 0.95)):
        assert np.isfinite(answer).all()
    assert not posterior.failed().any()


def test_where_nothing_is_known_the_prior_answers():
    arm, level, count = trials(2, 12, 1)
    setting = AnalysisSetting(ARMS, False, 0, ENDPOINT, FACTORS)
    known = snapshot(arm, WEEKS, count, known=np.zeros(arm.shape, bool))._replace(strata=level[..., None])
    posterior = model().bind(setting).fit(known)
    np.testing.assert_allclose(posterior.mean(), -log(5), atol=1e-5)
    np.testing.assert_allclose(posterior.sd(), log(20) / FOLD, rtol=1e-5)
    np.testing.assert_allclose(posterior.prob_better(0)[:, 1], 0.5, atol=1e-6)


@pytest.mark.parametrize("patients", [24, 60])
def test_the_truth_lies_anywhere_alike_in_the_posterior(patients, number=1000):
    """Simulation-based calibration with a covariate: posterior probabilities of the truth are uniform."""
    rng = np.random.default_rng(patients)
    prior = model(prior={"median": 4, "fold": 5}, dispersion={"median": 0.8, "fold": 5}, coefficients={"sd": 0.8})
    sd = log(5) / FOLD
    rate, dispersion = np.exp(rng.normal(log(4), sd, (number, 2))), np.exp(rng.normal(log(0.8), sd, (number, 1)))
    arm, level = rng.integers(0, 2, (number, patients)), (rng.random((number, patients)) < 0.4).astype(int)
    slope = rng.normal(0, 0.8, (number, 1))
    mean = WEEKS * np.take_along_axis(rate, arm, axis=1) * np.exp(slope * (level - 0.4))
    count = rng.poisson(rng.gamma(1 / dispersion, dispersion * mean)).astype(float)
    posterior = adjusted(arm, level, count, prior, better="higher")
    gap, sd = np.log(rate[:, 1] / rate[:, 0]), posterior.sd()
    at = [posterior.prob_better(0, by)[:, 1] for by in GAPS]
    u = np.array([np.interp(gap[r], GAPS, [1 - one[r] for one in at]) for r in range(number)])
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    tails = (np.minimum(u, 1 - u) < 0.025).mean()
    assert abs(tails - 0.05) < 4 * np.sqrt(0.05 * 0.95 / number)


GAPS = np.linspace(-4.5, 4.5, 361)
"""Differences of log rates at which posterior distribution functions are read."""


@pytest.mark.slow
@pytest.mark.parametrize("patients", [24, 60])
def test_the_truth_lies_anywhere_alike_in_the_posterior_of_many_trials(patients):
    test_the_truth_lies_anywhere_alike_in_the_posterior(patients, 5000)
