"""Commands import what they need and no more: time is lost in imports, and a clock would be a bad test of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"numba", "llvmlite", "pandas", "pyarrow", "scipy", "numpy", "pydantic", "ruamel", "rich"}

REPORT = """
import sys
from sps_adaptive.cli.main import main
try:
    main()
finally:
    print("\\nIMPORTED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported_by(*arguments):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    assert imported_by(*arguments) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["simulate", "--help"], ["new", "trial"]])
def test_small_commands_import_nothing_heavy(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert imported_by(*arguments) & HEAVY <= {"pydantic"}  # with which typer reads the arguments of a command


def test_check_imports_neither_the_engine_nor_the_tables():
    assert imported_by("check", ROOT / "scenarios" / "ivig.yaml") & {"numba", "pandas", "pyarrow", "rich"} == set()
