"""The folder of a run. A block is there when its part of `trials` is; no file is ever seen half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sps_adaptive.errors import StoreError, UsageError
from sps_adaptive.runs.blocks import DamagedPartError, part_name
from sps_adaptive.runs.files import delete, entries, has_footer, is_temporary, told, write

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TABLES = ("arms", "looks", "secondaries", "sums", "trials")
"""The folders of a run, in the order in which the parts of a block are written; `secondaries` is not always there."""

MANIFEST, SCENARIO = "manifest.json", "scenario.yaml"

DICTIONARY, CHARACTERISTICS = "DICTIONARY.md", "characteristics.csv"

ASIDE = "_"
"""How the names of parts begin that belong to truths the scenario no longer has; pandas does not read those."""


class RunStore(NamedTuple):
    """The files of one run. It remembers nothing: what is there is what the folder holds."""

    folder: Path

    # ------------------------------------------------------------- the folder

    def is_new(self) -> bool:
        """Return whether no run has begun in this folder.

        Raises
        ------
        UsageError
            If something else is in it.
        StoreError
            If it is not a folder or cannot be read.
        """
        with told(self.folder, "read"):
            if not self.folder.exists():
                return True
            names = [entry.name for entry in self.folder.iterdir() if not is_temporary(entry.name)]
        if names and MANIFEST not in names:
            raise UsageError(
                f"the folder {self.folder} is not empty and holds no run", "choose another --output, or a new folder"
            )
        return not names

    def tidy(self, stems: Collection[str]) -> None:
        """Clear up after runs that were killed, and put aside what belongs to truths the scenario no longer has.

        What was put aside comes back when the scenario has its truth again.

        Parameters
        ----------
        stems
            How the names of the parts of the scenario's truths begin.
        """
        with told(self.folder, "written"):
            for folder in (self.folder, *(self.folder / table for table in TABLES)):
                delete(entry for entry in entries(folder) if is_temporary(entry.name))
            finished = {entry.name for entry in entries(self.folder / "trials")}
            for table in TABLES:
                for part in entries(self.folder / table):
                    plain = part.name.removeprefix(ASIDE)
                    name = plain if plain.rpartition("-")[0] in stems else ASIDE + plain
                    if part.name not in finished:
                        delete([part])
                    elif part.name != name:
                        os.replace(part, part.with_name(name))

    # -------------------------------------------------------------- the blocks

    def is_begun(self, stem: str, block: int) -> bool:
        """Return whether a block is said to be there, sound or not."""
        return (self.folder / "trials" / part_name(stem, block)).exists()

    def n_blocks(self, stem: str) -> int:
        """Return how many blocks of a truth are there, from the first to the last before a gap."""
        block = 0
        while self.is_begun(stem, block):
            block += 1
        return block

    def is_sound(self, stem: str, block: int) -> bool:
        """Return whether a block is there in all its tables, and none of them is cut short."""
        name = part_name(stem, block)
        return all(has_footer(self.folder / table / name) for table in ("trials", "looks", "arms"))

    def write_block(self, stem: str, block: int, parts: Mapping[str, bytes], still_to_come: int = 0) -> None:
        """Write the parts of a block, `trials` last; all of them or none.

        Parameters
        ----------
        stem, block
            How the names of the truth's parts begin, and the number of the block.
        parts
            The Parquet file of each table.
        still_to_come
            How many blocks will follow, to say how much room is needed if there is none.
        """
        name = part_name(stem, block)
        needed = sum(map(len, parts.values())) * (1 + still_to_come)
        try:
            for table in (table for table in TABLES if table in parts):
                write(self.folder / table / name, parts[table], needed=needed)
        except BaseException:
            self.remove_block(stem, block)
            raise

    def remove_block(self, stem: str, block: int) -> None:
        """Remove a block, `trials` first."""
        name = part_name(stem, block)
        delete(self.folder / table / name for table in reversed(TABLES))

    def read_part(self, table: str, stem: str, block: int) -> bytes:
        """Return the Parquet file of one table of a block.

        Raises
        ------
        DamagedPartError
            If it is not there.
        """
        path = self.folder / table / part_name(stem, block)
        with told(path, "read"):
            try:
                return path.read_bytes()
            except FileNotFoundError as error:
                raise DamagedPartError("the file is missing") from error

    # --------------------------------------------------------------- the texts

    def manifest(self) -> dict[str, Any]:
        """Return the manifest."""
        text = self.read_text(MANIFEST)
        try:
            return dict(json.loads(text))
        except ValueError as error:
            raise StoreError(f"{self.folder / MANIFEST} is damaged: {error}", "choose another --output") from error

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, unless it is there already."""
        self.write_text(MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    def read_text(self, name: str) -> str:
        """Return a text of the run.

        Raises
        ------
        UsageError
            If the folder holds no such text, and so no run.
        """
        path = self.folder / name
        hint = "a run is a folder such as runs/ivig-1a2b3c4d"
        if not self.folder.exists():
            raise UsageError(f"there is no folder {self.folder}", hint)
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file, not the folder of a run", hint)
        if not path.is_file():
            raise UsageError(f"the folder {self.folder} holds no run: there is no {name} in it", hint)
        with told(path, "read"):
            return path.read_bytes().decode()

    def write_text(self, name: str, text: str) -> None:
        """Write a text of the run, unless it is there already."""
        path = self.folder / name
        if not path.is_file() or path.read_bytes() != text.encode():
            write(path, text.encode())
