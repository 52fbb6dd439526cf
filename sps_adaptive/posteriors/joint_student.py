"""Joint Student-t posteriors: arms that share a residual variance and, in ANCOVA, a slope."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.gaussian import begun_with
from sps_adaptive.posteriors.independent import best_of_independent, standards
from sps_adaptive.posteriors.quadrature import legendre_rule
from sps_adaptive.posteriors.student import student_sd

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array
    from sps_adaptive.posteriors.predictive_normal import NormalPriors

ANGLE_NODE, _, ANGLE_NODE_WEIGHT = legendre_rule(32)
NODE, _, NODE_WEIGHT = legendre_rule(6)


@dataclass(frozen=True, eq=False)
class JointStudentPosterior:
    r"""A multivariate Student-t posterior, given by its mixture of normal distributions.

    .. math::
        \theta \mid \sigma^2 \sim N(\mu, \sigma^2 (\operatorname{diag}(d) + l l^\top)), \qquad
        \nu s^2 / \sigma^2 \sim \chi^2_\nu

    Differences of arms are Student-t. The probability of being best among three is a bivariate t probability,
    by Plackett's (1954) identity; among more, an integral over the shared variance, the shared factor and the
    best value.
    """

    location: Float[Array, "R A"]
    diagonal: Float[Array, "R A"]
    """d: variance of each arm of its own, in units of σ², positive."""
    loading: Float[Array, "R A"]
    """l: effect on each arm of one standard normal variable (times σ) that all arms share."""
    variance: Float[Array, " R"]
    """s²: the scale of σ², positive."""
    df: Float[Array, " R"]
    """ν: degrees of freedom, positive."""
    slope_variance: Float[Array, " R"] | None = None
    """Of the slope on the baseline, in units of σ²; None without a baseline."""
    start: NormalPriors | None = None
    """What the analysis began with, where success can be predicted."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the centre of each arm: the posterior mean where it exists (more than one degree of freedom)."""
        return self.location.copy()

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm; where infinite, half the central 68.3% interval."""
        return self._scale() * student_sd(self.df)[:, None]

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return s, the estimated standard deviation of one patient's outcome, the same on all arms."""
        return np.sqrt(np.broadcast_to(self.variance[:, None], self.location.shape))

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return np.asarray(stdtr(self.df[:, None], (self.location - value) / self._scale()))

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        half = stdtrit(self.df, (1 + level) / 2)[:, None] * self._scale()
        return np.stack([self.location - half, self.location + half], axis=-1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        arms = self.location.shape[1]
        gap = np.zeros((*self.location.shape, arms))  # standardised difference of arm k and arm j: [R, k, j]
        better = np.zeros_like(gap)
        for k in range(arms):
            for j in range(arms):
                if j != k:
                    centre, unit = self._difference(k, j)
                    gap[:, k, j] = centre / unit
                    better[:, k, j] = stdtr(self.df, gap[:, k, j])
        (tail, shape), _ = standards(np.array([np.inf]))
        best = np.zeros(self.location.shape)
        fill_joint_best(
            np.ascontiguousarray(self.location), np.ascontiguousarray(self.diagonal),
            np.ascontiguousarray(self.loading), np.ascontiguousarray(self.variance), np.ascontiguousarray(self.df),
            np.ascontiguousarray(among), gap, better, ANGLE_NODE, ANGLE_NODE_WEIGHT, tail, shape,
            NODE, NODE_WEIGHT, best,
        )  # fmt: skip
        return best

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        better = np.full(self.location.shape, 1.0 if by < 0 else 0.0)
        for arm in range(self.location.shape[1]):
            if arm != than:
                centre, unit = self._difference(arm, than)
                better[:, arm] = stdtr(self.df, (centre - by) / unit)
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        answer = np.zeros((*self.location.shape, 3))
        width = stdtrit(self.df, (1 + level) / 2)
        for arm in range(self.location.shape[1]):
            if arm != than:
                centre, unit = self._difference(arm, than)
                answer[:, arm] = np.stack([centre, centre - width * unit, centre + width * unit], axis=-1)
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm); see `predictive_joint_student`."""
        from sps_adaptive.posteriors.predictive_joint_student import success_of_joint_student

        start = begun_with(self.start)
        known = self.location, self.diagonal, self.loading, self.variance, self.df
        asked = than, by, threshold, more
        return success_of_joint_student(*known, *asked, start if fresh else None, self.slope_variance)

    def _scale(self) -> Float[Array, "R A"]:
        """Return the scale of each arm."""
        return np.sqrt(self.variance[:, None] * (self.diagonal + self.loading**2))

    def _difference(self, arm: int, than: int) -> tuple[Float[Array, " R"], Float[Array, " R"]]:
        """Return centre and scale of arm - arm `than`."""
        loading = self.loading[:, arm] - self.loading[:, than]
        unit = np.sqrt(self.variance * (self.diagonal[:, arm] + self.diagonal[:, than] + loading**2))
        return self.location[:, arm] - self.location[:, than], unit


@compiled
def both_below(
    h: float,
    k: float,
    below_h: float,
    below_k: float,
    below_minus_k: float,
    correlation: float,
    df: float,
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
) -> float:
    r"""Return P(X <= h, Y <= k) of a standard bivariate t with any (real) degrees of freedom.

    Plackett's identity: the derivative by the correlation :math:`\cos\psi` is
    :math:`(1 + Q / \nu)^{-\nu/2} / (2 \pi \sin\psi)` with :math:`Q = (h^2 + k^2 - 2 h k \cos\psi) / \sin^2\psi`
    (as in Genz 2004). It is integrated from correlation 1, where the probability is that of the smaller limit,
    along :math:`\psi = c \sinh v`: near :math:`\psi = 0` the integrand changes over a length of
    :math:`c = |h - k|`. Negative correlations are those of (X, -Y) with another sign.
    """
    turned = correlation < 0.0
    if turned:
        k, correlation = -k, -correlation
    limit = math.acos(min(correlation, 1.0))
    joint = min(below_h, below_minus_k if turned else below_k)
    if limit > 0.0:
        layer = max(abs(h - k), 1e-9)
        length = math.asinh(limit / layer)
        total = 0.0
        for g in range(len(node)):
            v = length * node[g]
            angle = layer * math.sinh(v)
            distance = ((h - k) / math.sin(angle)) ** 2 + h * k / math.cos(angle / 2) ** 2
            total += node_weight[g] * math.cosh(v) * math.exp(-df / 2 * math.log1p(max(distance, 0.0) / df))
        joint -= total * layer * length / (2 * math.pi)
    return below_h - joint if turned else joint


@compiled
def best_of_three(
    arm: Int[Array, " A"],
    diagonal: Float[Array, " A"],
    loading: Float[Array, " A"],
    df: float,
    gap: Float[Array, "A A"],
    better: Float[Array, "A A"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    best: Float[Array, " A"],
) -> None:
    """Fill P(best) of three arms: the differences to the two others are both above 0, a bivariate t."""
    for place in range(3):
        k, i, j = arm[place], arm[(place + 1) % 3], arm[(place + 2) % 3]
        to_i, to_j = loading[k] - loading[i], loading[k] - loading[j]
        covariance = diagonal[k] + to_i * to_j
        unit_i = diagonal[k] + diagonal[i] + to_i**2
        unit_j = diagonal[k] + diagonal[j] + to_j**2
        best[place] = both_below(
            gap[k, i], gap[k, j], better[k, i], better[k, j], better[j, k],
            covariance / math.sqrt(unit_i * unit_j), df, node, node_weight,
        )  # fmt: skip


@compiled
def best_of_many(
    location: Float[Array, " A"],
    diagonal: Float[Array, " A"],
    loading: Float[Array, " A"],
    number: int,
    variance: float,
    df: float,
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    best: Float[Array, " A"],
) -> None:
    """Fill P(best) of the first `number` arms, given variance and shared factor, averaged over both.

    Trapezoidal sums in the logarithm of the precision and in the factor: both have densities that are analytic
    and fall fast, so the sums converge exponentially. Only differences of loadings matter: they are centred, so
    that what the factor does is small against what the arms do on their own, and few of its values suffice.
    """
    scale, moved, mean = np.empty(number), np.empty(number), np.empty(number)
    row = np.zeros(number, np.int64)
    work = np.empty((3, number))
    weight_sum, centre = 0.0, 0.0
    for i in range(number):
        scale[i] = math.sqrt(diagonal[i])
        weight_sum += 1 / diagonal[i]
        centre += loading[i] / diagonal[i]
    centre /= weight_sum
    ratio = 0.0
    for i in range(number):
        ratio = max(ratio, abs(loading[i] - centre) / scale[i])
        best[i] = 0.0
    # Steps and ends found by experiment: errors stay below 1e-5, mostly below 1e-6.
    factor_step = 1.1 / math.sqrt(1 + ratio * ratio)
    factors = 0 if ratio < 1e-9 else int(4.8 / factor_step)
    log_step = min(0.9 * math.sqrt(2 / df), 0.5)
    total = 0.0
    for side in range(2):
        log_precision = 0.0 if side == 0 else -log_step
        while True:
            # The density of the logarithm of a gamma variable with mean 1 and shape df / 2, over its mode.
            log_weight = df / 2 * (log_precision + 1 - math.exp(log_precision))
            if log_weight < -15:
                break
            root = math.sqrt(math.exp(log_precision) / variance)
            for w in range(-factors, factors + 1):
                factor = w * factor_step
                weight = math.exp(log_weight - factor * factor / 2)
                for i in range(number):
                    moved[i] = location[i] * root + (loading[i] - centre) * factor
                best_of_independent(moved, scale, row, number, tail, shape, node, node_weight, work, mean)
                for i in range(number):
                    best[i] += weight * mean[i]
                total += weight
            log_precision += log_step if side == 0 else -log_step
    for i in range(number):
        best[i] /= total


@compiled
def fill_joint_best(
    location: Float[Array, "R A"],
    diagonal: Float[Array, "R A"],
    loading: Float[Array, "R A"],
    variance: Float[Array, " R"],
    df: Float[Array, " R"],
    among: Bool[Array, "R A"],
    gap: Float[Array, "R A A"],
    better: Float[Array, "R A A"],
    angle_node: Float[Array, " H"],
    angle_node_weight: Float[Array, " H"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    node: Float[Array, " G"],
    node_weight: Float[Array, " G"],
    best: Float[Array, "R A"],
) -> None:
    """Fill P(arm is the best of `among`), in place, by the cheapest way for the number of open arms."""
    replicates, arms = location.shape
    arm = np.empty(arms, np.int64)
    own = np.empty((3, arms))
    answer = np.empty(arms)
    for r in range(replicates):
        number = 0
        for a in range(arms):
            if among[r, a]:
                arm[number] = a
                own[0, number], own[1, number], own[2, number] = location[r, a], diagonal[r, a], loading[r, a]
                number += 1
        if number == 1:
            answer[0] = 1.0
        elif number == 2:
            answer[0], answer[1] = better[r, arm[0], arm[1]], better[r, arm[1], arm[0]]
        elif number == 3:
            best_of_three(arm, diagonal[r], loading[r], df[r], gap[r], better[r], angle_node, angle_node_weight, answer)
        elif number > 3:
            best_of_many(own[0], own[1], own[2], number, variance[r], df[r], tail, shape, node, node_weight, answer)
        total = 0.0
        for i in range(number):
            answer[i] = max(answer[i], 0.0)
            total += answer[i]
        for i in range(number):
            best[r, arm[i]] = answer[i] / total
