"""How large an exact computation would be, before it is begun."""

from __future__ import annotations

from itertools import pairwise
from math import comb, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.decisions import Equivalence, Predictive, PredictiveSuccess
from sps_adaptive.decisions.rule import Rule
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.binding import is_conditional
from sps_adaptive.exact.calendar import Course, course
from sps_adaptive.exact.certificate import nulls
from sps_adaptive.exact.layout import Layer, grown, layer, n_rows
from sps_adaptive.exact.posterior import priors_of
from sps_adaptive.exact.recursion import BATCH, path_of
from sps_adaptive.exact.stages import Point, Stage, stage, ways
from sps_adaptive.posteriors.beta import TABLE_BYTES, distinct, quadrature, states_of_prior
from sps_adaptive.scenario import Scenario

if TYPE_CHECKING:
    from jaxtyping import Int

    from sps_adaptive.contracts import Array, DecisionRule, Design

BYTES = 8
"""Of a weight."""

OVERHEAD_BYTES = 400_000_000
"""Of the libraries and the compiled code, and of compiling it, in the first run of a machine."""

BATCH_BYTES = {"state": 100, "arm": 280, "truth": 40}
"""What a state of a batch at work takes: by itself, for each arm, and for each truth."""

MOST_TABLES = 6
"""Tables of the posterior that are kept, one for each margin that is asked for (`posteriors.beta.beta_table`)."""

MOST_CANDIDATES = 300_000
"""Cells are counted one by one where there are fewer candidates; otherwise by the closed form, which counts all."""

MOST_STATES = 2e8
"""Of layers with more states than this only the closed form is taken: they are too large, however many are reached."""

NANOSECONDS = {
    "state": 45.0, "look": 140.0, "move": 1.3, "end": 180.0, "truth": 70.0, "table": 3.0, "pull": 5.0,
    "step": 1.0,
}  # fmt: skip
"""Measured on one core: to find the posterior and the allocation in a state of three arms, to ask the rules, to move a
state to one neighbour, to judge a final state, and to weigh it in a truth; to fill a byte of a table of the posterior,
to add a term to a predictive probability, and to add one to an integral that finds predicted success."""

START_SECONDS = 0.06
"""What every design takes."""


class Budget(NamedTuple):
    """What an exact computation may take."""

    bytes: float = 2e9
    seconds: float = 60.0


class Cost(NamedTuple):
    """What an exact computation is predicted to take."""

    states: float
    """States in all layers together."""
    bytes: float
    """Memory at the largest layer: an upper bound."""
    seconds: float
    """Time on one core, to within a factor of three or so."""

    def fits(self, budget: Budget) -> bool:
        """Return whether it is within a budget."""
        return self.bytes <= budget.bytes and self.seconds <= budget.seconds

    def words(self) -> str:
        """Return the figures for a person."""
        return f"{amount(self.states)} states, {size(self.bytes)}, about {duration(self.seconds)}"


def amount(states: float) -> str:
    """Return a large number in words."""
    for limit, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if states >= limit:
            return f"{states / limit:.3g} {name}"
    return f"{states:,.0f}"


