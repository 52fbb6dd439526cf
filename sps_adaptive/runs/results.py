"""The results of a run: its tables as pandas frames, and its operating characteristics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from sps_adaptive.errors import StoreError
from sps_adaptive.runs.blocks import (
    DamagedPartError,
    Unit,
    from_arrow,
    from_bytes,
    n_blocks,
    n_kept,
    part_name,
    rows_of,
    stems,
)
from sps_adaptive.runs.files import write
from sps_adaptive.runs.store import CHARACTERISTICS, RunStore
from sps_adaptive.runs.work import Sums, Work, compute, sums_from_bytes, sums_to_bytes
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.tables import ALWAYS, DICTIONARY

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from sps_adaptive.tables import Block

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Results:
    """What a run has found. Tables are read when they are asked for, and only once.

    Rows are sorted by truth (in the order of the scenario), design, replicate, look and arm.
    """

    scenario: Scenario = field(repr=False)
    """The scenario, with the seed and the number of replicates that were used."""
    folder: Path
    """Where the files are."""
    truths: tuple[str, ...]
    """The truths these results are about, in the order of the scenario."""
    replicates: int
    """Simulated trials for each truth and design; the folder may hold more."""
    new_blocks: int
    """How many blocks were computed for these results; the others were there."""
    work: Work = field(repr=False)
    """The functions that compute and sum up blocks."""
    warn: Callable[[str], None] = field(repr=False)
    """Is told when a damaged block is computed again."""

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row for each simulated trial."""
        return self._frame("trials")

    @cached_property
    def looks(self) -> pd.DataFrame:
        """One row for each look of each trial."""
        return self._frame("looks")

    @cached_property
    def arms(self) -> pd.DataFrame:
        """One row for each arm at each look of each trial."""
        return self._frame("arms")

    @property
    def secondaries(self) -> pd.DataFrame:
        """One row for each arm and each endpoint beside the primary one, at the final analysis."""
        import pandas as pd

        if len(self.scenario.endpoints) == 1:
            return pd.DataFrame(columns=[column.name for column in DICTIONARY["secondaries"]])
        return self._frame("secondaries")

    @cached_property
    def characteristics(self) -> pd.DataFrame:
        """The operating characteristics, with their Monte Carlo errors."""
        frame: pd.DataFrame = self.work.summarise(self.scenario, self.sums())
        return frame

    def save_characteristics(self) -> Path:
        """Write the operating characteristics into the folder of the run, and return the path of the file."""
        self._store.write_text(CHARACTERISTICS, self.characteristics.to_csv(index=False, lineterminator="\n"))
        return self.folder / CHARACTERISTICS

    def sums(self) -> Iterator[tuple[str, Sums]]:
        """Yield each truth with the sums of each block: stored ones of whole blocks, new ones of the last."""
        for truth in self.truths:
            for block in range(n_blocks(self.replicates)):
                unit = Unit(truth, block)
                kept = n_kept(block, self.replicates)
                yield truth, self._stored_sums(unit) if kept == BLOCK_SIZE else self._new_sums(unit, kept)

    # -------------------------------------------------------------- reading

    @property
    def _store(self) -> RunStore:
        return RunStore(self.folder)

    @cached_property
    def _stems(self) -> dict[str, str]:
        return stems(self.scenario)

    def _frame(self, table: str) -> pd.DataFrame:
        import pyarrow as pa

        pieces = []
        for truth in self.truths:
            parts = [self._part(table, Unit(truth, block)) for block in range(n_blocks(self.replicates))]
            for design in range(len(self.scenario.design_names)):
                pieces += [rows_of(part, design, n_kept(k, self.replicates)) for k, part in enumerate(parts)]
        frame: pd.DataFrame = pa.concat_tables(pieces).unify_dictionaries().to_pandas()
        return frame

    def _part(self, table: str, unit: Unit) -> pa.Table:
        return self._sound(unit, lambda: from_bytes(self._read(table, unit)))

    def _block(self, unit: Unit) -> Block:
        def read() -> Block:
            return {
                table: from_arrow(table, from_bytes(self._read(table, unit)), self.scenario, unit.truth)
                for table in DICTIONARY
                if table in ALWAYS or len(self.scenario.endpoints) > 1
            }

        return self._sound(unit, read)

    def _read(self, table: str, unit: Unit) -> bytes:
        return self._store.read_part(table, self._stems[unit.truth], unit.block)

    def _sound(self, unit: Unit, read: Callable[[], T]) -> T:
        """Read from a block; if it is damaged, compute it again and read once more."""
        try:
            return read()
        except DamagedPartError as error:
            self.warn(f"block {unit.block} of truth '{unit.truth}' is damaged and is computed again: {error}")
        stem = self._stems[unit.truth]
        self._store.remove_block(stem, unit.block)
        self._store.write_block(stem, unit.block, compute(self.work, self.scenario, unit))
        return read()

    # ----------------------------------------------------------------- sums

    def _stored_sums(self, unit: Unit) -> Sums:
        try:
            return sums_from_bytes(self._read("sums", unit), self.work.sums_version)
        except DamagedPartError:
            sums = self._new_sums(unit, BLOCK_SIZE)
            path = self.folder / "sums" / part_name(self._stems[unit.truth], unit.block)
            with suppress(StoreError):  # a run that may only be read can be summed up all the same
                write(path, sums_to_bytes(sums, self.work.sums_version))
            return sums

    def _new_sums(self, unit: Unit, kept: int) -> Sums:
        return self.work.sums(self.scenario, unit.truth, self._block(unit), kept)
