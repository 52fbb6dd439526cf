"""The stages of a trial, from one look to the next: who is dealt, who is settled, who goes on pending."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.exact.dealing import Dealing, dealing, key_counts, n_keys, quota_law, radix
from sps_adaptive.exact.layout import compositions
from sps_adaptive.exact.transition import Pending

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Point(NamedTuple):
    """The opening, a look, or the final analysis, counted in patients."""

    enrolled: int
    settled: int
    waiting: tuple[int, ...]
    """Those enrolled but not settled, by the stage in which they will be."""


class Stage(NamedTuple):
    """What happens between two points."""

    begin: Point
    end: Point
    how: Dealing
    pending: Pending
    ways_after: int
    """In how many ways the patients who are pending at the end can be divided among the arms."""

    def steps(self, is_open: tuple[bool, ...], pi: Float[Array, "R A"] | None) -> Int[Array, "D A"]:
        """Return all numbers of patients, by arm, who can be settled in this stage.

        Parameters
        ----------
        is_open
            The arms to which patients can be dealt.
        pi
            The allocation probabilities, where only these are possible.
        """
        keys = np.arange(self.how.n_keys) if pi is None else np.unique(np.concatenate([self._keys(row) for row in pi]))
        dealt = self.how.key_counts[keys]
        possible = (dealt >= 0).all(axis=(1, 2)) & (dealt[:, :, ~np.array(is_open)] == 0).all(axis=(1, 2))
        dealt = np.unique(dealt[possible, 0], axis=0)
        steps = (dealt[:, None, :] + self.pending.settled[None, :, :]).reshape(-1, self.how.arms)
        return np.unique(steps, axis=0)

    def _keys(self, pi: Float[Array, " A"]) -> Int[Array, " D"]:
        if len(self.how.block) == 0:
            return self.how.segment_keys[((self.how.totals == 0) | (pi > 0)).all(axis=1)]
        room = self.how.n_keys
        keys, work = np.empty((2, room), np.int64)
        p, work_p = np.empty((2, room))
        return keys[: quota_law(pi, self.how, keys, p, work, work_p, np.full(room, -1))]


def points(enrolled: tuple[int, ...], settled: tuple[int, ...]) -> list[Point]:
    """Return the points of a trial from the numbers at each of them, the opening and the final analysis included."""
    found = []
    for k in range(len(enrolled)):
        waiting = [
            max(0, min(settled[later], enrolled[k]) - max(settled[later - 1], settled[k]))
            for later in range(k + 1, len(settled))
        ]
        while waiting and waiting[-1] == 0:
            waiting.pop()
        found.append(Point(enrolled[k], settled[k], tuple(waiting)))
    return found


def stage(arms: int, path: list[Point], k: int, block: int, patients: int) -> Stage:
    """Return the stage that begins at point k of a path.

    Parameters
    ----------
    block
        Length of a randomisation block, 0 for independent draws.
    patients
        Largest number of patients: the last block is as long as patients remain.
    """
    begin, end = path[k], path[k + 1]
    dealt = [
        max(0, min(path[later].settled, end.enrolled) - max(path[later - 1].settled, begin.enrolled))
        for later in range(k + 1, len(path))
    ]
    while len(dealt) > 1 and dealt[-1] == 0:
        dealt.pop()
    how = dealing(arms, tuple(dealt), block, patients - begin.enrolled)
    return Stage(
        begin, end, how, _pending(arms, begin.waiting, tuple(dealt), end.waiting), len(ways(end.waiting, arms))
    )


def branch(arms: int, begin: Point, block: int, patients: int) -> Stage:
    """Return the stage from a point to the end of a trial of so many patients, with no look in between."""
    how = dealing(arms, (patients - begin.enrolled,), block, patients - begin.enrolled)
    everybody = ways(begin.waiting, arms).sum(axis=1)
    nothing = np.zeros(how.n_keys, np.int64)
    pending = Pending(everybody, np.zeros(len(everybody), np.int64), nothing, np.zeros(1, np.int64))
    return Stage(begin, Point(patients, patients, ()), how, pending, 1)


def settling(arms: int, begin: Point) -> Stage:
    """Return the stage in which enrolment has stopped and those pending are followed to the end."""
    everybody = ways(begin.waiting, arms).sum(axis=1)
    nobody = np.zeros(1, np.int64)
    pending = Pending(everybody, np.zeros(len(everybody), np.int64), nobody, nobody)
    return Stage(begin, Point(begin.enrolled, begin.enrolled, ()), dealing(arms, (0,), 0, 0), pending, 1)


@lru_cache(maxsize=512)
def ways(waiting: tuple[int, ...], arms: int) -> Int[Array, "P S A"]:
    """Return in which ways the patients who are pending can be divided among the arms, by segment."""
    pieces = list(product(*(compositions(length, arms) for length in waiting)))
    return np.array(pieces, np.int64).reshape(len(pieces), len(waiting), arms)


def _pending(arms: int, before: tuple[int, ...], dealt: tuple[int, ...], after: tuple[int, ...]) -> Pending:
    """Return how those pending before and those newly dealt become settled, or pending after."""
    now, weights = ways(before, arms), radix(after, arms)
    settled = now[:, 0] if before else np.zeros((1, arms), np.int64)
    rank = np.full(n_keys(after, arms), -1)
    rank[_key(ways(after, arms), weights)] = np.arange(len(ways(after, arms)))
    return Pending(
        np.ascontiguousarray(settled), _key(now[:, 1:], weights), _key(key_counts(dealt, arms)[:, 1:], weights), rank
    )


def _key(counts: Int[Array, "P S A"], weights: Int[Array, "T A-1"]) -> Int[Array, " P"]:
    """Return the keys of counts by segment; segments that are not there hold nobody."""
    segments, arms = counts.shape[1:]
    return np.einsum("psa,sa->p", counts[:, :, : arms - 1], weights[:segments, : arms - 1]).astype(np.int64)
