"""Sites that open one after another: the counts of the exact Poisson process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.population import Poisson, Sites

REPLICATES, PATIENTS = 4000, 120
SETTINGS = {
    "one": Sites(kind="sites", sites=1, patients_per_site_month=1.3),
    "all at once": Sites(kind="sites", sites=5, patients_per_site_month=0.3),
    "one by one": Sites(kind="sites", sites=10, one_opens_every_months=1.5, patients_per_site_month=0.12),
    "rates": Sites(kind="sites", sites=3, one_opens_every_months=4, patients_per_site_month=[0.1, 0.9, 0.4]),
    "openings, out of order": Sites(
        kind="sites", sites=4, opens_at_months=[6, 0, 12, 6], patients_per_site_month=[0.2, 0.3, 0.8, 0.1]
    ),
    "a late start": Sites(kind="sites", sites=2, opens_at_months=[3, 8], patients_per_site_month=0.5),
}
every_setting = pytest.mark.parametrize("sites", SETTINGS.values(), ids=SETTINGS)


def enrolled(sites, replicates=REPLICATES, patients=PATIENTS):
    day, site = sites.enrol(20_261_122, 0, replicates, patients)
    return day / DAYS_PER_MONTH, site


def expected_by(sites, month):
    """Patients of each site expected by a month: rate x time since its opening."""
    opened = np.array(sites.opens_at_months or np.arange(sites.sites) * sites.one_opens_every_months)
    return np.broadcast_to(sites.patients_per_site_month, (sites.sites,)) * np.maximum(month - opened, 0)


def rates(sites):
    return np.broadcast_to(sites.patients_per_site_month, (sites.sites,))


def openings(sites):
    return np.array(sites.opens_at_months or np.arange(sites.sites) * sites.one_opens_every_months)


@every_setting
def test_enrolment_days_do_not_decrease(sites):
    assert (np.diff(enrolled(sites)[0], axis=1) >= 0).all()


@every_setting
@pytest.mark.parametrize("month", [2.0, 7.0, 13.0, 24.0])
def test_counts_are_poisson_with_the_integrated_rate(sites, month):
    """Mean and variance equal to the integral, within 4 SEs: sqrt(m / R) and sqrt((m + 2 m^2) / R)."""
    when, _ = enrolled(sites)
    m = expected_by(sites, month).sum()
    count = (when <= month).sum(axis=1)
    assert count.max() < PATIENTS  # nobody was cut off
    assert abs(count.mean() - m) <= 4 * np.sqrt(m / REPLICATES)
    assert abs(count.var(ddof=1) - m) <= 4 * np.sqrt((m + 2 * m**2) / REPLICATES)


@every_setting
def test_time_measured_by_the_integrated_rate_has_exponential_gaps(sites):
    """Kolmogorov-Smirnov at the level 0.001; the seed is fixed."""
    when, _ = enrolled(sites, 1000, 60)
    reached = (rates(sites) * np.maximum(when[..., None] - openings(sites), 0)).sum(axis=2)
    gaps = np.diff(reached, axis=1, prepend=0)
    assert stats.kstest(gaps.ravel(), "expon").pvalue > 0.001
    # and has no memory: 4 SEs of a correlation
    assert abs(np.corrcoef(gaps[:, :-1].ravel(), gaps[:, 1:].ravel())[0, 1]) < 4 / np.sqrt(gaps[:, 1:].size)


@every_setting
def test_sites_enrol_only_after_they_open(sites):
    when, site = enrolled(sites)
    assert site.min() >= 0 and site.max() < sites.sites
    assert (when >= openings(sites)[site] - 1e-9).all()


@every_setting
def test_each_site_is_a_poisson_process_of_its_own(sites):
    """Counts by site at month 20: mean and variance within 4 SEs, and no correlation between sites."""
    when, site = enrolled(sites)
    count = np.stack([((site == s) & (when <= 20)).sum(axis=1) for s in range(sites.sites)])
    m = expected_by(sites, 20.0)
    assert (abs(count.mean(axis=1) - m) <= 4 * np.sqrt(m / REPLICATES)).all()
    assert (abs(count.var(axis=1, ddof=1) - m) <= 4 * np.sqrt((m + 2 * m**2) / REPLICATES)).all()
    open_by_then = m > 0
    if open_by_then.sum() > 1:
        related = np.corrcoef(count[open_by_then])
        assert (abs(related - np.eye(len(related))) < 4 / np.sqrt(REPLICATES) + 1e-12).all()


def test_patients_choose_among_open_sites_by_their_rates():
    sites = SETTINGS["openings, out of order"]
    when, site = enrolled(sites)
    early = site[when < 6]
    assert (early == 1).all()
    middle = site[(when >= 6) & (when < 12)]
    share = np.bincount(middle, minlength=4) / len(middle)
    expected = np.array([0.2, 0.3, 0, 0.1]) / 0.6
    assert (abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / len(middle))).all()


@pytest.mark.parametrize("rate", [0.12, 1.0, 37.5])
def test_one_site_is_the_poisson_kind_to_the_last_bit(rate):
    one = Sites(kind="sites", sites=1, patients_per_site_month=rate).enrol(3, 1, 40, 25)
    other = Poisson(kind="poisson", patients_per_month=rate).enrol(3, 1, 40, 25)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_a_list_of_equal_numbers_is_the_number_and_listed_openings_are_the_series():
    short = Sites(kind="sites", sites=3, one_opens_every_months=2, patients_per_site_month=0.5)
    long = Sites(kind="sites", sites=3, opens_at_months=[0, 2, 4], patients_per_site_month=[0.5, 0.5, 0.5])
    for one, other in zip(short.enrol(1, 0, 20, 30), long.enrol(1, 0, 20, 30), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_order_in_which_sites_are_listed_only_renames_them():
    listed = Sites(kind="sites", sites=3, opens_at_months=[8, 0, 3], patients_per_site_month=[0.5, 0.2, 0.7])
    ordered = Sites(kind="sites", sites=3, opens_at_months=[0, 3, 8], patients_per_site_month=[0.2, 0.7, 0.5])
    day, site = listed.enrol(1, 0, 50, 40)
    day_in_order, site_in_order = ordered.enrol(1, 0, 50, 40)
    np.testing.assert_array_equal(day, day_in_order)
    np.testing.assert_array_equal(site, np.array([1, 2, 0])[site_in_order])


@every_setting
@pytest.mark.parametrize("patients", [1, 8, 72])
def test_expected_months_is_when_that_many_are_expected(sites, patients):
    assert expected_by(sites, sites.expected_months(patients)).sum() == pytest.approx(patients)


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.01, 5)), min_size=1, max_size=6),
    st.integers(1, 60),
    st.integers(0, 1000),
)
def test_any_openings_and_rates_make_a_process_in_order(listed, patients, seed):
    opens, rate = zip(*listed, strict=True)
    sites = Sites(kind="sites", sites=len(listed), opens_at_months=list(opens), patients_per_site_month=list(rate))
    assert sites.problems() == []
    day, site = sites.enrol(seed, 0, 3, patients)
    assert np.isfinite(day).all() and (np.diff(day, axis=1) >= 0).all()
    assert (day / DAYS_PER_MONTH >= np.array(opens)[site] - 1e-9).all()
    assert expected_by(sites, sites.expected_months(patients)).sum() == pytest.approx(patients)
    assert sites.patients_per_month() == pytest.approx(sum(rate))


def test_numbers_that_do_not_fit_the_sites_are_problems():
    wrong = Sites(kind="sites", sites=3, patients_per_site_month=[1, 2], opens_at_months=[0, 1, 2, 3])
    assert [(path, message) for path, message, _ in wrong.problems()] == [
        (("patients_per_site_month",), "2 numbers for 3 sites"),
        (("opens_at_months",), "4 numbers for 3 sites"),
    ]
    both = Sites(kind="sites", sites=1, patients_per_site_month=1, opens_at_months=[0], one_opens_every_months=1)
    assert [path for path, _, _ in both.problems()] == [("opens_at_months",)]
    assert all(hint for _, _, hint in (*wrong.problems(), *both.problems()))
