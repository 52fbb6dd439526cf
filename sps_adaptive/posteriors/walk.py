"""What is believed of a timed walk in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import chdtri, ndtr, ndtri

from sps_adaptive.posteriors.draws import DrawsPosterior, sobol

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


@dataclass(frozen=True, eq=False)
class WalkPosterior(DrawsPosterior):
    r"""Draws of the estimand, and what is needed to integrate an arm's mean out of a probability.

    Given the other quantities the estimand of an arm falls as its mean log seconds grows, so that
    :math:`P(\theta_a - \theta_0 > d) = E\,\Phi((b - m_a) / (\sigma \sqrt{v_a}))`, b being the mean at which both are
    equal.
    """

    location: Float[Array, "R A"]
    """Posterior mean of the mean log seconds."""
    own: Float[Array, "R A"]
    """Its variance in units of that of an outcome."""
    sigma: Float[Array, "R S"]
    """Draws of the standard deviation of log seconds."""
    mean_drawn: Float[Array, "R S A"]
    """Draws of the mean log seconds."""
    cannot: Float[Array, "R S A"]
    """Draws of the share who cannot walk."""
    bound: float | None
    """Log seconds within which a patient is to walk; None for the probability to win against the control."""
    control: int

    @classmethod
    def drawn(
        cls,
        location: Float[Array, "R A"],
        own: Float[Array, "R A"],
        variance: Float[Array, " R"],
        df: Float[Array, " R"],
        cannot: Float[Array, "R S A"],
        known: Int[Array, "R A"],
        bound: float | None,
        control: int,
    ) -> Self:
        """Return the posterior with draws at the Sobol points."""
        arms = location.shape[1]
        draws = len(cannot[0])
        points = sobol(draws, 2 * arms + 1)
        sigma = np.sqrt(variance[:, None] * df[:, None] / _chi_square(df, points[:, 2 * arms]))
        noise = ndtri(points[:, arms : 2 * arms])
        mean = location[:, None] + np.sqrt(own)[:, None] * sigma[..., None] * noise
        if bound is not None:
            theta = (1 - cannot) * ndtr((bound - mean) / sigma[..., None])
        else:
            theta = _wins(cannot, mean, sigma, control)
        spread = np.sqrt(np.maximum(theta.mean(axis=1) * (1 - theta.mean(axis=1)), 1e-12))
        return cls(theta, spread, known, location, own, sigma, mean, cannot, bound, control)

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; each arm's mean is integrated out."""
        better = np.full(self.location.shape, 1.0 if by < 0 else 0.0)
        for arm in range(self.location.shape[1]):
            if arm != than:
                swap = self.bound is None and arm == self.control  # the control's own value is fixed: ask the other arm
                if swap:
                    better[:, arm] = 1 - self._above(than, 0.5 - by)
                else:
                    other = 0.5 if self.bound is None and than == self.control else self.draws[..., than]
                    better[:, arm] = self._above(arm, other + by)
        return better

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`): of two arms as in `prob_better`, of more as a share of draws."""
        best = super().prob_best(among)
        pairs = among.sum(axis=1) == 2
        for other in range(among.shape[1]):
            better = self.prob_better(other)
            for arm in range(other):
                here = pairs & among[:, arm] & among[:, other]
                best[here, arm], best[here, other] = better[here, arm], 1 - better[here, arm]
        return best

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        above = np.stack([self._above(arm, value) for arm in range(self.location.shape[1])], axis=1)
        if self.bound is None:
            above[:, self.control] = float(value < 0.5)
        return above

    def _above(self, arm: int, value: Float[Array, "R S"] | float) -> Float[Array, " R"]:
        """Return P(arm > value), where the value may be another one for each draw."""
        q, sigma, own = self.cannot[..., arm], self.sigma, self.own[:, [arm]]
        if self.bound is not None:
            part, origin, unit = value / np.maximum(1 - q, 1e-300), np.full_like(sigma, self.bound), sigma
        else:
            q0 = self.cannot[..., self.control]
            part = (value - (1 - q) * q0 - q * q0 / 2) / np.maximum((1 - q) * (1 - q0), 1e-300)
            origin, unit = self.mean_drawn[..., self.control], sigma * np.sqrt(2)
            if isinstance(value, float):  # then nothing else depends on the control's mean: it is integrated out too
                origin, own = self.location[:, [self.control]], own + self.own[:, [self.control]]
        inside = np.clip(part, 1e-15, 1 - 1e-15)
        at = origin - unit * ndtri(inside)
        chance = ndtr((at - self.location[:, [arm]]) / (sigma * np.sqrt(own)))
        return np.asarray(np.where(part <= 0, 1.0, np.where(part >= 1, 0.0, chance)).mean(axis=1))


def _wins(
    cannot: Float[Array, "R S A"], mean: Float[Array, "R S A"], sigma: Float[Array, "R S"], control: int
) -> Float[Array, "R S A"]:
    """Return the probability that a patient on each arm is faster than one on the control."""
    q0, faster = cannot[..., [control]], ndtr((mean[..., [control]] - mean) / (sigma[..., None] * np.sqrt(2)))
    wins = (1 - cannot) * q0 + (1 - cannot) * (1 - q0) * faster + cannot * q0 / 2
    wins[..., control] = 0.5
    return wins


def _chi_square(df: Float[Array, " R"], u: Float[Array, " S"]) -> Float[Array, "R S"]:
    """Return quantiles of chi-square distributions, computed once for each number of degrees of freedom."""
    kinds, which = np.unique(df, return_inverse=True)
    return chdtri(kinds[:, None], 1 - u[None, :])[which.reshape(-1)]
