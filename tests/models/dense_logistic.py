"""Logistic regression with one covariate by dense quadrature: given its coefficient, the arms are independent."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit

STEP = 0.1
"""Distance of the values of a log odds."""


def data(generator, patients, effect, replicates):
    """Two arms, a standard normal covariate, a log odds of -1 on the control and `effect` more on the other arm."""
    arm = generator.integers(0, 2, (replicates, patients))
    x = generator.normal(size=arm.shape)
    event = (generator.random(arm.shape) < expit(-1 + effect * arm + 0.5 * x)).astype(float)
    return arm, x, event


def joint(arm, x, event, sd=2.5, arms=2):
    """Densities of the log odds of the arms and of the coefficient, on their values; [A, C, T], values, weights."""
    node, weight = np.polynomial.legendre.leggauss(96)
    coefficient, weight = 5 * sd * node, 5 * sd * weight
    value = np.arange(-8 * sd, 8 * sd + STEP / 2, STEP)
    of_arm = []
    for a in range(arms):
        mine = arm == a
        eta = value[None, :, None] + coefficient[:, None, None] * x[mine]
        of_arm.append(log_expit(np.where(event[mine] == 1, eta, -eta)).sum(axis=2) - value**2 / (2 * sd**2))
    top = [each.max() for each in of_arm]
    density = np.exp(np.stack([each - high for each, high in zip(of_arm, top, strict=True)]))
    return density, value, coefficient, weight * np.exp(-(coefficient**2) / (2 * sd**2))


def prob_better(arm, x, event, by=0.0, sd=2.5):
    """P(log odds of arm 1 - log odds of arm 0 > by), and mean and standard deviation of the difference."""
    (control, other), value, _, weight = joint(arm, x, event, sd)
    # From each value on: the trapezoidal rule with its first correction, h² f' / 12.
    slope = np.gradient(other, STEP, axis=1)
    beyond = STEP * (other[:, ::-1].cumsum(axis=1)[:, ::-1] - other / 2) + STEP**2 / 12 * slope
    if by:
        shift = round(by / STEP)
        assert abs(shift * STEP - by) < 1e-12
        beyond = np.stack([np.interp(value + by, value, each) for each in beyond])
    mass = control.sum(axis=1) * other.sum(axis=1)
    better = (control * beyond).sum(axis=1) / STEP
    mean = [(each * value).sum(axis=1) / each.sum(axis=1) for each in (control, other)]
    square = [(each * value**2).sum(axis=1) / each.sum(axis=1) for each in (control, other)]
    gap = mean[1] - mean[0]
    second = square[1] + square[0] - 2 * mean[0] * mean[1]
    total = (weight * mass).sum()
    middle = (weight * mass * gap).sum() / total
    spread = np.sqrt((weight * mass * second).sum() / total - middle**2)
    return (weight * better).sum() / total, middle, spread


def prob_best(arm, x, event, arms, sd=2.5):
    """P(arm is the best)."""
    density, _, _, weight = joint(arm, x, event, sd, arms)
    slope = np.gradient(density, STEP, axis=2)
    below = STEP * (density.cumsum(axis=2) - density / 2) - STEP**2 / 12 * slope
    chance = []
    for a in range(arms):
        others = np.prod([below[b] for b in range(arms) if b != a], axis=0)
        chance.append((weight * (density[a] * others).sum(axis=1)).sum())
    return np.array(chance) / np.sum(chance)
