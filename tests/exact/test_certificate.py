"""Certified errors: reference values, and bounds above a dense grid of exact values, as close as they say."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import numpy as np
import pytest

from sps_adaptive.exact.bernstein import LARGEST_DEGREE, coefficients, value
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.certificate import WIDTHS, Certificate, Certifier, Null, nulls, one_degree, why_not
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Ending, walk
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import scenario

COIN = {"kind": "equal", "block": 2}
TS = {"kind": "thompson", "power": 1, "floor": 0.1, "block": 2}
TEMPERED = {"kind": "thompson", "power": "n/2N", "floor": 0.1, "block": 2}


def efficacy(probability: float, **more: Any) -> dict[str, Any]:
    return {"kind": "efficacy", "probability": probability} | more


def at_the_end(patients: int, first: int, every: int, probability: float) -> dict[str, Any]:
    return efficacy(probability, from_look=len(range(first, patients, every)) + 1)


class Mixed:
    """A tenth each, and seven tenths by the probability of being best; burn-in by blocks of three."""

    learns: ClassVar[bool] = True

    def start(self, is_open, control):
        return np.full(is_open.shape, 1 / 3)

    def probabilities(self, look):
        return 0.1 + 0.7 * look.posterior.prob_best(look.is_open)

    def block_length(self, n_arms):
        return 3


def certified(case: Scenario, allocation: Any = None) -> tuple[list[Certificate], list[Ending]]:
    """The certificates of the scenario's own design, and its final states."""
    design = designs(case)["adaptive"]
    design = design._replace(allocation=allocation) if allocation else design
    certifier, endings = Certifier(case, design), list(walk(design, course(case, design)))
    for ending in endings:
        certifier.add(ending)
    return certifier.certificates(), endings


class Errors:
    """Exact probabilities of a wrong claim, straight from the final states."""

    def __init__(self, endings: list[Ending], groups: tuple[tuple[int, ...], ...], wrong: tuple[int, ...]) -> None:
        found: dict[tuple[int, ...], float] = {}
        for ending in endings:
            known, responders = counts(ending.batch.rows())
            claimed = ending.is_claimed[:, list(wrong)].any(axis=1)
            columns = [each[claimed][:, list(group)].sum(axis=1) for group in groups for each in (known, responders)]
            states, which = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
            for state, mass in zip(states, np.bincount(which, ending.weight[claimed], len(states)), strict=True):
                found[tuple(state)] = found.get(tuple(state), 0.0) + mass
        self.states = np.array(list(found)).reshape(len(found), len(groups), 2)
        self.weight = np.array(list(found.values()))

    def at(self, rates: np.ndarray) -> np.ndarray:
        """At some points, one row each."""
        answer = np.empty(len(rates))
        known, responders = self.states[..., 0], self.states[..., 1]
        for place, p in enumerate(rates):
            answer[place] = self.weight @ np.prod(p**responders * (1 - p) ** (known - responders), axis=1)
        return answer


def holds(case: Scenario, endings: list[Ending], certificate: Certificate, null: Null, points: int) -> float:
    """Assert that a certificate is above a grid of its region, as close as promised; return the largest on the grid."""
    names = list(case.arms)
    wrong = (names.index(certificate.arm),) if certificate.arm else null.wrong
    errors = Errors(endings, null.groups, wrong)
    axes = len(null.groups)
    grid = np.array(list(product(np.linspace(0, 1, points), repeat=axes)))
    if null.below is not None:
        i, j = null.below
        on_the_border = grid.copy()
        on_the_border[:, i] = np.clip(grid[:, j] + null.margin, 0, 1)
        grid = np.concatenate([grid, on_the_border])
        grid = grid[grid[:, i] <= grid[:, j] + null.margin]
    found = errors.at(grid)
    assert found.max() <= certificate.upper
    assert certificate.upper - certificate.lower <= WIDTHS[axes - 1]
    assert certificate.lower >= found.max() - WIDTHS[axes - 1]
    higher = case.endpoint.better == "higher"
    where = np.array([certificate.rates[names[group[0]]] for group in null.groups])
    there = errors.at((where if higher else 1 - where)[None])[0]
    assert there == pytest.approx(certificate.lower, rel=1e-8, abs=1e-12)
    if null.below is not None:
        good = where if higher else 1 - where
        assert good[null.below[0]] <= good[null.below[1]] + null.margin + 1e-12
    return float(found.max())


