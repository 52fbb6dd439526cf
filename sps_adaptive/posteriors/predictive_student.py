r"""Predictive probability of success where every arm has an unknown variance of its own.

The arms are independent, and each adds a Student-t variable T and a Beta variable B to the analysis that is to come
(see `predictive_t`). That analysis compares the difference of the means with C times the root of the sum of their
squared scales, where C is a quantile of a Behrens-Fisher distribution. It depends on the ratio of the two scales: it is
interpolated in it, and taken where success begins. Given all but T of the arm whose mean moves more, success is again
an inequality of second degree in T; over the three other variables it is averaged by Gauss's rules for their laws.

Against nested simulation errors were below 0.006 for arms with three known outcomes or more, and below 0.02 if a single
outcome is still to come in an arm with few; with one degree of freedom (two outcomes and no prior guess of the standard
deviation) they reached 0.07.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from sps_adaptive.arrays import TIE, above
from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.independent import NODE, NODE_WEIGHT, fill_better, fill_quantiles, standards
from sps_adaptive.posteriors.predictive_normal import LEAST_DF, VAGUE, NormalPriors, with_itself
from sps_adaptive.posteriors.predictive_t import Race, chance, region

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

NODES = 8
"""Nodes of the rules for the other arm's T and for either B."""

STEPS = 3
"""How often the place where success begins is improved."""

MOST_LEVEL = 1 - 1e-7
"""Quantiles are not found further out: the cdfs they are roots of end there."""

RATIOS = 17
"""Points between which the Behrens-Fisher quantile is interpolated."""


def success_of_student(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    df: Float[Array, "R A"],
    patients: Float[Array, "R A"],
    than: int | None,
    by: float,
    threshold: float,
    more: Int[Array, "R A"],
    priors: NormalPriors | None = None,
) -> Float[Array, "R A"]:
    r"""Return the probability that each arm will be a success after `more` outcomes of each arm.

    Parameters
    ----------
    location, scale, df
        The posterior, as in :class:`~sps_adaptive.posteriors.student.StudentPosterior`.
    patients
        How many outcomes each posterior mean rests on, those of the prior included: the scale is that of an outcome,
        divided by the root of this number.
    than
        The arm to compare with; None compares each arm with the number `by`.
    by
        Success is :math:`P(\theta_a > \theta_{than} + by) > threshold`.
    threshold
        What the probability must exceed.
    more
        Further outcomes of each arm. Without any, the answer is 0 or 1.
    priors
        If given, the further outcomes are analysed alone, after these priors, as those of a separate trial.

    Returns
    -------
    array
        Probabilities; for `than` itself 0 or 1, as if its probability of being better were that of `prob_better`.
    """
    if threshold + TIE >= 1:
        return np.zeros(location.shape)
    fresh, known = priors is not None, (location, scale, df, patients, more)
    arms = _added(*known) if priors is None else _separate(*known, priors)
    if than is None:
        return _alone(arms, by, threshold, fresh)
    success = np.empty(location.shape)
    for arm in range(location.shape[1]):
        if arm != than:
            success[:, arm] = _pair(arms.one(arm), arms.one(than), by, threshold, fresh)
    return with_itself(success, than, by, threshold)


class _Arms(NamedTuple):
    """What the analysis to come is made of.

    The posterior mean will be centre + move T, its squared scale (prior · (1, T, T²) + variance q (ν + T²)) / weight.
    """

    centre: Float[Array, "R A"]
    move: Float[Array, "R A"]
    variance: Float[Array, "R A"]
    """Scale of the variance of an outcome at present."""
    df: Float[Array, "R A"]
    """ν."""
    more: Int[Array, "R A"]
    prior: Float[Array, "R A 3"]
    weight: Float[Array, "R A"]
    """Patients times degrees of freedom to come."""
    later_df: Float[Array, "R A"]
    """Degrees of freedom to come."""

    def one(self, arm: int) -> _Arms:
        """Return one arm."""
        return _Arms(*(field[:, arm] for field in self))


def _added(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    df: Float[Array, "R A"],
    patients: Float[Array, "R A"],
    more: Int[Array, "R A"],
) -> _Arms:
    later, later_df = patients + more, df + more
    return _Arms(
        location, scale * np.sqrt(more / later), scale**2 * patients, df, more,
        np.zeros((*location.shape, 3)), later * later_df, later_df,
    )  # fmt: skip


