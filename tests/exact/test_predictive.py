"""Predictive probabilities: reference values, total probability, enumeration, and designs that stop by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from math import comb
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.special import betaln

from sps_adaptive.contracts import Design, Look
from sps_adaptive.errors import UsageError
from sps_adaptive.exact import backward
from sps_adaptive.exact.backward import Table, predictive
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import Course, course
from sps_adaptive.exact.layout import compositions
from sps_adaptive.exact.recursion import walk
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.tables import TrialRecord
from sps_adaptive.trial import run
from tests.analytic.helpers import agree
from tests.exact.helpers import lists, oriented, probability, scenario

TS = {"kind": "thompson", "power": 1, "floor": 0.1, "block": 2}
State = tuple[tuple[int, int], ...]
"""Known outcomes and responders of each arm."""


class Coin:
    """A fair coin for every patient."""

    learns: ClassVar[bool] = False

    def start(self, is_open, control):
        return np.full(is_open.shape, 0.5)

    def probabilities(self, look):
        return np.full(look.is_open.shape, 0.5)

    def block_length(self, n_arms):
        return 0


def tables(case: Scenario, allocation: Any = None) -> tuple[Design, Course, dict[int, Table]]:
    design = case.designs()["adaptive"]
    design = design._replace(allocation=allocation) if allocation else design
    when = course(case, design)
    return design, when, predictive(design, when, (True,) * len(design.arms))


def at(table: Table, state: State) -> np.ndarray:
    known, responders = np.array(state).T
    return table.at(known[None], responders[None])[0]


# ------------------------------------------------------------------------------------------ reference values


@pytest.mark.parametrize(
    ("allocation", "expected"),
    [(None, (0.181426772, 0.847697870, 0.534239887)), (Coin(), (0.268920352, 0.868078870, 0.607092109))],
    ids=["Thompson", "coin"],
)
def test_after_six_patients_on_each_of_two_arms(allocation, expected):
    looks = {"kind": "enrolled", "first": 12, "every": 1}
    case = scenario(24, (0.3, 0.7), looks, TS, [{"kind": "efficacy", "probability": 0.975, "from_look": 13}])
    first = tables(case, allocation)[2][0]
    found = [at(first, ((6, s0), (6, s1)))[1] for s0, s1 in ((2, 4), (1, 5), (2, 5))]
    np.testing.assert_allclose(found, expected, rtol=0, atol=6e-10)


# -------------------------------------------------------------------------------------- from look to look


def beta_binomial(y: int, n: int, alpha: float, beta: float) -> float:
    return comb(n, y) * float(np.exp(betaln(alpha + y, beta + n - y) - betaln(alpha, beta)))


def states(total: int, arms: int) -> Iterator[State]:
    for cell in compositions(total, arms):
        for responders in np.ndindex(*(cell + 1)):
            yield tuple((int(n), int(s)) for n, s in zip(cell, responders, strict=True))


def chances(design: Design, when: Course, number: int, state: State) -> np.ndarray:
    """What the allocation rule says at a look, asked state by state."""
    known, responders = (np.array(each)[None] for each in zip(*state, strict=True))
    posterior = BetaPosterior.from_counts(design.model.priors, known, responders, when.patients)
    held = when.looks[number]
    look = Look(
        k=held.k, n_looks=design.schedule.n_looks(when.patients), patients=when.patients, control=design.control,
        first_control=design.control, n_enrolled=np.array([held.enrolled]), n_known=known.sum(axis=1),
        arm_enrolled=known, arm_known=known, arm_pending=0 * known, is_open=np.ones((1, len(state)), bool),
        is_claimed=np.zeros((1, len(state)), bool), posterior=posterior,
    )  # fmt: skip
    return design.allocation.probabilities(look)[0]


def dealt(pi: np.ndarray, patients: int, block: int, before_end: int) -> dict[tuple[int, ...], float]:
    """The law of the counts of so many patients, from all randomisation lists, one patient after the other."""
    arms = len(pi)
    if block == 0:
        law = {(0,) * arms: 1.0}
        for _ in range(patients):
            after: dict[tuple[int, ...], float] = defaultdict(float)
            for counts, p in law.items():
                for arm in range(arms):
                    after[(*counts[:arm], counts[arm] + 1, *counts[arm + 1 :])] += p * pi[arm]
            law = dict(after)
        return law
    law = {(0,) * arms: 1.0}
    for first in range(0, patients, block):
        size = min(block, before_end - first)
        taken = min(size, patients - first)
        after = defaultdict(float)
        for share, listed in lists(tuple(pi.tolist()), size):
            full = np.bincount(listed, minlength=arms)
            for part in compositions(taken, arms):
                if (part <= full).all():
                    ways = np.prod([comb(int(n), int(k)) for n, k in zip(full, part, strict=True)])
                    for counts, p in law.items():
                        after[tuple(np.add(counts, part).tolist())] += p * share * float(ways) / comb(size, taken)
        law = dict(after)
    return law


def following(design: Design, when: Course, number: int, state: State, until: int) -> Iterator[tuple[float, State]]:
    """What can come after a look, and how probable the posterior thinks it is."""
    block = design.allocation.block_length(len(state))
    settled = when.looks[number].settled
    pi = chances(design, when, number, state)
    for counts, p in dealt(pi, until - settled, block, when.patients - settled).items():
        for gained in np.ndindex(*(np.array(counts) + 1)):
            q = p
            for (n, s), d, y, (alpha, beta) in zip(state, counts, gained, design.model.priors, strict=True):
                q *= beta_binomial(y, d, alpha + s, beta + n - s)
            yield q, tuple((n + d, s + int(y)) for (n, s), d, y in zip(state, counts, gained, strict=True))


CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "two arms, blocks that looks cut": (
        (13, (0.3, 0.6), {"kind": "enrolled", "first": 4, "every": 3}, TS | {"block": 4}), {},
    ),
    "two arms, draws": (
        (12, (0.3, 0.6), {"kind": "enrolled", "first": 4, "every": 3}, TS | {"realisation": "independent"}), {},
    ),
    "three arms, quotas": (
        (9, (0.3, 0.6, 0.5), {"kind": "enrolled", "at": [3, 6]}, TS | {"block": 3}), {"control": 2},
    ),
    "three arms, tempered, outcomes that come later": (
        (9, (0.3, 0.6, 0.5), {"kind": "enrolled", "at": [4, 7]}, {"kind": "thompson", "floor": 0.1, "block": 4}),
        {"month": 2, "better": "lower"},
    ),
    "priors of their own": (
        (11, (0.3, 0.6), {"kind": "enrolled", "at": [4, 8]}, TS | {"block": 3}),
        {"analysis": {"arm_priors": {"arm 0": {"alpha": 4, "beta": 16}, "arm 1": {"alpha": 0.5, "beta": 0.5}}}},
    ),
    "unequal": (
        (12, (0.3, 0.6), {"kind": "enrolled", "at": [4, 5, 9]},
         {"kind": "fixed", "ratio": {"arm 0": 1, "arm 1": 2}, "block": 3}), {},
    ),
}  # fmt: skip


def tiny(name: str) -> Scenario:
    arguments, options = CASES[name]
    n_looks = scenario(*arguments, [], **options).n_looks
    rules = [{"kind": "efficacy", "probability": 0.8, "from_look": n_looks + 1}]
    return scenario(*arguments, rules, **options)


@pytest.mark.parametrize("name", CASES)
def test_the_mean_at_the_next_look_is_the_value_now(name):
    """The law of total probability, in every state, with the law of what comes next from all lists and outcomes."""
    design, when, found = tables(tiny(name))
    assert set(found) == {look.k for look in when.looks}
    rng = np.random.default_rng(1)
    for number, held in enumerate(when.looks[:-1]):
        later = when.looks[number + 1]
        everywhere = list(states(held.settled, len(design.arms)))
        for place in rng.permutation(len(everywhere))[:40]:
            state = everywhere[place]
            mean, total = np.zeros(len(state)), 0.0
            for p, after in following(design, when, number, state, later.settled):
                mean += p * at(found[later.k], after)
                total += p
            assert total == pytest.approx(1.0, abs=1e-12)
            np.testing.assert_allclose(at(found[held.k], state), mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_nested_enumeration_to_the_end(name):
    """Brute force over all that can come, look by look, and the claims of the final analysis."""
    case = tiny(name)
    design, when, found = tables(case)
    arms, threshold = len(design.arms), case.decisions[0].probability

    @cache
    def success(state: State) -> tuple[float, ...]:
        known, responders = (np.array(each)[None] for each in zip(*state, strict=True))
        posterior = BetaPosterior.from_counts(design.model.priors, known, responders, when.patients)
        better = posterior.prob_better(design.control)[0] - threshold > 1e-12
        return tuple(float(better[arm] and arm != design.control) for arm in range(arms))

    @cache
    def value(number: int, state: State) -> tuple[float, ...]:
        if number == len(when.looks):
            return success(state)
        until = when.looks[number + 1].settled if number + 1 < len(when.looks) else when.patients
        mean = np.zeros(arms)
        for p, after in following(design, when, number, state, until):
            mean += p * np.array(value(number + 1, after))
        return tuple(mean.tolist())

    rng = np.random.default_rng(2)
    for number in (len(when.looks) - 1, 0):
        everywhere = list(states(when.looks[number].settled, arms))
        for place in rng.permutation(len(everywhere))[: 20 if number else 3]:
            expected = value(number, everywhere[place])
            np.testing.assert_allclose(at(found[when.looks[number].k], everywhere[place]), expected, rtol=0, atol=1e-11)


def test_limits():
    case = tiny("two arms, draws")
    _, when, found = tables(case)
    last = found[when.looks[-1].k]
    assert ((last.value >= 0) & (last.value <= 1 + 1e-12)).all()
    assert (last.value[:, 0] == 0).all()  # the control is never declared effective
    certain = scenario(
        12, (0.3, 0.6), {"kind": "enrolled", "at": [6]}, TS,
        [{"kind": "efficacy", "probability": 0.0, "from_look": 2}],
    )  # fmt: skip
    np.testing.assert_allclose(tables(certain)[2][0].value[:, 1], 1.0, rtol=1e-12)


def test_a_closed_arm_gets_nobody_and_is_not_declared_effective():
    case = tiny("three arms, quotas")
    design = case.designs()["adaptive"]
    when = course(case, design)
    found = predictive(design, when, (True, False, True))[0]
    assert (found.value[:, [1, 2]] == 0).all()
    assert found.value[:, 0].max() > 0.5


def test_refusals(monkeypatch):
    lost = scenario(
        12, (0.3, 0.6), {"kind": "enrolled", "at": [6]}, TS, [{"kind": "efficacy", "probability": 0.9}],
        month=2, lost=0.1,
    )  # fmt: skip
    with pytest.raises(UsageError, match="with dropouts the number of outcomes still to come is random"):
        tables(lost)
    monkeypatch.setattr(backward, "MOST_BYTES", 1e4)
    with pytest.raises(UsageError, match="are too large"):
        tables(tiny("two arms, draws"))
    monkeypatch.undo()
    monkeypatch.setattr(backward, "MOST_STEPS", 1e3)
    with pytest.raises(UsageError, match="sum over everything that can come next"):
        tables(tiny("two arms, draws"))


# ----------------------------------------------------------------------------------- designs that stop by them

END = {"kind": "efficacy", "probability": 0.9, "from_look": 2}
DESIGNS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "two stages": (
        (24, (0.3, 0.55), {"kind": "enrolled", "at": [12]}, TS | {"block": 4},
         [END, {"kind": "predictive", "probability": 0.2}]),
        {},
    ),
    "two stages, success foreseen": (
        (24, (0.3, 0.55), {"kind": "enrolled", "at": [12]}, TS | {"block": 4},
         [{"kind": "predictive", "then": "efficacy", "probability": 0.85}, END,
          {"kind": "predictive", "probability": 0.2}]),
        {"month": 2},
    ),
    "three arms, one dropped": (
        (21, (0.3, 0.55, 0.3), {"kind": "enrolled", "at": [9, 15]}, TS | {"block": 3},
         [{"kind": "drop_arm", "probability": 0.25}, {"kind": "predictive", "probability": 0.3},
          END | {"from_look": 3}]),
        {"better": "lower", "control": 1},
    ),
    "random accrual, pauses": (
        (21, (0.3, 0.55), {"kind": "enrolled", "at": [8, 14], "pause": "until_assessed"}, TS | {"block": 3},
         [{"kind": "predictive", "probability": 0.3}, END | {"from_look": 3}]),
        {"month": 3, "accrual": {"kind": "poisson", "patients_per_month": 2}},
    ),
    "looks that fall together, so that the last ones never take place": (
        (21, (0.3, 0.55),
         {"kind": "several",
          "of": [{"kind": "enrolled", "at": [8, 14]}, {"kind": "calendar", "at_months": [8, 14, 60]}]},
         TS | {"block": 3}, [{"kind": "predictive", "probability": 0.3}, END | {"from_look": 6}]),
        {"month": 3},
    ),
}  # fmt: skip


def simulated(case: Scenario, blocks: int) -> list[TrialRecord]:
    design = designs(case)["adaptive"]
    found = []
    for block in range(blocks):
        cohort = case.population.draw(20, block, BLOCK_SIZE, case.endpoints)
        potential = design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y"))
        found.append(run(design, cohort, potential))
    return found


def figures(case: Scenario) -> dict[str, np.ndarray]:
    """Expectations over the final states."""
    design, rates = designs(case)["adaptive"], oriented(case)
    when, arms = course(case, design), len(rates)
    sizes = {"total": 1, "stop look": len(when.looks) + 1, "claimed": arms, "enrolled": arms}
    found = {name: np.zeros(size) for name, size in sizes.items()}
    for ending in walk(design, when):
        p = probability(ending, rates)
        found["total"] += p.sum()
        found["stop look"][ending.end.look] += p.sum()
        found["claimed"] += p @ ending.is_claimed
        found["enrolled"] += p @ ending.batch.enrolled()
    return found


def compared(name: str, blocks: int) -> None:
    arguments, options = DESIGNS[name]
    case = scenario(*arguments, **options)
    expected = figures(case)
    records = simulated(case, blocks)
    assert expected["total"][0] == pytest.approx(1.0, abs=1e-12)
    assert 0.1 < 1 - expected["stop look"][0] < 0.95
    for stop in range(len(expected["stop look"])):
        agree(np.concatenate([record.stop_look == stop for record in records]), expected["stop look"][stop])
    for arm in range(len(oriented(case))):
        agree(np.concatenate([r.looks[-1].is_claimed[:, arm] for r in records]), expected["claimed"][arm])
        agree(np.concatenate([r.looks[-1].arm_enrolled[:, arm] for r in records]), expected["enrolled"][arm])


@pytest.mark.parametrize("name", DESIGNS)
def test_designs_against_simulation(name):
    compared(name, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_designs_against_much_simulation(name):
    compared(name, 100)


def test_both_engines_stop_in_the_same_states():
    """A simulated trial stops at the look exactly where the table says so."""
    arguments, options = DESIGNS["two stages"]
    case = scenario(*arguments, **options)
    table = tables(case)[2][0]
    for record in simulated(case, 1):
        look = record.looks[0]
        value = table.at(look.arm_known, look.arm_total.astype(int))[:, 1]
        np.testing.assert_array_equal(record.stop_look == 1, 0.2 - value > 1e-12)
