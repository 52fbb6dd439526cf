r"""Win probabilities of independent Dirichlet arms against one control.

Given the control's probabilities, the win probability of an arm is linear in its own. Both are drawn at the points of
`draws.sobol`, but the last step is not: the share B of an arm's patients in its better categories (those from a
dividing one on) is :math:`\mathrm{Beta}`-distributed and independent of how the shares are spread within either part,
so that

.. math:: P(\theta_a > t \mid \text{the rest}) = P(B (h - l) + l > t)

with the win probabilities h and l of either part is an incomplete beta function, and probabilities are averages of
smooth functions (conditional Monte Carlo, Asmussen and Glynn 2007, section V.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.approximate import success
from sps_adaptive.posteriors.beta_tables import beta_cdf
from sps_adaptive.posteriors.draws import sobol

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

POINTS = 1024
"""Points of the control's and an arm's probabilities."""

_gammas: dict[tuple[float, int, int], Float[Array, "S D"]] = {}
"""Quantiles of Gamma(prior + n) at the points, by prior, dimensions and n. They depend on nothing else."""


def gamma_points(prior: float, dimensions: int, most: int) -> Float[Array, "M S D"]:
    """Return the quantiles of Gamma(prior + n) at the points of every dimension, for n = 0 .. most."""
    from scipy.special import gammaincinv

    for n in range(most + 1):
        if (prior, dimensions, n) not in _gammas:
            # The smallest is far from underflow: what is divided is never 0.
            drawn = gammaincinv(prior + n, sobol(POINTS, dimensions))
            _gammas[prior, dimensions, n] = np.maximum(drawn, 1e-250)
    return np.stack([_gammas[prior, dimensions, n] for n in range(most + 1)])


class Parts(NamedTuple):
    """Draws of the win probability of each arm, and of its better and its worse categories alone."""

    win: Float[Array, "R A S"]
    better: Float[Array, "R A S"]
    worse: Float[Array, "R A S"]


@dataclass(frozen=True, eq=False)
class WinPosterior:
    """Win probabilities against a control that is the same for all arms; the control's own is 1/2.

    The mean and the standard deviation are exact.
    """

    counts: Int[Array, "R A C"]
    """Patients of each arm in each category, from the worst to the best."""
    prior: float
    """Dirichlet concentration of each category on each arm."""
    control: int
    places: tuple[int, ...]
    """For each arm the place of its points among those of all arms, where several arms are compared; the control's is
    not used."""

    @cached_property
    def shapes(self) -> Float[Array, "R A C"]:
        """Dirichlet parameters of each arm."""
        return self.counts + self.prior

    @cached_property
    def divide(self) -> Int[Array, "R A"]:
        """The first of the better categories of each arm: where the two parts differ most."""
        return dividing(self.shapes, self.control)

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        share = self.shapes / self.shapes.sum(axis=2, keepdims=True)
        mean = np.einsum("rac,rc->ra", share, placements(share[:, self.control]))
        mean[:, self.control] = 0.5
        return mean

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm; 0 for the control."""
        categories = self.shapes.shape[2]
        wins = np.tril(np.ones((categories, categories))) - np.eye(categories) / 2
        second = second_moments(self.shapes)
        own = np.einsum("kj,rji,li->rkl", wins, second[:, self.control], wins)
        variance = np.einsum("rkl,rakl->ra", own, second) - self.mean() ** 2
        variance[:, self.control] = 0.0
        return np.sqrt(np.maximum(variance, 0.0))

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation on each arm of what a score is worth: its P(win) against the control."""
        share = self.shapes / self.shapes.sum(axis=2, keepdims=True)
        worth = placements(share[:, self.control])[:, None]
        mean = (share * worth).sum(axis=2, keepdims=True)
        return np.sqrt((share * (worth - mean) ** 2).sum(axis=2))

    def failed(self) -> Bool[Array, " R"]:
        """Return where the fit failed: nowhere."""
        return np.zeros(len(self.counts), bool)

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm, from the draws."""
        ends = np.quantile(self._alone.win, [(1 - level) / 2, (1 + level) / 2], axis=2)
        return np.ascontiguousarray(np.moveaxis(ends, 0, -1))

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(win probability of the arm > value)."""
        above = self._above(self._alone, value).mean(axis=2)
        above[:, self.control] = 1.0 if value < 0.5 else 0.0
        return above

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm has the largest win probability against the control, of `among`); the control's is 1/2."""
        if self.counts.shape[1] == 2:
            chance = np.where(among, self.prob_above(0.5), 0.0)
            chance[:, self.control] = 1 - chance[:, 1 - self.control]
            chance = np.where(among, chance, 0.0)
            return np.where(among.sum(axis=1, keepdims=True) == 1, among.astype(float), chance)
        win = np.where(among[:, :, None], self._together.win, -1.0)
        chance = np.empty(among.shape)
        for arm in range(among.shape[1]):
            others = np.delete(win, arm, axis=1).max(axis=1)
            if arm == self.control:
                below = 1 - self._above(self._together, 0.5)
                below[:, arm] = 1.0
                chance[:, arm] = np.where(among[:, :, None], below, 1.0).prod(axis=1).mean(axis=1)
            else:
                chance[:, arm] = self._above_on(self._together, arm, others).mean(axis=1)
        chance = np.where(among, chance, 0.0)
        total = chance.sum(axis=1, keepdims=True)
        return np.where(total > 0, chance / np.where(total > 0, total, 1.0), among / among.sum(axis=1, keepdims=True))

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) of win probabilities, both against the control."""
        if than == self.control:
            better = self.prob_above(0.5 + by)
        else:
            below = self._above(self._alone, 0.5 - by).mean(axis=2)[:, than]
            better = self._above(self._together, self._together.win[:, than] + by).mean(axis=2)
            better[:, self.control] = 1 - below
        better[:, than] = 1.0 if by < 0 else 0.0
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        mean = self.mean()
        ends = [(1 - level) / 2, (1 + level) / 2]
        if than == self.control:
            bounds = self.interval(level) - 0.5
        else:
            gap = self._together.win - self._together.win[:, [than]]
            bounds = np.moveaxis(np.quantile(gap, ends, axis=2), 0, -1)
            own = self.interval(level)[:, than]
            bounds[:, self.control] = 0.5 - own[:, ::-1]
        answer = np.concatenate([(mean - mean[:, [than]])[:, :, None], bounds], axis=2)
        answer[:, than] = 0.0
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm), by the normal approximation of `approximate.success`."""
        mean, sd, known = self.mean(), self.sd(), self.counts.sum(axis=2)
        if than is None or than == self.control:
            gap = mean if than is None else mean - 0.5
            if than is None:  # an arm's win probability is itself a comparison with the control
                gap, by = mean - 0.5, by - 0.5
            answer = success(gap, np.maximum(sd, 1e-12), known, more, self.control, by, threshold, fresh)
            if than is None:
                answer[:, self.control] = 1.0 if by < 0 else 0.0
            return answer
        drawn = self._together.win - self._together.win[:, [than]]
        spread = np.maximum(drawn.std(axis=2), 1e-12)
        return success(mean - mean[:, [than]], spread, known, more, than, by, threshold, fresh)

    @cached_property
    def _alone(self) -> Parts:
        """Draws for comparisons with a number or the control: the same points for every arm."""
        return self._draw([1] * len(self.places))

    @cached_property
    def _together(self) -> Parts:
        """Draws for comparisons of arms with each other: points of its own for every arm."""
        return self._draw([1 + place for place in self.places])

    def _draw(self, places: list[int]) -> Parts:
        replicates, arms, categories = self.counts.shape
        dimensions = categories * (1 + max(places))
        gammas = gamma_points(self.prior, dimensions, int(self.counts.max(initial=0)))
        parts = Parts(*np.full((3, replicates, arms, POINTS), 0.5))
        fill_parts(self.counts, self.divide, np.array(places), self.control, gammas, *parts)
        return parts

    def _above(self, parts: Parts, value: float | Float[Array, "R S"]) -> Float[Array, "R A S"]:
        """Return P(arm > value | all draws but that of the share of its better categories)."""
        above = np.zeros(parts.win.shape)
        for arm in range(len(self.places)):
            if arm != self.control:
                above[:, arm] = self._above_on(parts, arm, value)
        return above

    def _above_on(self, parts: Parts, arm: int, value: float | Float[Array, "#R #S"]) -> Float[Array, "R S"]:
        is_better = np.arange(self.counts.shape[2]) >= self.divide[:, arm, None]
        better = np.where(is_better, self.shapes[:, arm], 0.0).sum(axis=1)
        worse = np.where(is_better, 0.0, self.shapes[:, arm]).sum(axis=1)
        width = np.maximum(parts.better[:, arm] - parts.worse[:, arm], 1e-300)
        enough = np.clip((value - parts.worse[:, arm]) / width, 0.0, 1.0)
        return beta_cdf(worse, better, 1 - enough)


