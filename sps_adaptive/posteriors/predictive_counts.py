r"""Predictive probability of success, binary outcomes: sums over the responders still to come.

Given the data, the responders among m further patients of an arm follow the Beta-binomial law of the arm's posterior,
:math:`Y_a \sim \mathrm{BB}(m_a; \alpha_a, \beta_a)`, independently between arms. Arm a succeeds if the analysis of the
data then at hand has :math:`P(\theta_a > \theta_0 + \text{margin}) > \text{threshold}`. This probability grows with
the arm's responders y and falls with the control's responders x: to every x belongs a smallest y(x) that succeeds, and
y(x) does not fall. The states (x, y(x)) are stairs, and one walk up them finds all of y(x) in at most
:math:`m_0 + m_a + 1` evaluations. Then

.. math:: P(\text{success}) = \sum_x P(Y_0 = x) P(Y_a \ge y(x)).

Lee and Liu (2008) give it for one arm, Saville, Connor, Ayers and Alvarez (2014) for two; Broglio, Connor and Berry
(2014) use it both for the patients enrolled so far and for the maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betainc

from sps_adaptive.arrays import TIE, above
from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.beta import (
    TABLE_BYTES,
    Priors,
    Table,
    beta_table,
    better_than,
    direct_table,
    distinct,
    quadrature,
    state_parameters,
    state_rows,
    states_of_prior,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


def success_of_counts(
    priors: Priors,
    n: Int[Array, "R A"],
    successes: Int[Array, "R A"],
    n_max: int,
    than: int | None,
    by: float,
    threshold: float,
    more: Int[Array, "R A"],
    fresh: bool = False,
) -> Float[Array, "R A"]:
    r"""Return the probability that each arm will be a success after `more` outcomes of each arm.

    Parameters
    ----------
    priors
        One (alpha, beta) per arm.
    n, successes
        Known outcomes of each arm, and the responders among them.
    n_max
        Largest number of outcomes an arm can have in this trial: it fixes the nodes of the quadrature, so that the
        answer is that of the final analysis of the trial to the last digit.
    than
        The arm to compare with; None compares each arm with the number `by`.
    by
        Success is :math:`P(\theta_a > \theta_{than} + by) > threshold`.
    threshold
        What the probability must exceed.
    more
        Further outcomes of each arm. Without any, the answer is 0 or 1.
    fresh
        Whether the further outcomes are analysed alone, after the prior, as those of a separate trial. What they will
        be is predicted from all that is known in either case.

    Returns
    -------
    array
        Probabilities; for `than` itself 0 or 1, as if its probability of being better were that of `prob_better`.
    """
    if more.shape != n.shape or (more.size and more.min() < 0):
        raise ValueError(f"further outcomes of shape {more.shape}, none below 0, for counts of shape {n.shape}")
    if not fresh and more.size and (n + more).max() > n_max:
        raise ValueError(f"an arm would have more than {n_max} outcomes")
    if than is None:
        return _alone(priors, n, successes, n_max, by, threshold, more, fresh)
    answer = np.full(n.shape, float(above(np.array(1.0 if by < 0 else 0.0), threshold)))  # of `than` itself
    others = [arm for arm in range(n.shape[1]) if arm != than]
    if not -1 < by < 1:
        return answer
    # A separate trial is analysed with the nodes that its own size asks for, whatever else is in the batch.
    size = more.max(axis=1, initial=0) if fresh else np.full(len(n), n_max)
    for most in np.unique(size):
        here = size == most
        part = _Pairs.of(priors, n[here], successes[here], n_max, than, more[here])
        answer[np.ix_(here, others)] = part.success(priors, int(most), float(by), threshold, fresh)[part.where]
    return answer


class _Pairs(NamedTuple):
    """The distinct pairs of an arm and the control, in states with further outcomes; most trials of a block share."""

    law: tuple[Float[Array, " U"], Float[Array, " U"]]
    """Posterior (alpha, beta) of each distinct state."""
    state: Int[Array, "U 4"]
    """Place of its prior among the distinct ones, known outcomes, responders, further outcomes."""
    pair: Int[Array, "P 2"]
    """The two states of each distinct pair: control, arm."""
    where: Int[Array, "R B"]
    """The pair of each replicate and arm other than the control."""

    @classmethod
    def of(
        cls,
        priors: Priors,
        n: Int[Array, "R A"],
        successes: Int[Array, "R A"],
        n_max: int,
        than: int,
        more: Int[Array, "R A"],
    ) -> _Pairs:
        """Return the distinct pairs of a batch."""
        kinds, most = distinct(priors), int(more.max(initial=0)) + 1
        code, which = np.unique(state_rows(kinds, priors, n, successes, n_max) * most + more, return_inverse=True)
        which = which.reshape(n.shape)
        row, further = np.divmod(code, most)
        kind, state = np.divmod(row, states_of_prior(n_max))
        known = ((np.sqrt(8.0 * state + 1) - 1) / 2).astype(np.int64)
        others = [arm for arm in range(n.shape[1]) if arm != than]
        joint, where = np.unique(which[:, [than]] * len(code) + which[:, others], return_inverse=True)
        return cls(
            law=state_parameters(kinds, row, n_max),
            state=np.stack([kind, known, state - known * (known + 1) // 2, further], axis=1),
            pair=np.stack(np.divmod(joint, max(len(code), 1)), axis=1),
            where=where.reshape(len(n), len(others)),
        )

    def success(self, priors: Priors, n_max: int, by: float, threshold: float, fresh: bool) -> Float[Array, " P"]:
        """Return the probability of each pair; `n_max` is the largest number of outcomes of an arm at the analysis."""
        kind, known, responders, more = self.state.T
        if fresh:
            known = responders = np.zeros_like(known)
        table, row = _rows(distinct(priors), n_max, by, kind, known + more, responders, more)
        found = np.empty(len(self.pair))
        climb(*self.law, more, row, self.pair, *table, by >= 0, threshold, found)
        return found


def _rows(
    kinds: Priors,
    n_max: int,
    by: float,
    kind: Int[Array, " U"],
    n: Int[Array, " U"],
    successes: Int[Array, " U"],
    more: Int[Array, " U"],
) -> tuple[Table, Int[Array, " U"]]:
    """Return a table, and the row of each state when none of the further patients respond.

    The rows of one more responder each follow. The table is that of all states, or of those that can be reached if all
    are too many.
    """
    states = states_of_prior(n_max)
    row = kind * states + n * (n + 1) // 2 + successes
    if 16 * len(quadrature(kinds, n_max).point) * len(kinds) * states <= TABLE_BYTES:
        return beta_table(kinds, n_max, by), row
    reached = np.unique(np.concatenate([np.arange(first, first + m + 1) for first, m in zip(row, more, strict=True)]))
    alpha, beta = state_parameters(kinds, reached, n_max)
    return direct_table(alpha, beta, by, quadrature(kinds, n_max)), np.searchsorted(reached, row)


def _alone(
    priors: Priors,
    n: Int[Array, "R A"],
    successes: Int[Array, "R A"],
    n_max: int,
    value: float,
    threshold: float,
    more: Int[Array, "R A"],
    fresh: bool,
) -> Float[Array, "R A"]:
    """Return the probability that P(arm > value) will exceed the threshold: a tail of the Beta-binomial law."""
    kinds, most = distinct(priors), int(more.max(initial=0)) + 1
    code, where = np.unique(state_rows(kinds, priors, n, successes, n_max) * most + more, return_inverse=True)
    row, further = np.divmod(code, most)
    alpha, beta = state_parameters(kinds, row, n_max)
    prior = np.array(kinds)[row // states_of_prior(n_max)]
    start_alpha, start_beta = (prior[:, 0], prior[:, 1]) if fresh else (alpha, beta)
    responders = np.arange(most)
    possible = responders <= further[:, None]
    failures = np.where(possible, further[:, None] - responders, 0)
    at = float(np.clip(value, 0.0, 1.0))
    better = betainc(start_beta[:, None] + failures, start_alpha[:, None] + responders, 1 - at)
    fails = (possible & ~above(better, threshold)).sum(axis=1)  # the number of responders that is too small
    found = np.empty(len(code))
    exceed(alpha, beta, further, fails, found)
    return np.asarray(found[where.reshape(n.shape)])


@compiled
def beta_binomial(alpha: float, beta: float, m: int, weight: Float[Array, " M"]) -> None:
    """Fill the Beta-binomial law of the responders among m, up to a factor, in place.

    From the mean outwards by ratios of neighbours: no logarithm of a gamma function, and nothing overflows.
    """
    middle = min(int(m * alpha / (alpha + beta)), m)
    weight[middle] = 1.0
    for y in range(middle, m):
        weight[y + 1] = weight[y] * ((m - y) * (alpha + y)) / ((y + 1) * (beta + m - y - 1))
    for y in range(middle, 0, -1):
        weight[y - 1] = weight[y] * (y * (beta + m - y)) / ((m - y + 1) * (alpha + y - 1))


@compiled
def exceed(
    alpha: Float[Array, " U"],
    beta: Float[Array, " U"],
    more: Int[Array, " U"],
    fails: Int[Array, " U"],
    found: Float[Array, " U"],
) -> None:
    """Fill the probability of at least `fails` responders (one more than all: never), in place."""
    weight = np.empty(more.max() + 1 if len(more) else 1)
    for u in range(len(more)):
        beta_binomial(alpha[u], beta[u], more[u], weight)
        success, failure = 0.0, 0.0
        for y in range(more[u], -1, -1):
            if y >= fails[u]:
                success += weight[y]
            else:
                failure += weight[y]
        found[u] = success / (success + failure)


@compiled
def climb(
    alpha: Float[Array, " U"],
    beta: Float[Array, " U"],
    more: Int[Array, " U"],
    row: Int[Array, " U"],
    pair: Int[Array, "P 2"],
    weighted_pdf: Float[Array, "S G"],
    cdf: Float[Array, "S G"],
    upwards: bool,
    threshold: float,
    found: Float[Array, " P"],
) -> None:
    """Fill the probability of success of each pair, in place, by a walk up the stairs.

    Success and failure are summed apart and divided by their sum: what is certain is exactly 0 or 1.
    """
    most = more.max() + 1 if len(more) else 1
    weight_0, weight_a, beyond = np.empty(most), np.empty(most), np.empty(most + 1)
    at, better = np.zeros((1, 2), np.int64), np.empty((1, 2))
    for p in range(len(pair)):
        control, arm = pair[p, 0], pair[p, 1]
        m_0, m_a = more[control], more[arm]
        beta_binomial(alpha[control], beta[control], m_0, weight_0)
        beta_binomial(alpha[arm], beta[arm], m_a, weight_a)
        beyond[m_a + 1] = 0.0
        for y in range(m_a, -1, -1):
            beyond[y] = beyond[y + 1] + weight_a[y]
        success, failure, short, y = 0.0, 0.0, 0.0, 0
        for x in range(m_0 + 1):
            while y <= m_a:
                at[0, 0], at[0, 1] = row[control] + x, row[arm] + y
                better_than(weighted_pdf, cdf, at, 0, upwards, better)
                if better[0, 1] - threshold > TIE:
                    break
                short += weight_a[y]
                y += 1
            success += weight_0[x] * beyond[y]
            failure += weight_0[x] * short
        found[p] = success / (success + failure)
