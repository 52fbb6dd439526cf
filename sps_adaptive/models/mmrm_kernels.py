"""Compiled loop of the repeated-measures analysis: from patients to one regression for each visit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


@compiled
def regress(
    arm: Int[Array, "R N"],
    reached: Int[Array, "R N"],
    covariate: Float[Array, "R N C"],
    value: Float[Array, "R N V"],
    prior_mean: Float[Array, "A V"],
    prior_patients: Float[Array, " A"],
    prior_products: Float[Array, "K K"],
    prior_df: float,
    number: Int[Array, "R A V"],
    centre: Float[Array, "R A V K"],
    root: Float[Array, "R V K K"],
    slope: Float[Array, "R V K"],
    variance: Float[Array, "R V"],
    df: Float[Array, "R V"],
) -> None:
    """Fill the regressions of each visit on covariates and earlier visits, in place; all that is filled comes as 0.

    `reached` is the number of visits a patient has been seen at, one after the other. Sums of products are those
    within the arms, by Welford's updates, with those of the prior; the last row of their Cholesky factor is the
    regression. No term is a small difference of large ones.
    """
    replicates, patients = arm.shape
    arms, visits = prior_mean.shape
    covariates = covariate.shape[2]
    row, before = np.empty(covariates + visits), np.empty(covariates + visits)
    products = np.empty((covariates + visits, covariates + visits))
    pooled, apart = np.empty(covariates + visits), np.empty(covariates + visits)
    for r in range(replicates):
        for t in range(visits):
            size = covariates + t  # regressors; the visit itself comes last
            for i in range(size + 1):
                for j in range(i + 1):
                    products[i, j] = prior_products[i, j]
            for n in range(patients):
                if reached[r, n] <= t or arm[r, n] < 0:
                    continue
                a = arm[r, n]
                number[r, a, t] += 1
                for k in range(size + 1):
                    row[k] = covariate[r, n, k] if k < covariates else value[r, n, k - covariates]
                    before[k] = row[k] - centre[r, a, t, k]
                    centre[r, a, t, k] += before[k] / number[r, a, t]
                for i in range(size + 1):
                    after = row[i] - centre[r, a, t, i]
                    for j in range(i + 1):
                        products[i, j] += after * before[j]
            total = 0
            pooled[:] = 0.0
            for a in range(arms):
                total += number[r, a, t]
                for k in range(size + 1):
                    pooled[k] += number[r, a, t] * centre[r, a, t, k]
            df[r, t] = prior_df + t
            for a in range(arms):
                seen, stated = number[r, a, t], prior_patients[a]
                df[r, t] += seen
                if seen > 0 and stated == 0.0:
                    df[r, t] -= 1.0  # a flat prior uses one up
                if seen > 0 and stated > 0.0:
                    for k in range(size + 1):
                        expected = 0.0 if k < covariates else prior_mean[a, k - covariates]
                        apart[k] = centre[r, a, t, k] - expected
                        centre[r, a, t, k] = expected + apart[k] * seen / (seen + stated)
                    for i in range(size + 1):
                        for j in range(i + 1):
                            products[i, j] += stated * seen / (seen + stated) * apart[i] * apart[j]
                elif seen == 0:  # what the prior says; if that is nothing, what the other arms say
                    for k in range(size + 1):
                        centre[r, a, t, k] = 0.0 if k < covariates else prior_mean[a, k - covariates]
                        if stated == 0.0 and total > 0:
                            centre[r, a, t, k] = pooled[k] / total
            for i in range(size + 1):  # Cholesky factor, in place
                for j in range(i + 1):
                    left = products[i, j]
                    for k in range(j):
                        left -= products[i, k] * products[j, k]
                    products[i, j] = math.sqrt(max(left, 0.0)) if i == j else left / products[j, j]
            for i in range(size):  # its inverse, a row at a time
                root[r, t, i, i] = 1 / products[i, i]
                for j in range(i):
                    left = 0.0
                    for k in range(j, i):
                        left += products[i, k] * root[r, t, k, j]
                    root[r, t, i, j] = -left / products[i, i]
            for j in range(size):
                for i in range(j, size):
                    slope[r, t, j] += root[r, t, i, j] * products[size, i]
            variance[r, t] = products[size, size] ** 2 / df[r, t]
