"""Exact figures on the command line. Snapshots as in test_answer.py: SPS_ADAPTIVE_SNAPSHOTS=1 writes them anew."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from sps_adaptive import load_scenario, simulate
from sps_adaptive.characteristics.exact import exact_tables
from sps_adaptive.cli import main
from sps_adaptive.cli.certified import by_invariance, largest_errors, whatever_the_rate
from sps_adaptive.cli.figures import Figure, Figures, bound, number, percent, rate
from sps_adaptive.errors import UsageError
from sps_adaptive.runs import exact
from sps_adaptive.runs.exact import ExactResults, compute_exact

ROOT = Path(__file__).parents[2]
SNAPSHOTS = Path(__file__).parent / "snapshots"
COLUMNS = ["truth", "design", "metric", "arm", "look", "estimate", "mcse", "lower", "upper"]

pytestmark = pytest.mark.xdist_group("cli_exact")

THREE = """
title: Three small arms
arms: {placebo: {control: true}, low dose: {}, high dose: {}}
population: {patients: 24, accrual: {kind: poisson, patients_per_month: 2}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {response: {kind: beta_binomial}}
looks: {kind: enrolled, at: [12, 18]}
allocation: {kind: thompson, power: 0.5, realisation: quota, block: 6}
decisions:
  - {kind: efficacy, margin: 0, probability: 0.98}
  - {kind: futility, margin: 0, probability: 0.1}
truths:
  nothing works: {response: {placebo: 0.25, low dose: 0.25, high dose: 0.25}}
  high dose works: {response: {placebo: 0.25, low dose: 0.25, high dose: 0.7}}
"""

TWO = """
title: Two small arms
arms: {placebo: {control: true}, drug: {}}
population:
  patients: 20
  accrual: {kind: steady, patients_per_month: 2}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 2}}
analysis: {response: {kind: beta_binomial}}
looks: {kind: enrolled, first: 12}
allocation: {kind: equal, realisation: quota, block: 4}
decisions:
  - {kind: efficacy, margin: 0, probability: [0.99, 0.97]}
  - {kind: futility, margin: 0, probability: 0.1}
truths:
  no effect: {response: {placebo: 0.001, drug: 0.001}}
  it works: {response: {placebo: 0.2, drug: 0.7}}
"""

CONTINUOUS = """
title: A score
arms: {placebo: {control: true}, drug: {}, other drug: {}}
population: {patients: 24, accrual: {kind: steady, patients_per_month: 2}}
endpoints: {score: {kind: continuous, better: higher, assessed_at_month: 1, sd: 1}}
analysis: {score: {kind: normal, variance: common, sd: 1, sd_patients: 0, prior: {mean: 0, patients: 0}}}
looks: {kind: enrolled, first: 12}
allocation: {kind: equal}
decisions: [{kind: efficacy, margin: 0, probability: 0.98}]
truths:
  it works: {score: {placebo: 0, drug: 1, other drug: 0}}
  nothing works: {score: {placebo: 0, drug: 0, other drug: 0}}
simulation: {replicates: 200, seed: 3}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exact")


@pytest.fixture(scope="module")
def two(folder) -> Path:
    (folder / "two.yaml").write_text(TWO)
    return folder / "two.yaml"


@pytest.fixture(scope="module")
def three(folder) -> Path:
    (folder / "three.yaml").write_text(THREE)
    return folder / "three.yaml"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed(file, to, *changes):
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    to.write_text(text)
    return to


def compare(name, text):
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SPS_ADAPTIVE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def refused(result, *words):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


# -------------------------------------------------------------------------------------------- the answer


@pytest.mark.parametrize("name", ["two", "three"])
@pytest.mark.parametrize("width", [60, 100])
def test_tables(call, folder, two, three, name, width):
    run = folder / f"{name}-run"
    shown = call("exact", folder / f"{name}.yaml", "-o", run, COLUMNS=str(width))
    assert shown.exit_code == 0, shown.output
    text = shown.stdout.replace(str(run), "RUN")
    compare(f"exact-{name}-{width}", text)
    assert all(len(line) <= width or "RUN" in line for line in text.splitlines())
    assert "±" not in text
    again = call("show", run, COLUMNS=str(width))
    assert (again.stdout, again.stderr) == (shown.stdout, "")


def test_the_size_is_told_on_stderr_when_it_is_computed(call, two, here):
    first = call("exact", two, "-o", "run")
    assert first.stderr.startswith("Exact: ")
    assert " states, " in first.stderr and first.stderr.endswith(" s.\n")
    assert call("exact", two, "-o", "run").stderr == ""


