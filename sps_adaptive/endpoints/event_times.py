"""When events happen on one arm: a Weibull law, hazards by month, or a hazard ratio (read by `time_to_event`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sps_adaptive.endpoints.course import Course, values
from sps_adaptive.part import Name, Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Positive = Annotated[float, Field(gt=0, le=1e6)]


class EventTimes(Part):
    """The true distribution of the time to the event on one arm.

    A number by itself is `event_probability` with a constant hazard.
    """

    event_probability: Course | None = None
    """Probability of the event by the end of follow-up, above 0 and below 1; or by month of enrolment,
    {0: 0.6, 18: 0.4}."""
    median: Positive | None = None
    """Month by which half of the patients have had the event, instead of its probability; it may lie beyond the end of
    follow-up."""
    shape: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Shape of the Weibull distribution: 1 is a constant hazard, above 1 it rises with time, below 1 it falls."""
    hazards: dict[float, Positive] | None = None
    """Events per patient and month, by month since enrolment from which they hold: {0: 0.02, 6: 0.05}."""
    hazard_ratio: Course | None = None
    """Hazard against another arm's, the same at all times since enrolment; or by month of enrolment. Below 1 there are
    fewer events, whether they are good or bad."""
    against: Name | None = None
    """The arm that the hazard ratio compares with; left out: the one arm that is stated otherwise."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, EventTimes):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"event_probability": value}
        if not isinstance(value, dict):
            what, hint = "a number or a section is needed", "for example 0.6 or {hazard_ratio: 0.5}"
            raise PydanticCustomError("value_error", what, {"hint": hint})
        if value and all(_is_month(key) for key in value):
            value = {"event_probability": value}
        return {key: _by_month(each) for key, each in value.items()}

    @model_validator(mode="after")
    def _one_of_them(self) -> EventTimes:
        ways = [self.event_probability, self.median, self.hazards, self.hazard_ratio]
        if ways.count(None) != 3:
            what = "give one of event_probability, median, hazards and hazard_ratio"
            raise PydanticCustomError("value_error", what, {"hint": "for example {hazard_ratio: 0.5}"})
        if self.shape != 1 and (self.hazards is not None or self.hazard_ratio is not None):
            what, hint = "a shape belongs to event_probability or median", "leave shape out"
            raise PydanticCustomError("value_error", what, {"hint": hint})
        return self


def _is_month(key: Any) -> bool:
    try:
        float(key)
    except (TypeError, ValueError):
        return False
    return True


def _by_month(value: Any) -> Any:
    """Return a section whose keys are months with numbers for keys: in JSON they are text."""
    months = isinstance(value, dict) and all(_is_month(key) for key in value)
    return {float(key): each for key, each in value.items()} if months else value


class Law(NamedTuple):
    """The time to the event on one arm, of patients to whom nothing is added."""

    end: float
    """Months of follow-up."""
    cumulative: Float[Array, "#R #N"]
    """Cumulative hazard at the end of follow-up, the hazard ratio included."""
    shape: float
    """Of a Weibull distribution."""
    knots: Float[Array, " J"]
    """Months from which hazards hold, and the end; empty for a Weibull distribution."""
    hazards: Float[Array, " H"]
    """Hazards from each of them; their sum over the follow-up is not scaled by the hazard ratio."""

    def months(self, log_exposure: Float[Array, "R N"]) -> Float[Array, "R N"]:
        """Return when each patient has the event: when the cumulative hazard is exp(log_exposure); beyond the end inf.

        Beyond the end a Weibull time is what it is, as nobody sees it.
        """
        share = log_exposure - np.log(self.cumulative)  # of the cumulative hazard at the end, as a logarithm
        with np.errstate(over="ignore"):
            if not self.knots.size:
                return np.asarray(self.end * np.exp(share / self.shape))
            return np.interp(np.exp(share), self._shares(), self.knots, right=np.inf)

    def mean_log_hazard(self) -> float:
        """Return the mean of the log hazard over the follow-up, and over the patients."""
        level = float(np.log(self.cumulative).mean()) - np.log(self.end)
        if not self.knots.size:
            return float(level + np.log(self.shape) - (self.shape - 1))
        widths = np.diff(self.knots) / self.end
        return float(level + widths @ np.log(self.hazards) - np.log(widths @ self.hazards))

    def event_free(self, added: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the probability of no event by the end, where `added` is added to the log hazard."""
        return np.exp(-self.cumulative * np.exp(added))

    def restricted_mean(self, added: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the mean number of event-free months until the end."""
        from scipy.special import gammainc, gammaln

        total = self.cumulative * np.exp(added)
        if not self.knots.size:
            power = 1 / self.shape
            return np.asarray(
                self.end * power * np.exp(gammaln(power) - power * np.log(total)) * gammainc(power, total)
            )
        shares = self._shares()
        pieces = [
            (width * np.exp(-total * start) * -np.expm1(-total * (stop - start)) / (total * (stop - start)))
            for width, start, stop in zip(np.diff(self.knots), shares, shares[1:], strict=False)
        ]
        return np.sum(pieces, axis=0)

    def _shares(self) -> Float[Array, " J"]:
        """Return the cumulative hazard at each knot, as a share of that at the end."""
        sums = np.concatenate([[0.0], np.cumsum(np.diff(self.knots) * self.hazards)])
        return np.asarray(sums / sums[-1])


def laws(
    truth: Mapping[str, EventTimes], arms: tuple[str, ...], end: float, enrolled_at: Float[Array, "R N"]
) -> list[Law]:
    """Return the law of each arm, hazard ratios resolved."""
    alone = [arm for arm, value in truth.items() if value.hazard_ratio is None]
    found = []
    for arm in arms:
        own = truth[arm]
        if own.hazard_ratio is None:
            found.append(_law(own, end, enrolled_at))
            continue
        base = _law(truth[own.against or alone[0]], end, enrolled_at)
        ratio = np.atleast_2d(values(own.hazard_ratio, enrolled_at))
        found.append(base._replace(cumulative=base.cumulative * ratio))
    return found


def _law(value: EventTimes, end: float, enrolled_at: Float[Array, "R N"]) -> Law:
    none = np.empty(0)
    if value.hazards is not None:
        months = sorted(value.hazards)
        knots, hazards = np.array([*months, end]), np.array([value.hazards[month] for month in months])
        return Law(end, np.atleast_2d(np.diff(knots) @ hazards), 1.0, knots, hazards)
    if value.median is not None:
        cumulative = np.atleast_2d(np.log(2) * (end / value.median) ** value.shape)
    else:
        assert value.event_probability is not None
        cumulative = np.atleast_2d(-np.log1p(-values(value.event_probability, enrolled_at)))
    return Law(end, cumulative, value.shape, none, none)
