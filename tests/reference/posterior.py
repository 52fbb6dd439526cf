"""Posteriors of one trial at a time, by adaptive quadrature of textbook densities: slow and independent.

Nothing here is taken from `sps_adaptive.models` or `sps_adaptive.posteriors` but the meaning of the priors, as their
fields state it. `engine_fit` is the second mode: the engine's own posterior, to tell a disagreement about
numbers from one about the protocol.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.special import betainc, betaln, gammainccinv, gammaincinv, gammaln, ndtr, stdtr

from sps_adaptive.contracts import Snapshot
from tests.reference.simulator import Belief, Fit, Known

QUAD = {"epsabs": 1e-12, "epsrel": 1e-10, "limit": 400}


def fit_of(scenario: Any) -> Fit:
    """The analysis of a scenario."""
    name = next(iter(scenario.endpoints))
    endpoint, model = scenario.endpoints[name], scenario.analysis[name]
    kinds = {"beta_binomial": beta_fit, "normal": normal_fit, "ancova": ancova_fit}
    return kinds[model.kind](model, list(scenario.arms), endpoint)


# ------------------------------------------------------------------------------------------------ beta


class Beta:
    """Independent Beta posteriors, oriented."""

    def __init__(self, parameters: Sequence[tuple[float, float]]) -> None:
        self.parameters = list(parameters)

    def mean(self) -> list[float]:
        return [a / (a + b) for a, b in self.parameters]

    def better(self, arm: int, than: int, by: float) -> float:
        return beta_better(self.parameters[arm], self.parameters[than], by)

    def best(self, among: list[int]) -> dict[int, float]:
        return {
            arm: beta_best(self.parameters[arm], tuple(sorted(self.parameters[a] for a in among if a != arm)))
            for arm in among
        }


@cache
def beta_better(one: tuple[float, float], other: tuple[float, float], by: float) -> float:
    """P(one > other + by): the integral of other's density times one's upper tail."""
    if abs(by) >= 1:
        return float(by < 0)

    def upper_tail(x: float, complement: float) -> float:
        if x + by <= 0:
            return 1.0
        if complement - by <= 0:
            return 0.0
        return betainc(one[1], one[0], complement - by)

    return beta_expectation(upper_tail, other, [-by, 1 - by])


@cache
def beta_best(one: tuple[float, float], others: tuple[tuple[float, float], ...]) -> float:
    """P(one > all others)."""
    return beta_expectation(lambda x, _: math.prod(betainc(a, b, x) for a, b in others), one, [])


def beta_expectation(function: Any, parameters: tuple[float, float], breaks: list[float]) -> float:
    """E f(x, 1 - x) of a Beta variable, with x = sin² t, which leaves no singular end from parameters 1/2 on."""
    a, b = parameters
    constant = math.log(2) - betaln(a, b)

    def integrand(t: float) -> float:
        s, c = math.sin(t), math.cos(t)
        return math.exp(constant + (2 * a - 1) * math.log(s) + (2 * b - 1) * math.log(c)) * function(s * s, c * c)

    centre = math.asin(math.sqrt(a / (a + b)))
    points = {centre, *(math.asin(math.sqrt(x)) for x in breaks if 0 < x < 1)}
    value, error = quad(integrand, 0, math.pi / 2, points=sorted(points), **QUAD)
    if error > 1e-9:
        raise ArithmeticError(f"quadrature error {error}")
    return float(value)


def beta_fit(model: Any, arms: list[str], endpoint: Any) -> Fit:
    """Prior + number of good and other outcomes; the prior is about the event as the file states it."""
    priors = []
    for name in arms:
        prior = (getattr(model, "arm_priors", None) or {}).get(name, model.prior)
        priors.append((prior.alpha, prior.beta) if endpoint.better == "higher" else (prior.beta, prior.alpha))

    def fit(known: list[Known], n_arms: int) -> Belief:
        parameters = []
        for arm in range(n_arms):
            good = [outcome.value for outcome in known if outcome.arm == arm]
            parameters.append((priors[arm][0] + sum(good), priors[arm][1] + len(good) - sum(good)))
        return Beta(parameters)

    return fit


# -------------------------------------------------------------------------------- independent Student-t


class Students:
    """Independent Student-t posteriors; infinite degrees of freedom: normal."""

    def __init__(self, location: list[float], scale: list[float], df: list[float]) -> None:
        self.location, self.scale, self.df = location, scale, df
        self.known_best: dict[tuple[int, ...], dict[int, float]] = {}

    def mean(self) -> list[float]:
        return list(self.location)

    def better(self, arm: int, than: int, by: float) -> float:
        return self._expectation(lambda x: 1 - self._cdf(arm, x + by), than, [arm])

    def best(self, among: list[int]) -> dict[int, float]:
        if tuple(among) in self.known_best:
            return self.known_best[tuple(among)]
        answer = self.known_best[tuple(among)] = {}
        for arm in among:
            others = [a for a in among if a != arm]
            answer[arm] = self._expectation(
                lambda x, others=others: math.prod(self._cdf(a, x) for a in others), arm, others
            )
        return answer

    def _cdf(self, arm: int, x: float) -> float:
        z = (x - self.location[arm]) / self.scale[arm]
        return float(ndtr(z) if math.isinf(self.df[arm]) else stdtr(self.df[arm], z))

    def _expectation(self, function: Any, arm: int, others: list[int]) -> float:
        """E f(theta), with theta = location + scale sinh y: the tails become exponential."""
        df = self.df[arm]
        if math.isinf(df):
            constant = -0.5 * math.log(2 * math.pi)
        else:
            constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * math.log(df * math.pi)

        def integrand(y: float) -> float:
            z = math.sinh(y)
            log_density = -z * z / 2 if math.isinf(df) else -(df + 1) / 2 * math.log1p(z * z / df)
            return math.exp(constant + log_density) * math.cosh(y) * function(self.location[arm] + self.scale[arm] * z)

        end = 4.0 if math.isinf(df) else min(math.asinh(math.sqrt(df) * 1e12 ** (1 / df)), 40.0)
        steps = [self.location[a] + k * self.scale[a] for a in others for k in (-8, 0, 8)]  # a narrow arm is a step
        where = {0.0, *(math.asinh((x - self.location[arm]) / self.scale[arm]) for x in steps)}
        points = sorted(y for y in where if -end < y < end)
        value, error = quad(integrand, -end, end, points=points, **QUAD)
        if error > 1e-9:
            raise ArithmeticError(f"quadrature error {error}")
        return float(value)


# ------------------------------------------------------------------------------------- joint Student-t


class Joint:
    """Arm means that are jointly Student-t: one variance, and perhaps one slope, for all.

    Given the variance and the slope the arms are independent. So `best` is an integral over the variance
    (Gauss-Legendre in its square root), the slope and the arm (trapezoids), on a grid that is fine enough for
    1e-9; the grid of all three is computed for each arm, which is why this is no way to simulate.
    """

    def __init__(self, mean: np.ndarray, own: np.ndarray, lever: np.ndarray, spread: float, df: float) -> None:
        """`own`: variances given the slope; `lever`: shift with one standard deviation of the slope; times spread²."""
        self.location, self.own, self.lever, self.spread, self.df = mean, own, lever, spread, df
        self.known_best: dict[tuple[int, ...], dict[int, float]] = {}

    def mean(self) -> list[float]:
        return [float(m) for m in self.location]

    def better(self, arm: int, than: int, by: float) -> float:
        variance = self.own[arm] + self.own[than] + (self.lever[arm] - self.lever[than]) ** 2
        z = (self.location[arm] - self.location[than] - by) / (self.spread * math.sqrt(variance))
        return float(ndtr(z) if math.isinf(self.df) else stdtr(self.df, z))

    def best(self, among: list[int]) -> dict[int, float]:
        if len(among) == 1:
            return {among[0]: 1.0}
        if len(among) == 2:
            one, other = among
            return {one: self.better(one, other, 0.0), other: self.better(other, one, 0.0)}
        if tuple(among) not in self.known_best:
            best = {arm: self._best(arm, [a for a in among if a != arm]) for arm in among}
            self.known_best[tuple(among)] = best
        return self.known_best[tuple(among)]

    def _best(self, arm: int, others: list[int]) -> float:
        root, root_weight = self._root_of_chi_square()
        own = np.sqrt(self.own[others])
        gap = (self.location[arm] - self.location[others]) / (self.spread * own)
        tilt, reach = (self.lever[arm] - self.lever[others]) / own, np.sqrt(self.own[arm]) / own
        slope, slope_weight = normal_grid(tilt)
        luck, luck_weight = normal_grid(reach)
        product = np.ones((len(root), len(slope), len(luck)))
        for j in range(len(others)):
            product *= ndtr(gap[j] * root[:, None, None] + tilt[j] * slope[:, None] + reach[j] * luck)
        return float(np.einsum("ijk,i,j,k", product, root_weight, slope_weight, luck_weight))

    def _root_of_chi_square(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights for sqrt(chi² / df)."""
        df = self.df
        if math.isinf(df):
            return np.ones(1), np.ones(1)
        low, high = math.sqrt(2 * gammaincinv(df / 2, 1e-13)), math.sqrt(2 * gammainccinv(df / 2, 1e-13))
        node, weight = np.polynomial.legendre.leggauss(48)
        chi = low + (high - low) * (node + 1) / 2
        log_density = (df - 1) * np.log(chi) - chi**2 / 2 - (df / 2 - 1) * math.log(2) - gammaln(df / 2)
        return chi / math.sqrt(df), weight * (high - low) / 2 * np.exp(log_density)


