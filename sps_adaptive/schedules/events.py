"""Looks when a number of events is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.arrays import nth_days
from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.schedules.counts import AtCounts
from sps_adaptive.schedules.schedule import Directed
from sps_adaptive.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Events(AtCounts):
    r"""A look on the day the d-th event is known, in all arms together; never, if there are fewer than d.

    With :math:`t_i` the day on which the outcome of patient i is known, and only patients with the event counted, the
    look is due on the d-th smallest :math:`t_i`. For binary endpoints: an event is a yes, whether it is good or bad for
    the patient. The precision of a comparison of rare events depends on their number, so the looks come when there is
    something to see; how many take place is left to chance, and the rule does not reveal which arm has the events.
    Source: Lan and DeMets (1989), on information in place of calendar time.
    """

    kind: Literal["events"]

    def when(self, patients: int) -> str:
        """Return in plain English when looks are due."""
        return f"when {listed(self.counts(patients))} patients with the event are known"

    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Refuse: which outcome is the event is known to the endpoint only."""
        raise TypeError("which outcomes are events? bind the schedule to its endpoint first")

    def bind(self, endpoint: Directed) -> BoundEvents:
        """Return the schedule of a trial with this endpoint."""
        return BoundEvents(**self.model_dump(), event_is_good=endpoint.better == "higher")


class BoundEvents(Events):
    """Looks at numbers of events, where it is settled which outcomes are events; oriented outcomes are True if good."""

    event_is_good: bool
    """Whether the good outcome is the event."""

    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Return the days on which looks fall due, inf where so many events never become known."""
        counts = self.counts(cohort.enrolled_at.shape[1])
        is_event = outcome.value[..., -1] == self.event_is_good
        day = np.where(is_event, outcome.known_at[..., -1], np.inf)
        return nth_days(day, [counts[number] for number in which])
