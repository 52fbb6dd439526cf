"""Randomisation blocks that follow the probabilities."""

from __future__ import annotations

from typing import Literal

from sps_adaptive.realisation.blocks import Blocked


class Quota(Blocked):
    r"""Randomisation blocks that follow the probabilities as closely as whole patients allow, and exactly on average.

    The patients of a block of length b stand at the points :math:`(i + u) / b`, in random order, with one uniform u a
    block; a patient gets the arm in whose part of [0, 1) the point lies. An arm with probability p so gets
    :math:`\lfloor bp \rfloor` or :math:`\lceil bp \rceil` patients of a block and bp on average; where bp is a whole
    number for every arm these are permuted blocks. This is systematic sampling (Madow 1949). After each look a new
    block begins, as a new list would.
    """

    kind: Literal["quota"]

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        return f"in randomisation blocks of {self.block_length(usual)}"
