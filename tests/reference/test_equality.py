"""The engine repeats the slow reference patient for patient, look for look, verdict for verdict."""

import pytest

from sps_adaptive.tables import OUTCOMES
from tests.reference import comparison, posterior
from tests.reference.designs import DESIGNS, random_design, random_platform, random_realisation

REPLICATES = 60
DRAWN = 30
"""Drawn designs in the default run."""


def assert_equal(text: str, replicates: int, name: str = "adaptive", first: int = 0) -> None:
    case = comparison.case(text, replicates, name)
    record = comparison.by_engine(case)
    found, close_calls = [], 0
    for replicate in range(first, replicates):
        trial = comparison.by_reference(case, replicate)
        close = trial.closest_call() < comparison.CLOSE_CALL
        close_calls += close
        different = comparison.differences(case, record, replicate, trial)
        if different:
            found.append(f"replicate {replicate}{' (close call)' * close}: " + "; ".join(different))
    assert not found, f"{len(found)} of {replicates} replicates differ\n" + "\n".join(found[:5])
    assert close_calls == 0, "a probability fell on its threshold: the design should not be so tidy"


@pytest.mark.parametrize("name", DESIGNS)
def test_the_scenarios_own_design(name):
    assert_equal(DESIGNS[name], REPLICATES)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_benchmark(name):
    assert_equal(DESIGNS[name], 15, "fixed")


@pytest.mark.parametrize("seed", range(DRAWN))
def test_a_drawn_design(seed):
    assert_equal(random_design(seed), 4)


@pytest.mark.parametrize("seed", range(DRAWN))
def test_a_drawn_design_with_another_randomisation_list(seed):
    assert_equal(random_realisation(seed), 4)


@pytest.mark.parametrize("seed", range(DRAWN))
def test_a_drawn_design_whose_arms_open_late_and_close_early(seed):
    assert_equal(random_platform(seed), 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_the_scenarios_own_design_at_length(name):
    assert_equal(DESIGNS[name], 600, first=REPLICATES)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10))
def test_drawn_designs_at_length(hundred):
    for seed in range(100 * hundred + DRAWN, 100 * hundred + 100 + DRAWN):
        assert_equal(random_design(seed), 4)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(5))
def test_drawn_designs_with_another_randomisation_list_at_length(hundred):
    for seed in range(100 * hundred + DRAWN, 100 * hundred + 100 + DRAWN):
        assert_equal(random_realisation(seed), 4)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(5))
def test_drawn_designs_whose_arms_open_late_and_close_early_at_length(hundred):
    for seed in range(100 * hundred + DRAWN, 100 * hundred + 100 + DRAWN):
        assert_equal(random_platform(seed), 4)


def test_a_probability_at_its_threshold_is_neither_above_nor_below():
    """Equal counts make P(better) one half, exactly; half of these looks would go wrong without the tolerance."""
    case = comparison.case(TIES, 200)
    record = comparison.by_engine(case)
    ties = 0
    for replicate in range(200):
        trial = comparison.by_reference(case, replicate)
        ties += trial.closest_call() < comparison.CLOSE_CALL
        assert comparison.differences(case, record, replicate, trial) == []
    assert ties > 50


def test_the_protocol_is_repeated_exactly_when_both_use_the_same_posterior():
    """The second mode of the reference: what differs here is the protocol, never the numbers of an analysis."""
    for text in DESIGNS.values():
        case = comparison.case(text, 10)
        record = comparison.by_engine(case)
        fit = posterior.engine_fit(case.design)
        for replicate in range(10):
            trial = comparison.by_reference(case, replicate, fit)
            assert comparison.differences(case, record, replicate, trial) == []


def test_the_designs_between_them_see_every_outcome_and_looks_that_never_come():
    outcomes, missed = set(), 0
    for text in DESIGNS.values():
        record = comparison.by_engine(comparison.case(text, 150))
        outcomes |= {OUTCOMES[code] for code in record.outcome}
        missed += int((~record.looks[-2].took_place & (record.stop == 0)).sum())
    assert outcomes == set(OUTCOMES)
    assert missed > 0


TIES = """
title: probabilities of exactly one half
arms: {placebo: {control: true}, a: {}, b: {}}
population: {patients: 24, accrual: {kind: poisson, patients_per_month: 2}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 1}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 7, every: 3}
allocation: {kind: thompson, power: 1, floor: 0.1}
decisions:
  - {kind: drop_arm, margin: 0, probability: [0.5, 0.5, 0.2, 0.2, 0.3, 0.3]}
  - {kind: efficacy, margin: 0, probability: [0.8, 0.8, 0.9, 0.9, 0.9, 0.9, 0.5]}
  - {kind: futility, margin: 0, probability: 0.5}
truths:
  same: {response: {placebo: 0.5, a: 0.5, b: 0.5}}
simulation: {replicates: 200, seed: 21}
"""
