"""The mean score of an arm over time: the natural course, the placebo response that fades, the drug that sets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sps_adaptive.part import Name, Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Month = Annotated[float, Field(ge=0, le=600)]
Months = Annotated[float, Field(gt=0, le=600)]


class NaturalCourse(Part):
    r"""What the disease does by itself: a steady change, :math:`c\,\min(t, t_1)` by month t."""

    per_month: float
    """Change of the mean score in a month; negative where it falls."""
    until_month: Months | None = None
    """After this month the score stays; left out: it goes on changing."""

    def at(self, month: Float[Array, " V"]) -> Float[Array, " V"]:
        """Return what has come of it by each month."""
        return self.per_month * (month if self.until_month is None else np.minimum(month, self.until_month))


class PlaceboResponse(Part):
    r"""A response to being treated at all: it rises evenly to a peak, then fades by halves.

    .. math:: p\,t / t_p \quad (t \le t_p), \qquad p\,\bigl(f + (1 - f)\,2^{-(t - t_p) / h}\bigr) \quad (t > t_p)

    with the peak p in month :math:`t_p`, the half-life h and the share f of it that stays.
    """

    peak: float
    """Change of the mean score at its peak; negative where the score falls."""
    peak_month: Months = 1.0
    """Month of the peak."""
    half_life_months: Months | None = None
    """Months in which half of what fades is gone; left out: it does not fade."""
    stays: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the peak that never fades."""

    def at(self, month: Float[Array, " V"]) -> Float[Array, " V"]:
        """Return the response in each month."""
        rise, after = np.minimum(month / self.peak_month, 1.0), np.maximum(month - self.peak_month, 0.0)
        left = np.ones_like(after) if self.half_life_months is None else 0.5 ** (after / self.half_life_months)
        return self.peak * rise * (self.stays + (1 - self.stays) * left)


class DrugEffect(Part):
    r"""What the treatment does beside all else: it sets in, is there, and may wear off.

    `linear` onset: :math:`e \min(1, (t - l)_+ / o)`, all of it is there after the lag l and the onset o.
    `exponential` onset: :math:`e\,(1 - \exp(-(t - l)_+ / o))`, 63% of it is there after l and o, 95% after l and 3 o.
    With `lasts_until_month` m, what is there then halves every `half_life_months`.

    Intravenous immunoglobulin sets in within a month, azathioprine within six to ten: `onset_months` 1 and 10.
    A course of plasma exchange is an effect with an onset of half a month that lasts until month 1 or 2.
    """

    size: float
    """Change of the mean score by the full effect; negative where the score falls."""
    onset_months: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Months until the effect is there; 0: at once."""
    onset: Literal["linear", "exponential"] = "linear"
    """How it sets in: evenly until it is all there, or fast at first and ever slower."""
    lag_months: Month = 0.0
    """Months before anything happens."""
    lasts_until_month: Months | None = None
    """From this month on it wears off; left out: it lasts."""
    half_life_months: Months | None = None
    """How fast it wears off."""

    @model_validator(mode="after")
    def _wears_off_at_some_pace(self) -> Self:
        if (self.lasts_until_month is None) != (self.half_life_months is None):
            raise ValueError("an effect that wears off needs lasts_until_month and half_life_months")
        return self

    def at(self, month: Float[Array, " V"]) -> Float[Array, " V"]:
        """Return the effect in each month."""
        until = month if self.lasts_until_month is None else np.minimum(month, self.lasts_until_month)
        since = np.maximum(until - self.lag_months, 0.0)
        if self.onset_months == 0:
            there = (until >= self.lag_months).astype(np.float64)
        elif self.onset == "linear":
            there = np.minimum(since / self.onset_months, 1.0)
        else:
            there = -np.expm1(-since / self.onset_months)
        left = 1.0 if self.half_life_months is None else 0.5 ** ((month - until) / self.half_life_months)
        return self.size * there * left


class ScoreCourse(Part):
    r"""The mean score of an arm in month t: start + natural course + placebo response + drug effect.

    Arms of a blinded trial share all but the drug effect: `like: placebo` takes start, natural course and placebo
    response from the arm of that name, so that `{like: placebo, effect: {size: -1.4, onset_months: 10}}` says all of
    another.
    """

    like: Name | None = None
    """Arm whose start, natural course and placebo response this arm has."""
    start: float | None = None
    """Mean at enrolment; 0 where it is left out, which is right for changes from baseline."""
    natural: NaturalCourse | None = None
    placebo: PlaceboResponse | None = None
    effect: DrugEffect | None = None

    @model_validator(mode="after")
    def _either_its_own_or_that_of_another(self) -> Self:
        if self.like is not None and (self.start is not None or self.natural or self.placebo):
            raise ValueError("like takes start, natural and placebo from another arm; leave them out, or like")
        return self

    def at(self, month: Float[Array, " V"], shared: ScoreCourse | None = None) -> Float[Array, " V"]:
        """Return the mean in each month; `shared` is the course of the arm that it is `like`."""
        base = self if shared is None else shared
        mean = np.full(month.shape, base.start or 0.0)
        for part in (base.natural, base.placebo, self.effect):
            if part is not None:
                mean = mean + part.at(month)
        return mean
