"""The posterior of arms that are linear functionals of a model's parameters, by marginal Laplace approximations."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from sps_adaptive.posteriors.approximate import success
from sps_adaptive.posteriors.copula import MOST_ARMS, best_of_curves
from sps_adaptive.posteriors.curves import Curve
from sps_adaptive.posteriors.laplace import LogDensity, Modes, correlations, find_modes, marginals
from sps_adaptive.posteriors.orthant import orthant

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

FURTHEST = 37.0
"""Standard normal scores are kept within this distance of 0, where probabilities differ from 0 and 1."""


@dataclass(frozen=True, eq=False)
class MarginalPosterior:
    r"""Arms :math:`\theta_a = w_a^\top \beta`, with the posterior density of :math:`\beta` given.

    Each probability, interval and moment of an arm or of a difference comes from the marginal density of that
    functional (see `laplace`). It is computed when it is first asked for, and remembered; so is the mode. The mean of a
    difference is the difference of the means. The probability of being the best of two is that of being better. Of
    three or four it comes from the arms' own densities, which depend on each other by a Gaussian copula with the
    curvature at the mode (see `copula`). Of more, or where arms are measured from one of them, it is the chance that
    all differences to the others are positive, with the same copula of the differences.

    Where no mode is found the answers are those of a normal distribution at the highest point that was reached, with
    the curvature there, made positive definite; where a path from the mode is lost, that side of the marginal density
    is normal. Both count as failed.
    """

    density: LogDensity
    arms: Float[Array, "A P"]
    """The functional of each arm; zeros for a control from which the others are measured."""
    spread: Float[Array, "R A"]
    """Standard deviation of one patient's outcome, on the scale of the arms."""
    known: Int[Array, "R A"]
    """Outcomes known of each arm."""
    _modes: list[Modes] = field(default_factory=list)
    _curves: dict[bytes, Curve] = field(default_factory=dict)

    @property
    def modes(self) -> Modes:
        """The mode of each replicate."""
        if not self._modes:
            self._modes.append(find_modes(self.density))
        return self._modes[0]

    def failed(self) -> Bool[Array, " R"]:
        """Return in which replicates a search for the mode, or along an arm or a difference asked for, was lost."""
        self._compute(list(self.arms))
        return np.logical_or.reduce([self.modes.failed, *(curve.failed for curve in self._curves.values())])

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return self._of_arms(lambda curve, sign: sign * curve.mean, 0.0)

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        return self._of_arms(lambda curve, _: curve.sd, 0.0)

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation of one patient's outcome on each arm."""
        return self.spread.copy()

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        tails = (1 - level) / 2, (1 + level) / 2
        return np.stack([self._of_arms(partial(_quantile, probability=p), 0.0) for p in tails], -1)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return self._of_arms(lambda curve, sign: _above(curve, sign, value), float(value < 0))

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        return self._each(self.arms - self.arms[than], lambda curve, sign: _above(curve, sign, by), float(by < 0))

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        mean, gaps = self.mean(), self.arms - self.arms[than]
        tails = (1 - level) / 2, (1 + level) / 2
        ends = [self._each(gaps, partial(_quantile, probability=p), 0.0) for p in tails]
        return np.stack([mean - mean[:, [than]], *ends], axis=-1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        best = np.zeros(among.shape)
        for which in np.unique(among, axis=0):
            rows = (among == which).all(axis=1)
            if number := int(which.sum()):
                best[np.ix_(rows, which)] = self._best(np.flatnonzero(which), rows) if number > 1 else 1.0
        return best

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm), by the normal approximation of `approximate.success`.

        Its normal distribution has the standard deviation of the difference, and the mean that gives the probability of
        being better by `by` that the analysis itself gives.
        """
        functionals = self.arms if than is None else self.arms - self.arms[than]
        better = self.prob_above(by) if than is None else self.prob_better(than, by)
        sd = self._each(functionals, lambda curve, _: curve.sd, 1.0)
        return success(by + sd * _score(better), sd, self.known, more, than, by, threshold, fresh)

    def _best(self, arms: Int[Array, " B"], rows: Bool[Array, " R"]) -> Float[Array, "Q B"]:
        """Return P(each is the best of these arms) in some replicates."""
        functionals, covariance = self.arms[arms], self.modes.covariance[rows]
        gaps = functionals[:, None] - functionals
        better = self._each(gaps.reshape(-1, gaps.shape[-1]), _positive, 0.5)[rows]
        better = better.reshape(-1, len(arms), len(arms))
        if 2 < len(arms) <= MOST_ARMS and functionals.any(axis=1).all():
            self._compute(list(functionals))
            curves, signs = zip(*(self._curve(functional) for functional in functionals), strict=True)
            if min(signs) > 0:
                chosen = [curve.only(rows) for curve in curves]
                return best_of_curves(chosen, correlations(functionals, covariance), better)
        chance = np.zeros((len(covariance), len(arms)))
        for place in range(len(arms)):
            others = np.arange(len(arms)) != place
            score = _score(better[:, place, others])
            chance[:, place] = orthant(score, correlations(gaps[place, others], covariance))
        return chance / chance.sum(axis=1, keepdims=True)

    def _of_arms(self, answer: Callable[[Curve, float], Float[Array, " R"]], of_zero: float) -> Float[Array, "R A"]:
        return self._each(self.arms, answer, of_zero)

    def _each(
        self, functionals: Float[Array, "F P"], answer: Callable[[Curve, float], Float[Array, " R"]], of_zero: float
    ) -> Float[Array, "R F"]:
        """Return an answer about each functional; `of_zero` about one that is nothing but 0."""
        self._compute(list(functionals))
        found = np.full((len(self.known), len(functionals)), of_zero)
        for column, functional in enumerate(functionals):
            if functional.any():
                found[:, column] = answer(*self._curve(functional))
        return found

    def _curve(self, functional: Float[Array, " P"]) -> tuple[Curve, float]:
        """Return the marginal density of a functional that has been computed, and whether it is turned."""
        key, sign = _key(functional)
        return self._curves[key], sign

    def _compute(self, functionals: list[Float[Array, " P"]]) -> None:
        """Compute the marginal densities that are not there yet; a functional and its negative share one."""
        missing = {}
        for functional in functionals:
            if functional.any():
                key, sign = _key(functional)
                if key not in self._curves:
                    missing[key] = sign * functional
        if missing:
            grid = marginals(self.density, self.modes, np.stack(list(missing.values())))
            self._curves.update((key, Curve.of(grid, number)) for number, key in enumerate(missing))


def _key(functional: Float[Array, " P"]) -> tuple[bytes, float]:
    """Return by what a functional is remembered, and the sign by which it is turned: its first number is positive."""
    sign = float(np.sign(functional[np.flatnonzero(functional)[0]]))
    return (sign * functional + 0.0).tobytes(), sign


def _above(curve: Curve, sign: float, value: float) -> Float[Array, " R"]:
    return curve.above(value) if sign > 0 else 1 - curve.above(-value)


def _positive(curve: Curve, sign: float) -> Float[Array, " R"]:
    return _above(curve, sign, 0.0)


def _quantile(curve: Curve, sign: float, probability: float) -> Float[Array, " R"]:
    return sign * curve.quantile(probability if sign > 0 else 1 - probability)


def _score(probability: Float[Array, "..."]) -> Float[Array, "..."]:
    return np.clip(ndtri(probability), -FURTHEST, FURTHEST)
