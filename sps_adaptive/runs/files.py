"""Files that are complete or not there, and in one sentence what the operating system refused."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sps_adaptive.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FULL = {errno.ENOSPC: "is full", errno.EDQUOT: "has no quota left"}

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

KEPT = "finished blocks are kept, and the same command goes on from them"
"""What a user may know whose disk is full, where blocks are written."""


def write(path: Path, content: bytes, *, needed: int = 0) -> None:
    """Write a file under a name that nobody reads, and give it its own name when it is complete.

    Parameters
    ----------
    path
        The file; its folder is made where it is missing.
    content
        What it shall hold.
    needed
        Bytes that the whole undertaking needs, to say so if there is no room.

    Raises
    ------
    StoreError
        If it cannot be written. Nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with told(path.parent, "written", max(needed, len(content))):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_and_rename(content, temporary, path)
            except FileNotFoundError:  # another run has cleared up in this folder meanwhile
                _write_and_rename(content, temporary, path)
        except BaseException:
            delete([temporary])
            raise


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder: all of them or none if it is new or empty, else one by one, in this order.

    A new folder is made beside its place and gets its name when it is complete. In a folder that is there each file
    is complete or as it was, and what else lies there stays.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with told(folder, "written", sum(map(len, contents.values())), kept=""):
        if folder.exists():
            is_empty = not any(folder.iterdir())
            try:
                _write_all(folder, contents)
            except BaseException:
                if is_empty:
                    delete(folder / name for name in contents)
                raise
            return
        made = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        try:
            made.mkdir(parents=True, exist_ok=True)
            _write_all(made, contents)
            os.rename(made, folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def check_writable(folder: Path) -> None:
    """Find out before the work whether a folder, there or not yet, can be written; nothing is left behind.

    Raises
    ------
    StoreError
        If it cannot.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    with told(folder, "written"):
        os.rmdir(tempfile.mkdtemp(prefix=".sps-adaptive.", suffix=".tmp", dir=there))


def is_temporary(name: str) -> bool:
    """Return whether a file of this name was left behind by a run that was killed."""
    return name.startswith(".") and name.endswith(".tmp")


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing if there is no such folder."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def delete(paths: Iterable[Path]) -> None:
    """Delete files as far as they are there and may be deleted."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def has_footer(path: Path) -> bool:
    """Return whether a Parquet file ends as it should: a file that was cut short does not."""
    with told(path, "read"):
        try:
            with open(path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 8))
                end = file.read(8)
        except FileNotFoundError:
            return False
    return end[4:] == b"PAR1" and int.from_bytes(end[:4], "little") + 12 <= size


@contextmanager
def told(path: Path, doing: str, needed: int = 0, kept: str = KEPT) -> Iterator[None]:
    """Turn what the operating system refuses into a `StoreError` of one sentence.

    Parameters
    ----------
    path
        What cannot be dealt with.
    doing
        `read` or `written`.
    needed
        Bytes needed, if known.
    kept
        What is kept of the work so far if the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(*_sentence(error, path, doing, needed, kept)) from error


def _write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        temporary = folder / f".{name}.{os.getpid()}.tmp"
        try:
            _write_and_rename(content, temporary, folder / name)
        except BaseException:
            delete([temporary])
            raise


def _write_and_rename(content: bytes, temporary: Path, path: Path) -> None:
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _sentence(error: OSError, path: Path, doing: str, needed: int, kept: str) -> tuple[str, str]:
    if error.errno in FULL:
        room = f": about {needed / 1e6:.1f} MB are needed" if needed else ""
        return (
            f"the disk of {path} {FULL[error.errno]}{room}",
            "make room or choose another --output" + (f"; {kept}" if kept else ""),
        )
    if isinstance(error, NotADirectoryError | FileExistsError):
        return f"{path} is not a folder", "choose another --output"
    hint = "choose another --output" if doing == "written" and error.errno in FORBIDDEN else ""
    return f"{path} cannot be {doing}: {error.strerror or error}", hint
