"""Tables made by hand: a scenario, and blocks that look as `simulate_block` would return them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sps_adaptive.scenario import Scenario

ARMS = ("placebo", "ivig", "mycophenolate")

TRUTHS: dict[str, Any] = {
    "null": {"placebo": 0.25, "ivig": 0.25, "mycophenolate": 0.25},
    "one works": {"placebo": 0.25, "ivig": 0.60, "mycophenolate": 0.25},
    "both work": {"placebo": 0.25, "ivig": 0.60, "mycophenolate": 0.60},
    "harm": {"placebo": 0.25, "ivig": 0.10, "mycophenolate": 0.20},
    "drift": {
        "placebo": {0: 0.45, 24: 0.25},
        "ivig": 0.60,
        "mycophenolate": {0: 0.45, 24: 0.25},
    },
}

PATIENTS = 40
N_LOOKS = 2


def scenario(margin: float = 0.0, better: str = "higher", truths: dict[str, Any] | None = None) -> Scenario:
    """Return a scenario of 40 patients, three arms and two looks."""
    return Scenario.model_validate(
        {
            "title": "made by hand",
            "arms": {"placebo": {"control": True}, "ivig": {}, "mycophenolate": {}},
            "population": {"patients": PATIENTS, "accrual": {"kind": "poisson", "patients_per_month": 1.25}},
            "endpoints": {"response": {"kind": "binary", "better": better, "assessed_at_month": 6}},
            "analysis": {"response": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}},
            "looks": {"kind": "enrolled", "first": 20, "every": 10, "last": 30},
            "allocation": {"kind": "equal"},
            "decisions": [
                {"kind": "efficacy", "margin": margin, "probability": 0.985},
                {"kind": "futility", "probability": 0.05},
            ],
            "truths": {name: {"response": values} for name, values in (truths or TRUTHS).items()},
        }
    )


def random_tables(seed: int, replicates: int = 50, first: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Return tables of both designs, random but consistent: arms add up, looks are in order, claims stay."""
    parts = [_random_design(np.random.default_rng([seed, code]), code, replicates, first) for code in (0, 1)]
    return {
        table: {column: np.concatenate([part[table][column] for part in parts]) for column in parts[0][table]}
        for table in parts[0]
    }


def _random_design(rng: np.random.Generator, design: int, replicates: int, first: int) -> dict[str, dict[str, Any]]:
    n_looks = N_LOOKS if design == 0 else 0
    n_arms = len(ARMS)
    stop_look = rng.integers(0, n_looks + 1, replicates)
    took = np.stack(
        [(stop_look == 0) | (look <= stop_look) for look in range(1, n_looks + 1)] + [np.ones(replicates, bool)], axis=1
    )
    row, look = np.nonzero(took)
    n = len(row)
    is_final = look == n_looks
    claimed = np.maximum.accumulate(rng.random((replicates, n_looks + 1, n_arms)) < 0.15, axis=1)
    claimed[:, :, 0] = False
    by_arm = rng.integers(3, 14, (replicates, n_arms))
    known = by_arm - rng.integers(0, 3, (replicates, n_arms))
    total = np.floor(known * rng.random((replicates, n_arms)))
    selected = np.where(claimed[:, -1].any(axis=1), claimed[:, -1].argmax(axis=1) + 1, 0)
    decision = rng.gamma(20, 1.5, replicates)
    effect = rng.normal(0.2, 0.15, (n, n_arms))
    half = rng.uniform(0.1, 0.4, (n, n_arms))
    final_rows = is_final[:, None]
    return {
        "trials": {
            "truth": np.zeros(replicates, np.int64),
            "design": np.full(replicates, design),
            "replicate": first + np.arange(replicates),
            "outcome": rng.integers(0, 7, replicates),
            "stop_reason": np.where(stop_look > 0, rng.integers(1, 3, replicates), 0),
            "stop_look": stop_look,
            "n_looks": took[:, :-1].sum(axis=1),
            "n_enrolled": by_arm.sum(axis=1),
            "n_known": known.sum(axis=1),
            "n_overrun": np.where(stop_look > 0, rng.integers(0, 9, replicates), 0),
            "decision_month": decision,
            "duration_months": decision + rng.uniform(0, 6, replicates),
            "selected_arm": selected,
            "total": total.sum(axis=1),
            "failed_fits": np.zeros(replicates, int),
            "covariate_imbalance": np.full(replicates, np.nan),
        },
        "looks": {
            "truth": np.zeros(n, np.int64),
            "design": np.full(n, design),
            "replicate": first + row,
            "look": look + 1,
            "is_final": is_final,
            "month": rng.gamma(20, 1.5, n),
            "n_enrolled": rng.integers(20, 41, n),
            "n_known": rng.integers(10, 20, n),
            "n_pending": rng.integers(0, 9, n),
            "stop_reason": np.zeros(n, np.int64),
        },
        "arms": {
            "truth": np.zeros(n * n_arms, np.int64),
            "design": np.full(n * n_arms, design),
            "replicate": np.repeat(first + row, n_arms),
            "look": np.repeat(look + 1, n_arms),
            "is_final": np.repeat(is_final, n_arms),
            "arm": np.tile(np.arange(n_arms), n),
            "is_open": rng.random(n * n_arms) < 0.8,
            "is_claimed": claimed[row, look].reshape(-1),
            "meets_efficacy": rng.random(n * n_arms) < 0.4,
            "n_enrolled": np.where(final_rows, by_arm[row], 2).reshape(-1),
            "n_concurrent": np.where(final_rows, by_arm[row][:, [0] * n_arms], 2).reshape(-1),
            "opened_month": np.zeros(n * n_arms),
            "n_known": np.where(final_rows, known[row], 1).reshape(-1),
            "total": np.where(final_rows, total[row], 0.0).reshape(-1),
            "estimate": rng.random(n * n_arms),
            "prob_best": rng.random(n * n_arms),
            "prob_better": rng.random(n * n_arms),
            "allocation": rng.random(n * n_arms),
            "effect": effect.reshape(-1),
            "effect_lower": np.where(final_rows, effect - half, np.nan).reshape(-1),
            "effect_upper": np.where(final_rows, effect + half, np.nan).reshape(-1),
        },
    }