def placements(share: Float[Array, "R C"]) -> Float[Array, "R C"]:
    """Return for each category the probability that it beats a patient of this distribution, a tie counting half."""
    return np.cumsum(share, axis=1) - share / 2


def second_moments(shapes: Float[Array, "... C"]) -> Float[Array, "... C C"]:
    """Return E[p p'] of Dirichlet distributions."""
    total = shapes.sum(axis=-1)[..., None, None]
    products = shapes[..., :, None] * shapes[..., None, :]
    return (products + np.eye(shapes.shape[-1]) * shapes[..., None]) / (total * (total + 1))


def dividing(shapes: Float[Array, "R A C"], control: int) -> Int[Array, "R A"]:
    """Return the first of the better categories of each arm, such that the two parts differ most in what they win."""
    share = shapes / shapes.sum(axis=2, keepdims=True)
    worth = share * placements(share[:, control])[:, None]
    below, gained = share.cumsum(axis=2)[..., :-1], worth.cumsum(axis=2)[..., :-1]
    above = 1 - below
    # At least some patients are in either part: the prior is there.
    gap = (worth.sum(axis=2, keepdims=True) - gained) / np.maximum(above, 1e-12) - gained / np.maximum(below, 1e-12)
    return 1 + np.argmax(np.round(below * above * gap**2, 12), axis=2)


