"""Dropout at a constant rate."""

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.population import Exponential
from sps_adaptive.streams import Stream, uniforms

N = 100_000


def leaving(proportion, by_month=6.0):
    return Exponential(kind="exponential", proportion=proportion, by_month=by_month)


def days(kind):
    return kind.days(uniforms(20_261_122, Stream.DROPOUT, 0, N // 50, 50)).ravel()


@pytest.mark.parametrize("proportion, by_month", [(0.12, 6), (0.05, 3), (0.5, 12), (0.99, 1)])
def test_the_stated_share_has_left_by_the_stated_month(proportion, by_month):
    """4 SEs of a proportion; at half the month the share is 1 - sqrt(1 - p)."""
    left = days(leaving(proportion, by_month)) / DAYS_PER_MONTH
    for month, share in ((by_month, proportion), (by_month / 2, 1 - np.sqrt(1 - proportion))):
        assert abs((left <= month).mean() - share) < 4 * np.sqrt(share * (1 - share) / N)
        assert leaving(proportion, by_month).proportion_by(month) == pytest.approx(share)


def test_the_time_to_dropout_is_exponential():
    """Kolmogorov-Smirnov at the level 0.001; the seed is fixed."""
    rate = -np.log1p(-0.12) / 6 / DAYS_PER_MONTH
    assert stats.kstest(days(leaving(0.12)) * rate, "expon").pvalue > 0.001


def test_larger_uniforms_leave_later_and_larger_proportions_sooner():
    u = np.linspace(0, 1 - 2.0**-53, 1000)[None]
    assert (np.diff(leaving(0.2).days(u)) > 0).all()
    assert (leaving(0.3).days(u) <= leaving(0.2).days(u)).all()
    assert leaving(0.2).days(u)[0, 0] == 0 and np.isfinite(leaving(0.2).days(u)).all()


def test_nobody_leaves_where_the_proportion_is_nothing():
    assert np.isposinf(leaving(0).days(np.linspace(0, 0.99, 5)[None])).all()
    assert leaving(0).proportion_by(100) == 0
