"""How fast exact figures are: states a second, and simulation for the same accuracy. No time is asserted.

Trials of the size at which sums over all paths are a matter of seconds; figures of both designs, with certificates.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from sps_adaptive.block import draw
from sps_adaptive.characteristics.exact import exact_characteristics
from sps_adaptive.exact.backward import predictive
from sps_adaptive.exact.budget import cost
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.calibration import calibrate
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import walk
from sps_adaptive.exact.sizes import curve
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.trial import run

ACCURACY = 1e-4
"""Standard error of a proportion, of which simulation is asked; the exact figures have about 1e-12."""

ROUNDS = 3


def scenario(patients: int, arms: int, looks: dict[str, Any], allocation: dict[str, Any], **more: Any) -> Scenario:
    names = ["control", "a", "b", "c"][:arms]
    population: dict[str, Any] = {"patients": patients, "accrual": {"kind": "steady", "patients_per_month": 1}}
    if lost := more.pop("lost", 0):
        population["dropout"] = {"kind": "exponential", "proportion": lost, "by_month": more["month"]}
    return Scenario.model_validate(
        {
            "title": "benchmark",
            "arms": {name: {"control": name == "control"} for name in names},
            "population": population,
            "endpoints": {"y": {"kind": "binary", "better": "higher", "assessed_at_month": more.get("month", 0)}},
            "analysis": {"y": {"kind": "beta_binomial"}},
            "looks": looks,
            "allocation": allocation,
            "decisions": more.get("decisions")
            or [{"kind": "efficacy", "probability": 0.99}, {"kind": "futility", "probability": 0.1}],
            "truths": {"works": {"y": dict(zip(names, (0.3, 0.6, 0.3, 0.3), strict=False))}},
        }
    ).checked()


def every_patient(patients: int, arms: int, floor: float = 0.1) -> Scenario:
    """Twelve patients, and then a look after every patient; claims at the end."""
    rule = {"kind": "efficacy", "probability": 0.975, "from_look": patients - 11}
    return scenario(
        patients, arms, {"kind": "enrolled", "first": 12, "every": 1},
        {"kind": "thompson", "power": 1, "floor": floor, "block": arms}, decisions=[rule],
    )  # fmt: skip


TS = {"kind": "thompson", "floor": 0.1}
DESIGNS = {
    "2 arms, 60 patients, every patient": every_patient(60, 2),
    "2 arms, 120 patients, every patient": every_patient(120, 2),
    "2 arms, 120 patients, every 20": scenario(120, 2, {"kind": "enrolled", "first": 40, "every": 20}, TS),
    "2 arms, 48 patients, delay and losses": scenario(
        48, 2, {"kind": "enrolled", "at": [24, 32, 40]}, TS | {"floor": 0.25, "block": 4}, month=6, lost=0.1
    ),
    "3 arms, 30 patients, every patient": every_patient(30, 3),
    "3 arms, 60 patients, every 12": scenario(60, 3, {"kind": "enrolled", "first": 24, "every": 12}, TS),
    "4 arms, 28 patients, every 8": scenario(28, 4, {"kind": "enrolled", "first": 12, "every": 8}, TS),
}

every_design = pytest.mark.parametrize("name", DESIGNS)


@every_design
def test_states_a_second(benchmark: pytest.FixtureRequest, name: str) -> None:
    """The recursion alone: states of one design, from the opening to the final analysis."""
    case = DESIGNS[name]
    design = case.designs()["adaptive"]
    plan = course(case, design)
    states = 0

    def all_paths() -> None:
        nonlocal states
        states = 0
        for ending in walk(design, plan, watch):
            states += len(ending.weight)

    def watch(seen: Any) -> None:
        nonlocal states
        states += seen.batch.size

    all_paths()  # compile, and fill the tables of the posterior
    benchmark.pedantic(all_paths, rounds=ROUNDS)
    benchmark.extra_info["states"] = states
    benchmark.extra_info["million_states_per_second"] = round(states / benchmark.stats.stats.median / 1e6, 2)


@every_design
def test_characteristics(benchmark: pytest.FixtureRequest, name: str) -> None:
    """All figures of both designs, against what was predicted, and against simulation.

    The replicates for a standard error of 1e-4 of the power are p (1 - p) / 1e-8, some 25 million; the time of a block
    of trials of both designs, as simulated here without writing or summing up, is taken for all of them.
    """
    case = DESIGNS[name]
    frame = exact_characteristics(case)
    benchmark.pedantic(lambda: exact_characteristics(case), rounds=ROUNDS)
    seconds = benchmark.stats.stats.median
    predicted = cost(case)
    benchmark.extra_info["predicted_over_measured_seconds"] = round(predicted.seconds / seconds, 2)
    power = frame[(frame["design"] == "adaptive") & (frame["metric"] == "power_any")]["estimate"].iloc[0]
    replicates = power * (1 - power) / ACCURACY**2
    simulated_block(case, 0)
    started = time.perf_counter()
    for block in range(1, 4):
        simulated_block(case, block)
    each = (time.perf_counter() - started) / (3 * BLOCK_SIZE)
    benchmark.extra_info["replicates_for_1e-4"] = round(replicates)
    benchmark.extra_info["simulation_over_exact"] = round(replicates * each / seconds, 1)


def simulated_block(case: Scenario, block: int) -> None:
    """One block of trials of both designs."""
    cohort = draw(case, block)
    for design in case.designs().values():
        run(design, cohort, design.endpoint.potential(cohort, "y", design.arms, case.truth("works").of("y")))


@pytest.mark.parametrize(("patients", "arms"), [(60, 2), (30, 3)])
def test_calibration(benchmark: pytest.FixtureRequest, patients: int, arms: int) -> None:
    """The smallest threshold for an error of 0.025, certified for all response rates.

    Simulation would have to find the worst response rate too; here it is spared that, and given a standard error of a
    thousandth of the error at the one rate it tries.
    """
    case = every_patient(patients, arms)
    found = calibrate(case, 0.025)
    assert found.upper <= 0.025
    benchmark.pedantic(lambda: calibrate(case, 0.025), rounds=ROUNDS)
    benchmark.extra_info["threshold"] = found.threshold
    benchmark.extra_info["replicates_for_a_thousandth"] = round(0.975 / 0.025 * 1e6)


def test_size_curve(benchmark: pytest.FixtureRequest) -> None:
    """Power at 24, 26 ... 120 patients, each with a threshold of its own."""
    case = every_patient(24, 2, floor=0.25)
    benchmark.pedantic(lambda: curve(case, range(24, 121, 2), "works", level=0.025), rounds=1, warmup_rounds=0)
    benchmark.extra_info["seconds_per_size"] = round(benchmark.stats.stats.median / 49, 3)


@pytest.mark.parametrize(("patients", "arms", "every"), [(60, 2, 20), (60, 2, 1), (30, 3, 10)])
def test_predictive_probabilities(benchmark: pytest.FixtureRequest, patients: int, arms: int, every: int) -> None:
    """In all states of all looks."""
    first = 12 if every == 1 else every
    case = scenario(patients, arms, {"kind": "enrolled", "first": first, "every": every}, TS)
    design = case.designs()["adaptive"]
    plan = course(case, design)
    found = predictive(design, plan, (True,) * arms)
    benchmark.pedantic(lambda: predictive(design, plan, (True,) * arms), rounds=ROUNDS)
    benchmark.extra_info["states"] = sum(len(table.value) for table in found.values())


def test_rounding_of_the_exact_figures() -> None:
    """The speed is not bought with accuracy: the probabilities of all final states sum to one."""
    for case in DESIGNS.values():
        design, rates = case.designs()["adaptive"], np.array([0.3, 0.6, 0.3, 0.3])[: len(case.arms)]
        total = 0.0
        for ending in walk(design, course(case, design)):
            known, responders = counts(ending.batch.rows())
            total += float(ending.weight @ np.prod(rates**responders * (1 - rates) ** (known - responders), axis=1))
        assert abs(total - 1) < 1e-11
