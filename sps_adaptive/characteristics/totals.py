"""The sums of a run: those of its blocks, added up exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.characteristics.sums import COLUMNS, NO_BIN

if TYPE_CHECKING:
    from sps_adaptive.contracts import Array


class Place(NamedTuple):
    """What sums are about, as codes."""

    design: int
    metric: str
    arm: int
    look: int


class Total(NamedTuple):
    """The sums of all blocks."""

    n: int
    origin: float
    s: tuple[float, float, float, float]
    bins: dict[int, int]


def add_up(tables: Iterable[dict[str, Array]]) -> dict[Place, Total]:
    """Add up the sums of blocks of one truth; exactly, so that their order does not matter."""
    moments: dict[Place, list[tuple[float, ...]]] = defaultdict(list)
    bins: dict[Place, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for table in tables:
        for row in zip(*(np.asarray(table[column]).tolist() for column in COLUMNS), strict=True):
            place, which = Place(*row[:4]), row[4]
            if which == NO_BIN:
                moments[place].append(row[5:])
            else:
                bins[place][which] += row[6]
    return {place: _total(place, rows, dict(bins[place]) if place in bins else {}) for place, rows in moments.items()}


def _total(place: Place, rows: list[tuple[float, ...]], bins: dict[int, int]) -> Total:
    origins = {row[0] for row in rows}
    if len(origins) != 1:
        raise ValueError(f"the sums of {place.metric} are about different origins: {sorted(origins)}")
    s1, s2, s3, s4 = (fsum(row[power] for row in rows) for power in (2, 3, 4, 5))
    return Total(int(sum(row[1] for row in rows)), origins.pop(), (s1, s2, s3, s4), bins)
