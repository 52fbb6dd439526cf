"""An event-driven trial against a simulator that takes one patient and one event at a time.

The simulator knows nothing of arrays: a queue of dated events, hazards, and sums of days at risk. It finds the days of
the looks, who was enrolled, on which arm, what was known and how long everybody had been followed; its analysis is the
conjugate one, by the binomial distribution.
"""

from __future__ import annotations

import heapq
from math import exp, inf, lgamma, log, log1p
from typing import NamedTuple

import numpy as np
import pytest

from sps_adaptive.block import draw, run_designs
from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.spec import parse_scenario
from sps_adaptive.timeline import cut, followed, pick

SCENARIO = """
title: Relapse after withdrawal
arms: {{placebo: {{control: true}}, low: {{}}, high: {{}}}}
population:
  patients: 48
  accrual: {{kind: poisson, patients_per_month: 2}}
  dropout: {{kind: exponential, proportion: 0.2, by_month: 12}}
endpoints: {{relapse: {{kind: time_to_event, better: {better}, follow_up_months: 9}}}}
analysis: {{relapse: {{kind: weibull, shape: 1}}}}
looks: {{kind: events, at: [6, 12, 18]}}
allocation: {{kind: equal, realisation: independent}}
decisions:
  - {{kind: drop_arm, probability: 0.2}}
  - {{kind: efficacy, probability: 0.95}}
truths:
  only: {{relapse: {{placebo: 0.6, low: {{hazard_ratio: 0.8}}, high: {{hazard_ratio: 0.4}}}}}}
"""
END, ARMS, REPLICATES = 9.0, 3, 150
HAZARDS = [-log(0.4) / 9 * ratio for ratio in (1.0, 0.8, 0.4)]


class Look(NamedTuple):
    day: float
    enrolled: list[int]
    known: list[int]
    events: list[int]
    followed: list[float]
    """Days, by arm."""
    better: list[float]
    is_open: list[bool]


def beta_below(a: int, b: int, x: float) -> float:
    """P(Beta(a, b) <= x) of whole numbers: at least a of a + b - 1 coins fall right."""
    n = a + b - 1
    each = (
        exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(x) + (n - k) * log1p(-x))
        for k in range(a, n + 1)
    )
    return sum(each)


def slow(cohort, r: int, harms: bool) -> tuple[list[Look], list[int], bool]:
    """One trial: its looks (the final analysis last), who got which arm, and whether it stopped at a look."""
    queue: list[tuple[float, int, str, int]] = []
    for n, day in enumerate(cohort.enrolled_at[r]):
        heapq.heappush(queue, (float(day), 0, "enrol", n))
    open_arms, arm, seen, left, came, n_events = [0, 1, 2], {}, {}, {}, {}, 0
    counts, looks, stopped, enrolling, day = [6, 12, 18], [], False, True, 0.0

    def analyse(final: bool) -> None:
        nonlocal stopped, enrolling
        followed_days, events = [0.0] * ARMS, [0] * ARMS
        for n, a in arm.items():
            until = min(seen[n][0] if n in seen else day, left.get(n, day))
            followed_days[a] += until - came[n]
            events[a] += n in seen and seen[n][1]
        known = [sum(arm[n] == a for n in seen) for a in range(ARMS)]
        rate = [END + d / DAYS_PER_MONTH for d in followed_days]
        better = [0.0] * ARMS
        for a in (1, 2):
            lower = beta_below(events[a] + 1, events[0] + 1, rate[a] / (rate[a] + rate[0]))
            better[a] = lower if harms else 1 - lower
        enrolled = [sum(each == a for each in arm.values()) for a in range(ARMS)]
        if not final:
            for a in (1, 2):
                if a in open_arms and better[a] < 0.2:
                    open_arms.remove(a)
            if any(better[a] > 0.95 for a in open_arms if a) or open_arms == [0]:
                stopped, enrolling = True, False
        looks.append(Look(day, enrolled, known, events, followed_days, better, [a in open_arms for a in range(ARMS)]))

    while queue:
        day, _, what, n = heapq.heappop(queue)
        if what == "enrol" and enrolling:
            arm[n] = open_arms[int(cohort.u_arm[r, n] * len(open_arms))]
            came[n] = day
            time = -log1p(-float(cohort.u_outcome["relapse"][r, n, 0])) / HAZARDS[arm[n]]
            heapq.heappush(queue, (day + min(time, END) * DAYS_PER_MONTH, 1, "event" if time <= END else "end", n))
            heapq.heappush(queue, (float(cohort.dropout_at[r, n]), 2, "leave", n))
        elif what in ("event", "end") and n not in left:
            seen[n] = (day, what == "event")
            n_events += what == "event"
            waiting = len(arm) - len(seen) - len([m for m in left if m not in seen])
            over = waiting == 0 and (not enrolling or len(arm) == cohort.enrolled_at.shape[1])
            if what == "event" and counts and n_events == counts[0] and not stopped and not over:
                counts.pop(0)
                analyse(final=False)
        elif what == "leave" and n in arm and n not in seen and day < inf:
            left[n] = day
    day = max([each[0] for each in seen.values()] + list(left.values()))
    analyse(final=True)
    return looks, [arm.get(n, -1) for n in range(cohort.enrolled_at.shape[1])], stopped


