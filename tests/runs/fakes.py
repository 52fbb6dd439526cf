"""Blocks that cost nothing, in the shape of real ones, so that a test of the runner tests the runner."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np

from sps_adaptive.runs.work import Work
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.spec import parse_scenario
from sps_adaptive.tables import ARMS, LOOKS, OUTCOMES, STOP_REASONS, TRIALS, Block, Column

TEXT = """\
title: A drug against placebo
arms:
  placebo: {control: true}
  low dose: {}
  high dose: {}
population:
  patients: 24
  accrual: {kind: poisson, patients_per_month: 2}
endpoints:
  response: {kind: binary, better: higher, assessed_at_month: 3}
analysis:
  response: {kind: beta_binomial}
looks: {kind: enrolled, first: 12}
allocation: {kind: equal}
decisions:
  - {kind: efficacy, margin: 0, probability: 0.95}
truths:
  "null": {response: {placebo: 0.25, low dose: 0.25, high dose: 0.25}}
  it works: {response: {placebo: 0.25, low dose: 0.5, high dose: 0.75}}
simulation: {replicates: 4000, seed: 7}
"""


def a_scenario(old: str = "", new: str = "") -> Scenario:
    """The scenario of these tests, with one piece of its text replaced."""
    assert old in TEXT
    return parse_scenario(TEXT.replace(old, new) if old else TEXT)


def fake_block(scenario: Scenario, truth: str, block: int) -> Block:
    """Random rows that depend on seed, truth and block only. Every second adaptive trial has a look before the last."""
    names = len(scenario.arms)
    entropy = [scenario.simulation.seed, int(scenario.truth_digest(truth)[:8], 16), block]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    replicate = block * BLOCK_SIZE + np.arange(BLOCK_SIZE)
    adaptive = np.sort(np.concatenate([replicate, replicate[::2]]))
    final = np.append(np.diff(adaptive) > 0, True)
    looks = np.concatenate([np.where(final, 2, 1), np.ones(BLOCK_SIZE, int)])
    is_final = np.concatenate([final, np.ones(BLOCK_SIZE, bool)])
    keys = list(scenario.truths).index(truth)

    def filled(columns: tuple[Column, ...], design: np.ndarray, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = len(design)
        sizes = {"outcome": len(OUTCOMES), "stop_reason": len(STOP_REASONS), "selected_arm": names + 1}
        known = {"truth": np.full(rows, keys), "design": design} | known
        return {
            column.name: known[column.name] if column.name in known else _random(column, rows, sizes, rng)
            for column in columns
        }

    look_design = np.repeat([0, 1], [len(adaptive), BLOCK_SIZE])
    look_keys = {"replicate": np.concatenate([adaptive, replicate]), "look": looks, "is_final": is_final}
    arm_keys = {name: np.repeat(values, names) for name, values in look_keys.items()}
    tables = {
        "trials": filled(TRIALS, np.repeat([0, 1], BLOCK_SIZE), {"replicate": np.tile(replicate, 2)}),
        "looks": filled(LOOKS, look_design, look_keys),
        "arms": filled(ARMS, np.repeat(look_design, names), arm_keys | {"arm": np.tile(np.arange(names), len(looks))}),
    }
    for name in ("effect_lower", "effect_upper"):
        tables["arms"][name] = np.where(tables["arms"]["is_final"], tables["arms"][name], np.nan)
    return tables


def _random(column: Column, rows: int, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    if column.dtype == "category":
        return rng.integers(0, sizes[column.name], rows)
    if column.dtype == "bool":
        return rng.random(rows) < 0.5
    return rng.random(rows) if column.dtype == "float64" else rng.integers(0, 30, rows)


def fake_sums(scenario: Scenario, truth: str, tables: Block, keep: int) -> dict[str, np.ndarray]:
    """The number of trials and the sum of their durations, by design."""
    trials = tables["trials"]
    kept = trials["replicate"] % BLOCK_SIZE < keep
    which = [kept & (trials["design"] == design) for design in (0, 1)]
    return {
        "metric": np.array(["duration", "duration"]),
        "design": np.arange(2),
        "n": np.array([each.sum() for each in which]),
        "s1": np.array([trials["duration_months"][each].sum() for each in which]),
    }


def fake_summary(scenario, sums):
    import pandas as pd

    frames = [pd.DataFrame(each).assign(truth=truth) for truth, each in sums]
    return pd.concat(frames).groupby(["truth", "design"], sort=False)[["n", "s1"]].sum().reset_index()


FAKE = Work(fake_block, fake_sums, 1, fake_summary)


def with_block(block, *arguments) -> Work:
    """The fake work with another function for a block; its first arguments are given here."""
    return FAKE._replace(block=partial(block, *arguments))


# ------------------------------------------------------------------------- blocks that do not go well


def raising_block(truth, number, scenario, its_truth, block):
    if (its_truth, block) == (truth, number):
        raise FloatingPointError("a share of -0.1\nand more lines")
    return fake_block(scenario, its_truth, block)


def interrupted_block(number, scenario, truth, block):
    if block == number:
        raise KeyboardInterrupt
    return fake_block(scenario, truth, block)


def dying_block(folder, times, truth, number, scenario, its_truth, block):
    """Kill the worker, as if memory had run out, the first times it comes to a block."""
    if (its_truth, block) == (truth, number):
        for time_ in range(times):
            try:
                (Path(folder) / f"died-{time_}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os._exit(9)
    return fake_block(scenario, its_truth, block)


def slow_block(seconds, folder, scenario, truth, block):
    """Take a while, and leave the number of the process behind."""
    if folder:
        (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)
    return fake_block(scenario, truth, block)


# ------------------------------------------------------------------------------------------- looking


def contents(folder: Path) -> dict[str, bytes]:
    """Every Parquet file of a run, by its path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def names(folder: Path) -> set[str]:
    """Everything in a run's folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
