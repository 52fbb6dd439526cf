"""The exact test given the number of responders: its errors, its power, and Fisher's test as a case of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import fisher_exact

from sps_adaptive.arrays import TIE
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Ending, walk
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.trial import run
from tests.analytic.helpers import agree
from tests.exact.helpers import oriented, probability, scenario

BLOCKS = {"kind": "equal", "block": 2}
TS = {"kind": "thompson", "power": 1, "floor": 0.1, "block": 2}
TEMPERED = {"kind": "thompson", "power": "n/2N", "floor": 0.1, "block": 2}
LOOKS = {"kind": "enrolled", "first": 8, "every": 6}
FUTILITY = {"kind": "futility", "probability": 0.1}


def conditional(level: float, from_look: int = 1) -> dict[str, Any]:
    return {"kind": "efficacy", "test": "conditional", "probability": 1 - level, "from_look": from_look}


def endings(case: Scenario, name: str = "adaptive") -> list[Ending]:
    design = designs(case)[name]
    return list(walk(design, course(case, design)))


def power(case: Scenario, name: str = "adaptive") -> float:
    return sum(float(probability(each, oriented(case)) @ each.is_claimed.any(axis=1)) for each in endings(case, name))


def after_every_patient(patients: int, allocation: dict[str, Any]) -> Scenario:
    looks = {"kind": "enrolled", "first": 12, "every": 1}
    return scenario(patients, (0.3, 0.7), looks, allocation, [conditional(0.025, patients - 11)])


# ------------------------------------------------------------------------------------------ reference values


@pytest.mark.parametrize(
    ("patients", "allocation", "expected"),
    [
        (24, BLOCKS, 0.450992),
        (24, TS, 0.399334),
        (24, TEMPERED, 0.438408),
        (60, BLOCKS, 0.880889),
        (60, TS, 0.698266),
        (60, TEMPERED, 0.841265),
    ],
    ids=["24, coin", "24, Thompson", "24, tempered", "60, coin", "60, Thompson", "60, tempered"],
)
def test_power(patients, allocation, expected):
    """Blocks until the first look, and then a look after every patient: each of them a coin."""
    assert power(after_every_patient(patients, allocation)) == pytest.approx(expected, abs=6e-7)


# -------------------------------------------------------------------------------------------------- errors

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "fixed": ((22, (0.3, 0.6), {"kind": "none"}, {"kind": "equal", "block": 4}, [conditional(0.05)]), {}),
    "coins": (
        (20, (0.3, 0.6), {"kind": "none"}, {"kind": "equal", "realisation": "independent"}, [conditional(0.05)]),
        {},
    ),
    "Thompson": ((26, (0.3, 0.6), LOOKS, TS, [conditional(0.05, 4)]), {}),
    "futility": ((26, (0.3, 0.6), LOOKS, TS, [FUTILITY, conditional(0.1, 4)]), {}),
    "smaller is better": ((26, (0.6, 0.3), LOOKS, TS, [FUTILITY, conditional(0.1, 4)]), {"better": "lower"}),
    "delay": ((24, (0.3, 0.6), LOOKS, TEMPERED, [FUTILITY, conditional(0.05, 4)]), {"month": 3}),
    "losses": ((18, (0.3, 0.6), LOOKS, TS, [conditional(0.1, 3)]), {"month": 2, "lost": 0.25}),
    "three arms": (
        (
            20, (0.3, 0.6, 0.3), LOOKS, TS | {"block": 3},
            [{"kind": "drop_arm", "probability": 0.1}, conditional(0.1, 3)],
        ),
        {"control": 1},
    ),
    "priors of their own": (
        (24, (0.3, 0.6), LOOKS, TS, [conditional(0.05, 4)]),
        {"analysis": {"arm_priors": {"arm 0": {"alpha": 4, "beta": 16}}}},
    ),
}  # fmt: skip


def made(name: str) -> tuple[Scenario, float]:
    arguments, options = CASES[name]
    case = scenario(*arguments, **options)
    rule = next(rule for rule in case.decisions if rule.kind == "efficacy")
    return case, 1 - rule.probability


def by_responders(found: list[Ending]) -> dict[tuple[int, int], list[np.ndarray]]:
    """Of the trials that went to the end: weight, claim and score of each state, by known outcomes and responders."""
    states: dict[tuple[int, int], list[np.ndarray]] = {}
    for ending in found:
        if ending.end.look:
            continue
        known, responders = (each.sum(axis=1) for each in counts(ending.batch.rows()))
        is_open = np.array(ending.end.is_open)
        control = next(arm for arm in range(len(is_open)) if not ending.is_claimed[:, arm].any() and is_open[arm])
        score = ending.posterior.prob_better(control)[:, is_open]
        rows = np.column_stack([ending.weight, ending.is_claimed.any(axis=1), score.max(axis=1)])
        for k, s in np.unique(np.column_stack([known, responders]), axis=0):
            here = (known == k) & (responders == s)
            states.setdefault((int(k), int(s)), []).append(rows[here])
    return states


@pytest.mark.parametrize("name", [name for name in CASES if name != "three arms"])
def test_the_error_given_the_responders(name):
    """At most the level for every number of responders, and the next states in line would be too many."""
    case, level = made(name)
    exhausted = 0
    for pieces in by_responders(endings(case)).values():
        weight, claimed, score = np.concatenate(pieces).T
        share = weight / weight.sum()
        error = share @ claimed
        assert error <= level + 1e-11
        if claimed.any():
            assert score[claimed == 0].max(initial=0) < score[claimed == 1].min() - TIE / 2
        rest = share * (1 - claimed)
        best = score[(claimed == 0) & (share > 0)].max()
        assert error + rest[score > best - 2 * TIE].sum() > level
        exhausted += bool(claimed.any())
    assert exhausted > 5


def test_the_error_given_the_responders_with_three_arms():
    """The same for the familywise error; arms that were dropped are not judged."""
    case, level = made("three arms")
    mass: dict[tuple[int, int], np.ndarray] = {}
    for ending in endings(case):
        if ending.end.look == 0:
            known, responders = (each.sum(axis=1) for each in counts(ending.batch.rows()))
            for k, s, w, claimed in zip(known, responders, ending.weight, ending.is_claimed.any(axis=1), strict=True):
                mass[k, s] = mass.get((k, s), np.zeros(2)) + np.array([w, w * claimed])
    errors = np.array([claimed / total for total, claimed in mass.values()])
    assert errors.max() <= level + 1e-11
    assert np.median(errors) > 0.3 * level


@pytest.mark.parametrize("name", CASES)
def test_the_error_at_every_common_rate(name):
    case, level = made(name)
    for design in ("adaptive", "fixed"):
        found = endings(case, design)
        errors = [
            sum(float(probability(each, np.full(len(case.arms), p)) @ each.is_claimed.any(axis=1)) for each in found)
            for p in np.linspace(0, 1, 41)
        ]
        assert max(errors) <= level + 1e-11
        assert max(errors) > 0.2 * level


# ------------------------------------------------------------------------------------------- Fisher's test


@pytest.mark.parametrize("level", [0.025, 0.05, 0.2])
@pytest.mark.parametrize(("n", "ratio"), [((15, 15), None), ((8, 16), {"arm 0": 1, "arm 1": 2})])
def test_fisher_is_this_test_for_a_fixed_design(level, n, ratio):
    """Given the responders, more of them on the one arm is better for it in both orders: so the tests are the same."""
    allocation = {"kind": "fixed", "ratio": ratio, "block": 3} if ratio else {"kind": "equal", "block": 2}
    case = scenario(sum(n), (0.3, 0.6), {"kind": "none"}, allocation, [conditional(level)])
    seen = 0
    for ending in endings(case):
        known, responders = counts(ending.batch.rows())
        assert (known == n).all()
        for (s0, s1), claimed in zip(responders, ending.is_claimed[:, 1], strict=True):
            p = fisher_exact([[s1, n[1] - s1], [s0, n[0] - s0]], alternative="greater").pvalue
            assert claimed == (p <= level + 1e-12)
            seen += 1
    assert seen == (n[0] + 1) * (n[1] + 1)


def test_fisher_and_coins():
    """Where the arms are not fixed in size the test is another one: the sizes are not given, only the responders."""
    case, level = made("coins")
    differ = 0
    for ending in endings(case):
        known, responders = counts(ending.batch.rows())
        for (n0, n1), (s0, s1), claimed in zip(known, responders, ending.is_claimed[:, 1], strict=True):
            p = fisher_exact([[s1, n1 - s1], [s0, n0 - s0]], alternative="greater").pvalue
            differ += claimed != (p <= level)
    assert differ > 0


# ------------------------------------------------------------------------------------------------- engines


@pytest.mark.parametrize("name", ["futility", "losses", "three arms"])
def test_simulated_trials_use_the_same_critical_values(name):
    case, _ = made(name)
    for kind in ("adaptive", "fixed"):
        design = designs(case)[kind]
        claims = []
        for block in range(3):
            cohort = case.population.draw(3, block, BLOCK_SIZE, case.endpoints)
            potential = design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y"))
            claims.append(run(design, cohort, potential).looks[-1].is_claimed)
        for arm in range(len(case.arms)):
            expected = sum(float(probability(e, oriented(case)) @ e.is_claimed[:, arm]) for e in endings(case, kind))
            if expected > 0:
                agree(np.concatenate(claims)[:, arm], expected)


def test_trials_that_all_stop_at_a_look():
    stop = {"kind": "futility", "probability": 1.0}
    case = scenario(20, (0.3, 0.6), LOOKS, BLOCKS, [stop, conditional(0.05, 3)])
    assert power(case) == 0.0
    assert power(case, "fixed") > 0.05


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_levels_that_are_no_levels(level):
    case = scenario(12, (0.3, 0.6), {"kind": "none"}, BLOCKS, [conditional(level)])
    assert power(case) == pytest.approx(level, abs=1e-12)
