"""Laws that hold between the figures of really simulated trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from sps_adaptive.block import simulate_block
from sps_adaptive.characteristics.matched import MATCHED
from sps_adaptive.characteristics.metrics import METRICS
from sps_adaptive.characteristics.summary import summarise
from sps_adaptive.characteristics.sums import block_sums
from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.spec import load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.xdist_group("simulated_characteristics")


@pytest.fixture(scope="module", params=["ivig", "stiffness"])
def simulated(request):
    scenario = load_scenario(SCENARIOS / f"{request.param}.yaml")
    truths = ("nothing works", "ivig as expected", "early placebo response")
    sums = [(truth, block_sums(scenario, truth, simulate_block(scenario, truth, 0), BLOCK_SIZE)) for truth in truths]
    frame = summarise(scenario, sums)
    return scenario, {
        (truth, design): rows.set_index(["metric", "arm", "look"])
        for (truth, design), rows in frame.groupby(["truth", "design"])
        if design != MATCHED
    }


def estimate(rows, metric, arm="", look=0):
    return rows.loc[(metric, arm, look), "estimate"]


def total(rows, metric, **where):
    chosen = rows.loc[[metric]].reset_index()
    for column, values in where.items():
        chosen = chosen[chosen[column].isin(values)]
    return chosen.estimate.sum()


def test_every_trial_has_one_outcome(simulated):
    for rows in simulated[1].values():
        outcomes = [name for name in METRICS if name.startswith("outcome_")]
        assert sum(estimate(rows, name) for name in outcomes) == pytest.approx(1)


def test_the_patients_of_the_arms_are_the_patients(simulated):
    scenario, by_design = simulated
    for rows in by_design.values():
        assert total(rows, "patients", arm=scenario.arm_names) == pytest.approx(estimate(rows, "patients"))
        assert estimate(rows, "patients_max") <= scenario.population.patients
        assert estimate(rows, "assessed") <= estimate(rows, "patients")
        assert estimate(rows, "fit_failed") == 0


def test_the_looks_of_the_adaptive_design_hang_together(simulated):
    scenario, by_design = simulated
    looks = range(1, scenario.n_looks + 1)
    for (_, design), rows in by_design.items():
        if design == "fixed":
            continue
        stopped = {reason: estimate(rows, f"stop_{reason}") for reason in ("efficacy", "futility")}
        for reason, share in stopped.items():
            assert total(rows, f"stop_{reason}", look=looks) == pytest.approx(share)
        assert estimate(rows, "stop_early") == pytest.approx(sum(stopped.values()))
        early = ("early_success", "early_futility", "success_then_futility", "futility_then_success")
        assert sum(estimate(rows, f"outcome_{name}") for name in early) == pytest.approx(estimate(rows, "stop_early"))
        taken = [estimate(rows, "look_taken", look=look) for look in looks]
        assert taken == sorted(taken, reverse=True)
        months = [estimate(rows, "look_month", look=look) for look in looks]
        assert months == sorted(months)
        for look in looks:
            patients = estimate(rows, "enrolled", look=look)
            assert estimate(rows, "known", look=look) + estimate(rows, "pending", look=look) <= patients + 1e-9


def test_a_claim_is_right_or_wrong(simulated):
    scenario, by_design = simulated
    for (truth, _), rows in by_design.items():
        successes = ("early_success", "late_success", "success_then_futility")
        any_claim = sum(estimate(rows, f"outcome_{name}") for name in successes)
        if truth == "nothing works":
            assert estimate(rows, "familywise_error") == pytest.approx(any_claim)
            assert "power" not in rows.index.get_level_values("metric")
        else:
            right, wrong = estimate(rows, "power_any"), estimate(rows, "familywise_error")
            assert max(right, wrong) <= any_claim + 1e-12 <= right + wrong + 2e-12
            assert estimate(rows, "power", "ivig") == right
        for arm in scenario.arm_names[1:]:
            assert (rows.loc[("claimed", arm, 0), "n"] == BLOCK_SIZE).all()


def test_the_observed_difference_of_the_fixed_design_is_unbiased(simulated):
    scenario, by_design = simulated
    rows = by_design["nothing works", "fixed"]
    for arm in scenario.arm_names[1:]:
        figure = rows.loc[("bias_observed", arm, 0)]
        assert abs(figure.estimate) < 4 * figure.mcse  # 4 SEs: a chance of 1 in 16,000 for each of 4 figures


def test_with_a_drifting_control_the_fixed_design_is_unbiased_for_the_averaged_truth(simulated):
    rows = simulated[1]["early placebo response", "fixed"]
    figure = rows.loc[("bias_observed", "ivig", 0)]
    assert abs(figure.estimate) < 4 * figure.mcse


def test_the_winner_is_overestimated(simulated):
    scenario, by_design = simulated
    sign = 1 if scenario.endpoint.better == "higher" else -1
    for rows in (by_design["nothing works", "adaptive"], by_design["nothing works", "fixed"]):
        for arm in scenario.arm_names[1:]:
            assert sign * estimate(rows, "bias_if_claimed", arm) > sign * estimate(rows, "bias", arm)


def test_how_often_enrolment_closes_before_the_last_patient():
    """By hand, from the tables: no stop, and fewer than all. Patients still come until the month in which it closes."""
    whole = load_scenario(SCENARIOS / "ivig.yaml")
    patients = whole.population.patients
    population = whole.population.model_copy(update={"closes_at_month": 66.0})
    scenario, truth = whole.model_copy(update={"population": population}), "ivig as expected"
    tables = simulate_block(scenario, truth, 0)
    rows = summarise(scenario, [(truth, block_sums(scenario, truth, tables, BLOCK_SIZE))])
    assert "accrual_closed" not in set(summarise(whole, [(truth, block_sums(whole, truth, tables, BLOCK_SIZE))]).metric)
    trials = tables["trials"]
    for code, design in enumerate(("adaptive", "fixed")):
        here = trials["design"] == code
        short = (trials["stop_look"] == 0) & (trials["n_enrolled"] < patients) & here
        (found,) = rows[(rows.design == design) & (rows.metric == "accrual_closed")].estimate
        assert found == pytest.approx(short[here].mean())
        assert 0.05 < found < 0.95
        assert (trials["duration_months"][short] >= 66).all()
        assert (trials["duration_months"][here] <= 66 + 6.5 + 1e-9).all()
        assert trials["n_enrolled"][here].max() == patients
