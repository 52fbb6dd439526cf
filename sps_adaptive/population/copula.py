"""Endpoints of a patient that depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.arrays import normal_quantile

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


def correlated(
    luck: Mapping[str, Float[Array, "R N U"]], matrix: Float[Array, "E E"], signs: Mapping[str, float]
) -> Mapping[str, Float[Array, "R N U"]]:
    r"""Return the luck of the endpoints with the first uniform of each correlated by a Gaussian copula.

    With independent uniforms u, signs s (1 where a larger uniform gives a larger outcome, else -1), and the Cholesky
    factor L of the correlation matrix, :math:`z = s \, \Phi^{-1}(u)` and :math:`u' = \Phi(s L z)`. The first endpoint
    keeps its luck, so that a trial with more endpoints meets the same primary outcomes.

    Parameters
    ----------
    luck
        Uniforms of each of the E endpoints.
    matrix
        Correlations of the scores, in the order of `luck`, positive definite.
    signs
        The sign of each endpoint.
    """
    from scipy.special import ndtr

    factor = np.linalg.cholesky(matrix)
    scores = np.stack([signs[name] * normal_quantile(u[..., 0]) for name, u in luck.items()], axis=-1)
    answer = dict(luck)
    for position, (name, u) in enumerate(luck.items()):
        if np.any(factor[position, :position]):
            mixed = u.copy()
            mixed[..., 0] = ndtr(signs[name] * (scores @ factor[position]))
            answer[name] = mixed
    return answer
