"""Quantiles of the difference of two independent Beta variables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaln, ndtri

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.quadrature import sine_rule, tanh_sinh_rule

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

GRID = 97
"""Points of a state's interpolated cdf."""

LOG_NEGLIGIBLE = -37.0
"""Logarithm of a density (in t) below which a tail does not matter."""


def difference_quantiles(
    alpha: Float[Array, " U"],
    beta: Float[Array, " U"],
    pair: Int[Array, "... 2"],
    q: Float[Array, " Q"],
    smallest: float,
) -> Float[Array, "... Q"]:
    r"""Return the q-quantiles of :math:`\theta_k - \theta_0` for pairs (k, 0) of states.

    The cdf of the difference is :math:`F(d) = \int f_0(x) F_k(x + d) dx`; F(d) = q is solved by Newton's
    steps within a bracket, from a Cornish-Fisher start. Each pair of states is solved once.
    `smallest` is the smallest parameter that may occur.
    """
    code, where = np.unique(pair[..., 0] * len(alpha) + pair[..., 1], return_inverse=True)
    distinct_pair = np.stack(np.divmod(code, max(len(alpha), 1)), axis=-1)
    log_norm = betaln(alpha, beta)
    grid, window = tabulated(alpha, beta, log_norm)
    # The range of integration is cut to where it matters: sixteen standard deviations at the most.
    # Two densities that vanish at both ends need fewer points.
    is_smooth = smooth_ends(alpha, beta)[distinct_pair].all(axis=1)
    is_inside = is_smooth & (np.minimum(alpha, beta)[distinct_pair] >= 4).all(axis=1)
    rules = (
        (sine_rule(32), is_inside, 3e-9),
        (sine_rule(44), is_smooth & ~is_inside, 2e-11),
        (tanh_sinh_rule(step=0.04, smallest=smallest), ~is_smooth, 2e-11),
    )
    answer = np.empty((len(code), len(q)))
    for rule, chosen, leftover in rules:
        part = np.empty((int(chosen.sum()), len(q)))
        solve(alpha, beta, log_norm, grid, window, distinct_pair[chosen], q, ndtri(q), *rule, leftover, part)
        answer[chosen] = part
    return answer[where.reshape(pair.shape[:-1])]


