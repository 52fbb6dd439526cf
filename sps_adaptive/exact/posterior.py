"""The posterior in every state of a batch of cells: the integrals of `BetaPosterior` as products of matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from sps_adaptive.exact.layout import Batch, first_row, n_rows
from sps_adaptive.kernels import compiled
from sps_adaptive.posteriors.beta import (
    BetaPosterior,
    Priors,
    Table,
    beta_table,
    distinct,
    state_parameters,
    states_of_prior,
)

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, Design, ProportionModel


@dataclass(frozen=True, eq=False)
class CellPosterior:
    """What `BetaPosterior` would say in every state of a batch, found cell by cell.

    In a cell an arm runs through a slice of the table of all its states, so that the integral for all states at
    once is a product of matrices over the nodes. Each question is answered once.
    """

    priors: Priors
    batch: Batch
    n_max: int
    _better: dict[tuple[int, float], Float[Array, "R A"]] = field(default_factory=dict)

    def counts(self) -> tuple[Int[Array, "R A"], Int[Array, "R A"]]:
        """Return known outcomes and responders of each arm."""
        return counts(self.batch.rows())

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        code = among @ (1 << np.arange(among.shape[1]))
        best = np.zeros(among.shape)
        for each, first in zip(*np.unique(code, return_index=True), strict=True):  # most often one and the same
            found = self._best_of(np.flatnonzero(among[first]))
            best = found if (code == code[0]).all() else np.where((code == each)[:, None], found, best)
        return best

    def _best_of(self, open_arms: Int[Array, " B"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of the open ones), the same in every state."""
        best = np.zeros((self.batch.size, len(self.priors)))
        if len(open_arms) == 1:
            best[:, open_arms] = 1.0
        if len(open_arms) > 1:
            table = self._table(0.0)
            cell_best(self.batch.cells, self.batch.start, self.batch.thinned, open_arms, self._offset, *table, best)
        return best

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        if (than, by) not in self._better:
            better = np.full((self.batch.size, len(self.priors)), 1.0 if by < 0 else 0.0)
            if -1 < by < 1:
                table = self._table(float(by))
                batch = self.batch
                cell_better(batch.cells, batch.start, batch.thinned, than, by >= 0, self._offset, *table, better)
            self._better[than, by] = better
        return self._better[than, by]

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return np.asarray(row_means(self.priors, self.n_max)[np.arange(len(self.priors)), self.batch.rows()])

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        return self._one_by_one.sd()

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation of a yes or no at the posterior mean of each arm."""
        mean = self.mean()
        return np.sqrt(mean * (1 - mean))

    def log_bayes_factor_equal(self, among: Bool[Array, "R A"]) -> Float[Array, " R"]:
        """Return the log Bayes factor of equality of the arms of `among`."""
        return self._one_by_one.log_bayes_factor_equal(among)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return self._one_by_one.prob_above(value)

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        return self._one_by_one.interval(level)

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        return self._one_by_one.difference(than, level)

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm)."""
        return self._one_by_one.prob_success(than, by, threshold, more, fresh)

    @cached_property
    def _one_by_one(self) -> BetaPosterior:
        known, successes = counts(self.batch.rows())
        return BetaPosterior.from_counts(self.priors, known, successes, self.n_max)

    def _table(self, margin: float) -> Table:
        return beta_table(distinct(self.priors), self.n_max, margin)

    @property
    def _offset(self) -> Int[Array, " A"]:
        kinds = distinct(self.priors)
        return np.array([kinds.index(prior) * states_of_prior(self.n_max) for prior in self.priors])


def priors_of(design: Design) -> Priors:
    """Return the priors of a design.

    Raises
    ------
    TypeError
        If its analysis is not Beta-binomial.
    """
    if not hasattr(design.model, "priors"):
        raise TypeError("the exact engine needs a Beta-binomial analysis")
    return cast("ProportionModel", design.model).priors


def counts(rows: Int[Array, "..."]) -> tuple[Int[Array, "..."], Int[Array, "..."]]:
    """Return how many are known and how many of them responded, from rows of a table of states."""
    known = ((np.sqrt(8.0 * rows + 1) - 1) / 2).astype(np.int64)
    return known, rows - known * (known + 1) // 2


def row_means(priors: Priors, n_max: int) -> Float[Array, "A S"]:
    """Return the posterior mean of each arm in each state."""
    rows = np.arange(states_of_prior(n_max))
    means = []
    for prior in priors:
        alpha, beta = state_parameters((prior,), rows, n_max)
        means.append(alpha / (alpha + beta))
    return np.stack(means)


