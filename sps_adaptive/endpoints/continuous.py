"""A score on a continuous scale, with or without its baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import Cohort, Potential
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.course import Course, by_arm
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

ContinuousTruth = dict[str, Course]
"""The mean of the analysed outcome on each arm, for a patient with an average baseline."""


class Baseline(Part):
    """The same score, measured at enrolment."""

    mean: float
    """Mean at enrolment."""
    sd: Annotated[float, Field(gt=0)]
    """Standard deviation between patients at enrolment."""
    correlation: Annotated[float, Field(gt=-1, lt=1)]
    """Correlation, within an arm, between the score at enrolment and at the assessment."""


class Continuous(Assessed):
    r"""A normally distributed score, analysed as it is or as its change from baseline.

    Within an arm the score at the assessment has the standard deviation s and the correlation
    :math:`\rho` with a baseline of standard deviation :math:`s_0`. With the patient's standard baseline
    score z and luck :math:`\varepsilon = \Phi^{-1}(u)` the analysed outcome is

    .. math:: y = \mu_a + b z + s \sqrt{1 - \rho^2}\,\varepsilon,

    with :math:`b = \rho s` for the score itself and :math:`b = \rho s - s_0` for the change, so that
    :math:`\mu_a` is the mean of the analysed outcome on arm a and the change has the variance
    :math:`s^2 + s_0^2 - 2 \rho s s_0`. Without a baseline :math:`y = \mu_a + s\,\varepsilon`.
    The score is not rounded or bounded.
    """

    kind: Literal["continuous"]
    unit: str | None = None
    """Unit of the score, for the tables."""
    outcome: Literal["value", "change_from_baseline"] = "value"
    """What is analysed: the score at the assessment or its change since enrolment."""
    sd: Annotated[float, Field(gt=0)] | dict[str, Annotated[float, Field(gt=0)]]
    """Standard deviation, within an arm, of the score at the assessment; or one by arm."""
    baseline: Baseline | None = None
    """The score at enrolment; needed for a change from baseline and for a baseline-adjusted analysis."""

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: ContinuousTruth,
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the oriented outcome of each patient on each arm; `shift` adds to the score."""
        mean = by_arm([truth[arm] for arm in arms], cohort.enrolled_at)
        slope, residual = self._slope(arms), self._residual_sd(arms)
        noise = normal_quantile(cohort.u_outcome[name][:, :, None, 0])
        value = mean + slope * cohort.covariates[:, :, None, 0] + residual * noise
        if shift is not None:
            value = value + shift
        return Potential(self.sign * value[..., None], self.known_at(cohort))

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: ContinuousTruth,
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true mean of each arm, averaged over the patients."""
        mean = by_arm([truth[arm] for arm in arms], cohort.enrolled_at)
        return self.sign * (mean if shift is None else mean + shift).mean(axis=(0, 1))

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        unit = f" in {self.unit}" if self.unit else ""
        change = ", analysed as its change since enrolment" if self.outcome == "change_from_baseline" else ""
        return f"a score{unit}{change}"

    def sd_of_outcome(self, arm: str) -> float:
        """Return the standard deviation, within an arm, of the analysed outcome."""
        slope, residual = self._slope((arm,)), self._residual_sd((arm,))
        return float(np.hypot(slope, residual)[0])

    def _sds(self, arms: tuple[str, ...]) -> Float[Array, " A"]:
        return np.array([self.sd[arm] if isinstance(self.sd, dict) else self.sd for arm in arms])

    def _slope(self, arms: tuple[str, ...]) -> Float[Array, " A"]:
        if self.baseline is None:
            return np.zeros(len(arms))
        slope = self.baseline.correlation * self._sds(arms)
        return slope - self.baseline.sd if self.outcome == "change_from_baseline" else slope

    def _residual_sd(self, arms: tuple[str, ...]) -> Float[Array, " A"]:
        correlation = self.baseline.correlation if self.baseline else 0.0
        return self._sds(arms) * np.sqrt(1 - correlation**2)
