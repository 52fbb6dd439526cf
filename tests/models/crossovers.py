"""What is known of crossover trials, made by hand or at random."""

from __future__ import annotations

import numpy as np

from sps_adaptive.contracts import Snapshot


def seen(arm, first, second):
    """A snapshot of R replicates; a score that is NaN is not known, an arm of -1 not enrolled."""
    arm = np.atleast_2d(np.array(arm))
    first, second = (np.atleast_2d(np.array(score, float)) for score in (first, second))
    value = np.stack([first, second, (first + second) / 2], axis=-1)
    known = ~np.isnan(value) & (arm >= 0)[..., None]
    value = np.where(known, value, np.nan)
    on, last = arm[:, :, None] == np.arange(2), known[..., 2, None]
    return Snapshot(
        day=np.zeros(len(arm)),
        arm=arm,
        known=known,
        value=value,
        covariates=np.zeros((*arm.shape, 1)),
        n_pending=((arm >= 0) & ~known[..., 2]).sum(axis=1),
        arm_pending=(on & ~last).sum(axis=1),
        arm_enrolled=on.sum(axis=1),
        arm_known=(on & last).sum(axis=1),
        arm_total=np.where(on & last, value[..., 2, None], 0.0).sum(axis=1),
    )


def drawn(
    rng, replicates, patients, *, effect=0.0, level=0.0, period=0.0, share=0.0, between=1.2, within=0.8, missing=0.0,
    equal=True,
):  # fmt: skip
    """Trials of arms control (0) and treatment (1): effect, period effect and share carried over by the treatment.

    `effect` and the standard deviations may be one for each replicate; `missing` is the share without a second score.
    """
    shape = (replicates, patients)
    half = np.broadcast_to(np.arange(patients) % 2, shape)
    arm = rng.permuted(half, axis=1) if equal else rng.integers(0, 2, shape)
    effect, between, within = (np.broadcast_to(each, replicates)[:, None] for each in (effect, between, within))
    common = level + between * rng.standard_normal(shape)
    first = common + effect * (arm == 1) - period / 2 + within * rng.standard_normal(shape)
    second = common + effect * np.where(arm == 1, share, 1.0) + period / 2 + within * rng.standard_normal(shape)
    return seen(arm, first, np.where(rng.random(shape) < missing, np.nan, second))
