"""Neyman's allocation at the estimates."""

import numpy as np
import pytest

from sps_adaptive.allocation import Neyman
from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import Normal
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.contracts.fakes import a_look
from tests.contracts.test_every_kind import ARMS, a_snapshot

RULE = Neyman(kind="neyman")


def at_rates(*rates, **given):
    """Uniform priors and 98 outcomes of each arm: the posterior means are whole percents."""
    n = np.full((1, len(rates)), 98)
    posterior = BetaPosterior.from_counts(
        ((1, 1),) * len(rates), n, np.round(100 * np.array([rates])).astype(int) - 1, 98
    )
    return Neyman(kind="neyman", **given).probabilities(a_look(posterior, np.ones(n.shape, bool)))[0]


@pytest.mark.parametrize(
    "rates, expected",
    [
        ((0.3, 0.7), [0.5, 0.5]),
        ((0.2, 0.6), [0.44948974, 0.55051026]),
        ((0.5, 0.5, 0.5), [1 / 3] * 3),
        ((0.7, 0.9), [0.60436, 0.39564]),
    ],
)
def test_published_and_worked_values(rates, expected):
    np.testing.assert_allclose(at_rates(*rates), expected, atol=6e-6)


def test_the_variance_of_the_difference_is_smallest():
    p, q = np.array([0.15, 0.55]), np.array([0.85, 0.45])
    grid = np.linspace(0.01, 0.99, 9801)
    variance = p[0] * q[0] / grid + p[1] * q[1] / (1 - grid)
    assert at_rates(*p)[0] == pytest.approx(grid[variance.argmin()], abs=1e-4)


@pytest.mark.parametrize("variance", ["known", "common"])
def test_one_standard_deviation_for_all_is_equal_randomisation(variance):
    snapshot = a_snapshot(Normal(kind="normal", variance="common", sd=1))
    posterior = Normal(kind="normal", variance=variance, sd=1.2).bind(AnalysisSetting(ARMS)).fit(snapshot)
    found = RULE.probabilities(a_look(posterior, np.ones((6, 3), bool)))
    np.testing.assert_allclose(found, 1 / 3, atol=1e-12)


def test_standard_deviations_of_the_arms():
    """With no weight on the guess and a flat prior the estimate is that of the sample."""
    snapshot = a_snapshot(Normal(kind="normal", variance="common", sd=1), day=900.0)
    model = Normal(kind="normal", variance="arm_specific", sd=1.2, sd_patients=0).bind(AnalysisSetting(ARMS))
    found = RULE.probabilities(a_look(model.fit(snapshot), np.ones((6, 3), bool)))
    rows = [r for r in range(6) if (snapshot.arm_known[r] >= 2).all()]
    assert rows
    for r in rows:
        known = snapshot.known[r, :, -1]
        sds = [snapshot.value[r, known & (snapshot.arm[r] == a), -1].std(ddof=1) for a in range(3)]
        np.testing.assert_allclose(found[r], np.array(sds) / np.sum(sds), atol=1e-12)
