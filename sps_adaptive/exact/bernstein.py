r"""The largest value of a probability over all response rates, certified.

The probability of an event of a trial with yes-or-no outcomes, as a function of D unknown response rates, is

.. math:: T(p) = \sum_S w_S \prod_d p_d^{S_d} (1 - p_d)^{N_d - S_d}, \qquad w_S \ge 0,

where S counts the successes and the weights w depend on the design only. With the coefficients
:math:`c_S = w_S / \prod_d \binom{N_d}{S_d}` this is a polynomial in Bernstein form: T is an average of the c
with the weights of D binomial distributions, so it lies between the smallest and the largest of them. On a
part of the cube the coefficients are averages of those on the whole (de Casteljau), and the distance between the
largest coefficient and the largest value falls with the square of the length of the part (Garloff 1986). Parts
are halved, those with the largest bound first, until the bound is as near to a value of T as was asked for.

A condition :math:`p_i \le p_j + \delta` is removed before, not by cutting boxes: with :math:`p_i = s\,(p_j + \delta)`
the region becomes a cube of (s, p_j), and T a polynomial on it whose Bernstein coefficients are again averages of
the old ones. A supremum on the border, where it mostly lies, is then one on a face, where the bound is as good as
inside: a dozen boxes do where boxes cut by the border would number thousands.

Nothing is ever subtracted: all sums have non-negative terms, so a result with k roundings behind it has a relative
error of at most :math:`(1 + u)^k - 1` with :math:`u = 2^{-53}` (Farouki and Rajan 1988 show the same for
de Casteljau's algorithm). The roundings are counted, and the bounds moved outwards by them.

References
----------
Lorentz GG (1986). Bernstein Polynomials, 2nd ed. Chelsea.
Garloff J (1986). Convergent bounds for the range of multivariate polynomials. In: Interval Mathematics 1985,
Lecture Notes in Computer Science 212:37-56. Springer.
Farouki RT, Rajan VT (1988). Algorithms for polynomials in Bernstein form. Computer Aided Geometric Design 5:1-26.
Farouki RT (2012). The Bernstein polynomial basis: a centennial retrospective.
Computer Aided Geometric Design 29:379-419.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial, reduce
from heapq import heappop, heappush
from itertools import product
from math import comb, prod
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

EPSILON = 2.0**-52
"""Twice the largest relative error of one rounding: k roundings err by less than k times this, relatively."""

SMALLEST_POWER = 1e-290
"""Powers of response rates below this count as 0, before they lose digits. The binomial probabilities in which they
stand are then below 1e-50, up to the largest degree."""

TINY = 1e-30
"""More than all that is lost in this way, and less than any probability asked for."""

LARGEST_DEGREE = 1000
"""Binomial coefficients of larger degrees do not fit into a double."""

MEMORY = 2**30
"""Bytes of coefficients of boxes that wait to be halved; at more the search ends as if it had no boxes left."""


Below = tuple[int, int] | tuple[tuple[int, int], ...]
"""Pairs (i, j) of response rates, the first of which is not above the second."""


class Supremum(NamedTuple):
    """What is certain about the largest value: it lies between `lower` and `upper`."""

    upper: float
    lower: float
    at: tuple[float, ...]
    """Where `lower` is attained: a local maximum, the largest that was found."""
    boxes: int
    """How many boxes were bounded."""


class Patch(NamedTuple):
    """A region of response rates as a unit cube, and the polynomial on that cube."""

    coefficients: Float[Array, "..."]
    rates: Callable[[Float[Array, " D"]], Float[Array, " D"]]
    """The response rates that belong to a point of the cube."""
    roundings: int
    """How many roundings lie behind the coefficients."""


class Box(NamedTuple):
    """A part of the cube of a patch, with the coefficients on it."""

    patch: Patch
    low: Float[Array, " D"]
    size: Float[Array, " D"]
    coefficients: Float[Array, "..."]
    roundings: int


class Best(NamedTuple):
    """The largest value found so far."""

    value: float
    rates: Float[Array, " D"]


# ------------------------------------------------------------------------------------------ polynomials


def elevate(weights: Float[Array, "..."], by: int, axis: int) -> Float[Array, "..."]:
    r"""Return the weights of the same polynomial, written with a higher degree along an axis.

    Since :math:`p + q = 1`, :math:`p^S q^{n - S} = p^S q^{n - S} (p + q)^m`, and so
    :math:`w'_{S'} = \sum_S w_S \binom{m}{S' - S}`. This brings trials that end with different numbers of patients to
    one degree, where their weights can be added. Relative error: at most (n + 3) roundings.

    Parameters
    ----------
    weights
        The weights w, not negative.
    by
        The number m of degrees to add.
    axis
        The axis, one a response rate.
    """
    weights = _checked(weights)
    if by < 0:
        raise ValueError("a degree cannot be lowered")
    return _along(_spread(weights.shape[axis] - 1, by), weights, axis % weights.ndim)


def coefficients(weights: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the Bernstein coefficients of a polynomial with these weights: divided by binomial coefficients.

    Relative error: two roundings an axis.
    """
    found = _checked(weights)
    for axis in range(found.ndim):
        found = found / _by_axis(_binomials(found.shape[axis] - 1), axis, found.ndim)
    return found


