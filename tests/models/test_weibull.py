"""Times to an event with Weibull hazards."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betainc, gammainc, psi
from scipy.stats import kstest, norm

from sps_adaptive.models import Weibull
from sps_adaptive.models.hazard_kernels import evaluate
from tests.models.accuracy_of_hazards import case, reference
from tests.models.follow_ups import END, setting, snapshot, weibull_trials

STORED = json.loads((Path(__file__).parent / "data" / "accuracy_weibull.json").read_text())
RNG = np.random.default_rng(8)


def fit(arm, months, event, *, arms=2, better="lower", factors=None, strata=None, **fields):
    model = Weibull(kind="weibull", **fields).bind(setting(arms, better, factors))
    return model.fit(snapshot(arm, months, event, arms, better, strata))


def totals(arm, months, event, arms=2):
    """Events and months by arm."""
    mine = [arm == a for a in range(arms)]
    return (
        np.stack([(each & event).sum(axis=1) for each in mine], axis=1),
        np.stack([(each * months).sum(axis=1) for each in mine], axis=1),
    )


def test_with_shape_one_and_no_covariates_it_is_the_conjugate_exponential_model():
    """Events and months add up; a ratio of gamma variables is a beta variable's odds."""
    arm, months, event = weibull_trials(RNG, 200, 40, np.log([0.1, 0.05]), 1.0)
    prior = {"events": 2, "months": 30}
    found = fit(arm, months, event, shape=1, prior=prior)
    events, time = totals(arm, months, event)
    events, time = events + 2, time + 30
    expected = betainc(events[:, 1], events[:, 0], time[:, 1] / time.sum(axis=1))
    np.testing.assert_allclose(found.prob_better(0)[:, 1], expected, atol=1e-12)
    by = 0.3  # a hazard ratio of exp(-0.3)
    expected = betainc(events[:, 1], events[:, 0], 1 / (1 + np.exp(by) * time[:, 0] / time[:, 1]))
    np.testing.assert_allclose(found.prob_better(0, by)[:, 1], expected, atol=1e-12)
    np.testing.assert_allclose(found.mean(), np.log(time) - psi(events), rtol=1e-12)
    np.testing.assert_allclose(found.prob_above(2.5), gammainc(events, np.exp(-2.5) * time), atol=1e-12)
    assert not found.failed().any()


def test_a_stated_shape_is_the_exponential_model_in_transformed_time():
    """Where T is Weibull with shape k, T^k is exponential."""
    k = 1.7
    arm, months, event = weibull_trials(RNG, 50, 30, np.log([0.1, 0.05]), k)
    found = fit(arm, months, event, shape=k)
    transformed = END * np.exp(k - 1) / k * (months / END) ** k
    events, time = totals(arm, transformed, event)
    expected = betainc(events[:, 1] + 1, events[:, 0] + 1, (time[:, 1] + END) / (time.sum(axis=1) + 2 * END))
    np.testing.assert_allclose(found.prob_better(0)[:, 1], expected, atol=1e-12)


@pytest.mark.parametrize("fields", [{}, {"shape": 1}, {"covariates": ("g",)}])
def test_without_patients_the_prior_answers(fields):
    nobody = np.full((2, 6), -1)
    factors = {"g": {"no": 0.5, "yes": 0.5}}
    found = fit(nobody, np.ones((2, 6)), nobody > 0, strata=np.zeros((2, 6, 1)), factors=factors, **fields)
    np.testing.assert_allclose(found.mean(), np.log(END) - psi(1), atol=1e-9)
    np.testing.assert_allclose(found.prob_better(0)[:, 1], 0.5, atol=1e-9)
    # The ratio of two such hazards is log-logistic.
    np.testing.assert_allclose(found.prob_better(0, np.log(2))[:, 1], 1 / 3, atol=1e-9)
    assert not found.failed().any()


