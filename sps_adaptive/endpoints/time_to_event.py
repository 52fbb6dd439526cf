"""The time to an event, such as a relapse or the first rescue treatment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential, Scale
from sps_adaptive.endpoints.course import numbers
from sps_adaptive.endpoints.endpoint import Endpoint, Place
from sps_adaptive.endpoints.event_times import EventTimes, laws
from sps_adaptive.words import listed, percent

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class TimeToEvent(Endpoint):
    r"""When a patient has an event, within a planned follow-up that begins at enrolment.

    With luck u, a patient to whom covariates and the site add :math:`h` on the log hazard has the event on arm a at

    .. math:: T_a = \Lambda_a^{-1}\!\left(-\log(1 - u)\, e^{-h}\right),

    where :math:`\Lambda_a` is the cumulative hazard of the arm (inversion; Bender, Augustin and Blettner 2005): so
    every truth and every design meets the same patients, and what is added acts proportionally. The event is known on
    its day, if it comes before the end of follow-up and before dropout; that there was none is known at the end of
    follow-up. So the day depends on the arm. A patient who drops out without the event is never known, but the analysis
    is told how long everybody has been followed, which is what it needs.

    Use it for relapses after withdrawal of treatment, or the time to rescue: a patient counts from the first day on,
    and looks can wait for a number of events (`looks: {kind: events}`). `better: lower` is for events that harm,
    `higher` for those that help, such as remission. Of a patient two things are known, on the same day: the months
    until the event or the end of follow-up, and whether there was an event.

    The truth of an arm is a number, the probability of the event by the end of follow-up, with a constant hazard; or
    {median: 8, shape: 1.3} or {event_probability: 0.6, shape: 0.7}, a Weibull distribution; {hazards: {0: 0.02, 6:
    0.05}}, events per patient and month from each month since enrolment on; or {hazard_ratio: 0.5} against the arm that
    is stated otherwise (`against` names it where there are several). Probabilities and hazard ratios may change with
    the month of enrolment.

    True values are `event_free`, the probability of no event by the end of follow-up; `restricted_mean`, the mean
    number of event-free months until then, both of all patients; and `log_hazard`, the mean of the log hazard (events a
    month) over the follow-up, of a patient to whom nothing is added. Where hazards are proportional the difference of
    the latter is the log hazard ratio; where they are not, it is its mean over time, while an analysis that assumes
    proportional hazards estimates a mean weighted by the events, and the difference of the two shows as bias.
    """

    truth_type: ClassVar[Any] = EventTimes
    needs_follow_up: ClassVar[bool] = True
    has_events: ClassVar[bool] = True
    luck_rises: ClassVar[bool] = False

    kind: Literal["time_to_event"]
    follow_up_months: Annotated[float, Field(gt=0, le=600)]
    """Months for which a patient without the event is followed."""

    @property
    def outcomes(self) -> int:
        """Two numbers are known of a patient: the months, and whether there was an event."""
        return 2

    @property
    def assessed_at_month(self) -> float:
        """Months from enrolment until everybody's outcome is settled."""
        return self.follow_up_months

    @property
    def window_months(self) -> float:
        """There is no visit and so no window around it."""
        return 0.0

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: Mapping[str, EventTimes],
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return months and oriented event (1 is good) of each patient on each arm; `shift` adds to the log hazard."""
        luck = np.maximum(cohort.u_outcome[name][:, :, 0], 2.0**-54)
        log_exposure = np.log(-np.log1p(-luck))
        months = np.empty((*luck.shape, len(arms)))
        for arm, law in enumerate(laws(truth, arms, self.follow_up_months, cohort.enrolled_at)):
            added = 0.0 if shift is None else shift[:, :, min(arm, shift.shape[2] - 1)]
            months[:, :, arm] = law.months(log_exposure - added)
        good = (months <= self.follow_up_months) == (self.better == "higher")
        months = np.minimum(months, self.follow_up_months)
        known_at = cohort.enrolled_at[:, :, None] + months * DAYS_PER_MONTH
        known_at[known_at > cohort.dropout_at[:, :, None]] = np.inf
        return Potential(np.stack([months, good], axis=-1), np.stack([known_at, known_at], axis=-1))

    def scales(self) -> tuple[str, ...]:
        """Return `event_free` and `restricted_mean`, of all patients; and `log_hazard`, of the average patient."""
        return ("event_free", "restricted_mean", "log_hazard")

    def scale(self, name: str) -> Scale:
        """Return how values are turned: where events are good, few event-free patients or months are."""
        if name == "event_free":
            return Scale(name) if self.better == "lower" else Scale(name, sign=-1.0, origin=1.0)
        if name == "restricted_mean":
            return Scale(name, "months", -self.sign)
        return Scale(name, sign=self.sign)

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, EventTimes],
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true value of each arm on a scale."""
        found = np.empty(len(arms))
        for arm, law in enumerate(laws(truth, arms, self.follow_up_months, cohort.enrolled_at)):
            added = np.zeros((1, 1)) if shift is None else shift[:, :, min(arm, shift.shape[2] - 1)]
            if scale == "log_hazard":
                found[arm] = law.mean_log_hazard()
            else:
                found[arm] = (law.event_free if scale == "event_free" else law.restricted_mean)(added).mean()
        return np.asarray(self.scale(scale).sign * (found - self.scale(scale).origin))

    def natural(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return proportions with the event, from those with a good outcome, and back."""
        return oriented if self.better == "higher" else 1 - oriented

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        return f"the time to the event within {self.follow_up_months:g} months of follow-up"

    def words(self, value: Any) -> str:
        """Return the true distribution of one arm in a few words."""
        changing = ", changing with the month of enrolment" if self.changes(value) else ""
        if value.hazard_ratio is not None:
            against = f" against {value.against}" if value.against else ""
            return f"hazard ratio {numbers(value.hazard_ratio)[0]:g}{against}{changing}"
        shape = f", Weibull shape {value.shape:g}" if value.shape != 1 else ""
        if value.hazards is not None:
            each = (f"{value.hazards[month]:g} from month {month:g}" for month in sorted(value.hazards))
            return f"hazard a month {listed(each)}"
        if value.median is not None:
            return f"median {value.median:g} months{shape}"
        probability = percent(numbers(value.event_probability)[0])
        return f"{probability} with the event by month {self.follow_up_months:g}{shape}{changing}"

    def changes(self, value: Any) -> bool:
        """Return whether the distribution of an arm changes with the month of enrolment."""
        return isinstance(value.event_probability, dict) or isinstance(value.hazard_ratio, dict)

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated."""
        return (
            f"give the probability of the event by month {self.follow_up_months:g}, {{median: 8, shape: 1.3}}, "
            "{hazards: {0: 0.02, 6: 0.05}}, or {hazard_ratio: 0.5} against the control"
        )

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth, as (path, message, hint)."""
        found: list[Place] = []
        alone = [arm for arm, value in truth.items() if value.hazard_ratio is None]
        if not alone:
            what = "every arm is stated by a hazard ratio against another"
            return [((), what, "state the control by itself, for example 0.6")]
        for arm, value in truth.items():
            for name in ("event_probability", "hazard_ratio"):
                course = getattr(value, name)
                if isinstance(course, dict) and (not course or min(course) < 0):
                    found.append(((arm, name), "a course needs months from 0 on", "for example {0: 0.45, 18: 0.25}"))
            for number in numbers(value.event_probability) if value.event_probability is not None else []:
                if not 0 < number < 1:
                    found.append(((arm,), f"a probability of {number:g}", "give a number above 0 and below 1"))
            for number in numbers(value.hazard_ratio) if value.hazard_ratio is not None else []:
                if not 0 < number <= 1e6:
                    found.append(((arm, "hazard_ratio"), f"a hazard ratio of {number:g}", "give a number above 0"))
            found += self._hazard_problems(arm, value)
            found += _against_problems(arm, value, alone)
        return found

    def _hazard_problems(self, arm: str, value: EventTimes) -> list[Place]:
        months = sorted(value.hazards) if value.hazards is not None else [0.0]
        if not months or months[0] != 0:
            return [((arm, "hazards"), "nothing is said about the hazard from month 0 on", "begin with month 0")]
        if months[-1] >= self.follow_up_months:
            what = f"a hazard from month {months[-1]:g}, and follow-up ends in month {self.follow_up_months:g}"
            return [((arm, "hazards"), what, "leave it out, or follow patients longer")]
        return []


def _against_problems(arm: str, value: EventTimes, alone: list[str]) -> list[Place]:
    """Return what cannot be about the arm that a hazard ratio compares with."""
    if value.hazard_ratio is None:
        what, hint = "only a hazard ratio is against another arm", "leave against out"
        return [((arm, "against"), what, hint)] if value.against is not None else []
    if value.against is None and len(alone) > 1:
        what = f"a hazard ratio, and {listed(alone)} are stated by themselves"
        return [((arm,), what, f"say against which: {{hazard_ratio: 0.5, against: {alone[0]}}}")]
    if value.against is not None and value.against not in alone:
        what = f"a hazard ratio against '{value.against}', which is not stated by itself"
        return [((arm, "against"), what, f"compare with {listed(alone)}")]
    return []
