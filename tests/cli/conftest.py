"""A small scenario, a run of it, and the command line called in this process."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sps_adaptive.cli.main import app

SCENARIO = """
title: "A small trial [red]in red[/red] \\\\ not"
arms: {placebo: {control: true}, immunoglobulin 2 g/kg monthly: {}, rituximab: {}}
population:
  patients: 30
  accrual: {kind: steady, patients_per_month: 2, source: assumed}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 3}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: assessed, first: 12, every: 9}
allocation: {kind: equal}
decisions:
  - {kind: efficacy, margin: 0, probability: [0.99, 0.985, 0.975]}
  - {kind: futility, margin: 0, probability: 0.1}
truths:
  "null":
    response: {placebo: 0.2, immunoglobulin 2 g/kg monthly: 0.2, rituximab: 0.2}
    source: assumed
  immunoglobulin works and nothing else does:
    response: {placebo: 0.2, immunoglobulin 2 g/kg monthly: 0.7, rituximab: 0.2}
    source: assumed
simulation: {engine: simulate, replicates: 60, seed: 3}
"""


@pytest.fixture(scope="session")
def call():
    """Call the command line as a user with a terminal of 100 columns would."""
    runner = CliRunner()

    def run(*arguments, **environment):
        return runner.invoke(app, [str(a) for a in arguments], env={"COLUMNS": "100", **environment})

    return run


@pytest.fixture(scope="session")
def scenario_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("scenario") / "small.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def run_folder(call, scenario_file) -> Path:
    folder = scenario_file.parent / "run"
    done = call("simulate", scenario_file, "-w", 1, "-o", folder)
    assert done.exit_code == 0, done.output
    return folder
