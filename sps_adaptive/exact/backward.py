r"""Predictive probability of success in every state, by backward recursion.

At the end :math:`V(x) = 1` where the arm is declared effective in x and 0 elsewhere. One stage earlier

.. math:: V(x) = \sum_d q(d \mid x) \sum_y V(x + (d, y)) \prod_a \mathrm{BB}(y_a; d_a, \alpha_a + s_a, \beta_a + f_a),

with the probability q of dealing the counts d and the Beta-binomial law BB of the responders among them: the mean of V
over what the posterior expects. One pass gives every state of every look (Berry, Carlin, Lee and Müller 2011, section
2.5.1, define the quantity; with response-adaptive randomisation the allocation goes on as the design says).
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betaln, gammaln

from sps_adaptive.contracts import Design
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.calendar import Course
from sps_adaptive.exact.dealing import Dealing, dealing, independent_law, quota_law
from sps_adaptive.exact.layout import Batch, Layer, compositions, layer, place
from sps_adaptive.exact.posterior import priors_of
from sps_adaptive.exact.recursion import BATCH, Arms, look_at, posterior_of
from sps_adaptive.kernels import compiled
from sps_adaptive.verdicts import judge

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

MOST_BYTES = 1e9
"""Tables of predictive probabilities larger than this are not made."""


MOST_STEPS = 2e10
"""Sums of more terms than this, some minutes' work, are not begun."""


class Table(NamedTuple):
    """Predictive probabilities in every state of a look."""

    where: Layer
    value: Float[Array, "S A"]

    def at(self, known: Int[Array, "R A"], responders: Int[Array, "R A"]) -> Float[Array, "R A"]:
        """Return them in given states."""
        cell = self.where.where[place(known, self.where.total)]
        within = np.zeros(len(known), np.int64)
        for arm in range(known.shape[1]):
            within = within * (known[:, arm] + 1) + responders[:, arm]
        return np.asarray(self.value[self.where.start[cell] + within])


def predictive(design: Design, course: Course, is_open: Arms, is_claimed: Arms | None = None) -> dict[int, Table]:
    """Return the probability, at each look, that each arm will be declared effective at the end.

    Nothing stops and no arm closes on the way; patients without an outcome yet count as not yet randomised.

    Parameters
    ----------
    design
        The design; its rules for the final analysis say what success is.
    course
        Looks at which the number of outcomes is certain.
    is_open
        The arms that take patients.
    is_claimed
        Those declared effective before, where it matters; left out: none.

    Returns
    -------
    dict
        A table for each look, by its number in the schedule from 0.

    Raises
    ------
    UsageError
        If patients can be lost, or the tables would be too large.
    """
    if course.missing > 0:
        raise UsageError(
            "with dropouts the number of outcomes still to come is random, and predictive probabilities are not exact",
            "leave dropout out, or use futility with a posterior probability",
        )
    arms, patients = len(design.arms), course.patients
    known = [*(look.settled for look in course.looks), patients]
    states = [layer(compositions(total, arms), total, False) for total in known]
    if sum(each.size for each in states) * arms * 8 > MOST_BYTES:
        raise UsageError(
            f"tables of predictive probabilities for {sum(each.size for each in states):,} states are too large",
            "use fewer looks or fewer patients",
        )
    if _steps(arms, known, [each.size for each in states]) > MOST_STEPS:
        raise UsageError(
            "predictive probabilities sum over everything that can come next, and here that is too much",
            "use more looks, fewer patients or fewer arms",
        )
    before_now = is_claimed or (False,) * arms
    value = _success(design, course, states[-1], is_open, before_now)
    tables: dict[int, Table] = {}
    for k in range(len(course.looks) - 1, -1, -1):
        held = course.looks[k]
        how = dealing(arms, (known[k + 1] - known[k],), design.allocation.block_length(arms), patients - held.settled)
        before = np.empty((states[k].size, arms))
        for batch in states[k].batches(BATCH):
            posterior = posterior_of(design, batch, patients)
            look = look_at(design, course, held.k, held.enrolled, is_open, before_now, batch, posterior)
            pi = np.ascontiguousarray(design.allocation.probabilities(look))
            before[batch.place] = _one_stage(design, batch, pi, how, states[k + 1], value)
        value = before
        tables[held.k] = Table(states[k], value)
    return tables


def _steps(arms: int, known: list[int], sizes: list[int]) -> float:
    """Return about how many terms the sums of all stages have."""
    return sum(
        float(size) * comb(after - before + 2 * arms - 1, 2 * arms - 1)
        for before, after, size in zip(known[:-1], known[1:], sizes[:-1], strict=True)
    )


