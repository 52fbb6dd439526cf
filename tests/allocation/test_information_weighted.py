"""Weights of information: by hand, with the control matched to the counts, and with small shares set to 0."""

import numpy as np
import pytest

from sps_adaptive.allocation import InformationWeighted
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import FakePosterior, a_look


class Wide(FakePosterior):
    """Posterior standard deviations of 0.1, 0.2 and so on."""

    def sd(self):
        return np.broadcast_to(np.arange(1, self.best.shape[1] + 1) / 10, self.best.shape)


def rule(**given):
    return InformationWeighted(kind="information_weighted", **given)


def probabilities(best, enrolled=None, is_open=None, control=0, **given):
    best = np.array([best], float)
    is_open = np.ones(best.shape, bool) if is_open is None else [is_open]
    enrolled = np.full(best.shape, 9) if enrolled is None else [enrolled]
    return rule(**given).probabilities(a_look(Wide(best), is_open, control=control, arm_enrolled=enrolled))[0]


def shares(weights):
    return np.array(weights) / np.sum(weights)


BEST = [0.2, 0.5, 0.3]


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"variance": False}, BEST),
        ({"variance": False, "gamma": 2}, shares([4, 25, 9])),
        ({"variance": False, "gamma": 0}, [1 / 3] * 3),
        ({}, shares(np.sqrt(BEST) * [1, 2, 3])),
        ({"gamma": 2}, shares(np.array(BEST) * [1, 4, 9])),
        ({"enrolled": [3, 8, 15]}, shares(np.sqrt(BEST) * [1 / 2, 2 / 3, 3 / 4])),
        (
            {"enrolled": [0, 8, 15], "is_open": [False, True, True], "control": 1},
            [0, *shares(np.sqrt([5, 3]) * [2, 2.25])],
        ),
    ],
)
def test_cases_by_hand(given, expected):
    np.testing.assert_allclose(probabilities(BEST, **given), expected, atol=1e-12)


@pytest.mark.parametrize(
    "enrolled, control",
    [
        ([9, 9, 9], 0.5),  # the sum of the others' weights is more than the largest of them
        ([39, 9, 9], 0.2),  # 0.5 * 10 / 40 + 0.3 * 10 / 40
        ([39, 19, 9], 0.325),
    ],
)
def test_the_control_is_kept_as_large_as_the_others(enrolled, control):
    found = probabilities(BEST, enrolled, variance=False, control_share="matched")
    np.testing.assert_allclose(found, shares([control, 0.5, 0.3]), atol=1e-12)


def test_a_control_that_is_alone_gets_everything():
    found = probabilities([1, 0, 0], is_open=[True, False, False], control_share="matched")
    np.testing.assert_allclose(found, [1, 0, 0], atol=1e-15)


@pytest.mark.parametrize(
    "best, given, expected",
    [
        # 0.06 is zeroed; the rest is scaled up, which lifts 0.09 to 0.0957: still below.
        ([0.4, 0.45, 0.06, 0.09], {"zero_out": 0.1}, [0.4 / 0.85, 0.45 / 0.85, 0, 0]),
        # one arm at a time: without 0.09, 0.095 is 0.1044 and stays.
        ([0.4, 0.415, 0.09, 0.095], {"zero_out": 0.1}, [0.4 / 0.91, 0.415 / 0.91, 0, 0.095 / 0.91]),
        # equal ones together
        ([0.4, 0.42, 0.09, 0.09], {"zero_out": 0.1}, [0.4 / 0.82, 0.42 / 0.82, 0, 0]),
        # the control stays, and so does the largest of the others
        ([0.05, 0.9, 0.03, 0.02], {"zero_out": 0.1}, [0.05 / 0.95, 0.9 / 0.95, 0, 0]),
        ([0.94, 0.03, 0.02, 0.01], {"zero_out": 0.1}, [0.94 / 0.97, 0.03 / 0.97, 0, 0]),
        # a share of the control's own counts beside them: 0.5 * 0.15 is small
        ([0, 0.6, 0.25, 0.15], {"zero_out": 0.1, "control_share": 0.5}, [0.5, 0.5 * 60 / 85, 0.5 * 25 / 85, 0]),
    ],
)
def test_small_shares_are_zeroed_one_arm_at_a_time(best, given, expected):
    found = probabilities(best, variance=False, **given)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found[np.array(expected) == 0] == 0).all()


def test_an_arm_in_its_burn_in_is_not_zeroed():
    found = probabilities([0.4, 0.45, 0.06, 0.09], [20, 20, 20, 3], variance=False, zero_out=0.1, burn_in_per_arm=5)
    # Three arms take patients: the young one gets a third.
    np.testing.assert_allclose(found, [2 / 3 * 40 / 85, 2 / 3 * 45 / 85, 0, 1 / 3], atol=1e-12)


def test_enrolled_patients_matter_where_they_are_asked_for():
    assert rule().counts_enrolled and rule(variance=False, control_share="matched").counts_enrolled
    assert rule(variance=False, burn_in_per_arm=3).counts_enrolled
    assert not rule(variance=False).counts_enrolled


def test_shares_that_contradict_each_other_are_problems():
    assert paths(rule(zero_out=0.34).problems(setting(3))) == [("zero_out",)]
    assert paths(rule(zero_out=0.31, control_share=0.4).problems(setting(3))) == [("zero_out",)]
    assert paths(rule(zero_out=0.1, floor=0.1).problems(setting(3))) == [("zero_out",)]
    assert rule(zero_out=0.3, control_share=0.4).problems(setting(3)) == []


def test_the_unit_of_the_endpoint_does_not_matter():
    class Scaled(Wide):
        def sd(self):
            return 1e200 * super().sd()

    best, is_open, given = np.array([BEST]), np.ones((1, 3), bool), {"arm_enrolled": [[4, 5, 6]]}
    one, other = (rule().probabilities(a_look(kind(best), is_open, **given)) for kind in (Wide, Scaled))
    np.testing.assert_allclose(other, one, rtol=1e-12)
