"""Trials to compute exactly: their figures by the recursion, by simulation, and by enumeration patient by patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import comb
from typing import Any
from unittest.mock import patch

import numpy as np

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.exact.calendar import course, reasons_against
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Allocated, Ending, Seen, walk
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.tables import OUTCOMES, TrialRecord
from sps_adaptive.trial import run
from tests.reference import simulator
from tests.reference.posterior import beta_better
from tests.reference.simulator import Known, Patients, Plan

Figures = dict[str, np.ndarray]
"""Expectations by name; an array has an entry for each arm, look or outcome."""


def scenario(
    patients: int,
    rates: Sequence[float],
    looks: dict[str, Any],
    allocation: dict[str, Any],
    decisions: Sequence[dict[str, Any]] = (),
    *,
    month: float = 0,
    window: float = 0,
    lost: float = 0,
    better: str = "higher",
    control: int = 0,
    accrual: dict[str, Any] | None = None,
    analysis: dict[str, Any] | None = None,
) -> Scenario:
    """A binary endpoint; a patient a month, unless the accrual says otherwise. `lost`: dropouts by the assessment."""
    names = [f"arm {a}" for a in range(len(rates))]
    population: dict[str, Any] = {
        "patients": patients,
        "accrual": accrual or {"kind": "steady", "patients_per_month": 1},
    }
    if lost:
        population["dropout"] = {"kind": "exponential", "proportion": lost, "by_month": month}
    return Scenario.model_validate(
        {
            "title": "test",
            "arms": {name: {"control": a == control} for a, name in enumerate(names)},
            "population": population,
            "endpoints": {
                "y": {"kind": "binary", "better": better, "assessed_at_month": month, "window_months": window}
            },
            "analysis": {"y": {"kind": "beta_binomial"} | (analysis or {})},
            "looks": looks,
            "allocation": allocation,
            "decisions": list(decisions),
            "truths": {"truth": {"y": dict(zip(names, rates, strict=True))}},
        }
    ).checked()


def oriented(case: Scenario) -> np.ndarray:
    """The true probability of a good outcome on each arm."""
    truth = case.truth("truth").of("y")
    rates = np.array([truth[arm] for arm in case.arms], float)
    return rates if case.endpoint.better == "higher" else 1 - rates


# -------------------------------------------------------------------------------------------- exactly


def probability(ending: Ending | Seen, rates: np.ndarray) -> np.ndarray:
    """The probability of each state."""
    known, successes = counts(ending.batch.rows())
    return ending.weight * np.prod(rates**successes * (1 - rates) ** (known - successes), axis=1)


def exact(case: Scenario, smaller: int | None = None) -> Figures:
    """The figures of the scenario's own design; `smaller`: of the trial that ends at this number of patients."""
    assert reasons_against(case) == []
    design, rates, when = case.designs()["adaptive"], oriented(case), course(case)
    n_looks, arms = design.schedule.n_looks(design.patients), len(rates)
    found: Figures = {
        name: np.zeros(size)
        for name, size in {
            "total": 1, "patients": 1, "patients squared": 1, "claimed": arms, "meets": arms, "open": arms,
            "enrolled": arms, "enrolled squared": arms, "known": arms, "responders": arms, "estimate": arms,
            "outcome": len(OUTCOMES), "stop look": n_looks + 1, "took place": n_looks, "known at look": n_looks,
        }.items()
    }  # fmt: skip

    def watch(seen: Seen | Allocated) -> None:
        if isinstance(seen, Allocated):
            return
        p = probability(seen, rates)
        found["took place"][seen.look - 1] += p.sum()
        found["known at look"][seen.look - 1] += p @ counts(seen.batch.rows())[0].sum(axis=1)

    for ending in walk(design, when, watch, [smaller] if smaller else []):
        if smaller and (ending.enrolled >= smaller if ending.end.look else ending.enrolled != smaller):
            continue
        p, enrolled = probability(ending, rates), ending.batch.enrolled()
        known, successes = counts(ending.batch.rows())
        assert (enrolled.sum(axis=1) == ending.enrolled).all()
        found["total"] += p.sum()
        found["patients"] += p.sum() * ending.enrolled
        found["patients squared"] += p.sum() * ending.enrolled**2
        found["claimed"] += p @ ending.is_claimed
        found["meets"] += p @ ending.meets_efficacy
        found["open"] += p.sum() * np.array(ending.end.is_open)
        found["enrolled"] += p @ enrolled
        found["enrolled squared"] += p @ enrolled**2
        found["known"] += p @ known
        found["responders"] += p @ successes
        found["estimate"] += p @ ending.posterior.mean()
        found["outcome"] += np.bincount(ending.outcome, p, len(OUTCOMES))
        found["stop look"][ending.end.look] += p.sum()
    return found