def _success(design: Design, course: Course, where: Layer, is_open: Arms, is_claimed: Arms) -> Float[Array, "S A"]:
    """Return whether each arm is declared effective in each state at the end, as 0 or 1."""
    value = np.empty((where.size, len(design.arms)))
    n_looks = design.schedule.n_looks(course.patients)
    for batch in where.batches(BATCH):
        posterior = posterior_of(design, batch, course.patients)
        look = look_at(design, course, n_looks, course.patients, is_open, is_claimed, batch, posterior)
        verdict = judge(design, look, np.full(batch.size, design.control))
        value[batch.place] = verdict.claim
    return value


def _one_stage(
    design: Design, batch: Batch, pi: Float[Array, "R A"], how: Dealing, after: Layer, value: Float[Array, "S A"]
) -> Float[Array, "R A"]:
    priors = np.array(priors_of(design))
    most = int(how.key_counts.max(initial=0))
    kinds = np.array(sorted({tuple(prior) for prior in priors.tolist()}))
    kind = np.array([int(np.flatnonzero((kinds == prior).all(axis=1))[0]) for prior in priors])
    gained = _beta_binomial(kinds, int(batch.cells.max(initial=0)), most)
    found = np.zeros((batch.size, len(priors)))
    pull(pi, batch.cells, batch.start, how, gained, kind, after.total, after.where, after.start, value, found)
    return found


def _beta_binomial(kinds: Float[Array, "B 2"], most_n: int, most_d: int) -> Float[Array, "B N S D Y"]:
    """Return the probability of y responders among d more patients, after s among n and one of the priors."""
    kind, n, s, d, y = np.ogrid[: len(kinds), : most_n + 1, : most_n + 1, : most_d + 1, : most_d + 1]
    possible = (s <= n) & (y <= d)
    a = kinds[:, 0][kind] + np.minimum(s, n)
    b = kinds[:, 1][kind] + np.maximum(n - s, 0)
    ways = gammaln(d + 1) - gammaln(y + 1) - gammaln(np.maximum(d - y, 0) + 1)
    return np.where(possible, np.exp(ways + betaln(a + y, b + np.maximum(d - y, 0)) - betaln(a, b)), 0.0)


@compiled
def pull(
    pi: Float[Array, "R A"],
    cells: Int[Array, "C A"],
    start: Int[Array, " C+1"],
    how: Dealing,
    gained: Float[Array, "B N S D Y"],
    kind: Int[Array, " A"],
    after_total: int,
    after_where: Int[Array, " W"],
    after_start: Int[Array, " E+1"],
    value: Float[Array, "S A"],
    found: Float[Array, "R A"],
) -> None:
    """Fill the mean of `value` over what can come next, in place; `found` comes as 0."""
    arms, room = cells.shape[1], max(1, len(how.key_counts))
    keys, work_keys = np.empty(room, np.int64), np.empty(room, np.int64)
    law, work_law, mark = np.empty(room), np.empty(room), np.full(room, -1, np.int64)
    by_arm, dealt = np.empty((arms, 1)), np.empty((max(1, len(how.segment_keys)), 1))
    s, y, d, n_after = np.zeros((4, arms), np.int64)
    for c in range(len(cells)):
        for r in range(start[c], start[c + 1]):
            rest = r - start[c]
            for a in range(arms - 1, -1, -1):
                s[a] = rest % (cells[c, a] + 1)
                rest //= cells[c, a] + 1
            if len(how.block) == 0:
                independent_law(pi[r : r + 1], how, by_arm, dealt)
                n = len(how.segment_keys)
                for j in range(n):
                    keys[j], law[j] = how.segment_keys[j], dealt[j, 0]
            else:
                n = quota_law(pi[r], how, keys, law, work_keys, work_law, mark)
            for j in range(n):
                if law[j] == 0.0:
                    continue
                at = 0
                for a in range(arms):
                    d[a] = how.key_counts[keys[j], 0, a]
                    n_after[a] = cells[c, a] + d[a]
                    y[a] = 0
                for a in range(arms - 1):
                    at = at * (after_total + 1) + n_after[a]
                first = after_start[after_where[at]]
                while True:  # over all numbers of responders, like the wheels of a counter
                    p, state = law[j], 0
                    for a in range(arms):
                        p *= gained[kind[a], cells[c, a], s[a], d[a], y[a]]
                        state = state * (n_after[a] + 1) + s[a] + y[a]
                    for a in range(arms):
                        found[r, a] += p * value[first + state, a]
                    wheel = arms - 1
                    while wheel >= 0 and y[wheel] == d[wheel]:
                        y[wheel] = 0
                        wheel -= 1
                    if wheel < 0:
                        break
                    y[wheel] += 1
