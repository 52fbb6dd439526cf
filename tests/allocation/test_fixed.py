"""A fixed ratio."""

import numpy as np
import pytest

from sps_adaptive.allocation import Fixed
from tests.contracts.fakes import look_at_best

ARMS = ("placebo", "ivig", "mycophenolate")
OPEN = np.array([[True, True, True], [True, False, True], [True, False, False]])


def bound(ratio, **given):
    return Fixed(kind="fixed", ratio=ratio, **given).bind(ARMS)


def test_the_ratio_is_that_of_the_open_arms_in_the_order_of_the_trial():
    rule = bound({"mycophenolate": 1, "placebo": 2, "ivig": 5})
    expected = [[2 / 8, 5 / 8, 1 / 8], [2 / 3, 0, 1 / 3], [1, 0, 0]]
    np.testing.assert_allclose(rule.start(OPEN, 0), expected, rtol=1e-15)
    look = look_at_best(np.tile([0.9, 0.05, 0.05], (3, 1)), is_open=OPEN)
    np.testing.assert_array_equal(rule.probabilities(look), rule.start(OPEN, 0))


@pytest.mark.parametrize("scale", [0.5, 3, 100])
def test_only_the_ratio_matters(scale):
    one, other = bound({"placebo": 2, "ivig": 1, "mycophenolate": 1}), {"placebo": 2, "ivig": 1, "mycophenolate": 1}
    scaled = bound({arm: parts * scale for arm, parts in other.items()})
    np.testing.assert_allclose(one.start(OPEN, 0), scaled.start(OPEN, 0), rtol=1e-15)


def test_equal_parts_are_equal_randomisation():
    np.testing.assert_allclose(bound(dict.fromkeys(ARMS, 4)).start(OPEN[:1], 0), [[1 / 3, 1 / 3, 1 / 3]])


def test_the_block_is_that_of_the_rule():
    ratio = {"placebo": 2, "ivig": 1, "mycophenolate": 1}
    assert bound(ratio).block_length(3) == 8  # the first multiple of 4 that is at least twice the number of arms
    assert bound(ratio | {"placebo": 1.5}).block_length(3) == 6  # parts that are not whole have no such multiple
    assert bound(ratio, block=4).block_length(3) == 4
    assert bound(ratio, realisation="independent").block_length(3) == 0
