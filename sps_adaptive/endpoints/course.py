"""A true value that may change while the trial enrols (shared by the endpoints)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Finite = Annotated[float, Field(allow_inf_nan=False)]

Course = Finite | dict[Finite, Finite]
"""One number for the whole trial, or numbers by month of enrolment: {0: 0.45, 18: 0.25}.

Between the stated months the value changes linearly, before the first and after the last it stays.
"""


def values(course: Course, enrolled_at: Float[Array, "R N"]) -> Float[Array, "..."]:
    """Return the value for patients enrolled on these days: a scalar array if it never changes."""
    if not isinstance(course, dict):
        return np.asarray(float(course))
    months = sorted(course)
    return np.interp(enrolled_at / DAYS_PER_MONTH, months, [course[month] for month in months])


def by_arm(courses: list[Course], enrolled_at: Float[Array, "R N"]) -> Float[Array, "#R #N A"]:
    """Return the value of every arm; axes R and N have length 1 where no arm changes with time."""
    each = [values(course, enrolled_at) for course in courses]
    if all(value.ndim == 0 for value in each):
        return np.stack(each)[None, None, :]
    return np.stack([np.broadcast_to(value, enrolled_at.shape) for value in each], axis=-1)


def numbers(course: Course) -> list[float]:
    """Return every value a course states."""
    return list(course.values()) if isinstance(course, dict) else [course]