def _separate(
    location: Float[Array, "R A"],
    scale: Float[Array, "R A"],
    df: Float[Array, "R A"],
    patients: Float[Array, "R A"],
    more: Int[Array, "R A"],
    priors: NormalPriors,
) -> _Arms:
    variance, total = scale**2 * patients, priors.patients + more
    share = more / np.where(total > 0, total, 1.0)
    worth, offset = priors.patients * share, location - priors.mean
    # By how much an arm's mean outcome moves with T.
    unit = np.where(more > 0, np.sqrt(scale**2 + variance / np.maximum(more, 1)), 0.0)
    later_df = priors.sd_patients + more - ((priors.patients == 0) & (more > 0))
    proper = (total > 0) & (later_df >= LEAST_DF)
    vague = (VAGUE * (priors.sd + np.ptp(location, axis=1, keepdims=True))) ** 2
    start = priors.sd_patients * priors.sd**2 + worth * offset**2
    return _Arms(
        priors.mean + share * offset, share * unit, variance, df, more,
        np.stack([np.where(proper, start, vague), 2 * worth * offset * unit, worth * unit**2], axis=-1),
        np.where(proper, total * later_df, 1.0), np.where(proper, later_df, 1.0),
    )  # fmt: skip


def _alone(arms: _Arms, by: float, threshold: float, fresh: bool) -> Float[Array, "R A"]:
    """Return the probability that P(arm > by) will exceed the threshold."""
    quantile = stdtrit(arms.later_df, threshold + TIE)
    turned, unit = np.where(quantile < 0, -1.0, 1.0), np.sqrt(arms.variance)
    prior = arms.prior / arms.variance[..., None]
    prior[..., 1] *= turned
    gap = (arms.centre - by) / unit
    gained = (np.maximum(arms.more - 1, 0) if fresh else arms.more).astype(float)
    race = Race(
        (turned * gap).ravel(), (arms.move / unit).ravel(), np.maximum(quantile**2 / arms.weight, 1e-300).ravel(),
        prior.reshape(-1, 3), arms.df.ravel(), gained.ravel(),
    )  # fmt: skip
    found = chance(race, fresh).reshape(gap.shape)
    found = np.where(turned < 0, 1 - found, found)
    squares = prior[..., 0] if fresh else arms.df
    return np.where(arms.more > 0, found, above(stdtr(arms.later_df, gap / np.sqrt(squares / arms.weight)), threshold))


def _pair(arm: _Arms, than: _Arms, by: float, threshold: float, fresh: bool) -> Float[Array, " R"]:
    """Return the probability of success of one arm against another."""
    # The mean that moves more is the inner one. With thresholds below one half, failure is the event of the same kind.
    turned = -1.0 if threshold + TIE < 0.5 else 1.0
    arm_inside = arm.move >= than.move
    inner, outer = _choose(arm_inside, arm, than), _choose(arm_inside, than, arm)
    sign = np.where(arm_inside, turned, -turned)
    inner.prior[:, 1] *= sign
    outer.prior[:, 1] *= -sign
    gap = arm.centre - than.centre - by
    level = min(max(threshold + TIE, 1 - threshold - TIE), MOST_LEVEL)
    critical, pair = _critical(inner.later_df, outer.later_df, level)
    inner_rule, inner_law = _rules(inner.df, inner.more, fresh)
    outer_rule, outer_law = _rules(outer.df, outer.more, fresh)
    tables, row = standards(inner.df)
    found = np.empty(len(gap))
    average(
        turned * gap, inner.move, inner.variance, inner.df, inner.prior, inner.weight,
        outer.move, outer.variance, outer.df, outer.prior, outer.weight,
        inner_rule, inner_law, outer_rule, outer_law, critical, pair, row, *tables, found,
    )  # fmt: skip
    found = found if turned > 0 else 1 - found
    return np.where(inner.move > 0, found, above(_as_known(arm, than, by, fresh), threshold))


def _choose(first: Bool[Array, " R"], one: _Arms, other: _Arms) -> _Arms:
    """Return one arm where `first`, the other elsewhere."""
    fields = zip(one, other, strict=True)
    return _Arms(*(np.where(first[:, None] if a.ndim > 1 else first, a, b) for a, b in fields))


