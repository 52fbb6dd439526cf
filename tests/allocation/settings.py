"""A trial to put a rule into."""

from __future__ import annotations

from sps_adaptive.allocation.realisation import Setting

NAMES = tuple(f"arm {number}" for number in range(50))


def setting(n_arms: int = 3, n_looks: int | None = 4, is_binary: bool = True) -> Setting:
    """What a rule must know of a trial."""
    return Setting(NAMES[:n_arms], n_looks, is_binary)


def paths(problems: list) -> list:
    """Where the problems are."""
    return [path for path, _, _ in problems]
