"""Every command, used rightly and wrongly."""

import json
import os
import signal
import time

import jsonschema
import pytest

from sps_adaptive import yaml_text
from sps_adaptive.cli import failures
from sps_adaptive.errors import SpsError

COMMANDS = ["simulate", "exact", "show", "check", "new", "schema", "replay"]


def refused(result, code, *words):
    """Whether the command ended with this exit code and one message with these words."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert all(line.isprintable() for line in result.stderr.splitlines())
    for word in words:
        assert word in result.stderr


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------------------ help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(call, command):
    shown = call(command, "--help")
    assert shown.exit_code == 0
    assert f" {command} " in shown.stdout


def test_help_lists_every_command_without_cutting_a_sentence(call):
    shown = call("--help", COLUMNS="80")
    assert all(f"  {command}" in shown.stdout for command in COMMANDS)
    assert "..." not in shown.stdout.partition("Commands:")[2]


def test_version(call):
    assert call("--version").stdout.startswith("sps-adaptive ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["simulte"],
        ["simulate"],
        ["simulate", "FILE", "-n", "-3"],
        ["simulate", "FILE", "-n", "0"],
        ["simulate", "FILE", "-n", "99999999999999"],
        ["simulate", "FILE", "-n", "many"],
        ["simulate", "FILE", "--workers", "0"],
        ["simulate", "FILE", "--seed", "-1"],
        ["simulate", "FILE", "--seed", str(2**63)],
        ["simulate", "FILE", "--format", "xml"],
        ["simulate", "FILE", "FILE"],
        ["replay", "FILE"],
        ["replay", "FILE", "-t", "null", "-r", "-1"],
        ["replay", "FILE", "-t", "null", "-r", str(10**18)],
        ["replay", "FILE", "-t", "null", "--design", "other"],
        ["replay", "FILE", "-t", "null", "--seed", str(2**63)],
        ["\x1b[31mred"],
    ],
)
def test_wrong_usage_is_told(call, scenario_file, arguments):
    told = call(*(scenario_file if a == "FILE" else a for a in arguments))
    assert told.exit_code == 2
    assert "Usage:" in told.output
    assert "\x1b" not in told.output


# -------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("command", [["check"], ["simulate"], ["replay", "-t", "null"]])
def test_files_that_are_none(call, here, command):
    refused(call(*command, "missing.yaml"), 2, "there is no file 'missing.yaml'")
    refused(call(*command, "."), 2, "is a folder")
    (here / "bad.yaml").write_text("title: 1\n")
    refused(call(*command, "bad.yaml"), 2, "bad.yaml:1:8: title: text is needed, got 1")


def test_an_unknown_truth(call, scenario_file, here):
    refused(call("simulate", scenario_file, "-t", "nope"), 2, "no truth named 'nope'", "it has: null, immuno")
    refused(call("replay", scenario_file, "-t", "\x1b[31m"), 2, r"no truth named '\x1b[31m'")
    assert list(here.iterdir()) == []


def test_outputs_that_cannot_be(call, scenario_file, here):
    (here / "file").write_text("")
    refused(call("simulate", scenario_file, "-n", 20, "-o", "file"), 1, "file is not a folder")
    (here / "full").mkdir()
    (here / "full" / "letter.txt").write_text("")
    refused(call("simulate", scenario_file, "-n", 20, "-o", "full"), 2, "not empty and holds no run")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be written")
def test_an_output_that_may_not_be_written(call, scenario_file, here):
    (here / "locked").mkdir(mode=0o500)
    refused(call("simulate", scenario_file, "-n", 20, "-o", "locked/run"), 1, "cannot be written")


@pytest.mark.xdist_group("cli_run")
def test_a_folder_of_another_scenario(call, scenario_file, run_folder, here):
    other = here / "other.yaml"
    other.write_text(scenario_file.read_text(encoding="utf-8").replace("_month: 2,", "_month: 3,"), "utf-8")
    refused(call("simulate", other, "-n", 20, "-o", run_folder), 2, "holds a run of another scenario")
    refused(call("simulate", scenario_file, "--seed", 4, "-o", run_folder), 2, "has the seed 3, not 4")


def test_show_where_there_is_no_run(call, here):
    refused(call("show", "."), 2, "holds no run")
    refused(call("show", "missing"), 2, "there is no folder")


@pytest.mark.xdist_group("cli_run")
def test_show_says_what_an_interrupted_run_lacks(call, scenario_file, here):
    call("simulate", scenario_file, "-n", 20, "-w", 1, "-o", "run", "-t", "null")
    manifest = json.loads((here / "run" / "manifest.json").read_text())
    (here / "run" / "manifest.json").write_text(json.dumps(manifest | {"replicates": 5000}))
    (here / "run" / "characteristics.csv").unlink()
    shown = call("show", "run")
    assert shown.exit_code == 0
    assert "2,000 of 5,000 trials a truth and nothing of immunoglobulin works" in shown.stderr
    assert "Every figure: --full" in shown.stdout


def test_there_are_no_more_workers_than_cores(call, scenario_file, here, monkeypatch):
    asked = []

    def note(*_args, workers, **_options):
        asked.append(workers)
        raise SpsError("enough")

    monkeypatch.setattr("sps_adaptive.runs.run.simulate", note)
    monkeypatch.setattr("sps_adaptive.cli.main._cores", lambda: 3)
    for workers in ([], ["-w", 1], ["-w", 64]):
        refused(call("simulate", scenario_file, *workers), 1, "enough")
    assert asked == [3, 1, 3]


# ------------------------------------------------------------------------------------------ the others


def test_check_tells_the_design(call, scenario_file):
    shown = call("check", scenario_file)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "A small trial [red]in red[/red] \\ not"
    assert lines[-1] == f"{scenario_file} is a valid scenario."
    assert "What a statistician would ask" in lines
    assert all(len(line) <= 100 for line in lines[:-1])


def test_schema_is_json(call):
    assert json.loads(call("schema").stdout)["title"] == "Scenario of sps_adaptive"


@pytest.mark.xdist_group("cli_run")
def test_the_template_is_valid_and_runs(call, here):
    assert call("new", "my-trial").exit_code == 0
    assert call("check", "my-trial.yaml").stdout.startswith("my trial\n")
    schema = json.loads(call("schema").stdout)
    jsonschema.Draft202012Validator(schema).validate(yaml_text.read("my-trial.yaml").data)
    done = call("simulate", "my-trial.yaml", "-n", 20, "-w", 1)
    assert done.exit_code == 0, done.output
    assert len(list((here / "runs").glob("my-trial-*/trials/*.parquet"))) == 4


@pytest.mark.parametrize(
    ("name", "file", "shown"),
    [
        ("a", "a.yaml", "a.yaml"),
        ("b.yml", "b.yml", "b.yml"),
        ("sub/../c", "c.yaml", "sub/../c.yaml"),
        ("second try (2)", "second try (2).yaml", "'second try (2).yaml'"),
        ("dose-1.5", "dose-1.5.yaml", "dose-1.5.yaml"),
        ("Ärzte", "Ärzte.yaml", "'Ärzte.yaml'"),
    ],
)
def test_new_takes_names_with_and_without_ending(call, here, name, file, shown):
    (here / "sub").mkdir()
    made = call("new", name)
    assert made.exit_code == 0
    assert f"sps-adaptive check {shown}" in made.stderr
    assert made.stdout == ""
    assert call("check", file).exit_code == 0


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", ".yaml", "-", "a{b}", "a\nb", "a\n/b", "\x1b[31mred", "x\0y", "a:b", "#a", "a'b"]
)
def test_new_refuses_names_that_are_none(call, here, name):
    refused(call("new", "--", name), 2, "is no name for a scenario")
    assert list(here.iterdir()) == []


def test_new_leaves_alone_what_is_there(call, here):
    (here / "mine.yaml").write_text("mine")
    refused(call("new", "mine"), 2, "mine.yaml exists already")
    assert (here / "mine.yaml").read_text() == "mine"
    refused(call("new", "missing/mine"), 2, "there is no folder missing")


def test_replay_lists_patients(call, scenario_file):
    told = call("replay", scenario_file, "-t", "null", "-r", 7, "--design", "fixed", "--patients")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert lines[0] == "Trial 7 of truth 'null', fixed design"
    assert lines[-1].startswith("30 ")


# -------------------------------------------------------------------------------- what nobody expected


def failing(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


@pytest.mark.parametrize("debug", ["", "1"])
def test_an_unexpected_error_asks_to_be_reported(call, scenario_file, monkeypatch, debug):
    monkeypatch.setattr("sps_adaptive.spec.load_scenario", failing(RuntimeError("a \x1b[31mred herring")))
    told = call("check", scenario_file, **{failures.DEBUG: debug})
    assert told.exit_code == 1
    assert "please report it" in told.stderr
    assert r"RuntimeError: a \x1b[31mred herring" in told.stderr
    assert ("Traceback" in told.stderr) == bool(debug)
    assert "\x1b" not in told.output


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (SpsError("what happened", "what to do"), 1, "what happened\n    what to do\n"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left on device", "a/b"), 1, "a/b: No space left on device\n"),
        (KeyboardInterrupt(), 130, "Interrupted: finished blocks are kept, and the same command goes on from there.\n"),
    ],
)
def test_errors_of_a_run(call, scenario_file, monkeypatch, here, error, code, words):
    monkeypatch.setattr("sps_adaptive.runs.run.simulate", failing(error))
    refused(call("simulate", scenario_file), code, words)


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_asked_to_end(call, scenario_file, monkeypatch, here, number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def stopped(*_args, **_kwargs):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt:
            raise SystemError("as some libraries do") from None

    monkeypatch.setattr("sps_adaptive.runs.run.simulate", stopped)
    refused(call("simulate", scenario_file), 130, "finished blocks are kept")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
