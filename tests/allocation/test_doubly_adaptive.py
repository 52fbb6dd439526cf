"""The function of Hu and Zhang: printed values, values by hand, and its fixed point."""

import json
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.allocation import DoublyAdaptive
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import FakePosterior, a_look, look_at_best

PRINTED = json.loads((Path(__file__).parents[1] / "published" / "data" / "dabcd.json").read_text(encoding="utf-8"))


def rule(target, **given):
    return DoublyAdaptive(kind="doubly_adaptive", target=target, **given)


@pytest.mark.parametrize("case", PRINTED["cases"])
def test_values_printed_by_rartrials(case):
    n, successes = np.array([case["n"]]), np.array([case["successes"]])
    posterior = BetaPosterior(((1.0, 1.0),) * n.shape[1], n, successes, int(n.max()))
    look = a_look(posterior, np.ones(n.shape, bool), arm_enrolled=n)
    found = rule(case["target"], gamma=case["gamma"]).probabilities(look)[0]
    np.testing.assert_allclose(found, case["expected"], atol=PRINTED["tolerance"], rtol=0)


def at_rates(rates, enrolled, is_open=None, **given):
    rates = np.array([rates])
    is_open = np.ones(rates.shape, bool) if is_open is None else [is_open]
    look = a_look(FakePosterior(np.ones(rates.shape), means=rates), is_open, arm_enrolled=[enrolled])
    return rule("rsihr", **given).probabilities(look)[0]


def test_proportions_that_are_the_wrong_way_round():
    # Square roots of 0.16 and 0.36: the target is (0.4, 0.6), reached are (0.6, 0.4).
    np.testing.assert_allclose(at_rates([0.16, 0.36], [6, 4]), [0.11636364, 0.88363636], atol=1e-8)


@pytest.mark.parametrize("gamma", [0, 2, 10])
def test_a_target_that_is_reached_is_kept(gamma):
    np.testing.assert_allclose(at_rates([0.16, 0.36], [4, 6], gamma=gamma), [0.4, 0.6], atol=1e-12)


def test_an_arm_without_a_patient_counts_as_half_a_patient():
    expected = np.array([0.4 * (0.4 / 0.05) ** 2, 0.6 * 0.6**2])
    np.testing.assert_allclose(at_rates([0.16, 0.36], [0, 10]), expected / expected.sum(), atol=1e-12)
    np.testing.assert_allclose(at_rates([0.16, 0.36], [0, 0]), at_rates([0.16, 0.36], [5, 5]), atol=1e-12)


def test_closed_arms_do_not_count():
    found = at_rates([0.16, 0.9, 0.36], [6, 50, 4], [True, False, True])
    np.testing.assert_allclose(found, [0.11636364, 0, 0.88363636], atol=1e-8)


def test_what_it_needs():
    assert rule("equal").counts_enrolled and not rule("equal", gamma=0).counts_enrolled
    assert paths(rule("rsihr").problems(setting(is_binary=False))) == [("target",)]
    assert rule("neyman").problems(setting(is_binary=False)) == []


def test_large_corrections_do_not_overflow():
    rule = DoublyAdaptive(kind="doubly_adaptive", target="equal", gamma=100)
    look = look_at_best([[0.4, 0.3, 0.3]], n_enrolled=2000, patients=3000, arm_enrolled=[[1000, 1000, 0]])
    np.testing.assert_allclose(rule.probabilities(look), [[0, 0, 1]], atol=1e-12)
