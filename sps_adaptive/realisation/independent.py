"""A draw for each patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sps_adaptive.contracts import Dealer
from sps_adaptive.realisation.blocks import Blocks
from sps_adaptive.realisation.realisation import Realisation


class Independent(Realisation):
    r"""A draw for each patient, whatever the others got.

    Nothing can be guessed, and nothing is balanced: the number on an arm with probability p has a standard deviation
    of :math:`\sqrt{n p (1 - p)}`, which is 2.3 of 24 patients at p = 1/3. For comparisons with the literature, where
    this is what most papers on response-adaptive randomisation simulate (Villar, Bowden and Wason 2015).
    """

    kind: Literal["independent"]

    def dealer(self, usual: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list."""
        return Blocks(0)

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        return "by independent draws"
