"""Snapshots made by hand."""

from __future__ import annotations

import numpy as np

from sps_adaptive.contracts import Snapshot


def snapshot(arm, value, x=None, n_arms=3):
    """A snapshot of R replicates with one visit; an outcome that is NaN is not known, an arm of -1 not enrolled."""
    arm, value = np.atleast_2d(np.array(arm)), np.atleast_2d(np.array(value, float))
    known = ~np.isnan(value) & (arm >= 0)
    value = np.where(known, value, np.nan)
    on = arm[:, :, None] == np.arange(n_arms)
    x = np.zeros(arm.shape) if x is None else np.atleast_2d(np.array(x, float))
    return Snapshot(
        day=np.zeros(len(arm)),
        arm=arm,
        known=known[:, :, None],
        value=value[:, :, None],
        covariates=x[:, :, None],
        n_pending=((arm >= 0) & ~known).sum(axis=1),
        arm_pending=(on & ~known[:, :, None]).sum(axis=1),
        arm_enrolled=on.sum(axis=1),
        arm_known=(on & known[:, :, None]).sum(axis=1),
        arm_total=np.where(on & known[:, :, None], value[:, :, None], 0.0).sum(axis=1),
    )


def random_snapshot(rng, replicates=6, patients=24, n_arms=3, known=0.8, binary=False, mean=0.0):
    """Trials in which some are not enrolled, some not assessed, and the first replicate knows nothing."""
    arm = rng.integers(0, n_arms, (replicates, patients))
    x = rng.normal(size=arm.shape)
    value = mean + 0.4 * arm + 0.6 * x + rng.normal(size=arm.shape)
    if binary:
        value = (value > 0.3).astype(float)
    value[rng.random(arm.shape) > known] = np.nan
    value[0] = np.nan
    arm[:, patients - 3 :] = -1
    return snapshot(arm, value, x, n_arms)


def of_arm(snapshot, replicate, arm):
    """The known outcomes of an arm in a replicate, and their covariates."""
    chosen = snapshot.known[replicate, :, -1] & (snapshot.arm[replicate] == arm)
    return snapshot.value[replicate, chosen, -1], snapshot.covariates[replicate, chosen, 0]
