"""As few failures as the power allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.allocation.targets import needs_rates, target
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class Rsihr(Bounded):
    r"""Arms get patients in proportion to the square root of their estimated response rate.

    .. math:: \pi_a \propto \sqrt{\hat p_a}

    Between two arms this makes the expected number of failures smallest among all allocations that estimate the
    difference equally well (Rosenberger, Stallard, Ivanova, Harper and Ricks 2001, after whose initials it is named).
    The rates are posterior means of a good outcome, whichever way the endpoint is worded: with a uniform prior
    :math:`(s + 1) / (n + 2)`. For more than two arms the formula is used as it stands, without that optimality.

    Compared with Thompson sampling it is mild: rates of 0.3 and 0.7 give 40% and 60%. Use it where every patient
    counts and the randomisation must stay far from certain.

    References
    ----------
    Rosenberger WF, Stallard N, Ivanova A, Harper CN, Ricks ML (2001). Optimal adaptive designs for binary response
    trials. Biometrics 57:909-913.
    """

    may_be_certain: ClassVar[bool] = False

    kind: Literal["rsihr"]

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the square roots of the estimated response rates."""
        return target("rsihr", look)

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and an endpoint without response rates."""
        return super().problems(setting) + needs_rates(("kind",), setting)

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return "the square root of the estimated response rate"
