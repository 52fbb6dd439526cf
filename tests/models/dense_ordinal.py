"""Posterior probabilities of the proportional-odds model by brute force: slow, and without Laplace's approximation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import gammaln, ndtri
from scipy.stats import chi2, qmc


def mode_of(density, row):
    """The mode of a log density, by damped Newton steps, and its Hessian there."""
    at, rows = density.start()[[row]], np.array([row])
    value, gradient, hessian = density.evaluate(at, rows)
    for _ in range(200):
        size, axes = np.linalg.eigh(-hessian[0])
        step = axes @ ((axes.T @ gradient[0]) / np.maximum(size, 1e-3))
        length = 1.0
        while length > 1e-6 and density.evaluate(at + length * step, rows)[0][0] < value[0]:
            length /= 2
        at = at + length * step
        value, gradient, hessian = density.evaluate(at, rows)
        if np.abs(gradient).max() < 1e-10:
            break
    return at[0], hessian[0]


def mass_above(density, row, contrast, by=0.0, points=2048, nodes=20, seed=1):
    """P(parameter `contrast` > by): Gauss-Legendre in it, importance sampling in the others at every node.

    The others are proposed from a multivariate Student-t distribution around their mean given the contrast, at
    scrambled Sobol points that are common to all nodes.
    """
    mode, hessian = mode_of(density, row)
    covariance = np.linalg.inv(-hessian)
    others = np.delete(np.arange(len(mode)), contrast)
    slope = covariance[others, contrast] / covariance[contrast, contrast]
    factor = np.linalg.cholesky(np.linalg.inv(-hessian[np.ix_(others, others)])) * 1.1
    df, number = 6, len(others)
    luck = qmc.Sobol(number + 1, scramble=True, rng=seed).random(points)
    normal, scale = ndtri(luck[:, :number]), np.sqrt(df / chi2.ppf(luck[:, number], df))
    u = normal * scale[:, None]
    log_proposal = gammaln((df + number) / 2) - (df + number) / 2 * np.log1p((u**2).sum(axis=1) / df)
    x, weight = leggauss(nodes)
    sd, centre = np.sqrt(covariance[contrast, contrast]), mode[contrast]
    masses = []
    for sign in (1, -1):
        reach = max(10 * sd, abs(centre - by) + 8 * sd)
        edges = by + sign * np.linspace(0, reach, 4)
        mass = 0.0
        for low, high in pairwise(edges):
            value = (low + high) / 2 + (high - low) / 2 * x
            at = np.empty((nodes, points, len(mode)))
            at[..., contrast] = value[:, None]
            at[..., others] = mode[others] + (value - centre)[:, None, None] * slope + u @ factor.T
            flat = at.reshape(-1, len(mode))
            log_density = density.evaluate(flat, np.full(len(flat), row))[0].reshape(nodes, points)
            peak = density.evaluate(mode[None], np.array([row]))[0][0]
            mass += abs(high - low) / 2 * weight @ np.exp(log_density - peak - log_proposal).mean(axis=1)
        masses.append(mass)
    return masses[0] / sum(masses)
