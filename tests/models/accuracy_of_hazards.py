"""Data sets whose decision lies near the threshold, and how the stored references were made.

``python -m tests.models.accuracy_of_hazards`` computes the references anew and writes `data/accuracy_weibull.json` and
`data/accuracy_piecewise_exponential.json`; it takes some minutes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sps_adaptive.models import PiecewiseExponential, Weibull
from tests.models.follow_ups import END, dense_piecewise, dense_weibull, setting, snapshot, weibull_trials

THRESHOLD = 0.975
SHARE = 0.4
"""Prevalence of the second level of the covariate."""


class Case(NamedTuple):
    """Data sets of one size, and what the model says of them."""

    model: str
    arm: np.ndarray
    months: np.ndarray
    event: np.ndarray
    x: np.ndarray | None
    probability: np.ndarray
    normal: np.ndarray
    """What a normal distribution with the posterior means and standard deviations of the log hazards says."""
    cuts: tuple[float, ...]


@cache
def case(
    model: str, seed: int, patients: int, drawn: int, kept: int, covariate: bool = False, cuts: tuple[float, ...] = ()
) -> Case:
    """The data sets of `drawn` whose probability is nearest to the threshold."""
    rng = np.random.default_rng(seed)
    ratio = 0.35 if patients < 40 else 0.5
    level = (rng.random((drawn, patients)) < SHARE).astype(int)
    shape = rng.choice([0.6, 1.0, 1.6], drawn)
    x = level - SHARE if covariate else None
    arm, months, event = weibull_trials(rng, drawn, patients, np.log([0.11, 0.11 * ratio]), shape, x, 0.8)
    names: Any = {"covariates": ("g",)} if covariate else {}
    part = (
        Weibull(kind="weibull", **names)
        if model == "weibull"
        else PiecewiseExponential(kind="piecewise_exponential", cuts=list(cuts), **names)
    )
    trial = setting(factors={"g": {"no": 1 - SHARE, "yes": SHARE}})
    found = part.bind(trial).fit(snapshot(arm, months, event, strata=level[..., None]))
    probability = found.prob_better(0)[:, 1]
    order = np.argsort(np.abs(probability - THRESHOLD), kind="stable")[:kept]
    from scipy.special import ndtr

    mean, sd = np.diff(found.mean()[order], axis=1)[:, 0], np.sqrt((found.sd()[order] ** 2).sum(axis=1))
    return Case(
        model, arm[order], months[order], event[order], None if x is None else x[order], probability[order],
        ndtr(mean / sd), cuts,
    )  # fmt: skip


def reference(of: Case, place: int) -> float:
    """The probability by dense sums."""
    data = of.arm[place], of.months[place], of.event[place]
    x = None if of.x is None else of.x[place]
    if of.model == "weibull":
        return dense_weibull(*data, x=x, points=1601 if x is None else 1201)
    return dense_piecewise(*data, list(of.cuts), x=x, points=41 if x is None else 31)


INPUTS: dict[str, list[dict[str, Any]]] = {
    "weibull": [
        {"model": "weibull", "seed": 1, "patients": 24, "drawn": 3000, "kept": 150},
        {"model": "weibull", "seed": 2, "patients": 60, "drawn": 3000, "kept": 150},
        {"model": "weibull", "seed": 3, "patients": 24, "drawn": 1000, "kept": 20, "covariate": True},
        {"model": "weibull", "seed": 4, "patients": 60, "drawn": 1000, "kept": 20, "covariate": True},
    ],
    "piecewise_exponential": [
        {"model": "piecewise_exponential", "seed": 1, "patients": 24, "drawn": 3000, "kept": 150, "cuts": (4, 8)},
        {"model": "piecewise_exponential", "seed": 2, "patients": 60, "drawn": 3000, "kept": 150, "cuts": (4, 8)},
        {
            "model": "piecewise_exponential", "seed": 3, "patients": 24, "drawn": 1000, "kept": 20, "cuts": (4, 8),
            "covariate": True,
        },
        {
            "model": "piecewise_exponential", "seed": 4, "patients": 60, "drawn": 1000, "kept": 20, "cuts": (4, 8),
            "covariate": True,
        },
    ],
}  # fmt: skip


def main() -> None:
    """Compute the references and write them."""
    for model, inputs in INPUTS.items():
        cases = []
        for each in inputs:
            found = case(**each)
            expected = np.array([reference(found, place) for place in range(len(found.arm))])
            error, rough = found.probability - expected, found.normal - expected
            cases.append(
                {
                    "inputs": each,
                    "largest_error": float(np.abs(error).max()),
                    "rms_error": float(np.sqrt((error**2).mean())),
                    "flips": int(((found.probability > THRESHOLD) != (expected > THRESHOLD)).sum()),
                    "normal_largest_error": float(np.abs(rough).max()),
                    "normal_flips": int(((found.normal > THRESHOLD) != (expected > THRESHOLD)).sum()),
                    "reference": [float(value) for value in expected],
                }
            )
            print(model, {key: value for key, value in cases[-1].items() if key != "reference"}, flush=True)
        text = {
            "source": "dense sums over all parameters, tests/models/follow_ups.py; data sets drawn from the seed",
            "threshold": THRESHOLD,
            "follow_up_months": END,
            "numpy": np.__version__,
            "cases": cases,
        }
        file = Path(__file__).parent / "data" / f"accuracy_{model}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
