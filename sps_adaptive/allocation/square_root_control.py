"""More patients on the control, as the number of comparisons with it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.allocation.bounds import control_first
from sps_adaptive.allocation.realisation import Realised
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class SquareRootControl(Realised):
    r"""The control gets :math:`\sqrt{k}` parts beside k open experimental arms, which get one part each.

    .. math:: \pi_0 = \frac{\sqrt{k}}{\sqrt{k} + k} = \frac{1}{1 + \sqrt{k}}, \qquad
        \pi_a = \frac{1}{\sqrt{k} + k}

    Every experimental arm is compared with the same control, so a patient there serves k comparisons: with equal
    variances these shares make :math:`1 / n_0 + 1 / n_a` smallest (Dunnett 1955). The rule does not look at
    outcomes; it changes only when arms close. Use it instead of `equal` where there are several experimental arms and
    nothing is to be learnt on the way; as a protection within rules that learn it is `control_share: square_root`.

    References
    ----------
    Dunnett CW (1955). A multiple comparison procedure for comparing several treatments with a control. Journal of the
    American Statistical Association 50:1096-1121.
    """

    kind: Literal["square_root_control"]

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return the probabilities for the arms that are open."""
        n_experimental = is_open.sum(axis=1) - is_open[:, control]
        share = 1 / (1 + np.sqrt(np.maximum(n_experimental, 1)))
        return control_first(np.ones(is_open.shape), is_open, control, share, 0.0, 1.0)

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities for the arms still open."""
        return self.start(look.is_open, look.control)

    def words(self, arms: tuple[str, ...]) -> str:
        """Return the rule in plain English, without a full stop."""
        return (
            "the control gets 1/(1 + square root of the number of open experimental arms), and these share the rest "
            "equally"
        )
