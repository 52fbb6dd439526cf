"""A score measured under both treatments in the same patient, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential
from sps_adaptive.endpoints.course import Course, by_arm
from sps_adaptive.endpoints.endpoint import Endpoint, Place
from sps_adaptive.part import Part
from sps_adaptive.words import months

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Lingering(Part):
    """The mean score under a treatment whose effect outlasts it."""

    mean: Course
    """Mean score under the treatment in steady state."""
    half_life_months: Annotated[float, Field(ge=0, le=120)] = 0.0
    """Months after the treatment's end in which half of its effect is lost; 0: it ends with the treatment."""


class Crossover(Endpoint):
    r"""A normally distributed score after each of two treatment periods, with a washout between them (AB/BA design).

    The arm that a patient is dealt is the treatment of the first period; the other one follows, so there are exactly
    two arms. With the means :math:`\mu_1` and :math:`\mu_2` of the first and the second treatment, and with a standard
    normal b of the patient and :math:`\varepsilon_1, \varepsilon_2` of the periods, the scores are

    .. math::
        y_1 = \mu_1 - \pi/2 + s_b b + s_w \varepsilon_1, \qquad
        y_2 = \mu_2 + c_1 (\mu_1 - \mu_2) + \pi/2 + s_b b + s_w \varepsilon_2,

    where :math:`\pi` is the period effect and :math:`c_1` the share of the first treatment's effect (against the
    second) that has been carried over. Effects fade exponentially from the end of the first period on: with a half-life
    h of the first treatment, a washout w and periods of length P

    .. math::
        c_1 = 2^{-(w + P) / h} \text{ (measured at the end)}, \qquad
        c_1 = \frac{h}{P \log 2} \left(2^{-w / h} - 2^{-(w + P) / h}\right) \text{ (measured throughout)}.

    What counts is thus not what is left when the second period begins, :math:`2^{-w/h}`, but what is left when it is
    measured: the second period washes out as well. The onset of effects is not modelled: means are those of the steady
    state, in periods measured throughout too. If only one of the two treatments lingers, an analysis that ignores
    carry-over estimates the difference with the bias :math:`-c_1 / 2` times the difference. With periods of 3 months
    and a half-life of 4 months a washout of 1 month leaves a share of 0.50 at the end and loses 25% of the effect, one
    of 3 months leaves 0.35 and loses 18%; with a half-life of 0.7 months it is 0.02 and 1%, or 0.003 and 0.1%. Measured
    throughout, the washout of 1 month leaves 0.66 and 0.12, that of 3 months 0.46 and 0.02.

    The correlation of the two scores is :math:`s_b^2 / (s_b^2 + s_w^2)`. For a change since enrolment state the
    standard deviations of changes: the enrolment's error, of standard deviation :math:`s_w`, is common to both and
    belongs to :math:`s_b`. The truth of an arm is the mean under this treatment, or {mean: -0.7, half_life_months: 2}.
    A patient who leaves before the second score has only the first. Sums of outcomes by arm are those of the mean of a
    patient's two scores, so that they do not depend on the order of the treatments but for carry-over. See Jones and
    Kenward (2014) and Senn (2002).
    """

    truth_type: ClassVar[Any] = Course | Lingering
    observed_scales: ClassVar[frozenset[str]] = frozenset()

    kind: Literal["crossover"]
    unit: str | None = None
    """Unit of the score, for the tables."""
    period_months: Annotated[float, Field(gt=0, le=120)]
    """Length of each of the two treatment periods; the score is measured at its end."""
    washout_months: Annotated[float, Field(ge=0, le=120)] = 0.0
    """Months between the periods, without either treatment."""
    measured: Literal["end", "throughout"] = "end"
    """At the `end` of each period, or `throughout` it: the mean over the period is the score."""
    sd_between: Annotated[float, Field(ge=0)]
    """Standard deviation between patients of what is common to both scores of a patient."""
    sd_within: Annotated[float, Field(gt=0)]
    """Standard deviation within a patient, of a score about the patient's own mean."""
    period_effect: float = 0.0
    """By how much scores of the second period are higher than those of the first, whatever the treatment."""

    @property
    def uniforms(self) -> int:
        """One of the patient, one of each period."""
        return 3

    @property
    def outcomes(self) -> int:
        """The scores of the two periods, and their mean."""
        return 3

    @property
    def assessed_at_month(self) -> float:
        """Months from enrolment to the second score."""
        return 2 * self.period_months + self.washout_months

    @property
    def window_months(self) -> float:
        """Visits fall on the day."""
        return 0.0

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: Mapping[str, Any],
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the oriented scores of both periods and their mean, by first treatment; `shift` adds to the score."""
        if len(arms) != 2:
            raise ValueError(f"a crossover has two arms, not {len(arms)}")
        level = self._means(cohort, arms, truth, shift)
        other = level[..., ::-1]
        share = np.array([self.carried_over(_half_life(truth[arm])) for arm in arms])
        patient, one, two = (normal_quantile(cohort.u_outcome[name][:, :, None, number]) for number in range(3))
        common = self.sd_between * patient
        first = level - self.period_effect / 2 + common + self.sd_within * one
        second = other + share * (level - other) + self.period_effect / 2 + common + self.sd_within * two
        return Potential(
            self.sign * np.stack([first, second, (first + second) / 2], axis=-1), self._known_at(cohort)[:, :, None]
        )

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, Any],
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true mean under each treatment in steady state, averaged over patients and periods."""
        return np.asarray(self.sign * self._means(cohort, arms, truth, shift).mean(axis=(0, 1)))

    def carried_over(self, half_life_months: float) -> float:
        """Return the share of the first treatment's effect that is still there in the second score."""
        if half_life_months == 0:
            return 0.0
        at_start, at_end = (
            2.0 ** -(months / half_life_months)
            for months in (self.washout_months, self.washout_months + self.period_months)
        )
        if self.measured == "end":
            return at_end
        return half_life_months / (self.period_months * log(2)) * (at_start - at_end)

    def changes(self, value: Any) -> bool:
        """Return whether the mean of an arm changes with the month of enrolment."""
        return isinstance(_mean(value), dict)

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated."""
        return "give the mean under the treatment, or {mean: -0.7, half_life_months: 2} where its effect outlasts it"

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about the means that change with the month of enrolment."""
        return [
            ((arm, "mean"), "a course needs months from 0 on", "for example {0: -0.7, 18: -0.5}")
            for arm, value in truth.items()
            if isinstance(value, Lingering) and isinstance(value.mean, dict) and (not value.mean or min(value.mean) < 0)
        ]

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        unit = f" in {self.unit}" if self.unit else ""
        washout = f" with {months(self.washout_months)} between them" if self.washout_months else ""
        when = "at the end of" if self.measured == "end" else "throughout"
        return (
            f"a score{unit} measured {when} each of two periods of {months(self.period_months)}{washout}, the first "
            "with the treatment of the arm, the second with the other one"
        )

    def words(self, value: Any) -> str:
        """Return the true value of one arm in a few words."""
        told = super().words(_mean(value))
        half_life = _half_life(value)
        return f"{told} (half of the effect lost {half_life:g} months after treatment)" if half_life else told

    def _means(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, Any],
        shift: Float[Array, "R N #A"] | None,
    ) -> Float[Array, "#R #N A"]:
        mean = by_arm([_mean(truth[arm]) for arm in arms], cohort.enrolled_at)
        return mean if shift is None else mean + shift

    def _known_at(self, cohort: Cohort) -> Float[Array, "R N 3"]:
        """Return the days of the two scores and of their mean, inf for those who leave before."""
        second = self.assessed_at_month
        months = np.array([self.period_months, second, second])
        day = cohort.enrolled_at[:, :, None] + months * DAYS_PER_MONTH
        day[day > cohort.dropout_at[:, :, None]] = np.inf
        return day


def _mean(value: Any) -> Any:
    return value.mean if isinstance(value, Lingering) else value


def _half_life(value: Any) -> float:
    return value.half_life_months if isinstance(value, Lingering) else 0.0
