"""True values that may change while the trial enrols."""

import numpy as np
import pytest

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints.course import by_arm, numbers, values

MONTHS = np.array([[0.0, 6, 12, 18, 24, 100]])


def at(course):
    return values(course, MONTHS * DAYS_PER_MONTH)


def test_linear_between_the_months_and_constant_outside():
    np.testing.assert_allclose(at({6: 0.4, 18: 0.1}), [[0.4, 0.4, 0.25, 0.1, 0.1, 0.1]])
    np.testing.assert_allclose(at({0: 0.0, 6: 0.6, 24: 0.0}), [[0, 0.6, 0.4, 0.2, 0, 0]])


def test_the_order_of_the_months_in_the_file_does_not_matter():
    np.testing.assert_array_equal(at({18: 0.1, 6: 0.4}), at({6: 0.4, 18: 0.1}))


def test_a_single_month_is_one_number():
    np.testing.assert_array_equal(at({12: 0.3}), np.full((1, 6), 0.3))
    assert values(0.3, MONTHS).shape == () and values(0.3, MONTHS) == 0.3


def test_arms_that_never_change_need_no_axis_of_patients():
    assert by_arm([0.1, 0.2], MONTHS).tolist() == [[[0.1, 0.2]]]
    mixed = by_arm([0.1, {0: 0.0, 24: 0.24}], MONTHS * DAYS_PER_MONTH)
    assert mixed.shape == (1, 6, 2)
    np.testing.assert_allclose(mixed[0, :, 0], 0.1)
    np.testing.assert_allclose(mixed[0, :, 1], [0, 0.06, 0.12, 0.18, 0.24, 0.24])


@pytest.mark.parametrize("course, stated", [(0.3, [0.3]), ({0: 0.4, 6: 0.1}, [0.4, 0.1])])
def test_every_stated_number_is_told(course, stated):
    assert numbers(course) == stated
