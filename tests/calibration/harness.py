"""Simulation-based calibration: is the posterior probability of the truth uniform over the prior?

If truths come from the prior of a model, and data from the truths, then the posterior distribution function of any
quantity, read at its true value, is uniform (Cook, Gelman and Rubin 2006; Talts et al. 2018), whatever the number of
patients. An analysis that is too sure, too vague or off to one side is not, and neither is one whose integrals or
approximations are wrong. Here the quantity is the difference of each arm from the control, read by the one question
that every rule of a trial asks: P(arm - control > by).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln
from scipy.stats import binom, chisquare, kstest

from sps_adaptive.contracts import AnalysisModel, Snapshot

ALPHA = 1e-4
"""How often a right analysis is called wrong."""

BINS = 20

Simulate = Callable[[np.random.Generator, int, int], tuple[np.ndarray, Snapshot]]
"""(generator, trials, patients) to (oriented true value of each arm in each trial [R, A], the trials as a look)."""


class Case(NamedTuple):
    """A model of given arms, and trials whose truths come from its prior."""

    model: AnalysisModel
    simulate: Simulate
    control: int = 0


class Calibration(NamedTuple):
    """What is found for the difference of one arm from the control."""

    u: np.ndarray
    """The posterior distribution function at the truth, in each trial."""
    outside: float
    """The farthest that the empirical distribution function lies outside its simultaneous band; 0: it lies within."""
    p_distance: float
    """P value of Kolmogorov and Smirnov."""
    p_bins: float
    """P value of chi-square over equal bins, which sees what differs at the ends."""
    in_95: float
    """Share of central 95% intervals that hold the truth."""

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the analysis."""
        return self.outside == 0 and min(self.p_distance, self.p_bins) > ALPHA


def sbc(case: Case, patients: int, trials: int, seed: int) -> dict[int, Calibration]:
    """Return the calibration of the difference of each arm from the control.

    The trials are fitted one by one: only then is the true difference one number, as a posterior is asked for.
    """
    truth, seen = case.simulate(np.random.default_rng(seed), trials, patients)
    gap = truth - truth[:, [case.control]]
    u = np.empty(truth.shape)
    for trial in range(trials):
        posterior = case.model.fit(one(seen, trial))
        for arm in range(truth.shape[1]):
            if arm != case.control:
                u[trial, arm] = 1 - posterior.prob_better(case.control, float(gap[trial, arm]))[0, arm]
    return {arm: judged(u[:, arm]) for arm in range(truth.shape[1]) if arm != case.control}


def judged(u: np.ndarray) -> Calibration:
    """Return what tells whether numbers between 0 and 1 are uniform."""
    assert np.isfinite(u).all()
    lower, upper = band(len(u))
    points = np.arange(1, BINS * 2) / (BINS * 2)
    count = (u[:, None] <= points).sum(axis=0)
    bins = np.histogram(u, BINS, (0, 1))[0]
    return Calibration(
        u=u,
        outside=float(np.maximum(np.maximum(lower - count, count - upper), 0).max() / len(u)),
        p_distance=float(kstest(u, "uniform").pvalue),
        p_bins=float(chisquare(bins).pvalue),
        in_95=float((np.abs(u - 0.5) <= 0.475).mean()),
    )


def one(seen: Any, trial: int) -> Snapshot:
    """Return a single trial of a look."""
    return seen._replace(**{name: field[[trial]] for name, field in seen._asdict().items() if field is not None})


@lru_cache(maxsize=8)
def band(number: int, alpha: float = ALPHA) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest number of uniforms below each point that are within the band.

    All points together hold with probability 1 - alpha: pointwise binomial intervals, whose level is found by bisection
    on the exact probability that the whole path stays within (Säilynoja, Bürkner and Vehtari 2022, section 2).
    """
    points = np.arange(1, BINS * 2) / (BINS * 2)
    low, high = np.log(alpha / len(points) / 10), np.log(alpha)
    for _ in range(18):
        level = (low + high) / 2
        if within(number, points, *limits(number, points, np.exp(level))) < 1 - alpha:
            high = level
        else:
            low = level
    return limits(number, points, np.exp(low))


def limits(number: int, points: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return pointwise binomial limits."""
    return binom.ppf(level / 2, number, points), binom.isf(level / 2, number, points)


def within(number: int, points: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Return the probability that at every point the number of uniforms below it is within its limits."""
    log_factorial = gammaln(np.arange(number + 2) + 1)
    count, chance, before = np.zeros(1, int), np.ones(1), 0.0
    for point, least, most in zip(points, lower, upper, strict=True):
        share = (point - before) / (1 - before)
        after = np.arange(int(least), int(most) + 1)
        more, left = after - count[:, None], number - count[:, None]
        possible = (more >= 0) & (more <= left)
        more = np.where(possible, more, 0)
        ways = log_factorial[left] - log_factorial[more] - log_factorial[left - more]
        step = np.exp(ways + more * np.log(share) + (left - more) * np.log1p(-share))
        count, chance, before = after, chance @ np.where(possible, step, 0.0), point
    return float(chance.sum())