def test_every_figure_has_the_word_where_its_error_would_stand(call, two, here):
    lines = call("exact", two).stdout.splitlines()
    begin = lines.index("Declared effective, % of trials")
    end = next(place for place, line in enumerate(lines) if line.startswith("✓"))
    rows = [line for line in lines[begin:end] if " adaptive " in line or " fixed " in line]
    assert len(rows) == 4
    assert all(line.count(" exact") >= 2 for line in rows)


def test_the_default_folder(call, two, here):
    assert call("exact", two).exit_code == 0
    (made,) = (here / "runs").iterdir()
    assert made.name == f"two-{load_scenario(two).digest()[:8]}-exact"
    assert json.loads((made / "manifest.json").read_text())["sessions"][0]["command"]


def test_csv_and_json_are_the_rows_of_the_engine(call, two, here):
    expected = exact_tables(load_scenario(two)).characteristics.drop(columns="n")
    as_csv = call("exact", two, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    assert list(rows[0]) == COLUMNS
    assert [float(row["estimate"]) for row in rows] == expected["estimate"].tolist()
    of_json = json.loads(call("exact", two, "--format", "json").stdout)
    assert pd.DataFrame(of_json)[COLUMNS].astype(expected.dtypes.to_dict()).equals(expected)
    assert all(row["mcse"] == 0 and row["lower"] == row["upper"] == row["estimate"] for row in of_json)


def test_full_prints_every_figure(call, two, here):
    lines = call("exact", two, "--full").stdout.splitlines()
    begin = lines.index("Every figure: no effect, adaptive")
    assert lines[begin + 1].split() == ["metric", "arm", "look", "estimate", "mcse"]
    assert lines[begin + 3].split() == ["type_i_error", "drug", *lines[begin + 3].split()[-2:]]
    assert lines[begin + 3].endswith(" exact")


def test_one_truth(call, two, here):
    shown = call("exact", two, "-t", "it works")
    assert shown.exit_code == 0
    assert "no effect" not in shown.stdout
    refused(call("exact", two, "-t", "nope"), "no truth named 'nope'")


# ------------------------------------------------------------------------------------------- the refusals


@pytest.mark.parametrize(
    "arguments",
    [
        ["exact"],
        ["exact", "FILE", "--memory", "0"],
        ["exact", "FILE", "--minutes", "-1"],
        ["exact", "FILE", "--replicates", "5"],
        ["exact", "FILE", "--format", "xml"],
        ["simulate", "FILE", "--engine", "fast"],
    ],
)
def test_wrong_usage(call, two, arguments):
    told = call(*(two if a == "FILE" else a for a in arguments))
    assert told.exit_code == 2
    assert "Usage:" in told.output


@pytest.mark.parametrize("command", [["exact"], ["simulate", "--engine", "exact"]])
def test_a_trial_that_cannot_be_computed_exactly(call, here, command):
    told = call(*command, ROOT / "scenarios" / "ivig.yaml")
    refused(told, "cannot be computed exactly: with sites accrual and outcomes that come 6 months later", "steady")
    assert list(here.iterdir()) == []


def test_a_trial_that_is_too_large(call, three, here):
    large = changed(three, here / "large.yaml", ("patients: 24", "patients: 150"), ("realisation: quota, block: 6", ""))
    told = call("exact", large, "--memory", "0.5")
    refused(told, "too large to compute exactly: ", " states, ", "the budget is 500 MB and 10 min", "would fit")
    assert [path.name for path in here.iterdir()] == ["large.yaml"]


def test_a_scenario_that_asks_for_what_cannot_be(call, here):
    file = changed(
        ROOT / "scenarios" / "ivig.yaml", here / "it.yaml", ("{replicates: ", "{engine: exact, replicates: ")
    )
    for command in ("simulate", "exact", "check"):
        refused(call(command, file), "cannot be computed exactly", "engine: simulate")


def test_the_defaults_are_those_of_the_library():
    assert (main.MEMORY_GB, main.MINUTES) == (exact.MEMORY_GB, exact.MINUTES)


# ------------------------------------------------------------------------------------ simulate chooses


def test_simulate_is_exact_where_it_can(call, two, here):
    of_simulate, of_exact = call("simulate", two), call("exact", two)
    assert of_simulate.exit_code == 0
    assert of_simulate.stderr.startswith("Exact: ")
    assert of_simulate.stdout == of_exact.stdout
    assert of_exact.stderr == "", "it was there"


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        (
            "two",
            ["-n", "20"],
            "Simulated, since --replicates was given (--engine exact sums over all paths instead).\n",
        ),
        ("two", ["-n", "20", "--engine", "simulate"], ""),
        ("score", [], "Simulated, since its endpoint is continuous: sums over all paths need a binary one.\n"),
        (
            "score",
            ["-n", "20"],
            "Simulated, since its endpoint is continuous: sums over all paths need a binary one.\n",
        ),
    ],
)
def test_simulate_says_why_it_simulates(call, two, here, file, arguments, words):
    (here / "score.yaml").write_text(CONTINUOUS)
    path = two if file == "two" else here / "score.yaml"
    told = call("simulate", path, "-w", 1, *arguments)
    assert told.exit_code == 0
    assert told.stderr == words
    assert " simulated trials for each truth and design" in told.stdout


