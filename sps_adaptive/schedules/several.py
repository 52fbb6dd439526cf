"""Looks for several reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Cohort, Outcome
from sps_adaptive.schedules.assessed import Assessed
from sps_adaptive.schedules.calendar import Calendar
from sps_adaptive.schedules.enrolled import Enrolled
from sps_adaptive.schedules.events import Events
from sps_adaptive.schedules.schedule import Directed, Place, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Member = Annotated[Enrolled | Assessed | Events | Calendar, Field(discriminator="kind")]


class Several(Schedule):
    r"""The looks of several schedules together, in the order of time.

    A committee meets once a year and also when 40 patients have been assessed. With :math:`d_1, d_2, \dots` the days on
    which looks of any schedule are due, the k-th look takes place on the smallest of them after the look before; two
    looks due on one day are one. So the number of looks is the sum of those of the schedules, at most, and a look has
    the number, the threshold and the `from_look` of its place in time, whichever schedule it is from. Waiting times,
    pauses and the largest number of looks are those of the whole. Source: Jennison and Turnbull (2000), chapter 7, on
    looks whose number is not fixed in advance.
    """

    kind: Literal["several"]
    of: Annotated[list[Member], Field(min_length=2, max_length=20)]
    """The schedules: kinds other than `several` and `none`."""

    @property
    def merges(self) -> bool:
        """Whether two looks may become one: always, here."""
        return True

    def n_due(self, patients: int) -> int:
        """Return how many looks may fall due."""
        return sum(member.n_due(patients) for member in self.of)

    def due(self, which: Sequence[int], cohort: Cohort, outcome: Outcome) -> Float[Array, "R K"]:
        """Return the days on which looks fall due, one schedule after the other."""
        patients = cohort.enrolled_at.shape[1]
        days = [member.due(range(member.n_due(patients)), cohort, outcome) for member in self.of]
        return np.concatenate(days, axis=1)[:, which]

    def bind(self, endpoint: Directed) -> Several:
        """Return the schedule of a trial with this endpoint."""
        return self.model_copy(update={"of": [member.bind(endpoint) for member in self.of]})

    def when(self, patients: int) -> str:
        """Return in plain English when looks are due."""
        return ", and ".join(member.when(patients) for member in self.of)

    def due_problems(self, patients: int) -> list[Place]:
        """Return looks that can never take place, and what is said about one schedule instead of the whole."""
        found: list[Place] = []
        for position, member in enumerate(self.of):
            found += [(("of", position, *path), message, hint) for path, message, hint in member.due_problems(patients)]
            found += [
                (("of", position, name), f"{name} is about all looks together", f"write {name} beside of")
                for name in Schedule.model_fields
                if name != "source" and getattr(member, name) is not None
            ]
        return found
