"""The engine's record of a trial beside the reference's, entry by entry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from sps_adaptive import block
from sps_adaptive.contracts import Cohort, Design, Potential
from sps_adaptive.scenario import Scenario
from sps_adaptive.tables import OUTCOMES, STOP_REASONS, TrialRecord
from sps_adaptive.trial import run
from tests.reference import posterior
from tests.reference.simulator import Patients, Plan, Seen, Trial, plan_of, simulate

PROBABILITY = 1e-6
"""Largest difference of two probabilities: that of the engine's quadratures, with room."""
JOINT = 1e-5
"""The same for being best among four or more arms that share a variance: the engine errs by up to 3e-6 there."""
CLOSE_CALL = 1e-7
"""A verdict may differ only where a probability is so near to its threshold. None is expected."""


class Case(NamedTuple):
    """A scenario with its first truth and some replicates."""

    scenario: Scenario
    design: Design
    plan: Plan
    cohort: Cohort
    potential: Potential


@cache
def parse(text: str) -> Scenario:
    from sps_adaptive.spec import parse_scenario

    return parse_scenario(text)


def rows(cohort: Cohort, chosen: slice) -> Cohort:
    """The cohort of some of the replicates."""
    return cohort.only(chosen)


def case(text: str, replicates: int, name: str = "adaptive") -> Case:
    scenario = parse(text)
    design = scenario.designs()[name]
    cohort = rows(block.draw(scenario, 0), slice(replicates))
    truth = scenario.truth(next(iter(scenario.truths))).of(design.endpoint_name)
    potential = design.endpoint.potential(cohort, design.endpoint_name, design.arms, truth)
    return Case(scenario, design, plan_of(scenario, name), cohort, potential)


def by_reference(case: Case, replicate: int, fit: Any = None) -> Trial:
    """The replicate as the reference runs it; `fit`: with another analysis than its own."""
    fit = fit or posterior.fit_of(case.scenario)
    return simulate(case.plan, Patients.row(case.cohort, case.potential, replicate), fit)


def by_engine(case: Case) -> TrialRecord:
    return run(case.design, case.cohort, case.potential)


def differences(case: Case, record: TrialRecord, replicate: int, trial: Trial) -> list[str]:
    """What the two say differently about one trial, in the order in which it happened."""
    return list(_differences(case, record, replicate, trial))


def _differences(case: Case, record: TrialRecord, r: int, trial: Trial) -> Iterator[str]:
    took_place = [bool(look.took_place[r]) for look in record.looks]
    expected = [seen.number for seen in trial.looks] + [trial.final.number]
    numbers = [index + 1 for index, yes in enumerate(took_place) if yes]
    if numbers != expected:
        yield f"looks that took place: {numbers}, reference {expected}"
    for seen in [*trial.looks, trial.final]:
        if took_place[seen.number - 1]:
            for found in _look_differences(case, record.looks[seen.number - 1], r, seen):
                yield f"look {seen.number}: {found}"
    arms = record.arm[r].tolist()
    if arms != trial.arm:
        first = next(i for i, (a, b) in enumerate(zip(arms, trial.arm, strict=True)) if a != b)
        yield f"arms differ from patient {first} on: {arms[first]}, reference {trial.arm[first]}"
    for name, ours, theirs in (
        ("outcome", OUTCOMES[record.outcome[r]], trial.outcome),
        ("stop", STOP_REASONS[record.stop[r]], trial.stop),
        ("stop_look", int(record.stop_look[r]), trial.stop_look),
        ("selected", int(record.selected[r]), trial.selected),
        ("decision_day", float(record.decision_day[r]), trial.decision_day),
    ):
        if ours != theirs:
            yield f"{name}: {ours}, reference {theirs}"


def _look_differences(case: Case, look: Any, r: int, seen: Seen) -> Iterator[str]:
    for name in ("day", "n_enrolled", "n_known", "n_pending"):
        if getattr(look, name)[r] != getattr(seen, name):
            yield f"{name}: {getattr(look, name)[r]}, reference {getattr(seen, name)}"
    is_final = seen.number == case.plan.n_looks + 1
    if not is_final and STOP_REASONS[look.stop[r]] != seen.stop:
        yield f"stop: {STOP_REASONS[look.stop[r]]}, reference {seen.stop}"
    for name in ("arm_enrolled", "arm_known", "is_open", "is_claimed", "meets_efficacy"):
        if getattr(look, name)[r].tolist() != getattr(seen, name):
            yield f"{name}: {getattr(look, name)[r].tolist()}, reference {getattr(seen, name)}"
    if look.is_control[r].tolist() != [arm == seen.control for arm in range(case.plan.n_arms)]:
        yield f"control: {look.is_control[r].argmax()}, reference {seen.control}"
    endpoint, analysis = case.design.endpoint, case.scenario.analysis[case.design.endpoint_name]
    shares_variance = analysis.kind == "ancova" or getattr(analysis, "variance", "") == "common"
    best = JOINT if shares_variance and case.plan.n_arms > 3 else PROBABILITY
    if endpoint.kind == "binary":  # the natural total counts events
        total = [
            k if endpoint.better == "higher" else n - k for n, k in zip(seen.arm_known, seen.arm_total, strict=True)
        ]
    else:
        total = [endpoint.natural(t) for t in seen.arm_total]
    for name, theirs, tolerance in (
        ("arm_total", total, 1e-9),
        ("estimate", endpoint.natural(np.array(seen.estimate)).tolist(), 1e-9),
        ("prob_better", seen.prob_better, PROBABILITY),
        ("prob_best", seen.prob_best, best),
        ("allocation", seen.allocation, best),
    ):
        ours = getattr(look, name)[r].tolist()
        if not all(math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) for a, b in zip(ours, theirs, strict=True)):
            yield f"{name}: {ours}, reference {theirs}"
