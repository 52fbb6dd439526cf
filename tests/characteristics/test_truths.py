"""What is true follows from the truth alone."""

from __future__ import annotations

import numpy as np
import pytest

from sps_adaptive.block import draw
from sps_adaptive.characteristics.truths import true_state, truth_table
from sps_adaptive.contracts import DAYS_PER_MONTH
from tests.characteristics.handmade import scenario


def test_under_the_null_nothing_is_effective_and_all_arms_are_best():
    state = true_state(scenario(), "null")
    assert not state.is_effective.any()
    assert list(state.is_ineffective) == [False, True, True]
    assert state.is_best.all() and state.is_worst.all() and not state.arms_differ


def test_one_effective_arm():
    state = true_state(scenario(), "one works")
    assert list(state.is_effective) == [False, True, False]
    assert list(state.is_best) == [False, True, False]
    assert list(state.is_worst) == [True, False, True]
    assert state.value == pytest.approx([0.25, 0.60, 0.25])
    assert state.effect == pytest.approx([0.0, 0.35, 0.0])


def test_equally_good_arms_are_all_best():
    assert list(true_state(scenario(), "both work").is_best) == [False, True, True]


def test_where_the_drugs_harm_the_control_is_best():
    state = true_state(scenario(), "harm")
    assert list(state.is_best) == [True, False, False]
    assert list(state.is_worst) == [False, True, False]
    assert not state.is_effective.any()


@pytest.mark.parametrize(("response", "effective"), [(0.35, False), (0.35 + 1e-12, False), (0.36, True)])
def test_an_effect_as_large_as_the_margin_is_not_effective(response, effective):
    # 0.35 - 0.25 is 0.09999999999999998 or 0.1 depending on rounding: neither is more than 0.1
    truths = {"edge": {"placebo": 0.25, "ivig": response, "mycophenolate": 0.25}}
    assert true_state(scenario(margin=0.10, truths=truths), "edge").is_effective[1] == effective


def test_a_negative_margin_makes_slightly_worse_arms_effective():
    state = true_state(scenario(margin=-0.10), "harm")
    assert list(state.is_effective) == [False, False, True]
    assert list(state.is_best) == [True, False, False]


def test_where_lower_is_better_values_keep_the_scale_of_the_endpoint():
    state = true_state(scenario(better="lower"), "harm")
    assert list(state.is_effective) == [False, True, True]
    assert list(state.is_best) == [False, True, False]
    assert state.value == pytest.approx([0.25, 0.10, 0.20])
    assert state.effect == pytest.approx([0.0, -0.15, -0.05])


def test_a_truth_that_changes_is_averaged_over_the_enrolment_days_of_the_largest_sample():
    planned = scenario()
    months = np.concatenate([draw(planned, block).enrolled_at for block in range(5)]) / DAYS_PER_MONTH
    each = np.where(months < 24, 0.45 - 0.20 * months / 24, 0.25).mean(axis=1)
    # Other patients than those of the run: both averages have an error, the trials of the run the larger one.
    error = 4 * np.hypot(each.std() / len(each) ** 0.5, each.std() / 5000**0.5)
    placebo = each.mean()
    state = true_state(planned, "drift")
    assert state.value == pytest.approx([placebo, 0.60, placebo], abs=error)
    assert state.effect == pytest.approx([0.0, 0.60 - placebo, 0.0], abs=error)
    other = planned.with_simulation(seed=12345)
    assert np.array_equal(true_state(other, "drift").value, state.value), "what is true does not depend on the seed"
    assert list(state.is_effective) == [False, True, False]


def test_the_state_of_one_scenario_is_not_taken_for_that_of_another():
    assert true_state(scenario(), "harm").is_effective.sum() == 0
    assert true_state(scenario(margin=-0.10), "harm").is_effective.sum() == 1
    assert true_state(scenario(better="lower"), "harm").is_effective.sum() == 2


def test_the_reference_month_is_near_the_end_of_the_trial():
    # 40 patients at 1.25 a month come in 32 months, SD sqrt(40) / 1.25 = 5.1; follow-up is 6 months; 4 SDs
    assert true_state(scenario(), "null").reference_month == pytest.approx(38, abs=21)


def test_the_table_of_truths_has_a_row_for_each_truth_and_arm():
    table = truth_table(scenario())
    assert len(table) == 5 * 3
    row = table[(table.truth == "one works") & (table.arm == "ivig")].iloc[0]
    assert (row.value, row.is_effective, row.is_best) == (0.60, True, True)
    assert row.effect == pytest.approx(0.35)
