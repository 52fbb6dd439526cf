"""Which engine: sums over all paths where they are possible and quick, simulation everywhere else."""

from __future__ import annotations

from typing import NamedTuple

from sps_adaptive.decisions import DecisionKind
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.budget import Budget, Cost, cost, duration, size
from sps_adaptive.exact.calendar import missing_probability, reasons_against
from sps_adaptive.scenario import Scenario
from sps_adaptive.schedules import NoLooks, ScheduleKind, Several
from sps_adaptive.schedules.counts import AtCounts

AUTO = Budget(bytes=2e9, seconds=60.0)
"""What the engine `auto` may spend before it simulates instead."""


class Choice(NamedTuple):
    """The engine for a scenario."""

    exact: bool
    why: str
    """One sentence without a full stop: what the exact computation takes, or why there is none."""
    cost: Cost | None
    """What an exact computation takes; None where there can be none."""


def choose(scenario: Scenario, budget: Budget = AUTO) -> Choice:
    """Return the engine that a scenario asks for.

    Parameters
    ----------
    scenario
        The scenario; with `engine: auto` the choice is made here.
    budget
        What an exact computation may take.

    Raises
    ------
    UsageError
        If the scenario asks for exact figures and there can be none, or not within the budget.
    """
    wanted = scenario.simulation.engine
    if wanted == "simulate":
        return Choice(False, "simulated, as the scenario asks", None)
    if against := reasons_against(scenario):
        if wanted == "exact":
            raise UsageError(
                f"this trial cannot be computed exactly: {'; '.join(against)}",
                "draw trials instead: sps-adaptive simulate, with engine: simulate",
            )
        return Choice(False, f"simulated: {against[0]}", None)
    try:
        predicted = cost(scenario)
    except UsageError as error:
        if wanted == "exact":
            raise
        return Choice(False, f"simulated: {error.message}", None)
    if predicted.fits(budget):
        return Choice(True, f"exact: {predicted.words()}", predicted)
    if wanted == "exact":
        raise UsageError(
            f"this trial is too large to compute exactly: {predicted.words()}, and the budget is {size(budget.bytes)} "
            f"and {duration(budget.seconds)}",
            too_large(scenario, budget),
        )
    return Choice(False, f"simulated: exact figures would take {predicted.words()}", predicted)


def too_large(scenario: Scenario, budget: Budget) -> str:
    """Return what would fit into a budget: fewer patients, with everything else as it is."""
    fits = largest_that_fits(scenario, budget)
    smaller = f"up to {fits} patients would fit, with the same looks; or " if fits else ""
    ways = ["allow more memory or time"]
    if getattr(scenario.allocation, "realisation", "quota") == "independent":
        ways.append("take quotas instead of independent draws")
    if missing_probability(scenario):
        ways.append("leave the dropouts out, which multiply the states")
    return f"{smaller}{', '.join(ways)}, or draw trials instead"


def largest_that_fits(scenario: Scenario, budget: Budget) -> int:
    """Return the largest number of patients that fits into a budget, 0 if none does; later looks are left out."""
    low, high = 0, scenario.population.patients
    while high - low > 1:
        middle = (low + high) // 2
        smaller = with_patients(scenario, middle)
        try:
            fits = smaller is not None and cost(smaller).fits(budget)
        except UsageError:
            fits = False
        low, high = (middle, high) if fits else (low, middle)
    return low


def with_patients(scenario: Scenario, patients: int) -> Scenario | None:
    """Return the same trial with another number of patients; None if it has no place for its first look.

    A series of looks goes on as far as there are patients, and a rule for the final analysis only remains one.
    """
    looks = _looks_before(scenario.looks, patients)
    if looks is None:
        return None
    n_looks = looks.n_looks(patients)
    decisions = [_for_looks(rule, scenario.n_looks, n_looks) for rule in scenario.decisions]
    population = scenario.population.model_copy(update={"patients": patients})
    return scenario.model_copy(update={"population": population, "looks": looks, "decisions": decisions})


def _looks_before(looks: ScheduleKind, patients: int) -> ScheduleKind | None:
    """Return the looks that a smaller trial has a place for; None if it has none, and the trial should have some."""
    if isinstance(looks, NoLooks):
        return looks
    if looks.minimum_assessed is not None and looks.minimum_assessed >= patients:
        return None
    if isinstance(looks, Several):
        members = [_looks_before(each, patients) for each in looks.of]
        left = [each for each in members if each is not None]
        return looks.model_copy(update={"of": left}) if left else None
    if isinstance(looks, AtCounts):
        at = [count for count in looks.counts(patients) if count < patients]
        return looks.model_copy(update={"at": at, "first": None, "every": None, "last": None}) if at else None
    return looks


def _for_looks(rule: DecisionKind, before: int, after: int) -> DecisionKind:
    """Return a rule for another number of looks."""
    changes: dict[str, object] = {}
    if rule.at_final and rule.from_look > before:
        changes["from_look"] = after + 1
    if isinstance(rule.probability, list):
        looks = (
            [*rule.probability[:before], *[rule.probability[before - 1]] * (after - before)][:after] if before else []
        )
        changes["probability"] = [*looks, *rule.probability[before:]]
    return rule.model_copy(update=changes)
