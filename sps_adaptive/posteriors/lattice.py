"""Points at which integrals over a few Student-t variables are taken."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from sps_adaptive.posteriors.draws import sobol

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

LATTICES = {1: (127, 1), 2: (251, 104), 3: (1021, 315), 4: (2039, 596), 5: (4093, 815)}
"""Number of points (a prime) and generator for each number of dimensions: of all generators (g, g², ...), the one with
the smallest worst-case error for smooth periodic functions."""


@lru_cache(maxsize=32)
def lattice(dimensions: int) -> tuple[Float[Array, "S D"], Float[Array, " S"]]:
    r"""Return points in (0, 1) and their weights, which sum to 1; both must not be written to.

    A rank-one lattice with a generator of Korobov's form, made periodic by
    :math:`u = x^3 (10 - 15 x + 6 x^2)` (Sloan and Joe 1994, sections 2 and 4): for smooth integrands far more
    accurate than as many Sobol points. It is symmetric about the middle, so that a probability and its complement
    sum to 1. In more dimensions than five the weights would differ too much, and 4,096 Sobol points with
    their reflections stand in.
    """
    if dimensions == 0:
        points, weights = np.zeros((1, 0)), np.ones(1)
    elif dimensions in LATTICES:
        number, generator = LATTICES[dimensions]
        steps = np.array([pow(generator, power, number) for power in range(dimensions)])
        x = (np.arange(number)[:, None] * steps % number / number + 0.5) % 1
        points = x**3 * (10 - 15 * x + 6 * x**2)
        weights = (30 * x**2 * (1 - x) ** 2).prod(axis=1)
        weights /= weights.sum()
    else:
        half = sobol(4096, dimensions)
        points, weights = np.concatenate([half, 1 - half]), np.full(8192, 1 / 8192)
    points.flags.writeable = weights.flags.writeable = False
    return points, weights


@lru_cache(maxsize=2048)
def student_points(df: float, dimensions: int) -> Float[Array, "D S"]:
    """Return the points of `lattice` as quantiles of a Student-t; beyond 1e150 nothing is ever compared."""
    points = np.ascontiguousarray(np.clip(stdtrit(df, lattice(dimensions)[0].T), -1e150, 1e150))
    points.flags.writeable = False
    return points


def student_tables(df: Float[Array, "R T"], dimensions: int) -> tuple[Float[Array, "U D S"], Array]:
    """Return `student_points` of the distinct degrees of freedom, and the row of each."""
    if dimensions == 0:
        return np.zeros((1, 0, 1)), np.zeros(df.shape, np.int64)
    distinct, row = np.unique(df, return_inverse=True)
    points = len(lattice(dimensions)[1])
    tables = np.array([student_points(float(one), dimensions) for one in distinct])
    return tables.reshape(len(distinct), dimensions, points), row.reshape(df.shape)
