"""Accrual like clockwork."""

import numpy as np
import pytest

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.population import Steady


@pytest.mark.parametrize("rate", [0.25, 1.0, 12.0])
def test_patients_come_at_equal_intervals_the_first_after_one_of_them(rate):
    steady = Steady(kind="steady", patients_per_month=rate)
    day, site = steady.enrol(1, 0, 3, 24)
    np.testing.assert_allclose(day, np.tile(np.arange(1, 25) * DAYS_PER_MONTH / rate, (3, 1)), rtol=1e-14)
    assert not site.any() and site.dtype == np.int64
    assert steady.expected_months(24) == pytest.approx(24 / rate)
    assert day[0, -1] / DAYS_PER_MONTH == pytest.approx(steady.expected_months(24))


def test_chance_has_no_part():
    steady = Steady(kind="steady", patients_per_month=2)
    np.testing.assert_array_equal(steady.enrol(1, 0, 2, 5)[0], steady.enrol(99, 7, 2, 5)[0])
