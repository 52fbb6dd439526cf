"""Covariates that an analysis adjusts for, and the priors of their coefficients (shared by the models)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisSetting, Snapshot
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

BASELINE = "baseline"
"""The name by which a model calls the standard score of the baseline measurement."""


class CoefficientPrior(Part):
    """A normal distribution about 0 for the coefficient of a covariate.

    A baseline counts in standard deviations, a level of a factor against the factor's first level.
    """

    sd: Annotated[float, Field(gt=0, le=100)] = 2.5
    """Its standard deviation."""


def columns(setting: AnalysisSetting, names: Iterable[str]) -> Callable[[Snapshot], Float[Array, "R N C"]]:
    """Return what turns the covariates of patients into columns of a design matrix.

    A factor becomes one column for each level but the first: 1 on the level and 0 elsewhere, less the prevalence of the
    level, so that the other coefficients are those of the average patient. The baseline is its standard score.

    Parameters
    ----------
    setting
        The trial: its factors, in the order of `Snapshot.strata`.
    names
        Names of factors, or `baseline`.

    Returns
    -------
    Callable
        Columns are 0 for patients not yet enrolled.
    """
    names, factors = tuple(names), list(setting.factors)
    tables: list[tuple[int, Float[Array, "L C"]] | None] = []
    for name in names:
        if name == BASELINE and name not in setting.factors:
            tables.append(None)
        else:
            prevalence = np.array(list(setting.factors[name].values()))
            dummies = np.eye(len(prevalence)) - prevalence
            tables.append((factors.index(name), np.ascontiguousarray(dummies[:, 1:])))

    def of(snapshot: Snapshot) -> Float[Array, "R N C"]:
        enrolled = snapshot.arm >= 0
        parts = [np.zeros((*enrolled.shape, 0))]
        for table in tables:
            if table is None:
                parts.append(snapshot.covariates[..., :1])
            else:
                assert snapshot.strata is not None
                parts.append(table[1][np.where(enrolled, snapshot.strata[..., table[0]], 0)])
        return np.where(enrolled[..., None], np.concatenate(parts, axis=-1), 0.0)

    return of


def covariate_problems(setting: AnalysisSetting, names: Iterable[str]) -> list[tuple[tuple[str | int, ...], str, str]]:
    """Return what cannot be about the covariates of a model, as (path, message, hint)."""
    found: list[tuple[tuple[str | int, ...], str, str]] = []
    names = tuple(names)
    for place, name in enumerate(names):
        path = ("covariates", place)
        if name in names[:place]:
            found.append((path, f"'{name}' stands there twice", "name each covariate once"))
        elif name in setting.factors:
            continue
        elif name != BASELINE:
            known = [*setting.factors, *([BASELINE] if setting.baseline else [])]
            hint = f"the covariates are: {', '.join(known)}" if known else "add it to population.covariates"
            found.append((path, f"there is no covariate '{name}'", hint))
        elif setting.baseline is None:
            found.append((path, "there is no baseline", "add baseline: {mean, sd, correlation} to the endpoint"))
    return found
