"""What is measured, and how it comes about."""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field

from sps_adaptive.endpoints.binary import Binary
from sps_adaptive.endpoints.bounded_score import BoundedScore
from sps_adaptive.endpoints.continuous import Continuous
from sps_adaptive.endpoints.count import Count
from sps_adaptive.endpoints.crossover import Crossover
from sps_adaptive.endpoints.longitudinal import Longitudinal
from sps_adaptive.endpoints.ordinal import Ordinal
from sps_adaptive.endpoints.time_to_event import TimeToEvent
from sps_adaptive.endpoints.timed_walk import TimedWalk

EndpointKind = Annotated[
    Binary | BoundedScore | Continuous | Count | Crossover | Longitudinal | Ordinal | TimeToEvent | TimedWalk,
    Field(discriminator="kind"),
]

__all__ = [
    "Binary",
    "BoundedScore",
    "Continuous",
    "Count",
    "Crossover",
    "EndpointKind",
    "Longitudinal",
    "Ordinal",
    "TimeToEvent",
    "TimedWalk",
    "truth_words",
]


def truth_words() -> list[str]:
    """Return the fields that the true value of an arm may have, of all endpoints together."""
    words: set[str] = set()

    def collect(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            words.update(kind.model_fields)
        for part in get_args(kind):
            collect(part)

    for endpoint in get_args(get_args(EndpointKind)[0]):
        collect(endpoint.truth_type)
    return sorted(words)