# ---------------------------------------------------------------------------------------- by simulation


def observed(record: TrialRecord, higher_is_better: bool = True) -> Figures:
    """The same figures, one row for each simulated trial."""
    last, looks = record.looks[-1], record.looks[:-1]
    rows = len(record.outcome)

    def by_look(values: list[np.ndarray]) -> np.ndarray:
        return np.stack(values, axis=1).astype(float) if values else np.zeros((rows, 0))

    responders, estimate = last.arm_total, last.estimate
    if not higher_is_better:
        responders, estimate = last.arm_known - responders, 1 - estimate
    return {
        "total": np.ones((rows, 1)),
        "patients": last.n_enrolled[:, None].astype(float),
        "patients squared": last.n_enrolled[:, None].astype(float) ** 2,
        "claimed": last.is_claimed.astype(float),
        "meets": last.meets_efficacy.astype(float),
        "open": last.is_open.astype(float),
        "enrolled": last.arm_enrolled.astype(float),
        "enrolled squared": last.arm_enrolled.astype(float) ** 2,
        "known": last.arm_known.astype(float),
        "responders": responders,
        "estimate": estimate,
        "outcome": np.eye(len(OUTCOMES))[record.outcome],
        "stop look": np.eye(len(looks) + 1)[record.stop_look],
        "took place": by_look([look.took_place for look in looks]),
        "known at look": by_look([np.where(look.took_place, look.n_known, 0) for look in looks]),
    }


def simulated(case: Scenario, blocks: int, seed: int) -> tuple[Figures, Figures, int]:
    """Mean and standard deviation of the figures over simulated trials, and how many trials these are."""
    design = case.designs()["adaptive"]
    sums: Figures = {}
    squares: Figures = {}
    for block in range(blocks):
        cohort = case.population.draw(seed, block, BLOCK_SIZE, case.endpoints)
        potential = design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y"))
        for name, rows in observed(run(design, cohort, potential), case.endpoint.better == "higher").items():
            sums[name] = sums.get(name, 0.0) + rows.sum(axis=0)
            squares[name] = squares.get(name, 0.0) + (rows**2).sum(axis=0)
    trials = blocks * BLOCK_SIZE
    mean = {name: total / trials for name, total in sums.items()}
    sd = {name: np.sqrt(np.maximum(squares[name] / trials - mean[name] ** 2, 0.0)) for name in mean}
    return mean, sd, trials


YES_OR_NO = frozenset({"total", "claimed", "meets", "open", "outcome", "stop look", "took place"})


def standard_errors(case: Scenario, expected: Figures, mean: Figures, sd: Figures, trials: int) -> Figures:
    """By how many standard errors of the simulation each figure deviates from its expectation.

    One trial more or less counts for nothing: of what happens once in a million trials no standard error is known.
    """
    patients, deviations = case.population.patients, {}
    largest = dict.fromkeys([*YES_OR_NO, "estimate"], 1) | {"patients squared": patients**2}
    largest["enrolled squared"] = patients**2
    for name, found in mean.items():
        error = sd[name] / np.sqrt(trials)
        if name in YES_OR_NO:
            p = np.clip(expected[name], 0.0, 1.0)
            error = np.maximum(error, np.sqrt(p * (1 - p) / trials))
        one_trial = largest.get(name, patients) / trials
        beyond = np.maximum(np.abs(found - expected[name]) - one_trial - 1e-9, 0.0)
        deviations[name] = np.sign(found - expected[name]) * beyond / np.maximum(error, 1e-12)
    return deviations


# --------------------------------------------------------------------------------- patient by patient