def test_the_default_prior_takes_every_probability_of_an_event_for_equally_likely():
    model = Weibull(kind="weibull", shape=1)
    drawn = model.prior_predictive(setting(), 10_000, RNG)
    assert drawn.shape == (10_000, 2) and kstest(drawn.ravel(), "uniform").pvalue > 1e-4
    spread = Weibull(kind="weibull").prior_predictive(setting(), 10_000, RNG)
    assert abs(spread.mean() - 0.5) < 0.1
    log_hazard = model.prior_means(setting(), 10_000, RNG)
    assert kstest(np.exp(log_hazard[:, 0]) * END, "expon").pvalue > 1e-4
    nobody = np.full((1, 2), -1)
    found = model.bind(setting()).fit(snapshot(nobody, np.ones((1, 2)), nobody > 0))
    for p in (0.1, 0.5, 0.9):
        hazard = -np.log(1 - p) / END
        assert found.prob_above(-np.log(hazard))[0, 0] == pytest.approx(p)


def test_without_events_only_the_time_without_them_tells():
    """Nobody has had an event, and one arm has been followed for ten times as long."""
    arm = np.array([[0, 0, 1, 1]])
    found = fit(arm, np.array([[12.0, 12, 1.2, 1.2]]), arm > 1, shape=1)
    assert found.prob_better(0)[0, 1] == pytest.approx((2.4 + 12) / (2.4 + 24 + 24))
    found = fit(arm, np.array([[12.0, 12, 1.2, 1.2]]), arm > 1)
    assert 0.1 < found.prob_better(0)[0, 1] < 0.5 and not found.failed().any()


def test_an_event_that_helps_turns_the_answers():
    arm, months, event = weibull_trials(RNG, 30, 24, np.log([0.1, 0.05]), 0.7)
    harms, helps = fit(arm, months, event), fit(arm, months, event, better="higher")
    np.testing.assert_allclose(helps.mean(), -harms.mean(), rtol=1e-12)
    np.testing.assert_allclose(helps.prob_better(0)[:, 1], 1 - harms.prob_better(0)[:, 1], atol=1e-12)


def test_everybody_enrolled_counts_for_as_long_as_they_have_been_followed():
    """Whoever dropped out at month 3 tells as much as whoever was enrolled three months ago."""
    arm, event = np.array([[0, 1, 0, 1]]), np.array([[True, False, False, True]])
    seen = snapshot(arm, np.array([[4.0, 3, 12, 7]]), event)
    early = fit(arm, np.array([[4.0, 3, 12, 7]]), event)
    model = Weibull(kind="weibull").bind(setting())
    lost = seen._replace(day=seen.day + 500)  # the days on study are what they were
    np.testing.assert_array_equal(model.fit(lost).prob_better(0), early.prob_better(0))
    longer = fit(arm, np.array([[4.0, 9, 12, 7]]), event)
    assert longer.prob_better(0)[0, 1] > early.prob_better(0)[0, 1]


def test_a_covariate_explains_what_arms_would_otherwise_be_praised_for():
    """All patients at risk are on one arm: given the covariate the arms differ less."""
    strata = np.array([[[1]] * 12 + [[0]] * 12])
    arm = np.array([[0] * 10 + [1] * 2 + [0] * 2 + [1] * 10])
    event = np.array([[True] * 8 + [False] * 2 + [True, False] + [False] * 12])
    months = np.where(event, 4.0, 12.0)
    factors = {"g": {"no": 0.5, "yes": 0.5}}
    crude = fit(arm, months, event, strata=strata, factors=factors).prob_better(0)[0, 1]
    adjusted = fit(arm, months, event, strata=strata, factors=factors, covariates=("g",)).prob_better(0)[0, 1]
    assert 0.5 < adjusted < crude and 1 - adjusted > 10 * (1 - crude)


