"""Permuted blocks: whole patients, rounded by largest remainder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.contracts import AllocationRule, Look
from sps_adaptive.realisation.blocks import Blocked

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

SNAP = 1e-9
"""Remainders this close to each other are equal, and this close to a whole patient they are one."""


class PermutedBlock(Blocked):
    r"""Blocks with the same whole number of patients on each arm, in random order.

    The probabilities are rounded to multiples of 1/b before a block of b is dealt: each arm gets the whole part of
    :math:`b\pi_a`, and the places left go to the largest remainders (Hamilton's method). Where several remainders tie
    for the last places they share them equally, and chance decides block by block as with `quota`: two of three equal
    arms must not be favoured by their order. The allocation of the tables is the rounded one.

    What is rounded is no longer right on average, and an arm whose :math:`b\pi_a` is below 1 may be rounded away, floor
    or not; `quota` has neither fault. Use it where the protocol promises the numbers of each block. A block that a look
    or the end of the trial cuts short holds its numbers only in part.
    """

    kind: Literal["permuted_block"]

    def rounded(self, rule: AllocationRule, usual: int) -> AllocationRule:
        """Return the allocation rule with probabilities that are whole patients of a block."""
        return Rounded(rule, self.block_length(usual))

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        return f"in permuted blocks of {self.block_length(usual)}, rounded to whole patients by largest remainder"


class Rounded:
    """An allocation rule whose probabilities are rounded to whole patients of a block."""

    def __init__(self, rule: AllocationRule, block: int) -> None:
        self.learns, self._rule, self._block = rule.learns, rule, block

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities depend on the patients enrolled on each arm."""
        return self._rule.counts_enrolled

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return the rounded probabilities before any look."""
        return largest_remainder(self._rule.start(is_open, control), self._block)

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the rounded probabilities after a look."""
        return largest_remainder(self._rule.probabilities(look), self._block)

    def block_length(self, n_arms: int) -> int:
        """Return the length of a randomisation block."""
        return self._block


def largest_remainder(probabilities: Float[Array, "R A"], block: int) -> Float[Array, "R A"]:
    """Return the probabilities rounded to whole patients of a block; tied remainders share what is left equally."""
    seats = block * probabilities
    whole = np.floor(seats + SNAP)
    remainder = np.maximum(seats - whole, 0.0)
    remainder = np.where(remainder < SNAP, 0.0, remainder)
    left = block - whole.sum(axis=1).astype(np.int64)
    ranked = -np.sort(-remainder, axis=1)
    last = np.take_along_axis(ranked, np.maximum(left - 1, 0)[:, None], axis=1)  # the smallest that may get a place
    wins = remainder > last + SNAP
    ties = ~wins & (remainder > last - SNAP) & (left > 0)[:, None]
    shared = (left - wins.sum(axis=1)) / np.maximum(ties.sum(axis=1), 1)
    wins &= (left > 0)[:, None]
    return (whole + wins + np.where(ties, shared[:, None], 0.0)) / block