class Chance:
    """Takes every path of a random experiment in turn, each with its probability.

    The experiment is run again and again; whenever it asks which of several things happens, the answer is the one
    that the path says.
    """

    def __init__(self) -> None:
        self._path: list[list[Any]] = []
        self._at = 0
        self.probability = 1.0

    def choose(self, probabilities: Sequence[float]) -> int:
        """Return the index of what happens; what has probability 0 does not."""
        if self._at == len(self._path):
            possible = [(index, p) for index, p in enumerate(probabilities) if p > 0]
            self._path.append([possible, 0])
        possible, chosen = self._path[self._at]
        index, p = possible[chosen]
        self._at += 1
        self.probability *= p
        return int(index)

    def paths(self, experiment: Callable[[], Any]) -> Any:
        """Yield (probability, result) for every path."""
        while True:
            self._at, self.probability = 0, 1.0
            result = experiment()
            yield self.probability, result
            while self._path and self._path[-1][1] == len(self._path[-1][0]) - 1:
                self._path.pop()
            if not self._path:
                return
            self._path[-1][1] += 1


class Asking:
    """What a patient turns out to be, asked for when it is needed."""

    def __init__(self, answer: Callable[[int], Any]) -> None:
        self._answer = answer

    def __getitem__(self, index: int) -> Any:
        return self._answer(index)


class Lists(simulator.Randomiser):
    """Deals arms along every possible randomisation list."""

    def __init__(self, chance: Chance, plan: Plan, chances: list[float]) -> None:
        self.chance = chance
        self.left: list[tuple[float, list[int]]] = []
        """What may be left of the block, with probabilities."""
        super().__init__(plan, None, chances)  # type: ignore[arg-type]

    def change(self, chances: list[float]) -> None:
        super().change(chances)
        self.left = []

    def deal(self, patient: int) -> int:
        if self.plan.block == 0:
            return self.chance.choose(self.chances)
        if not self.left or not self.left[0][1]:
            self.left = lists(tuple(self.chances), min(self.plan.block, self.plan.patients - patient))
        arms = range(self.plan.n_arms)
        together = [[p * left.count(arm) / len(left) for p, left in self.left] for arm in arms]
        arm = self.chance.choose([sum(shares) for shares in together])
        known = sum(together[arm])
        self.left = [
            (share / known, _without(arm, left))
            for share, (_, left) in zip(together[arm], self.left, strict=True)
            if share > 0
        ]
        return arm


@cache
def lists(chances: tuple[float, ...], size: int) -> list[tuple[float, list[int]]]:
    """The arms of a block, with probabilities: those at the places (i + u) / size, for u between two corners."""
    ends = np.cumsum(chances)
    ends[max(arm for arm, p in enumerate(chances) if p > 0) :] = 1.0
    reach = np.where(np.abs(ends * size - np.round(ends * size)) < 1e-12, np.round(ends * size), ends * size)
    found = []
    for low, high in pairwise(sorted({0.0, 1.0, *(reach % 1).tolist()})):
        places = np.arange(size) + (low + high) / 2
        found.append((high - low, (reach <= places[:, None]).sum(axis=1).tolist()))
    return found


@cache
def projected(weights: tuple[tuple[int, float], ...], *bounds: float) -> dict[int, float]:
    """The reference's projection, remembered: the same states come up on many paths."""
    return PROJECTED(dict(weights), *bounds)


PROJECTED = simulator.projected


def _without(arm: int, arms: list[int]) -> list[int]:
    """Return a list with one arm less."""
    rest = arms.copy()
    rest.remove(arm)
    return rest


class ExactBeta:
    """Beta posteriors of whole-number parameters, in rational arithmetic where the margin is 0."""

    def __init__(self, parameters: list[tuple[int, int]]) -> None:
        self.parameters = parameters

    def mean(self) -> list[float]:
        return [a / (a + b) for a, b in self.parameters]

    def better(self, arm: int, than: int, by: float) -> float:
        one, other = self.parameters[arm], self.parameters[than]
        return beta_best(one, (other,)) if by == 0 else beta_better(one, other, by)

    def best(self, among: list[int]) -> dict[int, float]:
        others = {arm: tuple(sorted(self.parameters[a] for a in among if a != arm)) for arm in among}
        return {arm: beta_best(self.parameters[arm], others[arm]) for arm in among}


