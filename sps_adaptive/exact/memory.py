"""Stopping before the memory of a machine is full: predictions can be wrong, and a full machine loses everything."""

from __future__ import annotations

import sys

from sps_adaptive.errors import UsageError


class Guard:
    """Watches the memory of this process.

    Parameters
    ----------
    most_bytes
        How much the process may take in all; None for no limit. What it had taken already does not count where it is
        more than half of that: a notebook may hold data of its own.
    """

    def __init__(self, most_bytes: float | None) -> None:
        before = peak()
        self._most = most_bytes if most_bytes is None or before < most_bytes / 2 else before + most_bytes

    def check(self) -> None:
        """Complain if the process has taken too much.

        Raises
        ------
        UsageError
            So that the computation ends while there is memory left.
        """
        if self._most is not None and peak() > self._most:
            raise UsageError(
                "the computation took more memory than it may, and more than was predicted; it was stopped",
                "allow more memory, use fewer patients or looks, or draw trials instead",
            )


def peak() -> float:
    """Return the largest memory this process has had, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0.0
    scale = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * scale
