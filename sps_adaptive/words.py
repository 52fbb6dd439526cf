"""Small pieces of plain English, shared by all that describes itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def listed(items: Iterable[Any], most: int = 12) -> str:
    """Return `a, b and c`; a longer list is cut in its middle."""
    words = [str(item) for item in items]
    if len(words) > most:
        return ", ".join([*words[:3], "...", words[-1]])
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def percent(proportion: float) -> str:
    """Return a proportion as a percentage of three digits."""
    return f"{100 * proportion:.3g}%"


def one_less(probability: float) -> str:
    """Return one minus a probability, without digits that only rounding has made."""
    return f"{round(1 - probability, 12):g}"


def months(number: float) -> str:
    """Return a number of months: 1 month, 6 months."""
    return f"{number:g} month{'' if number == 1 else 's'}"
