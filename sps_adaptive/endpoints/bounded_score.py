"""A score between two bounds, such as an index of quality of life."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Cohort, Potential
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.course import Course, by_arm, numbers
from sps_adaptive.endpoints.endpoint import Place

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

POINTS = 8001
"""Points of the table from which quantiles are read, for each mean."""


class BoundedScore(Assessed):
    r"""A score that cannot leave its bounds, as the EQ-5D index (-0.59 to 1 with British values) or an analogue scale.

    On an arm with mean :math:`\mu` the score is :math:`L + (U - L) B` with B Beta-distributed with mean
    :math:`m = (\mu - L) / (U - L)` and precision :math:`\phi`,

    .. math:: B \sim \mathrm{Beta}(m \phi, (1 - m) \phi), \qquad
        \phi = \frac{\bar m (1 - \bar m)}{(s / (U - L))^2} - 1,

    where s is the stated standard deviation at the stated mean :math:`\bar\mu` (`sd_at`); nearer to a bound it is
    smaller (Ferrari and Cribari-Neto 2004). The patient's luck is its quantile. Covariates and sites add to logit m.
    The score is analysed like any other (`normal`). With 24 patients in equal arms a 95% credible interval of the
    difference then holds 95% (97% near the upper bound); arms of 6 and 18 make false claims to one side, 3% where 2.5%
    are meant. A difference of 0.08 to 0.12 of EQ-5D matters to patients after a stroke (an analogue); for stiff person
    syndrome no such figure is published.
    """

    kind: Literal["bounded_score"]
    unit: str | None = None
    """Unit of the score, for the tables."""
    lowest: float = 0.0
    """The lower bound."""
    highest: float = 1.0
    """The upper bound."""
    sd: Annotated[float, Field(gt=0)]
    """Standard deviation between patients of an arm whose mean is `sd_at`."""
    sd_at: float | None = None
    """The mean for which the standard deviation is stated; left out: the middle between the bounds."""

    @property
    def precision(self) -> float:
        """The precision of the Beta distribution."""
        middle = self._part((self.lowest + self.highest) / 2 if self.sd_at is None else self.sd_at)
        return middle * (1 - middle) / (self.sd / (self.highest - self.lowest)) ** 2 - 1

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: Mapping[str, Course],
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the oriented score of each patient on each arm; `shift` adds to the logit of the mean."""
        from scipy.special import betaincinv

        mean, luck = self._means(cohort, arms, truth, shift), cohort.u_outcome[name][:, :, None, 0]
        if mean.shape[:2] == (1, 1):
            part = np.stack([np.interp(luck[..., 0], *_table(m, self.precision)) for m in mean[0, 0].tolist()], axis=-1)
        else:
            part = betaincinv(mean * self.precision, (1 - mean) * self.precision, luck)
        value = self.lowest + (self.highest - self.lowest) * part
        return Potential(self.sign * value[..., None], self.known_at(cohort))

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, Course],
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true mean of each arm, averaged over the patients."""
        mean = self._means(cohort, arms, truth, shift).mean(axis=(0, 1))
        return self.sign * (self.lowest + (self.highest - self.lowest) * mean)

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        unit = f" {self.unit}" if self.unit else ""
        return f"a score between {self.lowest:g} and {self.highest:g}{unit}"

    @property
    def analysed_as(self) -> str:
        """It is analysed as any score."""
        return "continuous"

    def problems(self) -> list[Place]:
        """Return what cannot be about the endpoint."""
        found = super().problems()
        if self.highest <= self.lowest:
            return [*found, (("highest",), f"a range from {self.lowest:g} to {self.highest:g}", "make it larger")]
        if self.sd_at is not None and not self.lowest < self.sd_at < self.highest:
            return [*found, (("sd_at",), f"{self.sd_at:g} is not between the bounds", "give a mean between them")]
        if self.precision <= 0:
            most = (self.highest - self.lowest) * np.sqrt(self._part(self._at) * (1 - self._part(self._at)))
            what = f"a score between {self.lowest:g} and {self.highest:g} with mean {self._at:g} and sd {self.sd:g}"
            found.append((("sd",), what, f"use a standard deviation below {most:.3g}"))
        return found

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth."""
        return [
            ((arm,), f"a mean of {number:g}", f"give a number between {self.lowest:g} and {self.highest:g}")
            for arm, course in truth.items()
            for number in numbers(course)
            if not self.lowest < number < self.highest
        ]

    @property
    def _at(self) -> float:
        return (self.lowest + self.highest) / 2 if self.sd_at is None else self.sd_at

    def _part(self, value: float) -> float:
        return (value - self.lowest) / (self.highest - self.lowest)

    def _means(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, Course],
        shift: Float[Array, "R N #A"] | None,
    ) -> Float[Array, "#R #N A"]:
        from scipy.special import expit, logit

        stated = by_arm([truth[arm] for arm in arms], cohort.enrolled_at)
        mean = (stated - self.lowest) / (self.highest - self.lowest)
        return mean if shift is None else np.asarray(expit(logit(mean) + shift))


@lru_cache(maxsize=256)
def _table(mean: float, precision: float) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
    """Return probabilities and quantiles of a Beta distribution, dense near the ends.

    The mean of the scores is right to 1e-6; single quantiles of a distribution with a spike at a bound may be off by
    1e-3.
    """
    from scipy.special import betaincinv

    u = (1 - np.cos(np.linspace(0, np.pi, POINTS))) / 2
    return u, betaincinv(mean * precision, (1 - mean) * precision, u)
