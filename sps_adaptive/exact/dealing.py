r"""With which probability the next patients are dealt which arms: the law of the counts.

Between two looks the allocation probabilities are fixed. What a state of the trial needs to know of the patients dealt
in between is how many got which arm, told apart by when they will be assessed: before the next look, or before a later
one. These numbers are kept as one *key*, a number in a mixed radix, so that keys of different patients add up.

With independent draws the law is a product of multinomials. With quotas a randomisation block of length b puts its
places at :math:`(i + u) / b`, so that the counts of the block take at most as many values as there are arms; patients
draw places at random, so that a block which a look cuts short (or divides among those assessed earlier and later) is
divided by a multivariate hypergeometric law. Compare `kernels.spread`, which deals the same lists one by one.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.exact.layout import compositions
from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

SNAP = 1e-12
"""A quota this close to a whole number of patients is that number: 6 times 1/3 is 2."""


class Dealing(NamedTuple):
    """How the patients between two looks are dealt. All arrays, so that compiled code can take it."""

    arms: int
    key_counts: Int[Array, "M S A"]
    """Patients of each segment on each arm, for each key."""
    segment_keys: Int[Array, " D"]
    """With independent draws: every possible key."""
    ways: Float[Array, " D"]
    """In how many orders it can come about."""
    totals: Int[Array, "D A"]
    """Patients on each arm, all segments together."""
    block: Int[Array, " B"]
    """With quotas: the length of each randomisation block; empty otherwise."""
    code_base: Int[Array, " B"]
    """Where the counts of a block's arms begin in `split_start`."""
    split_start: Int[Array, " X"]
    """Where the divisions of given counts among the segments begin."""
    split_key: Int[Array, " Y"]
    split_probability: Float[Array, " Y"]

    @property
    def n_keys(self) -> int:
        """Size of the mixed radix."""
        return len(self.key_counts)


def radix(lengths: tuple[int, ...], arms: int) -> Int[Array, "S A-1"]:
    """Return what a patient of a segment on an arm adds to the key; the last arm has what is left."""
    weights, step = np.zeros((len(lengths), max(arms - 1, 1)), np.int64), 1
    for segment, length in enumerate(lengths):
        for arm in range(arms - 1):
            weights[segment, arm] = step
            step *= length + 1
    return weights


def n_keys(lengths: tuple[int, ...], arms: int) -> int:
    """Return how many keys there are, possible or not."""
    return int(np.prod([float(length + 1) ** (arms - 1) for length in lengths]))


@lru_cache(maxsize=16)
def key_counts(lengths: tuple[int, ...], arms: int) -> Int[Array, "M S A"]:
    """Return the counts that each key stands for."""
    keys = np.arange(n_keys(lengths, arms))
    counts = np.zeros((len(keys), len(lengths), arms), np.int64)
    for segment, length in enumerate(lengths):
        for arm in range(arms - 1):
            keys, counts[:, segment, arm] = np.divmod(keys, length + 1)
        counts[:, segment, -1] = length - counts[:, segment, :-1].sum(axis=1)
    return counts


