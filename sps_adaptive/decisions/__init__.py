"""What is decided at a look."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.decisions.all_of import AllOf
from sps_adaptive.decisions.any_of import AnyOf
from sps_adaptive.decisions.benefit_risk import BenefitRisk
from sps_adaptive.decisions.drop_arm import DropArm
from sps_adaptive.decisions.efficacy import Efficacy
from sps_adaptive.decisions.equivalence import Equivalence
from sps_adaptive.decisions.futility import Futility
from sps_adaptive.decisions.harm import Harm
from sps_adaptive.decisions.non_inferiority import NonInferiority
from sps_adaptive.decisions.predictive import Predictive
from sps_adaptive.decisions.predictive_success import PredictiveSuccess
from sps_adaptive.decisions.promote import Promote
from sps_adaptive.decisions.prune import Prune

DecisionKind = Annotated[
    Efficacy
    | NonInferiority
    | Futility
    | DropArm
    | Harm
    | BenefitRisk
    | Equivalence
    | Prune
    | Promote
    | Predictive
    | PredictiveSuccess
    | AllOf
    | AnyOf,
    Field(discriminator="kind"),
]

AllOf.model_rebuild(_types_namespace={"DecisionKind": DecisionKind})
AnyOf.model_rebuild(_types_namespace={"DecisionKind": DecisionKind})

__all__ = [
    "AllOf",
    "AnyOf",
    "BenefitRisk",
    "DecisionKind",
    "DropArm",
    "Efficacy",
    "Equivalence",
    "Futility",
    "Harm",
    "NonInferiority",
    "Predictive",
    "PredictiveSuccess",
    "Promote",
    "Prune",
]
