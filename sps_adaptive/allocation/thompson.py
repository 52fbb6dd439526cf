"""Response-adaptive randomisation by the probability of being best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounds import control_first, share_equally
from sps_adaptive.allocation.realisation import Realised
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

Probability = Annotated[float, Field(ge=0, le=1)]


class Thompson(Realised):
    r"""Arms get patients in proportion to a power of their posterior probability of being the best.

    .. math:: \pi_a \propto P(\theta_a = \max_b \theta_b \mid \text{data})^c

    Thompson (1933) is c = 1. A constant c = 1/2 or :math:`c = n / (2N)`, with n of at most N patients
    enrolled (Thall and Wathen 2007), tempers it: small trials otherwise chase chance. Until the first
    look the arms share equally, but for a protected control.

    The control can be protected: it keeps a fixed share; or, `matched`, its probability of being best is
    set to that of the best other arm before all are scaled; or, `square_root`, it gets
    :math:`1 / (1 + \sqrt{k})` beside k open experimental arms, which minimises the variance of the
    comparisons with it when these share the rest equally (Dunnett 1955). Floors and ceilings are kept by an
    exact projection; a control with a share of its own stands outside them.
    """

    learns: ClassVar[bool] = True

    kind: Literal["thompson"]
    power: Annotated[float, Field(ge=0, le=10)] | Literal["n/2N"] = "n/2N"
    """The exponent c: 0 is equal randomisation, 1 untempered."""
    floor: Probability = 0.0
    """Smallest probability of an open arm."""
    ceiling: Probability = 1.0
    """Largest probability of an open arm."""
    control_share: Annotated[float, Field(gt=0, lt=1)] | Literal["matched", "square_root"] | None = None
    """What the control gets; left out: it competes like any other arm."""

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return equal probabilities, but for a protected control."""
        return self._shares(share_equally(is_open), is_open, control)

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the tempered probabilities of being best, within bounds."""
        best = look.posterior.prob_best(look.is_open)
        if self.control_share == "matched":
            best = self._match_control(best, look.control)
        return self._shares(self._temper(best, look), look.is_open, look.control)

    def problems(self, n_arms: int) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return bounds that cannot be kept while all arms are open, as (path, message, hint)."""
        found: list[tuple[tuple[str | int, ...], str, str]] = []
        share = self._control_share_alone(n_arms - 1)
        rivals, left = (n_arms, 1.0) if share is None else (n_arms - 1, 1.0 - share)
        whom = f"{n_arms} arms" if share is None else f"{rivals} arms that share {left:.3g} beside the control"
        if self.floor * rivals > left + 1e-12:
            found.append(
                (
                    ("floor",),
                    f"floors of {self.floor:g} for {whom} sum to {self.floor * rivals:.3g}, more than {left:.3g}",
                    f"use a floor of at most {left / rivals:.3g}",
                )
            )
        if self.ceiling * rivals < left - 1e-12:
            found.append(
                (
                    ("ceiling",),
                    f"ceilings of {self.ceiling:g} for {whom} sum to {self.ceiling * rivals:.3g}, less than {left:.3g}",
                    f"use a ceiling of at least {left / rivals:.3g}",
                )
            )
        if self.floor > self.ceiling:
            found.append((("floor",), f"the floor {self.floor:g} is above the ceiling {self.ceiling:g}", ""))
        return found

    def _match_control(self, best: Float[Array, "R A"], control: int) -> Float[Array, "R A"]:
        from sps_adaptive.allocation.kernels import match_rows

        matched = np.empty(best.shape)
        match_rows(np.ascontiguousarray(best), control, matched)
        return matched

    def _temper(self, best: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
        if self.power == 1:
            return best
        power = look.n_enrolled / (2 * look.patients) if self.power == "n/2N" else self.power
        # A probability of 0 to the power 0 is equal randomisation, not 0: the smallest number stands in for 0.
        # Powers are numpy's: it computes several at once where the processor can, a compiled loop would not.
        return np.maximum(best, 1e-300) ** np.reshape(power, (-1, 1))

    def _control_share_alone(self, n_experimental: int) -> float | None:
        if self.control_share == "square_root":
            return float(1 / (1 + np.sqrt(max(n_experimental, 1))))
        return self.control_share if isinstance(self.control_share, float) else None

    def _shares(self, weights: Float[Array, "R A"], is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        share: Float[Array, " R"] | None = None
        if self.control_share == "square_root":
            n_experimental = is_open @ (np.arange(is_open.shape[1]) != control).astype(np.int64)
            share = 1 / (1 + np.sqrt(np.maximum(n_experimental, 1)))
        elif isinstance(self.control_share, float):
            share = np.full(len(is_open), self.control_share)
        return control_first(weights, is_open, control, share, self.floor, self.ceiling)
