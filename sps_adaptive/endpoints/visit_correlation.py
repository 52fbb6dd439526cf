"""How the scores of a patient at different visits go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class CompoundSymmetry(Part):
    """The same correlation between any two visits: patients differ, and their days do, but there is no trend between.

    This is what a random intercept gives.
    """

    kind: Literal["compound_symmetry"]
    correlation: Annotated[float, Field(ge=0, lt=1)]
    """Between any two visits."""

    def matrix(self, months: Float[Array, " V"]) -> Float[Array, "V V"]:
        """Return the correlations of visits at these months."""
        return np.full((len(months), len(months)), self.correlation) + (1 - self.correlation) * np.eye(len(months))


class Autoregressive(Part):
    r"""A correlation that falls with the time between two visits: :math:`\rho^{|t - t'| / m}`.

    It is that of a first-order autoregression in continuous time; visits need not be at equal distances.
    """

    kind: Literal["autoregressive"]
    correlation: Annotated[float, Field(gt=0, lt=1)]
    """Between two visits that are `months` apart."""
    months: Annotated[float, Field(gt=0)] = 1.0
    """The time for which the correlation is stated."""

    def matrix(self, months: Float[Array, " V"]) -> Float[Array, "V V"]:
        """Return the correlations of visits at these months."""
        return np.asarray(self.correlation ** (np.abs(np.subtract.outer(months, months)) / self.months))


class Unstructured(Part):
    """A correlation for each pair of visits, as estimated in another trial.

    The matrix must be symmetric with ones on its diagonal, and positive definite.
    """

    kind: Literal["unstructured"]
    rows: list[list[Annotated[float, Field(ge=-1, le=1)]]]
    """The rows of the matrix, one for each visit."""

    def matrix(self, months: Float[Array, " V"]) -> Float[Array, "V V"]:
        """Return the correlations."""
        return np.array(self.rows, np.float64)


VisitCorrelation = Annotated[
    CompoundSymmetry | Autoregressive | Unstructured,
    Field(discriminator="kind"),
]