@cache
def beta_best(one: tuple[int, int], others: tuple[tuple[int, int], ...]) -> float:
    """P(one > all others): the integral of a polynomial, term by term."""
    a, b = one
    terms = {(a - 1, b - 1): Fraction(1, beta_function(a, b).numerator) * beta_function(a, b).denominator}
    for alpha, beta in others:  # a Beta cdf is the upper tail of a binomial distribution
        n = alpha + beta - 1
        grown: dict[tuple[int, int], Fraction] = {}
        for (p, q), weight in terms.items():
            for j in range(alpha, n + 1):
                key = p + j, q + n - j
                grown[key] = grown.get(key, Fraction(0)) + weight * comb(n, j)
        terms = grown
    return float(sum(weight * beta_function(p + 1, q + 1) for (p, q), weight in terms.items()))


@cache
def beta_function(a: int, b: int) -> Fraction:
    """B(a, b) of whole numbers."""
    return Fraction(1, a * comb(a + b - 1, a))


def enumerated(case: Scenario) -> Figures:
    """The figures by the reference simulator on every possible list, outcome and loss of every patient.

    One patient a month, and the calendar begins a month before the first.
    """
    plan, rates, chance = simulator.plan_of(case), oriented(case), Chance()
    month, model = case.endpoint.assessed_at_month, case.analysis["y"]
    higher = case.endpoint.better == "higher"
    priors = []
    for arm in case.arms:
        prior = model.arm_priors.get(arm, model.prior)
        pair = (int(prior.alpha), int(prior.beta))
        priors.append(pair if higher else pair[::-1])
    dropout = case.population.dropout
    lost = 1 - (1 - dropout.proportion) ** (month / dropout.by_month) if dropout else 0.0

    def fit(known: list[Known], n_arms: int) -> ExactBeta:
        parameters = list(priors)
        for outcome in known:
            a, b = parameters[outcome.arm]
            parameters[outcome.arm] = (a + int(outcome.value), b + 1 - int(outcome.value))
        return ExactBeta(parameters)

    def one_trial() -> simulator.Trial:
        drops: dict[int, bool] = {}

        def is_lost(patient: int) -> bool:
            if patient not in drops:
                drops[patient] = bool(chance.choose([1 - lost, lost]))
            return drops[patient]

        day = [(n + 1) * DAYS_PER_MONTH for n in range(plan.patients)]
        due = [(n + 1 + month) * DAYS_PER_MONTH for n in range(plan.patients)]
        patients = Patients(
            enrolled_at=day,
            dropout_at=Asking(lambda n: (day[n] + due[n]) / 2 if is_lost(n) else np.inf),  # type: ignore[arg-type]
            u_arm=(),
            u_block=(),
            covariate=[0.0] * plan.patients,
            levels=[],
            value=Asking(  # type: ignore[arg-type]
                lambda _: Asking(lambda arm: float(chance.choose([1 - rates[arm], rates[arm]])))
            ),
            known_at=Asking(lambda n: [np.inf if is_lost(n) else due[n]]),  # type: ignore[arg-type]
        )
        trial = simulator._Trial(plan, patients, fit)
        everybody = list(range(plan.n_arms))
        trial.dealt_from = everybody
        trial.randomiser = Lists(chance, plan, trial._chances(everybody))
        return trial.run()

    found: Figures = {}
    with patch.object(simulator, "projected", lambda weights, *bounds: projected(tuple(weights.items()), *bounds)):
        for p, trial in chance.paths(one_trial):
            for name, value in _figures_of(trial, plan).items():
                found[name] = found.get(name, 0.0) + p * value
    return found


def _figures_of(trial: simulator.Trial, plan: Plan) -> Figures:
    final, patients = trial.final, float(len([arm for arm in trial.arm if arm >= 0]))
    took_place, known = np.zeros((2, plan.n_looks))
    for seen in trial.looks:
        took_place[seen.number - 1], known[seen.number - 1] = 1.0, seen.n_known
    enrolled = np.array(final.arm_enrolled, float)
    return {
        "total": np.ones(1),
        "patients": np.array([patients]),
        "patients squared": np.array([patients**2]),
        "claimed": np.array(final.is_claimed, float),
        "meets": np.array(final.meets_efficacy, float),
        "open": np.array(final.is_open, float),
        "enrolled": enrolled,
        "enrolled squared": enrolled**2,
        "known": np.array(final.arm_known, float),
        "responders": np.array(final.arm_total),
        "estimate": np.array(final.estimate),
        "outcome": np.eye(len(OUTCOMES))[OUTCOMES.index(trial.outcome)],
        "stop look": np.eye(plan.n_looks + 1)[trial.stop_look],
        "took place": took_place,
        "known at look": known,
    }
