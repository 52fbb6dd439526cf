"""Response-adaptive designs against figures that an independent prototype computed by summing over all paths.

Uniform priors; a burn-in of equal blocks with a patient of each arm, then (but for the last design) a look after every
patient; an arm is declared effective at the end alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from sps_adaptive.exact import recursion, stages
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Ending, walk
from tests.exact.helpers import probability, scenario


def endings(patients: int, rates: tuple[float, ...], burn_in: int, step: int, threshold: float, allocation: Any):
    """The final states of a design that claims at the end; `allocation`: of the scenario, or a rule made here."""
    n_looks = len(range(burn_in, patients, step))
    given = allocation if isinstance(allocation, dict) else {"kind": "equal", "block": len(rates)}
    case = scenario(
        patients,
        rates,
        {"kind": "enrolled", "first": burn_in, "every": step},
        given,
        [{"kind": "efficacy", "probability": threshold, "from_look": n_looks + 1}],
    )
    design = case.designs()["adaptive"]
    if given is not allocation:
        design = design._replace(allocation=allocation)
    return list(walk(design, course(case)))


def expectation(found: list[Ending], rates: Any, figure: Any) -> Any:
    return sum(probability(ending, np.array(rates)) @ figure(ending) for ending in found)


# ------------------------------------------------------------------------------------------- two arms

COIN = {"kind": "equal", "block": 2}
TS = {"kind": "thompson", "power": 1, "floor": 0.1, "block": 2}
TEMPERED = {"kind": "thompson", "power": "n/2N", "floor": 0.1, "block": 2}

TWO_ARMS = {  # power, patients on arm 1, P(fewer on arm 1 than on arm 0), bias of the rate of arm 1
    "24, coin": (24, COIN, 0.500213050, 12.0, 0.387207, 0.0),
    "24, Thompson": (24, TS, 0.427381705, 16.028691, 0.035339, -0.006261),
    "24, tempered": (24, TEMPERED, 0.473139568, 14.747417, 0.064822, -0.006945),
    "60, coin": (60, COIN, 0.888756376, 30.0, 0.442717, 0.0),
    "60, Thompson": (60, TS, 0.735620357, 47.863102, 0.004721, -0.001638),
    "60, tempered": (60, TEMPERED, 0.860405608, 42.356775, 0.006649, -0.002887),
}


@pytest.mark.parametrize(("patients", "allocation", "power", "n1", "wrong_way", "bias"), TWO_ARMS.values(),
                         ids=TWO_ARMS)  # fmt: skip
def test_two_arms(patients, allocation, power, n1, wrong_way, bias):
    rates = (0.3, 0.7)
    found = endings(patients, rates, 12, 1, 0.975, allocation)

    def rate(ending: Ending) -> np.ndarray:
        return counts(ending.batch.rows())[1][:, 1] / ending.batch.enrolled()[:, 1]

    def fewer(ending: Ending) -> np.ndarray:
        return ending.batch.enrolled()[:, 1] < ending.batch.enrolled()[:, 0]

    assert expectation(found, rates, lambda ending: ending.is_claimed[:, 1]) == pytest.approx(power, abs=1e-9)
    assert expectation(found, rates, lambda ending: ending.batch.enrolled()[:, 1]) == pytest.approx(n1, abs=1e-6)
    assert expectation(found, rates, fewer) == pytest.approx(wrong_way, abs=1e-6)
    assert expectation(found, rates, rate) - 0.7 == pytest.approx(bias, abs=1e-6)


# ----------------------------------------------------------------------------------------- three arms


class Mixed:
    """A tenth each, and seven tenths by the probability of being best; burn-in by blocks of three."""

    learns: ClassVar[bool] = True

    def start(self, is_open, control):
        return np.full(is_open.shape, 1 / 3)

    def probabilities(self, look):
        return 0.1 + 0.7 * look.posterior.prob_best(look.is_open)

    def block_length(self, n_arms):
        return 3


def any_claim(ending: Ending) -> np.ndarray:
    return ending.is_claimed.any(axis=1)


def largest_error(patients: int, burn_in: int, threshold: float, near: float) -> float:
    """The largest familywise error in the neighbourhood of a rate that all arms have in common."""
    found = endings(patients, (near,) * 3, burn_in, 1, threshold, Mixed())
    return max(expectation(found, (rate,) * 3, any_claim) for rate in np.linspace(near - 0.001, near + 0.001, 9))


@pytest.mark.parametrize(("threshold", "expected"), [(0.975, 0.0439789), (0.9875, 0.0214317)])
def test_three_arms_24_patients_familywise_error(threshold, expected):
    assert largest_error(24, 6, threshold, 0.764) == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("threshold", "rate", "expected"), [(0.975, 0.879, 0.0512625), (0.9875, 0.870, 0.0257159)])
def test_three_arms_60_patients_familywise_error(threshold, rate, expected):
    assert largest_error(60, 15, threshold, rate) == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
def test_three_arms_60_patients_power():
    null, works = (0.3, 0.3, 0.3), (0.3, 0.3, 0.7)
    found = endings(60, works, 15, 1, 0.985, Mixed())
    assert expectation(found, null, any_claim) == pytest.approx(0.015308, abs=1e-6)
    assert expectation(found, works, lambda ending: ending.is_claimed[:, 2]) == pytest.approx(0.601947, abs=1e-6)
    assert expectation(found, works, any_claim) == pytest.approx(0.602054, abs=1e-6)
    patients = expectation(found, works, lambda ending: ending.batch.enrolled())
    np.testing.assert_allclose(patients, (11.7434, 11.7434, 36.5132), rtol=0, atol=1e-4)


def test_three_arms_60_patients_looks_every_15(monkeypatch):
    """Blocks during the burn-in, independent draws between the looks."""

    def stage(arms: int, path: Any, k: int, block: int, patients: int) -> stages.Stage:
        return stages.stage(arms, path, k, block if k == 0 else 0, patients)

    monkeypatch.setattr(recursion, "stage", stage)
    null, works = (0.3, 0.3, 0.3), (0.3, 0.3, 0.7)
    found = endings(60, works, 15, 15, 0.985, Mixed())
    assert expectation(found, null, any_claim) == pytest.approx(0.0164505, abs=1e-7)
    assert expectation(found, works, lambda ending: ending.is_claimed[:, 2]) == pytest.approx(0.6169352, abs=1e-7)