def test_seed_and_workers_do_not_ask_for_a_simulation(call, two, here):
    told = call("simulate", two, "--seed", 5, "-w", 1)
    assert "Exact: all paths summed" in told.stdout


def test_replicates_of_exact_figures_are_a_contradiction(call, two, here):
    refused(call("simulate", two, "-n", 20, "--engine", "exact"), "exact figures are asked for, and --replicates")
    file = changed(two, here / "it.yaml", ("truths:", "simulation: {engine: exact}\ntruths:"))
    refused(call("simulate", file, "-n", 20), "leave out --replicates, or add --engine simulate")
    assert call("simulate", file, "-n", 20, "-w", 1, "--engine", "simulate").exit_code == 0


def test_only_the_truths_asked_for_must_allow_it(call, two, here):
    file = changed(two, here / "it.yaml", ("drug: 0.7", "drug: {0: 0.7, 6: 0.5}"))
    assert (
        "Simulated, since the response rates of the truth 'it works' change" in call("simulate", file, "-w", 1).stderr
    )
    assert "Exact: all paths summed" in call("simulate", file, "-t", "no effect").stdout


def test_the_two_kinds_do_not_share_a_folder(call, two, here):
    call("exact", two, "-o", "run")
    refused(call("simulate", two, "-n", 20, "-w", 1, "-o", "run"), "holds exact figures of this scenario")
    call("simulate", two, "-n", 20, "-w", 1, "-o", "other")
    refused(call("exact", two, "-o", "other"), "holds a simulated run of this scenario")


# ------------------------------------------------------------------------------------------------ check


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("two.yaml", "Figures: exact; "),
        ("asked.yaml", "Figures: exact, as the scenario asks; "),
        ("simulated.yaml", "Figures: simulated, as the scenario asks."),
        ("score.yaml", "Figures: simulated, since its endpoint is continuous: sums over all paths need a binary one."),
    ],
)
def test_check_says_how_the_figures_will_be_found(call, two, here, file, words):
    changed(two, here / "two.yaml")
    changed(two, here / "asked.yaml", ("truths:", "simulation: {engine: exact}\ntruths:"))
    changed(two, here / "simulated.yaml", ("truths:", "simulation: {engine: simulate}\ntruths:"))
    (here / "score.yaml").write_text(CONTINUOUS)
    told = call("check", file)
    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("Figures: ")]
    assert line.startswith(words)
    assert ("states" in line) == ("exact" in words)


# ------------------------------------------------------------------------------------------ certificates


def results_of(tmp_path, text, *changes) -> ExactResults:
    file = tmp_path / "it.yaml"
    file.write_text(text)
    return compute_exact(load_scenario(changed(file, file, *changes)))


def test_a_printed_bound_is_a_bound(folder, two):
    results = compute_exact(load_scenario(two))
    table = largest_errors(results)
    printed = [row[3] for row in table.rows]
    for text, upper in zip(sorted(printed), sorted(results.certificates["upper"]), strict=True):
        assert text.endswith("%")
        assert Decimal(upper) * 100 <= Decimal(text[:-1]) < Decimal(upper) * 100 + Decimal("0.01")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (1e-9, "0.01"), (0.036451, "3.65"), (0.25, "25.00"), (0.05004, "5.01")],
)
def test_bounds_are_rounded_up(value, text):
    assert Decimal(bound(value)) >= Decimal(value) * 100
    assert bound(value) == text


def test_where_nothing_is_certified_it_says_why(tmp_path):
    margins = results_of(tmp_path, THREE, ("margin: 0, probability: 0.98", "margin: 0.05, probability: 0.98"))
    assert largest_errors(margins) == (
        "Largest errors: not certified, since with margins the regions in which arms do not work are certified for two "
        "arms and one margin only."
    )
    assert list(whatever_the_rate(margins)) == []
    none = results_of(tmp_path, TWO, ("  - {kind: efficacy, margin: 0, probability: [0.99, 0.97]}\n", ""))
    assert largest_errors(none) == "Largest errors: not certified, since no rule declares an arm effective."


def test_margins_with_two_arms(tmp_path):
    results = results_of(tmp_path, TWO, ("margin: 0, probability: [", "margin: 0.1, probability: ["))
    where = "type I error of drug: drug not better than placebo by more than 0.1"
    assert [row[0] for row in largest_errors(results).rows] == [where] * 2
    (sentence,) = whatever_the_rate(results)
    assert sentence.startswith("Whatever the response rates, drug is wrongly declared effective in at most ")


