"""The memory of a run does not grow with the number of replicates."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MARGIN_MB = 40
"""Ten times what a run of the one size needs more than another of the same size; a leak would be 200 MB."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="resource usage of POSIX")


def peak_mb(folder, replicates):
    command = [sys.executable, "-m", "tests.faults.victim", folder, replicates, 1, 0]
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["peak_kb"] / 1024


def test_ten_times_as_many_replicates_need_no_more_memory(tmp_path):
    few, many = (peak_mb(tmp_path / str(n), n) for n in (12_000, 120_000))
    assert many < few + MARGIN_MB
