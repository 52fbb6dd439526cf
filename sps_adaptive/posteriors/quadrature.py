"""Quadrature rules on (0, 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Rule(NamedTuple):
    """Nodes and weights; both ends are known exactly."""

    point: Float[Array, " G"]
    complement: Float[Array, " G"]
    """1 - point, without cancellation."""
    weight: Float[Array, " G"]


def legendre_rule(nodes: int) -> Rule:
    """Return the Gauss-Legendre rule."""
    z, weight = np.polynomial.legendre.leggauss(nodes)
    return Rule((1 + z) / 2, (1 - z) / 2, weight / 2)


def sine_rule(nodes: int) -> Rule:
    """Return the Gauss-Legendre rule in the angle of x = sin² of it."""
    angle, _, weight = legendre_rule(nodes)
    angle = angle * np.pi / 2
    return Rule(np.sin(angle) ** 2, np.cos(angle) ** 2, weight * np.pi / 2 * np.sin(2 * angle))


def tanh_sinh_rule(step: float, smallest: float) -> Rule:
    """Return the trapezoidal rule in t of x = (1 + tanh(π/2 sinh t)) / 2, for densities like x^(smallest - 1)."""
    # Beyond the end lies a mass of about e^-22; below 1e-300 there are no numbers left.
    end = np.arcsinh(min(22 / min(smallest, 1.0), 690.0) / np.pi)
    t = step * np.arange(-np.ceil(end / step), np.ceil(end / step) + 1)
    larger = 1 / (1 + np.exp(-np.pi * np.sinh(np.abs(t))))
    smaller = np.exp(-np.pi * np.sinh(np.abs(t))) * larger
    point, complement = np.where(t < 0, smaller, larger), np.where(t < 0, larger, smaller)
    return Rule(point, complement, point * complement * np.pi * np.cosh(t) * step)
