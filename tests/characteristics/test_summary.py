"""Every figure against one computed by hand, and against plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sps_adaptive.block import DESIGNS
from sps_adaptive.characteristics.matched import MATCHED
from sps_adaptive.characteristics.metrics import METRICS
from sps_adaptive.characteristics.summary import SUMMARY, summarise
from sps_adaptive.characteristics.sums import block_sums
from sps_adaptive.characteristics.truths import true_state
from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.tables import OUTCOMES
from tests.characteristics.handmade import ARMS, N_LOOKS, PATIENTS, TRUTHS, random_tables, scenario


def summary_of(tables, truth, keep=BLOCK_SIZE):
    planned = scenario()
    return summarise(planned, [(truth, block_sums(planned, truth, tables, keep))])


def figure(frame, metric, arm="", look=0, design="adaptive"):
    rows = frame[(frame.design == design) & (frame.metric == metric) & (frame.arm == arm) & (frame.look == look)]
    assert len(rows) == 1, (metric, arm, look)
    return rows.iloc[0]


# ---------------------------------------------------------------------------------------------- by hand


@pytest.fixture(scope="module")
def four_trials():
    """Four trials of the adaptive design, one that stopped at look 1, one at look 2, two that went to the end.

    0  look 1: claims ivig and stops with 3 pending; the final analysis with 20 patients no longer supports it.
    1  look 2: stops for futility with 5 pending; 30 patients.
    2  40 patients; ivig and mycophenolate claimed at the end, ivig selected.
    3  40 patients; nothing claimed; mycophenolate closed.
    """
    look_rows = [(0, 1, 0), (0, 3, 1), (1, 1, 0), (1, 2, 0), (1, 3, 1)]
    look_rows += [(trial, look, int(look == 3)) for trial in (2, 3) for look in (1, 2, 3)]
    replicate, look, is_final = (np.array(column) for column in zip(*look_rows, strict=True))
    month = {0: {1: 20.0, 3: 24.0}, 1: {1: 22.0, 2: 30.0, 3: 36.0}}
    month |= {2: {1: 18.0, 2: 26.0, 3: 40.0}, 3: {1: 20.0, 2: 28.0, 3: 44.0}}
    pending = {0: {1: 3, 3: 0}, 1: {1: 4, 2: 5, 3: 0}, 2: {1: 6, 2: 2, 3: 0}, 3: {1: 2, 2: 2, 3: 0}}
    looks = {
        "design": np.zeros(11, int),
        "replicate": replicate,
        "look": look,
        "is_final": is_final.astype(bool),
        "month": np.array([month[r][k] for r, k, _ in look_rows]),
        "n_enrolled": np.array([{0: 20, 1: 30, 2: 40, 3: 40}[r] if f else 10 + 10 * k for r, k, f in look_rows]),
        "n_known": np.array([{0: 20, 1: 28, 2: 36, 3: 40}[r] if f else 10 * k for r, k, f in look_rows]),
        "n_pending": np.array([pending[r][k] for r, k, _ in look_rows]),
        "stop_reason": np.zeros(11, int),
    }
    at_end = {
        # patients, known, events, effects and half widths by arm: placebo, ivig, mycophenolate
        0: ((6, 8, 6), (6, 8, 6), (1, 4, 2), (0.0, 0.30, 0.10), 0.30),
        1: ((14, 8, 8), (12, 8, 8), (3, 2, 2), (0.0, 0.00, 0.00), 0.20),
        2: ((10, 20, 10), (10, 16, 10), (2, 12, 6), (0.0, 0.50, 0.35), 0.20),
        3: ((10, 18, 12), (10, 18, 12), (3, 6, 3), (0.0, 0.05, -0.05), 0.20),
    }
    claimed = {(0, 1): (0, 1, 0), (0, 3): (0, 1, 0), (2, 3): (0, 1, 1)}
    meets = {(0, 1): (0, 1, 0), (2, 3): (0, 1, 1)}
    allocation = {(1, 1): (0.3, 0.2, 0.5)} | {(r, k): (0.3, 0.5, 0.2) for r in (2, 3) for k in (1, 2)}
    arms = {
        "design": np.zeros(33, int),
        "replicate": np.repeat(replicate, 3),
        "look": np.repeat(look, 3),
        "is_final": np.repeat(is_final, 3).astype(bool),
        "arm": np.tile([0, 1, 2], 11),
        "is_open": np.array([(1, 1, r != 3) for r, _, _ in look_rows], bool).reshape(-1),
        "is_claimed": np.array([claimed.get((r, k), (0, 0, 0)) for r, k, _ in look_rows], bool).reshape(-1),
        "meets_efficacy": np.array([meets.get((r, k), (0, 0, 0)) for r, k, _ in look_rows], bool).reshape(-1),
        "n_enrolled": np.array([at_end[r][0] for r, _, _ in look_rows]).reshape(-1),
        "n_concurrent": np.array([[at_end[r][0][0]] * 3 for r, _, _ in look_rows]).reshape(-1),
        "opened_month": np.zeros(3 * len(look_rows)),
        "n_known": np.array([at_end[r][1] for r, _, _ in look_rows]).reshape(-1),
        "total": np.array([at_end[r][2] for r, _, _ in look_rows], float).reshape(-1),
        "effect": np.array([at_end[r][3] for r, _, _ in look_rows]).reshape(-1),
        "prob_better": np.zeros(33),
        "allocation": np.array([allocation.get((r, k), (0.0, 0.0, 0.0)) for r, k, _ in look_rows]).reshape(-1),
    }
    half = np.repeat([at_end[r][4] for r, _, _ in look_rows], 3)
    arms["effect_lower"], arms["effect_upper"] = arms["effect"] - half, arms["effect"] + half
    trials = {
        "design": np.zeros(4, int),
        "replicate": np.arange(4),
        "outcome": np.array([4, 2, 1, 6]),
        "stop_reason": np.array([1, 2, 0, 0]),
        "stop_look": np.array([1, 2, 0, 0]),
        "n_looks": np.array([1, 2, 2, 2]),
        "n_enrolled": np.array([20, 30, 40, 40]),
        "n_known": np.array([20, 28, 36, 40]),
        "n_overrun": np.array([3, 5, 0, 0]),
        "decision_month": np.array([20.0, 30.0, 40.0, 44.0]),
        "duration_months": np.array([24.0, 36.0, 40.0, 44.0]),
        "selected_arm": np.array([2, 0, 2, 0]),
        "total": np.array([7.0, 7.0, 20.0, 12.0]),
        "failed_fits": np.zeros(4, int),
        "covariate_imbalance": np.array([0.5, 0.2, np.nan, 0.2]),
    }
    return {"trials": trials, "looks": looks, "arms": arms}


def test_four_trials_in_which_ivig_works(four_trials):
    # true effects: ivig 0.35, mycophenolate 0
    frame = summary_of(four_trials, "one works")
    expected = {
        ("power", "ivig", 0): 2 / 4,
        ("power_any", "", 0): 2 / 4,
        ("power_all", "", 0): 2 / 4,
        ("power_best", "", 0): 2 / 4,
        ("type_i_error", "mycophenolate", 0): 1 / 4,
        ("familywise_error", "", 0): 1 / 4,
        ("claimed", "ivig", 0): 2 / 4,
        ("claimed", "mycophenolate", 0): 1 / 4,
        ("claim_confirmed", "", 0): 0,
        ("claim_contradicted", "", 0): 1 / 4,
        ("claim_contradicted", "ivig", 0): 1 / 4,
        ("claim_contradicted", "mycophenolate", 0): 0,
        ("outcome_success_then_futility", "", 0): 1 / 4,
        ("outcome_early_futility", "", 0): 1 / 4,
        ("outcome_late_success", "", 0): 1 / 4,
        ("outcome_inconclusive", "", 0): 1 / 4,
        ("outcome_early_success", "", 0): 0,
        ("stop_early", "", 0): 2 / 4,
        ("stop_efficacy", "", 0): 1 / 4,
        ("stop_efficacy", "", 1): 1 / 4,
        ("stop_efficacy", "", 2): 0,
        ("stop_futility", "", 1): 0,
        ("stop_futility", "", 2): 1 / 4,
        ("stop_equivalence", "", 0): 0,
        ("stop_harm", "", 2): 0,
        ("allocation", "ivig", 1): (0.2 + 0.5 + 0.5) / 3,  # the trial that stopped there does not count
        ("allocation_q05", "ivig", 1): 0.2,
        ("allocation_q95", "ivig", 1): 0.5,
        ("arm_closed", "ivig", 0): 0,
        ("arm_closed", "mycophenolate", 0): 1 / 4,
        ("patients", "", 0): 32.5,
        ("patients", "placebo", 0): 10,
        ("patients", "ivig", 0): 13.5,
        ("patients_sd", "", 0): np.sqrt((12.5**2 + 2.5**2 + 2 * 7.5**2) / 3),
        ("patients_q05", "", 0): 20,
        ("patients_q50", "", 0): 30,
        ("patients_q75", "", 0): 40,
        ("patients_min", "", 0): 20,
        ("patients_max", "", 0): 40,
        ("assessed", "", 0): 31,
        ("smallest_arm", "", 0): (6 + 8 + 10 + 10) / 4,
        ("covariate_imbalance", "", 0): 0.3,
        ("share_on_best", "", 0): (8 / 20 + 8 / 30 + 20 / 40 + 18 / 40) / 4,
        ("share_on_best_q05", "", 0): 0.267,
        # worst are placebo and mycophenolate: means 6, 11, 10, 11 against 8, 8, 20, 18 on ivig; 11 - 8 <= 4
        ("wrong_direction", "", 0): 0,
        ("wrong_direction_at_all", "", 0): 1 / 4,
        ("duration_months", "", 0): 36,
        ("duration_months_q50", "", 0): 36,
        ("duration_months_max", "", 0): 44,
        ("decision_month", "", 0): 33.5,
        ("overrun", "", 0): 4,
        ("events", "", 0): 11.5,
        ("mean_outcome", "", 0): (7 / 20 + 7 / 28 + 20 / 36 + 12 / 40) / 4,
        ("bias", "ivig", 0): (-0.05 - 0.35 + 0.15 - 0.30) / 4,
        ("bias", "mycophenolate", 0): (0.10 + 0 + 0.35 - 0.05) / 4,
        ("bias_if_claimed", "ivig", 0): (-0.05 + 0.15) / 2,
        ("bias_if_claimed", "mycophenolate", 0): 0.35,
        ("bias_observed", "ivig", 0): ((4 / 8 - 1 / 6) + (2 / 8 - 3 / 12) + (12 / 16 - 2 / 10) + (6 / 18 - 3 / 10)) / 4
        - 0.35,
        ("rmse", "ivig", 0): np.sqrt((0.05**2 + 0.35**2 + 0.15**2 + 0.30**2) / 4),
        ("coverage", "ivig", 0): 2 / 4,
        ("coverage", "mycophenolate", 0): 3 / 4,
        ("fit_failed", "", 0): 0,
        ("look_taken", "", 1): 1,
        ("look_taken", "", 2): 3 / 4,
        ("look_month", "", 1): 20,
        ("look_month", "", 2): 28,
        ("enrolled", "", 2): 30,
        ("known", "", 2): 20,
        ("pending", "", 1): 15 / 4,
        ("pending", "", 2): 3,
    }
    for (metric, arm, look), value in expected.items():
        assert figure(frame, metric, arm, look).estimate == pytest.approx(value, abs=1e-12), (metric, arm, look)
    n = {("overrun", "", 0): 2, ("bias_if_claimed", "ivig", 0): 2, ("pending", "", 2): 3, ("rmse", "ivig", 0): 4}
    for (metric, arm, look), count in n.items():
        assert figure(frame, metric, arm, look).n == count


def test_four_trials_in_which_the_drugs_harm(four_trials):
    # placebo is best and ivig worst: 6, 14, 10, 10 against 8, 8, 20, 18; ahead by 2, -6, 10, 8 of 40
    frame = summary_of(four_trials, "harm")
    assert figure(frame, "wrong_direction").estimate == 2 / 4
    assert figure(frame, "wrong_direction_at_all").estimate == 3 / 4
    assert figure(frame, "share_on_best").estimate == pytest.approx((6 / 20 + 14 / 30 + 10 / 40 + 10 / 40) / 4)
    assert figure(frame, "familywise_error").estimate == 2 / 4
    assert figure(frame, "type_i_error", "ivig").estimate == 2 / 4
    assert not frame.metric.str.startswith("power").any()


def test_a_claim_that_stands_is_confirmed(four_trials):
    arms = {column: values.copy() for column, values in four_trials["arms"].items()}
    arms["meets_efficacy"][(arms["replicate"] == 0) & arms["is_final"] & (arms["arm"] == 1)] = True
    frame = summary_of(four_trials | {"arms": arms}, "one works")
    assert figure(frame, "claim_confirmed").estimate == 1 / 4
    assert figure(frame, "claim_confirmed", "ivig").estimate == 1 / 4
    assert figure(frame, "claim_contradicted").estimate == 0


def test_with_one_trial_means_have_no_error_and_standard_deviations_do_not_exist(four_trials):
    frame = summary_of(four_trials, "one works", keep=1)
    mean = figure(frame, "patients")
    assert mean.estimate == 20 and mean.n == 1
    assert np.isnan([mean.mcse, mean.lower, mean.upper]).all()
    assert np.isnan(figure(frame, "rmse", "ivig").mcse)
    assert not frame.metric.str.endswith("_sd").any()
    assert figure(frame, "power", "ivig")[["estimate", "lower", "upper"]].tolist() == pytest.approx([1, 0.025, 1])


def test_without_a_claim_there_is_no_bias_if_claimed(four_trials):
    arms = four_trials["arms"] | {"is_claimed": np.zeros(33, bool)}
    frame = summary_of(four_trials | {"arms": arms}, "one works")
    assert "bias_if_claimed" not in set(frame.metric)
    assert figure(frame, "power", "ivig").estimate == 0 and figure(frame, "power", "ivig").mcse > 0


def test_without_an_early_stop_there_is_no_overrun(four_trials):
    trials = four_trials["trials"] | {"stop_look": np.zeros(4, int), "stop_reason": np.zeros(4, int)}
    assert "overrun" not in set(summary_of(four_trials | {"trials": trials}, "one works").metric)


def test_without_trials_there_are_no_figures(four_trials):
    frame = summary_of(four_trials, "one works", keep=0)
    assert len(frame) == 0 and tuple(frame.columns) == SUMMARY
    assert len(summarise(scenario(), [])) == 0


# ------------------------------------------------------------------------------------- against pandas


def expected_values(tables, design, truth):
    """Return the values of every trial behind every figure, computed with group-bys of pandas."""
    trials, looks, arms = (
        pd.DataFrame(tables[name])[lambda frame: frame.design == design].drop(columns="design")
        for name in ("trials", "looks", "arms")
    )
    trials = trials.set_index("replicate")
    at_end = arms[arms.is_final]
    last = {
        column: pd.DataFrame({a: rows.set_index("replicate")[column] for a, rows in at_end.groupby("arm")})
        for column in arms.columns.drop(["replicate", "arm"])
    }
    before = looks[~looks.is_final]
    early = arms[~arms.is_final & arms.is_claimed]
    at_look = pd.DataFrame({a: trials.index.isin(early[early.arm == a].replicate) for a in range(3)}, trials.index)
    state = true_state(scenario(), truth)
    effective = [a for a in (1, 2) if state.effect[a] > 1e-9]
    ineffective = [a for a in (1, 2) if state.effect[a] <= 1e-9]
    best = [a for a in range(3) if abs(state.value[a] - max(state.value)) < 1e-9]
    worst = [a for a in range(3) if abs(state.value[a] - min(state.value)) < 1e-9]
    claimed, enrolled = last["is_claimed"], last["n_enrolled"]
    values = {}
    for a in effective:
        values["power", ARMS[a], 0] = claimed[a]
    for a in ineffective:
        values["type_i_error", ARMS[a], 0] = claimed[a]
    if effective:
        values["power_any", "", 0] = claimed[effective].max(axis=1)
        values["power_all", "", 0] = claimed[effective].min(axis=1)
        values["power_best", "", 0] = trials.selected_arm.isin([a + 1 for a in best if a in effective])
    if ineffective:
        values["familywise_error", "", 0] = claimed[ineffective].max(axis=1)
    observed = last["total"] / last["n_known"]
    for a in (1, 2):
        values["claimed", ARMS[a], 0] = claimed[a]
        error = last["effect"][a] - state.effect[a]
        values["bias", ARMS[a], 0] = values["rmse", ARMS[a], 0] = error
        values["bias_if_claimed", ARMS[a], 0] = error[claimed[a]]
        values["bias_observed", ARMS[a], 0] = observed[a] - observed[0] - state.effect[a]
        values["coverage", ARMS[a], 0] = pd.Series(state.effect[a], trials.index).between(
            last["effect_lower"][a], last["effect_upper"][a]
        )
        if design == 0:
            values["arm_closed", ARMS[a], 0] = ~last["is_open"][a]
            values["claim_confirmed", ARMS[a], 0] = at_look[a] & last["meets_efficacy"][a]
            values["claim_contradicted", ARMS[a], 0] = at_look[a] & ~last["meets_efficacy"][a]
    if design == 0:
        some = at_look.any(axis=1)
        values["claim_contradicted", "", 0] = (
            values["claim_contradicted", "ivig", 0] | values["claim_contradicted", "mycophenolate", 0]
        )
        values["claim_confirmed", "", 0] = some & ~values["claim_contradicted", "", 0]
        values["stop_early", "", 0] = trials.stop_reason > 0
        values["overrun", "", 0] = trials.n_overrun[trials.stop_look > 0]
        for code, reason in enumerate(("efficacy", "futility", "equivalence", "harm"), start=1):
            values[f"stop_{reason}", "", 0] = trials.stop_reason == code
            for look in range(1, N_LOOKS + 1):
                values[f"stop_{reason}", "", look] = (trials.stop_reason == code) & (trials.stop_look == look)
        at_looks = pd.DataFrame(tables["arms"])
        at_looks = at_looks[(at_looks.design == design) & ~at_looks.is_final & at_looks.allocation.ne(0)]
        for (look, arm), group in at_looks.groupby(["look", "arm"]):
            values["allocation", ARMS[arm], look] = group.allocation
            for suffix in ("q05", "q50", "q95"):
                values[f"allocation_{suffix}", ARMS[arm], look] = (group.allocation * 1000 + 0.5).floordiv(1) / 1000
        for look, group in before.groupby("look"):
            values["look_taken", "", look] = trials.index.isin(group.replicate)
            values["look_month", "", look] = group.month
            for name in ("enrolled", "known", "pending"):
                values[name, "", look] = group[f"n_{name}"]
    for code, outcome in enumerate(OUTCOMES):
        values["outcome_" + outcome.replace(",", "").replace(" ", "_"), "", 0] = trials.outcome == code
    for arm, size in {"": trials.n_enrolled, **{ARMS[a]: enrolled[a] for a in range(3)}}.items():
        values["patients", arm, 0] = values["patients_sd", arm, 0] = size
    values["duration_months_sd", "", 0] = trials.duration_months
    for name, column in (("patients", trials.n_enrolled), ("duration_months", trials.duration_months.round(1))):
        for suffix in ("q05", "q25", "q50", "q75", "q95", "min", "max"):
            values[f"{name}_{suffix}", "", 0] = column
    values["duration_months", "", 0] = trials.duration_months
    values["decision_month", "", 0] = trials.decision_month
    values["assessed", "", 0] = trials.n_known
    values["smallest_arm", "", 0] = enrolled.min(axis=1)
    values["events", "", 0] = trials.total
    values["mean_outcome", "", 0] = trials.total / trials.n_known
    values["fit_failed", "", 0] = last["effect"].isna().any(axis=1)
    if len(best) < 3:
        share = enrolled[best].sum(axis=1) / trials.n_enrolled
        values["share_on_best", "", 0], values["share_on_best_q05", "", 0] = share, share.round(3)
        ahead = enrolled[worst].mean(axis=1) - enrolled[best].mean(axis=1)
        values["wrong_direction", "", 0] = ahead > 0.1 * PATIENTS
        values["wrong_direction_at_all", "", 0] = ahead > 0
    return values


def estimate_of(metric, values):
    values = np.asarray(values, float)
    if metric.endswith("_sd"):
        return values.std(ddof=1)
    if metric == "rmse":
        return np.sqrt(np.mean(values**2))
    if metric.endswith(("_min", "_max")):
        return values.min() if metric.endswith("_min") else values.max()
    if metric[-4:-2] == "_q":
        return np.quantile(values, int(metric[-2:]) / 100, method="inverted_cdf")
    return values.mean()


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("design", [0, 1])
def test_every_figure_is_that_of_pandas(truth, design):
    tables = random_tables(11, 80)
    frame = summary_of(tables, truth)
    frame = frame[frame.design == ("adaptive", "fixed")[design]]
    expected = expected_values(tables, design, truth)
    found = {(row.metric, row.arm, row.look): row for row in frame.itertuples()}
    assert set(found) == set(expected)
    for key, values in expected.items():
        # rounding: sums about an origin against two-pass formulas of values below 100
        assert found[key].estimate == pytest.approx(estimate_of(key[0], values), abs=1e-10), key
        assert found[key].n == len(values), key


@pytest.mark.parametrize("truth", ["one works", "null"])
def test_every_error_is_that_of_scipy(truth):
    tables = random_tables(12, 80)
    frame = summary_of(tables, truth)
    expected = expected_values(tables, 0, truth)
    for row in frame[frame.design == "adaptive"].itertuples():
        kind = METRICS[row.metric].kind
        values = np.asarray(expected[row.metric, row.arm, row.look], float)
        if kind == "proportion":
            interval = stats.binomtest(int(values.sum()), len(values)).proportion_ci(method="exact")
            assert (row.lower, row.upper) == pytest.approx((interval.low, interval.high), abs=1e-9)
            assert row.mcse > 0
        elif kind == "mean":
            interval = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
            assert (row.lower, row.upper) == pytest.approx(interval, abs=1e-9)
            assert row.mcse == pytest.approx(stats.sem(values), abs=1e-10)
        elif kind == "extreme":
            assert np.isnan(row.mcse)
        else:
            assert np.isnan(row.lower) or row.lower <= row.estimate
            assert np.isnan(row.upper) or row.estimate <= row.upper


# ------------------------------------------------------------------------------------------ properties


def test_the_order_of_blocks_does_not_matter_to_the_last_digit():
    planned = scenario()
    sums = [
        (truth, block_sums(planned, truth, random_tables(20 + block, 30, block * BLOCK_SIZE), BLOCK_SIZE))
        for truth in TRUTHS
        for block in range(4)
    ]
    pd.testing.assert_frame_equal(summarise(planned, sums), summarise(planned, reversed(sums)), check_exact=True)


def test_blocks_count_together():
    planned = scenario()
    blocks = [random_tables(30 + block, 25, block * BLOCK_SIZE) for block in range(3)]
    frame = summarise(planned, [("null", block_sums(planned, "null", block, BLOCK_SIZE)) for block in blocks])
    lengths = np.concatenate([block["trials"]["duration_months"][block["trials"]["design"] == 0] for block in blocks])
    assert figure(frame, "duration_months").n == 75
    assert figure(frame, "duration_months").estimate == pytest.approx(lengths.mean())
    assert figure(frame, "duration_months_sd").estimate == pytest.approx(lengths.std(ddof=1))


def test_rows_are_in_the_order_of_the_scenario_and_of_the_metrics():
    planned = scenario()
    sums = [(truth, block_sums(planned, truth, random_tables(40), BLOCK_SIZE)) for truth in reversed(TRUTHS)]
    frame = summarise(planned, sums)
    assert list(frame.truth.unique()) == list(TRUTHS)
    place = [
        (
            list(TRUTHS).index(row.truth),
            (*DESIGNS, MATCHED).index(row.design),
            list(METRICS).index(row.metric),
            row.arm,
            row.look,
        )
        for row in frame.itertuples()
    ]
    arms = ["", *ARMS]
    order = [(truth, design, metric, arms.index(arm), look) for truth, design, metric, arm, look in place]
    assert order == sorted(order) and len(set(order)) == len(order)


def test_figures_that_do_not_exist_have_no_row():
    planned = scenario()
    tables = random_tables(41)
    metrics = {truth: set(summary_of(tables, truth).metric) for truth in TRUTHS}
    need_effective = {"power", "power_any", "power_all", "power_best"}
    assert not need_effective & metrics["null"] and need_effective <= metrics["one works"]
    assert not {"type_i_error", "familywise_error"} & metrics["both work"]
    assert not {"share_on_best", "share_on_best_q05", "wrong_direction"} & metrics["null"]
    fixed = summarise(planned, [("null", block_sums(planned, "null", tables, BLOCK_SIZE))]).query("design == 'fixed'")
    without_looks = {"stop_early", "stop_efficacy", "look_taken", "pending", "overrun", "arm_closed", "claim_confirmed"}
    assert not without_looks & set(fixed.metric)


def test_where_the_control_is_best_but_an_arm_is_good_enough_nobody_can_select_the_best():
    planned = scenario(margin=-0.10)
    frame = summarise(planned, [("harm", block_sums(planned, "harm", random_tables(44), BLOCK_SIZE))])
    assert set(frame[frame.metric == "power"].arm) == {"mycophenolate"}
    assert "power_any" in set(frame.metric) and "power_best" not in set(frame.metric)


def test_sums_may_be_stored():
    import pyarrow as pa

    planned = scenario()
    sums = block_sums(planned, "one works", random_tables(45), BLOCK_SIZE)
    stored = pa.table({column: pa.array(values) for column, values in sums.items()})
    read = {column: stored[column].to_numpy() for column in stored.column_names}
    pd.testing.assert_frame_equal(
        summarise(planned, [("one works", sums)]), summarise(planned, [("one works", read)]), check_exact=True
    )


def test_the_types_of_the_columns():
    frame = summary_of(random_tables(42), "one works")
    assert tuple(frame.columns) == SUMMARY
    kinds = {"estimate": "float64", "mcse": "float64", "lower": "float64", "upper": "float64"}
    assert {name: str(frame[name].dtype) for name in kinds} == kinds
    assert frame.estimate.notna().all() and np.isfinite(frame.estimate).all()
    assert (frame.n > 0).all()


def test_sums_about_different_origins_are_refused():
    planned = scenario()
    sums = block_sums(planned, "null", random_tables(43), BLOCK_SIZE)
    moved = sums | {"origin": sums["origin"] + 1}
    with pytest.raises(ValueError, match="different origins"):
        summarise(planned, [("null", sums), ("null", moved)])
