"""The allocation with the fewest failures for the precision."""

import numpy as np
import pytest

from sps_adaptive.allocation import Rsihr
from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import BetaBinomial
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import a_look

RULE = Rsihr(kind="rsihr")


def at_rates(*rates):
    """Uniform priors and 98 outcomes of each arm: the posterior means are whole percents."""
    n = np.full((1, len(rates)), 98)
    posterior = BetaPosterior.from_counts(
        ((1, 1),) * len(rates), n, np.round(100 * np.array([rates])).astype(int) - 1, 98
    )
    return RULE.probabilities(a_look(posterior, np.ones(n.shape, bool)))[0]


@pytest.mark.parametrize(
    "rates, expected", [((0.3, 0.7), [0.39564392, 0.60435608]), ((0.2, 0.6), [0.3660254, 0.6339746])]
)
def test_worked_values(rates, expected):
    np.testing.assert_allclose(at_rates(*rates), expected, atol=1e-8)


def test_failures_are_fewest_at_a_given_variance():
    """n_A q_A + n_B q_B on a grid of proportions, with n such that the variance of the difference is 1."""
    p = np.array([0.35, 0.8])
    grid = np.linspace(0.01, 0.99, 9801)
    n = p[0] * (1 - p[0]) / grid + p[1] * (1 - p[1]) / (1 - grid)
    failures = n * (grid * (1 - p[0]) + (1 - grid) * (1 - p[1]))
    assert at_rates(*p)[0] == pytest.approx(grid[failures.argmin()], abs=1e-4)


def test_success_is_the_good_outcome_whichever_way_it_is_worded():
    """An event that harms, on 10 and 30 of 48 patients: good outcomes are 38 and 18."""
    model = BetaBinomial(kind="beta_binomial").bind(AnalysisSetting(("a", "b"), False))
    posterior = BetaPosterior.from_counts(model.priors, np.array([[48, 48]]), np.array([[38, 18]]), 48)
    found = RULE.probabilities(a_look(posterior, [[True, True]]))[0]
    np.testing.assert_allclose(found, np.sqrt([39, 19]) / np.sqrt([39, 19]).sum(), atol=1e-12)


def test_it_is_for_rates():
    assert paths(RULE.problems(setting(3, is_binary=False))) == [("kind",)]
    assert RULE.problems(setting(3)) == []
