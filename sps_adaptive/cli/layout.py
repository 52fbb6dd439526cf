"""Tables as lines of text. A table that is too wide is split into several; nothing in it is ever cut off."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

GAP = "  "
"""Between two columns."""

NAME_WIDTHS = (32, 24, 16)
"""How wide a column of names may be: the narrower ones are tried if the table can then be split less."""

HEAD_WIDTHS = (8, 16)
"""A heading is broken into lines of at least 8 characters; words of up to 16 are not broken."""


@dataclass
class Table:
    """A table whose first columns name its rows.

    These columns are on the left of every part if the table is split. A name that is the same as in the row above is
    left out, and a long one goes on in the rows below.
    """

    title: str
    names: Sequence[str]
    """Headings of the columns that name the rows."""
    heads: Sequence[str]
    """Headings of the other columns."""
    note: str = ""
    """What stands below."""
    words: Sequence[str] = ()
    """Those of the other columns that hold words, not numbers."""
    rows: list[Sequence[str]] = field(default_factory=list)
    """A text for each column."""

    def add(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(cells)

    def parts(self, width: int) -> list[list[str]]:
        """Return the lines of each part of the table, so that all parts are as wide as the terminal at most."""
        tries = [_Split(self, limit, width) for limit in NAME_WIDTHS]
        best = min(tries, key=lambda split: (split.is_too_wide(width), len(split.columns)))
        return [list(best.lines(columns)) for columns in best.columns]


class _Split:
    """A table with names of a certain width, and which columns stand in which part."""

    def __init__(self, table: Table, name_width: int, width: int) -> None:
        self.n_names = len(table.names)
        heads = [*table.names, *table.heads]
        self.left = [column for column, head in enumerate(heads) if column < self.n_names or head in table.words]
        self.body = _named(table.rows, 0, self.n_names, name_width)
        self.heads = [fold(head, name_width) for head in table.names]
        for column, head in enumerate(table.heads, start=self.n_names):
            longest = max((cells(piece.rstrip()) for piece in _pieces(head)), default=0)
            widest = max((cells(line[column]) for line in self.body), default=0)
            self.heads.append(fold(head, max(widest, HEAD_WIDTHS[0], min(longest, HEAD_WIDTHS[1]))))
        self.widths = [
            max(map(cells, (*head, *(line[column] for line in self.body))), default=0)
            for column, head in enumerate(self.heads)
        ]
        self.columns = self._columns(width)

    def is_too_wide(self, width: int) -> bool:
        """Return whether even a part with one column does not fit."""
        return any(self._width(columns) > width for columns in self.columns)

    def _columns(self, width: int) -> list[range]:
        """Return the columns of each part: as few parts as possible, and these about equally wide."""
        fewest = len(self._packed(width))
        return next(parts for limit in range(width + 1) if len(parts := self._packed(limit)) == fewest)

    def _packed(self, width: int) -> list[range]:
        names = sum(self.widths[: self.n_names]) + len(GAP) * (self.n_names - 1)
        parts, used = [range(self.n_names, self.n_names)], names
        for column in range(self.n_names, len(self.widths)):
            more = len(GAP) + self.widths[column]
            if used + more > width and parts[-1]:
                parts.append(range(column, column))
                used = names
            parts[-1] = range(parts[-1].start, column + 1)
            used += more
        return parts

    def lines(self, columns: range) -> Iterator[str]:
        """Yield the lines of a part."""
        shown = [*range(self.n_names), *columns]
        height = max(len(self.heads[column]) for column in shown)
        padded = {column: [""] * (height - len(self.heads[column])) + self.heads[column] for column in shown}
        for row in range(height):
            yield self._line({column: head[row] for column, head in padded.items()})
        yield "─" * self._width(columns)
        for line in self.body:
            yield self._line({column: line[column] for column in shown})

    def _width(self, columns: range) -> int:
        widths = [*self.widths[: self.n_names], *(self.widths[column] for column in columns)]
        return sum(widths) + len(GAP) * (len(widths) - 1)

    def _line(self, texts: dict[int, str]) -> str:
        pieces = []
        for column, text in texts.items():
            space = " " * (self.widths[column] - cells(text))
            pieces.append(text + space if column in self.left else space + text)
        return GAP.join(pieces).rstrip()


def fold(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text in lines of a width, broken after blanks and ``- _ / +``; only a longer word is broken.

    Parameters
    ----------
    text
        The text; it may hold line breaks of its own.
    width
        The width.
    indent
        How the lines begin, but for the first.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.append(indent if lines else "")
        for piece in _pieces(paragraph):
            if cells((lines[-1] + piece).rstrip()) > width and lines[-1].strip():
                lines.append(indent)
            while cells((lines[-1] + piece).rstrip()) > width:  # a word that is longer than a line
                room = max(1, width - len(lines[-1]))
                lines[-1] += piece[:room]
                lines.append(indent)
                piece = piece[room:]
            lines[-1] += piece
    return [line.rstrip() for line in lines]


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pieces(text: str) -> list[str]:
    return re.findall(r"[^\s_/+\-]+[\s_/+\-]*|[\s_/+\-]+", text)


def _named(rows: Sequence[Sequence[str]], level: int, n_names: int, width: int) -> list[list[str]]:
    """Return the lines of some rows: each name once, over as many lines as it needs."""
    if level == n_names:
        return [[*[""] * n_names, *row[n_names:]] for row in rows]
    made = []
    for name, group in groupby(rows, key=lambda row: row[level]):
        below = list(group)
        lines = _named(below, level + 1, n_names, width)
        folded = fold(name, width, "  ")
        lines += [[""] * len(below[0]) for _ in range(len(folded) - len(lines))]
        for line, text in zip(lines, folded, strict=False):
            line[level] = text
        made += lines
    return made
