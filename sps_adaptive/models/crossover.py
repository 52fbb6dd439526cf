"""The difference of two treatments within patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.normal import (
    NormalPrior,
    Patients,
    Products,
    own_variance,
    pooled_variance,
    vague_variance,
)

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array
    from sps_adaptive.posteriors.predictive_normal import NormalPriors


class Crossover(Controlled):
    r"""Two treatments compared within patients (AB/BA design): Student-t, with or without a carry-over effect.

    With :math:`s_i = 1` for patients who had the experimental treatment first and -1 for the others, the treatment
    effect :math:`\tau` and the period effect :math:`\pi` (second less first), the difference of a patient's two scores
    is

    .. math:: d_i = y_{i1} - y_{i2} = s_i \tau - \pi + \varepsilon_i, \qquad \varepsilon_i \sim N(0, \sigma_d^2),

    with :math:`\tau \sim N(m, \sigma_d^2 / \kappa)`, a flat prior for :math:`\pi` and a scaled-inverse-chi-square prior
    for :math:`\sigma_d^2 = 2 s_w^2` (prior guess by `sd_within`, worth `sd_patients` patients). The prior is conjugate,
    so :math:`\tau` is Student-t; with a flat prior (:math:`\kappa = 0`) it has the location
    :math:`(\bar d_{AB} - \bar d_{BA}) / 2`, the squared scale :math:`\hat\sigma_d^2 (1 / n_{AB} + 1 / n_{BA}) / 4`
    and, with `sd_patients: 0`, :math:`n - 2` degrees of freedom: that of the t-test of Hills and Armitage (1979; Jones
    and Kenward 2014). A prior worth :math:`\kappa` patients has the weight of as many patients, half of them in each
    order. The mean under a treatment adds the general mean to it, with a flat prior of its own and `sd_between`, the
    prior guess of the standard deviation between patients.

    With `carry_over: ignored`, what is left of the first treatment's effect biases :math:`\tau` by half of it.
    With `carry_over: estimated` it may be anything (a flat prior): then the second period says nothing about the
    treatment. In the joint normal distribution of the two scores, :math:`p(y_1) p(y_2 | y_1)`, carry-over enters the
    second factor alone, so :math:`\tau` is what the first makes of it, the Student-t analysis of the first period as
    that of a parallel trial, :math:`\tau \sim N(m, 4 \sigma^2 / \kappa)` and :math:`\sigma^2 = s_b^2 + s_w^2`. It uses
    all patients whose first score is known, is unbiased whatever is carried over, and needs
    :math:`2 / (1 - \rho)` times the patients, :math:`\rho` being the correlation of the two scores.

    A test of carry-over, to choose one of the two (Grizzle 1965), is not offered: it has little power, as it compares
    sums of scores between patients, and the two-stage procedure errs more often than it says, since the estimate of
    the first period and the test depend on each other (Freeman 1989; Senn 2002, chapter 3). A sufficient washout is the
    answer; `carry_over: estimated` shows the price of having none.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"crossover"})
    scale: ClassVar[str] = "mean"
    needs_baseline: ClassVar[bool] = False
    left_out: ClassVar[str] = (
        "Patients without a second score are left out; with carry_over: estimated their first score counts."
    )

    kind: Literal["crossover"]
    carry_over: Literal["ignored", "estimated"] = "ignored"
    """Whether nothing is carried over from the first period into the second, or anything may be."""
    sd_within: Annotated[float, Field(gt=0)]
    """Prior guess of the standard deviation of a score about its patient's own mean."""
    sd_between: Annotated[float, Field(ge=0)]
    """Prior guess of the standard deviation between patients of what both scores of a patient have in common."""
    sd_patients: Patients = 1.0
    """How many patients the guesses are worth."""
    effect: NormalPrior = NormalPrior()
    """The prior of the treatment effect, experimental less control. The default is flat."""

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the model in its trial: more than two arms."""
        if len(setting.arms) == 2:
            return []
        return [(("kind",), f"a crossover of {len(setting.arms)} arms", "have two arms: the two treatments")]

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        sign = 1.0 if setting.higher_is_better else -1.0
        signs = np.where(np.arange(2) == setting.control, -1.0, 1.0)
        return BoundCrossover(
            carry_over=self.carry_over == "estimated",
            sd_within=self.sd_within,
            sd_between=self.sd_between,
            sd_patients=self.sd_patients,
            signs=signs,
            effect_mean=sign * self.effect.mean,
            effect_patients=self.effect.patients,
        )


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