class _Tables:
    """Interpolated cdfs of the states met so far: the blocks of a run meet the same ones again and again.

    What is tabulated of a state depends on nothing but the state, so remembering it changes no number.
    """

    LIMIT = 20_000  # states, about 50 MB

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all states."""
        self.row: dict[tuple[float, float], int] = {}
        self.grid, self.window = np.empty((0, GRID, 3)), np.empty((0, 6))

    def add(self, alpha: Float[Array, " U"], beta: Float[Array, " U"], log_norm: Float[Array, " U"]) -> None:
        """Tabulate new states."""
        grid, window = np.empty((len(alpha), GRID, 3)), np.empty((len(alpha), 6))
        tabulate_cdf(alpha, beta, log_norm, grid, window)
        first = len(self.grid)  # not the number of states: a state may be given twice
        self.row.update({state: first + k for k, state in enumerate(zip(alpha.tolist(), beta.tolist(), strict=True))})
        self.grid, self.window = np.concatenate([self.grid, grid]), np.concatenate([self.window, window])


_tables = _Tables()


def tabulated(
    alpha: Float[Array, " U"], beta: Float[Array, " U"], log_norm: Float[Array, " U"]
) -> tuple[Float[Array, "U G 3"], Float[Array, "U 6"]]:
    """Return the interpolated cdf and the window of each state."""
    states = list(zip(alpha.tolist(), beta.tolist(), strict=True))
    if len(_tables.grid) + len(states) > _Tables.LIMIT:
        _tables.clear()
    new = np.array([state not in _tables.row for state in states], bool)
    if new.any():
        _tables.add(alpha[new], beta[new], log_norm[new])
    rows = [_tables.row[state] for state in states]
    return _tables.grid[rows], _tables.window[rows]


def smooth_ends(alpha: Float[Array, " U"], beta: Float[Array, " U"]) -> Array:
    """Return whether a density is smooth at its ends as a function of arcsin √x, or vanishes there fast enough."""
    return ((2 * alpha % 1 == 0) | (alpha >= 1.75)) & ((2 * beta % 1 == 0) | (beta >= 1.75))


@compiled
def log_density(t: float, alpha: float, beta: float, log_norm: float) -> float:
    """Return the logarithm of the density of t, where x = 1 / (1 + exp(-π sinh t)).

    In t every Beta density is analytic and its tails fall double-exponentially, whatever its parameters.
    """
    y = math.pi * math.sinh(t)
    log_smaller = -abs(y) - math.log1p(math.exp(-abs(y)))
    log_larger = -math.log1p(math.exp(-abs(y)))
    log_x, log_1_minus_x = (log_smaller, log_larger) if y < 0 else (log_larger, log_smaller)
    return alpha * log_x + beta * log_1_minus_x - log_norm + math.log(math.pi * math.cosh(t))


@compiled
def tail_end(inner: float, outer: float, alpha: float, beta: float, log_norm: float) -> float:
    """Return, by bisection, the t between `inner` and `outer` at which the tail becomes negligible."""
    for _ in range(24):
        middle = (inner + outer) / 2
        if log_density(middle, alpha, beta, log_norm) > LOG_NEGLIGIBLE:
            inner = middle
        else:
            outer = middle
    return outer


@compiled
def tabulate_cdf(
    alpha: Float[Array, " U"],
    beta: Float[Array, " U"],
    log_norm: Float[Array, " U"],
    grid: Float[Array, "U 97 3"],
    window: Float[Array, "U 6"],
) -> None:
    """Fill, for each state, cdf and its first two derivatives by t on a grid, times the powers of its step.

    `window` gets the first t, the step, and x and 1 - x at both ends. The cdf is the running integral of the
    quintic Hermite interpolant of its derivatives (error of order step^7 in each interval).
    """
    points = grid.shape[1]
    for u in range(len(alpha)):
        a, b = alpha[u], beta[u]
        centre = math.asinh(math.log(a / b) / math.pi)
        first = tail_end(centre, -9.5, a, b, log_norm[u])
        last = tail_end(centre, 9.5, a, b, log_norm[u])
        step = (last - first) / (points - 1)
        window[u, 0], window[u, 1] = first, step
        for end, t in enumerate((first, last)):
            small = math.exp(-math.pi * math.sinh(abs(t)))
            smaller, larger = small / (1 + small), 1 / (1 + small)
            window[u, 2 + 2 * end] = smaller if t < 0 else larger
            window[u, 3 + 2 * end] = larger if t < 0 else smaller
        total, f_before, f1_before, f2_before = 0.0, 0.0, 0.0, 0.0
        for i in range(points):
            t = first + i * step
            sinh_t, cosh_t = math.pi * math.sinh(t), math.pi * math.cosh(t)
            small = math.exp(-abs(sinh_t))
            smaller, larger = small / (1 + small), 1 / (1 + small)
            x, complement = (smaller, larger) if t < 0 else (larger, smaller)
            f = math.exp(log_density(t, a, b, log_norm[u])) * step
            slope = (a * complement - b * x) * cosh_t + sinh_t / cosh_t
            bend = (a * complement - b * x) * sinh_t - (a + b) * x * complement * cosh_t**2 + 1 - (sinh_t / cosh_t) ** 2
            f1 = f * slope * step
            f2 = f * (slope**2 + bend) * step**2
            if i > 0:
                total += (f_before + f) / 2 + (f1_before - f1) / 10 + (f2_before + f2) / 120
            grid[u, i, 0], grid[u, i, 1], grid[u, i, 2] = total, f, f1
            f_before, f1_before, f2_before = f, f1, f2
        for i in range(points):
            for k in range(3):
                grid[u, i, k] /= total


@compiled
def interpolate_cdf(
    x: float, complement: float, grid: Float[Array, "97 3"], first: float, step: float
) -> tuple[float, float]:
    """Return (cdf, density by x) at x by quintic Hermite interpolation; the density is linear, for Newton only."""
    if x <= 0.0:
        return 0.0, 0.0
    if complement <= 0.0:
        return 1.0, 0.0
    logit = math.log(x / complement) / math.pi
    t = math.asinh(logit)
    place = (t - first) / step
    if place <= 0.0:
        return 0.0, 0.0
    i = int(place)
    if i >= grid.shape[0] - 1:
        return 1.0, 0.0
    u = place - i
    v = 1.0 - u
    left = v**3 * (grid[i, 0] * (1 + 3 * u + 6 * u * u) + grid[i, 1] * u * (1 + 3 * u) + grid[i, 2] * u * u / 2)
    right = u**3 * (
        grid[i + 1, 0] * (1 + 3 * v + 6 * v * v) - grid[i + 1, 1] * v * (1 + 3 * v) + grid[i + 1, 2] * v * v / 2
    )
    density = (grid[i, 1] * v + grid[i + 1, 1] * u) / step
    return left + right, density / (x * complement * math.pi * math.sqrt(1 + logit * logit))


@compiled
def difference_cdf(
    d: float,
    k: int,
    than: int,
    alpha: Float[Array, " U"],
    beta: Float[Array, " U"],
    log_norm: Float[Array, " U"],
    grid: Float[Array, "U 97 3"],
    window: Float[Array, "U 6"],
    point: Float[Array, " G"],
    point_complement: Float[Array, " G"],
    weight: Float[Array, " G"],
) -> tuple[float, float]:
    """Return P(theta_k - theta_than <= d) and its derivative."""
    low_than, high_than_complement = window[than, 2], window[than, 5]
    low_k, high_k, high_k_complement = window[k, 2], window[k, 4], window[k, 5]
    # x runs over theta_than, z = x + d over theta_k, where neither density is negligible.
    if low_than >= low_k - d:
        low_x, low_z = low_than, low_than + d
    else:
        low_x, low_z = low_k - d, low_k
    above = 0.0  # the mass of theta_than beyond the range, where the cdf of theta_k is 1
    if high_than_complement >= high_k_complement + d:
        high_x_complement, high_z_complement = high_than_complement, high_than_complement - d
    else:
        high_x_complement, high_z_complement = high_k_complement + d, high_k_complement
        below, _ = interpolate_cdf(
            1 - high_x_complement, high_x_complement, grid[than], window[than, 0], window[than, 1]
        )
        above = 1 - below
    width = 1 - low_x - high_x_complement
    if width <= 0.0:
        return (1.0, 0.0) if low_than + d >= high_k else (0.0, 0.0)
    cdf, density = above, 0.0
    for g in range(len(point)):
        x = low_x + width * point[g]
        complement = high_x_complement + width * point_complement[g]
        if x <= 0.0 or complement <= 0.0:  # below the smallest number
            continue
        log_pdf = (alpha[than] - 1) * math.log(x) + (beta[than] - 1) * math.log(complement) - log_norm[than]
        mass = math.exp(log_pdf) * weight[g] * width
        if mass > 1e-18:
            z = low_z + width * point[g]
            z_complement = high_z_complement + width * point_complement[g]
            cdf_k, pdf_k = interpolate_cdf(z, z_complement, grid[k], window[k, 0], window[k, 1])
            cdf += mass * cdf_k
            density += mass * pdf_k
    return cdf, density


@compiled
def solve(
    alpha: Float[Array, " U"],
    beta: Float[Array, " U"],
    log_norm: Float[Array, " U"],
    grid: Float[Array, "U 97 3"],
    window: Float[Array, "U 6"],
    pair: Int[Array, "P 2"],
    q: Float[Array, " Q"],
    normal_quantile: Float[Array, " Q"],
    point: Float[Array, " G"],
    point_complement: Float[Array, " G"],
    weight: Float[Array, " G"],
    leftover: float,
    answer: Float[Array, "P Q"],
) -> None:
    """Fill the quantiles of the difference of each pair, in place.

    A Cornish-Fisher start with four cumulants, then Newton's steps on the normal score of the cdf, which is nearly
    linear in d, so that what is left after a step is about its square: steps end when that is below `leftover`.
    Bisection keeps d in a bracket.
    """
    for p in range(len(pair)):
        mean, variance, third, fourth = 0.0, 0.0, 0.0, 0.0
        for side in range(2):
            a, b = alpha[pair[p, side]], beta[pair[p, side]]
            sign, n = 1.0 - 2.0 * side, a + b
            own = a * b / (n**2 * (n + 1))
            excess = 6 * ((a - b) ** 2 * (n + 1) - a * b * (n + 2)) / (a * b * (n + 2) * (n + 3))
            mean += sign * a / n
            variance += own
            third += sign * own * 2 * (b - a) / ((n + 2) * n)
            fourth += own**2 * excess
        sd = math.sqrt(variance)
        skewness, kurtosis = third / sd**3, fourth / sd**4
        for j in range(len(q)):
            z = normal_quantile[j]
            bend = skewness * (z * z - 1) / 6 + kurtosis * (z**3 - 3 * z) / 24 - skewness**2 * (2 * z**3 - 5 * z) / 36
            lower, upper = -1.0, 1.0
            d = min(max(mean + sd * (z + bend), -0.999), 0.999)
            for _ in range(60):
                cdf, density = difference_cdf(
                    d, pair[p, 0], pair[p, 1], alpha, beta, log_norm, grid, window,
                    point, point_complement, weight,
                )  # fmt: skip
                if cdf < q[j]:
                    lower = d
                else:
                    upper = d
                move, enough = 2.0, 0.0
                if density > 0.0:
                    off = (cdf - q[j]) * math.sqrt(2 * math.pi) * math.exp(z * z / 2)
                    if abs(off) < 0.1:
                        score = z + off + z * off**2 / 2 + (2 * z * z + 1) * off**3 / 6
                        slope = density * math.sqrt(2 * math.pi) * math.exp(score * score / 2)
                        move = (z - score) / slope
                        # The score bends by about a third of the skewness: what is left after the step.
                        enough = math.sqrt(leftover * sd / (0.05 + abs(skewness) / 6 + abs(kurtosis) / 6))
                    else:
                        move, enough = (q[j] - cdf) / density, 5e-6 * sd
                if not lower < d + move < upper:
                    move, enough = (lower + upper) / 2 - d, 1e-9
                d += move
                if abs(move) < enough:
                    break
            answer[p, j] = d
