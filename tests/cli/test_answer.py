"""What is printed of a run. To write the snapshots anew: SPS_ADAPTIVE_SNAPSHOTS=1 pytest tests/cli/test_answer.py."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

SNAPSHOTS = Path(__file__).parent / "snapshots"
COLUMNS = ["truth", "design", "metric", "arm", "look", "estimate", "mcse", "lower", "upper"]

pytestmark = pytest.mark.xdist_group("cli_run")


def compare(name, text):
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SPS_ADAPTIVE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 100])
def test_tables(call, run_folder, width):
    shown = call("show", run_folder, COLUMNS=str(width))
    assert shown.exit_code == 0
    assert shown.stderr == ""
    text = shown.stdout.replace(str(run_folder), "RUN")
    compare(f"answer-{width}", text)
    assert all(len(line) <= width or "RUN" in line for line in text.splitlines())
    assert "…" not in text
    assert "\x1b" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_replay(call, scenario_file):
    told = call("replay", scenario_file, "-t", "immunoglobulin works and nothing else does", "-r", 4)
    assert told.exit_code == 0
    compare("replay", told.stdout)


def test_a_table_names_things_as_they_are(call, run_folder):
    """Square brackets and backslashes mean nothing."""
    assert call("show", run_folder).stdout.startswith("A small trial [red]in red[/red] \\ not\n")


def test_in_short_comes_last_but_for_the_places_of_the_files(call, run_folder):
    lines = call("show", run_folder).stdout.splitlines()
    short = lines.index("In short")
    assert lines[short + 1].startswith("null: wrongly declares an arm effective in ")
    assert [line.partition(":")[0] for line in lines[-2:]] == ["Every figure", "Every trial"]
    assert (run_folder / "characteristics.csv").is_file()


def test_full_prints_every_figure(call, run_folder):
    lines = call("show", run_folder, "--full").stdout.splitlines()
    rows = json.loads(call("show", run_folder, "--format", "json").stdout)
    begin = lines.index("Every figure: null, adaptive")
    end = lines.index("Every figure: null, fixed")
    assert end - begin - 4 >= sum(row["truth"] == "null" and row["design"] == "adaptive" for row in rows)


def test_json_is_rows_and_nothing_else(call, run_folder):
    shown = call("show", run_folder, "--format", "json")
    rows = json.loads(shown.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert all(list(row) == COLUMNS for row in rows)
    assert any(row["mcse"] is None for row in rows)
    assert all(isinstance(row["estimate"], float) and isinstance(row["look"], int) for row in rows)


def test_csv_is_rows_and_nothing_else(call, run_folder):
    shown = call("show", run_folder, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert list(rows[0]) == COLUMNS
    of_json = json.loads(call("show", run_folder, "--format", "json").stdout)
    assert [row["truth"] for row in rows] == [row["truth"] for row in of_json]
    assert [float(row["estimate"]) for row in rows] == [row["estimate"] for row in of_json]


def test_no_cell_of_the_csv_is_a_formula(call, run_folder):
    for row in csv.reader(io.StringIO(call("show", run_folder, "--format", "csv").stdout)):
        for cell in row:
            assert cell[:1] not in ("=", "+", "@")
            assert cell[:1] != "-" or float(cell) < 0


def test_simulate_prints_what_show_prints(call, scenario_file, run_folder):
    again = call("simulate", scenario_file, "-w", 1, "-o", run_folder)
    assert again.stdout == call("show", run_folder).stdout
    as_csv = call("simulate", scenario_file, "-w", 1, "-o", run_folder, "--format", "csv")
    assert as_csv.stdout == call("show", run_folder, "--format", "csv").stdout


def test_one_truth(call, scenario_file, run_folder):
    shown = call("simulate", scenario_file, "-w", 1, "-o", run_folder, "-t", "null")
    assert shown.exit_code == 0
    assert "immunoglobulin works" not in shown.stdout
    assert call("simulate", scenario_file, "-w", 1, "-o", run_folder).exit_code == 0


def test_an_ascii_terminal_gets_ascii(call, run_folder, monkeypatch):
    from sps_adaptive.cli import terminal

    class Ascii:
        encoding = "ascii"

    monkeypatch.setattr(terminal.sys, "stdout", Ascii())
    assert terminal._writable("58.6 ±0.5 ✓ ── ä") == "58.6 +-0.5 * -- ?"
