"""Power of bioequivalence in a 2x2 crossover, as PowerTOST prints it: by a formula, and by trials from end to end.

Bioequivalence is shown by two one-sided t-tests at 5%. With flat priors that is what the crossover analysis says if the
difference of the logarithms is above log 0.8 and below log 1.25 with a posterior probability above 0.95 each.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, stdtrit

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import Crossover
from sps_adaptive.models import CrossoverAnalysis
from sps_adaptive.timeline import cut, pick
from tests.contracts.fakes import a_cohort

TABLE = json.loads((Path(__file__).parent / "data" / "powertost_crossover.json").read_text(encoding="utf-8"))
CASES = TABLE["power"]
SIZES = TABLE["sample_sizes"]
ARMS = ("reference", "test")
LIMIT = np.log(1.25)
TRIALS = 20_000
NODE, WEIGHT = np.polynomial.legendre.leggauss(200)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: "CV {CV}, n {n}, ratio {theta0}".format(**case))


def sd_within(cv):
    """Standard deviation of the logarithm of a log-normal variable with this coefficient of variation."""
    return np.sqrt(np.log1p(cv**2))


def exact_power(cv, n, theta):
    """Integrate over the estimated variance: given it, the estimate must fall between two limits.

    The pair of noncentral t probabilities that Owen's Q (1965) is about; 200 Gauss-Legendre nodes.
    """
    one, other = n // 2, n - n // 2
    df, unit = n - 2, sd_within(cv) * np.sqrt(0.5 * (1 / one + 1 / other))
    quantile, centre = stdtrit(df, 0.95), np.log(theta)
    # Up to where the two tests leave no room: estimated over true standard deviation, whose square is chi-square / df.
    end = min(LIMIT / (quantile * unit), 1 + 8 / np.sqrt(df))
    ratio = end * (NODE + 1) / 2
    density = 2 * df * ratio * stats.chi2.pdf(df * ratio**2, df)
    reach = LIMIT - quantile * ratio * unit  # how far from 0 the estimate may be
    inside = ndtr((reach - centre) / unit) - ndtr((-reach - centre) / unit)
    return (end / 2 * WEIGHT * density * inside).sum()


@every_case
def test_the_formula_gives_the_printed_power(case):
    last_digit = 10.0 ** -len(str(case["power"]).partition(".")[2])
    assert abs(exact_power(case["CV"], case["n"], case["theta0"]) - case["power"]) <= last_digit / 2 + 1e-9


@pytest.mark.parametrize("column, cv", list(enumerate(SIZES["CV"])))
@pytest.mark.parametrize("row, theta", list(enumerate(SIZES["theta"])))
def test_the_printed_size_is_the_smallest_even_one_with_a_power_of_80_percent(row, theta, column, cv):
    n = SIZES["n"][row][column]
    assert exact_power(cv, n, theta) >= 0.8 > exact_power(cv, n - 2, theta)


@cache
def luck(n):
    """Patients of trials, in equal numbers with each treatment first (one more with the first if n is odd)."""
    rng = np.random.default_rng(n)
    enrolled = np.tile(np.arange(float(n)), (TRIALS, 1))
    arm = np.broadcast_to(np.arange(n) % 2, (TRIALS, n)).astype(np.int8)
    return a_cohort(enrolled, u_outcome={"exposure": rng.random((TRIALS, n, 3))}), arm


@every_case
def test_simulated_trials_have_the_printed_power(case):
    """Within three standard errors of the simulation, for eight cases with seeds of their own."""
    cohort, arm = luck(case["n"])
    endpoint = Crossover(
        kind="crossover", better="higher", period_months=0.5, washout_months=0.25, sd_between=0.6,
        sd_within=sd_within(case["CV"]), period_effect=0.1,
    )  # fmt: skip
    truth = endpoint.read({"reference": 2.0, "test": 2.0 + np.log(case["theta0"])})
    outcome = pick(endpoint.potential(cohort, "exposure", ARMS, truth), arm)
    snapshot = cut(np.full(TRIALS, 1000.0), cohort, arm, outcome, 2)
    analysis = CrossoverAnalysis(kind="crossover", sd_within=0.3, sd_between=0.6, sd_patients=0)
    posterior = analysis.bind(AnalysisSetting(ARMS)).fit(snapshot)
    above, below = posterior.prob_better(0, -LIMIT)[:, 1], 1 - posterior.prob_better(0, LIMIT)[:, 1]
    shown = ((above > 0.95) & (below > 0.95)).mean()
    assert abs(shown - case["power"]) < 3 * np.sqrt(case["power"] * (1 - case["power"]) / TRIALS)
