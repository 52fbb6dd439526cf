"""The randomised play-the-winner rule: the urn ball by ball, expectations, limits, and a trial of history."""

from math import prod

import numpy as np
import pytest

from sps_adaptive.allocation import PlayTheWinner
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import a_look
from tests.exact.helpers import exact, scenario


def rule(**given):
    return PlayTheWinner(kind="play_the_winner", **given)


def probabilities(known, successes, is_open=None, **given):
    known, successes = np.array([known]), np.array([successes])
    posterior = BetaPosterior.from_counts(((1, 1),) * known.shape[1], known, successes, 40)
    is_open = np.ones(known.shape, bool) if is_open is None else [is_open]
    return rule(**given).probabilities(a_look(posterior, is_open))[0]


@pytest.mark.parametrize(
    "known, successes, given, expected",
    [
        ([0, 0], [0, 0], {}, [1 / 2, 1 / 2]),
        ([1, 0], [1, 0], {}, [2 / 3, 1 / 3]),
        ([1, 0], [0, 0], {}, [1 / 3, 2 / 3]),
        ([5, 3], [3, 1], {"balls": 2, "added": 3}, [(2 + 3 * 5) / 28, (2 + 3 * 3) / 28]),
        ([4, 2, 2], [1, 2, 0], {}, [3 / 11, 5.5 / 11, 2.5 / 11]),  # failures 3, 0, 2
        ([4, 2, 2], [1, 2, 0], {"is_open": [True, True, False]}, [3 / 8.5, 5.5 / 8.5, 0]),
    ],
)
def test_cases_by_hand(known, successes, given, expected):
    np.testing.assert_allclose(probabilities(known, successes, **given), expected, atol=1e-14)


def test_the_first_ecmo_trial():
    """ECMO lives, control dies, then ten times ECMO lives: what the urn said, and how likely the sequence was."""
    chances, n = [], [0, 0]
    survivors = 0
    for arm in [1, 0, *[1] * 10]:
        chances.append(probabilities(n, [0, survivors])[arm])
        n[arm] += 1
        survivors += arm == 1
    np.testing.assert_allclose(chances, [1 / 2, 1 / 3, *[k / (k + 1) for k in range(3, 13)]], atol=1e-14)
    assert prod(chances) == pytest.approx(1 / 2 * 1 / 3 * 3 / 13)
    assert n == [1, 11]


# ------------------------------------------------------------------------------------------- by the exact engine


def case(rates, patients, **given):
    allocation = {"kind": "play_the_winner", "realisation": "independent", **given}
    return scenario(patients, rates, {"kind": "enrolled", "first": 1, "every": 1}, allocation)


def ball_by_ball(rates, patients, urn, beta):
    """Expected number, and its square, on each arm: every path of draws and outcomes, with an urn that is filled."""
    arms = len(rates)
    found = np.zeros((2, arms))

    def go(balls, n, probability):
        if sum(n) == patients:
            found[0] += probability * np.array(n)
            found[1] += probability * np.array(n) ** 2
            return
        for arm in range(arms):
            drawn = probability * balls[arm] / sum(balls)
            after = [count + (a == arm) for a, count in enumerate(n)]
            won = [held + beta * (a == arm) for a, held in enumerate(balls)]
            lost = [held + beta / (arms - 1) * (a != arm) for a, held in enumerate(balls)]
            go(won, after, drawn * rates[arm])
            go(lost, after, drawn * (1 - rates[arm]))

    go([urn] * arms, [0] * arms, 1.0)
    return found


@pytest.mark.parametrize(
    "rates, patients, urn, beta",
    [((0.3, 0.8), 7, 1, 1), ((0.3, 0.8), 6, 0.5, 2), ((0.2, 0.5, 0.9), 5, 1, 1), ((0.6, 0.1, 0.4, 0.7), 4, 2, 3)],
)
def test_small_trials_ball_by_ball(rates, patients, urn, beta):
    found, expected = exact(case(rates, patients, balls=urn, added=beta)), ball_by_ball(rates, patients, urn, beta)
    np.testing.assert_allclose(found["enrolled"], expected[0], atol=1e-12)
    np.testing.assert_allclose(found["enrolled squared"], expected[1], atol=1e-11)


def expected_on_first(rates, patients, urn=1.0, beta=1.0):
    """Wei and Durham (1978): given the number on each arm so far, the expected next draw is linear in it."""
    (success, _), failure, on_first = rates, 1 - np.array(rates), 0.0
    for n in range(patients):
        on_first += (urn + beta * (success * on_first + failure[1] * (n - on_first))) / (2 * urn + beta * n)
    return on_first


@pytest.mark.parametrize("rates", [(0.3, 0.8), (0.5, 0.5), (0.1, 0.2)])
def test_the_expected_number_follows_a_recursion(rates):
    found = exact(case(rates, 30))["enrolled"]
    np.testing.assert_allclose(found, [expected_on_first(rates, 30), 30 - expected_on_first(rates, 30)], atol=1e-11)


@pytest.mark.parametrize("rates", [(0.3, 0.8), (0.1, 0.2), (0.7, 0.65)])
def test_the_limit_is_the_other_arms_share_of_failures(rates):
    """q_B / (q_A + q_B). With p_A + p_B below 3/2 the distance falls like 1 / sqrt(n) at least."""
    limit = (1 - rates[1]) / (2 - sum(rates))
    distances = [abs(expected_on_first(rates, n) / n - limit) for n in (30, 1000, 100_000)]
    assert distances[2] < distances[1] < distances[0] and distances[2] < 1e-3
    # The probabilities themselves: at counts that are in balance with the limit they are the limit.
    n = np.array([[limit, 1 - limit]]) * 1e6
    posterior = BetaPosterior(((1.0, 1.0),) * 2, n, n * np.array(rates), 10**6)
    found = rule().probabilities(a_look(posterior, [[True, True]]))[0, 0]
    assert found == pytest.approx(limit, abs=1e-6)


def test_it_is_for_yes_or_no():
    assert paths(rule().problems(setting(is_binary=False))) == [("kind",)]
    assert not rule().counts_enrolled
