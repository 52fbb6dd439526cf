"""A posterior that is a set of draws: the fallback where nothing is closed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.posteriors.approximate import success

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

SOBOL_SEED = 20_261_125
"""Scrambling of the points that all posteriors share."""


@lru_cache(maxsize=16)
def sobol(draws: int, dimensions: int) -> Float[Array, "S D"]:
    """Return scrambled Sobol points in (0, 1), the same in every process; `draws` is a power of two.

    They are common to all replicates, so that probabilities are smooth in the data and do not depend on the batch
    (Owen 1998). The answer is kept for the next call: it must not be written to.
    """
    from scipy.stats import qmc

    points = qmc.Sobol(dimensions, scramble=True, rng=SOBOL_SEED).random(draws)
    points = np.clip(points, 1e-12, 1 - 1e-12)
    points.flags.writeable = False
    return points


@dataclass(frozen=True, eq=False)
class DrawsPosterior:
    """Arms jointly distributed as S draws. Probabilities are shares of draws, ties count half.

    With the points of `sobol` the error of a probability is some 1/S, not its square root.
    """

    draws: Float[Array, "R S A"]
    spread: Float[Array, "R A"]
    """Standard deviation of one patient's outcome."""
    known: Int[Array, "R A"]
    """Outcomes known of each arm."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return self.draws.mean(axis=1)

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        return self.draws.std(axis=1)

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation of one patient's outcome on each arm."""
        return self.spread.copy()

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        return np.moveaxis(np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2], axis=1), 0, -1)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return _share_above(self.draws, value)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); equal draws share."""
        drawn = np.where(among[:, None, :], self.draws, -np.inf)
        is_best = (drawn == drawn.max(axis=2, keepdims=True)) & among[:, None, :]
        return (is_best / np.maximum(is_best.sum(axis=2, keepdims=True), 1)).mean(axis=1)

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm."""
        better = _share_above(self.draws - self.draws[:, :, [than]], by)
        better[:, than] = 1.0 if by < 0 else 0.0
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        gap = self.draws - self.draws[:, :, [than]]
        ends = np.quantile(gap, [(1 - level) / 2, (1 + level) / 2], axis=1)
        answer = np.stack([gap.mean(axis=1), *ends], axis=-1)
        answer[:, than] = 0.0
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm), by the normal approximation of `approximate.success`."""
        gap = self.draws if than is None else self.draws - self.draws[:, :, [than]]
        return success(gap.mean(axis=1), gap.std(axis=1), self.known, more, than, by, threshold, fresh)


def _share_above(draws: Float[Array, "R S A"], value: float) -> Float[Array, "R A"]:
    return ((draws > value) + 0.5 * (draws == value)).mean(axis=1)
