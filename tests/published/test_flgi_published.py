"""Villar, Wason and Bowden (2015), Table 3, and Williamson and Villar (2020), Table 1, by simulation around the rules.

The trials are simulated here, patient blocks and all, since the tables count patients and test them in ways of their
own; they are written down in the data files. Tolerances are four standard errors of the difference between two
simulations, ours and the printed one.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import hypergeom, norm

from sps_adaptive.allocation.gittins_index import controlled_flgi_probabilities, flgi_probabilities, gittins_tables
from sps_adaptive.allocation.gittins_normal_index import flgi_normal_probabilities, normal_tables


def published(name):
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text(encoding="utf-8"))


TABLE, NORMAL = published("villar_wason_bowden_2015_flgi"), published("williamson_villar_2020_flgi")
ROWS = TABLE["rows"]
PATIENTS, BLOCK, PRINTED = TABLE["patients"], TABLE["block"], TABLE["replicates"]
REPLICATES = 20_000

pytestmark = pytest.mark.slow


class Trials(NamedTuple):
    """What happened on each arm, and the two kinds of tails of the experimental arms against the control."""

    successes: np.ndarray
    patients: np.ndarray


@cache
def trials(rule, p, prior):
    """Blocks of 9 with outcomes known at once; the 3 patients left over get the probabilities of the last block."""
    rng = np.random.default_rng(2015)
    arms = len(p)
    tables = gittins_tables(((float(prior), float(prior)),) * arms, TABLE["discount"], PATIENTS + BLOCK)
    successes, patients = np.zeros((2, REPLICATES, arms), int)
    is_open = np.ones((REPLICATES, arms), bool)
    shares = np.empty((REPLICATES, arms))
    for start in range(0, PATIENTS, BLOCK):
        size = min(BLOCK, PATIENTS - start)
        if size == BLOCK:
            state = successes, patients - successes, is_open, tables, BLOCK
            shares = flgi_probabilities(*state) if rule == "FLGI" else controlled_flgi_probabilities(*state, control=0)
        dealt = rng.multinomial(size, shares)
        patients = patients + dealt
        successes = successes + rng.binomial(dealt, p)
    return Trials(successes, patients)


def of(row, prior=2):
    return trials(row["rule"], tuple(row["p"]), prior)


def standard_errors(found, printed, spread, replicates=PRINTED):
    """How far a mean over our trials is from the printed one, both with a standard deviation of `spread` a trial."""
    return (found - printed) / (spread * np.sqrt(1 / REPLICATES + 1 / replicates))


def agrees(found, printed, spread, replicates=PRINTED):
    return abs(standard_errors(found, printed, spread, replicates)) < 4


def spread_of_deviation(total):
    """What the standard deviation of the trials owes to each: by the kurtosis, for the rule gives long tails."""
    return np.std(((total - total.mean()) / total.std()) ** 2) * total.std() / 2


def name(row):
    return f"{row['rule']} {row['p']}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_expected_successes_and_their_standard_deviation(row):
    total = of(row).successes.sum(axis=1)
    assert agrees(total.mean(), row["ENS"], total.std())
    assert agrees(total.std(), row["sd"], spread_of_deviation(total))


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_share_of_patients_on_the_best_arm(row):
    share = (of(row).patients[:, np.argmax(row["p"])] + 4) / (PATIENTS + 16)
    assert agrees(share.mean(), row["pstar"], share.std())


def fisher(row, prior=2):
    """P(X >= x), P(X <= x - 1) and P(X <= x) of the experimental arms, one added to successes and failures."""
    found = of(row, prior)
    successes, patients = found.successes + 1, found.patients + 2
    drawn = patients[:, 1:]
    both = drawn + patients[:, :1]
    below = hypergeom.cdf(successes[:, 1:] - 1, both, successes[:, 1:] + successes[:, :1], drawn)
    at_most = hypergeom.cdf(successes[:, 1:], both, successes[:, 1:] + successes[:, :1], drawn)
    return 1 - below, below, at_most


def test_error_and_power_of_fishers_test_after_the_rule():
    null, alternative = (row for row in ROWS if row["rule"] == "FLGI")
    upper, below, at_most = fisher(null)
    error = ((upper < 0.025) | (below < 0.025)).any(axis=1)
    assert agrees(error.mean(), null["error"], error.std())
    # That lower tail leaves out the observed table. With it, the test that this level belongs to hardly ever errs.
    assert ((upper < 0.025) | (at_most < 0.025)).any(axis=1).mean() < 0.002
    power = fisher(alternative)[0][:, 0] < 0.05
    assert agrees(power.mean(), alternative["power"], power.std())


def wald(row, prior=2):
    found = of(row, prior)
    patients = found.patients + 2
    rate = (found.successes + 1) / patients
    variance = rate * (1 - rate) / patients
    return (rate[:, 1:] - rate[:, :1]) / np.sqrt(variance[:, 1:] + variance[:, :1])


@pytest.mark.parametrize("row", [row for row in ROWS if row["rule"] == "CFLGI"], ids=name)
def test_error_and_power_of_the_wald_test_after_the_controlled_rule(row):
    z, critical, best = wald(row), norm.isf(0.05 / 3), int(np.argmax(row["p"]))
    if "error" in row:
        rejected = (z > critical).any(axis=1)
    else:
        rejected = z[:, best - 1] > critical if best else z[:, 0] < -critical
    assert agrees(rejected.mean(), row.get("error", row.get("power")), rejected.std())


def test_a_uniform_prior_does_not_give_the_printed_figures():
    """The convention is not arbitrary: with Beta(1, 1), 13.7, 12.6, 0.178 and 0.987 are 15.5, 13.6, 0.147 and 0.974."""

    def discrepancy(prior):
        totals = [of(ROWS[i], prior).successes.sum(axis=1) for i in (1, 5)]
        rejected = [fisher(ROWS[1], prior)[0][:, 0] < 0.05, wald(ROWS[5], prior)[:, 0] > norm.isf(0.05 / 3)]
        errors = [
            standard_errors(total.std(), ROWS[i]["sd"], spread_of_deviation(total))
            for i, total in zip((1, 5), totals, strict=True)
        ]
        errors += [
            standard_errors(each.mean(), ROWS[i]["power"], each.std()) for i, each in zip((1, 5), rejected, strict=True)
        ]
        return np.sum(np.square(errors))

    assert discrepancy(2) < 9.5 < 18.5 < discrepancy(1)  # the 95% and 99.9% points of chi-square with 4 degrees


def normal_statistics(means, block):
    """The test statistics of two-arm trials with normal outcomes; each arm's prior is worth one observation of 0."""
    rng = np.random.default_rng(2020)
    sd, patients = NORMAL["sd"], NORMAL["patients"]
    tables = normal_tables((1.0, 1.0), NORMAL["discount"], patients + block, block)
    total, n = np.zeros((REPLICATES, 2)), np.zeros((REPLICATES, 2), int)
    spread, is_open = np.full((REPLICATES, 2), sd), np.ones((REPLICATES, 2), bool)
    for _ in range(patients // block):
        dealt = rng.multinomial(block, flgi_normal_probabilities(total / (n + 1), n, spread, is_open, tables))
        total = total + dealt * np.array(means) + sd * np.sqrt(dealt) * rng.standard_normal(total.shape)
        n = n + dealt
    mean = total / n
    return (mean[:, 1] - mean[:, 0]) / (sd * np.sqrt((1 / n).sum(axis=1)))


@pytest.mark.parametrize("row", NORMAL["rows"], ids=lambda row: f"block {row['block']}")
def test_error_and_power_after_the_rule_for_normal_outcomes(row):
    for figure, means in (("error", NORMAL["null"]), ("power", NORMAL["alternative"])):
        rejected = normal_statistics(means, row["block"]) >= row["critical"]
        assert agrees(rejected.mean(), row[figure], rejected.std(), NORMAL["replicates"])
