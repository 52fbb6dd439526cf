"""The mass-weighted urn: its law by enumeration, its memory, and how nearly it preserves a ratio."""

from functools import cache

import numpy as np
import pytest

from sps_adaptive.realisation import Urn
from tests.realisation.helpers import counts, dealt, patients

UNEQUAL = (0.2, 0.27, 0.53)


def urn(mass=4.0):
    return Urn(kind="urn", mass=mass)


@cache
def law(pi, number, mass):
    """The probability of each possible number on the arms, and each patient's mean probabilities: no simulation."""
    states, means = {(0,) * len(pi): 1.0}, []
    for patient in range(number):
        after, mean = {}, np.zeros(len(pi))
        for state, probability in states.items():
            masses = [max((mass + patient) * p - n, 0.0) for p, n in zip(pi, state, strict=True)]
            for arm, each in enumerate(masses):
                if each > 1e-9:
                    share = probability * each / sum(masses)
                    mean[arm] += share
                    key = (*state[:arm], state[arm] + 1, *state[arm + 1 :])
                    after[key] = after.get(key, 0.0) + share
        states = after
        means.append(mean)
    return states, np.array(means)


def deviation(pi, number, mass):
    """Expected largest deviation of the numbers on the arms from their targets."""
    return sum(
        p * max(abs(n - number * q) for n, q in zip(state, pi, strict=True))
        for state, p in law(pi, number, mass)[0].items()
    )


@pytest.mark.parametrize(
    "mass, expected", [(2, 0.6394), (3, 0.7182), (4, 0.8091), (5, 0.8939), (8, 1.1035), (1e9, 2.6441)]
)
def test_the_larger_the_mass_the_further_the_numbers_stray(mass, expected):
    """Found by enumeration; an enormous urn is independent draws, whose expectation is that of the multinomial law."""
    assert deviation(UNEQUAL, 24, mass) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("mass", [1, 2.5, 4, 8])
@pytest.mark.parametrize("pi", [UNEQUAL, (0.5, 0.5), (0.1, 0.9)])
def test_lists_follow_the_law(pi, mass):
    replicates, number = 40_000, 24
    found = counts(dealt(urn(mass), patients(replicates, number), pi), len(pi))
    exact = law(pi, number, mass)[0]
    seen = {}
    for row in map(tuple, found.tolist()):
        seen[row] = seen.get(row, 0) + 1
    assert set(seen) <= set(exact)
    for state, p in exact.items():
        error = np.sqrt(p * (1 - p) / replicates)
        assert abs(seen.get(state, 0) / replicates - p) < 5 * error + 1 / replicates  # some hundred states


def test_a_ratio_is_exact_on_average_where_it_is_equal_and_nearly_elsewhere():
    """Zhao's design preserves a ratio only until a mass would be below 0: small arms then get a little more."""
    for arms in (2, 3, 4):
        np.testing.assert_allclose(law((1 / arms,) * arms, 12, 2)[1], 1 / arms, atol=1e-12)
    expected = {2: 0.1613, 4: 0.0856}
    for mass, gain in expected.items():
        mean = law((0.1, 0.9), 24, mass)[1]
        assert mean[:, 0].sum() - 2.4 == pytest.approx(gain, abs=5e-5)
        assert np.abs(mean - (0.1, 0.9)).max() < 0.07
    assert np.abs(law((0.1, 0.9), 24, 4)[1] - (0.1, 0.9)).max() < 0.02


def test_until_a_mass_is_below_nothing_every_patient_has_the_ratio():
    mean = law((0.4, 0.6), 24, 4)[1]
    assert np.abs(mean[:2] - (0.4, 0.6)).max() < 1e-12


def test_what_was_owed_before_a_look_is_paid_after_it():
    """Lists cut every three patients stay as close to the sum of their targets as one list does; quotas do not."""
    replicates, number = 4000, 48
    cohort, rng = patients(replicates, number), np.random.default_rng(3)
    arm, promised = np.zeros((replicates, number), np.int8), np.zeros((replicates, 3))
    forgetful = arm.copy()
    for start in range(0, number, 3):
        pi = rng.dirichlet((3, 3, 3), replicates)
        owed = promised - counts(arm[:, :start], 3)
        arm = dealt(urn(3), cohort, pi, start, arm, owed)
        forgetful = dealt(urn(3), cohort, pi, start, forgetful)
        promised = promised + 3 * pi
    np.testing.assert_allclose(promised.sum(axis=1), number)
    remembered = np.abs(counts(arm, 3) - promised).max(axis=1)
    forgotten = np.abs(counts(forgetful, 3) - promised).max(axis=1)
    assert remembered.mean() < 1.0 < 2.0 < forgotten.mean()
    assert remembered.max() < 4


def test_the_stock_follows_new_probabilities_at_once():
    """With nothing owed, the first patient after a look has today's probabilities and not those of the opening."""
    replicates = 40_000
    arm = dealt(urn(4), patients(replicates, 2), (0.1, 0.9), 1, np.ones((replicates, 2), np.int8))
    assert abs((arm[:, 1] == 0).mean() - 0.1) < 4 * np.sqrt(0.09 / replicates)


def test_a_closed_arm_gets_nobody_whatever_it_is_owed():
    arm = dealt(urn(2), patients(500, 30), (0.0, 0.4, 0.6), owed=(5.0, -3.0, -2.0))
    assert (arm > 0).all()


def test_where_every_open_arm_has_had_more_than_its_due_the_probabilities_decide():
    arm = dealt(urn(1), patients(20_000, 1), (0.25, 0.75, 0.0), owed=(-3.0, -3.0, 6.0))
    assert abs((arm[:, 0] == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 20_000)


def test_words_tell_the_mass():
    assert "mass-weighted urn of 4 patients" in urn().words(6)
