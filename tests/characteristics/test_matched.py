"""The fixed design at the adaptive design's type I error, recomputed from the tables of a run."""

from __future__ import annotations

import numpy as np
import pytest

from sps_adaptive import load_scenario, simulate, variant
from sps_adaptive.characteristics.matched import MATCHED

TRUTHS = ("nothing works", "ivig as expected")


@pytest.fixture(scope="module")
def results():
    return simulate(load_scenario("scenarios/ivig.yaml"), replicates=4000, truths=TRUTHS)


def estimate(frame, truth, design, metric):
    row = frame.query("truth == @truth and design == @design and metric == @metric and arm == ''")
    return float(row.estimate.iloc[0])


def test_against_the_stored_probabilities(results):
    """Move the threshold over the probabilities of the final analysis, without sums and bins."""
    frame, arms = results.characteristics, results.arms.query("design == 'fixed' and arm != 'placebo'")
    null = arms[arms.truth == "nothing works"].groupby("replicate").prob_better.max()
    alpha = estimate(frame, "nothing works", "adaptive", "familywise_error")
    threshold = np.quantile(null, 1 - alpha)
    ivig = arms[(arms.truth == "ivig as expected") & (arms.arm == "ivig")]
    power = (ivig.prob_better > threshold).mean()
    # A bin is 1% of the tail probability: it moves the error by about 0.0005 and the power by about 0.003.
    assert estimate(frame, "nothing works", MATCHED, "familywise_error") == pytest.approx(alpha, abs=0.001)
    assert estimate(frame, "ivig as expected", MATCHED, "power_any") == pytest.approx(power, abs=0.005)


def test_a_design_that_does_not_adapt_is_its_own_match():
    scenario = variant(
        load_scenario("scenarios/ivig.yaml"),
        looks={"kind": "none"},
        allocation={"kind": "equal"},
        decisions=[{"kind": "efficacy", "probability": 0.975}],
    )
    frame = simulate(scenario, replicates=4000, truths=TRUTHS).characteristics
    for truth, metric in (("nothing works", "familywise_error"), ("ivig as expected", "power_any")):
        assert estimate(frame, truth, "adaptive", metric) == estimate(frame, truth, "fixed", metric)
        assert estimate(frame, truth, MATCHED, metric) == pytest.approx(
            estimate(frame, truth, "fixed", metric), abs=0.005
        )


def test_the_error_covers_the_noise_of_the_threshold():
    """Independent runs scatter as the stated Monte Carlo standard error says, which is meant to be cautious."""
    found = []
    for seed in range(1, 13):
        frame = simulate(
            load_scenario("scenarios/ivig.yaml"), replicates=2000, seed=seed, truths=TRUTHS
        ).characteristics
        row = frame.query("design == @MATCHED and metric == 'power_any'").iloc[0]
        found.append((row.estimate, row.mcse))
    estimates, errors = np.array(found).T
    # 12 runs: the standard deviation has a relative error of 21%; at most the stated one and at least half of it.
    assert 0.4 * errors.mean() < estimates.std(ddof=1) < 1.4 * errors.mean()


def test_without_a_null_there_is_no_match():
    frame = simulate(load_scenario("scenarios/ivig.yaml"), replicates=1000, truths=["ivig as expected"]).characteristics
    assert MATCHED not in set(frame.design)
