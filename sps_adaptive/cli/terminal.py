"""Where lines are written: data on stdout, progress and warnings on stderr, readable without colour or Unicode."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sps_adaptive.cli.layout import fold

if TYPE_CHECKING:
    from sps_adaptive.cli.layout import Table

PIPE_WIDTH = 100
"""Width where stdout is not a terminal and COLUMNS is not set."""

PROSE_WIDTH = 100
"""Sentences are never longer than this."""

_ASCII = str.maketrans({"±": "+-", "✓": "*", "─": "-", "≥": ">="})


def say(text: str = "", *, bold: bool = False) -> None:
    """Write one line as it is, but for characters that a terminal would obey."""
    line = _writable(clean(text))
    typer.echo(typer.style(line, bold=True) if bold else line, color=False if _plain() else None)


def prose(text: str, first: str = "", rest: str = "") -> None:
    """Write a text in lines that fit; `first` and `rest` begin the first line and the others."""
    width = min(PROSE_WIDTH, _width())
    words = clean(" ".join(text.split()))
    for line in textwrap.wrap(
        words, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    ):
        say(line)


def table(shown: Table) -> None:
    """Write a table, in several parts if the terminal is narrow."""
    for number, lines in enumerate(shown.parts(_width())):
        if number:
            say()
        for line in fold(clean(shown.title) + (", continued" if number else ""), min(PROSE_WIDTH, _width())):
            say(line, bold=True)
        for line in lines:
            say(line)
    prose(shown.note)


def data(text: str) -> None:
    """Write data for other programs, in UTF-8 everywhere."""
    typer.echo(text.encode(), nl=False)


def complain(message: str) -> None:
    """Write a message of one or more lines on stderr."""
    typer.echo("\n".join(map(clean, message.split("\n"))), err=True)


def warn(message: str) -> None:
    """Tell something on stderr that is no error."""
    complain(f"Warning: {message}")


def clean(text: str) -> str:
    """Return text without characters that a terminal would obey or hide."""
    if text.isprintable():
        return text
    from sps_adaptive.yaml_text import printable

    return printable(text)


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Show trials done, trials per second and time left on stderr; nothing where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = BarColumn(bar_width=20), TextColumn("{task.description}", markup=False)
    hidden = not sys.stderr.isatty() or console.is_dumb_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("starting", total=None)
        began, there = time.perf_counter(), -1

        def report(done: int, total: int) -> None:
            nonlocal began, there
            if there < 0:  # what is there from an earlier session says nothing about the speed
                began, there = time.perf_counter(), done
            speed = (done - there) / max(time.perf_counter() - began, 1e-9)
            left = f", {speed:,.0f} trials/s, {_clock((total - done) / speed)} left" if speed else ""
            bar.update(task, completed=done, total=total, description=f"{done:,} of {total:,} trials{left}")

        yield report


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _width() -> int:
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def _plain() -> bool:
    """Return whether a terminal wants no styles; that a pipe wants none is known to typer."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def _writable(text: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text
