"""A walk against the clock, by people some of whom cannot walk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import Cohort, Potential, Scale
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.endpoint import Place
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Share = Annotated[float, Field(ge=0, lt=1)]

Positive = Annotated[float, Field(gt=0, le=1e4)]


class WalkBaseline(Part):
    """The same walk at enrolment; who cannot walk then is not enrolled."""

    median: Positive
    """Median seconds at enrolment."""
    sd: Annotated[float, Field(gt=0, le=5)]
    """Standard deviation of the natural logarithm of the seconds."""
    correlation: Annotated[float, Field(gt=-1, lt=1)]
    """Correlation, within an arm, of the logarithms at enrolment and at the assessment."""

    @property
    def mean(self) -> float:
        """Mean of the logarithm."""
        return float(np.log(self.median))


class WalkValue(Part):
    """What is true of one arm."""

    median: Positive
    """Median seconds at the assessment of those who can walk."""
    cannot_walk: Share = 0.0
    """Probability that a patient cannot walk the distance at the assessment."""


class TimedWalk(Assessed):
    r"""Seconds for a short distance, such as the timed 25-foot walk: log-normal, with a share who cannot walk.

    With the standard score z of the logarithm at enrolment and the patient's luck :math:`\varepsilon = \Phi^{-1}(u_1)`,

    .. math:: \log t = \log m_a + \rho s z + s \sqrt{1 - \rho^2}\, \varepsilon,

    and the patient cannot walk if :math:`u_2 < q_a`. Being unable to walk is part of the outcome and not a missing
    value (a composite strategy in the words of ICH E9(R1)). So the analysed outcome is finite for everybody:

    - `speed` in units of distance a second, 0 for those who cannot walk;
    - `percent_change` of the speed since enrolment, -100 for those who cannot walk;
    - `responder`: at least `faster_by` of the seconds at enrolment are saved. Who cannot walk has not responded.

    More is better in all of them. In stiff person syndrome the logarithm of the seconds has a standard deviation of
    0.41 to 0.67 (from means and standard deviations of 18 and 12 patients; Lowe 2025, Aljarallah 2019); a fifth of
    the seconds is called a reliable change in multiple sclerosis (Motl 2017), an analogue. Covariates and sites add
    to log seconds.
    """

    truth_type: ClassVar[Any] = WalkValue
    luck_rises: ClassVar[bool] = False

    kind: Literal["timed_walk"]
    better: Literal["higher"] = "higher"
    """Speed, its change and response are good if they are high."""
    unit: str | None = "ft/s"
    """Unit of the speed."""
    distance: Positive = 25.0
    """The distance, in the unit of length of the speed: 25 feet."""
    outcome: Literal["speed", "percent_change", "responder"] = "speed"
    """What is analysed."""
    sd: Annotated[float, Field(gt=0, le=5)]
    """Standard deviation, within an arm, of the natural logarithm of the seconds."""
    baseline: WalkBaseline | None = None
    """The walk at enrolment; needed for changes and responders."""
    faster_by: Annotated[float, Field(gt=-1, lt=1)] = 0.2
    """Of a responder: the share of the seconds at enrolment that is saved at least."""

    @property
    def uniforms(self) -> int:
        """One for the seconds, one for whether the patient can walk."""
        return 2

    @property
    def analysed_as(self) -> str:
        """Response is analysed as yes or no, a change as a score."""
        return {"speed": "timed_walk", "percent_change": "continuous", "responder": "binary"}[self.outcome]

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: Mapping[str, WalkValue],
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the analysed outcome of each patient on each arm; `shift` adds to the log seconds."""
        middle = np.array([np.log(truth[arm].median) for arm in arms])
        share = np.array([truth[arm].cannot_walk for arm in arms])
        rho, luck = self._correlation, cohort.u_outcome[name]
        start = cohort.covariates[:, :, None, 0]
        noise = normal_quantile(luck[:, :, None, 0])
        log_seconds = middle + self.sd * (rho * start + np.sqrt(1 - rho**2) * noise)
        if shift is not None:
            log_seconds = log_seconds + shift
        walks = luck[:, :, None, 1] >= share
        if self.outcome == "speed":
            value = np.where(walks, self.distance * np.exp(-log_seconds), 0.0)
            return Potential(value[..., None], self.known_at(cohort))
        assert self.baseline is not None
        change = log_seconds - (self.baseline.mean + self.baseline.sd * start)
        if self.outcome == "responder":
            return Potential((walks & (change <= np.log(1 - self.faster_by)))[..., None], self.known_at(cohort))
        value = 100 * (np.where(walks, np.exp(-change), 0.0) - 1)
        return Potential(value[..., None], self.known_at(cohort))

    def scales(self) -> tuple[str, ...]:
        """Return the scales of the analysed outcome; of speed also the share within any number of seconds."""
        if self.outcome == "responder":
            return ("probability", "log_odds")
        return ("mean", "within_8_seconds", "win_probability") if self.outcome == "speed" else ("mean",)

    def scale(self, name: str) -> Scale:
        """Return how values on a scale are turned: they are not, since more is better."""
        unit = {"speed": self.unit or "", "percent_change": "%"}.get(self.outcome, "") if name == "mean" else ""
        return Scale(name, unit)

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, WalkValue],
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the true value of each arm in closed form, averaged over the shifts of patients (pairs, for wins)."""
        from scipy.special import ndtr

        middle = np.array([np.log(truth[arm].median) for arm in arms]) + (0.0 if shift is None else shift)
        walks = 1 - np.array([truth[arm].cannot_walk for arm in arms])
        if scale.startswith("within_"):
            each = walks * ndtr((np.log(float(scale.split("_")[1])) - middle) / self.sd)
        elif scale == "win_probability":
            own = np.broadcast_to(middle, (*middle.shape[:-1], len(arms))).reshape(-1, len(arms))
            rival = np.roll(own[:, [control]], len(own) // 2, axis=0)  # another patient, on the control
            faster = ndtr((rival - own) / (self.sd * np.sqrt(2))).mean(axis=0)
            other = walks[control]
            each = walks * (1 - other) + walks * other * faster + (1 - walks) * (1 - other) / 2
        elif self.outcome == "speed":
            each = walks * self.distance * np.exp(-middle + self.sd**2 / 2)
        else:
            assert self.baseline is not None
            change = middle - self.baseline.mean
            spread = np.sqrt(self.sd**2 + self.baseline.sd**2 - 2 * self._correlation * self.sd * self.baseline.sd)
            if self.outcome == "responder":
                each = walks * ndtr((np.log(1 - self.faster_by) - change) / spread)
            else:
                each = 100 * (walks * np.exp(-change + spread**2 / 2) - 1)
        mean = np.asarray(each.mean(axis=(0, 1)) if each.ndim == 3 else each)
        return np.log(mean) - np.log1p(-mean) if scale == "log_odds" else mean

    def changes(self, value: Any) -> bool:
        """Return that true values do not change while the trial enrols."""
        return False

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated."""
        return "state {median: 7.4, cannot_walk: 0.05}: seconds, and a probability"

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        what = {
            "speed": f"the speed over {self.distance:g} feet, 0 for those who cannot walk",
            "percent_change": "the percent change of the walking speed since enrolment, -100 for those who cannot walk",
            "responder": f"yes or no, whether at least {100 * self.faster_by:g}% of the seconds at enrolment are saved",
        }
        return f"a timed walk: {what[self.outcome]}"

    def words(self, value: Any) -> str:
        """Return the true value of one arm in a few words."""
        return f"median {value.median:g} s, {100 * value.cannot_walk:g}% cannot walk"

    def problems(self) -> list[Place]:
        """Return what cannot be about the endpoint."""
        found = super().problems()
        if self.outcome != "speed" and self.baseline is None:
            what = f"a {self.outcome.replace('_', ' ')} without a walk at enrolment"
            found.append((("outcome",), what, "add baseline: {median: 9.5, sd: 0.5, correlation: 0.8}"))
        return found

    @property
    def _correlation(self) -> float:
        return 0.0 if self.baseline is None else self.baseline.correlation
