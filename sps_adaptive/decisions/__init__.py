"""What is decided at a look."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.decisions.drop_arm import DropArm
from sps_adaptive.decisions.efficacy import Efficacy
from sps_adaptive.decisions.equivalence import Equivalence
from sps_adaptive.decisions.futility import Futility
from sps_adaptive.decisions.predictive import Predictive
from sps_adaptive.decisions.promote import Promote

DecisionKind = Annotated[
    Efficacy | Futility | DropArm | Equivalence | Predictive | Promote, Field(discriminator="kind")
]

__all__ = ["DecisionKind", "DropArm", "Efficacy", "Equivalence", "Futility", "Predictive", "Promote"]
