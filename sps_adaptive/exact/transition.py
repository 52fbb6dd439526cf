r"""One stage of the recursion: from a look to the next.

With x the state at a look, :math:`q(d \mid x)` the probability of dealing the counts d, and y responders among those
settled, the weights g of the states follow

.. math:: g'(x + (d, y)) \mathrel{+}= g(x)\, q(d \mid x) \prod_a \binom{d_a}{y_a}.

The sum over y is taken arm by arm, as a convolution with binomial coefficients. Where a share m of the patients is
lost, the coefficients are :math:`\binom{d}{k} (1 - m)^k m^{d - k} \binom{k}{y}` with k known. The response rates do
not enter:
:math:`P_\theta(x) = g(x) \prod_a \theta_a^{s_a} (1 - \theta_a)^{k_a - s_a}`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import comb

from sps_adaptive.exact.dealing import Dealing, independent_law, quota_law
from sps_adaptive.exact.layout import n_rows
from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


class Pending(NamedTuple):
    """What happens to those enrolled but not assessed at a look, by what is known of them: their counts on the arms."""

    settled: Int[Array, "P A"]
    """Of those pending in each way, the patients of each arm who are settled in this stage."""
    carried: Int[Array, " P"]
    """Key, after the stage, of those who are still pending then."""
    added: Int[Array, " M"]
    """What a key of the newly dealt adds to it."""
    rank: Int[Array, " Q"]
    """Way of being pending that a key stands for; -1 for none."""


@lru_cache(maxsize=64)
def growth(most: int, missing: float) -> Float[Array, "D K Y"]:
    """Return the coefficient of k known and y responders among d settled patients; without loss K is 1, for k = d."""
    if missing == 0:
        d, y = np.ogrid[: most + 1, : most + 1]
        return np.asarray(comb(d, y)[:, None, :])
    d, k, y = np.ogrid[: most + 1, : most + 1, : most + 1]
    return np.asarray(comb(d, k) * (1 - missing) ** k * missing ** np.maximum(d - k, 0) * comb(k, y) * (k <= d))


@compiled
def push(
    weight: Float[Array, "P R"],
    pi: Float[Array, "R A"],
    cells: Int[Array, "C A"],
    start: Int[Array, " C+1"],
    thinned: bool,
    how: Dealing,
    pending: Pending,
    coefficient: Float[Array, "D K Y"],
    target_total: int,
    target_where: Int[Array, " W"],
    target_start: Int[Array, " E+1"],
    target: Float[Array, "Q T"],
) -> None:
    """Add to `target` what a batch of states becomes by the next look.

    Parameters
    ----------
    weight
        Weights of the states of the batch, for each way of being pending.
    pi
        Allocation probabilities in each state.
    """
    arms, ways = cells.shape[1], len(pending.settled)
    independent = len(how.block) == 0
    room = 0 if independent else how.key_counts.shape[0]
    keys, work_keys = np.empty(room, np.int64), np.empty(room, np.int64)
    probabilities, work_probabilities = np.empty(room), np.empty(room)
    mark, slot_of = np.full(room, -1, np.int64), np.full(room, -1, np.int64)
    largest = 1
    for c in range(len(cells)):
        largest = max(largest, start[c + 1] - start[c])
    n_slots = len(how.segment_keys)
    slot_key = np.empty(max(room, n_slots), np.int64)
    slot_key[:n_slots] = how.segment_keys
    dealt = np.empty((max(4, n_slots), largest))
    by_arm, holds = np.empty((arms, largest)), np.empty(ways, np.bool_)
    after, step = np.empty(arms, np.int64), np.empty(arms, np.int64)
    mass, room_1, room_2 = np.empty(largest), np.empty(1), np.empty(1)
    for c in range(len(cells)):
        low, size = start[c], start[c + 1] - start[c]
        if not independent:
            n_slots = 0
        for p in range(ways):
            holds[p] = False
            for i in range(size):
                if weight[p, low + i] > 0.0:
                    holds[p] = True
                    break
        if independent:
            independent_law(pi[low : low + size], how, by_arm, dealt)
        for i in range(0 if independent else size):
            if not reached(weight, low + i):
                continue
            n = quota_law(pi[low + i], how, keys, probabilities, work_keys, work_probabilities, mark)
            for j in range(n):
                slot = slot_of[keys[j]]
                if slot < 0:
                    if n_slots == len(dealt):
                        wider = np.empty((2 * n_slots, largest))
                        wider[:n_slots] = dealt
                        dealt = wider
                    slot = n_slots
                    slot_of[keys[j]], slot_key[slot] = slot, keys[j]
                    dealt[slot, :size] = 0.0
                    n_slots += 1
                dealt[slot, i] = probabilities[j]
        for slot in range(n_slots):
            key = slot_key[slot]
            if not independent:
                slot_of[key] = -1
            for p in range(ways):
                if not holds[p]:
                    continue
                place = 0
                for a in range(arms):
                    step[a] = how.key_counts[key, 0, a] + pending.settled[p, a]
                    after[a] = cells[c, a] + step[a]
                for a in range(arms - 1):
                    place = place * (target_total + 1) + after[a]
                if target_where[place] < 0:  # an arm that is closed: there is no cell for what cannot happen
                    continue
                first = target_start[target_where[place]]
                for i in range(size):
                    mass[i] = dealt[slot, i] * weight[p, low + i]
                way = pending.rank[pending.carried[p] + pending.added[key]]
                # grow the arms one by one; the last that grows adds to the target
                last = -1
                for a in range(arms):
                    if step[a] > 0:
                        last = a
                pre, post = 1, size
                source, of_room = mass, False
                for a in range(arms):
                    length = n_rows(cells[c, a], thinned)
                    new_length = n_rows(after[a], thinned)
                    post //= length
                    if step[a] > 0:
                        if a == last:
                            grow(source, pre, cells[c, a], step[a], post, thinned, coefficient,
                                 target[way, first : first + pre * new_length * post])  # fmt: skip
                            break
                        needed = pre * new_length * post
                        if of_room:
                            if len(room_2) < needed:
                                room_2 = np.empty(2 * needed)
                            room = room_2[:needed]
                        else:
                            if len(room_1) < needed:
                                room_1 = np.empty(2 * needed)
                            room = room_1[:needed]
                        room[:] = 0.0
                        grow(source, pre, cells[c, a], step[a], post, thinned, coefficient, room)
                        source, of_room = room, not of_room
                    pre *= new_length
                if last < 0:
                    for i in range(size):
                        target[way, first + i] += mass[i]


@compiled
def reached(weight: Float[Array, "P R"], state: int) -> bool:
    """Return whether a state has any weight."""
    for p in range(len(weight)):  # noqa: SIM110 - numba compiles no generators
        if weight[p, state] > 0.0:
            return True
    return False


@compiled
def cells_reached(weight: Float[Array, "P S"], start: Int[Array, " C+1"], here: Bool[Array, " C"]) -> None:
    """Fill which cells have any weight, in place."""
    for c in range(len(here)):
        here[c] = False
        for state in range(start[c], start[c + 1]):
            if reached(weight, state):
                here[c] = True
                break


@compiled
def grow(
    source: Float[Array, " X"],
    pre: int,
    n: int,
    step: int,
    post: int,
    thinned: bool,
    coefficient: Float[Array, "D K Y"],
    target: Float[Array, " Z"],
) -> None:
    """Settle `step` more patients of the arm in the middle of three axes, adding to `target`."""
    if not thinned:
        new = n + 1 + step
        for before in range(pre):
            for y in range(step + 1):
                factor = coefficient[step, 0, y]
                to = (before * new + y) * post
                at = before * (n + 1) * post
                for i in range((n + 1) * post):
                    target[to + i] += factor * source[at + i]
        return
    length = ((n + 1) * (n + 2)) >> 1
    new = ((n + step + 1) * (n + step + 2)) >> 1
    for before in range(pre):
        for known in range(n + 1):
            at = (before * length + ((known * (known + 1)) >> 1)) * post
            for k in range(step + 1):
                row = ((known + k) * (known + k + 1)) >> 1
                for y in range(k + 1):
                    factor = coefficient[step, k, y]
                    to = (before * new + row + y) * post
                    for i in range((known + 1) * post):
                        target[to + i] += factor * source[at + i]
