"""The memory of a run does not grow with the number of replicates."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MARGIN_MB = 40
"""The larger run has sixty blocks more: 60 MB as files, and three times as much as tables."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak is that of Linux")


def peak_mb(folder, replicates):
    command = [sys.executable, "-m", "tests.faults.victim", folder, replicates, 1, 0]
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["peak_kb"] / 1024


def test_six_times_as_many_replicates_need_no_more_memory(tmp_path):
    few, many = (peak_mb(tmp_path / str(n), n) for n in (12_000, 72_000))
    assert many < few + MARGIN_MB
