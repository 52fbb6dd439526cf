"""Loops of the Gittins index and of the forward-looking rule, compiled with numba; the formulas are in `gittins_index`.

The indices of all states come from some hundred million updates, the probabilities of one state of a trial from
hundreds. In numpy the first would take minutes; the second has no array form, since every state branches its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

LOT = 32
"""Charges that are tried side by side: enough to fill the widest registers of a processor several times."""
TIE = 1e-9
"""Indices this close are equal. Those of one posterior, reached from two priors, differ by less than 1e-10."""
SPREAD = 7046029254386353131
"""An odd number without pattern: multiplying by it spreads states evenly over the places of a table."""


@compiled
def root_bounds(charge: Float[Array, " L"], gain: Float[Array, " L"]) -> tuple[float, float]:
    """Return bounds of the charge at which the gain is 0; it lies between the second charge and the last but one.

    The gain is convex and falls with the charge. Between two charges the chord therefore lies above it, and its root
    too; the lines through the two charges before and the two after lie below.
    """
    i = 1
    while gain[i + 1] > 0.0:
        i += 1
    upper = charge[i] + (charge[i + 1] - charge[i]) * gain[i] / (gain[i] - gain[i + 1])
    before = charge[i] + (charge[i] - charge[i - 1]) * gain[i] / (gain[i - 1] - gain[i])
    after = charge[i + 1] + (charge[i + 2] - charge[i + 1]) * gain[i + 1] / (gain[i + 1] - gain[i + 2])
    return max(before, after), upper


@compiled
def fair_charges(
    alpha: float,
    beta: float,
    discount: float,
    most: int,
    last: int,
    charges: Float[Array, " L"],
    lower: Float[Array, "S F"],
    upper: Float[Array, "S F"],
) -> None:
    """Fill bounds of the charge a play at which an arm breaks even, for all states of at most `most` outcomes.

    For each charge of the grid the gain from an arm, which may be left for good at any time, is found for all states
    backwards from those of `last` outcomes, in which the arm counts as known. Most states need no work: below a
    boundary the arm is left at once, and from 7.5 standard deviations above the charge on it will never be left.
    """
    gain, charge = np.empty((last + 2, LOT + 3)), np.empty(LOT + 3)
    for start in range(0, len(charges) - 3, LOT):
        size = min(LOT, len(charges) - 3 - start) + 3
        for i in range(size):
            charge[i] = charges[start + i]
        largest = min(max(charge[size - 1], 0.0), 1.0)
        gain[:, :] = 0.0
        played, sure = 0, last + 1  # the lowest state from which the arm is played; the lowest that never leaves it
        for n in range(last, -1, -1):
            total = alpha + beta + n
            if sure <= n + 1 <= last:
                mean = (alpha + sure) / (total + 1.0)
                for i in range(size):
                    gain[sure, i] = (mean - charge[i]) / (1.0 - discount)
            far = largest * total + 7.5 * np.sqrt(largest * (1.0 - largest) * total) + 15.0 - alpha
            sure = max(min(int(np.ceil(far)) + 1, sure, n + 1), 0)
            lowest, played = max(played - 1, 0), min(sure, n + 1)  # one outcome less: at most one success lower
            for s in range(lowest, sure):
                mean = (alpha + s) / total
                other = 1.0 - mean
                if n == last:
                    for i in range(size):
                        gain[s, i] = (mean - charge[i]) / (1.0 - discount)
                else:
                    for i in range(size):
                        gain[s, i] = mean - charge[i] + discount * (mean * gain[s + 1, i] + other * gain[s, i])
                if n <= most and gain[s, 1] > 0.0 and gain[s, size - 2] <= 0.0:
                    lower[s, n - s], upper[s, n - s] = root_bounds(charge[:size], gain[s, :size])
                if gain[s, 0] > 0.0:
                    played = min(played, s)
                for i in range(size):
                    gain[s, i] = max(gain[s, i], 0.0)


@compiled
def place_of(state: int, places: Int[Array, " H"], states: Int[Array, " M"]) -> int:
    """Return where a state stands among the places (open addressing), or the free place where it will stand."""
    where = (state * SPREAD >> 24) & (len(places) - 1)
    while places[where] >= 0 and states[places[where]] != state:
        where = (where + 1) & (len(places) - 1)
    return where


@compiled
def plays(
    table: Int[Array, "R A"],
    successes: Int[Array, "R A"],
    failures: Int[Array, "R A"],
    index: Float[Array, "T S F"],
    priors: Float[Array, "T 2"],
    block: int,
    expected: Float[Array, "R A"],
) -> None:
    """Fill the expected numbers of the next `block` patients whom the Gittins rule sends to each arm; comes as 0.

    `table` names the table of each arm, -1 where the arm is closed. Patient by patient the states of all arms
    together that the rule can reach are kept with their probabilities. A state is a whole number: the successes and
    failures of each arm since the start, a few bits each. States reached in several ways are merged: that leaves
    hundreds where there would be 2 to the power `block`.
    """
    replicates, arms = successes.shape
    bits = 1
    while 1 << bits < block:
        bits += 1
    mask = (1 << bits) - 1
    state, weight = np.zeros(1024, np.int64), np.zeros(1024)
    state_next, weight_next, where = np.zeros(1024, np.int64), np.zeros(1024), np.zeros(1024, np.int64)
    places = np.full(4096, -1)
    value, s, f = np.empty(arms), np.empty(arms, np.int64), np.empty(arms, np.int64)
    for r in range(replicates):
        if table[r].max() < 0:
            continue
        state[0], weight[0], known = 0, 1.0, 1
        for patient in range(block):
            room = 2 * arms * known  # from each state at most two ways for each arm
            if len(state_next) < room:
                state_next, weight_next = np.zeros(2 * room, np.int64), np.zeros(2 * room)
            if len(where) < room:
                where = np.zeros(2 * room, np.int64)
            while len(places) < 2 * room:
                places = np.full(2 * len(places), -1)
            found = 0
            for j in range(known):
                best = -np.inf
                for a in range(arms):
                    s[a] = successes[r, a] + (state[j] >> 2 * a * bits & mask)
                    f[a] = failures[r, a] + (state[j] >> (2 * a + 1) * bits & mask)
                    value[a] = index[table[r, a], s[a], f[a]] if table[r, a] >= 0 else -np.inf
                    best = max(best, value[a])
                tied = 0
                for a in range(arms):
                    tied += value[a] > best - TIE
                share = weight[j] / tied
                for a in range(arms):
                    if value[a] <= best - TIE:
                        continue
                    expected[r, a] += share
                    if patient == block - 1:
                        continue
                    alpha, beta = priors[table[r, a], 0] + s[a], priors[table[r, a], 1] + f[a]
                    for failed in range(2):
                        reached = state[j] + (1 << (2 * a + failed) * bits)
                        place = place_of(reached, places, state_next)
                        if places[place] < 0:
                            places[place] = found
                            state_next[found], weight_next[found], where[found] = reached, 0.0, place
                            found += 1
                        weight_next[places[place]] += share * (beta if failed else alpha) / (alpha + beta)
            for j in range(found):
                places[where[j]] = -1
            state, state_next, weight, weight_next, known = state_next, state, weight_next, weight, found