@compiled
def fill_parts(
    counts: Int[Array, "R A C"],
    divide: Int[Array, "R A"],
    places: Int[Array, " A"],
    control: int,
    gammas: Float[Array, "M S D"],
    win: Float[Array, "R A S"],
    better: Float[Array, "R A S"],
    worse: Float[Array, "R A S"],
) -> None:
    """Fill the draws of the win probabilities, in place; the control's come as 1/2 and stay so."""
    replicates, arms, categories = counts.shape
    worth = np.empty(categories)
    for r in range(replicates):
        for s in range(gammas.shape[1]):
            total = 0.0
            for k in range(categories):
                drawn = gammas[counts[r, control, k], s, k]
                worth[k] = total + drawn / 2
                total += drawn
            for a in range(arms):
                if a == control:
                    continue
                first = places[a] * categories
                low, low_won, high, high_won = 0.0, 0.0, 0.0, 0.0
                for k in range(categories):
                    drawn = gammas[counts[r, a, k], s, first + k]
                    if k < divide[r, a]:
                        low += drawn
                        low_won += drawn * worth[k]
                    else:
                        high += drawn
                        high_won += drawn * worth[k]
                win[r, a, s] = (low_won + high_won) / (low + high) / total
                better[r, a, s] = high_won / high / total
                worse[r, a, s] = low_won / low / total
