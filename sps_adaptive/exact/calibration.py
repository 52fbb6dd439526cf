"""The smallest threshold whose type I error, whatever the response rates, is certain not to exceed a level."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import NamedTuple

import numpy as np

from sps_adaptive.arrays import TIE
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.bernstein import Supremum
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.certificate import Certificate, Certifier, Null, nulls, why_not
from sps_adaptive.exact.recursion import walk
from sps_adaptive.exact.scores import Collector, Scores, claims_only_at_end, efficacy_rule
from sps_adaptive.scenario import Scenario

WIDTHS = (1e-10, 1e-8, 1e-6)
"""How close the largest error is bounded with one, two and three free response rates; it decides between thresholds."""

STEP = 1e-6
"""How close a threshold is found where each needs a pass over all paths."""


class Calibration(NamedTuple):
    """A threshold for the posterior probability of being better."""

    threshold: float
    """The smallest: the largest probability that must not be claimed yet."""
    written: float
    """The shortest number that gives the same claims, for the scenario file."""
    level: float
    upper: float
    """The largest error with this threshold is at most this."""
    lower: float
    """The largest error found."""
    null: str
    """Where it was found."""
    rates: tuple[float, ...]
    """At which response rates, one for each group of arms, in the good direction."""
    next_threshold: float = float("nan")
    """The next smaller threshold with other claims; NaN where there is none, or it was not looked for."""
    next_upper: float = float("nan")
    """The largest error with it, above the level, is at most this."""


def calibrate(scenario: Scenario, level: float) -> Calibration:
    """Return the smallest threshold whose certified largest error is at most a level.

    The error is the familywise error over every region that `certificate.nulls` names. Where the rule speaks only at
    the final analysis, larger thresholds only take claims away, and bisection over the probabilities that occur finds
    the smallest. Where it may stop the trial, each threshold has paths of its own: bisection then stops at `STEP`,
    takes for granted that errors fall as the threshold rises, and certifies what it returns. So too where a rule on the
    predictive probability of success may stop it, since the threshold says what success is. Where rules do not bind,
    the errors are those of the trial in which nobody follows them.

    Raises
    ------
    UsageError
        If there is no one rule to calibrate, no certificate, or no threshold that will do.
    """
    if not 0 < level < 1:
        raise UsageError(f"a level of {level:g}", "give a number between 0 and 1, such as 0.025")
    if reason := why_not(scenario):
        raise UsageError(f"no threshold can be found: {reason}")
    place, _ = efficacy_rule(scenario)
    if not claims_only_at_end(scenario):
        return _by_passes(scenario, place, level)
    design = designs(scenario)[scenario.strictest]
    regions = nulls(scenario)
    collectors = [Collector(null, design) for null in regions]
    for ending in walk(design, course(scenario)):
        for collector in collectors:
            collector.add(ending)
    return smallest_threshold(regions, [collector.scores() for collector in collectors], level)


def smallest_threshold(regions: Sequence[Null], scores: Sequence[Scores], level: float) -> Calibration:
    """Return the smallest threshold from the scores of the final states in each region."""
    candidates = np.unique(np.concatenate([each.score for each in scores]))[::-1]
    if len(candidates) == 0:
        raise UsageError("no arm could ever be declared effective", "look at the decisions with check")
    distinct = candidates[np.append(True, np.diff(candidates) < -TIE)]  # the largest of each set of ties

    def largest(number: int, place: int) -> Supremum:
        null, each = regions[number], scores[number]
        claimed = int(np.searchsorted(-each.score, -(float(distinct[place]) + TIE), side="left"))
        return each.largest_error(null, claimed, WIDTHS[len(null.groups) - 1])

    allowed = len(distinct) - 1  # one region after the other: what the next one takes away is rarely much
    for number in range(len(regions)):
        if largest(number, allowed).upper <= level:
            continue
        low, high = 0, allowed  # with the first nothing is claimed
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if largest(number, middle).upper <= level else (low, middle)
        allowed = low
    bounds = [largest(number, allowed) for number in range(len(regions))]
    number = max(range(len(regions)), key=lambda each: bounds[each].lower)
    upper = max(bound.upper for bound in bounds)
    threshold = float(distinct[allowed])
    above = float(distinct[allowed - 1]) if allowed else 1.0
    beyond = allowed + 1 < len(distinct)
    return Calibration(
        threshold,
        shortest(threshold, above - 2 * TIE),
        level,
        upper,
        bounds[number].lower,
        regions[number].name,
        bounds[number].at,
        float(distinct[allowed + 1]) if beyond else float("nan"),
        max(largest(number, allowed + 1).upper for number in range(len(regions))) if beyond else float("nan"),
    )


def shortest(low: float, high: float) -> float:
    """Return the number with the fewest decimals in [low, high); `low` itself if there is no shorter one."""
    for decimals in range(1, 16):
        scale = 10.0**decimals
        number = round(-floor(-low * scale) / scale, decimals)
        if low <= number < high:
            return number
    return low


def digits(width: float) -> int:
    """Return how many decimals a width stands for."""
    return max(0, -floor(log10(width)))


def with_threshold(scenario: Scenario, place: int, threshold: float) -> Scenario:
    """Return the scenario with another threshold in one of its rules; a shape keeps its form and ends there."""
    rules = list(scenario.decisions)
    rule = rules[place]
    assert isinstance(rule, Crossing)
    rules[place] = rule.with_final(threshold)
    return scenario.model_copy(update={"decisions": rules})


def _by_passes(scenario: Scenario, place: int, level: float) -> Calibration:
    if isinstance(efficacy_rule(scenario)[1].probability, list):
        raise UsageError(
            "thresholds by look cannot be found: there is more than one number to move",
            "give the efficacy rule one number or a shape, or let it speak at the final analysis only (from_look)",
        )

    def worst(threshold: float) -> Certificate:
        case = with_threshold(scenario, place, threshold)
        design = designs(case)[case.strictest]
        certifier = Certifier(case, design)
        for ending in walk(design, course(case, design)):
            certifier.add(ending)
        found = certifier.certificates()
        if {each.null for each in found} != {null.name for null in nulls(case)}:
            raise UsageError("the largest error can be certified for fewer patients only", "use fewer patients or arms")
        return max(found, key=lambda each: each.upper)

    steps = digits(STEP)
    low, high = LOWEST_STEPS, 10**steps
    best = None
    while high - low > 1:
        middle = (low + high) // 2
        found = worst(round(middle * STEP, steps))
        if found.upper <= level:
            high, best = middle, found
        else:
            low = middle
    if best is None:
        raise UsageError(
            f"no threshold below 1 keeps the largest error at {level:g}", "look at what the trial claims at its looks"
        )
    threshold = round(high * STEP, steps)
    null = next(null for null in nulls(scenario) if null.name == best.null)
    own = [best.rates[scenario.arm_names[group[0]]] for group in null.groups]
    rates = tuple(rate if scenario.endpoint.better == "higher" else 1 - rate for rate in own)
    return Calibration(threshold, threshold, level, best.upper, best.lower, best.null, rates)


LOWEST_STEPS = round(0.5 / STEP)
"""Thresholds below one half are not considered."""
