r"""Laplace's method for posteriors that have no closed form, batched over data sets.

`find_modes` climbs to the mode of each log posterior density. `marginals` finds the marginal density of a linear
functional :math:`t = w^\top \beta` on a grid of values: at each, the other directions are optimised anew, and
integrated by Laplace's method (Tierney and Kadane 1986; the "full Laplace" of Rue, Martino and Chopin 2009),

.. math:: \log \tilde p(t \mid y) = l(\hat\beta_t) - \tfrac12 \log\left|{-H_t}\right| + \text{constant},

with :math:`\hat\beta_t` the highest point of l where :math:`w^\top \beta = t`, and :math:`H_t` the Hessian there in the
directions orthogonal to w. The plain method, a normal distribution at the mode, ignores that posteriors of small trials
are skewed, and flips decisions near their threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from sps_adaptive.posteriors.laplace_kernels import (
    CANDIDATE,
    DONE,
    SIDE_NODES,
    climb,
    covariances,
    fill_correlations,
    set_out,
    step_on,
)

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

MOST_STEPS = 200
"""Evaluations for the mode of one data set, at most."""

MOST_EVALUATIONS = 1500
"""Evaluations for one side of one marginal density, at most."""


class LogDensity(Protocol):
    """The log posterior density of each of R data sets, prior included, up to a constant."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters P."""
        ...

    def start(self) -> Float[Array, "R P"]:
        """Return where to begin the search for the mode, such as the mode of the prior."""
        ...

    def evaluate(
        self, at: Float[Array, "M P"], rows: Int[Array, " M"]
    ) -> tuple[Float[Array, " M"], Float[Array, "M P"], Float[Array, "M P P"]]:
        """Return value, gradient and Hessian for the data sets `rows`, each at its own point.

        What is returned for a data set must not depend on the others that are asked for.
        """
        ...


class Modes(NamedTuple):
    """The mode of each data set."""

    at: Float[Array, "R P"]
    value: Float[Array, " R"]
    """The log density there."""
    curvature: Float[Array, "R P P"]
    """Minus the Hessian there."""
    covariance: Float[Array, "R P P"]
    """The inverse of it."""
    failed: Bool[Array, " R"]
    """Whether no mode was found: then it is the highest point reached, and the curvature is made positive definite."""


class Grid(NamedTuple):
    """Marginal densities of F linear functionals of R data sets, each on its own nodes."""

    mode: Float[Array, "R F"]
    """The functional at the mode: where the node in the middle lies."""
    unit: Float[Array, "R F"]
    """Its standard deviation by the curvature at the mode."""
    place: Float[Array, "R F K"]
    """Nodes, in units from the mode, increasing from `first` to `last`."""
    height: Float[Array, "R F K"]
    """Log density at the nodes, 0 at the mode."""
    first: Int[Array, "R F"]
    last: Int[Array, "R F"]
    failed: Bool[Array, "R F"]
    """Whether an optimisation on the way did not converge: that side is taken from the normal distribution."""


def find_modes(density: LogDensity) -> Modes:
    """Return the mode of each data set, by Newton's method.

    A step that goes down is halved; where the Hessian is not negative definite, a ridge makes it so. Each data set
    takes as many steps as it needs, whatever the others do.
    """
    start = np.array(density.start(), float)
    replicates, parameters = start.shape
    rows = np.arange(replicates)
    found, base, direction = start.copy(), start.copy(), np.zeros_like(start)
    curvature = np.zeros((replicates, parameters, parameters))
    best, length, state = np.full(replicates, -np.inf), np.ones(replicates), np.zeros(replicates, np.int64)
    for _ in range(MOST_STEPS):
        if not len(rows):
            break
        value, gradient, hessian = density.evaluate(found[rows], rows)
        climb(rows, value, gradient, hessian, found, base, direction, best, length, curvature, state)
        rows = rows[state[rows] == CANDIDATE]
    failed = state != DONE
    found[failed] = base[failed]
    covariance = np.zeros_like(curvature)
    covariances(curvature, failed, covariance)
    return Modes(found, best, curvature, covariance, failed)


def marginals(density: LogDensity, modes: Modes, functionals: Float[Array, "F P"]) -> Grid:
    """Return the marginal densities of linear functionals, none of which is zero.

    From the mode two walkers go to either side, by steps of 0.7 standard deviations, until the density has fallen to
    e^-16 of that at the mode. At each node they begin where the path so far leads, and one or two Newton steps bring
    them to the constrained optimum. A step grows where the density hardly falls and is halved where it falls steeply,
    so that the range suits skewed posteriors.
    """
    replicates, number = len(modes.at), len(functionals)
    functionals = np.ascontiguousarray(functionals, float)
    shape = (replicates, number, 2 * SIDE_NODES + 1)
    grid = Grid(
        np.zeros(shape[:2]),
        np.zeros(shape[:2]),
        np.zeros(shape),
        np.zeros(shape),
        np.full(shape[:2], SIDE_NODES),
        np.full(shape[:2], SIDE_NODES),
        np.zeros(shape[:2], bool),
    )
    walkers = replicates * number * 2
    point = np.zeros((7, walkers, modes.at.shape[1]))
    number_of = np.zeros((9, walkers))
    state = np.zeros(walkers, np.int64)
    set_out(*modes, functionals, *grid, point, number_of, state)
    walking = np.flatnonzero(state == CANDIDATE)
    for _ in range(MOST_EVALUATIONS):
        if not len(walking):
            break
        rows = walking // (2 * number)
        value, gradient, hessian = density.evaluate(point[0][walking], rows)
        step_on(walking, value, gradient, hessian, functionals, *grid, point, number_of, state)
        walking = walking[state[walking] == CANDIDATE]
    return grid


def correlations(functionals: Float[Array, "F P"], covariance: Float[Array, "R P P"]) -> Float[Array, "R F F"]:
    """Return how functionals depend on each other by the curvature at the mode."""
    answer = np.zeros((len(covariance), len(functionals), len(functionals)))
    fill_correlations(np.ascontiguousarray(functionals), np.ascontiguousarray(covariance), answer)
    return answer
