"""Square-root shares: by hand, and as the minimum of a variance on a grid."""

import numpy as np
import pytest

from sps_adaptive.allocation import SquareRootControl, Thompson
from tests.contracts.fakes import look_at_best

RULE = SquareRootControl(kind="square_root_control")


@pytest.mark.parametrize(
    "is_open, control, expected",
    [
        ([True, True], 0, [1 / 2, 1 / 2]),
        ([True, True, True], 0, [np.sqrt(2) / (2 + np.sqrt(2)), *[1 / (2 + np.sqrt(2))] * 2]),
        ([True] * 5, 1, [1 / 6, 1 / 3, 1 / 6, 1 / 6, 1 / 6]),
        ([True, False, True], 0, [1 / 2, 0, 1 / 2]),
        ([True, False, False], 0, [1, 0, 0]),
        ([False, True, True], 0, [0, 1 / 2, 1 / 2]),
    ],
)
def test_cases_by_hand(is_open, control, expected):
    np.testing.assert_allclose(RULE.start(np.array([is_open]), control), [expected], atol=1e-15)
    look = look_at_best([np.arange(len(is_open)) + 1.0], is_open=[is_open], control=control)
    np.testing.assert_allclose(RULE.probabilities(look), [expected], atol=1e-15)


@pytest.mark.parametrize("arms", [2, 3, 5, 10])
def test_no_other_share_of_the_control_compares_better(arms):
    """Dunnett (1955): 1 / p0 + 1 / pk, with the k others sharing the rest."""
    grid = np.linspace(0.01, 0.99, 9801)
    variance = 1 / grid + (arms - 1) / (1 - grid)
    assert RULE.start(np.ones((1, arms), bool), 0)[0, 0] == pytest.approx(grid[variance.argmin()], abs=1e-4)


def test_it_does_not_learn_and_is_the_start_of_a_rule_that_protects_its_control():
    assert not RULE.learns and not RULE.counts_enrolled
    thompson = Thompson(kind="thompson", control_share="square_root")
    is_open = np.array([[True, True, True, True], [True, False, True, True]])
    np.testing.assert_allclose(thompson.start(is_open, 2), RULE.start(is_open, 2), atol=1e-15)