def normal_grid(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid nodes and weights of a standard normal, for products of normal cdfs with these slopes."""
    if not slopes.any():
        return np.zeros(1), np.ones(1)
    step = 0.8 / math.sqrt(1 + float((slopes**2).sum()))
    z = step * np.arange(-math.ceil(7.5 / step), math.ceil(7.5 / step) + 1)
    return z, step * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def oriented_priors(model: Any, arms: list[str], endpoint: Any) -> tuple[list[float], list[float]]:
    """Means, larger is better, and patients they are worth."""
    sign = 1.0 if endpoint.better == "higher" else -1.0
    priors = [(model.arm_priors or {}).get(name, model.prior) for name in arms]
    return [sign * prior.mean for prior in priors], [float(prior.patients) for prior in priors]


def plug_in_fit(known: list[Known], n_arms: int) -> Belief:
    """Normal posteriors with the observed standard deviation over the root of n - 1; hardly any where n < 2."""
    everything = [outcome.value for outcome in known]
    location, scale = [], []
    for arm in range(n_arms):
        y = [outcome.value for outcome in known if outcome.arm == arm]
        if len(y) < 2:
            location.append(statistics.fmean(everything))
            scale.append(1000 * (max(everything) - min(everything)))
        else:
            location.append(statistics.fmean(y))
            scale.append(statistics.stdev(y) / math.sqrt(len(y) - 1))
    return Students(location, scale, [math.inf] * n_arms)


def normal_fit(model: Any, arms: list[str], endpoint: Any) -> Fit:
    """Arm means without a covariate; every arm must have a proper posterior."""
    prior_mean, prior_patients = oriented_priors(model, arms, endpoint)
    if model.variance == "plug_in":
        return plug_in_fit

    def fit(known: list[Known], n_arms: int) -> Belief:
        location, own, squares, counts = [], [], [], []
        for arm in range(n_arms):
            y = [outcome.value for outcome in known if outcome.arm == arm]
            m, kappa, n = prior_mean[arm], prior_patients[arm], len(y)
            if kappa + n == 0:
                raise ArithmeticError("an arm of which nothing is known")
            average = math.fsum(y) / n if n else 0.0
            location.append((kappa * m + math.fsum(y)) / (kappa + n))
            own.append(1 / (kappa + n))
            about = math.fsum((value - average) ** 2 for value in y)
            squares.append(about + kappa * n / (kappa + n) * (average - m) ** 2)
            counts.append(n - (kappa == 0))
        if model.variance == "known":
            return Students(location, [model.sd * math.sqrt(v) for v in own], [math.inf] * n_arms)
        guess = model.sd_patients * model.sd**2
        if model.variance == "common":
            df = model.sd_patients + sum(counts)
            spread = math.sqrt((guess + math.fsum(squares)) / df)
            return Joint(np.array(location), np.array(own), np.zeros(n_arms), spread, df)
        dfs = [model.sd_patients + n for n in counts]
        scales = [math.sqrt((guess + s) / df * v) for s, df, v in zip(squares, dfs, own, strict=True)]
        return Students(location, scales, dfs)

    return fit


def ancova_fit(model: Any, arms: list[str], endpoint: Any) -> Fit:
    """Arm means and a slope, by the normal equations; every arm must have a proper posterior."""
    prior_mean, prior_patients = oriented_priors(model, arms, endpoint)
    sign = 1.0 if endpoint.better == "higher" else -1.0
    centre = np.array([*prior_mean, sign * model.slope.mean])
    precision0 = np.diag([*prior_patients, float(model.slope.patients)])
    flat = sum(patients == 0 for patients in prior_patients)

    def fit(known: list[Known], n_arms: int) -> Belief:
        x = np.zeros((len(known), n_arms + 1))
        y = np.array([outcome.value for outcome in known])
        for row, outcome in enumerate(known):
            x[row, outcome.arm] = 1.0
            x[row, -1] = outcome.covariate
        precision = precision0 + x.T @ x
        solution = np.linalg.solve(precision, precision0 @ centre + x.T @ y)
        residual, moved = y - x @ solution, solution - centre
        df = model.sd_patients + len(known) - flat
        squares = model.sd_patients * model.sd**2 + residual @ residual + moved @ precision0 @ moved
        inverse = np.linalg.inv(precision)
        own = 1 / np.diag(precision)[:n_arms]
        lever = inverse[:n_arms, -1] / math.sqrt(inverse[-1, -1])
        return Joint(solution[:n_arms], own, lever, math.sqrt(squares / df), df)

    return fit


# ------------------------------------------------------------------------------ the engine's, as a check


class Engine:
    """A posterior of the engine, one replicate of it."""

    def __init__(self, posterior: Any, n_arms: int) -> None:
        self.posterior, self.n_arms = posterior, n_arms

    def mean(self) -> list[float]:
        return [float(m) for m in self.posterior.mean()[0]]

    def better(self, arm: int, than: int, by: float) -> float:
        return float(self.posterior.prob_better(than, by)[0, arm])

    def best(self, among: list[int]) -> dict[int, float]:
        mask = np.zeros((1, self.n_arms), bool)
        mask[0, among] = True
        best = self.posterior.prob_best(mask)[0]
        return {arm: float(best[arm]) for arm in among}


def engine_fit(design: Any) -> Fit:
    """The engine's analysis of what the reference saw."""

    def fit(known: list[Known], n_arms: int) -> Belief:
        return Engine(design.model.fit(snapshot_of(known, design.patients, n_arms)), n_arms)

    return fit


def snapshot_of(known: list[Known], patients: int, n_arms: int) -> Snapshot:
    """Known outcomes as the engine's models are given them; the patients who are pending are left out."""
    arm = np.full((1, patients), -1)
    seen = np.zeros((1, patients, 1), bool)
    value = np.full((1, patients, 1), np.nan)
    covariates = np.zeros((1, patients, 1))
    count, total = np.zeros((1, n_arms), np.int64), np.zeros((1, n_arms))
    for outcome in known:
        arm[0, outcome.patient] = outcome.arm
        seen[0, outcome.patient] = True
        value[0, outcome.patient] = outcome.value
        covariates[0, outcome.patient] = outcome.covariate
        count[0, outcome.arm] += 1
        total[0, outcome.arm] += outcome.value
    return Snapshot(
        day=np.zeros(1),
        arm=arm,
        known=seen,
        value=value,
        covariates=covariates,
        n_pending=np.zeros(1, np.int64),
        arm_pending=np.zeros_like(count),
        arm_enrolled=count,
        arm_known=count,
        arm_total=total,
    )
