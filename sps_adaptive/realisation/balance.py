"""How well the arms of a trial are balanced over the covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


def covariate_imbalance(arm: Int[Array, "R N"], strata: Int[Array, "R N F"], n_arms: int) -> Float[Array, " R"]:
    """Return by how much the make-up of the arms differs: 0 where all are alike, 1 where two have nothing in common.

    For each level of a covariate, the largest difference between two arms in the share of their patients who have it;
    the mean over the levels of a covariate, and of that over the covariates. Arms without patients do not count.
    NaN where there are no covariates.

    Parameters
    ----------
    arm
        Arms of the patients, -1 for those not enrolled.
    """
    if strata.shape[2] == 0:
        return np.full(len(arm), np.nan)
    on_arm = arm[:, None, :] == np.arange(n_arms)[:, None]
    size = on_arm.sum(axis=2)
    found = []
    for factor in range(strata.shape[2]):
        spread = []
        for level in range(int(strata[:, :, factor].max(initial=0)) + 1):
            have = (on_arm & (strata[:, None, :, factor] == level)).sum(axis=2)
            share = np.divide(have, size, out=np.full(have.shape, np.nan), where=size > 0)
            spread.append(np.fmax.reduce(share, axis=1) - np.fmin.reduce(share, axis=1))
        found.append(spread)
    return np.mean([np.mean(spread, axis=0) for spread in found], axis=0)
