"""Independent normal posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from sps_adaptive.posteriors.independent import NODE, NODE_WEIGHT, fill_best, standards

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array
    from sps_adaptive.posteriors.predictive_normal import NormalPriors


def begun_with(start: NormalPriors | None) -> NormalPriors:
    """Return what an analysis began with.

    Raises
    ------
    ValueError
        If it has not said.
    """
    if start is None:
        raise ValueError("this posterior does not know what its analysis began with, and predicts no success")
    return start


def stated(spread: Float[Array, "R A"] | None) -> Float[Array, "R A"]:
    """Return how much outcomes vary, as the analysis has stated it.

    Raises
    ------
    ValueError
        If it has not.
    """
    if spread is None:
        raise ValueError("this posterior does not know how much the outcomes of single patients vary")
    return spread.copy()


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    r"""Independent posteriors :math:`\theta_a \sim N(\mu_a, \sigma_a^2)`.

    All but `prob_best` is closed: a difference of independent normal variables is normal. `prob_best` is
    :math:`\int f_k(x) \prod_{j \ne k} F_j(x) dx` by Gauss-Legendre panels.
    """

    location: Float[Array, "R A"]
    scale: Float[Array, "R A"]
    """Posterior standard deviations, positive."""
    spread: Float[Array, "R A"] | None = None
    """Standard deviation of one patient's outcome, where the analysis says."""
    start: NormalPriors | None = None
    """What the analysis began with, where success can be predicted."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return self.location.copy()

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        return self.scale.copy()

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation of one patient's outcome on each arm."""
        return stated(self.spread)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return np.asarray(ndtr((self.location - value) / self.scale))

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        half = ndtri((1 + level) / 2) * self.scale
        return np.stack([self.location - half, self.location + half], axis=-1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        tables, _ = standards(np.array([np.inf]))
        row = np.zeros(self.location.shape, np.int64)
        best = np.zeros(self.location.shape)
        fill_best(
            np.ascontiguousarray(self.location), np.ascontiguousarray(self.scale), row,
            np.ascontiguousarray(among), *tables, NODE, NODE_WEIGHT, best,
        )  # fmt: skip
        return best

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        gap, unit = self._difference(than)
        better = np.asarray(ndtr((gap - by) / unit))
        better[:, than] = 1.0 if by < 0 else 0.0
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        gap, unit = self._difference(than)
        half = ndtri((1 + level) / 2) * unit
        answer = np.stack([gap, gap - half, gap + half], axis=-1)
        answer[:, than] = 0.0
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm); see `predictive_normal`."""
        from sps_adaptive.posteriors.predictive_normal import success_of_gaussian

        start = begun_with(self.start)
        known = self.location, self.scale, start.sd
        return success_of_gaussian(*known, than, by, threshold, more, start if fresh else None)

    def _difference(self, than: int) -> tuple[Float[Array, "R A"], Float[Array, "R A"]]:
        """Return mean and standard deviation of arm - arm `than`."""
        gap = self.location - self.location[:, [than]]
        return gap, np.hypot(self.scale, self.scale[:, [than]])