@pytest.fixture(scope="module", params=["lower", "higher"])
def both(request):
    scenario = parse_scenario(SCENARIO.format(better=request.param))
    cohort = draw(scenario, 0).only(slice(REPLICATES))
    record = run_designs(scenario, "only", cohort)["adaptive"]
    return cohort, record, [slow(cohort, r, request.param == "lower") for r in range(REPLICATES)], request.param


def test_looks_are_on_the_same_days_and_see_the_same(both):
    _, record, trials, _ = both
    for r in range(REPLICATES):
        looks, _, _ = trials[r]
        fast = [look for look in record.looks if look.took_place[r]]
        assert len(fast) == len(looks)
        for mine, theirs in zip(looks, fast, strict=True):
            assert theirs.day[r] == pytest.approx(mine.day, abs=1e-9)
            assert theirs.arm_enrolled[r].tolist() == mine.enrolled
            assert theirs.arm_known[r].tolist() == mine.known
            assert theirs.arm_total[r].tolist() == mine.events
            np.testing.assert_allclose(theirs.prob_better[r], mine.better, atol=1e-10)
        for mine, theirs in zip(looks[:-1], fast[:-1], strict=True):
            assert theirs.is_open[r].tolist() == mine.is_open
    assert len({len(looks) for looks, _, _ in trials}) > 1


def test_everybody_gets_the_same_arm_and_the_trial_ends_alike(both):
    _, record, trials, _ = both
    for r, (_, arm, stopped) in enumerate(trials):
        assert record.arm[r].tolist() == arm
        assert (record.stop_look[r] > 0) == stopped
    assert 0 < sum(stopped for _, _, stopped in trials) < REPLICATES
    assert any(not all(look.is_open) for looks, _, _ in trials for look in looks)


def test_everybody_has_been_followed_as_long(both):
    cohort, record, trials, _ = both
    outcome = pick(record.potential, np.maximum(record.arm, 0))
    for number, fast in enumerate(record.looks[:-1]):
        day = np.where(fast.took_place, fast.day, -np.inf)
        enrolled = np.where(cohort.enrolled_at <= day[:, None], record.arm, -1)
        seen = cut(day, cohort, np.maximum(record.arm, 0), outcome, ARMS)
        days = followed(day, cohort, np.where(seen.arm >= 0, enrolled, -1), outcome)
        for r in np.flatnonzero(fast.took_place):
            mine = [days[r][enrolled[r] == a].sum() for a in range(ARMS)]
            np.testing.assert_allclose(mine, trials[r][0][number].followed, rtol=1e-12, atol=1e-9)
