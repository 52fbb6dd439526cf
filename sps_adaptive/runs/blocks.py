"""The blocks of a run: which are needed, what their files are called, and their tables as Parquet."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.tables import DICTIONARY, OUTCOMES, STOP_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from sps_adaptive.scenario import Scenario

NULLABLE = frozenset({"effect_lower", "effect_upper"})
"""Columns that have no value at some looks: NaN in a block, null on disk, NaN again in pandas."""


class Unit(NamedTuple):
    """The unit of work: one block of replicates of one truth."""

    truth: str
    block: int


class DamagedPartError(Exception):
    """A file of a run that is missing, cut short or otherwise not what was written."""


# ---------------------------------------------------------------------------------------------- units


def n_blocks(replicates: int) -> int:
    """Return the number of blocks that hold so many replicates."""
    return -(-replicates // BLOCK_SIZE)


def n_kept(block: int, replicates: int) -> int:
    """Return how many replicates of a block count when the first `replicates` are asked for."""
    return max(0, min(BLOCK_SIZE, replicates - block * BLOCK_SIZE))


def units_needed(truths: Iterable[str], replicates: int) -> list[Unit]:
    """Return the units of a request, block by block, so that an interrupted run has as much of every truth."""
    names = tuple(truths)
    return [Unit(truth, block) for block in range(n_blocks(replicates)) for truth in names]


def stems(scenario: Scenario) -> dict[str, str]:
    """Return, for each truth, how the names of its files begin: its name, readable, and 8 digits of a digest.

    The digest is of the truth's name and of its digest: other values or another name are other files.
    """
    return {
        truth: f"{_slug(truth)}-{hashlib.sha256(f'{truth}/{scenario.truth_digest(truth)}'.encode()).hexdigest()[:8]}"
        for truth in scenario.truths
    }


def part_name(stem: str, block: int) -> str:
    """Return the name of the file of one block, in each of the folders of a run."""
    return f"{stem}-{block:06d}.parquet"


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "truth"


# --------------------------------------------------------------------------------------------- tables


def names_of(scenario: Scenario, truth: str) -> dict[str, tuple[str, ...]]:
    """Return the names behind the integer codes of each category in a part of one truth."""
    arms = scenario.arm_names
    return {
        "truth": (truth,),
        "design": scenario.design_names,
        "outcome": OUTCOMES,
        "stop_reason": STOP_REASONS,
        "arm": arms,
        "endpoint": tuple(scenario.endpoints)[1:],
        "selected_arm": ("none", *arms),
    }


def to_arrow(table: str, columns: Mapping[str, np.ndarray], names: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """Return a table of a block with the columns, types and names of the data dictionary.

    Raises
    ------
    ValueError
        If the columns are not those of the data dictionary, or a value does not fit its type.
    """
    import pyarrow as pa

    expected = [column.name for column in DICTIONARY[table]]
    if differing := set(columns) ^ set(expected):
        raise ValueError(f"the table {table} differs from the data dictionary in {', '.join(sorted(differing))}")
    arrays = []
    for column in DICTIONARY[table]:
        values = np.asarray(columns[column.name])
        if column.dtype == "category":
            codes = np.zeros(len(values), np.int8) if column.name == "truth" else values.astype(np.int8)
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names[column.name], pa.string())))
        else:
            plain = pa.array(values, from_pandas=column.name in NULLABLE)
            arrays.append(plain.cast(_arrow_type(column.dtype)))
    return pa.table(arrays, names=expected)


def from_arrow(table: str, part: pa.Table, scenario: Scenario, truth: str) -> dict[str, np.ndarray]:
    """Return the columns of a part as a block has them: arrays, with categories as integer codes.

    Raises
    ------
    DamagedPartError
        If the part does not hold the columns and names of this scenario.
    """
    names = names_of(scenario, truth)
    expected = [column.name for column in DICTIONARY[table]]
    if part.column_names != expected:
        raise DamagedPartError(f"the columns of the table {table} are not those of the data dictionary")
    columns = {}
    for column in DICTIONARY[table]:
        values = part[column.name].combine_chunks()
        if column.dtype == "category":
            if tuple(values.dictionary.to_pylist()) != names[column.name]:
                raise DamagedPartError(f"the column {column.name} of the table {table} has other names")
            codes = values.indices.to_numpy()
            columns[column.name] = codes + list(scenario.truths).index(truth) if column.name == "truth" else codes
        else:
            columns[column.name] = values.to_numpy(zero_copy_only=False)
    return columns


def rows_of(part: pa.Table, design: int, n_replicates: int) -> pa.Table:
    """Return the rows of one design and of the first replicates of a block: the rows of a part are sorted."""
    designs = part["design"].combine_chunks().indices.to_numpy()
    first, last = np.searchsorted(designs, [design, design + 1])
    replicate = part["replicate"].to_numpy()[first:last]
    if not len(replicate):
        return part.slice(0, 0)
    end = replicate[0] - replicate[0] % BLOCK_SIZE + n_replicates
    return part.slice(first, int(np.searchsorted(replicate, end)))


def _arrow_type(dtype: str) -> Any:
    import pyarrow as pa

    return pa.bool_() if dtype == "bool" else pa.from_numpy_dtype(np.dtype(dtype))


# ---------------------------------------------------------------------------------------------- bytes


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file: the same table gives the same bytes, with a checksum for each page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    repetitive = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(
        table, sink, compression="zstd", compression_level=1, use_dictionary=repetitive, write_page_checksum=True
    )
    return bytes(sink.getvalue())


def from_bytes(content: bytes) -> pa.Table:
    """Return the table in a Parquet file.

    Raises
    ------
    DamagedPartError
        If it cannot be read, or does not have the checksums it was written with.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedPartError(str(error)) from error
