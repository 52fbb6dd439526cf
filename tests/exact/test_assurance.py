"""Exact assurance against numerical integration, direct draws of the rates, and its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom

from sps_adaptive.errors import UsageError
from sps_adaptive.exact.assurance import MOST, Assurance, assurance
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import walk
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import exact, scenario

LOOKS = {"kind": "enrolled", "first": 8, "every": 6}
TS = {"kind": "thompson", "power": 1, "floor": 0.1, "block": 2}
RULES = [{"kind": "efficacy", "probability": 0.95}, {"kind": "futility", "probability": 0.1}]
FIXED = {"kind": "none"}

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "fixed": ((24, (0.3, 0.6), FIXED, {"kind": "equal", "block": 2}, RULES[:1]), {}),
    "stops": ((24, (0.3, 0.6), LOOKS, TS, RULES), {}),
    "smaller is better": ((24, (0.3, 0.6), LOOKS, TS, RULES), {"better": "lower"}),
    "margin": ((24, (0.3, 0.6), LOOKS, TS, [{"kind": "efficacy", "probability": 0.8, "margin": 0.1}]), {}),
    "control last, delay": ((22, (0.3, 0.6), LOOKS, TS, RULES), {"control": 1, "month": 3}),
    "losses": ((18, (0.3, 0.6), LOOKS, TS, RULES), {"month": 2, "lost": 0.2}),
}
PRIORS = {"arm 0": (3.0, 9.0), "arm 1": (6.0, 4.5)}


def made(name: str) -> Scenario:
    arguments, options = CASES[name]
    return scenario(*arguments, **options)


def grid(prior: tuple[float, float], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes, and weights times the density."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = (x + 1) / 2, w / 2
    return x, w * beta.pdf(x, *prior)


def integrated(case: Scenario, priors: dict[str, tuple[float, float]], margin: float, nodes: int) -> Assurance:
    """Assurance of two arms by quadrature over both rates: power at each pair of them, times their density.

    What is right depends on which side of the line of equal rates a pair is; the border cuts cells of the grid, so
    the inner integral is taken in two pieces.
    """
    names = list(case.arms)
    control = names.index(next(arm for arm, each in case.arms.items() if each.control))
    other = 1 - control
    sign = 1 if case.endpoint.better == "higher" else -1
    design = designs(case)["adaptive"]
    states: dict[tuple[int, ...], float] = {}
    for ending in walk(design, course(case, design)):
        known, responders = counts(ending.batch.rows())
        for k, s, w, claimed in zip(known, responders, ending.weight, ending.is_claimed[:, other], strict=True):
            if claimed:
                key = (*k.tolist(), *s.tolist())
                states[key] = states.get(key, 0.0) + w
    k, s = np.array(list(states))[:, :2], np.array(list(states))[:, 2:]
    mass = np.array(list(states.values()))

    def power(rates: np.ndarray) -> np.ndarray:
        good = rates if sign == 1 else 1 - rates
        return np.array([mass @ np.prod(p**s * (1 - p) ** (k - s), axis=1) for p in good])

    x, w = np.polynomial.legendre.leggauss(nodes)
    x, wx = (x + 1) / 2, w / 2
    claimed = rightly = effective = 0.0
    for c, weight in zip(x, wx * beta.pdf(x, *priors[names[control]]), strict=True):
        border = min(max(c + sign * margin, 0.0), 1.0)
        for low, high in ((0.0, border), (border, 1.0)):
            p = low + (high - low) * x
            density = weight * (high - low) * wx * beta.pdf(p, *priors[names[other]])
            rates = np.empty((nodes, 2))
            rates[:, control], rates[:, other] = c, p
            found = float(density @ power(rates))
            claimed += found
            if (sign == 1) == (low == border):
                rightly += found
                effective += float(density.sum())
    arm = names[other]
    return Assurance({arm: claimed}, {arm: rightly}, {arm: effective}, claimed)


@pytest.mark.parametrize("name", CASES)
def test_two_arms_by_quadrature(name):
    case = made(name)
    found = assurance(case, PRIORS)
    margin = case.decisions[0].margin
    expected = integrated(case, PRIORS, margin, 40)
    for figure in ("claimed", "rightly", "effective"):
        assert getattr(found, figure) == pytest.approx(getattr(expected, figure), abs=1e-8)
    assert found.any_claimed == pytest.approx(expected.any_claimed, abs=1e-8)
    arm = next(iter(found.claimed))
    assert 0.005 < found.rightly[arm] < found.claimed[arm] < 0.98


def test_by_hand():
    """A fixed design: the responders of each arm are Beta-binomial."""
    case = made("fixed")
    found = assurance(case, {"arm 0": (1, 1), "arm 1": (1, 1)})  # all numbers of responders equally probable
    s = np.arange(13)
    rejects = []
    for s1 in s:
        known, responders = np.full((13, 2), 12), np.column_stack([s, np.full(13, s1)])
        better = BetaPosterior.from_counts(((1.0, 1.0),) * 2, known, responders, 12).prob_better(0)[:, 1]
        rejects.append(better > 0.95)
    assert found.claimed["arm 1"] == pytest.approx(np.mean(rejects), abs=1e-12)
    assert found.effective["arm 1"] == pytest.approx(0.5, abs=1e-12)


def test_three_arms_against_draws_of_the_rates():
    case = scenario(
        18, (0.3, 0.6, 0.5), LOOKS, TS | {"block": 3}, [*RULES, {"kind": "drop_arm", "probability": 0.1}], control=1
    )
    priors = {"arm 0": (5.0, 3.0), "arm 1": (2.0, 6.0), "arm 2": (1.0, 1.0)}
    found = assurance(case, priors)
    design = designs(case)["adaptive"]
    pieces = []
    for ending in walk(design, course(case, design)):
        known, responders = counts(ending.batch.rows())
        here = ending.is_claimed.any(axis=1)
        pieces.append((known[here], responders[here], ending.weight[here], ending.is_claimed[here]))
    known, responders, weight, claimed = (np.concatenate(each) for each in zip(*pieces, strict=True))
    rng = np.random.default_rng(5)
    rates = np.column_stack([rng.beta(*priors[arm], 400) for arm in case.arms])
    mass = np.array([weight * np.prod(p**responders * (1 - p) ** (known - responders), axis=1) for p in rates])
    by_arm = mass @ claimed
    right = by_arm * (rates > rates[:, [1]])
    for figure, draws in (("claimed", by_arm), ("rightly", right), ("effective", rates > rates[:, [1]])):
        for arm, each in ((0, "arm 0"), (2, "arm 2")):
            error = draws[:, arm].std() / 20
            assert abs(draws[:, arm].mean() - getattr(found, figure)[each]) < 4 * error
    anything = mass.sum(axis=1)
    assert abs(anything.mean() - found.any_claimed) < 4 * anything.std() / 20
    assert set(found.claimed) == {"arm 0", "arm 2"}


@pytest.mark.parametrize("name", CASES)
def test_certainty_about_the_rates_gives_the_power(name):
    """Beta distributions that are almost points; that the power is not linear makes the rest of the difference."""
    case = made(name)
    rates = {"arm 0": 0.3, "arm 1": 0.6}
    errors = []
    for worth in (MOST / 16, MOST / 4, MOST):
        priors = {arm: (worth * rate, worth * (1 - rate)) for arm, rate in rates.items()}
        found = assurance(case, priors)
        power = exact(case)["claimed"]
        errors.append(max(abs(found.claimed[arm] - power[list(case.arms).index(arm)]) for arm in found.claimed))
    assert errors[-1] < 5e-4
    assert errors[0] > 2 * errors[1] > 4 * errors[2]  # like the variance


def test_both_designs():
    case = made("stops")
    adaptive, fixed = (assurance(case, PRIORS, design) for design in ("adaptive", "fixed"))
    assert adaptive.effective == fixed.effective
    assert adaptive.claimed != fixed.claimed
    s = np.arange(13)
    expected = 0.0
    x0, w0 = grid(PRIORS["arm 0"], 60)
    x1, w1 = grid(PRIORS["arm 1"], 60)
    marginal = [w @ binom.pmf(s[None, :], 12, x[:, None]) for x, w in ((x0, w0), (x1, w1))]
    for s1 in s:
        known, responders = np.full((13, 2), 12), np.column_stack([s, np.full(13, s1)])
        better = BetaPosterior.from_counts(((1.0, 1.0),) * 2, known, responders, 12).prob_better(0)[:, 1]
        expected += marginal[1][s1] * marginal[0][better > 0.95].sum()
    assert fixed.claimed["arm 1"] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("priors", "reason"),
    [
        ({"arm 0": (1, 1)}, "no design prior for arm 1"),
        ({"arm 0": (1, 1), "arm 1": (1, 1), "arm 2": (1, 1)}, "there is no arm 'arm 2'"),
        ({"arm 0": (1, 1), "arm 1": (0, 1)}, "the design prior of arm 1 is no Beta distribution"),
        ({"arm 0": (1, -1), "arm 1": (1, 1)}, "the design prior of arm 0 is no Beta distribution"),
        ({"arm 0": (1, 1), "arm 1": (2 * MOST, 1)}, "the design prior of arm 1 is no Beta distribution"),
        ({"arm 0": (1, float("nan")), "arm 1": (1, 1)}, "the design prior of arm 0 is no Beta distribution"),
    ],
)
def test_refusals(priors, reason):
    with pytest.raises(UsageError, match=reason):
        assurance(made("fixed"), priors)
