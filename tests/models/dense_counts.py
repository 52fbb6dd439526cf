"""The posterior of negative binomial rates on dense grids: plain numpy, slow, one data set at a time.

The twin of the compiled fit: another parametrisation (sizes 1/dispersion and logarithms of gamma functions), grids of
hundreds of points that are the same for all arms, and Simpson's rule.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.integrate import cumulative_simpson
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

Array = np.ndarray


class Data(NamedTuple):
    """The diaries of one trial."""

    arm: Array
    weeks: Array
    count: Array


class Dense(NamedTuple):
    """Densities of the log rates on a grid, given each of many log dispersions."""

    weight: Array
    rate: Array
    density: Array
    """[dispersions, arms, rates]"""
    below: Array

    def above(self, value: float) -> Array:
        """P(log rate > value) of each arm."""
        at = [[float(CubicSpline(self.rate, one)(value)) for one in of_node] for of_node in self.below]
        return 1 - self.weight @ np.array(at)

    def better(self, arm: int, than: int, by: float = 0.0) -> float:
        """P(log rate of an arm > that of another + by)."""
        inside = np.clip(self.rate - by, self.rate[0], self.rate[-1])
        below = self.below[:, than] if by == 0 else CubicSpline(self.rate, self.below[:, than], axis=1)(inside)
        step = self.rate[1] - self.rate[0]
        return float(self.weight @ ((self.density[:, arm] * below).sum(axis=1) * step))

    def best(self) -> Array:
        """P(an arm has the highest rate)."""
        step = self.rate[1] - self.rate[0]
        arms = range(self.density.shape[1])
        each = [self.density[:, a] * np.prod([self.below[:, j] for j in arms if j != a], axis=0) for a in arms]
        return np.array([self.weight @ (one.sum(axis=1) * step) for one in each])

    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation of each arm."""
        step = self.rate[1] - self.rate[0]
        mean = self.weight @ (self.density @ self.rate) * step
        square = self.weight @ (self.density @ self.rate**2) * step
        return mean, np.sqrt(square - mean**2)


def log_likelihood(data: Data, arms: int, rate: Array, log_dispersion: Array) -> Array:
    """Log likelihood by [dispersion, arm, rate]; what only the dispersion changes stands with the first arm."""
    total = np.zeros((len(log_dispersion), arms, len(rate)))
    size = np.exp(-log_dispersion)[:, None]
    for a in range(arms):
        t, y = data.weeks[data.arm == a], data.count[data.arm == a]
        constant = gammaln(y + size) - gammaln(size) - gammaln(y + 1)
        total[:, 0] += constant.sum(axis=1)[:, None]
        for weeks in np.unique(t):
            mean, patients, events = weeks * np.exp(rate), (t == weeks).sum(), y[t == weeks].sum()
            total[:, a] += patients * size * np.log(size / (size + mean)) + events * np.log(mean / (size + mean))
    return total


def dense(
    data: Data,
    arms: int,
    rate_prior: tuple[float, float],
    dispersion_prior: tuple[float, float],
    n_rates: int = 600,
    n_dispersions: int = 100,
) -> Dense:
    """The posterior on grids that reach as far as it does; priors are means and standard deviations of logarithms."""
    rate = np.linspace(rate_prior[0] - 8 * rate_prior[1], rate_prior[0] + 8 * rate_prior[1], 301)
    log_dispersion = np.linspace(
        dispersion_prior[0] - 7 * dispersion_prior[1], dispersion_prior[0] + 7 * dispersion_prior[1], 101
    )
    for fine in (False, True):  # a first look over all, and a second where it matters
        prior = stats.norm.logpdf(rate, *rate_prior)
        joint = log_likelihood(data, arms, rate, log_dispersion) + prior
        top = joint.max(axis=2, keepdims=True)
        density = np.exp(joint - top)
        step = rate[1] - rate[0]
        whole = density.sum(axis=2) * step
        log_weight = stats.norm.logpdf(log_dispersion, *dispersion_prior) + (top[:, :, 0] + np.log(whole)).sum(axis=1)
        weight = np.exp(log_weight - log_weight.max())
        if fine:
            density = density / whole[:, :, None]
            below = cumulative_simpson(density, dx=step, initial=0, axis=2)
            return Dense(weight / weight.sum(), rate, density, below)
        matters = np.flatnonzero(log_weight > log_weight.max() - 32)
        seen = np.flatnonzero((joint[matters] - top[matters] > -40).any(axis=(0, 1)))
        log_dispersion = np.linspace(
            log_dispersion[max(matters[0] - 1, 0)], log_dispersion[min(matters[-1] + 1, 100)], n_dispersions
        )
        rate = np.linspace(rate[max(seen[0] - 1, 0)], rate[min(seen[-1] + 1, 300)], n_rates)
    raise AssertionError


def dense_adjusted(
    data: Data,
    column: Array,
    rate_prior: tuple[float, float],
    dispersion_prior: tuple[float, float],
    slope_sd: float,
    points: tuple[int, int, int] = (400, 60, 60),
) -> Dense:
    """The posterior for two arms and one covariate whose slope is integrated too; the nodes are pairs of both.

    A patient with the value z of the covariate and slope b is like one who keeps the diary e^(bz) times as long.
    """
    n_rates, n_dispersions, n_slopes = points
    slope = np.linspace(-6 * slope_sd, 6 * slope_sd, 61)
    rate = np.linspace(rate_prior[0] - 8 * rate_prior[1], rate_prior[0] + 8 * rate_prior[1], 161)
    log_dispersion = np.linspace(
        dispersion_prior[0] - 7 * dispersion_prior[1], dispersion_prior[0] + 7 * dispersion_prior[1], 61
    )
    for fine in (False, True):
        step = rate[1] - rate[0]
        tops, wholes, densities, constants = [], [], [], []
        for b in slope:
            stretched = data._replace(weeks=data.weeks * np.exp(b * column))
            joint = log_likelihood(stretched, 2, rate, log_dispersion) + stats.norm.logpdf(rate, *rate_prior)
            top = joint.max(axis=2, keepdims=True)
            density = np.exp(joint - top)
            tops.append(top)
            wholes.append(density.sum(axis=2) * step)
            densities.append(density if fine else joint - top)
            constants.append(stats.norm.logpdf(b, 0, slope_sd))
        log_weight = (np.array(tops)[..., 0] + np.log(np.array(wholes))).sum(axis=2) + np.array(constants)[:, None]
        log_weight += stats.norm.logpdf(log_dispersion, *dispersion_prior)
        weight = np.exp(log_weight - log_weight.max())
        if fine:
            density = (np.array(densities) / np.array(wholes)[..., None]).reshape(-1, 2, len(rate))
            below = cumulative_simpson(density, dx=step, initial=0, axis=2)
            return Dense(weight.ravel() / weight.sum(), rate, density, below)
        matters = log_weight > log_weight.max() - 28
        slopes, dispersions = (np.flatnonzero(matters.any(axis=axis)) for axis in (1, 0))
        rates = np.flatnonzero((np.array(densities)[matters] > -34).any(axis=(0, 1)))
        slope, log_dispersion, rate = (
            np.linspace(grid[max(seen[0] - 1, 0)], grid[min(seen[-1] + 1, len(grid) - 1)], number)
            for grid, seen, number in (
                (slope, slopes, n_slopes),
                (log_dispersion, dispersions, n_dispersions),
                (rate, rates, n_rates),
            )
        )
    raise AssertionError
