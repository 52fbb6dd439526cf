"""Top-two Thompson sampling: by hand, by enumeration of its two draws, and at the edge."""

from itertools import product

import numpy as np
import pytest

from sps_adaptive.allocation import Thompson, TopTwo
from tests.contracts.fakes import look_at_best


def probabilities(best, beta=0.5, **given):
    rule = TopTwo(kind="top_two", beta=beta, **given)
    return rule.probabilities(look_at_best(best))[0]


def by_drawing(best, beta):
    """The first arm is drawn; with probability 1 - beta draws go on until another comes."""
    arms = range(len(best))
    found = np.zeros(len(best))
    for first, second in product(arms, arms):
        if first == second:
            found[first] += beta * best[first]
        else:
            found[second] += (1 - beta) * best[first] * best[second] / (1 - best[first])
    return found


@pytest.mark.parametrize("best", [[0.1, 0.7, 0.2], [1 / 3] * 3, [0.25, 0.75], [0.05, 0.6, 0.3, 0.05]])
@pytest.mark.parametrize("beta", [0.3, 0.5, 1])
def test_it_is_what_two_draws_give(best, beta):
    np.testing.assert_allclose(probabilities(best, beta), by_drawing(best, beta), atol=5e-12)


def test_two_arms_by_hand():
    # Whichever is drawn first, the other is the second: each gets 1/2 p + 1/2 (1 - p) = 1/2.
    np.testing.assert_allclose(probabilities([0.9, 0.1]), [0.5, 0.5], atol=1e-11)


def test_all_draws_taken_is_thompson_sampling():
    look = look_at_best([[0.1, 0.7, 0.2]])
    thompson = Thompson(kind="thompson", power=1).probabilities(look)
    np.testing.assert_allclose(TopTwo(kind="top_two", beta=1).probabilities(look), thompson, atol=1e-14)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9])
def test_the_favourite_gets_beta_and_the_others_share_as_they_stand(small):
    """As P(best) goes to 1: 0.6 for the favourite, 3/4 and 1/4 of the rest for rivals of which one is three times as
    likely as the other."""
    found = probabilities([1 - 4 * small, 3 * small, small], 0.6)
    np.testing.assert_allclose(found, [0.6, 0.3, 0.1], atol=10 * small + 1e-3 * (small < 1e-8))


@pytest.mark.parametrize("rest", [0.0, 1e-16, 1e-300])
def test_rivals_beyond_the_accuracy_of_the_posterior_are_equal(rest):
    np.testing.assert_allclose(probabilities([1.0, rest, 0.0]), [0.5, 0.25, 0.25], atol=1e-3)


def test_bounds_and_the_control_are_those_of_every_rule():
    np.testing.assert_allclose(probabilities([0.0, 1.0, 0.0], floor=0.3), [0.3, 0.4, 0.3], atol=1e-12)
    found = probabilities([0.0, 0.8, 0.2], control_share=0.4)
    np.testing.assert_allclose(found, [0.4, 0.3, 0.3], atol=1e-9)