# ------------------------------------------------------------------------------------------ reference values


@pytest.mark.parametrize(
    ("patients", "allocation", "error", "rate"),
    [
        (24, TS, 0.026009589, 0.839),
        (24, TEMPERED, 0.024742408, 0.461),
        (24, COIN, 0.025208767, 0.5),
        (60, TS, 0.036524376, 0.918),
        (60, TEMPERED, 0.028996691, 0.730),
        (60, COIN, 0.025272778, 0.5),
    ],
    ids=["24, Thompson", "24, tempered", "24, coin", "60, Thompson", "60, tempered", "60, coin"],
)
def test_largest_error_of_two_arms(patients, allocation, error, rate):
    looks = {"kind": "enrolled", "first": 12, "every": 1}
    case = scenario(patients, (0.3, 0.7), looks, allocation, [at_the_end(patients, 12, 1, 0.975)])
    same, composite = certified(case)[0]
    assert same.lower == pytest.approx(error, abs=2e-9)
    assert error - 2e-9 <= same.upper <= same.lower + WIDTHS[0]
    assert same.rates["arm 0"] == same.rates["arm 1"]
    assert max(same.rates["arm 0"], 1 - same.rates["arm 0"]) == pytest.approx(max(rate, 1 - rate), abs=6e-4)
    # nothing inside the region is worse than its border
    assert composite.lower == pytest.approx(error, abs=1e-8)
    assert composite.upper <= composite.lower + WIDTHS[1]


@pytest.mark.parametrize(
    ("patients", "burn_in", "threshold", "everywhere", "rate", "partial"),
    [
        (24, 2, 0.975, 0.0439789, 0.764, 0.03126),
        (24, 2, 0.9875, 0.0214317, None, 0.01538),
        pytest.param(60, 5, 0.975, 0.0512625, 0.879, 0.03538, marks=pytest.mark.slow),
        pytest.param(60, 5, 0.9875, 0.0257159, 0.870, 0.01776, marks=pytest.mark.slow),
    ],
)
def test_largest_familywise_error_of_three_arms(patients, burn_in, threshold, everywhere, rate, partial):
    looks = {"kind": "enrolled", "first": 3 * burn_in, "every": 1}
    decisions = [at_the_end(patients, 3 * burn_in, 1, threshold)]
    case = scenario(patients, (0.3, 0.3, 0.7), looks, {"kind": "equal", "block": 3}, decisions)
    same, *parts = (each for each in certified(case, Mixed())[0] if each.metric == "familywise_error")
    assert same.null == "no arm differs"
    assert same.lower == pytest.approx(everywhere, abs=1e-7)
    if rate is not None:
        assert same.rates["arm 0"] == pytest.approx(rate, abs=6e-4)
    for part in parts:
        assert part.lower == pytest.approx(partial, abs=6e-6)
        assert part.upper <= part.lower + WIDTHS[1]


# ---------------------------------------------------------------------------------------------------- grids

LOOKS = {"kind": "enrolled", "first": 8, "every": 6}
SPENDING = [efficacy(0.95), {"kind": "futility", "probability": 0.1}]

TWO_ARMS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "stops": ((26, (0.3, 0.6), LOOKS, TS, SPENDING), {}),
    "smaller is better": ((26, (0.6, 0.3), LOOKS, TS, SPENDING), {"better": "lower"}),
    "control last": ((26, (0.3, 0.6), LOOKS, TS, SPENDING), {"control": 1}),
    "unequal": (
        (26, (0.3, 0.6), LOOKS, {"kind": "fixed", "ratio": {"arm 0": 1, "arm 1": 2}, "block": 3}, SPENDING),
        {},
    ),
    "delay": ((26, (0.3, 0.6), LOOKS, TEMPERED, SPENDING), {"month": 3}),
    "losses": ((20, (0.3, 0.6), LOOKS, TS, SPENDING), {"month": 2, "lost": 0.2}),
    "margin": (
        (26, (0.3, 0.6), LOOKS, TS, [efficacy(0.9, margin=0.1), {"kind": "futility", "probability": 0.1}]),
        {},
    ),
    "margin, smaller is better": ((26, (0.6, 0.3), LOOKS, TS, [efficacy(0.9, margin=0.15)]), {"better": "lower"}),
    "not much worse": ((26, (0.3, 0.6), LOOKS, TS, [efficacy(0.975, margin=-0.2)]), {}),
    "not at all monotone": (  # claims of the first look only: the largest error is inside, not at a half
        (26, (0.3, 0.6), LOOKS, COIN, [efficacy([0.9, 1.0, 1.0, 1.0][: 1 + len(range(8, 26, 6))])]),
        {"analysis": {"arm_priors": {"arm 0": {"alpha": 4, "beta": 16}}}},
    ),
}


