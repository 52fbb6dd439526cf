"""Trials whose decision lies near the threshold, and how the stored references were made.

``python -m tests.models.accuracy_of_mmrm`` computes the references anew and writes `data/accuracy_mmrm.json`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from sps_adaptive.models import Mmrm
from tests.models.visits import by_paths, regressions, setting, snapshot, trials

THRESHOLD = 0.975
PRIOR = {"sd": 1.0, "correlation": 0.5, "sd_patients": 2.0}


class Case(NamedTuple):
    """Trials of one size, and what the model says of them."""

    arm: np.ndarray
    value: np.ndarray
    x: np.ndarray
    probability: np.ndarray
    normal: np.ndarray
    """What a normal distribution with the posterior mean and standard deviation of the difference says."""


@cache
def case(seed: int, patients: int, visits: int, drawn: int, kept: int) -> Case:
    """The trials of `drawn` whose probability is nearest to the threshold."""
    rng = np.random.default_rng(seed)
    arm, value, x = trials(rng, drawn, patients, visits, effect=0.5 if patients < 40 else 0.35)
    found = Mmrm(kind="mmrm", **PRIOR).bind(setting()).fit(snapshot(arm, value, x))
    probability = found._above(2, 0, 0.0)
    order = np.argsort(np.abs(probability - THRESHOLD), kind="stable")[:kept]
    gap = found.difference(0, 0.5)[order, 2, 0]
    normal = ndtr(gap / found._sd(2, 0)[order])
    return Case(arm[order], value[order], x[order], probability[order], normal)


def expected(of: Case, place: int) -> float:
    """The probability from design matrices and 131,072 paths of the difference through the visits."""
    prior = PRIOR | {"mean": 0.0, "patients": 0.0, "slope_patients": 1.0}
    return by_paths(regressions(of.arm[place], of.value[place], of.x[place], **prior), 2, 0)


INPUTS: list[dict[str, Any]] = [
    {"seed": number, "patients": patients, "visits": visits, "drawn": 3000, "kept": 100 if visits < 6 else 50}
    for number, (patients, visits) in enumerate(((24, 3), (60, 3), (24, 4), (60, 4), (24, 6), (60, 6)), start=1)
]


def main() -> None:
    """Compute the references and write them."""
    cases = []
    for each in INPUTS:
        found = case(**each)
        right = np.array([expected(found, place) for place in range(len(found.arm))])
        error, rough = found.probability - right, found.normal - right
        cases.append(
            {
                "inputs": each,
                "largest_error": float(np.abs(error).max()),
                "rms_error": float(np.sqrt((error**2).mean())),
                "flips": int(((found.probability > THRESHOLD) != (right > THRESHOLD)).sum()),
                "normal_largest_error": float(np.abs(rough).max()),
                "normal_flips": int(((found.normal > THRESHOLD) != (right > THRESHOLD)).sum()),
                "reference": [float(value) for value in right],
            }
        )
        print({key: value for key, value in cases[-1].items() if key != "reference"}, flush=True)
    text = {
        "source": "131,072 Sobol paths through the visits, tests/models/visits.py; trials drawn from the seed",
        "threshold": THRESHOLD,
        "numpy": np.__version__,
        "cases": cases,
    }
    file = Path(__file__).parent / "data" / "accuracy_mmrm.json"
    file.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
