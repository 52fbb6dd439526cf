"""Independent Beta posteriors of response probabilities, by quadrature on tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betainc, betaincc, betaincinv, betaln

from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.beta_difference import difference_quantiles
from sps_adaptive.posteriors.quadrature import Rule, legendre_rule, sine_rule, tanh_sinh_rule

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

Priors = tuple[tuple[float, float], ...]
"""Pairs (alpha, beta)."""

TABLE_BYTES = 200_000_000
"""Larger tables are not made: the rows of the states at hand are computed instead."""


class Table(NamedTuple):
    """What the integrals need, for each state of an arm and each node."""

    weighted_pdf: Float[Array, "S G"]
    """Weight of the node times the posterior density at it."""
    cdf: Float[Array, "S G"]
    """Posterior cdf at the node moved up by the margin."""


@dataclass(frozen=True, eq=False)
class BetaPosterior:
    r"""Independent posteriors :math:`\theta_a \sim \mathrm{Beta}(\alpha_a + s_a, \beta_a + n_a - s_a)`.

    With whole-number priors the integrands of `prob_best` and `prob_better` are polynomials, and
    Gauss-Legendre nodes integrate them to rounding error (Miller 2015 and Cook 2003 treat the same
    integrals). Densities and cdfs at the nodes are tabulated once for all states an arm can be in.
    """

    priors: Priors
    """One (alpha, beta) per arm."""
    n: Int[Array, "R A"]
    """Known outcomes."""
    successes: Int[Array, "R A"]
    n_max: int
    """Largest number of outcomes an arm can have: it fixes the nodes, whatever has been seen so far."""

    @classmethod
    def from_counts(
        cls, priors: Priors, n: Int[Array, "R A"], successes: Int[Array, "R A"], n_max: int
    ) -> BetaPosterior:
        """Return the posterior after `successes` among `n` outcomes, at most `n_max` in any arm."""
        if n.shape != successes.shape or n.shape[1] != len(priors):
            raise ValueError(f"counts of shapes {n.shape} and {successes.shape} for {len(priors)} arms")
        if n.size and (n.max() > n_max or successes.min() < 0 or (successes > n).any()):
            raise ValueError(f"counts must satisfy 0 <= successes <= n <= {n_max}")
        return cls(tuple((float(a), float(b)) for a, b in priors), n, successes, int(n_max))

    @property
    def alpha(self) -> Float[Array, "R A"]:
        """First parameter of each arm."""
        return np.array([a for a, _ in self.priors]) + self.successes

    @property
    def beta(self) -> Float[Array, "R A"]:
        """Second parameter of each arm."""
        return np.array([b for _, b in self.priors]) + (self.n - self.successes)

    def counts(self) -> tuple[Int[Array, "R A"], Int[Array, "R A"]]:
        """Return known outcomes and responders of each arm."""
        return self.n, self.successes

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return self.alpha / (self.alpha + self.beta)

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        patients = self.alpha + self.beta
        return np.sqrt(self.alpha * self.beta / (patients + 1)) / patients

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation of a yes or no at the posterior mean of each arm."""
        mean = self.mean()
        return np.sqrt(mean * (1 - mean))

    def log_bayes_factor_equal(self, among: Bool[Array, "R A"]) -> Float[Array, " R"]:
        r"""Return log P(data | the arms of `among` are equal) - log P(data | each has a rate of its own).

        With :math:`B` the beta function, S responders among n in all those arms and the parameters of a common prior,

        .. math:: \log \frac{B(\bar\alpha + S, \bar\beta + n - S)}{B(\bar\alpha, \bar\beta)}
            - \sum_a \log \frac{B(\alpha_a + s_a, \beta_a + n_a - s_a)}{B(\alpha_a, \beta_a)}.

        The prior of the common rate is the logarithmic pool of the arms' priors with equal weights, that is
        the Beta distribution with their mean parameters: the prior itself where all arms have the same.
        """
        first, second = np.array(self.priors).T
        own = betaln(self.alpha, self.beta) - betaln(first, second)
        number = np.maximum(among.sum(axis=1), 1)
        first, second = (np.where(among, part, 0.0).sum(axis=1) / number for part in (first, second))
        first, second = (np.where(among.any(axis=1), part, 1.0) for part in (first, second))
        responders = np.where(among, self.successes, 0).sum(axis=1)
        others = np.where(among, self.n - self.successes, 0).sum(axis=1)
        together = betaln(first + responders, second + others) - betaln(first, second)
        return np.asarray(together - np.where(among, own, 0.0).sum(axis=1))

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        alpha, beta, where = self._distinct_states()
        return np.asarray(betaincc(alpha, beta, min(max(value, 0.0), 1.0))[where])

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        tail = (1 - level) / 2
        alpha, beta, where = self._distinct_states()
        ends = np.stack([betaincinv(alpha, beta, tail), betaincinv(alpha, beta, 1 - tail)], axis=-1)
        return np.asarray(ends[where])

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        table, row = self._table(0.0)
        best = np.zeros(among.shape)
        best_of(table.weighted_pdf, table.cdf, row, np.ascontiguousarray(among), best)
        return best

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        better = np.full(self.n.shape, 1.0 if by < 0 else 0.0)
        if -1 < by < 1:
            table, row = self._table(float(by))
            better_than(table.weighted_pdf, table.cdf, row, than, by >= 0, better)
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        mean, tail = self.mean(), (1 - level) / 2
        answer = np.zeros((*self.n.shape, 3))
        answer[..., 0] = mean - mean[:, [than]]
        others = [arm for arm in range(self.n.shape[1]) if arm != than]
        alpha, beta, where = self._distinct_states()
        pair = np.stack([where[:, others], np.broadcast_to(where[:, [than]], (len(mean), len(others)))], axis=-1)
        smallest = min(min(prior) for prior in self.priors)
        quantiles = difference_quantiles(alpha, beta, pair, np.array([tail, 1 - tail]), smallest)
        answer[:, others, 1:] = quantiles
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm); see `predictive_counts`."""
        from sps_adaptive.posteriors.predictive_counts import success_of_counts

        counts = self.n, self.successes, self.n_max
        return success_of_counts(self.priors, *counts, than, by, threshold, more, fresh)

    def _distinct_states(self) -> tuple[Float[Array, " U"], Float[Array, " U"], Int[Array, "R A"]]:
        """Return the parameters of the distinct states present, and which of them each arm is in."""
        kinds = distinct(self.priors)
        row, where = np.unique(state_rows(kinds, self.priors, self.n, self.successes, self.n_max), return_inverse=True)
        alpha, beta = state_parameters(kinds, row, self.n_max)
        return alpha, beta, where.reshape(self.n.shape)

    def _table(self, margin: float) -> tuple[Table, Int[Array, "R A"]]:
        """Return a table and the row of each arm in it: of all states, or of those present if all are too many."""
        kinds = distinct(self.priors)
        nodes = len(quadrature(kinds, self.n_max).point)
        if 16 * nodes * len(kinds) * states_of_prior(self.n_max) <= TABLE_BYTES:
            table = beta_table(kinds, self.n_max, margin)
            return table, state_rows(kinds, self.priors, self.n, self.successes, self.n_max)
        alpha, beta, where = self._distinct_states()
        return direct_table(alpha, beta, margin, quadrature(kinds, self.n_max)), where


def distinct(priors: Priors) -> Priors:
    """Return the different priors, in an order that does not depend on the order of the arms."""
    return tuple(sorted(set(priors)))


def states_of_prior(n_max: int) -> int:
    """Return the number of states (n, successes) with n <= n_max."""
    return (n_max + 1) * (n_max + 2) // 2


def state_rows(
    kinds: Priors, priors: Priors, n: Int[Array, "R A"], successes: Int[Array, "R A"], n_max: int
) -> Int[Array, "R A"]:
    """Return the row of each arm's state: offset of its prior + n (n + 1) / 2 + successes."""
    offset = np.array([kinds.index(prior) for prior in priors]) * states_of_prior(n_max)
    return np.ascontiguousarray(offset + (n * (n + 1) >> 1) + successes)


