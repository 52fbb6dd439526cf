"""What a worker does with one unit: simulate the block, sum it up, and return it as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sps_adaptive.runs.blocks import DamagedPartError, Unit, from_bytes, names_of, to_arrow, to_bytes
from sps_adaptive.scenario import BLOCK_SIZE

if TYPE_CHECKING:
    from sps_adaptive.scenario import Scenario
    from sps_adaptive.tables import Block

Sums = dict[str, np.ndarray]
"""What the operating characteristics need of a block: one flat table, column by column."""

_VERSION = b"sums_version"


class Work(NamedTuple):
    """The functions that a run calls. Tests pass others, of the same shape."""

    block: Callable[[Scenario, str, int], Block]
    """Simulates a block of a truth."""
    sums: Callable[[Scenario, str, Block, int], Sums]
    """Sums up the first replicates of a block."""
    sums_version: int
    """Version of these sums: those of another version are made again."""
    summarise: Callable[[Scenario, Iterable[tuple[str, Sums]]], Any]
    """Makes the operating characteristics, a pandas frame, of pairs of a truth and the sums of one of its blocks."""


def the_work() -> Work:
    """Return the functions of this package."""
    from sps_adaptive.block import simulate_block
    from sps_adaptive.characteristics.summary import summarise
    from sps_adaptive.characteristics.sums import SUMS, block_sums

    return Work(simulate_block, block_sums, SUMS, summarise)


def compute(work: Work, scenario: Scenario, unit: Unit) -> dict[str, bytes]:
    """Return the Parquet files of a unit, by table."""
    block = work.block(scenario, unit.truth, unit.block)
    names = names_of(scenario, unit.truth)
    parts = {table: to_bytes(to_arrow(table, columns, names)) for table, columns in block.items()}
    return parts | {"sums": sums_to_bytes(work.sums(scenario, unit.truth, block, BLOCK_SIZE), work.sums_version)}


def sums_to_bytes(sums: Mapping[str, np.ndarray], version: int) -> bytes:
    """Return the sums of a whole block as a Parquet file that says which version they are."""
    import pyarrow as pa

    table = pa.table({name: pa.array(np.asarray(values)) for name, values in sums.items()})
    return to_bytes(table.replace_schema_metadata({_VERSION: str(version).encode()}))


def sums_from_bytes(content: bytes, version: int) -> Sums:
    """Return the sums of a whole block.

    Raises
    ------
    DamagedPartError
        If they cannot be read or are of another version.
    """
    table = from_bytes(content)
    if (table.schema.metadata or {}).get(_VERSION) != str(version).encode():
        raise DamagedPartError("the sums are of another version")
    return {name: table[name].to_numpy() for name in table.column_names}
