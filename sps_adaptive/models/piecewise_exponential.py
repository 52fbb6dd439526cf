"""Times to an event, with a hazard that is constant between stated months."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.covariates import columns
from sps_adaptive.models.hazards import (
    Follow,
    HazardModel,
    Rows,
    Shared,
    events_by_arm,
    follow_up,
    n_columns,
    sum_out,
)  # fmt: skip

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class PiecewiseExponential(HazardModel):
    r"""Proportional hazards with a baseline that is constant between stated months.

    Follow-up is cut into J intervals of length :math:`\ell_j`; in interval j the hazard of patient i on arm a is

    .. math:: h_{ij} = \lambda_a\, e^{\alpha_j + x_i'\gamma}, \qquad \textstyle\sum_j \ell_j \alpha_j = 0,

    so that :math:`\theta_a = \log \lambda_a` is the mean of the log hazard over the follow-up. The likelihood is that
    of Poisson counts of events with the time at risk as exposure (Holford 1980; Laird and Olivier 1981). Priors:
    :math:`\lambda_a \sim \mathrm{Gamma}(\text{events}, \text{months})`; the baseline log hazards of the intervals are
    independent :math:`N(0, s^2)` before their mean is taken out; :math:`\gamma_c` normal as well. Given :math:`\alpha`
    and :math:`\gamma` the :math:`\lambda_a` are independent gamma variables and all is closed; the former are summed
    over by adaptive Gauss-Hermite quadrature (Naylor and Smith 1982), from five of them on by scrambled Sobol points.

    Use it where the hazard changes in a way that no Weibull distribution has: high in the months after treatment is
    withdrawn, say, and low before and after. Few cuts suffice; intervals without events are told by the prior and by
    the time at risk.
    """

    kind: Literal["piecewise_exponential"]
    cuts: Annotated[list[Annotated[float, Field(gt=0, le=600)]], Field(min_length=1, max_length=12)]
    """Months at which the baseline hazard may change."""
    baseline_sd: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Prior standard deviation of the log hazard of each interval about their mean."""

    @model_validator(mode="after")
    def _increasing(self) -> PiecewiseExponential:
        if sorted(set(self.cuts)) != self.cuts:
            raise PydanticCustomError("value_error", "the cuts must increase", {"hint": "for example [3, 6]"})
        return self

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the model in its trial, as (path, message, hint)."""
        end = setting.endpoint.follow_up_months
        found = super().problems(setting)
        for position, cut in enumerate(self.cuts):
            if cut >= end:
                what = f"a cut at month {cut:g}, and follow-up ends in month {end:g}"
                found.append((("cuts", position), what, "leave it out"))
        return found

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        return BoundPiecewiseExponential(self, setting)

    def exposure(self, end: float, n: int, generator: np.random.Generator) -> Float[Array, " n"]:
        """Return n draws of the cumulative hazard at the end of follow-up, as a multiple of an arm's hazard."""
        basis = self.basis(end)
        return np.asarray(np.exp(generator.standard_normal((n, basis.shape[1])) @ basis.T) @ self.widths(end))

    def widths(self, end: float) -> Float[Array, " J"]:
        """Return the length of each interval."""
        return np.diff([0.0, *self.cuts, end])

    def basis(self, end: float) -> Float[Array, "J J-1"]:
        """Return B such that B z, with standard normal z, is the prior of the baseline log hazards."""
        widths = self.widths(end)
        centring = np.eye(len(widths)) - widths / end  # takes the mean over the follow-up out
        left, singular, _ = np.linalg.svd(self.baseline_sd * centring)
        return np.ascontiguousarray((left * singular)[:, :-1])


@dataclass(frozen=True, eq=False)
class BoundPiecewiseExponential:
    """The piecewise exponential analysis of given arms."""

    model: PiecewiseExponential
    setting: AnalysisSetting

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the follow-up so far."""
        model, end, good = self.model, self.setting.endpoint.follow_up_months, self.setting.higher_is_better
        follow = follow_up(snapshot, good)
        arms, basis = len(self.setting.arms), model.basis(end)
        linear = n_columns(self.setting, model.covariates)
        x = columns(self.setting, model.covariates)(snapshot)
        rows = split(follow, model.widths(end), basis, x)
        shared = Shared(
            np.zeros(basis.shape[1] + linear),
            np.array([1.0] * basis.shape[1] + [model.covariate_sd] * linear),
        )
        rows = rows if linear else collapsed(rows, arms, basis)
        return sum_out(rows, events_by_arm(follow, arms), model.gamma(self.setting), shared, end, good)


def split(follow: Follow, widths: Float[Array, " J"], basis: Float[Array, "J B"], x: Float[Array, "R N C"]) -> Rows:
    """Return a row for each patient and interval."""
    starts = np.concatenate([[0.0], np.cumsum(widths)[:-1]])
    spent = np.clip(follow.months[..., None] - starts, 0.0, widths)
    there = (follow.arm >= 0)[..., None] & (spent > 0)
    # The event is in the last interval that has been entered.
    last = there & ~np.concatenate([there[..., 1:], np.zeros_like(there[..., :1])], axis=-1)
    events = np.where(last, follow.event[..., None], 0.0)
    arm = np.where(there, follow.arm[..., None], -1)
    log_spent = np.log(np.where(there, spent, 1.0))
    shape = (*arm.shape, basis.shape[1])
    design = np.concatenate(
        [np.broadcast_to(basis, shape), np.broadcast_to(x[:, :, None, :], (*arm.shape, x.shape[2]))], axis=-1
    )
    replicates, number = len(arm), arm.shape[1] * arm.shape[2]
    flat = [np.ascontiguousarray(each.reshape(replicates, number)) for each in (arm, log_spent, events)]
    design = np.ascontiguousarray(design.reshape(replicates, number, shape[-1] + x.shape[2]))
    return Rows(flat[0], flat[1], np.zeros_like(flat[1]), flat[2], design)


def collapsed(rows: Rows, arms: int, basis: Float[Array, "J B"]) -> Rows:
    """Return a row for each arm and interval: without covariates it is all that matters."""
    pieces = len(basis)
    shape = (len(rows.arm), -1, pieces)
    arm, spent = rows.arm.reshape(shape), np.exp(rows.log_base).reshape(shape)
    events = rows.events.reshape(shape)
    time = np.stack([np.where(arm == a, spent, 0.0).sum(axis=1) for a in range(arms)], axis=1)
    count = np.stack([np.where(arm == a, events, 0.0).sum(axis=1) for a in range(arms)], axis=1)
    number = np.repeat(np.arange(arms), pieces)
    time, count = time.reshape(len(time), -1), count.reshape(len(count), -1)
    arm = np.where(time > 0, number, -1)
    design = np.broadcast_to(np.tile(basis, (arms, 1)), (*time.shape, basis.shape[1]))
    log_time = np.log(np.where(time > 0, time, 1.0))
    return Rows(arm, log_time, np.zeros_like(time), count, np.ascontiguousarray(design))
