"""Events counted in a diary, such as spasms or falls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag

from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential, Scale
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.course import Course, by_arm, numbers
from sps_adaptive.endpoints.endpoint import Place
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Dispersion = Annotated[float, Field(ge=0, le=20)]

MOST = 10_000
"""Events expected in one diary beyond which they are not counted one by one."""


class ArmRate(Part):
    """The true rate of one arm, and how much patients differ on it."""

    rate: Course
    """Events a week, or events a week by month of enrolment."""
    dispersion: Dispersion | None = None
    """Dispersion on this arm; that of the endpoint, if not stated."""


def _how_stated(value: Any) -> str:
    words = isinstance(value, ArmRate) or (isinstance(value, dict) and any(_is_word(key) for key in value))
    return "in words" if words else "by number"


def _is_word(key: Any) -> bool:
    return isinstance(key, str) and not key.lstrip("+-")[:1].isdigit()


Stated = Annotated[
    Annotated[Course, Tag("by number")] | Annotated[ArmRate, Tag("in words")], Discriminator(_how_stated)
]

CountTruth = dict[str, Course | ArmRate]
"""The true rate of each arm."""


class Count(Assessed):
    r"""Events counted in a diary that is kept for some weeks before the assessment, such as spasms or falls.

    A patient of arm a who keeps the diary for t weeks has a count y with

    .. math:: E\,y = \mu = \lambda_a t, \qquad \operatorname{Var} y = \mu + \phi \mu^2

    and the negative binomial distribution; with :math:`\phi = 0` it is the Poisson distribution. This is what comes of
    patients whose own rates follow a gamma distribution with the mean :math:`\lambda_a` and the coefficient of
    variation :math:`\sqrt\phi` (Greenwood and Yule 1920; Lawless 1987): with :math:`\phi = 1` rates are exponentially
    distributed, and one patient in ten has more than 2.3 times the mean. Covariates and sites act on the log rate.

    The count is the quantile of the patient's luck, so that every truth and every design meets the same patients.
    Diaries that are not complete (`completeness` below 1) are as long as a second luck says, independent of the first:
    days are missing at random. The analysis knows how many were kept.

    References
    ----------
    Greenwood M, Yule GU (1920). An inquiry into the nature of frequency distributions representative of multiple
    happenings. Journal of the Royal Statistical Society 83:255-279.
    Lawless JF (1987). Negative binomial and mixed Poisson regression. Canadian Journal of Statistics 15:209-225.
    """

    truth_type: ClassVar[Any] = Stated

    kind: Literal["count"]
    unit: str = "events"
    """What is counted, in the plural: spasms, falls."""
    over_weeks: Annotated[float, Field(gt=0, le=520)]
    """How long the diary is kept; it ends at the assessment."""
    dispersion: Dispersion
    """The variance beyond that of Poisson, as a multiple of the squared mean, where a truth states none for the arm."""
    completeness: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The smallest share of the days that a patient keeps the diary; the share is uniform between it and 1."""

    @property
    def uniforms(self) -> int:
        """One for the count, one for the days kept where they may be fewer than planned."""
        return 1 if self.completeness == 1 else 2

    @property
    def outcomes(self) -> int:
        """Weeks of diary kept, and events: the last is the outcome."""
        return 2

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: CountTruth,
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return (weeks kept, oriented count) of each patient on each arm; `shift` adds to the log rate."""
        from sps_adaptive.endpoints.count_kernels import fill_counts

        luck = cohort.u_outcome[name]
        weeks = self.weeks(luck)
        mean = self._rate(cohort, arms, truth, shift) * weeks
        value = np.empty((*luck.shape[:2], len(arms), 2))
        value[..., 0] = weeks
        fill_counts(luck[..., 0], mean, self._dispersions(arms, truth), value[..., 1])
        value[..., 1] = self.natural(value[..., 1])
        known_at = self.known_at(cohort)
        return Potential(value, np.concatenate([known_at, known_at], axis=3))

    def weeks(self, luck: Float[Array, "R N U"]) -> Float[Array, "#R #N 1"]:
        """Return how many weeks of diary each patient keeps: whole days, but for diaries of part of a day."""
        if self.completeness == 1:
            return np.full((1, 1, 1), self.over_weeks)
        days = max(1, round(7 * self.over_weeks))
        fewest = min(days, max(1, math.ceil(self.completeness * days - 1e-9)))
        kept = fewest + np.floor(luck[:, :, 1:2] * (days - fewest + 1))
        return np.asarray(self.over_weeks * kept / days)

    def scales(self) -> tuple[str, ...]:
        """Return `mean_rate`, events a week of all patients; and `log_rate`, of the average patient."""
        return ("mean_rate", "log_rate")

    def scale(self, name: str) -> Scale:
        """Return how values are turned: fewer events are better, if fewer are."""
        return Scale(name, f"{self.unit} a week" if name == "mean_rate" else "", self.sign)

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: CountTruth,
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true rate of each arm, events a week; or its log, of the average patient."""
        if scale == "log_rate":
            return self.sign * np.log(self._rate(cohort, arms, truth, None).mean(axis=(0, 1)))
        return self.sign * self._rate(cohort, arms, truth, shift).mean(axis=(0, 1))

    def changes(self, value: Any) -> bool:
        """Return whether the true rate of an arm changes with the month of enrolment."""
        return isinstance(_course(value), dict)

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated, with an example."""
        return (
            f"give {self.unit} a week: a number, or numbers by month of enrolment: {{0: 6, 18: 4}}; "
            "with a dispersion of its own {rate: 6, dispersion: 0.8}"
        )

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth, as (path, message, hint)."""
        found: list[Place] = []
        for arm, value in truth.items():
            path = (arm, "rate") if isinstance(value, ArmRate) else (arm,)
            for rate in numbers(_course(value)):
                if rate <= 0:
                    found.append((path, f"a rate of {rate:g}", "give a positive number of events a week"))
                elif rate * self.over_weeks > MOST:
                    expected = f"{rate * self.over_weeks:,.0f} events expected in a diary of {self.over_weeks:g} weeks"
                    found.append((path, expected, f"rates are by week; above {MOST:,} use kind: continuous"))
        return found

    def problems(self) -> list[Place]:
        """Return what cannot be about the diary."""
        found = super().problems()
        months = self.assessed_at_month - self.window_months
        if self.over_weeks * 7 > months * DAYS_PER_MONTH * (1 + 1e-9) and not found:
            message = f"a diary of {self.over_weeks:g} weeks that ends at month {months:g} begins before enrolment"
            found.append((("over_weeks",), message, "make it shorter, or assess later"))
        return found

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        kept = "" if self.completeness == 1 else f" kept on at least {self.completeness:.0%} of the days"
        return f"a count of {self.unit} in a diary of {self.over_weeks:g} weeks{kept}"

    def words(self, value: Any) -> str:
        """Return the true rate of one arm in a few words."""
        told = f"{super().words(_course(value))} a week"
        own = value.dispersion if isinstance(value, ArmRate) else None
        return told if own is None else f"{told}, dispersion {own:g}"

    def _dispersions(self, arms: tuple[str, ...], truth: CountTruth) -> Float[Array, " A"]:
        stated = [getattr(truth[arm], "dispersion", None) for arm in arms]
        return np.array([self.dispersion if own is None else own for own in stated])

    @staticmethod
    def _rate(
        cohort: Cohort, arms: tuple[str, ...], truth: CountTruth, shift: Float[Array, "R N #A"] | None
    ) -> Float[Array, "#R #N A"]:
        rate = by_arm([_course(truth[arm]) for arm in arms], cohort.enrolled_at)
        return rate if shift is None else rate * np.exp(shift)


def _course(value: Course | ArmRate) -> Course:
    """Return the rate of an arm, however it was stated."""
    return value.rate if isinstance(value, ArmRate) else value
