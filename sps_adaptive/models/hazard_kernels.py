"""Compiled loops of the analyses of hazards: the posterior of what all arms share, with the arms summed out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

STEPS = 60
"""Newton steps at most."""

ENOUGH = 1e-9
"""A gain of the log density that is none: the search has come to its end."""

LONGEST = 2.0
"""Longest step of a parameter: they are all logarithms, or near them."""

MOST_RIDGE = 1e12
"""Where no multiple of the prior's curvature makes the curvature positive, it is not a number."""

HIGHEST = 600.0
"""Largest logarithm of an exposure: beyond it a node has no weight."""


@compiled
def evaluate(
    arm: Int[Array, " M"],
    log_base: Float[Array, " M"],
    log_time: Float[Array, " M"],
    events: Float[Array, " M"],
    design: Float[Array, "M L"],
    shape: Float[Array, " A"],
    rate: Float[Array, " A"],
    has_power: bool,
    centre: Float[Array, " P"],
    width: Float[Array, " P"],
    at: Float[Array, " P"],
    log_rate: Float[Array, " A"],
    gradient: Float[Array, " P"],
    curvature: Float[Array, "P P"],
    derivatives: bool,
) -> float:
    r"""Return the log density of the shared parameters, with the hazards of the arms summed out.

    Row i of arm a has the exposure :math:`E_i = e^{b_i + z_i'\gamma}`, and with a power k (the log of which is the last
    parameter) :math:`E_i = e^{b_i + z_i'\gamma + k \tau_i - 1} / k` with the log time :math:`\tau_i`. With prior
    :math:`\mathrm{Gamma}(\cdot, \beta_{a})` and the posterior shape :math:`\alpha_a` the hazard of arm a leaves
    :math:`-\alpha_a \log(\beta_a + \sum_i E_i)`. Fills the logarithms of these rates, and where asked for gradient
    and (negative) curvature.
    """
    parameters, arms, linear = len(at), len(shape), design.shape[1]
    power = math.exp(at[linear]) if has_power else 1.0
    value = 0.0
    total = rate.copy()
    first = np.zeros((arms, parameters))
    second = np.zeros((arms, parameters, parameters))
    slope = np.zeros(parameters)
    for p in range(parameters):
        value -= 0.5 * ((at[p] - centre[p]) / width[p]) ** 2
        if derivatives:
            gradient[p] = -(at[p] - centre[p]) / width[p] ** 2
            for other in range(parameters):
                curvature[p, other] = 0.0
            curvature[p, p] = 1 / width[p] ** 2
    for i in range(len(arm)):
        a = arm[i]
        if a < 0:
            continue
        score = log_base[i]
        for p in range(linear):
            score += design[i, p] * at[p]
            slope[p] = design[i, p]
        bend = 0.0
        if has_power:
            score += power * log_time[i] - 1 - at[linear]
            bend = power * log_time[i]
            slope[linear] = bend - 1
        exposure = math.exp(min(score, HIGHEST))
        total[a] += exposure
        if events[i] > 0:
            for p in range(linear):
                value += events[i] * design[i, p] * at[p]
            if has_power:
                value += events[i] * (power - 1) * log_time[i]
        if derivatives:
            for p in range(parameters):
                if events[i] > 0:
                    gradient[p] += events[i] * (bend if has_power and p == linear else slope[p])
                first[a, p] += exposure * slope[p]
                for other in range(parameters):
                    second[a, p, other] += exposure * slope[p] * slope[other]
            if has_power:
                second[a, linear, linear] += exposure * bend
                curvature[linear, linear] -= events[i] * bend
    for a in range(arms):
        log_rate[a] = math.log(total[a])
        value -= shape[a] * log_rate[a]
        if derivatives:
            for p in range(parameters):
                share = first[a, p] / total[a]
                gradient[p] -= shape[a] * share
                for other in range(parameters):
                    product = share * first[a, other] / total[a]
                    curvature[p, other] += shape[a] * (second[a, p, other] / total[a] - product)
    return value


@compiled
def factorise(matrix: Float[Array, "P P"], lower: Float[Array, "P P"]) -> bool:
    """Fill the Cholesky factor; return whether there is one."""
    parameters = len(matrix)
    for p in range(parameters):
        for other in range(p + 1):
            left = matrix[p, other]
            for k in range(other):
                left -= lower[p, k] * lower[other, k]
            if p == other:
                if not left > 1e-12 * abs(matrix[p, p]):
                    return False
                lower[p, p] = math.sqrt(left)
            else:
                lower[p, other] = left / lower[other, other]
                lower[other, p] = 0.0
    return True


@compiled
def solve_up(lower: Float[Array, "P P"], given: Float[Array, " P"]) -> None:
    """Solve L' x = given, in place."""
    parameters = len(given)
    for p in range(parameters - 1, -1, -1):
        for k in range(p + 1, parameters):
            given[p] -= lower[k, p] * given[k]
        given[p] /= lower[p, p]


