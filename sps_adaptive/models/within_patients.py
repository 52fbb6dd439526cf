"""The mathematics of the crossover analysis: differences within patients, first scores, and sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.contracts import Posterior, Snapshot
from sps_adaptive.models.normal import Products, own_variance, pooled_variance, vague_variance

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array
    from sps_adaptive.posteriors.predictive_normal import NormalPriors

FIRST, BOTH = 0, 2
"""Positions, among what is known of a patient, of the first score and of the mean of both."""

LEAST_DIAGONAL = 1e-12
"""A variance of next to nothing, in units of that of an outcome, where there is none."""


class Contrast(NamedTuple):
    """The posterior of c and t where outcomes are c + t after one order of the treatments, c - t after the other."""

    half: Float[Array, " R"]
    """Location of t."""
    constant: Float[Array, " R"]
    """Location of c."""
    diagonal: Float[Array, "R A"]
    loading: Float[Array, "R A"]
    """The covariance of c + t and c - t, as in `JointStudentPosterior`."""
    variance: Float[Array, " R"]
    df: Float[Array, " R"]
    n: Float[Array, " R"]
    """Patients known."""


@dataclass(frozen=True, eq=False)
class BoundCrossover:
    """The crossover analysis of two given arms."""

    carry_over: bool
    sd_within: float
    sd_between: float
    sd_patients: float
    signs: Float[Array, " A"]
    """1 for the experimental arm, -1 for the control."""
    effect_mean: float
    """Oriented."""
    effect_patients: float

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the scores that are known."""
        return self._first_period(snapshot) if self.carry_over else self._both_periods(snapshot)

    def carried(self, snapshot: Snapshot) -> tuple[Float[Array, " R"], Float[Array, " R"], Float[Array, " R"]]:
        r"""Return location, scale and degrees of freedom of what is carried over, with a flat prior.

        Of the experimental treatment less of the control, from the sums of both scores,
        :math:`y_{i1} + y_{i2} = c + s_i \lambda / 2`: the posterior behind Grizzle's (1965) test.
        """
        sd = float(np.hypot(2 * self.sd_between, np.sqrt(2) * self.sd_within))
        seen = products(snapshot, 2 * snapshot.value[..., BOTH], BOTH)
        found = self._contrast(seen, sd, 0.0, 0.0)
        return 2 * found.half, np.sqrt(found.variance * found.diagonal.sum(axis=1)), found.df

    def _both_periods(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior from the differences within patients; half of them are outcomes of two arms."""
        from sps_adaptive.posteriors.joint_student import JointStudentPosterior
        from sps_adaptive.posteriors.paired_student import PairedStudentPosterior

        sd = np.sqrt(0.5) * self.sd_within
        seen = products(snapshot, (snapshot.value[..., 0] - snapshot.value[..., 1]) / 2, BOTH)
        found = self._contrast(seen, sd, self.effect_mean / 2, self.effect_patients)
        halves = JointStudentPosterior(
            found.constant[:, None] + self.signs * found.half[:, None],
            found.diagonal,
            found.loading,
            found.variance,
            found.df,
            start=self._start(sd),
        )
        # The general mean: the scores' means of all patients, whatever the order.
        seen = products(snapshot, snapshot.value[..., BOTH], BOTH)
        general = (seen.n * seen.mean_y).sum(axis=1) / np.maximum(found.n, 1)
        spread = (seen.yy + seen.n * (seen.mean_y - general[:, None]) ** 2).sum(axis=1)
        sd = float(np.hypot(self.sd_between, sd))
        vague = vague_variance(np.stack([general, found.half], axis=1), sd)[:, 0]
        variance, df = pooled_variance(spread, found.n - (found.n > 0), sd, self.sd_patients, vague)
        of_level = variance * own_variance(found.n, vague / variance)
        of_half = found.variance * found.diagonal.sum(axis=1) / 4
        own = of_level + of_half
        return PairedStudentPosterior(
            halves,
            location=general[:, None] + self.signs * found.half[:, None],
            scale=np.repeat(np.sqrt(own)[:, None], 2, axis=1),
            df=own**2 / (of_level**2 / df + of_half**2 / found.df),
            spread=np.sqrt(variance + found.variance),
            known=found.n.astype(np.int64),
        )

    def _first_period(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior from the first scores alone: those of a parallel trial."""
        from sps_adaptive.posteriors.joint_student import JointStudentPosterior

        sd = float(np.hypot(self.sd_between, self.sd_within))
        seen = products(snapshot, snapshot.value[..., FIRST], FIRST)
        found = self._contrast(seen, sd, self.effect_mean / 2, self.effect_patients)
        return JointStudentPosterior(
            found.constant[:, None] + self.signs * found.half[:, None],
            found.diagonal,
            found.loading,
            found.variance,
            found.df,
            start=self._start(sd),
        )

    def _start(self, sd: float) -> NormalPriors:
        """Return what the analysis of half differences, or of first scores, begins with, as that of two arms."""
        from sps_adaptive.posteriors.predictive_normal import NormalPriors

        half = np.full(2, self.effect_patients / 2)
        return NormalPriors(self.signs * self.effect_mean / 2, half, sd, self.sd_patients)

    def _contrast(self, seen: Products, sd: float, mean: float, patients: float) -> Contrast:
        r"""Return the posterior of t, with the prior N(mean, sigma^2 / patients), and of c, with a flat one.

        With n_a patients in each order, the precision of t is :math:`\kappa + 4 n_1 n_2 / n`, and c given t has the
        variance 1/n. No term is a small difference of large ones.
        """
        n = seen.n.sum(axis=1)
        share = np.where(n[:, None] > 0, seen.n / np.maximum(n, 1)[:, None], 0.5)
        information = 4 * seen.n[:, 0] * share[:, 1]
        precision = patients + information
        gap = (self.signs * seen.mean_y).sum(axis=1) - 2 * mean
        half = mean + information * gap / 2 / np.where(precision > 0, precision, 1.0)
        constant = (share * (seen.mean_y - self.signs * half[:, None])).sum(axis=1)
        residual = seen.mean_y - constant[:, None] - self.signs * half[:, None]
        spread = (seen.yy + seen.n * residual**2).sum(axis=1) + patients * (half - mean) ** 2
        used = (n > 0) if patients > 0 else (seen.n > 0).sum(axis=1)
        vague = vague_variance(np.stack([constant, half], axis=1), sd)[:, 0]
        variance, df = pooled_variance(spread, n - used, sd, self.sd_patients, vague)
        wide = vague / variance
        if patients > 0:
            diagonal = np.maximum(4 * share[:, ::-1] / precision[:, None], LEAST_DIAGONAL)
            common = np.where(n > 0, patients / (precision * np.maximum(n, 1)), wide)
        else:
            diagonal, common = own_variance(seen.n, wide[:, None]), np.zeros(len(n))
        return Contrast(half, constant, diagonal, np.repeat(np.sqrt(common)[:, None], 2, axis=1), variance, df, n)


def products(snapshot: Snapshot, value: Float[Array, "R N"], place: int) -> Products:
    """Return numbers, means and sums of squares by first treatment, over the patients of whom `place` is known."""
    from sps_adaptive.kernels import arm_products

    found = Products(*np.zeros((6, len(snapshot.arm), snapshot.n_arms)))
    known, value = np.ascontiguousarray(snapshot.known[..., place]), np.ascontiguousarray(value)
    arm_products(snapshot.arm, known, value, value, *found)
    return found
