"""Response-adaptive designs against exact values, found by summing over every path (forward recursion).

Two arms, uniform priors, 6 patients each to begin with, then a look after every patient: the next one gets arm 1 with
probability P(theta_1 > theta_0) to a power, between 0.1 and 0.9. Arm 1 is declared effective at the end when that
probability exceeds 0.975. The exact figures come from an independent prototype, recomputed by the recursion below.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import binom

from tests.analytic.helpers import agree, pooled, records, scenario

RATES = (0.3, 0.7)


def better(n0: int, s0: int, n1: int, s1: int) -> float:
    """P(theta_1 > theta_0) for uniform priors, a finite sum where the parameters are whole numbers."""
    a0, b0, a1, b1 = 1 + s0, 1 + n0 - s0, 1 + s1, 1 + n1 - s1
    terms = (betaln(a0 + i, b0 + b1) - np.log(b1 + i) - betaln(1 + i, b1) - betaln(a0, b0) for i in range(a1))
    return float(sum(np.exp(term) for term in terms))


def exact(patients: int, power) -> dict[str, float]:
    """Sum over the states (n0, s0, n1, s1): probability of each, patient by patient."""
    p0, p1 = RATES
    start = {}
    for s0 in range(7):
        for s1 in range(7):
            start[6, s0, 6, s1] = binom.pmf(s0, 6, p0) * binom.pmf(s1, 6, p1)
    known: dict[tuple[int, ...], float] = {}

    def probability(state: tuple[int, ...]) -> float:
        if state not in known:
            known[state] = better(*state)
        return known[state]

    layer = start
    for so_far in range(12, patients):
        after: dict[tuple[int, ...], float] = {}
        for (n0, s0, n1, s1), mass in layer.items():
            best, c = probability((n0, s0, n1, s1)), power(so_far)
            q = best**c / (best**c + (1 - best) ** c)
            q = min(0.9, max(0.1, q))
            for state, weight in (
                ((n0, s0, n1 + 1, s1 + 1), q * p1),
                ((n0, s0, n1 + 1, s1), q * (1 - p1)),
                ((n0 + 1, s0 + 1, n1, s1), (1 - q) * p0),
                ((n0 + 1, s0, n1, s1), (1 - q) * (1 - p0)),
            ):
                after[state] = after.get(state, 0.0) + mass * weight
        layer = after
    return {
        "power": sum(mass for state, mass in layer.items() if probability(state) > 0.975),
        "n1": sum(mass * state[2] for state, mass in layer.items()),
        "wrong way": sum(mass for state, mass in layer.items() if state[2] < state[0]),
        "rate": sum(mass * state[3] / state[2] for state, mass in layer.items()),
    }


@pytest.mark.parametrize(
    ("power", "function", "printed"),
    [
        (1.0, lambda t: 1.0, (0.427381705, 16.028691, 0.035339, -0.006261)),
        ("n/2N", lambda t: t / 48, (0.473139568, 14.747417, 0.064822, -0.006945)),
    ],
    ids=["thompson", "tempered"],
)
def test_thompson_after_every_patient(power, function, printed) -> None:
    values = exact(24, function)
    assert values["power"] == pytest.approx(printed[0], abs=2e-9)
    assert values["n1"] == pytest.approx(printed[1], abs=1e-6)
    assert values["wrong way"] == pytest.approx(printed[2], abs=1e-6)
    assert values["rate"] - 0.7 == pytest.approx(printed[3], abs=1e-6)
    case = scenario(
        population=24,
        looks={"kind": "enrolled", "first": 12, "every": 1},
        allocation={"kind": "thompson", "power": power, "floor": 0.1, "ceiling": 0.9, "block": 2},
        decisions=[{"kind": "efficacy", "probability": [1.0] * 12 + [0.975]}],
        truths={"truth": {"y": {"control": RATES[0], "active": RATES[1]}}},
    )
    found = records(case, "truth", 20)
    last = [record.looks[-1] for record in found]
    agree(pooled(found, lambda record: record.looks[-1].is_claimed[:, 1]), values["power"])
    agree(pooled(found, lambda record: record.looks[-1].arm_enrolled[:, 1]), values["n1"])
    agree(pooled(found, lambda r: r.looks[-1].arm_enrolled[:, 1] < r.looks[-1].arm_enrolled[:, 0]), values["wrong way"])
    rate = np.concatenate([look.arm_total[:, 1] / look.arm_known[:, 1] for look in last])
    agree(rate, values["rate"])
