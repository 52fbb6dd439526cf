"""Ordered categories as an analysis sees them, from the worst to the best (shared by the ordinal models)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import AnalysisSetting, Array, Snapshot


class Categories(NamedTuple):
    """The scores of an endpoint, and which of them are good."""

    number: int
    lowest: float
    """Oriented score of the worst category."""
    scores: tuple[float, ...]
    """Score of each category on the endpoint's own scale, from the worst to the best."""

    @classmethod
    def of(cls, setting: AnalysisSetting) -> Categories:
        """Return the categories of the endpoint of a trial."""
        scores = setting.endpoint.scores
        worst = scores[0] if setting.higher_is_better else -scores[-1]
        return cls(len(scores), float(worst), tuple(scores if setting.higher_is_better else scores[::-1]))

    def place(self, snapshot: Snapshot) -> Int[Array, "R N"]:
        """Return the category of each patient's last outcome; 0 where it is not known."""
        value = np.where(snapshot.known[..., -1], snapshot.value[..., -1], self.lowest)
        return np.rint(value - self.lowest).astype(np.int64)

    def counts(self, snapshot: Snapshot) -> Int[Array, "R A C"]:
        """Return the patients of each arm in each category, of those whose outcome is known."""
        replicates, arms = snapshot.arm_known.shape
        known = snapshot.known[..., -1] & (snapshot.arm >= 0)
        cell = (np.arange(replicates)[:, None] * arms + snapshot.arm) * self.number + self.place(snapshot)
        total = np.bincount(cell[known], minlength=replicates * arms * self.number)
        return total.reshape(replicates, arms, self.number)

    def drawn(self, share: Float[Array, "S A C"], generator: np.random.Generator) -> Float[Array, "S A"]:
        """Return the score of a new patient on each arm, given the shares of the categories."""
        at_most = share.cumsum(axis=2)[..., :-1]
        luck = generator.random(share.shape[:2])
        return np.asarray(self.scores)[(luck[..., None] >= at_most).sum(axis=2)]
