"""With which probability the next patient gets which arm."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.allocation.doubly_adaptive import DoublyAdaptive
from sps_adaptive.allocation.equal import Equal
from sps_adaptive.allocation.erade import Erade
from sps_adaptive.allocation.fixed import Fixed
from sps_adaptive.allocation.gittins import Gittins
from sps_adaptive.allocation.gittins_normal import GittinsNormal
from sps_adaptive.allocation.information_weighted import InformationWeighted
from sps_adaptive.allocation.mixture import Ingredient, Mixture
from sps_adaptive.allocation.neyman import Neyman
from sps_adaptive.allocation.null_hypothesis import NullHypothesis
from sps_adaptive.allocation.play_the_winner import PlayTheWinner
from sps_adaptive.allocation.rsihr import Rsihr
from sps_adaptive.allocation.square_root_control import SquareRootControl
from sps_adaptive.allocation.thompson import Thompson
from sps_adaptive.allocation.top_two import TopTwo
from sps_adaptive.allocation.trippa import Trippa

AllocationKind = Annotated[
    DoublyAdaptive
    | Equal
    | Erade
    | Fixed
    | Gittins
    | GittinsNormal
    | InformationWeighted
    | Mixture
    | Neyman
    | NullHypothesis
    | PlayTheWinner
    | Rsihr
    | SquareRootControl
    | Thompson
    | TopTwo
    | Trippa,
    Field(discriminator="kind"),
]

# A mixture holds rules of every kind, itself among them: its class was waiting for this name.
Ingredient.model_rebuild(_types_namespace={"AllocationKind": AllocationKind})
Mixture.model_rebuild()

__all__ = [
    "AllocationKind",
    "DoublyAdaptive",
    "Equal",
    "Erade",
    "Fixed",
    "Gittins",
    "GittinsNormal",
    "InformationWeighted",
    "Mixture",
    "Neyman",
    "NullHypothesis",
    "PlayTheWinner",
    "Rsihr",
    "SquareRootControl",
    "Thompson",
    "TopTwo",
    "Trippa",
]
