r"""The log posterior density of logistic regressions with an intercept for each arm.

.. math:: l = \sum_i \bigl(y_i \eta_i - \log(1 + e^{\eta_i})\bigr) - \sum_p \frac{(\beta_p - m_p)^2}{2 s_p^2}, \qquad
    \eta_i = \theta_{a(i)} + \gamma^\top x_i
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


@dataclass(frozen=True, eq=False)
class LogisticDensity:
    """Log posterior densities of R data sets, in the log odds of the arms and the coefficients."""

    arm: Int[Array, "R N"]
    """Arm of each patient whose outcome counts, -1 for the others."""
    event: Float[Array, "R N"]
    """1 for an event and 0 for none."""
    columns: Float[Array, "R N C"]
    """Covariates."""
    mean: Float[Array, " P"]
    """Prior means: of the arms, then of the coefficients."""
    precision: Float[Array, " P"]
    """Prior precisions."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return len(self.mean)

    def start(self) -> Float[Array, "R P"]:
        """Return the mode of the prior."""
        return np.tile(self.mean, (len(self.arm), 1))

    def evaluate(
        self, at: Float[Array, "M P"], rows: Int[Array, " M"]
    ) -> tuple[Float[Array, " M"], Float[Array, "M P"], Float[Array, "M P P"]]:
        """Return value, gradient and Hessian of the log densities `rows` at given points."""
        value, gradient, hessian = np.zeros(len(at)), np.zeros(at.shape), np.zeros((*at.shape, at.shape[1]))
        fill_logistic(
            np.ascontiguousarray(at), rows, self.arm, self.event, self.columns, self.mean, self.precision,
            value, gradient, hessian,
        )  # fmt: skip
        return value, gradient, hessian


@compiled
def fill_logistic(
    at: Float[Array, "M P"],
    rows: Int[Array, " M"],
    arm: Int[Array, "R N"],
    event: Float[Array, "R N"],
    columns: Float[Array, "R N C"],
    mean: Float[Array, " P"],
    precision: Float[Array, " P"],
    value: Float[Array, " M"],
    gradient: Float[Array, "M P"],
    hessian: Float[Array, "M P P"],
) -> None:
    """Fill the log densities and their derivatives, in place; they come as 0."""
    size, covariates = at.shape[1], columns.shape[2]
    arms = size - covariates
    for m in range(len(rows)):
        r = rows[m]
        total = 0.0
        for n in range(arm.shape[1]):
            a = arm[r, n]
            if a < 0:
                continue
            eta = at[m, a]
            for c in range(covariates):
                eta += at[m, arms + c] * columns[r, n, c]
            # log(1 + e^eta) and its derivatives, without overflow on either side
            small = math.exp(-abs(eta))
            chance = (1.0 if eta >= 0.0 else small) / (1.0 + small)
            total += event[r, n] * eta - max(eta, 0.0) - math.log1p(small)
            residual, weight = event[r, n] - chance, small / (1.0 + small) ** 2
            gradient[m, a] += residual
            hessian[m, a, a] -= weight
            for c in range(covariates):
                x = columns[r, n, c]
                gradient[m, arms + c] += residual * x
                hessian[m, arms + c, a] -= weight * x
                for d in range(c + 1):
                    hessian[m, arms + c, arms + d] -= weight * x * columns[r, n, d]
        for p in range(size):
            gap = at[m, p] - mean[p]
            total -= precision[p] * gap * gap / 2.0
            gradient[m, p] -= precision[p] * gap
            hessian[m, p, p] -= precision[p]
            for q in range(p):
                hessian[m, q, p] = hessian[m, p, q]
        value[m] = total