def size(number: float) -> str:
    """Return bytes in words."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.0f} h"


def cost(scenario: Scenario) -> Cost:
    r"""Return what the exact operating characteristics of a scenario and its benchmark are predicted to take.

    The number of states is that of the closed form - :math:`\binom{t + 2A - 1}{2A - 1}` for t patients on A arms,
    :math:`\binom{t + 3A - 1}{3A - 1}` where patients can be lost - but for cells that cannot be reached.
    """
    costs = [cost_of(scenario, design) for design in scenario.designs().values()]
    return Cost(
        sum(each.states for each in costs), max(each.bytes for each in costs), sum(each.seconds for each in costs)
    )


def cost_of(scenario: Scenario, design: Design) -> Cost:
    """Return what one design of a scenario is predicted to take."""
    plan = course(scenario, design)
    path, arms, thinned = path_of(plan), len(design.arms), plan.missing > 0
    standings = _standings(scenario, arms) if plan.looks else 1
    states, most, work = 0.0, 0.0, 0.0
    before: Layer | float = layer(np.zeros((1, arms)), 0, thinned)
    for k in range(len(path) - 1):
        ahead = stage_or_refuse(design, plan, path, k)
        after = _after(before, ahead, k, design, thinned)
        here, there = _size(before), _size(after)
        live = 1 if k == 0 else standings
        begin, end = len(ways(path[k].waiting, arms)) * here * live, ahead.ways_after * there * standings
        states += there * standings
        most = max(most, (begin + 2 * end + 2 * ahead.how.key_counts.size) * BYTES)  # those reached are copied
        spread = ahead.how.key_counts.shape[0] if len(ahead.how.block) == 0 else min(arms ** len(ahead.how.block), 200)
        spread = min(spread, _ways_to_deal(ahead, arms))
        patients = path[k + 1].settled - path[k].settled
        work += here * live * (NANOSECONDS["state"] + NANOSECONDS["look"] * bool(design.decisions)) * (arms / 3) ** 3
        work += begin * spread * NANOSECONDS["move"] * (2 + patients + (patients**2 / 2 if thinned else 0))
        before = after
    final = _size(before) * standings
    ended = final + states * bool(plan.looks) * len(design.decisions) / 4
    work += ended * (NANOSECONDS["end"] + NANOSECONDS["truth"] * len(scenario.truths))
    work /= standings**0.5  # most states are reached with few of them
    tables, (predicted, terms) = table_bytes(scenario, design), predictive_cost(design, plan, standings)
    separate, steps = success_cost(design, plan, standings)
    work += NANOSECONDS["table"] * (tables + separate) + NANOSECONDS["pull"] * terms + NANOSECONDS["step"] * steps
    most += certificate_bytes(scenario, plan) + batch_bytes(scenario, plan) + tables + separate + predicted
    return Cost(states, most + OVERHEAD_BYTES, START_SECONDS + work * 1e-9)


def batch_bytes(scenario: Scenario, plan: Course) -> float:
    """Return the memory for a batch at work: at least one cell, however large."""
    arms = len(scenario.arms)
    cell = prod(float(n_rows((plan.patients + arm) // arms, plan.missing > 0)) for arm in range(arms))
    each = BATCH_BYTES["state"] + BATCH_BYTES["arm"] * arms + BATCH_BYTES["truth"] * len(scenario.truths)
    return max(BATCH, cell) * each


def table_bytes(scenario: Scenario, design: Design) -> float:
    """Return the memory for the tables of the posterior: a table for each margin of a rule, and each true effect."""
    priors = distinct(priors_of(design))
    margins = {0.0, *(rule.by for _, rule in scenario.rules() if isinstance(rule, Crossing))}
    margins |= {-rule.by for _, rule in scenario.rules() if isinstance(rule, Equivalence)}
    for truth in scenario.truths.values():
        rates = list(truth.of(scenario.endpoint_name).items())
        numbers = {arm: rate for arm, rate in rates if not isinstance(rate, dict)}
        control = numbers.get(scenario.arm_names[design.control], 0.0)
        margins |= {rate - control for arm, rate in numbers.items() if arm != scenario.arm_names[design.control]}
    nodes = len(quadrature(priors, design.patients).point)
    return 2.0 * BYTES * nodes * len(priors) * states_of_prior(design.patients) * min(len(margins), MOST_TABLES)


def predictive_cost(design: Design, plan: Course, standings: int) -> tuple[float, float]:
    """Return the memory for predictive probabilities and the number of their terms; 0 where no rule asks for them."""
    if not any(isinstance(leaf, Predictive) for rule in design.decisions for leaf in _leaves(rule)):
        return 0.0, 0.0
    arms, known = len(design.arms), [*(look.settled for look in plan.looks), plan.patients]
    sizes = [closed_form(total, arms, False) for total in known]
    steps = [(before + 1.0) * (after - before + 1) for before, after in pairwise(known)]
    kinds = len(distinct(priors_of(design)))
    gained = 3 * kinds * max([step**2 for step in steps], default=0.0)
    terms = sum(
        size * closed_form(after - before, arms, False)
        for size, (before, after) in zip(sizes, pairwise(known), strict=False)
    )
    return (sum(sizes) * arms * standings + gained) * BYTES, terms * standings


def success_cost(design: Design, plan: Course, standings: int) -> tuple[float, float]:
    """Return the memory for tables of separate trials, and the terms of all steps that find predicted success.

    At each look a walk of as many steps as there are patients to come, for each pair of states of an arm and the
    control; each step is an integral.
    """
    arms, kinds = len(design.arms), distinct(priors_of(design))
    rules = [leaf for rule in design.decisions for leaf in _leaves(rule) if isinstance(leaf, PredictiveSuccess)]
    memory, terms = 0.0, 0.0
    for rule in rules:
        future = rule.patients_per_arm
        most = plan.patients if future is None else future
        nodes = len(quadrature(kinds, most).point)
        if future is not None:
            memory += min(2.0 * BYTES * nodes * len(kinds) * states_of_prior(most), TABLE_BYTES)
        for look in plan.looks:
            if rule.heard_at(look.k + 1):
                pairs = min(closed_form(look.settled, arms, False), float(comb(look.settled + 4, 4)))
                to_come = 2.0 * (plan.patients - look.enrolled) / arms if rule.horizon == "maximum" else 0.0
                to_come += 2.0 * (future or 0)
                terms += pairs * (arms - 1) * (to_come + 1) * nodes
    return memory, terms * standings


def _leaves(rule: DecisionRule) -> list[object]:
    return [leaf for _, leaf in rule.leaves()] if isinstance(rule, Rule) else [rule]


def certificate_bytes(scenario: Scenario, plan: Course) -> float:
    """Return the memory for the weights of wrong claims, by patients and responders of each group of arms."""
    early = any(
        rule.effect in ("claim", "promote") and not is_conditional(rule)
        for _, rule in scenario.rules()
        if rule.from_look <= scenario.n_looks
    )
    totals = [*(look.enrolled for look in plan.looks if early), plan.patients]
    numbers = 0.0
    for null in nulls(scenario):
        kinds = 2 * len(null.groups)
        numbers += sum(comb(total + kinds - (plan.missing == 0), kinds - (plan.missing == 0)) for total in totals)
    return numbers * BYTES


def stage_or_refuse(design: Design, plan: Course, path: list[Point], k: int) -> Stage:
    """Return a stage, unless the ways to deal its patients alone are too many to list."""
    arms = len(design.arms)
    begin, end = path[k], path[k + 1]
    dealt = end.enrolled - begin.enrolled
    parts = max(1, len(end.waiting) + 1)
    keys = float((dealt / parts + 1) ** ((arms - 1) * parts))
    if keys > 4e6 or any((length + 1) ** (arms - 1) > 1e6 for length in end.waiting):
        raise UsageError(
            f"{dealt} patients dealt between two looks to {arms} arms, {sum(end.waiting)} of them still pending at the "
            "second, can fall in too many ways to sum over",
            "use fewer patients, more looks or a shorter delay; or simulate",
        )
    return stage(arms, path, k, design.allocation.block_length(arms), plan.patients)


def _ways_to_deal(ahead: Stage, arms: int) -> int:
    patients = ahead.end.enrolled - ahead.begin.enrolled
    return comb(patients + arms - 1, arms - 1) * max(1, ahead.ways_after)


def _standings(scenario: Scenario, arms: int) -> int:
    """Return how many sets of open and claimed arms, and of the arm that is the control, there can be at a look."""
    rules = [rule for _, rule in scenario.rules()]
    drops = any(rule.effect == "close" for rule in rules)
    closes = any(rule.effect == "claim" and not rule.stops for rule in rules)
    promotes = any(rule.effect == "promote" for rule in rules)
    control_too = any(getattr(rule, "control_too", False) for rule in rules)
    ways = 1 + drops + closes  # open; closed; declared effective and closed
    first = ways ** (arms - 1 + control_too)
    # With another control the first is closed, and arms that were the control in between are declared effective.
    return int(first + promotes * (arms - 1) * (ways + (not closes)) ** max(arms - 2, 0))


def _size(where: Layer | float) -> float:
    return where.size if isinstance(where, Layer) else where


def _after(before: Layer | float, ahead: Stage, k: int, design: Design, thinned: bool) -> Layer | float:
    arms = len(design.arms)
    everything = closed_form(ahead.end.settled, arms, thinned)
    if not isinstance(before, Layer) or (design.allocation.learns and everything > MOST_STATES):
        return everything
    start = None
    if k == 0 or not design.allocation.learns:
        start = design.allocation.start(np.ones((1, arms), bool), design.control)
    steps = ahead.steps((True,) * arms, start)
    if len(before.cells) * len(steps) > MOST_CANDIDATES:
        return everything
    cells: Int[Array, "C A"] = grown(before.cells, steps)
    return layer(cells, ahead.end.settled, thinned)


def closed_form(total: int, arms: int, thinned: bool) -> float:
    """Return the number of states of a layer with all its cells."""
    kinds = (3 if thinned else 2) * arms
    return float(comb(total + kinds - 1, kinds - 1))
