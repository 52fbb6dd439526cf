"""Familywise errors against closed forms, multivariate normal probabilities, simulation and another quadrature."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from sps_adaptive.decisions.boundaries import crossing_probabilities, wang_tsiatis_constant
from sps_adaptive.decisions.dunnett import dunnett_constant, familywise_error

UNEVEN = np.array([0.3, 0.42, 1.0])


def given_control(upper, lower, fractions, ratio, path):
    """Return the probability that one arm crosses, given the standardised path of the control."""
    rho = ratio / (1 + ratio)
    shift = np.sqrt(rho / fractions) * path

    def seen(boundary):
        return (boundary - shift) / np.sqrt(1 - rho)

    return crossing_probabilities(seen(upper), seen(lower), fractions).upper.sum()


def over_paths(upper, lower, fractions, arms, ratio, nodes):
    """Return the familywise error as a nested integral over the path of the control: another way to the same number."""
    lower = np.append(lower[:-1], upper[-1])  # who does not cross at the end has failed
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    root = np.linalg.cholesky(np.minimum.outer(fractions, fractions))
    total = 0.0
    for chosen in product(range(nodes), repeat=len(fractions)):
        crosses = given_control(upper, lower, fractions, ratio, root @ x[list(chosen)])
        total += np.prod(weight[list(chosen)]) * (1 - (1 - crosses) ** arms)
    return total / weight.sum() ** len(fractions)


@pytest.mark.parametrize("arms", [1, 2, 3, 4, 7])
def test_at_a_boundary_of_zero_the_control_must_be_the_best(arms):
    assert familywise_error(0, [1], arms) == pytest.approx(1 - 1 / (arms + 1), abs=1e-8)


@pytest.mark.parametrize("looks", [1, 2, 3])
@pytest.mark.parametrize("ratio", [0.5, 1, 2])
def test_one_arm_is_one_comparison(looks, ratio):
    upper, lower = np.array([2.4, 2.2, 2.0])[:looks], np.array([-0.5, 0.3, 1.0])[:looks]
    crossed = crossing_probabilities(upper, np.append(lower[:-1], upper[-1]), UNEVEN[:looks])
    assert familywise_error(upper, UNEVEN[:looks], 1, ratio, lower) == pytest.approx(crossed.upper.sum(), abs=1e-9)
    assert dunnett_constant(0.25, UNEVEN[:looks], 0.05, 1, ratio) == wang_tsiatis_constant(0.25, UNEVEN[:looks], 0.05)


@pytest.mark.parametrize("arms, ratio", [(2, 1), (3, 0.5), (5, 1), (3, 2.5)])
@pytest.mark.parametrize("dropping", [False, True])
def test_two_looks_are_a_nested_integral_over_the_control(arms, ratio, dropping):
    if arms == 5 and not dropping:
        arms = 4  # five arms are too many where none is dropped
    upper, lower = np.array([2.3, 1.9]), np.array([0.9 if dropping else -np.inf, 0.0])
    exact = over_paths(upper, lower, UNEVEN[1:], arms, ratio, 28 if ratio <= 1 else 44)
    assert familywise_error(upper, UNEVEN[1:], arms, ratio, lower) == pytest.approx(exact, abs=2e-8)


@pytest.mark.parametrize("dropping", [False, True])
def test_three_looks_are_a_nested_integral_over_the_control(dropping):
    upper, lower = np.array([2.6, 2.3, 1.9]), np.array([-0.3, 0.2, 0.0]) if dropping else np.full(3, -np.inf)
    exact = over_paths(upper, lower, UNEVEN, 3, 1, 14)
    assert familywise_error(upper, UNEVEN, 3, 1, lower) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("arms, looks, ratio", [(2, 3, 1), (3, 2, 1), (4, 2, 0.5), (2, 2, 3)])
def test_nobody_crosses_with_the_multivariate_normal_probability(arms, looks, ratio):
    fractions, upper = UNEVEN[-looks:], np.array([2.6, 2.3, 1.9])[-looks:]
    rho = ratio / (1 + ratio)
    between = (1 - rho) * np.eye(arms) + rho
    over_time = np.sqrt(np.minimum.outer(fractions, fractions) / np.maximum.outer(fractions, fractions))
    mean, covariance = np.zeros(arms * looks), np.kron(between, over_time)
    # scipy's own answers vary with the seed, and say so how good their mean is.
    answers = [
        multivariate_normal(mean, covariance, maxpts=50_000, abseps=1e-9, releps=0, seed=seed).cdf(np.tile(upper, arms))
        for seed in range(16)
    ]
    nobody = 1 - familywise_error(upper, fractions, arms, ratio)
    assert abs(nobody - np.mean(answers)) < 5 * np.std(answers) / np.sqrt(15) + 1e-9
    assert np.std(answers) < 5e-5


@pytest.mark.parametrize("arms, ratio, dropping", [(2, 1, False), (3, 0.5, True), (3, 1, False)])
def test_errors_are_those_of_simulated_trials(arms, ratio, dropping):
    trials, fractions = 300_000, np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    upper, lower = 2.1 / np.sqrt(fractions), np.array([-0.6, 0.0, 0.3, 0.6, 0.0]) if dropping else np.full(5, -np.inf)
    random = np.random.default_rng(3)
    control = random.standard_normal((trials, 1, 5))
    others = random.standard_normal((trials, arms, 5))
    # Means of a look's patients: the control has one for `ratio` on each arm.
    z = ((others / np.sqrt(ratio) - control) * np.sqrt(0.2)).cumsum(axis=2) / np.sqrt((1 + 1 / ratio) * fractions)
    dropped = (z < lower).cumsum(axis=2)
    dropped_before = np.concatenate([np.zeros((trials, arms, 1)), dropped[..., :-1]], axis=2) > 0
    simulated = ((z > upper) & ~dropped_before).any(axis=(1, 2)).mean()
    exact = familywise_error(upper, fractions, arms, ratio, lower)
    assert abs(simulated - exact) < 4 * np.sqrt(exact * (1 - exact) / trials)


@pytest.mark.parametrize(
    "arms, looks, delta, ratio", [(2, 5, 0, 1), (2, 5, 0.5, 0.5), (2, 12, 0.25, 1), (3, 3, 0, 0.5), (4, 2, 0.5, 1)]
)
def test_a_trial_with_the_constant_errs_as_often_as_asked(arms, looks, delta, ratio):
    fractions = np.arange(1, looks + 1) / looks
    constant = dunnett_constant(delta, fractions, 0.05, arms, ratio)
    assert familywise_error(constant * fractions ** (delta - 0.5), fractions, arms, ratio) == pytest.approx(
        0.05, abs=1e-9
    )
    # Between one comparison, to which the arms come if they move together, and independent arms.
    low, high = (wang_tsiatis_constant(delta, fractions, error) for error in (0.05, 1 - 0.95 ** (1 / arms)))
    assert low < constant < high


def test_without_looks_the_shape_does_not_matter():
    assert dunnett_constant(0, [1], 0.025, 3) == dunnett_constant(0.5, [1], 0.025, 3)


def test_dropping_arms_saves_errors_and_never_dropping_saves_none():
    upper = np.array([2.4, 2.2])
    errors = [familywise_error(upper, [0.5, 1], 3, 1, [low, 0]) for low in (-np.inf, -8, 0, 1, 2.4)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-9)
    assert errors == sorted(errors, reverse=True)
    # With nobody left after the first look it is a trial without looks.
    assert errors[-1] == pytest.approx(familywise_error(2.4, [1], 3), abs=1e-12)


def test_a_look_without_a_boundary_is_no_look():
    with_it = familywise_error([np.inf, 2.2, np.inf, 2.0], [0.2, 0.5, 0.7, 1.0], 2)
    assert with_it == pytest.approx(familywise_error([2.2, 2.0], [0.5, 1.0], 2), abs=1e-9)
    assert familywise_error(np.inf, [0.5, 1.0], 2) == pytest.approx(0, abs=1e-9)


def test_independent_arms_are_the_limit_of_a_large_control():
    independent = 1 - ndtr(2.1) ** 4
    assert familywise_error(2.1, [1], 4, 1e-9) == pytest.approx(independent, abs=1e-9)


@pytest.mark.parametrize("arms, looks, ratio", [(4, 20, 1), (8, 3, 1), (2, 3, 1000)])
def test_sums_that_would_take_too_long_are_refused(arms, looks, ratio):
    with pytest.raises(ValueError, match=f"{arms} arms at {looks} looks takes too long"):
        dunnett_constant(0, np.arange(1, looks + 1) / looks, 0.05, arms, ratio)


@pytest.mark.parametrize("given", [{"arms": 0}, {"ratio": 0}, {"ratio": np.nan}, {"lower": 3}, {"upper": [2, np.nan]}])
def test_what_is_no_trial_is_refused(given):
    with pytest.raises(ValueError, match="at least one arm"):
        familywise_error(**{"upper": 2, "fractions": [0.5, 1], "arms": 2} | given)
