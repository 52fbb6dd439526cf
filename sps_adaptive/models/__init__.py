"""How outcomes are analysed."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.models.ancova import Ancova
from sps_adaptive.models.beta_binomial import BetaBinomial
from sps_adaptive.models.mmrm import Mmrm
from sps_adaptive.models.normal import Normal
from sps_adaptive.models.piecewise_exponential import PiecewiseExponential
from sps_adaptive.models.walk import Walk
from sps_adaptive.models.weibull import Weibull

AnalysisKind = Annotated[
    BetaBinomial
    | Normal
    | Ancova
    | Mmrm
    | PiecewiseExponential
    | Walk
    | Weibull,
    Field(discriminator="kind"),
]  # fmt: skip

__all__ = [
    "AnalysisKind",
    "Ancova",
    "BetaBinomial",
    "Mmrm",
    "Normal",
    "PiecewiseExponential",
    "Walk",
    "Weibull",
]
