"""Tabulated Beta cdfs against the incomplete beta function."""

import numpy as np
import pytest
from scipy.special import betainc

from sps_adaptive.posteriors.beta_tables import beta_cdf


@pytest.mark.parametrize(("largest", "error"), [(125, 2e-6), (500, 5e-5)])
def test_cdfs_are_accurate(largest, error):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(1, largest, (2, 400))
    a[:40], b[:20], b[20:40] = 1.0, 1.0, largest
    x = np.clip(rng.beta(a[:, None], b[:, None], (400, 50)), 0, 1)
    x[:, :2] = [0.0, 1.0]
    np.testing.assert_allclose(beta_cdf(a, b, x), betainc(a[:, None], b[:, None], x), atol=error)


def test_what_is_not_smooth_or_too_narrow_is_evaluated():
    a, b = np.array([0.14, 3.0, 2000.0]), np.array([5.0, 0.5, 3000.0])
    x = np.array([[1e-9, 0.2], [0.9, 0.999], [0.4, 0.41]])
    np.testing.assert_array_equal(beta_cdf(a, b, x), betainc(a[:, None], b[:, None], x))


def test_a_row_does_not_depend_on_the_others():
    rng = np.random.default_rng(2)
    a, b, x = rng.integers(1, 9, 30) + 0.5, rng.integers(1, 9, 30) + 0.5, rng.random((30, 8))
    together = beta_cdf(a, b, x)
    for r in range(30):
        np.testing.assert_array_equal(beta_cdf(a[[r]], b[[r]], x[[r]])[0], together[r])
