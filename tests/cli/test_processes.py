"""What needs a process of its own: pipes, terminals and signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX"),
    pytest.mark.xdist_group("cli_run"),
]

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "sps_adaptive"]


def environment(**more):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"PYTHONPATH": path, **more}


def run(*arguments, **options):
    env = environment(**options.pop("env", {}))
    return subprocess.run([*COMMAND, *map(str, arguments)], env=env, timeout=60, check=False, **options)


def on_a_terminal(*arguments, columns=100, **more):
    """What a command writes on a terminal, and its exit code."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    env = environment(**{"TERM": "xterm"} | more)
    env = {k: v for k, v in env.items() if v}
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=theirs, stderr=theirs, stdin=theirs, env=env)
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    return written.decode(), process.wait(timeout=60)


def test_a_reader_that_leaves_is_no_error(run_folder):
    process = subprocess.Popen(
        [*COMMAND, "show", str(run_folder), "--full"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=60)


def test_a_closed_or_full_stdout(run_folder):
    closed = run("show", run_folder, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
    assert b"Traceback" not in closed.stderr
    if Path("/dev/full").exists():
        with open("/dev/full", "wb") as full:
            told = run("show", run_folder, stdout=full, stderr=subprocess.PIPE)
        assert told.stderr == b"No space left on device\n"
        assert told.returncode == 1


def test_a_terminal_is_used_and_not_exceeded(run_folder):
    text, code = on_a_terminal("show", run_folder, columns=80, NO_COLOR="")
    assert code == 0
    assert "\x1b[1mPatients\x1b[0m" in text
    lines = text.replace("\x1b[1m", "").replace("\x1b[0m", "").split("\r\n")
    assert "\x1b" not in "".join(lines)
    assert all(len(line) <= 80 or str(run_folder) in line for line in lines)


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(scenario_file, plain):
    text, code = on_a_terminal("check", scenario_file, **plain)
    assert code == 0
    assert "\x1b" not in text


def test_progress_is_shown_on_a_terminal_only(scenario_file, tmp_path):
    arguments = ["simulate", scenario_file, "-n", 40, "-w", 1, "-t", "null", "--format", "csv"]
    quiet = run(*arguments, "-o", tmp_path / "a", capture_output=True)
    assert quiet.returncode == 0
    assert quiet.stderr == b""
    text, code = on_a_terminal(*arguments, "-o", tmp_path / "b")
    assert code == 0
    assert "80 of 80 trials" in text
    assert "trials/s" in text
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l") == 1  # the cursor is back
    assert text.replace("\r\n", "\n").endswith(quiet.stdout.decode())


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_interrupted_run_has_finished_is_kept(scenario_file, tmp_path, workers):
    arguments = ["simulate", str(scenario_file), "-w", str(workers), "-o", str(tmp_path), "-t", "null", "-n"]
    process = subprocess.Popen(
        [*COMMAND, *arguments, "2000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    end = time.monotonic() + 50
    while not (finished := list(tmp_path.glob("trials/*.parquet"))) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # Python ends itself by the signal if it was interrupted in compiled text: a shell calls both 130
    assert process.returncode in (130, -signal.SIGINT)
    assert out == b""
    assert err.decode().splitlines()[-1] == (
        "Interrupted: finished blocks are kept, and the same command goes on from there."
    )
    assert b"Traceback" not in err
    assert finished
    kept = set(tmp_path.glob("trials/*.parquet"))
    assert kept >= set(finished)
    times = {path: path.stat().st_mtime_ns for path in kept}
    again = run(*arguments, "2000", "--format", "csv", capture_output=True)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == times
