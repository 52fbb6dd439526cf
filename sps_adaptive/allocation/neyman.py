"""More patients where outcomes vary more."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.targets import compares_sds, target
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Neyman(Bounded):
    r"""Arms get patients in proportion to the estimated standard deviation of an outcome.

    .. math:: \pi_a \propto \hat\sigma_a, \qquad\text{for yes or no}\quad \hat\sigma_a = \sqrt{\hat p_a (1 - \hat p_a)}

    With two arms this makes the variance of the difference smallest for a given number of patients (Neyman 1934), and
    so the power largest. The estimates are those of the analysis: posterior means of the rates, or its estimate of the
    standard deviation of an outcome. A standard deviation that is known, or common to all arms, gives equal
    randomisation.

    It is a rule for power, not for patients: it goes where outcomes are more variable, which may be the worse arm. Of
    rates 0.7 and 0.9 the lower gets 60% of patients.

    References
    ----------
    Neyman J (1934). On the two different aspects of the representative method. Journal of the Royal Statistical
    Society 97:558-625.
    """

    may_be_certain: ClassVar[bool] = False

    kind: Literal["neyman"]

    @property
    def protects_control(self) -> bool:
        """Whether the control gets its patients even where it looks bad, without a share of its own."""
        return True

    @property
    def costs_power(self) -> bool:
        """Whether two arms compared by this rule tend to need more patients than with equal randomisation."""
        return False

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the estimated standard deviations."""
        return target("neyman", look)

    def bound_to_scale(self) -> str | None:
        """Return what ties the probabilities to the unit of the endpoint: the guess of a standard deviation."""
        return compares_sds(self.kind)

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return "the estimated standard deviation of an outcome"
