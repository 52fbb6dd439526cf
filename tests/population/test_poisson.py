"""One Poisson process with a ramp-up."""

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.population import Poisson

REPLICATES, PATIENTS = 4000, 120


def expected_by(rate, ramp, month):
    if month < ramp:
        return rate * month**2 / (2 * ramp)
    return rate * (month - ramp / 2)


def poisson(rate, ramp=0.0):
    return Poisson(kind="poisson", patients_per_month=rate, ramp_up_months=ramp)


def enrolled(kind, replicates=REPLICATES, patients=PATIENTS):
    return kind.enrol(20_261_122, 0, replicates, patients)[0] / DAYS_PER_MONTH


@pytest.mark.parametrize("rate, ramp", [(1.25, 0), (1.25, 6), (3, 12), (0.8, 60)])
@pytest.mark.parametrize("month", [3.0, 6.0, 11.0, 24.0])
def test_counts_are_poisson_with_the_integrated_rate(rate, ramp, month):
    """Mean and variance equal to the integral, within 4 SEs: sqrt(m / R) and sqrt((m + 2 m^2) / R)."""
    when, m = enrolled(poisson(rate, ramp)), expected_by(rate, ramp, month)
    count = (when <= month).sum(axis=1)
    assert count.max() < PATIENTS
    assert abs(count.mean() - m) <= 4 * np.sqrt(m / REPLICATES)
    assert abs(count.var(ddof=1) - m) <= 4 * np.sqrt((m + 2 * m**2) / REPLICATES)


def test_counts_of_months_apart_are_unrelated():
    when = enrolled(poisson(1.25, 6))
    first, second = (when <= 8).sum(axis=1), ((when > 8) & (when <= 20)).sum(axis=1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(REPLICATES)


def test_gaps_are_exponential():
    """Kolmogorov-Smirnov at the level 0.001; the seed is fixed."""
    gaps = np.diff(enrolled(poisson(2.5), 1000, 60), axis=1, prepend=0)
    assert stats.kstest(gaps.ravel() * 2.5, "expon").pvalue > 0.001


@pytest.mark.parametrize("ramp", [0, 6, 600])
def test_days_do_not_decrease_and_there_is_one_site(ramp):
    day, site = poisson(1.25, min(ramp, 240)).enrol(1, 0, 500, 60)
    assert (np.diff(day, axis=1) >= 0).all() and (day >= 0).all()
    assert site.shape == day.shape and site.dtype == np.int64 and not site.any()


@pytest.mark.parametrize("rate, ramp", [(1.25, 0), (1.25, 6), (3, 12), (0.8, 60)])
@pytest.mark.parametrize("patients", [1, 20, 60])
def test_expected_months_is_when_that_many_are_expected(rate, ramp, patients):
    assert expected_by(rate, ramp, poisson(rate, ramp).expected_months(patients)) == pytest.approx(patients)


def test_a_slower_ramp_never_brings_anybody_sooner():
    assert (enrolled(poisson(1.25, 12), 200, 40) >= enrolled(poisson(1.25, 6), 200, 40)).all()
    assert (enrolled(poisson(1.25, 6), 200, 40) >= enrolled(poisson(1.25), 200, 40)).all()
    # At full speed half the ramp has been lost.
    late = enrolled(poisson(1.25, 6), 200, 40) - enrolled(poisson(1.25), 200, 40)
    np.testing.assert_allclose(late[:, -1], 3, atol=1e-9)
