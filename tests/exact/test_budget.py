"""Predictions of what an exact computation takes: states, memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import comb
from pathlib import Path
from typing import Any

import pytest

from sps_adaptive.errors import UsageError
from sps_adaptive.exact.budget import Budget, Cost, amount, closed_form, cost, cost_of, duration, size
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.layout import compositions, layer
from sps_adaptive.exact.recursion import Allocated, Seen, walk
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import scenario

INDEPENDENT = {"kind": "thompson", "power": 1, "realisation": "independent"}
TS = {"kind": "thompson", "floor": 0.1}
EFFICACY = {"kind": "efficacy", "probability": 0.95}
FUTILITY = {"kind": "futility", "probability": 0.1}
DROP = {"kind": "drop_arm", "probability": 0.1}


def looks(first: int, every: int, kind: str = "enrolled") -> dict[str, Any]:
    return {"kind": kind, "first": first, "every": every}


# --------------------------------------------------------------------------------------------------- states


@pytest.mark.parametrize("arms", [2, 3, 4])
@pytest.mark.parametrize("total", [0, 1, 5, 12])
@pytest.mark.parametrize("thinned", [False, True])
def test_the_closed_form_counts_all_states(arms, total, thinned):
    assert closed_form(total, arms, thinned) == layer(compositions(total, arms), total, thinned).size
    kinds = (3 if thinned else 2) * arms
    assert closed_form(total, arms, thinned) == comb(total + kinds - 1, kinds - 1)


@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize("lost", [0, 0.2])
def test_every_cell_of_independent_draws_can_be_reached(arms, lost):
    case = scenario(15, (0.3, 0.5, 0.6)[:arms], looks(4, 5), INDEPENDENT, [], month=2 if lost else 0, lost=lost)
    design = case.designs()["adaptive"]
    when = course(case, design)
    known = [*(look.settled for look in when.looks), when.patients]
    assert cost_of(case, design).states == sum(closed_form(each, arms, lost > 0) for each in known)


@pytest.mark.parametrize(
    ("arms", "allocation", "month"),
    [
        (2, TS | {"block": 4}, 0),
        (2, {"kind": "equal", "block": 2}, 0),
        (2, {"kind": "fixed", "ratio": {"arm 0": 1, "arm 1": 2}, "block": 3}, 0),
        (3, TS | {"floor": 0.25, "block": 3}, 0),
        (2, INDEPENDENT, 3),
    ],
)
def test_at_least_the_states_that_are_there(arms, allocation, month):
    """Where nothing stops, exactly the cells that a block can make, or a few more that only other floors would."""
    case = scenario(22, (0.3, 0.5, 0.6)[:arms], looks(6, 5), allocation, [], month=month)
    design = case.designs()["adaptive"]
    seen: dict[int, int] = {}

    def watch(states: Seen | Allocated) -> None:
        if isinstance(states, Allocated):
            return
        seen[states.look] = seen.get(states.look, 0) + states.batch.size

    at_the_end = sum(len(ending.weight) for ending in walk(design, course(case, design), watch))
    counted = sum(seen.values()) + at_the_end
    predicted = cost_of(case, design).states
    assert counted <= predicted
    if not design.allocation.learns or month:
        assert counted == predicted


# --------------------------------------------------------------------------------------------------- memory

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "a few large layers": ((60, (0.3, 0.5, 0.6), looks(24, 12), TS, [EFFICACY, FUTILITY]), {}),
    "losses, large cells": ((44, (0.3, 0.5), looks(20, 12), TS, [EFFICACY, FUTILITY]), {"month": 3, "lost": 0.1}),
    "large tables": ((420, (0.3, 0.5), {"kind": "none"}, {"kind": "equal", "block": 2}, [EFFICACY]), {}),
    "many looks": ((110, (0.3, 0.5), looks(12, 1), TS | {"block": 2}, [EFFICACY, FUTILITY]), {}),
    "delay, three arms": ((36, (0.3, 0.5, 0.6), looks(12, 8), TS, [EFFICACY, FUTILITY]), {"month": 4}),
    "closing arms": ((44, (0.3, 0.5, 0.6), looks(12, 11), TS, [EFFICACY | {"then": "close_arm"}, DROP]), {}),
    "predictive": (
        (90, (0.3, 0.5), {"kind": "enrolled", "at": [30, 60]}, TS,
         [{"kind": "predictive", "probability": 0.1}, EFFICACY | {"from_look": 3}]),
        {},
    ),
    "success of a separate trial": (
        (70, (0.3, 0.5), looks(20, 10), TS,
         [{"kind": "predictive_success", "horizon": "future", "patients_per_arm": 150, "final_probability": 0.975,
           "probability": 0.1}, EFFICACY | {"from_look": 6}]),
        {},
    ),
    "four arms": ((28, (0.3, 0.5, 0.6, 0.3), looks(12, 8), TS, [EFFICACY, FUTILITY]), {}),
}  # fmt: skip

MEASURE = """
import json, sys, time
from pathlib import Path
from sps_adaptive.characteristics.exact import exact_characteristics
from sps_adaptive.scenario import Scenario

def peak():  # not that of getrusage, which begins with that of the parent
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

