"""A fixed ratio."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.realisation import Problems, Realised, Setting
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class Fixed(Realised):
    """Randomisation in a stated ratio, for example 2:1:1.

    The probability of an arm is its part divided by the parts of all open arms; arms that close leave the ratio of the
    others as it is. Blocks that are a multiple of the sum of the parts are permuted blocks.
    """

    kind: Literal["fixed"]
    ratio: dict[str, Annotated[float, Field(gt=0, le=1000)]]
    """Parts of each arm, by name."""

    def usual_block(self, n_arms: int) -> int:
        """Return the length of a randomisation block where none is stated: a multiple of the sum of whole parts."""
        parts = sum(self.ratio.values())
        return int(parts) * max(1, ceil(2 * n_arms / parts)) if parts == int(parts) else super().usual_block(n_arms)

    def words(self, arms: tuple[str, ...]) -> str:
        """Return the rule in plain English, without a full stop."""
        return ":".join(f"{self.ratio[name]:g}" for name in arms)

    def problems(self, setting: Setting) -> Problems:
        """Return arms that are not stated or do not exist."""
        found: Problems = [
            (("ratio", arm), f"there is no arm '{arm}'", f"the arms are: {', '.join(setting.arms)}")
            for arm in self.ratio
            if arm not in setting.arms
        ]
        if missing := [arm for arm in setting.arms if arm not in self.ratio]:
            found.append((("ratio",), f"nothing is said about {', '.join(missing)}", "state a value for every arm"))
        return found

    def bind(self, arms: tuple[str, ...]) -> FixedRatio:
        """Return the rule for a trial with these arms."""
        return FixedRatio(np.array([self.ratio[arm] for arm in arms]), self.block_length(len(arms)))


class FixedRatio:
    """A fixed ratio, with the arms in the order of the trial."""

    learns: ClassVar[bool] = False
    counts_enrolled: ClassVar[bool] = False

    def __init__(self, ratio: Float[Array, " A"], block: int) -> None:
        self._ratio, self._block = ratio, block

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return the ratio among open arms."""
        weights = np.where(is_open, self._ratio, 0.0)
        return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the ratio among the arms still open."""
        return self.start(look.is_open, look.control)

    def block_length(self, n_arms: int) -> int:
        """Return the length of a randomisation block; 0 for independent draws."""
        return self._block
