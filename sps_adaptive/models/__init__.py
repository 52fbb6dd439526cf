"""How outcomes are analysed."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.models.ancova import Ancova
from sps_adaptive.models.beta_binomial import BetaBinomial
from sps_adaptive.models.crossover import CrossoverAnalysis
from sps_adaptive.models.logistic import Logistic
from sps_adaptive.models.mmrm import Mmrm
from sps_adaptive.models.negative_binomial import NegativeBinomial
from sps_adaptive.models.normal import Normal
from sps_adaptive.models.piecewise_exponential import PiecewiseExponential
from sps_adaptive.models.proportional_odds import ProportionalOdds
from sps_adaptive.models.walk import Walk
from sps_adaptive.models.weibull import Weibull
from sps_adaptive.models.win_probability import WinProbability

AnalysisKind = Annotated[
    BetaBinomial
    | Normal
    | Ancova
    | CrossoverAnalysis
    | Logistic
    | Mmrm
    | NegativeBinomial
    | PiecewiseExponential
    | ProportionalOdds
    | Walk
    | Weibull
    | WinProbability,
    Field(discriminator="kind"),
]

__all__ = [
    "AnalysisKind",
    "Ancova",
    "BetaBinomial",
    "CrossoverAnalysis",
    "Logistic",
    "Mmrm",
    "NegativeBinomial",
    "Normal",
    "PiecewiseExponential",
    "ProportionalOdds",
    "Walk",
    "Weibull",
    "WinProbability",
]