small, large = (Scenario.model_validate(each) for each in json.load(sys.stdin))
exact_characteristics(small)  # compiles
before, started = peak(), time.process_time()
exact_characteristics(large)
print(json.dumps({"before": before, "after": peak(), "seconds": time.process_time() - started}))
"""

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read where Linux tells it")


def measured(case: Scenario) -> dict[str, float]:
    """What a process takes, once the code is compiled."""
    arms, month = len(case.arms), case.endpoint.assessed_at_month
    lost = 0.1 if case.population.dropout else 0
    rules = [rule.model_dump(mode="json") | {"from_look": 1} for rule in case.decisions]
    small = scenario(
        10, (0.3,) * arms, looks(5, 4), case.allocation.model_dump(mode="json"), rules, month=min(month, 1), lost=lost
    )
    given = json.dumps([each.model_dump(mode="json") for each in (small, case)])
    one_core = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=given, capture_output=True, text=True, check=True,
        env=os.environ | one_core, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return json.loads(done.stdout)


def within_the_prediction(name: str) -> None:
    arguments, options = CASES[name]
    case = scenario(*arguments, **options)
    predicted, found = cost(case), measured(case)
    assert found["after"] <= predicted.bytes
    assert found["after"] - found["before"] <= predicted.bytes - 2.9e8  # without the libraries
    assert predicted.bytes < 4 * found["after"]


@linux
@pytest.mark.parametrize("name", ["losses, large cells", "large tables"])
def test_memory_is_an_upper_bound(name):
    within_the_prediction(name)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_memory_is_an_upper_bound_everywhere(name):
    within_the_prediction(name)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_time_is_right_within_a_factor_of_four(name):
    """The words of the prediction say three; the rest is the machine."""
    arguments, options = CASES[name]
    case = scenario(*arguments, **options)
    ratio = cost(case).seconds / measured(case)["seconds"]
    assert 1 / 4 < ratio < 4


# ------------------------------------------------------------------------------------------------ comparison


def test_more_of_everything_costs_more():
    def predicted(patients: int = 30, rates=(0.3, 0.5), every: int = 6, rules=(EFFICACY,), **more: Any) -> Cost:
        return cost(scenario(patients, rates, looks(6, every), INDEPENDENT, list(rules), **more))

    base = predicted()
    assert base.states > 0
    for other in (
        predicted(patients=40),
        predicted(rates=(0.3, 0.5, 0.5)),
        predicted(every=3),
        predicted(month=2),
        predicted(month=2, lost=0.1),
    ):
        assert other.states > base.states or other.seconds > base.seconds
        assert other.bytes >= base.bytes
    three = predicted(rates=(0.3, 0.5, 0.5))
    assert predicted(rates=(0.3, 0.5, 0.5), rules=(EFFICACY, DROP)).states > three.states


def test_predictive_rules_cost_their_tables():
    rules = [{"kind": "predictive", "probability": 0.1}, EFFICACY | {"from_look": 2}]
    at = {"kind": "enrolled", "at": [60]}
    plain, asked = (cost(scenario(120, (0.3, 0.5), at, TS, each)) for each in (rules[1:], rules))
    assert asked.states == plain.states
    assert asked.bytes > plain.bytes + 1e8
    assert asked.seconds > plain.seconds + 1


def test_predicted_success_costs_its_steps():
    future = {"horizon": "future", "patients_per_arm": 300, "final_probability": 0.975}
    end, given = EFFICACY | {"from_look": 11}, (120, (0.3, 0.5), looks(20, 10), TS)
    rules = [[end], *([{"kind": "predictive_success", "probability": 0.1} | each, end] for each in (
        {"horizon": "current"}, {"horizon": "maximum"}, future))]  # fmt: skip
    none, current, maximum, separate = (cost(scenario(*given, each)) for each in rules)
    assert none.seconds < current.seconds < maximum.seconds < none.seconds + 5
    assert 60 > separate.seconds > 10 and separate.bytes > none.bytes + 4e7  # measured: 35 seconds


def test_both_designs_count():
    case = scenario(30, (0.3, 0.5), looks(6, 6), TS, [EFFICACY])
    parts = [cost_of(case, design) for design in case.designs().values()]
    whole = cost(case)
    assert whole.states == sum(part.states for part in parts)
    assert whole.seconds == pytest.approx(sum(part.seconds for part in parts))
    assert whole.bytes == max(part.bytes for part in parts)


def test_a_budget():
    case = Cost(1e6, 5e8, 10.0)
    assert case.fits(Budget())
    assert not case.fits(Budget(bytes=4e8))
    assert not case.fits(Budget(seconds=9.0))


def test_too_many_ways_to_deal():
    case = scenario(200, (0.3, 0.5, 0.6, 0.3), looks(10, 180), INDEPENDENT, [EFFICACY])
    with pytest.raises(UsageError, match="180 patients dealt between two looks to 4 arms"):
        cost(case)


# ---------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (12, "12"), (123456, "123,456"), (2.5e6, "2.5 million"), (1.234e10, "12.3 billion"),
     (7e13, "70 trillion")],
)  # fmt: skip
def test_states_in_words(number, words):
    assert amount(number) == words


def test_bytes_and_seconds_in_words():
    assert size(3e8) == "300 MB"
    assert size(2e9) == "2.0 GB"
    assert size(1.5e12) == "1,500.0 GB"
    assert [duration(each) for each in (0.01, 1.4, 89, 120, 5000, 7200)] == [
        "1 s", "1 s", "89 s", "2 min", "83 min", "2 h",
    ]  # fmt: skip
    assert Cost(1234.0, 3e8, 2.0).words() == "1,234 states, 300 MB, about 2 s"


def test_a_prediction_takes_no_time_to_speak_of():
    """It is asked for before every run: the largest trials are refused by their closed forms."""
    case = scenario(300, (0.3, 0.5, 0.6), looks(20, 20), INDEPENDENT, [EFFICACY, DROP])
    assert cost(case).states > 1e9
    assert cost(case).seconds > 600