@compiled
def solve_down(lower: Float[Array, "P P"], given: Float[Array, " P"]) -> None:
    """Solve L x = given, in place."""
    for p in range(len(given)):
        for k in range(p):
            given[p] -= lower[p, k] * given[k]
        given[p] /= lower[p, p]


@compiled
def place(
    arm: Int[Array, "R M"],
    log_base: Float[Array, "R M"],
    log_time: Float[Array, "R M"],
    events: Float[Array, "R M"],
    design: Float[Array, "R M L"],
    shape: Float[Array, "R A"],
    rate: Float[Array, " A"],
    has_power: bool,
    centre: Float[Array, " P"],
    width: Float[Array, " P"],
    standard: Float[Array, "Q P"],
    log_weight: Float[Array, " Q"],
    rounds: int,
    log_rate: Float[Array, "R Q A"],
    weight: Float[Array, "R Q"],
    failed: Bool[Array, " R"],
) -> None:
    r"""Fill the log rates of the arms at nodes of the shared parameters, and the weights of the nodes.

    Newton's method finds the mode, steps being halved while the log density falls; the nodes z of a rule for standard
    normal variables stand at mode + C z, where :math:`C C'` is the inverse of the curvature. `rounds` more times they
    are placed at the mean, with the covariance, that the nodes before have found (Naylor and Smith 1982). A replicate
    in which Newton's method does not come to its end keeps the last step and is marked.
    """
    nodes, parameters = standard.shape
    for r in range(len(arm)):
        data = arm[r], log_base[r], log_time[r], events[r], design[r], shape[r], rate, has_power, centre, width
        at, gradient, curvature = centre.copy(), np.zeros(parameters), np.zeros((parameters, parameters))
        lower, upper = np.zeros((parameters, parameters)), np.zeros((parameters, parameters))
        scratch = np.zeros(len(rate))
        value = evaluate(*data, at, scratch, gradient, curvature, True)
        failed[r] = True
        for _ in range(STEPS):
            ridge = 0.0
            while not factorise(curvature, lower) and ridge < MOST_RIDGE:
                ridge = 10 * ridge + 1e-3
                for p in range(parameters):
                    curvature[p, p] += ridge / width[p] ** 2
            if ridge >= MOST_RIDGE:
                break
            step = gradient.copy()
            solve_down(lower, step)
            solve_up(lower, step)
            longest = 0.0
            for p in range(parameters):
                longest = max(longest, abs(step[p]))
            length = 1.0 if longest <= LONGEST else LONGEST / longest
            new = evaluate(*data, at + length * step, scratch, gradient, curvature, False)
            while not new >= value - ENOUGH and length > 1e-9:
                length /= 2
                new = evaluate(*data, at + length * step, scratch, gradient, curvature, False)
            if not new >= value - ENOUGH:
                break
            gain, at = new - value, at + length * step
            value = evaluate(*data, at, scratch, gradient, curvature, True)
            if abs(gain) < ENOUGH and ridge == 0.0:
                failed[r] = False
                break
        if not factorise(curvature, lower):  # the prior's curvature about the last step
            failed[r] = True
            for p in range(parameters):
                for other in range(parameters):
                    lower[p, other] = 1 / width[p] if p == other else 0.0
        # The columns of L'^-1 spread standard nodes as the curvature says.
        for p in range(parameters):
            column = np.zeros(parameters)
            column[p] = 1.0
            solve_up(lower, column)
            upper[:, p] = column
        middle = at.copy()
        for turn in range(rounds + 1):
            top = -np.inf
            for q in range(nodes):
                move = np.zeros(parameters)
                for p in range(parameters):
                    for k in range(parameters):
                        move[p] += upper[p, k] * standard[q, k]
                found = evaluate(*data, middle + move, log_rate[r, q], gradient, curvature, False)
                for p in range(parameters):
                    found += 0.5 * standard[q, p] ** 2
                weight[r, q] = found + log_weight[q]
                top = max(top, weight[r, q])
            total = 0.0
            for q in range(nodes):
                weight[r, q] = math.exp(weight[r, q] - top)
                total += weight[r, q]
            for q in range(nodes):
                weight[r, q] /= total
            if turn < rounds:
                mean, spread = np.zeros(parameters), np.zeros((parameters, parameters))
                for q in range(nodes):
                    for p in range(parameters):
                        mean[p] += weight[r, q] * standard[q, p]
                for q in range(nodes):
                    for p in range(parameters):
                        for k in range(parameters):
                            spread[p, k] += weight[r, q] * (standard[q, p] - mean[p]) * (standard[q, k] - mean[k])
                if not factorise(spread, lower):
                    break
                moved, wider = np.zeros(parameters), np.zeros((parameters, parameters))
                for p in range(parameters):
                    for k in range(parameters):
                        moved[p] += upper[p, k] * mean[k]
                        for m in range(k, parameters):
                            wider[p, k] += upper[p, m] * lower[m, k]
                middle = middle + moved
                upper = wider
