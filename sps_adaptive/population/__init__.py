"""Who comes, when, and who leaves."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.population.dropout import Exponential
from sps_adaptive.population.poisson import Poisson
from sps_adaptive.population.sites import Sites
from sps_adaptive.population.steady import Steady

AccrualKind = Annotated[Sites | Poisson | Steady, Field(discriminator="kind")]
DropoutKind = Exponential

__all__ = ["AccrualKind", "DropoutKind", "Exponential", "Poisson", "Sites", "Steady"]