@pytest.mark.parametrize("name", TWO_ARMS)
def test_two_arms_on_a_grid(name):
    arguments, options = TWO_ARMS[name]
    case = scenario(*arguments, **options)
    found, endings = certified(case)
    regions = nulls(case)
    assert [each.null for each in found] == [null.name for null in regions]
    for certificate, null in zip(found, regions, strict=True):
        assert certificate.metric == "type_i_error"
        largest = holds(case, endings, certificate, null, 2001 if len(null.groups) == 1 else 61)
        assert largest > 0.005  # something was compared


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_partial_nulls_on_a_grid(better):
    rates = (0.3, 0.3, 0.7) if better == "higher" else (0.7, 0.7, 0.3)
    decisions = [efficacy(0.95, then="close_arm"), {"kind": "drop_arm", "probability": 0.1}]
    case = scenario(21, rates, LOOKS, TS | {"block": 3}, decisions, better=better, control=1)
    found, endings = certified(case)
    regions = {null.name: null for null in nulls(case)}
    assert [len(null.groups) for null in regions.values()] == [1, 2, 2]
    assert [each.null for each in found if each.metric == "familywise_error"] == list(regions)
    assert [each.arm for each in found if each.metric == "type_i_error"] == ["arm 0", "arm 2"]
    for certificate in found:
        null = regions[certificate.null]
        holds(case, endings, certificate, null, 2001 if len(null.groups) == 1 else 51)
    whole = {each.arm: each for each in found if each.null == "no arm differs"}
    assert max(whole["arm 0"].lower, whole["arm 2"].lower) <= whole[""].upper
    assert whole[""].lower <= whole["arm 0"].upper + whole["arm 2"].upper


def test_where_the_control_may_change_on_a_grid():
    """A claim is wrong if the arm is no better than the first control, whomever it has beaten."""
    rules = [{"kind": "drop_arm", "probability": 0.08}, {"kind": "promote", "probability": 0.87}]
    case = scenario(12, (0.3, 0.5, 0.6), {"kind": "enrolled", "first": 4, "every": 3}, TS, rules)
    found, endings = certified(case)
    assert why_not(case) == ""
    regions = {null.name: null for null in nulls(case)}
    assert {certificate.null for certificate in found} == set(regions)
    for certificate in found:
        null = regions[certificate.null]
        holds(case, endings, certificate, null, 501 if len(null.groups) == 1 else 31)


def test_three_free_rates_on_a_grid():
    case = scenario(
        16, (0.3, 0.3, 0.7, 0.5), {"kind": "enrolled", "at": [8]}, TS | {"floor": 0.05, "block": 4}, [efficacy(0.9)]
    )
    found, endings = certified(case)
    regions = {null.name: null for null in nulls(case)}
    assert sorted(len(null.groups) for null in regions.values()) == [1, 2, 2, 2, 3, 3, 3]
    assert len(found) == 7 + 3
    for certificate in found:
        null = regions[certificate.null]
        holds(case, endings, certificate, null, {1: 501, 2: 31, 3: 15}[len(null.groups)])


@pytest.mark.slow
def test_random_two_arm_designs_on_a_grid():
    rng = np.random.default_rng(7)
    for _ in range(40):
        patients = int(rng.integers(10, 60))
        looks = {"kind": "enrolled", "first": int(rng.integers(2, 9)), "every": int(rng.integers(2, 30))}
        power = [0.5, 1, 2, "n/2N"][rng.integers(4)]
        allocation = {"kind": "thompson", "power": power, "floor": float(rng.uniform(0, 0.4))}
        allocation["realisation"] = ["quota", "independent"][rng.integers(2)]
        margin = float(np.round(rng.choice([0, 0, rng.uniform(-0.4, 0.4)]), 3))
        decisions = [efficacy(float(rng.uniform(0.6, 0.995)), margin=margin)]
        if rng.random() < 0.5:
            decisions.append({"kind": "futility", "probability": float(rng.uniform(0, 0.4))})
        prior = {"alpha": float(rng.integers(1, 9)) / 2, "beta": float(rng.integers(1, 9)) / 2}
        case = scenario(
            patients, (0.3, 0.7), looks, allocation, decisions, analysis={"arm_priors": {"arm 0": prior}},
            better=["higher", "lower"][rng.integers(2)],
        )  # fmt: skip
        found, endings = certified(case)
        for certificate, null in zip(found, nulls(case), strict=True):
            holds(case, endings, certificate, null, 1001 if len(null.groups) == 1 else 41)


