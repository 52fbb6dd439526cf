"""How allocation probabilities become patients."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.realisation.independent import Independent
from sps_adaptive.realisation.minimisation import Minimisation
from sps_adaptive.realisation.permuted_block import PermutedBlock
from sps_adaptive.realisation.quota import Quota
from sps_adaptive.realisation.stratified import Stratified
from sps_adaptive.realisation.urn import Urn

RealisationKind = Annotated[
    Independent | Minimisation | PermutedBlock | Quota | Stratified | Urn, Field(discriminator="kind")
]

__all__ = ["Independent", "Minimisation", "PermutedBlock", "Quota", "RealisationKind", "Stratified", "Urn"]