# ------------------------------------------------------------------------------------------- invariance


def scored(call, here, *changes, arguments=()):
    (here / "score.yaml").write_text(CONTINUOUS)
    changed(here / "score.yaml", here / "score.yaml", *changes)
    told = call("simulate", "score.yaml", "-w", 1, *arguments)
    assert told.exit_code == 0, told.output
    return " ".join(told.stdout.split())


def test_one_null_speaks_for_all(call, here):
    text = scored(call, here)
    rows = json.loads(call("simulate", "score.yaml", "-w", 1, "--format", "json").stdout)
    errors = {
        row["design"]: round(200 * row["estimate"])
        for row in rows
        if row["metric"] == "familywise_error" and row["truth"] == "nothing works" and row["design"] != "same error"
    }
    assert "Familywise error certified by invariance, for any mean and standard deviation: adaptive at most " in text
    for design, count in errors.items():
        assert f"({count} of 200 trials)" in text.partition(f"{design} at most ")[2].partition(",")[0] + ","
    assert "each with 99% confidence. As long as: Outcomes are normal" in text


def test_it_needs_a_null_truth(call, here):
    assert "certified" not in scored(call, here, arguments=["-t", "it works"])
    assert "no truth has one mean for all arms" in scored(call, here, arguments=["-t", "it works", "--full"])


def test_a_design_that_knows_a_scale_has_no_such_certificate(call, here):
    knows = ("sd_patients: 0", "sd_patients: 2")
    assert "invariance" not in scored(call, here, knows)
    full = scored(call, here, knows, arguments=["--full"])
    assert "The error under one null truth does not hold for others: The guess of the standard deviation" in full


def test_a_binary_endpoint_has_none(folder, two):
    results = compute_exact(load_scenario(two))
    assert by_invariance(results, Figures(results.characteristics), full=True) == ""


# ---------------------------------------------------------------------------------------------- figures


def exactly(value):
    return Figure(value, 0.0, value, value, True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.03652, "3.652 exact"),
        (0.0, "0 exact"),
        (1e-40, "<0.001 exact"),
        (4.9e-6, "<0.001 exact"),
        (5.1e-6, "0.001 exact"),
        (0.999999, ">99.999 exact"),
        (1 - 1e-13, "100 exact"),
        (1.0, "100 exact"),
    ],
)
def test_percent(value, text):
    assert percent(exactly(value)) == text


def test_numbers():
    assert number(exactly(54.31)) == "54.3 exact"
    assert number(exactly(-0.0141), 3, signed=True) == "-0.014 exact"
    assert rate(exactly(0.0)) == "0"


# ------------------------------------------------------------------------------------------- interruption


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_leaves_nothing_behind(call, here, three):
    large = changed(three, here / "large.yaml", ("patients: 24", "patients: 60"), ("realisation: quota, block: 6", ""))
    process = subprocess.Popen(
        [sys.executable, "-m", "sps_adaptive", "exact", str(large)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Exact: ")
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # Python ends itself by the signal if it was interrupted in compiled text: a shell calls both 130
    assert process.returncode in (130, -signal.SIGINT)
    assert out == ""
    assert err.splitlines()[-1] == "Interrupted: nothing was written, and the same command begins anew."
    assert [path.name for path in here.iterdir()] == ["large.yaml"]


# ------------------------------------------------------------------------------- rules that sum over paths

PREDICTIVE = ("decisions:\n", "decisions:\n  - {kind: predictive, probability: 0.1}\n")


@pytest.mark.parametrize("arguments", [("check",), ("simulate", "-w", 1), ("simulate", "--engine", "simulate")])
@pytest.mark.parametrize("engine", ["auto", "simulate"])
def test_a_rule_about_paths_that_cannot_be_summed_is_refused_at_once(call, two, here, arguments, engine):
    events = "looks: {kind: events, at: [8]}\n"
    looks = next(line for line in two.read_text().splitlines(keepends=True) if line.startswith("looks:"))
    asks = ("truths:", f"simulation: {{engine: {engine}}}\ntruths:")
    file = changed(two, here / "it.yaml", PREDICTIVE, (looks, events), asks)
    told = call(arguments[0], file, *arguments[1:])
    refused(told, "needs a trial whose paths can be summed")
    assert "Simulated" not in told.stderr and not (here / "runs").exists()
    with pytest.raises(UsageError, match="whose paths can be summed"):
        simulate(load_scenario(file), replicates=10)
    assert call("check", changed(two, here / "sound.yaml", PREDICTIVE)).exit_code == 0
