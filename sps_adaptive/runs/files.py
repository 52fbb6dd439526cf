"""Files that are complete or not there, and in one sentence what the operating system refused."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sps_adaptive.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FULL = {errno.ENOSPC: "is full", errno.EDQUOT: "has no quota left"}

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


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
def told(path: Path, doing: str, needed: int = 0) -> Iterator[None]:
    """Turn what the operating system refuses into a `StoreError` of one sentence.

    Parameters
    ----------
    path
        What cannot be dealt with.
    doing
        `read` or `written`.
    needed
        Bytes needed, if known.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(*_sentence(error, path, doing, needed)) from error


def _write_and_rename(content: bytes, temporary: Path, path: Path) -> None:
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _sentence(error: OSError, path: Path, doing: str, needed: int) -> tuple[str, str]:
    if error.errno in FULL:
        room = f": about {needed / 1e6:.1f} MB are needed" if needed else ""
        return (
            f"the disk of {path} {FULL[error.errno]}{room}",
            "make room or choose another --output; finished blocks are kept, and the same command goes on from them",
        )
    if isinstance(error, NotADirectoryError | FileExistsError):
        return f"{path} is not a folder", "choose another --output"
    hint = "choose another --output" if doing == "written" and error.errno in FORBIDDEN else ""
    return f"{path} cannot be {doing}: {error.strerror or error}", hint
