"""Exact operating characteristics: every row against simulation, and against sums by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom

from sps_adaptive.characteristics.exact import CERTIFICATES, exact_characteristics, exact_tables, in_words
from sps_adaptive.characteristics.matched import MATCHED
from sps_adaptive.characteristics.metrics import METRICS
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.certificate import nulls
from sps_adaptive.exact.recursion import walk
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.runs.run import simulate
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import probability, scenario

STANDARD_ERRORS = 4.0
KEY = ["truth", "design", "metric", "arm", "look"]
MONTHS = ("duration_months", "decision_month", "look_month")
TS = {"kind": "thompson", "floor": 0.1}
EFFICACY = {"kind": "efficacy", "probability": 0.95}
FUTILITY = {"kind": "futility", "probability": 0.1}
DROP = {"kind": "drop_arm", "probability": 0.2}
CLOSE = EFFICACY | {"then": "close_arm"}


def looks(first: int, every: int, kind: str = "enrolled") -> dict[str, Any]:
    return {"kind": kind, "first": first, "every": every}


def two_truths(case: Scenario) -> Scenario:
    """The same trial, where no arm works and where some do."""
    arms = list(case.arms)
    values = {"no": [0.3] * len(arms), "yes": [0.3, 0.5, 0.6, 0.3][: len(arms)]}
    truths = {name: {"y": dict(zip(arms, rates, strict=True))} for name, rates in values.items()}
    return Scenario.model_validate(case.model_dump(exclude={"truths"}) | {"truths": truths}).checked()


# ------------------------------------------------------------------------------------------------ simulation

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "two arms": ((24, (0.3, 0.5), looks(8, 5), TS, [EFFICACY, FUTILITY]), {}),
    "three arms, delay": (
        (24, (0.3, 0.5, 0.6), looks(10, 7), TS | {"control_share": 0.3}, [EFFICACY, FUTILITY, DROP]),
        {"month": 4.5, "better": "lower"},
    ),
    "losses": ((24, (0.3, 0.5), looks(8, 5), TS, [EFFICACY, FUTILITY]), {"month": 4, "lost": 0.2}),
    "arms close": ((18, (0.3, 0.5, 0.6), looks(8, 5), TS, [CLOSE, DROP]), {"control": 1}),
    "no looks, random accrual": (
        (20, (0.3, 0.5, 0.6), {"kind": "none"}, {"kind": "equal"}, [EFFICACY]),
        {"month": 6, "lost": 0.2, "accrual": {"kind": "poisson", "patients_per_month": 2}},
    ),
    "pauses, losses": (
        (16, (0.3, 0.5), looks(5, 5) | {"pause": {"months": 1.5}, "minimum_months": 6.5}, TS, [EFFICACY, FUTILITY]),
        {"month": 4, "lost": 0.2},
    ),
    "pauses until everybody is assessed": (
        (24, (0.3, 0.5), looks(8, 5) | {"pause": "until_assessed"}, TS, [EFFICACY, FUTILITY]), {"month": 4},
    ),
    "pauses until everybody is assessed, random accrual": (
        (24, (0.3, 0.5), looks(8, 5) | {"pause": "until_assessed"}, TS, [EFFICACY, FUTILITY]),
        {"month": 4, "lost": 0.2, "accrual": {"kind": "poisson", "patients_per_month": 2}},
    ),
    "looks for several reasons": (
        (
            24, (0.3, 0.5),
            {"kind": "several", "of": [looks(8, 5), {"kind": "calendar", "at_months": [9.5, 13]}], "most": 4},
            TS, [EFFICACY, FUTILITY],
        ),
        {"month": 3},
    ),
    "a margin, a calendar, visit windows": (
        (
            22, (0.3, 0.5), {"kind": "calendar", "at_months": [9.5, 14.5, 21.5]}, TS,
            [{"kind": "efficacy", "probability": 0.8, "margin": 0.1}, FUTILITY],
        ),
        {"month": 3, "window": 0.25, "lost": 0.1},
    ),
}  # fmt: skip


def deviations(case: Scenario, replicates: int) -> pd.DataFrame:
    """Both tables side by side, with the difference in standard errors of the simulation."""
    found = exact_characteristics(case)
    assert (found["mcse"] == 0).all()
    assert (found["n"] == 0).all()
    assert (found["lower"] == found["estimate"]).all()
    assert (found["upper"] == found["estimate"]).all()
    drawn = simulate(case, replicates=replicates, seed=11, workers=1).characteristics
    both = drawn.merge(found, on=KEY, how="outer", suffixes=("_drawn", ""), indicator="which")
    both["kind"] = [METRICS[name].kind for name in both["metric"]]
    error = both["mcse_drawn"].to_numpy(float)
    p, n = both["estimate"].to_numpy(), both["n_drawn"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        yes_or_no = np.sqrt(p * (1 - p) / n)  # the error that is expected, for events that are rare
        error = np.where(both["kind"] == "proportion", np.fmax(error, yes_or_no), error)
        one_trial = np.where(both["kind"] == "proportion", 1 / n, 0)
        beyond = np.maximum(np.abs(both["estimate_drawn"] - both["estimate"]) - one_trial - 1e-9, 0)
        both["deviation"] = np.where(beyond == 0, 0.0, beyond / error)
    return both


def compared(name: str, replicates: int) -> None:
    arguments, options = CASES[name]
    case = two_truths(scenario(*arguments, **options))
    both = deviations(case, replicates)
    # the same rows, but for months that are left to chance, and for what happened to no simulated trial
    only_drawn = both[both["which"] == "left_only"]
    if "accrual" in options:
        assert only_drawn["metric"].str.startswith(MONTHS).all()
        assert len(only_drawn) > 0
    else:
        assert len(only_drawn) == 0
    assert (both["which"] != "right_only").all()
    # `same error`: simulation takes the nearest of the thresholds, the exact benchmark lies between two of them
    both = both[(both["which"] == "both") & (both["design"] != MATCHED)]
    kind = both["kind"]
    figures = both[~kind.isin(["quantile", "extreme"])]
    assert figures["deviation"].max() < STANDARD_ERRORS, figures.loc[figures["deviation"].idxmax()].to_string()
    assert len(figures) > 60
    least, most = (both[both["metric"].str.endswith(end)] for end in ("_min", "_max"))
    assert (least["estimate"] <= least["estimate_drawn"] + 1e-9).all()
    assert (most["estimate"] >= most["estimate_drawn"] - 1e-9).all()
    quantiles = both[
        (kind == "quantile") & ~both["metric"].str.startswith(("share", "allocation"))
    ]  # few values: see below
    bin_width = np.array([1 / METRICS[METRICS[name].sums].bins for name in quantiles["metric"]])
    apart = np.abs(quantiles["estimate"] - quantiles["estimate_drawn"])
    assert (apart <= STANDARD_ERRORS * quantiles["mcse_drawn"] + bin_width + 1e-9).all()


@pytest.mark.parametrize("name", CASES)
def test_against_simulation(name):
    compared(name, 20_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_against_much_simulation(name):
    compared(name, 200_000)


@pytest.mark.parametrize("name", ["two arms", "losses", "arms close"])
def test_the_law_of_the_allocation_probabilities(name):
    """Of few values, so that quantiles jump: the simulated law must pass the level at the exact quantile."""
    arguments, options = CASES[name]
    case = two_truths(scenario(*arguments, **options))
    found = exact_characteristics(case)
    found = found[found["metric"].str.startswith("allocation_q")]
    assert len(found) >= 24
    arms = simulate(case, replicates=20_000, seed=11, workers=1).arms
    arms = arms[(arms["design"] == "adaptive") & ~arms["is_final"]]
    trial = arms.groupby(["truth", "replicate", "look"], observed=True)["allocation"]
    arms = arms[trial.transform("sum") > 0]  # the trial goes on
    groups = arms.groupby(["truth", "arm", "look"], observed=True)["allocation"]
    drawn = {key: np.sort(np.floor(group.to_numpy() * 1000 + 0.5) / 1000) for key, group in groups}
    for row in found.itertuples():
        values, level = drawn[row.truth, row.arm, row.look], int(row.metric[-2:]) / 100
        error = STANDARD_ERRORS * np.sqrt(level * (1 - level) / len(values))
        upto, before = (np.searchsorted(values, row.estimate + step) / len(values) for step in (1e-9, -1e-9))
        assert upto >= level - error and before <= level + error, row


def test_quantiles():
    """Of the patients and of the share on the best arm, from the law of both."""
    case = two_truths(scenario(*CASES["two arms"][0]))
    found = exact_characteristics(case, ["yes"])
    rows = found[(found["design"] == "adaptive") & (found["arm"] == "")].set_index("metric")["estimate"]
    design, rates = designs(case)["adaptive"], np.array([0.3, 0.5])
    law: dict[str, dict[float, float]] = {"patients": {}, "share_on_best": {}}
    for ending in walk(design, course(case, design)):
        p, enrolled = probability(ending, rates), ending.batch.enrolled()
        for share in np.unique(enrolled[:, 1]):
            mass = float(p[enrolled[:, 1] == share].sum())
            for metric, value in (("patients", ending.enrolled), ("share_on_best", share / ending.enrolled)):
                law[metric][value] = law[metric].get(value, 0.0) + mass
    for metric, distribution in law.items():
        values = np.array(sorted(distribution))
        upto = np.cumsum([distribution[value] for value in values])
        assert upto[-1] == pytest.approx(1, abs=1e-12)
        for level in (0.05, 0.25, 0.5, 0.75, 0.95) if metric == "patients" else (0.05,):
            expected = values[np.searchsorted(upto, level - 1e-9)]
            assert rows[f"{metric}_q{100 * level:02.0f}"] == pytest.approx(expected, abs=6e-4)
    values = np.array(sorted(law["patients"]))
    p = np.array([law["patients"][value] for value in values])
    assert rows["patients_sd"] == pytest.approx(np.sqrt(p @ values**2 - (p @ values) ** 2), abs=1e-9)
    assert (rows["patients_min"], rows["patients_max"]) == (values[0], values[-1])


# --------------------------------------------------------------------------------------------------- by hand


def by_hand(n: int, rates: tuple[float, float], threshold: float, futile: float) -> dict[str, float]:
    """A fixed design of two arms of n patients, from the two numbers of responders."""
    s0, s1 = (each.ravel() for each in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    p = binom.pmf(s0, n, rates[0]) * binom.pmf(s1, n, rates[1])
    states = np.full((len(p), 2), n), np.stack([s0, s1], axis=1)
    posterior = BetaPosterior.from_counts(((1.0, 1.0),) * 2, *states, 2 * n)
    better = posterior.prob_better(0)[:, 1]
    estimate, observed, true = (s1 - s0) / (n + 2), (s1 - s0) / n, rates[1] - rates[0]
    lower, upper = posterior.difference(0, 0.95)[:, 1, 1:].T
    claimed, hopeless = better - threshold > 1e-12, futile - better > 1e-12
    return {
        "claimed": p @ claimed,
        "power_any": p @ claimed,
        "outcome_late_success": p @ claimed,
        "outcome_late_futility": p @ (~claimed & hopeless),
        "outcome_inconclusive": p @ (~claimed & ~hopeless),
        "bias": p @ (estimate - true),
        "bias_observed": p @ (observed - true),
        "bias_if_claimed": (p * claimed) @ (estimate - true) / (p @ claimed),
        "rmse": np.sqrt(p @ (estimate - true) ** 2),
        "coverage": p @ ((lower <= true) & (true <= upper)),
        "mean_outcome": p @ ((s0 + s1) / (2 * n)),
        "events": p @ (s0 + s1),
        "assessed": 2.0 * n,
        "patients": 2.0 * n,
        "patients_sd": 0.0,
        "smallest_arm": float(n),
        "share_on_best": 0.5,
        "wrong_direction": 0.0,
        "fit_failed": 0.0,
    }


@pytest.mark.parametrize(("n", "rates"), [(12, (0.3, 0.7)), (20, (0.1, 0.35)), (7, (0.5, 0.9))])
def test_a_fixed_design_by_hand(n, rates):
    case = scenario(2 * n, rates, {"kind": "none"}, {"kind": "equal", "block": 2}, [EFFICACY, FUTILITY])
    found = exact_characteristics(case)
    expected = by_hand(n, rates, 0.95, 0.1)
    for design in ("adaptive", "fixed"):
        rows = found[found["design"] == design]
        for metric, value in expected.items():
            arm = (
                "arm 1" if metric in ("claimed", "bias", "bias_observed", "bias_if_claimed", "rmse", "coverage") else ""
            )
            row = rows[(rows["metric"] == metric) & (rows["arm"] == arm) & (rows["look"] == 0)]
            assert row["estimate"].tolist() == [pytest.approx(value, abs=1e-9)], metric


def test_smaller_is_better_is_the_same_trial_turned_round():
    one = exact_characteristics(scenario(20, (0.3, 0.6), looks(8, 5), TS, [EFFICACY, FUTILITY]))
    other = exact_characteristics(scenario(20, (0.7, 0.4), looks(8, 5), TS, [EFFICACY, FUTILITY], better="lower"))
    both = one.merge(other, on=KEY, how="outer", suffixes=("", "_other"))
    same = both[~both["metric"].isin(["bias", "bias_if_claimed", "bias_observed", "mean_outcome", "events"])]
    np.testing.assert_allclose(same["estimate"], same["estimate_other"], rtol=0, atol=1e-12)
    turned = both[both["metric"].str.startswith("bias")]
    np.testing.assert_allclose(turned["estimate"], -turned["estimate_other"], rtol=0, atol=1e-12)
    share = both[both["metric"] == "mean_outcome"]
    np.testing.assert_allclose(share["estimate"], 1 - share["estimate_other"], rtol=0, atol=1e-12)


def test_two_stages_by_hand():
    """A look at 8 patients of 16 that may stop the trial either way."""
    case = scenario(
        16, (0.3, 0.7), {"kind": "enrolled", "at": [8]}, {"kind": "equal", "block": 2},
        [{"kind": "efficacy", "probability": [0.9, 0.95]}, {"kind": "futility", "probability": [0.3, 0.0]}],
    )  # fmt: skip

    def better(n: int, s0: int, s1: int) -> float:
        nodes, weights = np.polynomial.legendre.leggauss(60)
        x = (nodes + 1) / 2
        return float(weights / 2 @ (beta.pdf(x, 1 + s0, 1 + n - s0) * beta.sf(x, 1 + s1, 1 + n - s1)))

    stop_efficacy = stop_futility = late = patients = confirmed = 0.0
    for s0 in range(5):
        for s1 in range(5):
            p = binom.pmf(s0, 4, 0.3) * binom.pmf(s1, 4, 0.7)
            first = better(4, s0, s1)
            if first > 0.9 or first < 0.3:
                stop_efficacy += p * (first > 0.9)
                stop_futility += p * (first < 0.3)
                confirmed += p * (first > 0.95)  # at a look nobody is pending: the final analysis sees the same data
                patients += p * 8
                continue
            patients += p * 16
            for t0 in range(5):
                for t1 in range(5):
                    q = p * binom.pmf(t0, 4, 0.3) * binom.pmf(t1, 4, 0.7)
                    late += q * (better(8, s0 + t0, s1 + t1) > 0.95)
    found = exact_characteristics(case)
    rows = found[(found["design"] == "adaptive") & (found["arm"] == "")].set_index(["metric", "look"])["estimate"]
    for metric, look, value in (
        ("stop_efficacy", 1, stop_efficacy),
        ("stop_futility", 0, stop_futility),
        ("outcome_late_success", 0, late),
        ("power_any", 0, stop_efficacy + late),
        ("patients", 0, patients),
        ("claim_confirmed", 0, confirmed),
        ("claim_contradicted", 0, stop_efficacy - confirmed),
        ("look_taken", 1, 1.0),
        ("enrolled", 1, 8.0),
        ("known", 1, 8.0),
        ("pending", 1, 0.0),
    ):
        assert rows[metric, look] == pytest.approx(value, abs=1e-10), metric


# ----------------------------------------------------------------------------------------------- same error


def test_the_benchmark_at_the_same_error():
    """Between the two thresholds whose errors are next to that of the adaptive design, with weights that meet it."""
    n, case = 12, two_truths(scenario(24, (0.3, 0.5), looks(8, 5), TS, [EFFICACY, FUTILITY]))
    found = exact_characteristics(case)
    rows = found[found["arm"] == ""].set_index(["truth", "design", "metric", "look"])["estimate"]
    target = rows["no", "adaptive", "familywise_error", 0]
    s0, s1 = (each.ravel() for each in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    states = np.full((len(s0), 2), n), np.stack([s0, s1], axis=1)
    score = BetaPosterior.from_counts(((1.0, 1.0),) * 2, *states, 2 * n).prob_better(0)[:, 1]
    null = binom.pmf(s0, n, 0.3) * binom.pmf(s1, n, 0.3)
    works = binom.pmf(s0, n, 0.3) * binom.pmf(s1, n, 0.5)
    reached = sorted((float(null[score > at].sum()), float(works[score > at].sum())) for at in [1.0, *(score - 1e-12)])
    below, above = max(each for each in reached if each[0] <= target), min(e for e in reached if e[0] >= target)
    share = (target - below[0]) / (above[0] - below[0])
    assert 0.01 < share < 0.99
    assert rows["no", MATCHED, "familywise_error", 0] == pytest.approx(target, abs=1e-12)
    expected = (1 - share) * below[1] + share * above[1]
    assert rows["yes", MATCHED, "power_any", 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("probability", [0.0, 0.9999])
def test_the_benchmark_at_an_extreme_error(probability):
    """All is claimed, or nothing: then the fixed design does the same."""
    rule = EFFICACY | {"probability": probability, "from_look": 5}
    found = exact_characteristics(two_truths(scenario(24, (0.3, 0.5), looks(8, 5), TS, [rule])))
    rows = found[(found["arm"] == "") & (found["look"] == 0)].set_index(["truth", "design", "metric"])["estimate"]
    for truth, metric in (("no", "familywise_error"), ("yes", "power_any")):
        tolerance = 1e-12 if probability == 0 else 0.02
        assert rows[truth, MATCHED, metric] == pytest.approx(rows[truth, "adaptive", metric], abs=tolerance)


def test_no_same_error_without_a_null():
    case = scenario(24, (0.3, 0.5), looks(8, 5), TS, [EFFICACY, FUTILITY])
    assert MATCHED not in set(exact_characteristics(case)["design"])


# --------------------------------------------------------------------------------------------------- tables


def test_tables():
    case = two_truths(scenario(20, (0.3, 0.5), looks(8, 5), TS, [EFFICACY, FUTILITY]))
    tables = exact_tables(case)
    assert set(tables.characteristics["truth"]) == {"no", "yes"}
    assert not tables.characteristics.duplicated(KEY).any()
    certificates = tables.certificates
    assert tuple(certificates.columns) == CERTIFICATES
    assert list(certificates["design"]) == ["adaptive", "adaptive", "fixed", "fixed"]
    assert list(certificates["null"]) == 2 * [null.name for null in nulls(case)]
    assert (certificates["lower"] <= certificates["upper"]).all()
    chosen = exact_tables(case, ["yes"])
    rest = tables.characteristics
    kept = rest[(rest["truth"] == "yes") & (rest["design"] != MATCHED)].reset_index(drop=True)
    pd.testing.assert_frame_equal(chosen.characteristics, kept, check_exact=False, rtol=1e-12)
    pd.testing.assert_frame_equal(chosen.certificates, certificates)


def test_errors_are_below_their_certificates():
    case = two_truths(scenario(20, (0.3, 0.3, 0.3), looks(8, 6), TS, [EFFICACY, DROP]))
    tables = exact_tables(case)
    for design in ("adaptive", "fixed"):
        rows = tables.characteristics[tables.characteristics["design"] == design]
        certified = tables.certificates[tables.certificates["design"] == design].set_index(["metric", "arm", "null"])
        for metric in ("familywise_error", "type_i_error"):
            errors = rows[(rows["truth"] == "no") & (rows["metric"] == metric)]
            for arm, error in zip(errors["arm"], errors["estimate"], strict=True):
                assert error <= certified.loc[(metric, arm, "no arm differs"), "upper"]


def test_rates_in_words():
    assert in_words({"a": 0.25, "b": 0.25}) == "0.250000000"
    assert in_words({"a": 0.25, "b": 0.5}) == "a 0.250000000, b 0.500000000"
