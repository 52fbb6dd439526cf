"""When the data are looked at."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.schedules.assessed import Assessed
from sps_adaptive.schedules.calendar import Calendar
from sps_adaptive.schedules.enrolled import Enrolled
from sps_adaptive.schedules.events import Events
from sps_adaptive.schedules.none import NoLooks
from sps_adaptive.schedules.several import Several

ScheduleKind = Annotated[Enrolled | Assessed | Events | Calendar | Several | NoLooks, Field(discriminator="kind")]

__all__ = ["Assessed", "Calendar", "Enrolled", "Events", "NoLooks", "ScheduleKind", "Several"]
