"""Small batched mathematics shared by several rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

TIE = 1e-12
"""Probabilities this close to a threshold count as equal to it, whichever engine computed them."""


def above(probability: Float[Array, "..."], threshold: float | Float[Array, "..."]) -> Bool[Array, "..."]:
    """Return whether probabilities lie above a threshold by more than rounding error."""
    return probability - threshold > TIE


def below(probability: Float[Array, "..."], threshold: float | Float[Array, "..."]) -> Bool[Array, "..."]:
    """Return whether probabilities lie below a threshold by more than rounding error."""
    return threshold - probability > TIE


def normal_quantile(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the standard normal quantiles of u in [0, 1); 0 is taken as the smallest uniform of a stream."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.maximum(u, 2.0**-54)))


def nth_day(day: Float[Array, "R N"], n: int) -> Float[Array, " R"]:
    """Return the day of the n-th event (n = 1 for the first); inf where it never comes."""
    return np.partition(day, n - 1, axis=1)[:, n - 1]


def nth_days(day: Float[Array, "R N"], numbers: Sequence[int]) -> Float[Array, "R K"]:
    """Return the days of the n-th events, for several n at once."""
    places = [n - 1 for n in numbers]
    return np.partition(day, places, axis=1)[:, places]
