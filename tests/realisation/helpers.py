"""Patients to be randomised, and the lists that a realisation makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sps_adaptive.contracts import Cohort
from tests.contracts.fakes import a_cohort

Array = np.ndarray


def patients(replicates: int, number: int, *shares: tuple[float, ...], seed: int = 7) -> Cohort:
    """Patients with one factor for each tuple of prevalences."""
    rng = np.random.default_rng(seed)
    shape = (replicates, number)
    strata = [rng.choice(len(share), size=shape, p=share) for share in shares]
    return a_cohort(
        np.broadcast_to(np.arange(float(number)), shape),
        strata=np.stack(strata, axis=2).astype(np.int16) if strata else np.zeros((*shape, 0), np.int16),
        site=rng.integers(0, 3, shape),
        u_arm=rng.random(shape),
        u_block=rng.random(shape),
    )


def factors_of(cohort: Cohort) -> dict[str, int]:
    """Names f0, f1, ... of the factors, and the site."""
    levels = {f"f{i}": int(cohort.strata[:, :, i].max()) + 1 for i in range(cohort.strata.shape[2])}
    return levels | {"site": int(cohort.site.max()) + 1}


def dealt(
    part: Any, cohort: Cohort, pi: Any, start: Any = 0, arm: Any = None, owed: Any = 0.0, usual: int = 6
) -> Array:
    """The arms after dealing everybody from `start` on with the probabilities `pi`, one row or one for all."""
    shape = cohort.u_arm.shape
    pi = np.broadcast_to(np.atleast_2d(np.array(pi, float)), (shape[0], np.shape(pi)[-1])).copy()
    return part.dealer(usual, factors_of(cohort)).deal(
        np.zeros(shape, np.int8) if arm is None else arm,
        pi,
        cohort,
        np.broadcast_to(np.asarray(start), shape[:1]).copy(),
        np.broadcast_to(np.asarray(owed, float), pi.shape).copy(),
    )


def counts(arm: Array, arms: int) -> Array:
    """Patients on each arm, [R, A]."""
    return (arm[:, :, None] == np.arange(arms)).sum(axis=1)
