r"""The proportional-odds model of ordered categories: its log density, with gradient and Hessian.

With categories 0 .. C-1 from the worst to the best, weights :math:`w_k = e^{z_k}` (:math:`z_0 = 0`) and the linear
predictor :math:`\eta`, let :math:`D_j = \log(\sum_{k<j} w_k + e^\eta \sum_{k \ge j} w_k)`. Then

.. math:: \log P(Y = y) = z_y + \eta + \log\textstyle\sum_k w_k - D_y - D_{y+1}

is the proportional-odds model (McCullagh 1980) whose category probabilities at :math:`\eta = 0` are
:math:`\pi_k = w_k / \sum w`. There is no small difference of large numbers, and every :math:`D_j` is the cumulant of a
multinomial, so that derivatives are its means and covariances. In these coordinates a Dirichlet density of
:math:`\pi` with concentrations :math:`a_k` is :math:`\prod_k \pi_k^{a_k}`, Jacobian included, and is concave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

FAR = 300.0
"""Linear predictors are taken to lie within this distance of 0, where exponentials are finite."""


MOST_STEPS, SHORTEST = 200, 1e-9
"""Newton steps to the limit of a fit, at most, and the share of a step below which none leads further up."""


@dataclass(frozen=True, eq=False)
class CumulativeDensity:
    r"""Log posterior densities of R proportional-odds models, in :math:`(z_1 .. z_{C-1}, \beta)`.

    Patients come in groups with the same linear predictor: the arms, or with covariates the patients.
    """

    design: Float[Array, "#R G Q"]
    """Coefficients of the linear predictor of each group."""
    counts: Float[Array, "R G C"]
    """Patients of each group in each category, from the worst to the best."""
    concentration: float
    """Dirichlet concentration of each category, at a linear predictor of 0."""
    precision: Float[Array, " Q"]
    r"""Prior precision of each :math:`\beta`, about 0."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return self.counts.shape[2] - 1 + self.design.shape[2]

    def start(self) -> Float[Array, "R P"]:
        """Return the mode of the prior."""
        return np.zeros((len(self.counts), self.n_parameters))

    def evaluate(
        self, at: Float[Array, "M P"], rows: Int[Array, " M"]
    ) -> tuple[Float[Array, " M"], Float[Array, "M P"], Float[Array, "M P P"]]:
        """Return value, gradient and Hessian of the log densities `rows` at given points."""
        value, gradient = np.zeros(len(at)), np.zeros(at.shape)
        hessian = np.zeros((*at.shape, at.shape[1]))
        fill_density(
            at, rows, self.design, self.counts, self.concentration, self.precision, value, gradient, hessian
        )  # fmt: skip
        return value, gradient, hessian


