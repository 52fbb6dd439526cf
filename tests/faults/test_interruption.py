"""However a run ends, to go on with it gives the files of a run that was never interrupted, byte for byte."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sps_adaptive.runs.run import simulate
from tests.runs.fakes import FAKE, a_scenario, contents, interrupted_block, names, with_block

ROOT = Path(__file__).parents[2]
REPLICATES = 8000
N_BLOCKS = 8
"""Two truths of four blocks."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    simulate(a_scenario(), replicates=REPLICATES, output=folder, work=FAKE)
    return contents(folder)


def start(folder, workers, seconds, *marks):
    """Start a run in a process group of its own, as a shell does."""
    command = [sys.executable, "-m", "tests.faults.victim", folder, REPLICATES, workers, seconds, *marks]
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def n_parts(folder):
    return len(list((folder / "trials").glob("*.parquet"))) if folder.exists() else -1


def go_on(folder):
    return simulate(a_scenario(), replicates=REPLICATES, output=folder, work=FAKE)


def last_session(folder):
    return json.loads((folder / "manifest.json").read_text())["sessions"][-1]


@pytest.mark.parametrize("block", [0, 1, 3])
def test_an_interruption_within_a_block(tmp_path, uninterrupted, block):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        simulate(a_scenario(), replicates=REPLICATES, output=folder, work=with_block(interrupted_block, block))
    assert last_session(folder)["blocks"] == n_parts(folder) == 2 * block
    assert last_session(folder)["finished"]
    assert go_on(folder).new_blocks == N_BLOCKS - 2 * block
    assert contents(folder) == uninterrupted


@pytest.mark.parametrize("table", ["arms", "looks", "sums", "trials"])
def test_an_interruption_while_a_part_is_written(tmp_path, uninterrupted, table, monkeypatch):
    folder, replace = tmp_path / "run", os.replace

    def interrupted(old, new):
        if Path(new).parent.name == table and "000002" in str(new):
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulate(a_scenario(), replicates=REPLICATES, output=folder, work=FAKE)
    assert go_on(folder).new_blocks == N_BLOCKS - 4
    assert contents(folder) == uninterrupted


@pytest.mark.parametrize("parts", [-1, 0, 1, 5])
def test_a_run_that_is_killed(tmp_path, uninterrupted, parts):
    """Killed at once, before the first block, and later; what it leaves behind is whole blocks and hidden files."""
    folder = tmp_path / "run"
    victim = start(folder, 1, 0.01)
    if parts >= 0:
        wait_for(lambda: n_parts(folder) >= parts)
    victim.kill()
    victim.communicate()
    left = names(folder) if folder.exists() else set()
    assert all(name.split("/")[-1].startswith(".") for name in left if name.endswith(".tmp"))
    there = max(0, n_parts(folder))
    assert go_on(folder).new_blocks == N_BLOCKS - there
    assert contents(folder) == uninterrupted
    assert not [name for name in names(folder) if name.endswith(".tmp")]


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_run_with_workers_that_is_killed_leaves_no_process_behind(tmp_path, uninterrupted):
    folder, marks = tmp_path / "run", tmp_path / "processes"
    marks.mkdir()
    victim = start(folder, 2, 0.3, marks)
    wait_for(lambda: n_parts(folder) >= 2)
    victim.kill()
    victim.communicate()
    workers = [int(mark.name) for mark in marks.iterdir()]
    assert len(workers) == 2
    wait_for(lambda: not any(is_alive(worker) for worker in workers), 20)
    assert go_on(folder).new_blocks == N_BLOCKS - n_parts_before(folder)
    assert contents(folder) == uninterrupted


def n_parts_before(folder):
    """How many blocks the sessions before the last have left, by what the last one computed."""
    return N_BLOCKS - last_session(folder)["blocks"]


def interrupt(folder, workers, moment):
    """Press Ctrl-C at some moment after work has begun: it goes to every process of the group."""
    victim = start(folder, workers, 0.2)
    assert victim.stdout.readline().startswith("0 ")
    moment(folder)
    os.killpg(victim.pid, signal.SIGINT)
    out, err = victim.communicate(timeout=60)
    assert (victim.returncode, out.splitlines()[-1], err) == (130, "interrupted", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_in_a_terminal(tmp_path, uninterrupted, workers):
    folder = tmp_path / "run"
    interrupt(folder, workers, lambda folder: wait_for(lambda: n_parts(folder) >= 2))
    session = last_session(folder)
    assert session["finished"]
    assert 2 <= session["blocks"] == n_parts(folder) < N_BLOCKS
    assert go_on(folder).new_blocks == N_BLOCKS - session["blocks"]
    assert contents(folder) == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_ctrl_c_while_the_workers_start(tmp_path, uninterrupted, seconds):
    folder = tmp_path / "run"
    interrupt(folder, 2, lambda folder: time.sleep(seconds))
    go_on(folder)
    assert contents(folder) == uninterrupted
