"""What goes wrong becomes a message on stderr and an exit code, never a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from sps_adaptive.cli.terminal import complain
from sps_adaptive.errors import SpsError

FAILED, INTERRUPTED = 1, 130

PATIENCE = 1.0
"""After so many seconds of stopping the user is told why it takes its time."""

STOPPING = "Stopping: what has begun is finished first (Ctrl-C again: at once)."

DEBUG = "SPS_ADAPTIVE_DEBUG"
"""Environment variable: if it is set, unexpected errors come with a traceback."""


@contextmanager
def in_words(if_interrupted: str = "Interrupted.") -> Iterator[None]:
    """Tell every error in words, and leave with its exit code.

    Parameters
    ----------
    if_interrupted
        What is said after Ctrl-C, or when the process is asked to end.
    """
    try:
        with _interruptible(if_interrupted) as signals:
            try:
                yield
                if sys.stdout:  # None where it was closed from the start
                    sys.stdout.flush()
            except BaseException:
                if signals:  # some libraries turn an interruption into another error
                    raise KeyboardInterrupt from None
                raise
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        complain(if_interrupted)
        raise typer.Exit(INTERRUPTED) from None
    except SpsError as error:
        complain(str(error))
        _trace(error)
        raise typer.Exit(error.exit_code) from None
    except MemoryError:
        complain("There is not enough memory for this scenario.\n    Fewer workers, patients or looks need less.")
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:
        # Whoever read our output has left (as `head` does): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
        _trace(error)
        raise typer.Exit(FAILED) from None
    except Exception as error:
        complain(
            "This should not have happened; please report it, with the command and the scenario: "
            f"{type(error).__name__}: {error}\n    With {DEBUG}=1 in the environment the same command shows where."
        )
        _trace(error)
        raise typer.Exit(FAILED) from None


@contextmanager
def _interruptible(if_interrupted: str) -> Iterator[list[int]]:
    """Let a request to end do what Ctrl-C does, and leave at once at the second; yield the requests so far."""
    asked: list[int] = []
    patience = threading.Timer(PATIENCE, complain, [STOPPING])
    patience.daemon = True

    def interrupt(number: int, frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:  # no waiting: blocks are written whole or not at all, and workers follow
            cursor = "\r\x1b[2K\x1b[?25h" if os.isatty(2) else ""
            os.write(2, f"{cursor}{if_interrupted}\n".encode())
            os._exit(INTERRUPTED)
        patience.start()
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # as in the background: then it stays so
                before[number] = signal.signal(number, interrupt)
    try:
        yield asked
    finally:
        patience.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _trace(error: BaseException) -> None:
    if os.environ.get(DEBUG):
        complain("".join(traceback.format_exception(error)).rstrip())
