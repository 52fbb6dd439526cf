"""The crossover trial of IVIG of 2001, in its scenario: what theory says of its power, its bias and its test.

With 14 patients, half of them with IVIG first, the t-statistic of differences is noncentral t with 12 degrees of
freedom, and so is that of sums, by which carry-over is tested.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.endpoints.crossover import Lingering
from sps_adaptive.spec import load_scenario
from sps_adaptive.timeline import cut, pick
from tests.contracts.fakes import a_cohort

SCENARIO = load_scenario(Path(__file__).parents[2] / "scenarios" / "ivig_crossover.yaml")
TRIALS, PATIENTS = 20_000, 14
ARM = np.broadcast_to(np.arange(PATIENTS) % 2, (TRIALS, PATIENTS)).astype(np.int8)
COHORT = a_cohort(
    np.tile(np.arange(float(PATIENTS)), (TRIALS, 1)),
    u_outcome={"stiffness": np.random.default_rng(2001).random((TRIALS, PATIENTS, 3))},
)
ENDPOINT, MODEL = SCENARIO.endpoint, SCENARIO.designs()["adaptive"].model
WITHIN = np.sqrt(2 / PATIENTS) * ENDPOINT.sd_within
"""Standard error of the estimated effect."""
SUMS = np.sqrt((4 * ENDPOINT.sd_between**2 + 2 * ENDPOINT.sd_within**2) * 4 / PATIENTS)
"""Standard error of the difference of sums, by which carry-over is estimated."""


def effect_and_share(truth):
    """By how much IVIG is better, and the share of it that is carried over."""
    ivig = ENDPOINT.read(SCENARIO.truth(truth).of("stiffness"))["ivig"]
    mean, half_life = (ivig.mean, ivig.half_life_months) if isinstance(ivig, Lingering) else (ivig, 0.0)
    return 3.8 - mean, ENDPOINT.carried_over(half_life)


def near(found, expected):
    """Within four Monte Carlo standard errors."""
    return abs(found.mean() - expected) < 4 * np.sqrt(max(expected * (1 - expected), 1e-3) / TRIALS)


@pytest.mark.parametrize("truth", list(SCENARIO.truths))
def test_power_bias_and_test_of_carry_over_are_those_of_theory(truth):
    effect, share = effect_and_share(truth)
    potential = SCENARIO.potential(truth, "stiffness", COHORT)
    seen = cut(np.full(TRIALS, 1e4), COHORT, ARM, pick(potential, ARM), 2)
    posterior = MODEL.fit(seen)
    estimate = posterior.difference(0, 0.95)[:, 1, 0]
    assert abs(estimate.mean() - effect * (1 - share / 2)) < 4 * WITHIN / np.sqrt(TRIALS)
    law = stats.nct(12, effect * (1 - share / 2) / WITHIN) if effect else stats.t(12)
    better = posterior.prob_better(0)[:, 1]
    assert near(better > 0.975, law.sf(stats.t.ppf(0.975, 12)))
    assert near(better > 0.995, law.sf(stats.t.ppf(0.995, 12)))  # p < 0.01, as reported
    location, scale, df = MODEL.carried(seen)
    assert (df == 12).all()
    # What is carried over of the better treatment makes the sums of those who had it first better.
    carried = stats.nct(12, effect * share / SUMS) if effect * share else stats.t(12)
    for p in (0.1, 0.001):
        edge = stats.t.ppf(1 - p / 2, 12)
        assert near(np.abs(location / scale) > edge, carried.sf(edge) + carried.cdf(-edge))


def test_no_truth_of_the_scenario_explains_the_reported_test_of_carry_over():
    """It was p < 0.001. If it was a comparison of sums, it has that in fewer than 2 of 1,000 trials, as by chance."""
    edge = stats.t.ppf(0.9995, 12)
    for truth in list(SCENARIO.truths)[1:]:
        effect, share = effect_and_share(truth)
        law = stats.nct(12, effect * share / SUMS) if share else stats.t(12)
        assert law.sf(edge) + law.cdf(-edge) < 0.002
