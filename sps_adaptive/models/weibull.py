"""Times to an event, with Weibull hazards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.covariates import columns
from sps_adaptive.models.hazards import (
    HazardModel,
    Rows,
    Shared,
    events_by_arm,
    follow_up,
    n_columns,
    sum_out,
)
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Shape = Annotated[float, Field(ge=0.1, le=10)]


class ShapePrior(Part):
    """A log-normal distribution for the shape."""

    median: Shape = 1.0
    """The prior median: 1 is a constant hazard, above 1 it rises with time, below 1 it falls."""
    log_sd: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Prior standard deviation of its logarithm; 0.5 is a shape from 0.38 to 2.7 with 95% probability."""


class Weibull(HazardModel):
    r"""Proportional Weibull hazards: one shape, a hazard for each arm, and covariates.

    With F the months of follow-up, the hazard of patient i on arm a is

    .. math:: h_i(t) = \lambda_a\, e^{x_i'\gamma}\, (e\,t / F)^{k - 1},

    so that :math:`\theta_a = \log \lambda_a` is the mean of the log hazard over the follow-up, whatever the shape k.
    Everybody enrolled counts for as long as they have been followed. Priors: :math:`\lambda_a \sim
    \mathrm{Gamma}(\text{events}, \text{months})`, :math:`\log k` normal, :math:`\gamma_c \sim N(0, s^2)`. Given k and
    :math:`\gamma` the :math:`\lambda_a` are again independent gamma variables (Ibrahim, Chen and Sinha 2001, section
    2.2), so every question about the arms has a closed form; k and :math:`\gamma` are summed over by adaptive
    Gauss-Hermite quadrature (Naylor and Smith 1982). With `shape: 1` and no covariates this is the conjugate
    exponential model, and exact.

    Use it for relapse or rescue under a planned follow-up. A constant hazard (`shape: 1`) is enough where few events
    are expected; `piecewise_exponential` fits hazards that rise and then fall.
    """

    kind: Literal["weibull"]
    shape: ShapePrior | Shape = ShapePrior()
    """The prior of the shape, or the shape itself, where it is known: 1 is the exponential model."""

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        return BoundWeibull(self, setting)

    def exposure(self, end: float, n: int, generator: np.random.Generator) -> Float[Array, " n"]:
        """Return n draws of the cumulative hazard at the end of follow-up, as a multiple of an arm's hazard."""
        log_shape, width = prior_of_shape(self.shape)
        log_k = log_shape + width * generator.standard_normal(n)
        return np.asarray(end * np.exp(np.exp(log_k) - 1 - log_k))


def prior_of_shape(shape: ShapePrior | float) -> tuple[float, float]:
    """Return mean and standard deviation of the log shape; 0 where it is known."""
    return (np.log(shape.median), shape.log_sd) if isinstance(shape, ShapePrior) else (np.log(shape), 0.0)


@dataclass(frozen=True, eq=False)
class BoundWeibull:
    """The Weibull analysis of given arms."""

    model: Weibull
    setting: AnalysisSetting

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the follow-up so far."""
        model, end, good = self.model, self.setting.endpoint.follow_up_months, self.setting.higher_is_better
        follow = follow_up(snapshot, good)
        log_time = np.log(follow.months / end) + 1
        log_shape, width = prior_of_shape(model.shape)
        log_base = np.full(log_time.shape, np.log(end))
        if not width:
            log_base += np.exp(log_shape) * log_time - 1 - log_shape
        linear = n_columns(self.setting, model.covariates)
        shared = Shared(
            np.array([0.0] * linear + [log_shape] * (width > 0)),
            np.array([model.covariate_sd] * linear + [width] * (width > 0)),
            width > 0,
        )
        design = columns(self.setting, model.covariates)(snapshot)
        rows = Rows(follow.arm, log_base, log_time, follow.event, design)
        prior = model.gamma(self.setting)
        return sum_out(rows, events_by_arm(follow, len(self.setting.arms)), prior, shared, end, good)
