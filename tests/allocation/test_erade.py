"""The design of Hu, Zhang and He: by hand, and its limits on a long road."""

import numpy as np
import pytest

from sps_adaptive.allocation import DoublyAdaptive, Erade, Rsihr
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.allocation.settings import paths, setting
from tests.contracts.fakes import FakePosterior, a_look


def at_rates(rates, enrolled, is_open=None, **given):
    rates = np.array([rates])
    is_open = np.ones(rates.shape, bool) if is_open is None else [is_open]
    look = a_look(FakePosterior(np.ones(rates.shape), means=rates), is_open, arm_enrolled=[enrolled])
    return Erade(kind="erade", target="rsihr", **given).probabilities(look)[0]


@pytest.mark.parametrize(
    "enrolled, given, expected",
    [
        ([6, 4], {}, [0.2, 0.8]),
        ([6, 4], {"alpha": 0.7}, [0.28, 0.72]),
        ([4, 6], {}, [0.4, 0.6]),
        ([2, 8], {}, [0.7, 0.3]),
        ([0, 0], {}, [0.2, 0.8]),  # half a patient each: the first is beyond its target
        ([6, 4], {"floor": 0.25}, [0.25, 0.75]),
    ],
)
def test_cases_by_hand(enrolled, given, expected):
    """Square roots of 0.16 and 0.36: the target is (0.4, 0.6)."""
    np.testing.assert_allclose(at_rates([0.16, 0.36], enrolled, **given), expected, atol=1e-12)


def test_an_arm_that_is_alone_gets_everything():
    np.testing.assert_allclose(at_rates([0.16, 0.36], [6, 4], [False, True]), [0, 1], atol=1e-15)


def on_a_road(rule, rates, patients, trials, seed):
    """Patients one by one with their outcomes at once; the number on the first arm."""
    rng = np.random.default_rng(seed)
    n, successes = np.zeros((trials, 2), int), np.zeros((trials, 2), int)
    everywhere, rows = np.ones((trials, 2), bool), np.arange(trials)
    for _ in range(patients):
        posterior = BetaPosterior(((1.0, 1.0),) * 2, n, successes, patients)
        pi = rule.probabilities(a_look(posterior, everywhere, arm_enrolled=n, n_enrolled=n.sum(axis=1)))
        arm = (rng.random(trials) >= pi[:, 0]).astype(int)
        n[rows, arm] += 1
        successes[rows, arm] += rng.random(trials) < np.array(rates)[arm]
    return n[:, 0] / patients


@pytest.mark.slow
def test_it_reaches_the_target_with_the_smallest_variance():
    """Rates 0.3 and 0.7, 300 patients: the proportion nears 0.3956; the variance comes near the lower bound, which
    the doubly adaptive coin with gamma = 2 exceeds and the target alone exceeds more (Hu, Zhang and He 2009)."""
    rates, patients, trials = (0.3, 0.7), 300, 4000
    found = {}
    for name, rule in {
        "erade": Erade(kind="erade", target="rsihr"),
        "coin": DoublyAdaptive(kind="doubly_adaptive", target="rsihr"),
        "target": Rsihr(kind="rsihr"),
    }.items():
        x = on_a_road(rule, rates, patients, trials, 5)
        found[name] = x.var() * patients
        assert x.mean() == pytest.approx(np.sqrt(0.3) / (np.sqrt(0.3) + np.sqrt(0.7)), abs=0.01)
    # Their theorem: rho is a function of the rates, and the bound is its gradient times p q / rho, squared.
    a, b = np.sqrt(rates)
    gradient = np.array([b / (2 * a * (a + b) ** 2), -a / (2 * b * (a + b) ** 2)])
    rho = np.array([a, b]) / (a + b)
    bound = (gradient**2 * np.array([0.21, 0.21]) / rho).sum()
    error = np.sqrt(2 / trials)  # relative, of a variance
    assert bound * (1 - 4 * error) < found["erade"] < found["coin"] < found["target"]
    assert found["erade"] < bound * 1.5
    # Hu and Zhang (2004): 2 (1 + gamma) / (1 + 2 gamma) of the bound and rho (1 - rho) / (1 + 2 gamma), for large n.
    assert found["coin"] == pytest.approx(1.2 * bound + rho.prod() / 5, rel=0.2)


def test_what_it_needs():
    assert Erade(kind="erade", target="equal").counts_enrolled
    assert paths(Erade(kind="erade", target="neyman").problems(setting(3))) == [("kind",)]
    assert paths(Erade(kind="erade", target="rsihr").problems(setting(2, is_binary=False))) == [("target",)]
    assert Erade(kind="erade", target="neyman").problems(setting(2, is_binary=False)) == []
