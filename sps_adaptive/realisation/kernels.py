"""Lists that are made one patient after the other, compiled with numba: each patient looks back on all before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

NOTHING = 1e-9
"""Mass below this is no mass, and imbalances are equal that differ by less (by less than this share of them, if they
are large): both are sums that rounding has touched."""


@compiled
def draw(weight: Float[Array, " A"], u: float) -> int:
    """Return the arm at the place u of all weights side by side, never one without weight."""
    total = 0.0
    for a in range(len(weight)):
        total += weight[a]
    reached, chosen = 0.0, -1
    for a in range(len(weight)):
        if weight[a] > 0.0:
            chosen = a
            reached += weight[a]
            if u * total < reached:
                break
    return chosen


@compiled
def urn(
    arm: Int[Array, "R N"],
    probabilities: Float[Array, "R A"],
    u_arm: Float[Array, "R N"],
    start: Int[Array, " R"],
    owed: Float[Array, "R A"],
    alpha: float,
) -> None:
    """Deal arms, in place, to every patient from `start` on, by the mass-weighted urn."""
    replicates, patients = arm.shape
    arms = probabilities.shape[1]
    mass, weight = np.empty(arms), np.empty(arms)
    for r in range(replicates):
        for a in range(arms):
            mass[a] = alpha * probabilities[r, a] + owed[r, a]
        for n in range(start[r], patients):
            total = 0.0
            for a in range(arms):
                is_there = probabilities[r, a] > 0.0 and mass[a] > NOTHING
                weight[a] = mass[a] if is_there else 0.0
                total += weight[a]
            if total == 0.0:  # every open arm has had more than its due
                for a in range(arms):
                    weight[a] = probabilities[r, a]
            chosen = draw(weight, u_arm[r, n])
            arm[r, n] = chosen
            for a in range(arms):
                mass[a] += probabilities[r, a]
            mass[chosen] -= 1.0


@compiled
def spread_in_strata(
    position: Float[Array, "R N"],
    u_arm: Float[Array, "R N"],
    u_block: Float[Array, "R N"],
    start: Int[Array, " R"],
    stratum: Int[Array, "R N"],
    strata: int,
    block: int,
) -> None:
    """Place the patients of each block of each stratum at systematic points, in random order, in place."""
    replicates, patients = position.shape
    free = np.empty((strata, block), np.int64)
    left, luck = np.empty(strata, np.int64), np.empty(strata)
    for r in range(replicates):
        left[:] = 0
        for n in range(start[r], patients):
            s = stratum[r, n]
            if left[s] == 0:
                left[s], luck[s] = block, u_block[r, n]
                for place in range(block):
                    free[s, place] = place
            drawn = int(u_arm[r, n] * left[s])
            place = free[s, drawn]
            left[s] -= 1
            for later in range(drawn, left[s]):
                free[s, later] = free[s, later + 1]
            position[r, n] = min((place + luck[s]) / block, 1 - 2.0**-53)


@compiled
def disparity(share: Float[Array, " A"], is_open: Int[Array, " A"], n_open: int, by_variance: bool) -> float:
    """Return the range, or the variance, over the open arms."""
    if by_variance:
        mean, squares = 0.0, 0.0
        for a in range(len(share)):
            if is_open[a]:
                mean += share[a] / n_open
        for a in range(len(share)):
            if is_open[a]:
                squares += (share[a] - mean) ** 2
        return squares / max(n_open - 1, 1)
    least, most = np.inf, -np.inf
    for a in range(len(share)):
        if is_open[a]:
            least, most = min(least, share[a]), max(most, share[a])
    return most - least


@compiled
def minimise(
    arm: Int[Array, "R N"],
    probabilities: Float[Array, "R A"],
    u_arm: Float[Array, "R N"],
    start: Int[Array, " R"],
    level: Int[Array, "R N F"],
    sizes: Int[Array, " F"],
    weights: Float[Array, " F"],
    preference: float,
    sharpness: float,
    by_variance: bool,
) -> None:
    """Deal arms, in place, to every patient from `start` on, by minimisation; a preference below 0 is none."""
    replicates, patients = arm.shape
    arms, factors = probabilities.shape[1], len(sizes)
    count = np.empty((factors, sizes.max(), arms))
    share, imbalance, weight = np.empty(arms), np.empty(arms), np.empty(arms)
    is_open = np.empty(arms, np.int64)
    for r in range(replicates):
        if start[r] >= patients:
            continue
        count[:] = 0.0
        n_open = 0
        for a in range(arms):
            is_open[a] = 1 if probabilities[r, a] > 0.0 else 0
            n_open += is_open[a]
        for n in range(patients):
            if n >= start[r]:
                least = np.inf
                for k in range(arms):
                    imbalance[k] = 0.0
                    if not is_open[k]:
                        continue
                    for f in range(factors):
                        for j in range(arms):
                            if is_open[j]:
                                share[j] = count[f, level[r, n, f], j] + (1.0 if j == k else 0.0)
                                share[j] /= n_open * probabilities[r, j]
                        imbalance[k] += weights[f] * disparity(share, is_open, n_open, by_variance)
                    least = min(least, imbalance[k])
                best = 0.0
                for k in range(arms):
                    weight[k] = 0.0
                    imbalance[k] -= least
                    if imbalance[k] <= NOTHING * max(least, 1.0):
                        imbalance[k] = 0.0
                    if is_open[k] and imbalance[k] == 0.0:
                        best += probabilities[r, k]
                for k in range(arms):
                    if is_open[k] and preference < 0.0:
                        weight[k] = probabilities[r, k] * np.exp(-sharpness * imbalance[k])
                    elif is_open[k] and imbalance[k] == 0.0:  # preferred with this share of chance
                        mine = probabilities[r, k] / best
                        gets = max(preference, probabilities[r, k])
                        others = 1.0 - probabilities[r, k]
                        if others <= NOTHING:
                            weight[k] += mine
                            continue
                        weight[k] += mine * gets
                        for j in range(arms):
                            if j != k:
                                weight[j] += mine * (1.0 - gets) * probabilities[r, j] / others
                arm[r, n] = draw(weight, u_arm[r, n])
            for f in range(factors):
                count[f, level[r, n, f], arm[r, n]] += 1.0
