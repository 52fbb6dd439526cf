"""Figures of a design in which the control may change: exact and simulated, and those that only it has."""

from __future__ import annotations

import pytest

from sps_adaptive import compute_exact, simulate
from tests.exact.helpers import scenario

RULES = [
    {"kind": "drop_arm", "probability": 0.06},
    {"kind": "promote", "probability": 0.9},
    {"kind": "equivalence", "margin": 0.3, "probability": 0.75},
]
CASE = scenario(
    16,
    (0.3, 0.8, 0.7),
    {"kind": "enrolled", "first": 6, "every": 4},
    {"kind": "thompson", "power": 0.5, "control_share": 0.4},
    RULES,
    month=1,
)
KEYS = ["truth", "design", "metric", "arm", "look"]


def by_key(characteristics):
    frame = characteristics.astype({key: str for key in KEYS[:4]})
    return frame.set_index(KEYS).sort_index()


def test_every_figure_of_both_engines_agrees():
    """A hundred figures: the largest deviation is below four standard errors."""
    exact = by_key(compute_exact(CASE).characteristics)
    simulated = by_key(simulate(CASE.with_simulation(replicates=4000, seed=5)).characteristics)
    simulated = simulated[
        (simulated.mcse > 0) & ~simulated.index.get_level_values("metric").str.contains("_q|_min|_max")
    ]
    together = simulated.index.intersection(exact.index)
    assert len(together) >= 100
    deviation = (exact.estimate[together] - simulated.estimate[together]).abs() / simulated.mcse[together]
    assert deviation.max() < 4, deviation.nlargest(5)


@pytest.mark.parametrize("engine", ["exact", "simulate"])
def test_it_can_stop_for_equivalence(engine):
    result = compute_exact(CASE) if engine == "exact" else simulate(CASE.with_simulation(replicates=2000))
    frame = by_key(result.characteristics).estimate
    stops = frame["truth", "adaptive", "stop_equivalence"]
    assert 0.01 < stops["", 0] < 0.5
    assert stops["", 0] == pytest.approx(sum(stops["", look] for look in (1, 2, 3)))
    reasons = [
        frame["truth", "adaptive", f"stop_{reason}", "", 0] for reason in ("efficacy", "futility", "equivalence")
    ]
    assert sum(reasons) == pytest.approx(frame["truth", "adaptive", "stop_early", "", 0])
