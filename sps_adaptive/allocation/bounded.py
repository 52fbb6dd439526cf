"""What rules that learn share: floors and ceilings, a protected control, a burn-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounds import control_first, project, share_equally
from sps_adaptive.allocation.realisation import Problems, Realised, Setting
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
    own stands outside them. During a burn-in the arms share equally, but for a protected control. An arm in a burn-in
    of its own gets the equal share exactly, and the others divide the rest within the same floor and ceiling.

    Bounds are checked with all arms open, and can then always be kept: with fewer arms, because some have closed or
    have not opened yet, what each would get if they shared equally is more, so floors become easier. Ceilings become
    harder; a ceiling below the equal share is that share, for as long as it is (two arms left under a ceiling of 0.4
    get one half each).
    """

    learns: ClassVar[bool] = True
    may_be_certain: ClassVar[bool] = True
    """Whether probabilities can come near 0 or 1 without a floor."""

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

    @property
    def protects_control(self) -> bool:
        """Whether the control gets its patients even where it looks bad, without a share of its own."""
        return False

    @property
    def costs_power(self) -> bool:
        """Whether two arms compared by this rule tend to need more patients than with equal randomisation."""
        return True

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return what the probabilities are in proportion to: not negative; closed arms are not asked for."""
        raise NotImplementedError

    def tempered(self, weights: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
        """Return the weights with their contrasts softened or sharpened; by default as they are."""
        return weights

    def taking(self, weights: Float[Array, "R A"], look: Look) -> Bool[Array, "R A"]:
        """Return the open arms that get patients; by default all of them, if only the floor."""
        return look.is_open

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are: "response-adaptive, in proportion to ..."."""
        raise NotImplementedError

    def control_in_words(self) -> str:
        """Return in plain English what the control gets."""
        if self.control_share == "matched":
            return "the control is matched to the best other arm"
        if self.control_share == "square_root":
            return "the control gets 1/(1 + square root of the number of open experimental arms)"
        if self.control_share is not None:
            return f"the control keeps {percent(self.control_share)}"
        return "the control competes like the other arms"

    def words(self, arms: tuple[str, ...]) -> str:
        """Return the rule in plain English, without a full stop."""
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
            f"{self.ceiling:g}; {self.control_in_words()}; until the first {first} the arms share equally{beside}{own}"
        )

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return equal probabilities, but for a protected control."""
        return self._shares(share_equally(is_open), is_open, control)

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities in proportion to the weights, within bounds."""
        weights = self.tempered(self.matched(self.weights(look), look), look)
        takes = self.taking(weights, look)
        shares = self._shares(weights, takes, look.control)
        if self.burn_in_per_arm is not None:
            young = look.is_open & (look.arm_enrolled < self.burn_in_per_arm)
            beside = self._beside_young(weights, takes | young, young, look.control)
            shares = np.where(young.any(axis=1, keepdims=True), beside, shares)
        if self.burn_in is not None:
            equal = self.start(look.is_open, look.control)
            shares = np.where((look.n_enrolled < self.burn_in)[:, None], equal, shares)
        return shares

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept while all arms are open."""
        found: Problems = []
        n_arms = len(setting.arms)
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
        if self.rescale is not None and self.burn_in_per_arm is not None:
            found.append((("rescale",), "bounds that grow do not go with a burn-in of single arms", "leave one out"))
        if self.rescale in ("control", "both") and isinstance(self.control_share, float):
            grown = self.control_share * n_arms / 2
            if grown >= 1 - 1e-12:
                found.append(
                    (
                        ("rescale",),
                        f"with two of {n_arms} arms left a control share of {self.control_share:g} grows to "
                        f"{grown:.3g}, and the other arm gets nobody",
                        f"use a control share below {2 / n_arms:.3g}, or leave rescale out",
                    )
                )
        return found

    def _beside_young(
        self, weights: Float[Array, "R A"], is_open: Bool[Array, "R A"], young: Bool[Array, "R A"], control: int
    ) -> Float[Array, "R A"]:
        """Return the shares where arms in their burn-in get an equal one and the others what is left, within bounds."""
        equal = self.start(is_open, control)
        is_fixed = young.copy()
        if self.control_share not in (None, "matched"):
            is_fixed[:, control] = True
        lower = np.where(is_fixed, equal, np.minimum(self.floor, equal))
        upper = np.where(is_fixed, equal, np.where(is_open, np.maximum(self.ceiling, equal), 0.0))
        return project(np.maximum(weights, 1e-300), lower, upper, np.ones(len(weights)))

    def matched(self, weights: Float[Array, "R A"], look: Look) -> Float[Array, "R A"]:
        """Return the weights with the control's set to that of the best other arm, where it is `matched`."""
        if self.control_share != "matched":
            return weights
        from sps_adaptive.allocation.kernels import match_rows

        matched = np.empty(weights.shape)
        match_rows(np.ascontiguousarray(weights), look.control, matched)
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