def state_parameters(kinds: Priors, row: Int[Array, " U"], n_max: int) -> tuple[Float[Array, " U"], Float[Array, " U"]]:
    """Return (alpha, beta) of rows: the inverse of `state_rows`."""
    kind, state = np.divmod(row, states_of_prior(n_max))
    n = ((np.sqrt(8.0 * state + 1) - 1) / 2).astype(np.int64)
    successes = state - n * (n + 1) // 2
    prior = np.array(kinds)[kind]
    return prior[:, 0] + successes, prior[:, 1] + (n - successes)


@lru_cache(maxsize=64)
def quadrature(kinds: Priors, n_max: int) -> Rule:
    r"""Return the nodes for posteriors of at most `n_max` outcomes after any of the priors.

    In :math:`\theta = \arccos(1 - 2x)` every such posterior has a standard deviation of at least about
    :math:`1/\sqrt{n}`, and Gauss-Legendre nodes are evenly spread: their number need only grow with
    :math:`\sqrt{n}`. Whole-number priors leave the integrand a polynomial in x. Half-integers leave one
    in sines and cosines of :math:`\theta`, and parameters above 3/2 one that is smooth enough: these use
    Gauss-Legendre in :math:`\theta`. Anything else has singular ends, which tanh-sinh removes (Takahasi
    and Mori 1974). The tests hold the errors of the three: 1e-12, 1e-8, 1e-8.
    """
    parameters = [parameter for prior in kinds for parameter in prior]
    root = np.sqrt(n_max + max(sum(prior) for prior in kinds))
    if all(parameter == int(parameter) for parameter in parameters):
        return legendre_rule(int(3.5 * root) + 12)
    if all(2 * parameter == int(2 * parameter) or parameter >= 1.5 for parameter in parameters):
        return sine_rule(int(5.5 * root) + 24)
    return tanh_sinh_rule(step=0.38 / (root + 1), smallest=min(parameters))


