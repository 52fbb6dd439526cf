"""When an outcome is assessed."""

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import Binary
from tests.contracts.fakes import a_cohort


def endpoint(month=6.0, window=0.0, better="higher"):
    return Binary(kind="binary", better=better, assessed_at_month=month, window_months=window)


def test_the_assessment_is_uniform_in_its_window():
    """Kolmogorov-Smirnov at the level 0.001; the seed is fixed."""
    cohort = a_cohort(np.tile(np.arange(1.0, 51), (400, 1)))
    after = (endpoint(6, 0.5).known_at(cohort)[..., 0, 0] - cohort.enrolled_at) / DAYS_PER_MONTH
    assert (after >= 5.5 - 1e-9).all() and (after <= 6.5 + 1e-9).all()
    assert stats.kstest(after.ravel() - 5.5, "uniform").pvalue > 0.001


def test_without_a_window_it_is_on_the_day():
    cohort = a_cohort([[0, 10.5, 400]])
    known_at = endpoint(6).known_at(cohort)
    assert known_at.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(known_at.ravel(), [182.625, 193.125, 582.625], rtol=1e-15)


def test_those_who_leave_before_it_are_never_known_and_those_who_leave_on_the_day_are():
    due = 6 * DAYS_PER_MONTH
    cohort = a_cohort([[0, 0, 0, 0]], dropout_at=[[np.nextafter(due, 0), due, due + 1, np.inf]])
    assert endpoint(6).known_at(cohort).ravel().tolist() == [np.inf, due, due, due]


def test_a_larger_uniform_comes_later():
    u = np.linspace(0, 1 - 2.0**-53, 9)[None]
    known_at = endpoint(6, 2).known_at(a_cohort(np.zeros((1, 9)), u_visit=u)).ravel()
    np.testing.assert_allclose(known_at / DAYS_PER_MONTH, 4 + 4 * u[0])


@pytest.mark.parametrize("month, window, problems", [(6, 6, 0), (6, 0, 0), (0, 0, 0), (6, 6.1, 1), (0, 0.1, 1)])
def test_a_window_that_begins_before_enrolment_is_a_problem(month, window, problems):
    found = endpoint(month, window).problems()
    assert [path for path, _, _ in found] == [("window_months",)] * problems


def test_the_sign_is_that_of_the_good_direction():
    assert endpoint(better="higher").sign == 1 and endpoint(better="lower").sign == -1