def value(coefficients: Float[Array, "..."], p: Float[Array, "... D"]) -> Float[Array, "..."]:
    r"""Return T at one or many points.

    The binomial probabilities are products of running powers, without cancellation: with the sums, the relative error
    is at most :math:`\sum_d (3 N_d + 6)` roundings.

    Parameters
    ----------
    coefficients
        The Bernstein coefficients, D axes.
    p
        Response rates, D at the end; for D = 1 also without that axis.
    """
    coefficients = _checked(coefficients)
    points = np.asarray(p, float)
    if points.shape[-1:] != (coefficients.ndim,):
        if coefficients.ndim > 1:
            raise ValueError(f"{coefficients.ndim} response rates are needed for each point, got {points.shape}")
        points = points[..., None]
    if not ((points >= 0) & (points <= 1)).all():
        raise ValueError("response rates lie between 0 and 1")
    flat = points.reshape(-1, coefficients.ndim)
    found = np.tensordot(_binomial_probabilities(len(coefficients) - 1, flat[:, 0]), coefficients, axes=1)
    for axis, size in enumerate(coefficients.shape[1:], start=1):
        found = np.einsum("ps,ps...->p...", _binomial_probabilities(size - 1, flat[:, axis]), found)
    return found.reshape(points.shape[:-1])


def _checked(numbers: Float[Array, "..."]) -> Float[Array, "..."]:
    numbers = np.asarray(numbers, float)
    if numbers.ndim == 0 or numbers.size == 0:
        raise ValueError("weights need an axis for each response rate")
    if max(numbers.shape) > LARGEST_DEGREE + 1:
        raise ValueError(f"degrees above {LARGEST_DEGREE} are too large for binomial coefficients")
    if not np.isfinite(numbers).all() or (numbers < 0).any():
        raise ValueError("weights are finite and not negative")
    return numbers


@cache
def _binomials(degree: int) -> Float[Array, " n"]:
    return np.array([float(comb(degree, k)) for k in range(degree + 1)])


def _by_axis(numbers: Float[Array, " n"], axis: int, axes: int) -> Float[Array, "..."]:
    return numbers.reshape([-1 if a == axis else 1 for a in range(axes)])