class Nodes(NamedTuple):
    """Where the density of one arm and the cdf of the other are needed, for a margin."""

    log_x: Float[Array, " G"]
    log_1_minus_x: Float[Array, " G"]
    """Logarithms of x and 1 - x: arguments of the density."""
    moved: Float[Array, " G"]
    moved_complement: Float[Array, " G"]
    """x + margin and 1 - x - margin: arguments of the cdf."""
    log_weight: Float[Array, " G"]


def nodes_for(margin: float, rule: Rule) -> Nodes:
    """Return nodes on those x in [0, 1] for which x + margin is in [0, 1] too, without cancellation."""
    shift, width = abs(margin), 1 - abs(margin)
    low, low_complement = width * rule.point, shift + width * rule.complement
    high, high_complement = shift + width * rule.point, width * rule.complement
    if margin < 0:
        low, high, low_complement, high_complement = high, low, high_complement, low_complement
    return Nodes(np.log(low), np.log(low_complement), high, high_complement, np.log(width) + np.log(rule.weight))


@lru_cache(maxsize=6)
def beta_table(kinds: Priors, n_max: int, margin: float) -> Table:
    r"""Return weighted densities and cdfs of all states, rows in the order of `state_rows`.

    The cdfs come from one incomplete Beta function per prior and node and the recurrences

    .. math::
        I_x(a, b + 1) = I_x(a, b) + x^a (1 - x)^b / (b B(a, b)), \quad
        I_x(a + 1, b) = I_x(a, b) - x^a (1 - x)^b / (a B(a, b))

    (Abramowitz and Stegun 26.5.15-16), whose rounding errors add up to no more than about n_max times 1e-16.
    """
    nodes = nodes_for(margin, quadrature(kinds, n_max))
    states = states_of_prior(n_max)
    table = Table(*(np.empty((len(kinds) * states, len(nodes.moved))) for _ in range(2)))
    for i, prior in enumerate(kinds):
        own = slice(i * states, (i + 1) * states)
        fill_table(prior, n_max, nodes, Table(table.weighted_pdf[own], table.cdf[own]))
    for array in table:
        array.setflags(write=False)  # the table is shared by all posteriors of the process
    return table


def fill_table(prior: tuple[float, float], n_max: int, nodes: Nodes, table: Table) -> None:
    """Fill the rows of one prior, by the recurrences, in place."""
    a0, b0 = prior
    counts = np.arange(n_max + 1)
    log_p, log_q = np.log(nodes.moved), np.log(nodes.moved_complement)
    grown = b0 + counts[:-1]
    steps = np.exp(a0 * log_p + np.outer(grown, log_q) - (np.log(grown) + betaln(a0, grown))[:, None])
    no_success = cdf_at(a0, b0, nodes) + running_sum(steps)
    for failures in counts:
        s = counts[: n_max + 1 - failures]
        a, b = a0 + s, b0 + failures
        row = (s + failures) * (s + failures + 1) // 2 + s
        log_norm = betaln(a, b)
        log_density = np.outer(a - 1, nodes.log_x) + (b - 1) * nodes.log_1_minus_x - log_norm[:, None]
        table.weighted_pdf[row] = np.exp(log_density + nodes.log_weight)
        steps = np.exp(np.outer(a[:-1], log_p) + b * log_q - (np.log(a) + log_norm)[:-1, None])
        table.cdf[row] = np.clip(no_success[failures] - running_sum(steps), 0.0, 1.0)


