r"""Where each state of a trial stands in memory.

A state is, for each arm, how many patients have been settled (assessed, or lost before it), how many of them are
known, and how many of those responded. An arm with n settled patients is in one of :math:`n + 1` states (responders)
if nobody is lost, and otherwise in one of :math:`(n + 1)(n + 2) / 2` (known, responders).

The states with the same patients on every arm are a *cell*: a dense block, row-major over the states of the arms. A
*layer* is all cells with the same number of patients. The state of an arm is numbered as the table of
`BetaPosterior` numbers its rows, :math:`k (k + 1) / 2 + s` with k known and s responders, so that the states of a cell
are slices of that table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.kernels import compiled

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

    from sps_adaptive.contracts import Array


@compiled
def first_row(n: int, thinned: bool) -> int:
    """Return the row of the first state of an arm with n settled patients."""
    return 0 if thinned else (n * (n + 1)) >> 1


@compiled
def n_rows(n: int, thinned: bool) -> int:
    """Return how many states an arm with n settled patients can be in."""
    return ((n + 1) * (n + 2)) >> 1 if thinned else n + 1


class Layer(NamedTuple):
    """The cells of one layer, and where they are."""

    total: int
    """Patients settled."""
    cells: Int[Array, "C A"]
    """Settled patients on each arm, in lexicographic order."""
    start: Int[Array, " C+1"]
    """Where the states of each cell begin."""
    where: Int[Array, " W"]
    """Number of the cell with the patients (n_0, ..., n_{A-2}) at its place in an array of shape (total + 1, ...); -1
    where there is none."""
    thinned: bool
    """Whether patients can be lost."""

    @property
    def size(self) -> int:
        """Number of states."""
        return int(self.start[-1])

    def batches(self, most_states: int) -> Iterator[Batch]:
        """Yield the cells in batches of about so many states."""
        first = 0
        while first < len(self.cells):
            last = int(np.searchsorted(self.start, self.start[first] + most_states, side="right")) - 1
            last = min(max(last, first + 1), len(self.cells))
            yield Batch(self.cells[first:last], self.start[first : last + 1] - self.start[first], self.thinned,
                        slice(int(self.start[first]), int(self.start[last])))  # fmt: skip
            first = last


class Batch(NamedTuple):
    """Some cells of a layer."""

    cells: Int[Array, "C A"]
    start: Int[Array, " C+1"]
    """Where the states of each cell begin in the batch."""
    thinned: bool
    place: slice
    """Where the states of the batch are in the layer."""

    @property
    def size(self) -> int:
        """Number of states R."""
        return int(self.start[-1])

    @property
    def settled(self) -> int:
        """Patients settled, the same in all states."""
        return int(self.cells[0].sum())

    def rows(self) -> Int[Array, "R A"]:
        """Return the state of each arm, as rows of a table of all states."""
        rows = np.empty((self.size, self.cells.shape[1]), np.int64)
        fill_rows(self.cells, self.start, self.thinned, rows)
        return rows

    def enrolled(self) -> Int[Array, "R A"]:
        """Return the settled patients of each arm, by state."""
        return np.repeat(self.cells, np.diff(self.start), axis=0)

    def groups(self) -> tuple[Int[Array, "C A"], Int[Array, " C"]]:
        """Return the cells, and where the states of each begin."""
        return self.cells, self.start[:-1]


class Chosen(NamedTuple):
    """Some states of a batch."""

    batch: Batch
    which: Int[Array, " R"]
    """Which of its states, in increasing order."""

    @property
    def size(self) -> int:
        """Number of states R."""
        return len(self.which)

    @property
    def thinned(self) -> bool:
        """Whether patients can be lost."""
        return self.batch.thinned

    @property
    def settled(self) -> int:
        """Patients settled, the same in all states."""
        return self.batch.settled

    def rows(self) -> Int[Array, "R A"]:
        """Return the state of each arm, as rows of a table of all states."""
        return self.batch.rows()[self.which]

    def enrolled(self) -> Int[Array, "R A"]:
        """Return the settled patients of each arm, by state."""
        return np.asarray(self.batch.cells[self._cell()])

    def groups(self) -> tuple[Int[Array, "C A"], Int[Array, " C"]]:
        """Return the cells that have such states, and where the states of each begin."""
        cells, first = np.unique(self._cell(), return_index=True)
        return self.batch.cells[cells], first

    def _cell(self) -> Int[Array, " R"]:
        return np.searchsorted(self.batch.start, self.which, side="right") - 1


def layer(cells: Int[Array, "C A"], total: int, thinned: bool) -> Layer:
    """Return a layer of given cells; each has `total` patients."""
    cells = different(np.asarray(cells, np.int64))
    sizes = np.prod(np.where(thinned, (cells + 1) * (cells + 2) // 2, cells + 1), axis=1)
    start = np.concatenate([[0], np.cumsum(sizes)])
    where = np.full((total + 1) ** (cells.shape[1] - 1), -1, np.int64)
    where[place(cells, total)] = np.arange(len(cells))
    return Layer(total, cells, start, where, thinned)


def place(cells: Int[Array, "C A"], total: int) -> Int[Array, " C"]:
    """Return where cells stand in `where`."""
    weights = (total + 1) ** np.arange(cells.shape[1] - 2, -1, -1, dtype=np.int64)
    return cells[:, :-1] @ weights


def grown(cells: Int[Array, "C A"], steps: Int[Array, "D A"]) -> Int[Array, "E A"]:
    """Return the cells that can be reached by adding one of the steps."""
    return different((cells[:, None, :] + steps[None, :, :]).reshape(-1, cells.shape[1]))


def different(cells: Int[Array, "C A"]) -> Int[Array, "D A"]:
    """Return the different cells, in lexicographic order: that of the numbers they are the digits of."""
    radix = (int(cells.max(initial=0)) + 1,) * cells.shape[1]
    return np.stack(np.unravel_index(np.unique(np.ravel_multi_index(tuple(cells.T), radix)), radix), axis=1)


def compositions(total: int, parts: int, allowed: Bool[Array, " A"] | None = None) -> Int[Array, "D A"]:
    """Return all ways to divide `total` patients among arms, in lexicographic order; none to those not allowed."""
    if parts == 1:
        possible = total == 0 or allowed is None or allowed[-1]
        return np.full((1, 1) if possible else (0, 1), total, np.int64)
    most = total if allowed is None or allowed[-parts] else 0
    pieces = []
    for count in range(most + 1):
        rest = compositions(total - count, parts - 1, allowed)
        pieces.append(np.column_stack([np.full(len(rest), count), rest]))
    return np.concatenate(pieces)


@compiled
def fill_rows(cells: Int[Array, "C A"], start: Int[Array, " C+1"], thinned: bool, rows: Int[Array, "R A"]) -> None:
    """Fill the row of every arm in every state, in place."""
    arms = cells.shape[1]
    for c in range(len(cells)):
        repeat = 1
        for a in range(arms - 1, -1, -1):
            length, first = n_rows(cells[c, a], thinned), first_row(cells[c, a], thinned)
            index, within = 0, 0
            for r in range(start[c], start[c + 1]):
                rows[r, a] = first + index
                within += 1
                if within == repeat:
                    within = 0
                    index += 1
                    if index == length:
                        index = 0
            repeat *= length