def _as_known(arm: _Arms, than: _Arms, by: float, fresh: bool) -> Float[Array, " R"]:
    """Return the probability that the arm is better, in the analysis to come if nothing moves."""
    squares = [each.prior[:, 0] + (0 if fresh else each.variance * each.df) for each in (than, arm)]
    scale = np.sqrt(np.stack([squares[0] / than.weight, squares[1] / arm.weight], axis=1))
    tables, row = standards(np.stack([than.later_df, arm.later_df], axis=1))
    better = np.zeros((len(scale), 2))
    centre = np.stack([than.centre, arm.centre], axis=1)
    fill_better(centre, scale, row, 0, float(by), *tables, NODE, NODE_WEIGHT, better)
    return better[:, 1]


def _critical(
    first: Float[Array, " R"], second: Float[Array, " R"], level: float
) -> tuple[Float[Array, "P N"], Int[Array, " R"]]:
    """Return quantiles of √ρ T1 + √(1 - ρ) T2 on an even grid of ρ for each distinct pair of degrees of freedom."""
    pairs, which = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    ratio = np.linspace(0.0, 1.0, RATIOS)[1:-1]
    df = np.repeat(pairs, len(ratio), axis=0)
    scale = np.tile(np.sqrt(np.stack([ratio, 1 - ratio], axis=1)), (len(pairs), 1))
    tables, row = standards(df)
    start = np.hypot(*(stdtrit(df, level) * scale).T)
    quantile = np.zeros((len(df), 2, 1))
    fill_quantiles(
        np.zeros_like(scale), scale, row, 1, np.array([1 - level]), np.repeat(start, 2).reshape(-1, 2, 1),
        *tables, NODE, NODE_WEIGHT, quantile,
    )  # fmt: skip
    ends = stdtrit(pairs, level)
    inside = quantile[:, 0, 0].reshape(len(pairs), len(ratio))
    return np.concatenate([ends[:, 1:], inside, ends[:, :1]], axis=1), which.reshape(len(first))


def _rules(
    df: Float[Array, " R"], more: Int[Array, " R"], fresh: bool
) -> tuple[Float[Array, "L 4 N"], Int[Array, " R"]]:
    """Return rules for T and q (node and weight of either) of the distinct laws, and the law of each replicate."""
    laws, which = np.unique(np.stack([df, more], axis=1), axis=0, return_inverse=True)
    return np.array([_rule(float(nu), int(m), fresh) for nu, m in laws]).reshape(-1, 4, NODES), which.reshape(len(df))


@lru_cache(maxsize=2048)
def _rule(df: float, more: int, fresh: bool) -> Float[Array, "4 N"]:
    rule = np.zeros((4, NODES))
    rule[1, 0] = rule[3, 0] = 1.0
    if more > 0:
        y, rule[1] = beta_rule(df / 2, df / 2, NODES)
        rule[0] = np.sqrt(df) * (2 * y - 1) / (2 * np.sqrt(y * (1 - y)))
    rule[2, 0] = 0.0 if fresh else 1.0
    if more > 1:
        b, rule[3] = beta_rule((df + 1) / 2, (more - 1) / 2, NODES)
        rule[2] = (1 - b) / b if fresh else 1 / b
    rule.setflags(write=False)
    return rule


def beta_rule(alpha: float, beta: float, nodes: int) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Return Gauss's rule for the mean of a function of a Beta variable (Golub and Welsch 1969)."""
    k = np.arange(nodes)
    total = alpha + beta
    # Recurrence of the Jacobi polynomials, moved to (0, 1).
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = np.where(
            k == 0, alpha / total, 0.5 + (alpha - beta) * (total - 2) / (2 * (2 * k + total) * (2 * k + total - 2))
        )
        j = k[1:]
        side = j * (j + alpha - 1) * (j + beta - 1) / ((2 * j + total - 2) ** 2 * (2 * j + total - 1))
        side = side * np.where(j == 1, 1.0, (j + total - 2) / (2 * j + total - 3))
    value, vector = np.linalg.eigh(np.diag(middle) + np.diag(np.sqrt(side), 1) + np.diag(np.sqrt(side), -1))
    return np.clip(value, 1e-12, 1 - 1e-12), vector[0] ** 2