# --------------------------------------------------------------------------------------------------- limits


def test_nothing_is_ever_claimed():
    case = scenario(12, (0.3, 0.7), {"kind": "none"}, COIN, [efficacy(1.0)])
    for certificate in certified(case)[0]:
        assert (certificate.upper, certificate.lower) == (0.0, 0.0)


def test_something_is_always_claimed():
    case = scenario(12, (0.3, 0.7), {"kind": "none"}, COIN, [efficacy(0.0)])
    for certificate in certified(case)[0]:
        assert certificate.upper == pytest.approx(1.0, abs=1e-8)
        assert certificate.lower == pytest.approx(1.0, abs=1e-8)


def test_why_errors_are_not_certified():
    looks = {"kind": "none"}
    no_claims = scenario(12, (0.3, 0.7), looks, COIN, [{"kind": "futility", "probability": 0.1}])
    assert nulls(no_claims) == []
    assert why_not(no_claims) == "no rule declares an arm effective"
    assert certified(no_claims)[0] == []
    margins = scenario(12, (0.3, 0.7, 0.5), looks, COIN, [efficacy(0.9, margin=0.1)])
    assert nulls(margins) == []
    assert "for two arms and one margin only" in why_not(margins)
    two_margins = scenario(12, (0.3, 0.7), looks, COIN, [efficacy(0.9, margin=0.1), efficacy(0.95)])
    assert "for two arms and one margin only" in why_not(two_margins)
    assert why_not(scenario(12, (0.3, 0.7), looks, COIN, [efficacy(0.9)])) == ""


def test_names_of_the_regions():
    case = scenario(12, (0.3, 0.7, 0.5), {"kind": "none"}, COIN, [efficacy(0.9)], control=1)
    assert [null.name for null in nulls(case)] == [
        "no arm differs",
        "arm 0 as arm 1, arm 2 anything",
        "arm 2 as arm 1, arm 0 anything",
    ]
    for margin, name in (
        (0.0, "arm 1 not better than arm 0"),
        (0.1, "arm 1 not better than arm 0 by more than 0.1"),
        (-0.1, "arm 1 worse than arm 0 by 0.1 or more"),
    ):
        case = scenario(12, (0.3, 0.7), {"kind": "none"}, COIN, [efficacy(0.9, margin=margin)])
        assert nulls(case)[-1].name == name


def test_a_fixed_design_of_many_patients():
    """Degrees are those of the arms, not of the trial: the weights of 620 patients are still numbers."""
    case = scenario(620, (0.3, 0.4), {"kind": "none"}, COIN, [efficacy(0.975)])
    same, composite = certified(case)[0]
    assert same.upper == pytest.approx(0.025, abs=0.003)
    assert composite.lower == pytest.approx(same.lower, abs=1e-6)


def test_polynomials_of_different_degrees_become_one():
    rng = np.random.default_rng(3)
    weights = {(3, 2): rng.random((4, 3)), (1, 5): rng.random((2, 6)), (0, 0): rng.random((1, 1))}
    tensor = one_degree(weights)
    assert tensor is not None
    assert tensor.shape == (4, 6)
    points = rng.random((20, 2))
    bernstein = coefficients(tensor)
    scale = bernstein.max() + 1
    expected = np.zeros(20)
    for (n, m), weight in weights.items():
        for s, r in np.ndindex(n + 1, m + 1):
            p, q = points.T
            expected += weight[s, r] * p**s * (1 - p) ** (n - s) * q**r * (1 - q) ** (m - r)
    np.testing.assert_allclose(value(bernstein / scale, points) * scale, expected, rtol=1e-13)


def test_polynomials_too_large_are_left_out():
    assert one_degree({(LARGEST_DEGREE // 2, LARGEST_DEGREE // 2 + 1): np.zeros((1, 1))}) is None
    assert one_degree({(130, 130, 130): np.zeros((1, 1, 1))}) is None
