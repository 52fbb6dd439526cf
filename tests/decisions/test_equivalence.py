"""Arms that make no difference."""

import numpy as np
import pytest

from sps_adaptive.contracts import Stop
from sps_adaptive.decisions import Equivalence
from sps_adaptive.decisions.rule import Measured
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from tests.contracts.fakes import FakePosterior, a_look

R = 2


def look(beyond, above, **rest):
    """A look that knows P(difference > -0.1) and P(difference > 0.1)."""
    beyond, above = np.atleast_2d(np.array(beyond, float)), np.atleast_2d(np.array(above, float))
    return a_look(FakePosterior(np.ones(beyond.shape), {-0.1: beyond, 0.1: above}), np.ones(beyond.shape, bool), **rest)


def rule(**given):
    return Equivalence(kind="equivalence", margin=0.1, **({"probability": 0.8} | given))


def test_an_arm_whose_difference_is_probably_within_the_margin_closes():
    said = rule().verdict(look([0, 0.95, 0.95, 0.85], [0, 0.1, 0.2, 0.04]))
    assert said.close.tolist() == [[False, True, False, True]]
    assert said.stop.tolist() == [Stop.NO] and not said.claim.any()


def test_at_the_threshold_it_does_not():
    assert not rule(probability=0.85).verdict(look([0, 0.95], [0, 0.1])).close.any()


def test_or_the_trial_stops_when_all_open_arms_are_equivalent():
    said = rule(then="stop").verdict(look([[0, 0.95, 0.95], [0, 0.95, 0.95]], [[0, 0.1, 0.2], [0, 0.1, 0.1]]))
    assert said.stop.tolist() == [Stop.NO, Stop.EQUIVALENCE] and not said.close.any()


@pytest.mark.parametrize("then", ["stop", "close_arm"])
def test_the_final_analysis_does_not_hear_it(then):
    said = rule(then=then).verdict(look([0, 0.95], [0, 0.1], k=3))
    assert said.stop.tolist() == [Stop.NO] and not said.close.any()


def test_against_a_fixed_value():
    posterior = GaussianPosterior(np.array([[0.5, 0.42, 0.2]]), np.full((1, 3), 0.05))
    given = a_look(posterior, np.ones((1, 3), bool))
    assert rule(against=0.4).verdict(given).close.tolist() == [[False, True, False]]
    inside = rule(against=0.4).better(given)
    draws = np.random.default_rng(3).normal(posterior.location, posterior.scale, (200_000, 3))
    observed = (np.abs(draws - 0.4) < 0.1).mean(axis=0)
    np.testing.assert_array_less(
        np.abs(inside[0] - observed), 4 * np.sqrt(inside[0] * (1 - inside[0]) / 200_000) + 1e-9
    )


def test_the_probability_is_that_of_a_difference_within_the_margin():
    posterior = GaussianPosterior(np.array([[0.5, 0.45, 0.62]]), np.array([[0.05, 0.1, 0.08]]))
    given = a_look(posterior, np.ones((1, 3), bool))
    draws = np.random.default_rng(4).normal(posterior.location, posterior.scale, (200_000, 3))
    observed = (np.abs(draws - draws[:, :1]) < 0.1).mean(axis=0)[1:]
    found = rule().better(given)[0, 1:]
    np.testing.assert_array_less(np.abs(found - observed), 4 * np.sqrt(found * (1 - found) / 200_000))


def test_it_tells_itself_in_plain_english():
    measured = Measured("placebo", True, "")
    assert rule().words(measured) == (
        "an arm takes no more patients when it is within 10 percentage points of placebo with probability above 0.8"
    )
    assert rule(then="stop", first_control_only=True, from_look=2).words(measured) == (
        "the trial stops for equivalence when every open arm is within 10 percentage points of placebo with "
        "probability above 0.8, from look 2, as long as placebo is the control"
    )