TURN = np.arange(24)[None]
EXTREMES = {
    "all at once": (TURN % 2, np.zeros((1, 24)), np.ones((1, 24), bool)),
    "all on the last day": (TURN % 2, np.full((1, 24), END), np.ones((1, 24), bool)),
    "nobody": (TURN % 2, np.full((1, 24), END), np.zeros((1, 24), bool)),
    "one arm only": (TURN % 2, np.full((1, 24), 5.0), TURN % 2 == 1),
    "one level only": (TURN // 2 % 2, np.full((1, 24), 5.0), TURN % 2 == 1),
    "an arm without patients": (TURN * 0, np.full((1, 24), 5.0), TURN % 2 == 1),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize(
    "fields",
    [{}, {"covariates": ("g",)}, {"covariates": ("g",), "covariate_sd": 10}, {"shape": {"median": 10, "log_sd": 1}}],
)
def test_extreme_data_get_finite_answers(name, fields):
    arm, months, event = EXTREMES[name]
    factors, strata = {"g": {"no": 0.5, "yes": 0.5}}, (TURN % 2)[..., None]
    found = fit(arm, months, event, strata=strata, factors=factors, **fields)
    answers = [found.mean(), found.sd(), found.prob_better(0), found.interval(0.95), found.difference(0, 0.95)]
    assert all(np.isfinite(answer).all() for answer in answers)
    assert not found.failed().any()


def test_a_fit_that_does_not_come_to_its_end_is_marked():
    """Covariates that are no numbers: the search ends all the same."""
    from sps_adaptive.models.hazard_kernels import place

    rows, nodes = 5, np.array([[-1.0], [0.0], [1.0]])
    log_rate, weight, failed = np.zeros((1, 3, 2)), np.zeros((1, 3)), np.zeros(1, bool)
    place(
        np.array([[0, 1, 0, 1, 0]]), np.zeros((1, rows)), np.zeros((1, rows)), np.ones((1, rows)),
        np.full((1, rows, 1), np.nan), np.array([[4.0, 3.0]]), np.ones(2), False, np.zeros(1), np.ones(1),
        nodes, np.zeros(3), 0, log_rate, weight, failed,
    )  # fmt: skip
    assert failed[0]


def numpy_evaluate(arm, base, tau, events, design, shape, rate, has_power, centre, width, at):
    """The twin of the kernel."""
    linear = design.shape[1]
    score = base + design @ at[:linear]
    value = -0.5 * (((at - centre) / width) ** 2).sum() + (events * (design @ at[:linear])).sum()
    if has_power:
        k = np.exp(at[-1])
        score = score + k * tau - 1 - at[-1]
        value += (events * (k - 1) * tau).sum()
    total = rate + np.array([np.exp(score[arm == a]).sum() for a in range(len(rate))])
    return value - (shape * np.log(total)).sum(), np.log(total)


@pytest.mark.parametrize("has_power", [True, False])
def test_the_kernel_is_its_twin_and_its_derivatives_are_differences(has_power):
    m, linear = 30, 2
    parameters = linear + has_power
    arm = RNG.integers(-1, 3, m)
    data = (
        arm, RNG.normal(size=m), RNG.normal(0.5, 0.5, m), (RNG.random(m) < 0.5).astype(float),
        RNG.normal(size=(m, linear)), np.array([3.0, 5, 4]), np.array([2.0, 3, 1]), has_power,
        RNG.normal(size=parameters), np.full(parameters, 0.7),
    )  # fmt: skip
    data[3][arm < 0] = 0

    def full(at):
        gradient, curvature, rates = np.zeros(parameters), np.zeros((parameters, parameters)), np.zeros(3)
        value = evaluate(*data, at, rates, gradient, curvature, True)
        return value, gradient, curvature, rates

    at = RNG.normal(0, 0.4, parameters)
    value, gradient, curvature, rates = full(at)
    expected, log_rates = numpy_evaluate(*data, at)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(rates, log_rates, rtol=1e-12)
    for p in range(parameters):
        step = np.zeros(parameters)
        step[p] = 1e-5
        up, down = full(at + step), full(at - step)
        assert gradient[p] == pytest.approx((up[0] - down[0]) / 2e-5, rel=1e-6, abs=1e-7)
        np.testing.assert_allclose(curvature[p], -(up[1] - down[1]) / 2e-5, rtol=1e-6, atol=1e-7)


# ------------------------------------------------------------------------------------------------ accuracy


def test_stored_probabilities_near_the_threshold_are_met():
    """Against dense sums over all parameters, computed once; no verdict at 0.975 differs."""
    for one in STORED["cases"]:
        found = case(**one["inputs"])
        expected = np.array(one["reference"])
        np.testing.assert_allclose(found.probability, expected, atol=1e-5 if found.x is not None else 1e-7)
        assert ((found.probability > 0.975) == (expected > 0.975)).all()
    assert sum(len(one["reference"]) for one in STORED["cases"]) >= 300


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_stored_probabilities_are_what_dense_sums_give(number):
    one = STORED["cases"][number]
    found = case(**one["inputs"])
    np.testing.assert_allclose([reference(found, place) for place in (0,)], one["reference"][:1], atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(STORED["cases"])))
def test_many_of_the_stored_probabilities_are_what_dense_sums_give(number):
    one = STORED["cases"][number]
    found = case(**one["inputs"])
    places = range(0, len(one["reference"]), 1 if "covariate" not in one["inputs"] else 4)
    np.testing.assert_allclose(
        [reference(found, place) for place in places], np.array(one["reference"])[list(places)], atol=1e-9
    )


# --------------------------------------------------------------------------------------------- calibration


def calibration(patients, replicates, rng, covariate):
    """Posterior probabilities at the truth, where truths are drawn from the prior: uniform, if all is right."""
    hazard = rng.gamma(1, 1 / END, (replicates, 2))
    shape = np.exp(rng.normal(0, 0.5, replicates))
    level, x, effect = np.zeros((replicates, patients), int), None, 0.0
    if covariate:
        level = (rng.random((replicates, patients)) < 0.4).astype(int)
        x, effect = level - 0.4, rng.normal(size=replicates)
    arm, months, event = weibull_trials(rng, replicates, patients, np.log(hazard), shape, x, effect)
    fields = {"covariates": ("g",)} if covariate else {}
    found = fit(arm, months, event, factors={"g": {"no": 0.6, "yes": 0.4}}, strata=level[..., None], **fields)
    truth = -np.log(hazard)
    arms, gap = found.below(truth), found.difference_below(0, truth - truth[:, [0]])[:, 1]
    return [*arms.T, gap]


@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("patients", [24, 60])
def test_posteriors_are_calibrated_over_the_prior(patients, covariate):
    """Kolmogorov and Smirnov at the level 1e-4, for the arms and their difference."""
    for values in calibration(patients, 1000, np.random.default_rng(patients), covariate):
        assert kstest(values, "uniform").pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("patients", [24, 60])
def test_posteriors_are_calibrated_over_the_prior_at_length(patients, covariate):
    for values in calibration(patients, 5000, np.random.default_rng(100 + patients), covariate):
        assert kstest(values, "uniform").pvalue > 1e-4


# --------------------------------------------------------------------------------------------------- power


@pytest.mark.parametrize("fields", [{}, {"shape": 1}])
def test_power_is_near_schoenfelds(fields):
    """400 patients, about 230 events, hazard ratio 0.7: the prior hardly counts.

    Schoenfeld's formula is first order in the log hazard ratio, and takes events as if they came in equal numbers: its
    error is some 0.01 here. Allowed: 4 Monte Carlo SEs and 0.02.
    """
    ratio, patients, replicates = 0.7, 400, 1500
    rng = np.random.default_rng(5)
    arm, months, event = weibull_trials(rng, replicates, patients, np.log([0.12, 0.12 * ratio]), 1.0)
    power = (fit(arm, months, event, **fields).prob_better(0)[:, 1] > 0.975).mean()
    events = event.sum(axis=1).mean()
    expected = norm.cdf(-np.log(ratio) * np.sqrt(events / 4) - norm.ppf(0.975))
    assert 0.6 < expected < 0.9
    assert abs(power - expected) < 4 * np.sqrt(expected * (1 - expected) / replicates) + 0.02
