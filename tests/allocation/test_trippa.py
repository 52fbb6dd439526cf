"""Trippa's rule: by hand, with the control behind and ahead, and its ends."""

from math import exp

import numpy as np
import pytest

from sps_adaptive.allocation import Trippa
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import look_at_better


def rule(**given):
    return Trippa(kind="trippa", **given)


def probabilities(better, enrolled, patients, is_open=None, **given):
    return rule(**given).probabilities(
        look_at_better(
            better, is_open=is_open, patients=patients, n_enrolled=sum(enrolled), arm_enrolled=[enrolled]
        )
    )[0]  # fmt: skip


def shares(weights):
    return np.array(weights) / np.sum(weights)


DESIGN = {"gamma": 3, "eta": 1.4, "nu": 0.1, "nu_grows": False}
"""As in the vignette of BATSS (Couturier and others), with 60 of at most 216 patients."""


def test_arms_that_are_all_alike_get_the_same():
    found = probabilities([0, *[0.5] * 5], [10] * 6, 216, **DESIGN)
    np.testing.assert_allclose(found, [1 / 6] * 6, atol=1e-14)


def test_an_arm_that_is_ahead():
    power = 3 * (60 / 216) ** 1.4
    weights = np.array([*[0.5] * 4, 0.6]) ** power
    found = probabilities([0, *[0.5] * 4, 0.6], [10] * 6, 216, **DESIGN)
    np.testing.assert_allclose(found, shares([1 / 5, *weights / weights.sum()]), atol=1e-14)


@pytest.mark.parametrize("behind", [7, 0, -7])
@pytest.mark.parametrize("nu_grows", [True, False])
def test_the_control_follows_the_largest_arm(behind, nu_grows):
    enrolled = [20 - behind, 20, 10]
    fraction = sum(enrolled) / 100
    nu = 0.25 * fraction if nu_grows else 0.25
    found = probabilities([0, 0.9, 0.3], enrolled, 100, gamma=2, eta=1, nu_grows=nu_grows)
    weights = np.array([0.9, 0.3]) ** (2 * fraction)
    np.testing.assert_allclose(found, shares([exp(nu * behind) / 2, *weights / weights.sum()]), atol=1e-14)


def test_closed_arms_are_neither_followed_nor_counted():
    found = probabilities([0, 0.9, 0.3], [10, 40, 10], 100, [[True, False, True]], nu_grows=False)
    np.testing.assert_allclose(found, [0.5, 0, 0.5], atol=1e-14)
    alone = probabilities([0, 0.9, 0.3], [10, 40, 10], 100, [[True, False, False]])
    np.testing.assert_allclose(alone, [1, 0, 0], atol=1e-14)


def test_nothing_overflows_or_vanishes():
    found = probabilities([0, 1e-320, 0, 1e-200], [0, 900, 50, 50], 1000, gamma=100, nu=10)
    np.testing.assert_allclose(found, [1, 0, 0, 0], atol=2e-12)
    found = probabilities([0, 1e-10, 1e-10, 1e-12], [25, 25, 25, 25], 100, gamma=50, eta=0)
    np.testing.assert_allclose(found, shares([1 / 3, 1 / 2, 1 / 2, 0]), atol=1e-12)


def test_what_it_depends_on():
    assert rule().counts_enrolled and not rule(nu=0).counts_enrolled
    assert rule().bound_to_size() == "trippa's exponents"
    assert rule(eta=0, nu_grows=False).bound_to_size() is None
    assert paths(rule(control_share=0.3).problems(setting())) == [("control_share",)]