def _along(matrix: Float[Array, "m n"], numbers: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Multiply along an axis."""
    before, after = numbers.shape[:axis], numbers.shape[axis + 1 :]
    if after:
        found = matrix @ numbers.reshape(prod(before), numbers.shape[axis], prod(after))
    else:
        found = numbers.reshape(prod(before), numbers.shape[axis]) @ matrix.T
    return found.reshape(*before, len(matrix), *after)


def _spread(degree: int, by: int) -> Float[Array, "m n"]:
    matrix = np.zeros((degree + by + 1, degree + 1))
    for column in range(degree + 1):
        matrix[column : column + by + 1, column] = _binomials(by)
    return matrix


def _powers(x: Float[Array, " P"], degree: int) -> Float[Array, "P n"]:
    steps = np.repeat(x[:, None], degree + 1, axis=1)
    steps[:, 0] = 1.0
    found = np.cumprod(steps, axis=1)
    return np.where(found < SMALLEST_POWER, 0.0, found)


def _binomial_probabilities(degree: int, p: Float[Array, " P"]) -> Float[Array, "P n"]:
    return _binomials(degree) * _powers(p, degree) * _powers(1 - p, degree)[:, ::-1]


# --------------------------------------------------------------------------------------------- regions


def _left(degree: int, q: float, p: float) -> Float[Array, "n n"]:
    """Return what turns the coefficients into those on [0, p], q being 1 - p: rows of binomial distributions.

    Relative error of the entries: one rounding a row where p is a half, three elsewhere.
    """
    matrix = np.zeros((degree + 1, degree + 1))
    matrix[0, 0] = 1.0
    for row in range(1, degree + 1):
        matrix[row] = q * matrix[row - 1]
        matrix[row, 1:] += p * matrix[row - 1, :-1]
    return matrix


def _right(degree: int, q: float, p: float) -> Float[Array, "n n"]:
    """Return what turns the coefficients into those on [p, 1]: the same, seen from the other end."""
    return _left(degree, p, q)[::-1, ::-1]


@lru_cache(maxsize=8)
def _halves(degree: int) -> Float[Array, "m n"]:
    """Return what turns the coefficients into those on both halves."""
    return np.concatenate([_left(degree, 0.5, 0.5), _right(degree, 0.5, 0.5)])


def _patches(coefficients: Float[Array, "..."], below: tuple[tuple[int, int], ...], margin: float) -> list[Patch]:
    """Return cubes that together are the region."""
    if not below or margin >= 1:
        return [Patch(coefficients, np.array, 0)]
    if margin == 0:
        for i, j in below:
            coefficients = _scaled(coefficients, i, j, None)
        return [_patch(coefficients, partial(_product, below), len(below))]
    i, j = below[0]
    degree = coefficients.shape[j] - 1
    gap, rest = abs(margin), 1 - abs(margin)
    if margin < 0:  # p_j from |δ| to 1, p_i from 0 to p_j - |δ|
        part = _along(_right(degree, rest, gap), coefficients, j)
        slanted = _scaled(part, i, j, partial(_left, q=gap, p=rest))
        return [_patch(slanted, partial(_slanted, i, j, (gap, 1.0), margin))]
    # p_j from 0 to 1 - δ and p_i from 0 to p_j + δ; p_j from 1 - δ to 1 and p_i anywhere
    part = _along(_left(degree, gap, rest), coefficients, j)
    slanted = _scaled(part, i, j, partial(_right, q=rest, p=gap))
    end = _along(_right(degree, gap, rest), coefficients, j)
    return [
        _patch(slanted, partial(_slanted, i, j, (0.0, rest), margin)),
        _patch(end, partial(_stretched, j, (rest, 1.0))),
    ]


def _patch(
    coefficients: Float[Array, "..."], rates: Callable[[Float[Array, " D"]], Float[Array, " D"]], changes: int = 1
) -> Patch:
    """Return a patch with more roundings than a change of variables takes: less than 6 n + 5 m + 20."""
    return Patch(coefficients, rates, changes * (8 * sum(coefficients.shape) + 40))


def _scaled(
    coefficients: Float[Array, "..."], i: int, j: int, part: Callable[[int], Float[Array, "n n"]] | None
) -> Float[Array, "..."]:
    r"""Return the coefficients in (s, t) where :math:`p_i = s\,l(t)`, t is the variable of axis j and l is linear.

    On [0, l] coefficient a along axis i is the polynomial of degree a in l with the first a + 1 coefficients; `part`
    makes these the coefficients in t, where l does not run from 0 to 1. Multiplied with the polynomial along axis
    j, whose variable is also t, and elevated to one degree, these are the new ones.
    """
    moved = np.moveaxis(coefficients, (i, j), (0, 1))
    n, m = moved.shape[0] - 1, moved.shape[1] - 1
    if n + m > LARGEST_DEGREE:
        raise ValueError(f"degrees that sum to more than {LARGEST_DEGREE} are too large for binomial coefficients")
    new = np.empty((n + 1, n + m + 1, *moved.shape[2:]))
    by_j = _by_axis(_binomials(m), 1, moved.ndim)
    for a in range(n + 1):
        first = moved[: a + 1] if part is None else _along(part(a), moved[: a + 1], 0)
        weighted = first * _by_axis(_binomials(a), 0, moved.ndim) * by_j
        weights = np.zeros((a + m + 1, *moved.shape[2:]))
        for k in range(a + 1):
            weights[k : k + m + 1] += weighted[k]
        new[a] = _along(_spread(a + m, n - a), weights, 0)
    new /= _by_axis(_binomials(n + m), 1, moved.ndim)
    return np.ascontiguousarray(np.moveaxis(new, (0, 1), (i, j)))


def _product(below: tuple[tuple[int, int], ...], place: Float[Array, " D"]) -> Float[Array, " D"]:
    rates = np.array(place)
    for i, j in reversed(below):
        rates[i] = place[i] * rates[j]
    return rates


def _stretched(j: int, along_j: tuple[float, float], place: Float[Array, " D"]) -> Float[Array, " D"]:
    rates = np.array(place)
    rates[j] = min(along_j[0] + (along_j[1] - along_j[0]) * place[j], 1.0)
    return rates


def _slanted(
    i: int, j: int, along_j: tuple[float, float], margin: float, place: Float[Array, " D"]
) -> Float[Array, " D"]:
    rates = _stretched(j, along_j, place)
    border = min(max(rates[j] + margin, 0.0), 1.0)
    while border - rates[j] > margin:  # the sum was rounded to the other side
        border = np.nextafter(border, 0.0)
    rates[i] = place[i] * border
    return rates


def _pairs(below: Below | None, axes: int, margin: float) -> tuple[tuple[int, int], ...]:
    """Return the pairs, after looking at whether the region can be made a cube with them."""
    if not margin > -1:
        raise ValueError("with a margin of -1 or less there is nothing left")
    if below is None:
        return ()
    pairs = tuple(pair for pair in below if isinstance(pair, tuple)) or (cast("tuple[int, int]", below),)
    lower: set[int] = set()
    for i, j in pairs:
        if i == j or not {i, j} <= set(range(axes)):
            raise ValueError(f"below names two of {axes} response rates, counted from 0")
        if {i, j} & lower:
            raise ValueError("a response rate that is the first of a pair cannot stand in a later one")
        lower.add(i)
    if len(pairs) > 1 and margin != 0:
        raise ValueError("a margin goes with one pair only")
    return pairs


# ---------------------------------------------------------------------------------------------- search


def supremum(
    coefficients: Float[Array, "..."],
    width: float = 1e-4,
    relative_error: float = 1e-10,
    below: Below | None = None,
    margin: float = 0.0,
    most_boxes: int = 200_000,
) -> Supremum:
    r"""Return bounds of the largest value of T over the cube or over a part of it.

    The box with the largest coefficient is halved across the axis along which its coefficients bend most, until
    the largest coefficient left exceeds the largest value found by at most `width`. Values are found by climbing (a
    bounded quasi-Newton search) from the largest coefficient, and again from each corner of a box at which T is larger
    than all found before; coefficients at corners are values.

    The bounds hold in spite of floating point. Halving along an axis of degree n multiplies with a matrix of
    non-negative numbers: 2 n + 3 roundings; a change of variables for `below` takes fewer than
    :math:`8 \sum_d (n_d + 1) + 40`, with the degrees after it. With k roundings behind a coefficient and a relative
    error e of the weights the upper bound is multiplied by :math:`(1 + k\,2^{-52}) / (1 - e)`, which is more than
    :math:`(1 - 2^{-53})^{-k} / (1 - e)`, the lower one by :math:`(1 - k\,2^{-52}) / (1 + e)`, and both are moved
    to the next number outwards. T is a probability, so they are cut at 0 and 1.

    Parameters
    ----------
    coefficients
        The Bernstein coefficients, an axis for each response rate.
    width
        How far apart the bounds may be.
    relative_error
        The largest relative error of the coefficients: that of the recursion that made the weights, a sum of products
        of non-negative numbers, is some :math:`10^{-16}` times the number of patients and arms.
    below
        A pair (i, j): only response rates with :math:`p_i \le p_j + \text{margin}` count. Or several pairs, without
        a margin, such as ``((1, 0), (2, 0))``: no arm is better than the control. The first of a pair must not stand in
        a later one.
    margin
        See `below`; above -1.
    most_boxes
        When so many boxes have been bounded, or those that wait fill a gigabyte, the bounds are returned as they
        are, farther apart than `width`.

    Raises
    ------
    ValueError
        If coefficients are negative or not finite, or another argument is out of its range.
    """
    coefficients = _checked(coefficients)
    if not width > 0:
        raise ValueError("a width is positive")
    if not 0 <= relative_error < 0.5:
        raise ValueError("a relative error lies between 0 and a half")
    if coefficients.max() > 1 + 1e-6 + 2 * relative_error:
        raise ValueError("coefficients of a probability are not above 1: weights are to be divided by `coefficients`")

    patches = _patches(coefficients, _pairs(below, coefficients.ndim, margin), margin)
    waiting: list[tuple[float, int, Box]] = []
    boxes, settled, roundings, room = 0, 0.0, 0, MEMORY // patches[0].coefficients.nbytes + 2
    fresh = [_whole(patch) for patch in patches]
    best = reduce(_better, [_climb(box, _highest(box)) for box in fresh])
    enough = _inner(width, best.value, relative_error)
    while True:
        for box in fresh:
            boxes += 1
            roundings = max(roundings, box.roundings)
            corner, at_corner = _corner(box)
            if at_corner > best.value + 1e-3 * width:
                best = _better(best, _climb(box, corner))
            top = float(box.coefficients.max())
            if top <= best.value + enough:
                settled = max(settled, top)
            else:
                heappush(waiting, (-top, boxes, box))
        if not waiting or -waiting[0][0] <= best.value + enough or boxes >= most_boxes or len(waiting) > room:
            break
        fresh = _halved(heappop(waiting)[2])

    top = max(settled, -waiting[0][0] if waiting else 0.0)
    known = float(value(coefficients, best.rates))
    behind = sum(3 * size + 6 for size in coefficients.shape) + 8
    upper = top * (1 + (roundings + 8) * EPSILON) / (1 - relative_error) + TINY
    lower = known * (1 - behind * EPSILON) / (1 + relative_error) - TINY
    return Supremum(
        upper=float(min(np.nextafter(upper, 2.0), 1.0)),
        lower=float(min(max(np.nextafter(lower, -1.0), 0.0), 1.0)),
        at=tuple(float(rate) for rate in best.rates),
        boxes=boxes,
    )


def _inner(width: float, level: float, relative_error: float) -> float:
    """Return how near the bounds must come before they are moved outwards."""
    return max(width - level * (2.1 * relative_error + 1e-11) - 1e-15, width / 2)


def _whole(patch: Patch) -> Box:
    axes = patch.coefficients.ndim
    return Box(patch, np.zeros(axes), np.ones(axes), patch.coefficients, patch.roundings)


def _halved(box: Box) -> list[Box]:
    """Return the two halves of a box across the axis along which the coefficients bend most."""
    axis = _bent(box.coefficients)
    size = box.coefficients.shape[axis]
    both = _along(_halves(size - 1), box.coefficients, axis)
    lengths = box.size.copy()
    lengths[axis] /= 2
    beyond = box.low.copy()
    beyond[axis] += lengths[axis]
    first, second = np.split(both, 2, axis=axis)
    roundings = box.roundings + 2 * size + 1
    return [
        Box(box.patch, box.low, lengths, np.ascontiguousarray(first), roundings),
        Box(box.patch, beyond, lengths, np.ascontiguousarray(second), roundings),
    ]


def _bent(coefficients: Float[Array, "..."]) -> int:
    bends = [float(np.abs(np.diff(coefficients, n=2, axis=axis)).sum()) for axis in range(coefficients.ndim)]
    return int(np.argmax(bends))


def _highest(box: Box) -> Float[Array, " D"]:
    """Return the point of the cube to which the largest coefficient belongs."""
    largest = np.unravel_index(int(box.coefficients.argmax()), box.coefficients.shape)
    share = [k / max(size - 1, 1) for k, size in zip(largest, box.coefficients.shape, strict=True)]
    return box.low + box.size * np.array(share)


def _corner(box: Box) -> tuple[Float[Array, " D"], float]:
    """Return the corner at which T is largest, and T there."""
    ends = max(product((0, -1), repeat=box.coefficients.ndim), key=lambda end: box.coefficients[end])
    return box.low - box.size * np.array(ends), float(box.coefficients[ends])


def _climb(box: Box, start: Float[Array, " D"]) -> Best:
    """Return the local maximum that is reached from a point of the cube."""
    from scipy.optimize import minimize

    coefficients = box.patch.coefficients
    unit = max(float(coefficients.max()), TINY)

    def downhill(place: Float[Array, " D"]) -> tuple[float, Float[Array, " D"]]:
        level, slope = _value_and_slope(coefficients, place)
        return -level / unit, -slope / unit

    found = minimize(
        downhill,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * len(start),
        options={"ftol": 0.0, "gtol": 1e-12, "maxiter": 200},
    )
    places = [start, np.clip(found.x, 0.0, 1.0)]
    reached = [Best(_value_and_slope(coefficients, place)[0], box.patch.rates(place)) for place in places]
    return _better(*reached)


def _better(one: Best, other: Best) -> Best:
    return other if other.value > one.value else one


def _value_and_slope(coefficients: Float[Array, "..."], place: Float[Array, " D"]) -> tuple[float, Float[Array, " D"]]:
    basis = [_binomial_probabilities(size - 1, place[[d]])[0] for d, size in enumerate(coefficients.shape)]
    slope = np.zeros(len(place))
    for d, size in enumerate(coefficients.shape):
        if size > 1:
            smaller = _binomial_probabilities(size - 2, place[[d]])[0]
            change = (size - 1) * (np.append(0.0, smaller) - np.append(smaller, 0.0))
            slope[d] = _contracted(coefficients, [*basis[:d], change, *basis[d + 1 :]])
    return _contracted(coefficients, basis), slope


def _contracted(coefficients: Float[Array, "..."], vectors: list[Float[Array, " n"]]) -> float:
    for vector in vectors:
        coefficients = np.tensordot(vector, coefficients, axes=1)
    return float(coefficients)