@lru_cache(maxsize=16)
def dealing(arms: int, segments: tuple[int, ...], block: int, before_end: int) -> Dealing:
    """Return how patients are dealt after a look.

    Parameters
    ----------
    arms
        Number of arms.
    segments
        How many of the patients dealt until the next look are assessed in each of the coming intervals between
        looks; in order of enrolment those of the first interval come first.
    block
        Length of a randomisation block, 0 for independent draws.
    before_end
        Patients that could still be enrolled: the last block is as long as patients remain.
    """
    counts = key_counts(segments, arms)
    none_int, none_float = np.empty(0, np.int64), np.empty(0)
    if block == 0 or sum(segments) <= 1:  # of one patient a quota says no more than an independent draw
        weights = radix(segments, arms)
        pieces = list(product(*(compositions(length, arms) for length in segments)))
        chosen = np.array(pieces, np.int64).reshape(len(pieces), len(segments), arms)
        keys = np.einsum("dsa,sa->d", chosen[:, :, : arms - 1], weights[:, : arms - 1])
        ways = np.array([np.prod([float(multinomial(part)) for part in each]) for each in chosen])
        return Dealing(arms, counts, keys, ways, chosen.sum(axis=1), none_int, none_int, none_int, none_int, none_float)
    lengths, seen = blocks(segments, block, before_end)
    base: dict[tuple[int, tuple[int, ...]], int] = {}
    start, split_key, split_probability = [0], [], []
    for size, parts in zip(lengths, seen, strict=True):
        if (size, parts) in base:
            continue
        base[size, parts] = len(start) - 1
        for code in range((size + 1) ** (arms - 1)):
            full = np.append(code // (size + 1) ** np.arange(arms - 1) % (size + 1), 0)
            full[-1] = size - full.sum()
            for key, probability in divisions(full, parts, radix(segments, arms)) if full[-1] >= 0 else []:
                split_key.append(key)
                split_probability.append(probability)
            start.append(len(split_key))
    return Dealing(
        arms, counts, none_int, none_float, np.empty((0, arms), np.int64),
        np.array(lengths, np.int64), np.array([base[each] for each in zip(lengths, seen, strict=True)], np.int64),
        np.array(start, np.int64), np.array(split_key, np.int64), np.array(split_probability, float),
    )  # fmt: skip


def blocks(segments: tuple[int, ...], block: int, before_end: int) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return the length of each randomisation block and how many of its patients are in each segment."""
    belongs = np.repeat(np.arange(len(segments)), segments)
    lengths, seen = [], []
    for first in range(0, len(belongs), block):
        lengths.append(min(block, before_end - first))
        inside = belongs[first : first + block]
        seen.append(tuple(int((inside == segment).sum()) for segment in range(len(segments))))
    return lengths, seen


def multinomial(counts: Int[Array, " A"]) -> int:
    """Return in how many orders patients with these counts can come."""
    ways, so_far = 1, 0
    for count in counts:
        so_far += int(count)
        ways *= comb(so_far, int(count))
    return ways


def divisions(full: Int[Array, " A"], parts: tuple[int, ...], weights: Int[Array, "S A-1"]) -> list[tuple[int, float]]:
    """Return the keys into which a block of given counts can fall, with their probabilities.

    The patients who are seen are drawn from the block without replacement, segment by segment.
    """
    arms = len(full)
    if parts and sum(parts) == full.sum() and max(parts) == sum(parts):  # the whole block in one segment
        segment = int(np.argmax(parts))
        return [(int(full[: arms - 1] @ weights[segment, : arms - 1]), 1.0)]
    found: dict[int, float] = {}

    def draw(segment: int, left: Int[Array, " A"], key: int, probability: float) -> None:
        if segment == len(parts):
            found[key] = found.get(key, 0.0) + probability
            return
        for taken in compositions(parts[segment], arms):
            if (taken <= left).all():
                ways = float(np.prod([comb(int(n), int(k)) for n, k in zip(left, taken, strict=True)]))
                share = ways / comb(int(left.sum()), parts[segment])
                step = int(taken[: arms - 1] @ weights[segment, : arms - 1])
                draw(segment + 1, left - taken, key + step, probability * share)

    draw(0, full, 0, 1.0)
    return sorted(found.items())


@compiled
def quota_law(
    pi: Float[Array, " A"],
    how: Dealing,
    keys: Int[Array, " M"],
    probabilities: Float[Array, " M"],
    work_keys: Int[Array, " M"],
    work_probabilities: Float[Array, " M"],
    mark: Int[Array, " M"],
) -> int:
    """Fill the possible keys with quotas and their probabilities, and return how many there are.

    The last three arrays are room to work in; `mark` comes and goes as -1.
    """
    arms = how.arms
    keys[0], probabilities[0] = 0, 1.0
    n = 1
    whole = np.empty(arms, np.int64)
    corner = np.empty(arms + 1)
    of = np.empty(arms + 1, np.int64)
    for b in range(len(how.block)):
        size = how.block[b]
        cumulative = 0.0
        n_corners = 0
        for a in range(arms - 1):
            cumulative += pi[a]
            reach = min(cumulative * size, float(size))
            below = np.floor(reach)
            part = reach - below
            if part > 1.0 - SNAP:
                below += 1.0
                part = 0.0
            if part < SNAP:
                part = 0.0
            whole[a] = int(below)
            # insert the place at which arm a's count changes, in increasing order
            at = n_corners
            while at > 0 and corner[at - 1] > part:
                corner[at], of[at] = corner[at - 1], of[at - 1]
                at -= 1
            corner[at], of[at] = part, a
            n_corners += 1
        # With u below a corner the places up to that arm reach one further.
        for a in range(arms - 1):
            whole[a] += 1
        low, n_new = 0.0, 0
        for i in range(n_corners + 1):
            high = corner[i] if i < n_corners else 1.0
            if high > low:
                code, scale, before = how.code_base[b], 1, 0
                for a in range(arms - 1):
                    code += (whole[a] - before) * scale
                    before = whole[a]
                    scale *= size + 1
                for split in range(how.split_start[code], how.split_start[code + 1]):
                    p = (high - low) * how.split_probability[split]
                    for j in range(n):
                        key = keys[j] + how.split_key[split]
                        if mark[key] < 0:
                            mark[key] = n_new
                            work_keys[n_new], work_probabilities[n_new] = key, 0.0
                            n_new += 1
                        work_probabilities[mark[key]] += probabilities[j] * p
                low = high
            if i < n_corners:
                whole[of[i]] -= 1
        for j in range(n_new):
            mark[work_keys[j]] = -1
            keys[j], probabilities[j] = work_keys[j], work_probabilities[j]
        n = n_new
    return n


@compiled
def independent_law(
    pi: Float[Array, "R A"], how: Dealing, by_arm: Float[Array, "A R"], law: Float[Array, "D R"]
) -> None:
    """Fill the probability of each of `segment_keys` with independent draws, in every state.

    `by_arm` is room to work in.
    """
    size = len(pi)
    for a in range(how.arms):
        for i in range(size):
            by_arm[a, i] = pi[i, a]
    for d in range(len(how.segment_keys)):
        for i in range(size):
            law[d, i] = how.ways[d]
        for a in range(how.arms):
            for _ in range(how.totals[d, a]):
                for i in range(size):
                    law[d, i] *= by_arm[a, i]
