"""What covariates and sites do to outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from sps_adaptive.part import Name, Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array, Cohort


class LevelEffect(Part):
    """What a level of a covariate does to an outcome."""

    prognostic: float = 0.0
    """What it adds on every arm."""
    predictive: dict[Name, float] = Field(default_factory=dict)
    """What it adds besides on single arms: for whom a treatment works better or worse."""


Effects = dict[Name, dict[Name, float | LevelEffect]]
"""Covariate, then level, then what it does: a number is prognostic. Levels left out do nothing."""


def shift(
    cohort: Cohort, arms: tuple[str, ...], levels: Mapping[str, list[str]], effects: Effects, site_sd: float
) -> Float[Array, "R N #A"] | None:
    r"""Return what the covariates and the site of each patient add to the linear predictor of an outcome.

    For a patient with level :math:`l_f` of each factor f, at a site with the standard score z,

    .. math:: h_a = \sum_f (\gamma_{f l_f} + \delta_{f l_f a}) + \tau z,

    with the prognostic effects :math:`\gamma`, the predictive effects :math:`\delta` and the standard deviation
    :math:`\tau` between sites.

    Parameters
    ----------
    cohort
        The patients.
    arms
        Names of the arms.
    levels
        The covariates in the order of `cohort.strata`, each with the names of its levels.
    effects
        What they do.
    site_sd
        Standard deviation of the site effects.

    Returns
    -------
    array or None
        None where nothing is added; the axis A has length 1 where it is the same on all arms.
    """
    differs = any(
        isinstance(each, LevelEffect) and each.predictive for by_level in effects.values() for each in by_level.values()
    )
    if not effects and site_sd == 0:
        return None
    total = np.zeros((*cohort.enrolled_at.shape, len(arms) if differs else 1))
    for factor, (name, of_factor) in enumerate(levels.items()):
        if name in effects:
            table = np.array([_row(effects[name].get(level, 0.0), arms, total.shape[2]) for level in of_factor])
            total += table[cohort.strata[:, :, factor]]
    if site_sd and cohort.site_score is not None:
        total += site_sd * cohort.site_score[:, :, None]
    return total


def _row(effect: float | LevelEffect, arms: tuple[str, ...], width: int) -> list[float]:
    if not isinstance(effect, LevelEffect):
        return [effect] * width
    return [effect.prognostic + effect.predictive.get(arm, 0.0) for arm in arms[:width]]
