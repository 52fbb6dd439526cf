"""What rules that learn share: floors and ceilings, a protected control, a burn-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounds import control_first, share_equally
from sps_adaptive.allocation.realisation import Realised
from sps_adaptive.contracts import Look
from sps_adaptive.words import percent

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

Probability = Annotated[float, Field(ge=0, le=1)]


class Bounded(Realised):
    r"""Probabilities in proportion to weights, within bounds.

    A rule defines `weights`; the rest is the same for all. The control can be protected: it keeps a fixed share; or,
    `matched`, its weight is set to that of the best other arm; or, `square_root`, it gets :math:`1 / (1 + \sqrt{k})`
    beside k open experimental arms. Floors and ceilings are kept by an exact projection; a control with a share of its
    own stands outside them. During a burn-in the arms share equally, but for a protected control.
    """

    learns: ClassVar[bool] = True

    floor: Probability = 0.0
    """Smallest probability of an open arm."""
    ceiling: Probability = 1.0
    """Largest probability of an open arm."""
    control_share: Annotated[float, Field(gt=0, lt=1)] | Literal["matched", "square_root"] | None = None
    """What the control gets; left out: it competes like any other arm."""
    rescale: Literal["bounds", "control", "both"] | None = None
    """What grows when arms have closed, by the factor f = all arms / open arms: `bounds` multiplies the floor by f and
    brings the ceiling h to 1 - f (1 - h); `control` multiplies the share that the control keeps; or both. Where a share
    and floors would then be more than everything, all shrink in proportion. Left out: they stay as they are."""
    burn_in: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Patients enrolled before the probabilities move, at the first look with as many; left out: at the first look."""
    burn_in_per_arm: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Patients on an arm before it competes: until then it gets an equal share and the others divide the rest."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm."""
        return self.burn_in_per_arm is not None

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return what the probabilities are in proportion to: not negative; closed arms are not asked for."""
        raise NotImplementedError

    def tempered(self, weights: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
        """Return the weights with their contrasts softened or sharpened; by default as they are."""
        return weights

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are: "response-adaptive, in proportion to ..."."""
        raise NotImplementedError

    def words(self, arms: tuple[str, ...]) -> str:
        """Return the rule in plain English, without a full stop."""
        if self.control_share == "matched":
            control = "the control is matched to the best other arm"
        elif self.control_share == "square_root":
            control = "the control gets 1/(1 + square root of the number of open experimental arms)"
        elif self.control_share is not None:
            control = f"the control keeps {percent(self.control_share)}"
        else:
            control = "the control competes like the other arms"
        beside = "" if self.control_share in (None, "matched") else ", but for the control's share"
        first = f"look with {self.burn_in} patients" if self.burn_in else "look"
        own = ""
        if self.rescale:
            what = {"bounds": "these bounds grow", "control": "the control's share grows", "both": "both grow"}
            own = f"; when arms have closed {what[self.rescale]} by the factor all arms / open arms"
        if self.burn_in_per_arm:
            own += f"; an arm with fewer than {self.burn_in_per_arm} patients gets an equal share"
        return (
            f"response-adaptive, in proportion to {self.in_proportion_to()}, between {self.floor:g} and "
            f"{self.ceiling:g}; {control}; until the first {first} the arms share equally{beside}{own}"
        )

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return equal probabilities, but for a protected control."""
        return self._shares(share_equally(is_open), is_open, control)

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities in proportion to the weights, within bounds."""
        weights = self.tempered(self._matched(self.weights(look), look.control), look)
        shares = self._shares(weights, look.is_open, look.control)
        if self.burn_in is None and self.burn_in_per_arm is None:
            return shares
        return self._burn_in(look, shares)

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

    def _burn_in(self, look: Look, shares: Float[Array, "R A"]) -> Float[Array, "R A"]:
        """Return the shares, with those of arms in their burn-in replaced by equal ones."""
        equal = self.start(look.is_open, look.control)
        if self.burn_in is not None:
            shares = np.where((look.n_enrolled < self.burn_in)[:, None], equal, shares)
        if self.burn_in_per_arm is None:
            return shares
        young = look.is_open & (look.arm_enrolled < self.burn_in_per_arm)
        apart = np.where(young, equal, 0.0)
        rest = np.where(young, 0.0, shares)
        whole = rest.sum(axis=1, keepdims=True)
        left = 1.0 - apart.sum(axis=1, keepdims=True)
        # Where no arm is left that competes, or those that are left have no weight, all share equally.
        competing = (whole > 0) & young.any(axis=1, keepdims=True)
        mixed = np.where(competing, apart + rest * left / np.where(whole > 0, whole, 1.0), equal)
        return np.where(young.any(axis=1, keepdims=True), mixed, shares)

    def _matched(self, weights: Float[Array, "R A"], control: int) -> Float[Array, "R A"]:
        if self.control_share != "matched":
            return weights
        from sps_adaptive.allocation.kernels import match_rows

        matched = np.empty(weights.shape)
        match_rows(np.ascontiguousarray(weights), control, matched)
        return matched

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
        if self.rescale is None:
            return control_first(weights, is_open, control, share, self.floor, self.ceiling)
        return self._rescaled(weights, is_open, control, share)

    def _rescaled(
        self, weights: Float[Array, "R A"], is_open: Bool[Array, "R A"], control: int, share: Float[Array, " R"] | None
    ) -> Float[Array, "R A"]:
        """Return the probabilities within bounds that have grown as arms have closed."""
        shares, n_open = np.zeros(weights.shape), is_open.sum(axis=1)
        for number in np.unique(n_open[n_open > 0]):
            factor, here = is_open.shape[1] / float(number), n_open == number
            floor, ceiling, given = self.floor, self.ceiling, None if share is None else share[here]
            if self.rescale != "control":
                floor, ceiling = min(floor * factor, 1.0), max(1 - (1 - ceiling) * factor, 0.0)
            if given is not None:
                grown = given * factor if self.rescale != "bounds" and self.control_share != "square_root" else given
                given = grown / np.maximum(grown + floor * (float(number) - 1), 1.0)
            shares[here] = control_first(weights[here], is_open[here], control, given, floor, ceiling)
        return shares
