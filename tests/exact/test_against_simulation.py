"""Random designs, computed and simulated: every figure within four standard errors.

The 60 designs have some 1300 figures between them that are neither 0 nor certain. By chance alone one of them lies
beyond four standard errors in one of twelve choices of the seeds; the seeds are fixed, and with these the largest
deviation is 3.2. Every rule of allocation has a small design of its own beside them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from sps_adaptive.errors import DesignError
from sps_adaptive.exact.calendar import reasons_against
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import exact, scenario, simulated, standard_errors

DESIGNS = 60
QUICK = 12
STANDARD_ERRORS = 4.0
SEED = 20_261_123

Draw = np.random.Generator


def pick(rng: Draw, *options: Any) -> Any:
    return options[rng.integers(len(options))]


def chance(rng: Draw, p: float) -> bool:
    return bool(rng.random() < p)


def between(rng: Draw, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 3)


def random_looks(rng: Draw, patients: int, rate: float, month: float) -> dict[str, Any]:
    kind = "none" if chance(rng, 0.1) else pick(rng, "enrolled", "enrolled", "assessed", "calendar")
    if kind == "none":
        return {"kind": "none"}
    if kind == "calendar":
        last = (patients / rate + month) * 1.1
        months = np.unique(np.round(np.sort(rng.uniform(0.3, last, rng.integers(1, 5))), 2))
        return {"kind": "calendar", "at_months": months.tolist()}
    if chance(rng, 0.5):
        first = int(rng.integers(1, max(2, patients // 2)))
        return {"kind": kind, "first": first, "every": int(rng.integers(max(1, patients // 5), patients))}
    at = rng.choice(np.arange(1, patients), min(patients - 1, int(rng.integers(1, 5))), replace=False)
    return {"kind": kind, "at": sorted(at.tolist())}


def random_allocation(rng: Draw, arms: int) -> dict[str, Any]:
    kind = pick(rng, "equal", "fixed", "thompson", "thompson", "thompson")
    given: dict[str, Any] = {"kind": kind, "realisation": pick(rng, "quota", "quota", "independent")}
    if chance(rng, 0.6):
        given["block"] = int(rng.integers(1, 9))
    if kind == "fixed":
        given["ratio"] = {f"arm {a}": pick(rng, 1, 2, 3, 1.5, 0.7) for a in range(arms)}
    if kind == "thompson":
        given["power"] = pick(rng, 1, "n/2N", 0.5, between(rng, 0, 3))
        share = pick(rng, None, None, "matched", "square_root", between(rng, 0.2, 0.5))
        given |= {} if share is None else {"control_share": share}
        given["floor"] = pick(rng, 0.0, between(rng, 0.0, 0.6 / arms))
        given["ceiling"] = pick(rng, 1.0, between(rng, 0.55, 0.9))
    return given


def random_rules(rng: Draw, n_looks: int) -> list[dict[str, Any]]:
    kinds = ["efficacy", *rng.choice(["efficacy", "futility", "drop_arm"], rng.integers(0, 4))]
    rng.shuffle(kinds)
    rules = []
    for kind in kinds:
        if kind == "drop_arm" and n_looks == 0:
            continue
        low, high = {"efficacy": (0.75, 0.97), "futility": (0.05, 0.4), "drop_arm": (0.05, 0.35)}[kind]
        rule: dict[str, Any] = {"kind": kind, "probability": between(rng, low, high)}
        last = n_looks + (kind != "drop_arm")
        if chance(rng, 0.3):
            rule["probability"] = [between(rng, low, high) for _ in range(last)]
        if chance(rng, 0.3):
            rule["margin"] = between(rng, -0.2, 0.2)
        if chance(rng, 0.25):
            rule["from_look"] = int(rng.integers(1, last + 1))
        if kind == "efficacy" and chance(rng, 0.5):
            rule["then"] = "close_arm"
        rules.append(rule)
    return rules


def random_priors(rng: Draw, arms: int) -> dict[str, Any]:
    def prior() -> dict[str, float]:
        return pick(
            rng,
            {"alpha": int(rng.integers(1, 5)), "beta": int(rng.integers(1, 5))},
            {"alpha": 0.5, "beta": 0.5},
            {"alpha": between(rng, 0.3, 3), "beta": between(rng, 0.3, 3)},
        )

    found: dict[str, Any] = {}
    if chance(rng, 0.4):
        found["prior"] = prior()
    if chance(rng, 0.3):
        found["arm_priors"] = {f"arm {rng.integers(arms)}": prior()}
    return found


def random_design(rng: Draw) -> Scenario | None:
    """A small design, or None where what was drawn cannot be, or is left to chance."""
    arms = int(pick(rng, 2, 2, 2, 3, 3, 4))
    largest, pending = {2: (24, 7), 3: (18, 4), 4: (12, 2)}[arms]
    month = 0.0 if chance(rng, 0.3) else round(float(rng.uniform(0.2, pending)) * 2) / 2
    lost = between(rng, 0.05, 0.4) if month and chance(rng, 0.5) else 0.0
    if lost:  # every arm has as many numbers known as settled
        largest = {2: 16, 3: 8, 4: 6}[arms]
    patients = int(rng.integers(6, largest + 1))
    speed = pick(rng, 1, 1, 2, 0.7)
    month = month / speed
    accrual = {"kind": "steady", "patients_per_month": speed}
    looks = random_looks(rng, patients, speed, month)
    if month == 0 and looks["kind"] != "calendar" and chance(rng, 0.3):
        accrual = {"kind": "poisson", "patients_per_month": 3}
    allocation, analysis = random_allocation(rng, arms), random_priors(rng, arms)
    rates = [pick(rng, between(rng, 0.05, 0.95), between(rng, 0.05, 0.95), 0.0, 1.0) for _ in range(arms)]
    more = {
        "month": month, "lost": lost, "window": round(month / 20, 3) if chance(rng, 0.2) else 0.0,
        "better": pick(rng, "higher", "lower"), "control": int(rng.integers(arms)), "accrual": accrual,
        "analysis": analysis,
    }  # fmt: skip
    try:
        n_looks = scenario(patients, rates, looks, allocation, **more).n_looks
    except DesignError:  # floors and ceilings that cannot be kept
        return None
    case = scenario(patients, rates, looks, allocation, random_rules(rng, n_looks), **more)
    return None if reasons_against(case) else case


@cache
def with_other_rules() -> tuple[Scenario, ...]:
    """Designs whose rules are of the kinds that are not drawn above; they have random numbers of their own."""
    rng, found = np.random.default_rng(SEED + 1), []
    while len(found) < len(OTHER_RULES):
        arms = len(found) % 3 + 2
        patients = {2: 20, 3: 15, 4: 12}[arms]
        at = sorted(rng.choice(np.arange(3, patients), 3, replace=False).tolist())
        rates = [between(rng, 0.1, 0.9) for _ in range(arms)]
        rules = [rule for rule in OTHER_RULES[len(found)] if rule["kind"] != "prune" or arms > 3 - (rule["keep"] == 1)]
        month = pick(rng, 0.0, 1.0, 2.0)
        lost = 0.2 if month and arms == 2 else 0.0
        looks, allocation = {"kind": "enrolled", "at": at}, random_allocation(rng, arms)
        more = {"month": month, "lost": lost, "control": int(rng.integers(arms)), "analysis": random_priors(rng, arms)}
        try:
            case = scenario(patients, rates, looks, allocation, rules, **more)
        except DesignError:  # floors and ceilings that cannot be kept
            continue
        if not reasons_against(case):
            found.append(case)
    return tuple(found)


def efficacy(probability: Any, **given: Any) -> dict[str, Any]:
    return {"kind": "efficacy", "probability": probability, "then": "close_arm"} | given


def low(kind: str, probability: Any, **given: Any) -> dict[str, Any]:
    return {"kind": kind, "probability": probability} | given


SHAPE = {"shape": "obrien_fleming", "final": 0.85}
ALL_LOW = {"kind": "all_of", "rules": [low("futility", 0.4), low("futility", 0.2, margin=0.2, from_look=2)]}
ANY_LOW = {"kind": "any_of", "rules": [low("drop_arm", 0.1), low("drop_arm", 0.2, margin=0.3, at_looks=[1, 3])]}
BOTH = {"kind": "all_of", "rules": [efficacy(0.8), efficacy(0.5, margin=0.2)]}
HARM = {"kind": "harm", "probability": 0.8}
OTHER_RULES: list[list[dict[str, Any]]] = [
    [HARM, efficacy(SHAPE), ALL_LOW],
    [{"kind": "prune", "keep": 1, "at_looks": [2]}, efficacy(0.85, multiplicity="holm")],
    [{"kind": "prune", "keep": 2}, HARM | {"from_look": 2}, efficacy(0.8, multiplicity="closed"), ALL_LOW],
    [BOTH, ANY_LOW],
    [HARM | {"then": "stop", "margin": 0.1}, efficacy(0.85, multiplicity="bonferroni"), ANY_LOW],
    [{"kind": "prune", "keep": 1, "from_look": 3}, efficacy(SHAPE, multiplicity="holm", then="stop"), ANY_LOW],
    [{"kind": "non_inferiority", "margin": 0.2, "probability": SHAPE, "then": "close_arm"}, HARM],
    [{"kind": "any_of", "rules": [BOTH, efficacy(0.95)]}, low("futility", {"shape": "pocock", "final": 0.1})],
    [low("drop_arm", 0.15), efficacy(0.8, multiplicity="holm"), {"kind": "prune", "keep": 1, "at_looks": [3]}],
]


@cache
def designs() -> tuple[Scenario, ...]:
    rng, found = np.random.default_rng(SEED), []
    while len(found) < DESIGNS:
        case = random_design(rng)
        if case is not None:
            found.append(case)
    return tuple(found)


def compare(number: int, blocks: int) -> None:
    agree(designs()[number], blocks, SEED + number)


def agree(case: Scenario, blocks: int, seed: int) -> None:
    expected = exact(case)
    assert expected["total"] == pytest.approx(1.0, abs=1e-12)
    mean, sd, trials = simulated(case, blocks, seed=seed)
    deviations = standard_errors(case, expected, mean, sd, trials)
    beyond = {name: z.round(1).tolist() for name, z in deviations.items() if (np.abs(z) > STANDARD_ERRORS).any()}
    assert not beyond, f"{beyond} in {case.model_dump_json(exclude_none=True)}"


def test_the_designs_differ_in_everything():
    cases = designs()
    for what in (
        lambda case: len(case.arms) == 4,
        lambda case: case.looks.kind == "assessed",
        lambda case: case.looks.kind == "calendar",
        lambda case: case.looks.kind == "none",
        lambda case: case.allocation.kind == "fixed",
        lambda case: case.allocation.kind == "equal",
        lambda case: case.allocation.realisation == "independent",
        lambda case: getattr(case.allocation, "control_share", None) is not None,
        lambda case: case.population.dropout is not None,
        lambda case: case.endpoint.window_months > 0,
        lambda case: case.endpoint.better == "lower",
        lambda case: case.endpoint.assessed_at_month > 2 and case.n_looks > 1,
        lambda case: any(rule.margin < 0 for rule in case.decisions),
        lambda case: any(isinstance(rule.probability, list) for rule in case.decisions),
        lambda case: any(getattr(rule, "then", "") == "close_arm" for rule in case.decisions),
        lambda case: case.analysis["y"].prior.alpha % 0.5 > 0,
    ):
        assert sum(map(what, cases)) >= 2


@pytest.mark.parametrize("number", range(QUICK))
def test_some_random_designs(number):
    compare(number, 10)


LEARNING: dict[str, dict[str, Any]] = {
    "top_two": {"floor": 0.1},
    "information_weighted": {"control_share": "matched", "zero_out": 0.15},
    "trippa": {"gamma": 5, "nu": 0.4},
    "null_hypothesis": {"prior_of_equality": 0.3},
    "neyman": {"floor": 0.2},
    "rsihr": {"burn_in": 8, "burn_in_per_arm": 3},
    "doubly_adaptive": {"target": "rsihr", "realisation": "independent"},
    "play_the_winner": {"balls": 0.5, "realisation": "independent"},
    "mixture": {
        "rules": [
            {"weight": 1, "rule": {"kind": "square_root_control"}},
            {"weight": 2, "rule": {"kind": "thompson", "power": 1}},
            {"weight": 1, "rule": {"kind": "null_hypothesis", "effect_sd": 0.5}},
        ],
        "block": 5,
    },
    "thompson": {"power": [0, 1, 2], "burn_in_per_arm": 3, "floor": 0.1},
    "square_root_control": {},
}
"""For each rule, options that make it do all it can."""


def learning(kind: str, arms: int) -> Scenario:
    """A trial of 16 patients and three looks, with outcomes at once and priors that differ."""
    rules = [{"kind": "drop_arm", "probability": 0.15}, {"kind": "efficacy", "probability": 0.9, "then": "close_arm"}]
    allocation = {"kind": kind, **LEARNING.get(kind, {})}
    looks = {"kind": "enrolled", "at": [5, 9, 13]}
    analysis = {"arm_priors": {"arm 1": {"alpha": 2, "beta": 1}}}
    return scenario(16, [0.3, 0.7, 0.5][:arms], looks, allocation, rules, analysis=analysis)


@pytest.mark.parametrize("kind", LEARNING)
def test_every_rule_of_allocation(kind):
    agree(learning(kind, 3), 10, SEED + 1000)


@pytest.mark.parametrize("target", ["neyman", "rsihr", "equal"])
def test_erade(target):
    allocation = {"kind": "erade", "target": target, "realisation": "independent"}
    looks = {"kind": "enrolled", "first": 2, "every": 1}
    agree(scenario(16, [0.3, 0.7], looks, allocation, [{"kind": "efficacy", "probability": 0.95}]), 10, SEED + 2000)


def test_rules_that_count_those_enrolled_are_simulated_where_some_are_pending():
    looks, month = {"kind": "enrolled", "at": [5, 9]}, 2
    for kind in ("trippa", "doubly_adaptive", "information_weighted", "mixture"):
        given = {"doubly_adaptive": {"target": "equal"}, "mixture": {"rules": [
            {"weight": 1, "rule": {"kind": "equal"}}, {"weight": 1, "rule": {"kind": "trippa"}}
        ]}}.get(kind, {})  # fmt: skip
        against = reasons_against(scenario(16, [0.3, 0.7], looks, {"kind": kind, **given}, month=month))
        assert any("depends on the patients enrolled on each arm" in reason for reason in against)


HELD_UP = [
    ({"kind": "enrolled", "at": [6, 10], "pause": "until_assessed"}, {"month": 3, "lost": 0.2}),
    ({"kind": "enrolled", "at": [6, 10], "pause": "until_assessed"},
     {"month": 3, "accrual": {"kind": "poisson", "patients_per_month": 3}}),
    ({"kind": "enrolled", "at": [5, 8, 11], "pause": {"months": 1.4}, "minimum_months": 7.5}, {"month": 3}),
    ({"kind": "several", "of": [{"kind": "assessed", "at": [3, 6, 9]}, {"kind": "calendar", "at_months": [5, 10]}],
      "most": 3}, {"month": 2.5}),
    ({"kind": "several", "of": [{"kind": "enrolled", "at": [4, 8]}, {"kind": "assessed", "at": [4, 7, 10]}],
      "minimum_assessed": 5}, {"accrual": {"kind": "poisson", "patients_per_month": 3}}),
]  # fmt: skip


@pytest.mark.parametrize(("looks", "more"), HELD_UP)
def test_looks_that_wait_and_pauses(looks, more):
    rules = [
        {"kind": "efficacy", "probability": 0.9, "from_look": 2},
        {"kind": "efficacy", "probability": 0.97},
        {"kind": "futility", "probability": 0.2},
    ]
    rule = {"kind": "thompson", "power": 1, "floor": 0.2}
    case = scenario(12, [0.3, 0.6], looks, rule, rules, **more)
    assert reasons_against(case) == []
    agree(case, 20, SEED)


CHANGING = {
    "promoted": (
        (18, (0.2, 0.7, 0.6), {"kind": "enrolled", "first": 6, "every": 4}, {"kind": "thompson", "power": 0.5}),
        [{"kind": "drop_arm", "probability": 0.08}, {"kind": "promote", "probability": 0.88}],
        {},
    ),
    "promoted, pending, other rules": (
        (16, (0.3, 0.8, 0.5), {"kind": "enrolled", "at": [6, 9, 13]}, {"kind": "thompson", "control_share": "matched"}),
        [
            {"kind": "promote", "probability": [0.85, 0.85, 0.8, 0.9]},
            {"kind": "equivalence", "margin": 0.2, "probability": 0.5, "first_control_only": True},
            {"kind": "futility", "probability": 0.2},
        ],
        {"month": 2, "control": 1},
    ),
    "equals": (
        (14, (0.4, 0.7, 0.6), {"kind": "enrolled", "first": 6, "every": 3}, {"kind": "thompson", "power": 0.5}),
        [
            {"kind": "drop_arm", "probability": 0.05, "against": "best", "control_too": True},
            {"kind": "efficacy", "probability": 0.9, "against": "best", "control_too": True},
        ],
        {},
    ),
}
"""Designs in which the control may change or leave."""


@pytest.mark.parametrize("name", CHANGING)
def test_designs_in_which_the_control_may_change_or_leave(name):
    first, rules, more = CHANGING[name]
    case = scenario(*first, rules, **more)
    expected = exact(case)
    assert expected["total"] == pytest.approx(1.0, abs=1e-12)
    deviations = standard_errors(case, expected, *simulated(case, 10, seed=SEED))
    assert all((np.abs(z) <= STANDARD_ERRORS).all() for z in deviations.values()), deviations


@pytest.mark.parametrize("block", [4, 5])
def test_permuted_blocks_are_rounded_alike_by_both_engines(block):
    allocation = {
        "kind": "thompson",
        "power": 1,
        "floor": 0.1,
        "realisation": {"kind": "permuted_block", "block": block},
    }
    rules = [{"kind": "efficacy", "probability": 0.9}, {"kind": "drop_arm", "probability": 0.15}]
    case = scenario(18, (0.3, 0.6, 0.2), {"kind": "enrolled", "first": 6, "every": 4}, allocation, rules, month=1)
    assert reasons_against(case) == []
    expected = exact(case)
    mean, sd, trials = simulated(case, 10, seed=SEED)
    assert all((np.abs(z) < STANDARD_ERRORS).all() for z in standard_errors(case, expected, mean, sd, trials).values())


@pytest.mark.parametrize("number", range(len(OTHER_RULES)))
def test_designs_with_other_rules(number):
    agree(with_other_rules()[number], 10, SEED + 1000 + number)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(DESIGNS))
def test_all_random_designs(number):
    compare(number, 50)


PREDICTED = {
    "maximum, three arms": (
        [{"kind": "predictive_success", "horizon": "maximum", "probability": 0.2},
         {"kind": "efficacy", "probability": 0.9, "margin": 0.1, "from_look": 4}],
        (0.3, 0.6, 0.5), {},
    ),
    "current, for efficacy": (
        [{"kind": "predictive_success", "horizon": "current", "then": "efficacy", "probability": 0.5, "at_looks": [2]},
         low("drop_arm", 0.1), efficacy(0.85, from_look=3)],
        (0.3, 0.6, 0.5), {"better": "lower"},
    ),
    "a separate trial, patients pending": (
        [{"kind": "predictive_success", "horizon": "future", "patients_per_arm": 20, "final_probability": 0.9,
          "probability": 0.3, "margin": 0.05}, efficacy(0.9)],
        (0.3, 0.6), {"month": 2, "lost": 0.2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PREDICTED)
def test_predicted_success(name):
    rules, rates, more = PREDICTED[name]
    looks, allocation = {"kind": "enrolled", "at": [5, 9, 13]}, {"kind": "thompson", "power": 1, "floor": 0.1}
    case = scenario(16, rates, looks, allocation, rules, **more)
    assert reasons_against(case) == []
    agree(case, 10, SEED)