@compiled
def fill_density(
    at: Float[Array, "M P"],
    rows: Int[Array, " M"],
    design: Float[Array, "#R G Q"],
    counts: Float[Array, "R G C"],
    concentration: float,
    precision: Float[Array, " Q"],
    value: Float[Array, " M"],
    gradient: Float[Array, "M P"],
    hessian: Float[Array, "M P P"],
) -> None:
    """Fill the log densities and their derivatives, in place; they come as 0."""
    groups, categories = counts.shape[1], counts.shape[2]
    effects = design.shape[2]
    free = categories - 1
    weight, below, beyond = np.empty(categories), np.empty(categories), np.empty(categories)
    q, cross = np.empty(categories), np.empty(categories)
    for m in range(len(rows)):
        r = rows[m]
        d = r if len(design) > 1 else 0
        highest = 0.0
        for k in range(free):
            highest = max(highest, at[m, k])
        weight[0] = math.exp(-highest)
        for k in range(free):
            weight[k + 1] = math.exp(at[m, k] - highest)
        total = 0.0
        for k in range(categories):
            below[k] = total  # the weight of the categories under k, and of k and those over it
            total += weight[k]
        upper = 0.0
        for k in range(free, -1, -1):
            upper += weight[k]
            beyond[k] = upper
        log_total = math.log(total) + highest
        # Each patient in a category that is not at an end adds log Σw, the Dirichlet density takes some away.
        cumulants = -concentration * categories
        for k in range(free):
            value[m] += concentration * at[m, k]
            gradient[m, k] += concentration
        for i in range(effects):
            b = at[m, free + i]
            value[m] -= precision[i] * b * b / 2
            gradient[m, free + i] -= precision[i] * b
            hessian[m, free + i, free + i] -= precision[i]
        for g in range(groups):
            patients = 0.0
            for k in range(categories):
                patients += counts[r, g, k]
            if patients == 0.0:
                continue
            eta = 0.0
            for i in range(effects):
                eta += design[d, g, i] * at[m, free + i]
            eta = min(max(eta, -FAR), FAR)
            times = math.exp(eta)
            for k in range(categories):
                cross[k] = 0.0
            slope = patients - counts[r, g, 0]
            curvature = 0.0
            value[m] += slope * eta
            cumulants += slope - counts[r, g, free]
            for k in range(free):
                value[m] += counts[r, g, k + 1] * at[m, k]
                gradient[m, k] += counts[r, g, k + 1]
            for j in range(1, categories):
                n = counts[r, g, j - 1] + counts[r, g, j]
                if n == 0.0:
                    continue
                whole = below[j] + beyond[j] * times
                value[m] -= n * (math.log(whole) + highest)
                over = beyond[j] * times / whole
                slope -= n * over
                curvature -= n * over * (below[j] / whole)
                for k in range(categories):
                    q[k] = weight[k] / whole
                    if k >= j:
                        q[k] *= times
                    cross[k] -= n * q[k] * ((1.0 if k >= j else 0.0) - over)
                for k in range(free):
                    mine = n * q[k + 1]
                    gradient[m, k] -= mine
                    hessian[m, k, k] -= mine
                    for h in range(k + 1):
                        hessian[m, k, h] += mine * q[h + 1]
            for i in range(effects):
                x = design[d, g, i]
                gradient[m, free + i] += slope * x
                for k in range(free):
                    hessian[m, free + i, k] += cross[k + 1] * x
                for h in range(i + 1):
                    hessian[m, free + i, free + h] += curvature * x * design[d, g, h]
        value[m] += cumulants * log_total
        for k in range(free):
            mine = cumulants * weight[k + 1] / total
            gradient[m, k] += mine
            hessian[m, k, k] += mine
            for h in range(k + 1):
                hessian[m, k, h] -= mine * weight[h + 1] / total
        for k in range(free + effects):
            for h in range(k):
                hessian[m, h, k] = hessian[m, k, h]


def log_odds_ratios(share: Float[Array, "A C"], control: int) -> Float[Array, " A"]:
    """Return the log odds ratios against the control that a proportional-odds fit tends to, with arms of equal size.

    The expected log likelihood is that of "counts" that are the shares; categories that no arm has are left out. A
    prior precision of 1e-13 keeps ratios finite where one arm has only better categories than another.
    """
    arms = len(share)
    seen = share[:, share.sum(axis=0) > 0]
    answer = np.zeros(arms)
    if seen.shape[1] < 2 or arms < 2:
        return answer
    others = np.delete(np.arange(arms), control)
    design = (np.arange(arms)[:, None] == others).astype(float)[None]
    density = CumulativeDensity(design, np.ascontiguousarray(seen)[None], 0.0, np.full(arms - 1, 1e-13))
    start = density.start()
    start[0, : seen.shape[1] - 1] = np.log(seen.mean(axis=0)[1:] / seen.mean(axis=0)[0])
    at, row = start, np.zeros(1, np.int64)
    value, gradient, hessian = density.evaluate(at, row)
    for _ in range(MOST_STEPS):
        size, axes = np.linalg.eigh(hessian[0])
        step = axes @ ((axes.T @ gradient[0]) / np.maximum(np.abs(size), 1e-12))
        step *= min(1.0, 10 / max(np.abs(step).max(), 1e-12))
        length = 1.0
        while density.evaluate(at + length * step, row)[0][0] < value[0] and length > SHORTEST:
            length /= 2
        if length <= SHORTEST or np.abs(step).max() < 1e-13:
            break
        at = at + length * step
        value, gradient, hessian = density.evaluate(at, row)
    answer[others] = at[0, seen.shape[1] - 1 :]
    return answer
