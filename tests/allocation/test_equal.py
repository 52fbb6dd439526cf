"""The same probability for every open arm."""

import numpy as np
import pytest

from sps_adaptive.allocation import Equal
from tests.contracts.fakes import look_at_best

OPEN = np.array([[True, True, True], [True, False, True], [True, False, False], [False, False, True]])


def test_open_arms_share_equally():
    expected = [[1 / 3, 1 / 3, 1 / 3], [0.5, 0, 0.5], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(Equal(kind="equal").start(OPEN, 0), expected)
    look = look_at_best(np.tile([0.9, 0.05, 0.05], (4, 1)), is_open=OPEN)
    np.testing.assert_array_equal(Equal(kind="equal").probabilities(look), expected)


@pytest.mark.parametrize(
    "given, length", [({}, 6), ({"block": 4}, 4), ({"realisation": "independent"}, 0), ({"realisation": "quota"}, 6)]
)
def test_the_block_is_twice_the_number_of_arms_unless_stated(given, length):
    assert Equal(kind="equal", **given).block_length(3) == length
