"""Keeping the best arms only."""

import numpy as np
import pytest

from sps_adaptive.decisions import Prune
from tests.contracts.fakes import look_at_best


def closed(best, keep, **given):
    return Prune(kind="prune", keep=keep).verdict(look_at_best(best, **given)).close.tolist()


def test_the_best_experimental_arms_go_on():
    best = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]
    assert closed(best, 1) == [[False, False, True, True], [False, True, True, False]]
    assert closed(best, 2) == [[False, False, False, True], [False, True, False, False]]
    assert not np.any(closed(best, 3))


def test_the_control_does_not_count_and_never_closes():
    assert closed([0.0, 0.5, 0.3, 0.2], 1) == [[False, False, True, True]]


def test_ties_keep_more():
    assert closed([0.1, 0.3, 0.3, 0.3], 1) == [[False] * 4]
    assert closed([0.1, 0.35, 0.35, 0.2], 1) == [[False, False, False, True]]
    assert closed([0.1, 0.4, 0.25, 0.25], 2) == [[False] * 4]
    assert closed([0.1, 0.35, 0.35 + 1e-13, 0.2], 1) == [[False, False, False, True]]


def test_closed_arms_neither_count_nor_close():
    is_open = [[True, False, True, True]]
    assert closed([0.1, 0.6, 0.2, 0.1], 1, is_open=is_open) == [[False, False, False, True]]
    assert closed([0.1, 0.6, 0.2, 0.1], 2, is_open=is_open) == [[False] * 4]
    assert closed([0.1, 0.6, 0.2, 0.1], 1, is_open=[[True, False, False, False]]) == [[False] * 4]


@pytest.mark.parametrize("k, speaks", [(0, False), (1, True), (2, False), (3, False)])
def test_it_speaks_at_its_looks_and_not_at_the_final_analysis(k, speaks):
    rule = Prune(kind="prune", keep=1, at_looks=[2])
    assert rule.verdict(look_at_best([0.2, 0.5, 0.3], k=k, n_looks=3)).close.any() == speaks
