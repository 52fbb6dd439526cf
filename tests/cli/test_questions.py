"""What else exact sums can answer, from the command line."""

import json
from io import StringIO

import pandas as pd
import pytest

from sps_adaptive.cli.questions import design_priors, numbers
from sps_adaptive.errors import UsageError

TRIAL = """\
title: Thompson against a coin
arms: {placebo: {control: true}, drug: {}}
population: {patients: 24, accrual: {kind: steady, patients_per_month: 2}}
endpoints: {y: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {y: {kind: beta_binomial}}
looks: {kind: enrolled, first: 12, every: 1}
allocation: {kind: thompson, power: 1, floor: 0.1, block: 2}
decisions: [{kind: efficacy, probability: 0.975, from_look: 13}]
truths: {nothing: {y: {placebo: 0.3, drug: 0.3}}, works: {y: {placebo: 0.3, drug: 0.7}}}
"""

pytestmark = pytest.mark.xdist_group("cli_questions")


@pytest.fixture
def trial(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_text(TRIAL)
    return str(path)


def test_the_threshold_and_the_power_with_it(call, trial):
    told = call("exact", trial, "--calibrate", "0.025")
    assert told.exit_code == 0 and "0.9784615385" in told.stdout and "probability: 0.979" in told.stdout
    assert "42.74%" in told.stdout and "41.99%" in told.stdout  # power now and then
    assert "2.35%" in told.stdout  # the bound, rounded up


def test_the_threshold_as_data(call, trial):
    told = call("exact", trial, "--calibrate", "0.025", "--format", "json", "--truth", "works")
    (row,) = json.loads(told.stdout)
    assert row["threshold"] == 0.979 and row["largest_error"] < 0.025
    assert row["calibrated"] == pytest.approx(0.419920, abs=5e-7)


def test_power_by_size(call, trial):
    told = call("exact", trial, "--sizes", "18:24:3", "--truth", "works", "--power", "0.4")
    assert told.exit_code == 0 and "42.74" in told.stdout
    assert "smallest of these sizes with a power of 40.00% is" in " ".join(told.stdout.split())
    told = call("exact", trial, "--sizes", "18:24:3", "--truth", "works", "--format", "csv")
    frame = pd.read_csv(StringIO(told.stdout))
    assert frame["patients"].tolist() == [18, 21, 24]
    assert frame["power"].iloc[-1] == pytest.approx(0.427381705, abs=1e-9)
    told = call("exact", trial, "--sizes", "18:24:3", "--truth", "works", "--power", "0.9")
    assert "None of these sizes reaches a power of 90.00%" in " ".join(told.stdout.split())


def test_the_assurance(call, trial):
    told = call("exact", trial, "--belief", "placebo=3000,7000", "--belief", "drug=7000,3000", "--format", "csv")
    frame = pd.read_csv(StringIO(told.stdout))
    adaptive = frame[frame["design"] == "adaptive"].iloc[0]
    assert adaptive["claimed"] == pytest.approx(0.427381705, abs=1e-3)  # almost a point: the power
    assert adaptive["rightly"] == pytest.approx(adaptive["claimed"], abs=1e-6)
    assert "Beta(3000, 7000)" in call("exact", trial, "--belief", "placebo=3000,7000", "--belief", "drug=7,3").stdout


@pytest.mark.parametrize(
    "given, says",
    [
        (["--sizes", "18:24"], "needs one truth"),
        (["--sizes", "24:18", "--truth", "works"], "no range of sizes"),
        (["--sizes", "4:8", "--truth", "works"], "before its first look"),
        (["--calibrate", "1.5"], "a level of 1.5"),
        (["--calibrate", "0.05", "--truth", "no such"], "no truth named"),
        (["--belief", "placebo=3"], "no design prior"),
        (["--belief", "placebo=3,9"], "no design prior for drug"),
        (["--belief", "placebo=3,9", "--calibrate", "0.05"], "question of its own"),
        (["--calibrate", "0.05", "--memory", "0.1"], "too large to compute exactly"),
    ],
)
def test_what_cannot_be_asked(call, trial, given, says):
    told = call("exact", trial, *given)
    assert told.exit_code == 2 and says in told.stderr
    assert "Traceback" not in told.stderr and told.stdout == ""


def test_ranges_and_priors_are_read():
    assert numbers("24:30:2") == [24, 26, 28, 30]
    assert numbers("24:26") == [24, 25, 26]
    assert design_priors(["a b=3,9", "c=0.5,1e1"]) == {"a b": (3.0, 9.0), "c": (0.5, 10.0)}
    for wrong in ("24", "a:b", "1:5", "24:120:0", "24:2000", "24:30:2:1"):
        with pytest.raises(UsageError):
            numbers(wrong)