@compiled
def interpolate(inside: float, outside: float, quantile: Float[Array, " K"]) -> float:
    """Return the quantile for two squared scales, by polynomials of third degree in the share of the first."""
    place = inside / max(inside + outside, 1e-300) * (len(quantile) - 1)
    i = min(max(int(place) - 1, 0), len(quantile) - 4)
    u = place - i
    return (
        -quantile[i] * (u - 1) * (u - 2) * (u - 3) / 6
        + quantile[i + 1] * u * (u - 2) * (u - 3) / 2
        - quantile[i + 2] * u * (u - 1) * (u - 3) / 2
        + quantile[i + 3] * u * (u - 1) * (u - 2) / 6
    )


@compiled
def begins(two: float, one: float, zero: float, otherwise: float) -> float:
    """Return where two T² + 2 one T + zero > 0 begins to hold: the larger root, the smaller if it opens downwards."""
    inside = one * one - two * zero
    root = -(one + math.copysign(math.sqrt(max(inside, 0.0)), one))
    if inside <= 0.0 or two == 0.0 or root == 0.0:
        return otherwise
    first, second = root / two, zero / root
    return max(first, second) if two > 0.0 else min(first, second)


@compiled
def average(
    gap: Float[Array, " R"],
    inner_move: Float[Array, " R"],
    inner_variance: Float[Array, " R"],
    inner_df: Float[Array, " R"],
    inner_prior: Float[Array, "R 3"],
    inner_weight: Float[Array, " R"],
    outer_move: Float[Array, " R"],
    outer_variance: Float[Array, " R"],
    outer_df: Float[Array, " R"],
    outer_prior: Float[Array, "R 3"],
    outer_weight: Float[Array, " R"],
    inner_rule: Float[Array, "L 4 N"],
    inner_law: Int[Array, " R"],
    outer_rule: Float[Array, "M 4 N"],
    outer_law: Int[Array, " R"],
    critical: Float[Array, "P K"],
    pair: Int[Array, " R"],
    row: Int[Array, " R"],
    tail: Float[Array, "D G 3"],
    shape: Float[Array, "D 5"],
    found: Float[Array, " R"],
) -> None:
    """Fill the probability of success, in place."""
    nodes = inner_rule.shape[2]
    for r in range(len(gap)):
        own, other = inner_rule[inner_law[r]], outer_rule[outer_law[r]]
        own_tail, own_shape, quantile = tail[row[r]], shape[row[r]], critical[pair[r]]
        move, nu, e = inner_move[r], inner_df[r], inner_prior[r] / inner_weight[r]
        variance = inner_variance[r] / inner_weight[r]
        total = 0.0
        for i in range(nodes):
            if other[1, i] == 0.0:
                continue
            t = other[0, i]
            g = gap[r] + outer_move[r] * t
            for j in range(nodes):
                if other[3, j] == 0.0:
                    continue
                squares = outer_prior[r, 0] + outer_prior[r, 1] * t + outer_prior[r, 2] * t * t
                squares += outer_variance[r] * other[2, j] * (outer_df[r] + t * t)
                outside = squares / outer_weight[r]
                for k in range(nodes):
                    if own[3, k] == 0.0:
                        continue
                    spread = variance * own[2, k]
                    # Begin where success is likeliest, if anywhere.
                    at, steep = 0.0, spread * g
                    if steep > 0.0:
                        at = min(move * (outside + spread * nu) / steep, 20.0)
                    two, one, zero = 0.0, 0.0, 0.0
                    for _ in range(STEPS):
                        inside = e[0] + e[1] * at + e[2] * at * at + spread * (nu + at * at)
                        c = interpolate(inside, outside, quantile) ** 2
                        two = move * move - c * (e[2] + spread)
                        one = g * move - c * e[1] / 2
                        zero = g * g - c * (outside + e[0] + spread * nu)
                        at = begins(two, one, zero, at)
                    weight = other[1, i] * other[3, j] * own[3, k]
                    total += weight * region(g, move, two, one, zero, own_tail, own_shape)
        found[r] = min(max(total, 0.0), 1.0)