def running_sum(steps: Float[Array, "S G"]) -> Float[Array, "S+1 G"]:
    """Return 0 and the partial sums of the rows."""
    sums = np.zeros((len(steps) + 1, steps.shape[1]))
    np.cumsum(steps, axis=0, out=sums[1:])
    return sums


def cdf_at(alpha: Float[Array, "..."] | float, beta: Float[Array, "..."] | float, nodes: Nodes) -> Float[Array, "..."]:
    """Return Beta cdfs at the moved nodes; from the nearer end, where the complement is exact."""
    p, q = nodes.moved, nodes.moved_complement
    return np.asarray(np.where(p < 0.5, betainc(alpha, beta, p), 1 - betainc(beta, alpha, q)))


def direct_table(alpha: Float[Array, " U"], beta: Float[Array, " U"], margin: float, rule: Rule) -> Table:
    """Return weighted densities and cdfs of the given states only."""
    nodes = nodes_for(margin, rule)
    a, b = alpha[:, None], beta[:, None]
    log_density = (a - 1) * nodes.log_x + (b - 1) * nodes.log_1_minus_x - betaln(a, b)
    return Table(np.exp(log_density + nodes.log_weight), cdf_at(a, b, nodes))


@compiled
def best_of(
    weighted_pdf: Float[Array, "S G"],
    cdf: Float[Array, "S G"],
    row: Int[Array, "R A"],
    among: Bool[Array, "R A"],
    best: Float[Array, "R A"],
) -> None:
    """Fill P(best of `among`), in place: sums over nodes of a density times the product of the others' cdfs.

    `best` comes as 0.
    """
    replicates, arms = row.shape
    nodes = cdf.shape[1]
    rest = np.empty((arms, nodes))
    lower = np.empty(nodes)
    open_arms = np.empty(arms, np.int64)
    for r in range(replicates):
        n_open = 0
        for a in range(arms):
            if among[r, a]:
                open_arms[n_open] = a
                n_open += 1
        # rest[i] = product of the cdfs of all open arms but i: those before it, then those after it
        for g in range(nodes):
            lower[g] = 1.0
        for i in range(n_open):
            own = cdf[row[r, open_arms[i]]]
            for g in range(nodes):
                rest[i, g] = lower[g]
                lower[g] *= own[g]
        for g in range(nodes):
            lower[g] = 1.0
        total = 0.0
        for i in range(n_open - 1, -1, -1):
            a = open_arms[i]
            density, own = weighted_pdf[row[r, a]], cdf[row[r, a]]
            even, odd = 0.0, 0.0  # two sums, so that one addition need not wait for the other
            for g in range(0, nodes - 1, 2):
                even += density[g] * rest[i, g] * lower[g]
                odd += density[g + 1] * rest[i, g + 1] * lower[g + 1]
            if nodes % 2 == 1:
                even += density[nodes - 1] * rest[i, nodes - 1] * lower[nodes - 1]
            for g in range(nodes):
                lower[g] *= own[g]
            best[r, a] = even + odd
            total += even + odd
        for i in range(n_open):
            best[r, open_arms[i]] = 1.0 if n_open == 1 else best[r, open_arms[i]] / total


@compiled
def better_than(
    weighted_pdf: Float[Array, "S G"],
    cdf: Float[Array, "S G"],
    row: Int[Array, "R A"],
    than: int,
    upwards: bool,
    better: Float[Array, "R A"],
) -> None:
    """Fill P(arm > arm `than` + margin), in place, but for the arm itself.

    For a margin from 0 on (`upwards`), the integral of the density of `than` times one minus the other's
    cdf; below 0, one minus that of the density times the cdf. So nothing outside the nodes' range is missed.
    """
    replicates, arms = row.shape
    nodes = cdf.shape[1]
    for r in range(replicates):
        density = weighted_pdf[row[r, than]]
        for a in range(arms):
            if a == than:
                continue
            own = cdf[row[r, a]]
            even, odd = 0.0, 0.0
            if upwards:
                for g in range(0, nodes - 1, 2):
                    even += density[g] * (1.0 - own[g])
                    odd += density[g + 1] * (1.0 - own[g + 1])
                if nodes % 2 == 1:
                    even += density[nodes - 1] * (1.0 - own[nodes - 1])
                better[r, a] = min(max(even + odd, 0.0), 1.0)
            else:
                for g in range(0, nodes - 1, 2):
                    even += density[g] * own[g]
                    odd += density[g + 1] * own[g + 1]
                if nodes % 2 == 1:
                    even += density[nodes - 1] * own[nodes - 1]
                better[r, a] = min(max(1.0 - (even + odd), 0.0), 1.0)
