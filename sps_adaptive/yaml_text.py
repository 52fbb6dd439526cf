"""YAML 1.2 as plain data, with the place of everything; what is not plain data is refused.

A scenario may come from anywhere, so nothing in it makes objects, runs code, or grows when it is read:
the parser's events are taken one by one, without recursion, and counted.
"""

from __future__ import annotations

import difflib
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
)

from sps_adaptive.errors import Problem, SpecError, UsageError

MAX_BYTES = 1_000_000
"""Size of the largest file that is read."""

MAX_NODES = 10_000
"""Keys, values, lists and sections in a file, those repeated by aliases counted each time."""

MAX_DEPTH = 40
"""Sections and lists within each other."""

MAX_KEY = 200
"""Characters in a key."""

MAX_NUMBER = 1000
"""Characters in a number; what is longer is text."""

Key = str | int
"""A key of a section (always text, as written) or the position in a list."""

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")

_NOT_TEXT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, line ends of other kinds, and what turns the direction of writing."""

_SYNTAX = [
    (r"found character '\\t'", "a tab where there should be spaces", "indent with spaces"),
    (r"found character '([@`%])'", "text cannot begin with {0}", "put the text in quotes"),
    (
        r"mapping values are not allowed here",
        "a colon that does not belong here",
        "put text with ': ' in quotes; begin a new key on a new line",
    ),
    (
        r"sequence entries are not allowed here",
        "a list item that does not belong here",
        "begin the list on a new line, or write [a, b]",
    ),
    (r"could not find expected ':'", "a key without a colon", "write 'key: value'"),
    (r"found unexpected end of stream", "a quote that is not closed", "the text begins here"),
    (
        r"expected ',' or '([\]}])'",
        "a bracket that is not closed, or a comma that is missing",
        "'{0}' is missing; the list or section begins in line {line}",
    ),
    (r"but found ([\]},:]|'[\]},:]')", "{0} does not belong here", "look for a bracket or a comma too many"),
    (r"but found '<scalar>'", "text that does not belong here", "put the whole text in one pair of quotes"),
    (
        r"expected <block end>|expected the node content|did not find expected",
        "the indentation does not fit",
        "keys of one section begin in the same column; the section begins in line {line}",
    ),
    (r"escape", "a backslash that means nothing", "use single quotes, or two backslashes"),
]
"""What the parser says, what the user is told, and what to do about it."""


class Mark(NamedTuple):
    """A place in a file, from 1."""

    line: int
    column: int


@dataclass(eq=False)
class _Node:
    """A value with its place and the places within."""

    mark: Mark
    data: Any = None
    keys: dict[Key, Mark] = field(default_factory=dict)
    children: dict[Key, _Node] = field(default_factory=dict)
    nodes: int = 1
    depth: int = 0
    at_key: bool = False
    """Whether it is to be looked for at its key: it begins on the next line, or is nothing at all."""


@dataclass(frozen=True, eq=False)
class Document:
    """A YAML file as plain data: dicts with text as keys, lists, text, numbers, booleans and None."""

    name: str
    """The file, as it is called in messages."""
    data: dict[str, Any]
    root: _Node

    def position(self, path: tuple[Key, ...], *, of_key: bool = False) -> tuple[int, int]:
        """Return line and column, from 1, of what stands at a path, or of the last thing on the way there.

        Parameters
        ----------
        path
            Keys from the top of the file.
        of_key
            Return the place of the key, not that of its value. A section or list that begins on the line
            after its key is always placed at the key.
        """
        node, mark = self.root, self.root.mark
        for depth, key in enumerate(path, start=1):
            if key not in node.children:
                break
            child = node.children[key]
            mark = node.keys[key] if child.at_key or (of_key and depth == len(path)) else child.mark
            node = child
        return mark


def read(path: Path | str) -> Document:
    """Return what a YAML file says.

    Raises
    ------
    UsageError
        If there is no such file, or it cannot be read.
    SpecError
        If it is not plain YAML.
    """
    name = cut(printable(str(path)), 300)
    return parse(_decoded(_content(Path(path), name), name), name)


def parse(text: str, name: str = "<text>") -> Document:
    """Return what a YAML text says.

    Raises
    ------
    SpecError
        If it is not plain YAML.
    """
    name = cut(printable(name), 300)
    if len(text) > MAX_BYTES:
        raise SpecError([_too_long(len(text))], name)
    text = text.removeprefix("\ufeff")
    if found := _NOT_TEXT.search(text):
        raise SpecError([_not_text(text, found.start())], name)
    composer = _Composer(name)
    for event in _events(text, name):
        composer.take(event)
    if composer.problems:
        raise SpecError(composer.problems, name)
    root = composer.root
    if root is None or root.data is None:
        raise SpecError([Problem((), "the file is empty", "a scenario begins with 'title: ...'", 1, 1)], name)
    if not isinstance(root.data, dict):
        what = "a list" if isinstance(root.data, list) else "a single value"
        message = f"the file holds {what}, not keys with values"
        raise SpecError([Problem((), message, "a scenario begins with 'title: ...'", *root.mark)], name)
    return Document(name, root.data, root)


def printable(text: str) -> str:
    """Return text with the characters that a terminal would obey or hide written as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def cut(text: str, length: int = 60) -> str:
    """Return text that is at most so long, with a sign where it was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


# ------------------------------------------------------------------------------------------- the file


def _content(path: Path, name: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"'{name}' is a folder", _files_in(path))
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"'{name}' is not a file", "save the scenario as a file first")
        if status.st_size > MAX_BYTES:
            raise SpecError([_too_long(status.st_size)], name)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file '{name}'", _similar(path)) from None
    except PermissionError:
        raise UsageError(f"the file '{name}' may not be read", "ask its owner for permission to read it") from None
    except OSError as error:
        raise UsageError(f"the file '{name}' cannot be read: {error.strerror or error}") from None
    except ValueError:  # a NUL in the name
        raise UsageError(f"'{name}' cannot be the name of a file") from None
    if len(content) > MAX_BYTES:  # it has grown since
        raise SpecError([_too_long(len(content))], name)
    return content


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        message = f"the file is not UTF-8 text: byte {content[error.start]:#04x}"
        hint = "save it as UTF-8 in a text editor"
        raise SpecError([Problem((), message, hint, before.count(b"\n") + 1, column)], name) from None


def _too_long(size: int) -> Problem:
    message = f"the file has {size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g} MB"
    return Problem((), message, "a scenario has a few kilobytes: is this the right file?")


def _not_text(text: str, index: int) -> Problem:
    line, column = text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
    what = f"the character {_escape(text[index])} cannot stand in a scenario"
    return Problem((), what, "it is invisible, or the file is not text: delete it", line, column)


def _files_in(folder: Path) -> str:
    names = _yaml_files(folder)
    return f"name a file in it: {', '.join(names[:5])}" if names else "name a YAML file"


def _similar(path: Path) -> str:
    near = difflib.get_close_matches(path.name, _yaml_files(path.parent), n=1)
    return f"did you mean '{printable(str(path.parent / near[0]))}'?" if near else ""


def _yaml_files(folder: Path) -> list[str]:
    try:
        return sorted(printable(entry.name) for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    except OSError:
        return []


# --------------------------------------------------------------------------------------- the grammar


def _events(text: str, name: str) -> Iterator[Any]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        raise SpecError([_syntax(error)], name) from None
    except (ValueError, OverflowError):  # the parser does not check every escape: "\UFFFFFFFF"
        message = "the file is not YAML: a character that does not exist"
        raise SpecError([Problem((), message, "look for backslashes in double quotes")], name) from None


def _syntax(error: MarkedYAMLError) -> Problem:
    said = str(error.problem)
    begin = error.context_mark or error.problem_mark
    mark = begin if "end of stream" in said or "expected ':'" in said else error.problem_mark or begin
    place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    for pattern, message, hint in _SYNTAX:
        if found := re.search(pattern, said):
            words = [printable(group) for group in found.groups()]
            line = begin.line + 1 if begin else 1
            return Problem((), message.format(*words), hint.format(*words, line=line), *place)
    return Problem((), f"not YAML: {cut(printable(said), 120)}", "", *place)


# --------------------------------------------------------------------------------------- the document


@dataclass(eq=False)
class _Open:
    """A section or list that is being read."""

    node: _Node
    path: tuple[Key, ...]
    anchor: str | None
    before: int
    """Nodes read before it."""
    key: str | None = None
    key_mark: Mark | None = None
    seen: dict[str | float, Mark] = field(default_factory=dict)

    @property
    def needs_key(self) -> bool:
        """Whether what comes next is a key."""
        return isinstance(self.node.data, dict) and self.key is None


class _Composer:
    """Makes nodes of events. What can be passed over is noted, what cannot is raised."""

    def __init__(self, name: str) -> None:
        self.root: _Node | None = None
        self.problems: list[Problem] = []
        self._name = name
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take one event."""
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop("a second document", "keep one scenario in a file, without lines of ---", mark)
        elif isinstance(event, CollectionStartEvent):
            self._begin(event, mark)
        elif isinstance(event, ScalarEvent):
            self._scalar(event, mark)
        elif isinstance(event, AliasEvent):
            self._alias(str(event.anchor), mark)
        elif isinstance(event, CollectionEndEvent):
            done = self._open.pop()
            done.node.nodes = self._nodes - done.before
            self._attach(done.node, done.anchor)

    def _begin(self, event: Any, mark: Mark) -> None:
        self._refuse_tag(event, mark)
        if self._needs_key():
            self._stop("a list or a section cannot be a key", "use a word", mark)
        self._count(1, 1, mark)
        node = _Node(mark, {} if isinstance(event, MappingStartEvent) else [], at_key=not event.flow_style)
        self._open.append(_Open(node, self._path(), event.anchor, self._nodes - 1))

    def _scalar(self, event: Any, mark: Mark) -> None:
        self._refuse_tag(event, mark)
        text, is_plain = event.value, event.style is None
        if found := _NOT_TEXT.search(text):
            self._note(f"the character {_escape(found.group())} cannot stand in a scenario", "delete it", mark)
        weight = 1 + len(text) // 1000
        self._count(weight, 0, mark)
        if self._needs_key():
            self._take_key(text, is_plain, mark)
            if event.anchor:
                self._anchors[event.anchor] = _Node(mark, text, nodes=weight)
        else:
            node = _Node(mark, _plain(text) if is_plain else text, nodes=weight, at_key=is_plain and not text)
            self._attach(node, event.anchor)

    def _take_key(self, text: str, is_plain: bool, mark: Mark) -> None:
        section = self._open[-1]
        key = unicodedata.normalize("NFC", text)
        shown = cut(printable(key))
        if len(key) > MAX_KEY:
            self._note(f"a key of {len(key)} characters", f"use at most {MAX_KEY}", mark)
        if hidden := [c for c in key if not c.isprintable() and not _NOT_TEXT.match(c)]:
            self._note(f"the key '{shown}' holds the invisible character {_escape(hidden[0])}", "delete it", mark)
        if is_plain and key == "<<":
            self._note("merge keys (<<) do not belong to YAML 1.2", "write the values out", mark)
        number = _plain(key) if is_plain else key
        same = float(number) if isinstance(number, int | float) and not isinstance(number, bool) else key
        if same in section.seen:
            self._note(f"'{shown}' is there twice", f"the first is in line {section.seen[same].line}", mark)
        section.seen.setdefault(same, mark)
        section.key, section.key_mark = key, mark

    def _alias(self, anchor: str, mark: Mark) -> None:
        shown = cut(printable(anchor))
        if any(part.anchor == anchor for part in self._open):
            self._stop(f"*{shown} stands for something that it is itself a part of", "write the value out", mark)
        if anchor not in self._anchors:
            self._stop(
                f"*{shown} repeats what is marked &{shown}, and nothing is",
                "text that begins with * needs quotes",
                mark,
            )
        if self._needs_key():
            self._stop(f"*{shown} cannot be a key", "write the key out", mark)
        of = self._anchors[anchor]
        self._count(of.nodes, of.depth, mark)
        self._attach(_Node(mark, of.data, of.keys, of.children, of.nodes, of.depth), None)

    def _attach(self, node: _Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        key: Key
        if isinstance(parent.node.data, dict):
            key, mark, parent.key = parent.key or "", parent.key_mark or node.mark, None
            parent.node.data[key] = node.data
        else:
            key, mark = len(parent.node.data), node.mark
            parent.node.data.append(node.data)
        parent.node.depth = max(parent.node.depth, node.depth + 1)
        parent.node.keys[key], parent.node.children[key] = mark, node

    def _needs_key(self) -> bool:
        return bool(self._open) and self._open[-1].needs_key

    def _path(self) -> tuple[Key, ...]:
        if not self._open:
            return ()
        part = self._open[-1]
        key: Key | None = part.key if isinstance(part.node.data, dict) else len(part.node.data)
        return part.path if key is None else (*part.path, key)

    def _count(self, nodes: int, depth: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES:,} values, repeated ones counted each time"
            self._stop(message, "a scenario needs a few hundred", mark)
        if len(self._open) + depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} lists or sections within each other"
            self._stop(message, "a scenario needs five or six", mark)

    def _refuse_tag(self, event: Any, mark: Mark) -> None:
        if event.tag is not None:
            tag = cut(printable(str(event.tag).replace("tag:yaml.org,2002:", "!!")))
            self._note(f"the tag {tag} is not allowed", "a scenario holds plain values only, without tags", mark)

    def _note(self, message: str, hint: str, mark: Mark) -> None:
        path = tuple(cut(printable(key)) if isinstance(key, str) else key for key in self._path()[:8])
        self.problems.append(Problem(path, message, hint, *mark))

    def _stop(self, message: str, hint: str, mark: Mark) -> NoReturn:
        self._note(message, hint, mark)
        raise SpecError(self.problems, self._name)


# ----------------------------------------------------------------------------------------- the values


def _plain(text: str) -> str | int | float | bool | None:
    """Return what text without quotes means in the core schema of YAML 1.2; what means nothing is text."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    return text if len(text) > MAX_NUMBER else _number(text)


def _number(text: str) -> str | int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if found := _INFINITE.fullmatch(text):
        return float(f"{found.group(1)}inf")
    if _NAN.fullmatch(text):
        return float("nan")
    if not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    # 1e4 and 24.0 are whole numbers, and may stand where one is needed.
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