@compiled
def cell_best(
    cells: Int[Array, "C A"],
    start: Int[Array, " C+1"],
    thinned: bool,
    open_arms: Int[Array, " B"],
    offset: Int[Array, " A"],
    weighted_pdf: Float[Array, "S G"],
    cdf: Float[Array, "S G"],
    best: Float[Array, "R A"],
) -> None:
    """Fill P(best of the open arms), in place: sums over nodes of a density times the product of the others' cdfs.

    The open arms are divided into a left and a right half; the sum over nodes is a product of a matrix of the left
    ones' states and one of the right ones'.
    """
    n_open, arms = len(open_arms), cells.shape[1]
    n_left = (n_open + 1) // 2
    for c in range(len(cells)):
        size = start[c + 1] - start[c]
        length = np.ones(n_open, np.int64)
        first = np.zeros(n_open, np.int64)
        for i in range(n_open):
            n = cells[c, open_arms[i]]
            length[i] = n_rows(n, thinned)
            first[i] = offset[open_arms[i]] + first_row(n, thinned)
        n_rows_left, n_rows_right = 1, 1
        for i in range(n_open):
            if i < n_left:
                n_rows_left *= length[i]
            else:
                n_rows_right *= length[i]
        left_cdf = side(0, n_left, -1, first, length, n_rows_left, weighted_pdf, cdf)
        right_cdf = side(n_left, n_open, -1, first, length, n_rows_right, weighted_pdf, cdf)
        found = np.zeros((n_open, n_rows_left, n_rows_right))
        for i in range(n_open):
            if i < n_left:
                left = side(0, n_left, i, first, length, n_rows_left, weighted_pdf, cdf)
                product(left, right_cdf, found[i])
            else:
                right = side(n_left, n_open, i, first, length, n_rows_right, weighted_pdf, cdf)
                product(left_cdf, right, found[i])
        flat = found.reshape(n_open, n_rows_left * n_rows_right)
        if n_open == arms:  # the states of the open arms are the states
            for r in range(size):
                total = 0.0
                for i in range(n_open):
                    total += flat[i, r]
                for i in range(n_open):
                    best[start[c] + r, open_arms[i]] = flat[i, r] / total
        else:
            stride = np.zeros(arms, np.int64)
            step = 1
            for i in range(n_open - 1, -1, -1):
                stride[open_arms[i]] = step
                step *= length[i]
            full = np.ones(arms, np.int64)
            for a in range(arms):
                full[a] = n_rows(cells[c, a], thinned)
            for r in range(size):
                rest, at = r, 0
                for a in range(arms - 1, -1, -1):
                    at += (rest % full[a]) * stride[a]
                    rest //= full[a]
                total = 0.0
                for i in range(n_open):
                    total += flat[i, at]
                for i in range(n_open):
                    best[start[c] + r, open_arms[i]] = flat[i, at] / total


@compiled
def product(left: Float[Array, "L G"], right: Float[Array, "M G"], out: Float[Array, "L M"]) -> None:
    """Add the sums over the nodes of all pairs of rows to `out`, in place.

    Not by a library for linear algebra: those for several threads are slow at many small products, and their order of
    summation depends on the machine.
    """
    turned = right.T.copy()
    nodes, columns = turned.shape
    whole = nodes - nodes % 4
    for i in range(len(left)):
        row, own = out[i], left[i]
        for g in range(0, whole, 4):  # four at a time, so that a sum is loaded and stored less often
            a, b, c, d = own[g], own[g + 1], own[g + 2], own[g + 3]
            for j in range(columns):
                row[j] += a * turned[g, j] + b * turned[g + 1, j] + c * turned[g + 2, j] + d * turned[g + 3, j]
        for g in range(whole, nodes):
            a = own[g]
            for j in range(columns):
                row[j] += a * turned[g, j]


@compiled
def side(
    begin: int,
    end: int,
    density: int,
    first: Int[Array, " B"],
    length: Int[Array, " B"],
    rows: int,
    weighted_pdf: Float[Array, "S G"],
    cdf: Float[Array, "S G"],
) -> Float[Array, "L G"]:
    """Return products over some open arms of the cdf (of one arm: the density), for all their states."""
    nodes = cdf.shape[1]
    made = np.ones((rows, nodes))
    repeat = 1
    for i in range(end - 1, begin - 1, -1):
        for row in range(rows):
            own = first[i] + (row // repeat) % length[i]
            if i == density:
                for g in range(nodes):
                    made[row, g] *= weighted_pdf[own, g]
            else:
                for g in range(nodes):
                    made[row, g] *= cdf[own, g]
        repeat *= length[i]
    return made


@compiled
def cell_better(
    cells: Int[Array, "C A"],
    start: Int[Array, " C+1"],
    thinned: bool,
    than: int,
    upwards: bool,
    offset: Int[Array, " A"],
    weighted_pdf: Float[Array, "S G"],
    cdf: Float[Array, "S G"],
    better: Float[Array, "R A"],
) -> None:
    """Fill P(arm > arm `than` + margin), in place, but for the arm itself; see `posteriors.beta.better_than`."""
    arms = cells.shape[1]
    full = np.ones(arms, np.int64)
    for c in range(len(cells)):
        for a in range(arms):
            full[a] = n_rows(cells[c, a], thinned)
        low = offset[than] + first_row(cells[c, than], thinned)
        density = weighted_pdf[low : low + full[than]]
        for a in range(arms):
            if a == than:
                continue
            low = offset[a] + first_row(cells[c, a], thinned)
            own = cdf[low : low + full[a]]
            pair = np.zeros((full[than], full[a]))
            if upwards:
                product(density, 1.0 - own, pair)
            else:
                product(density, own, pair)
                pair = 1.0 - pair
            repeat_a, repeat_than = 1, 1
            for b in range(a + 1, arms):
                repeat_a *= full[b]
            for b in range(than + 1, arms):
                repeat_than *= full[b]
            for r in range(start[c + 1] - start[c]):
                value = pair[(r // repeat_than) % full[than], (r // repeat_a) % full[a]]
                better[start[c] + r, a] = min(max(value, 0.0), 1.0)
