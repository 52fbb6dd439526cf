"""What can go wrong, in words, with the exit code that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a scenario.

    Parameters
    ----------
    path
        Where it stands, as keys from the top of the file, for example ``("looks", "first")``.
    message
        One sentence without a full stop.
    hint
        What to do about it, or an empty string.
    line, column
        Position in the file, from 1; 0 where there is no file.
    also
        Other places that this one does not go together with, as paths.
    also_lines
        Their lines in the file; empty where there is no file.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    line: int = 0
    column: int = 0
    also: tuple[tuple[str | int, ...], ...] = ()
    also_lines: tuple[int, ...] = ()

    def text(self, file: str | None) -> str:
        """Return ``file:line:column: path: message``, with the hint on a line of its own.

        Where the problem lies between several places the others are named behind the message.
        """
        place = ":".join(str(part) for part in (file, self.line or None, self.column or None) if part)
        path = ".".join(str(key) for key in self.path)
        head = ": ".join(part for part in (place, path, self.message) if part) + self._others(file)
        return f"{head}\n    {self.hint}" if self.hint else head

    def _others(self, file: str | None) -> str:
        paths = [".".join(str(key) for key in path) for path in self.also]
        lines = [f"{file}:{line}" for line in self.also_lines] if file else [f"line {line}" for line in self.also_lines]
        named = [f"{path} at {line}" for path, line in zip(paths, lines, strict=True)] if lines else paths
        return f"; compare {' and '.join(named)}" if named else ""


class SpsError(Exception):
    """Any error that a user can understand and act upon."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n    {self.hint}" if self.hint else self.message


class ScenarioError(SpsError):
    """A scenario that cannot be used: every problem at once, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: list[Problem], file: Path | str | None = None) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.column))
        self.file = str(file) if file is not None else None
        super().__init__("\n".join(problem.text(self.file) for problem in self.problems))


class SpecError(ScenarioError):
    """The file does not parse: not YAML, an unknown key, a wrong type, a value out of range."""


class DesignError(ScenarioError):
    """The file parses, but such a trial cannot be."""


class UsageError(SpsError):
    """The command was asked for something that is not there: a truth, a run, a folder of another scenario."""

    exit_code = 2


class StoreError(SpsError):
    """The results could not be written or read: a full disk, a read-only folder, a damaged block."""


class SimulationError(SpsError):
    """A block of replicates failed; the message says which, so that it can be replayed."""
