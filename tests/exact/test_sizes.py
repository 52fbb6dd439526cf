"""The size curve: reference values, and every row as the trial of that size has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sps_adaptive.characteristics.exact import exact_characteristics
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.calibration import calibrate, with_threshold
from sps_adaptive.exact.choice import with_patients
from sps_adaptive.exact.scores import efficacy_rule
from sps_adaptive.exact.sizes import CURVE, Curve, curve, is_beginning
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import scenario

TS = {"kind": "thompson", "power": 1, "floor": 0.1}
COIN = {"kind": "equal", "block": 2}
EFFICACY = {"kind": "efficacy", "probability": 0.95}
FUTILITY = {"kind": "futility", "probability": 0.1}
RULES = [EFFICACY, FUTILITY]


def looks(first: int, every: int, kind: str = "enrolled") -> dict[str, Any]:
    return {"kind": kind, "first": first, "every": every}


def every_patient(allocation: dict[str, Any]) -> Scenario:
    """Twelve patients in equal blocks, and then a look after every patient; claims at the end only."""
    end = EFFICACY | {"probability": 0.975, "from_look": 13}
    return scenario(24, (0.3, 0.7), looks(12, 1), allocation, [end])


# ------------------------------------------------------------------------------------------ reference values


@pytest.mark.parametrize(
    ("allocation", "sizes", "first", "rows"),
    [
        (COIN, [46, 48, 50, 60], 50, {60: (0.9762, 0.8866, 0.5, 0.5)}),
        (TS | {"floor": 0.1, "block": 2}, [60], None, {60: (0.9843, 0.6583, 0.6191, 0.7977)}),
        (
            TS | {"floor": 0.25, "block": 2},
            [54, 56, 58, 60, 100],
            58,
            {60: (0.9778, 0.8217, 0.5766, 0.6915), 100: (0.9787, 0.9580, 0.5859, 0.7148)},
        ),
        pytest.param(COIN, range(24, 121, 2), 50, {}, marks=pytest.mark.slow),
        pytest.param(TS | {"floor": 0.1, "block": 2}, range(24, 121, 2), 90, {}, marks=pytest.mark.slow),
        pytest.param(TS | {"floor": 0.25, "block": 2}, range(24, 121, 2), 58, {}, marks=pytest.mark.slow),
    ],
)
def test_sizes_for_a_power_of_80_percent(allocation, sizes, first, rows):
    """With errors of at most 0.025, whatever the response rate."""
    found = curve(every_patient(allocation), sizes, "truth", level=0.025)
    assert found.first == first
    assert (found.table["largest_error"] <= 0.025).all()
    by_size = found.table.set_index("patients")
    for patients, (threshold, power, responders, share) in rows.items():
        row = by_size.loc[patients]
        assert row["threshold"] == pytest.approx(threshold, abs=1.1e-4)
        assert row["power"] == pytest.approx(power, abs=6e-5)
        assert row["responders"] == pytest.approx(responders, abs=6e-5)
        assert row["share_on_best"] == pytest.approx(share, abs=6e-5)
        assert row["enrolled"] == pytest.approx(patients, abs=1e-9)


# -------------------------------------------------------------------------------------------- size by size

SIZES = [9, 12, 13, 16, 17, 18, 21, 24]

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "after every patient": ((24, (0.3, 0.6), looks(8, 1), TS | {"block": 2}, RULES), {}),
    "blocks that looks cut": ((24, (0.3, 0.6), looks(8, 5), TS | {"block": 4}, RULES), {}),
    "blocks longer than the stages": ((24, (0.3, 0.6), looks(8, 3), TS | {"block": 8}, RULES), {}),
    "blocks within the stages": ((24, (0.3, 0.6), looks(8, 4), TS | {"block": 4}, RULES), {}),
    "draws": ((24, (0.3, 0.6), looks(8, 5), TS | {"realisation": "independent"}, RULES), {}),
    "equal, blocks that looks cut": ((24, (0.3, 0.6), looks(7, 7), {"kind": "equal", "block": 6}, RULES), {}),
    "fixed design": ((24, (0.3, 0.6), {"kind": "none"}, {"kind": "equal", "block": 4}, RULES), {}),
    "delay": ((24, (0.3, 0.6), looks(8, 4), TS | {"block": 2}, RULES), {"month": 3.5}),
    "delay and blocks that looks cut": ((24, (0.3, 0.6), looks(7, 5), TS | {"block": 4}, RULES), {"month": 2}),
    "losses": ((18, (0.3, 0.6), looks(6, 5), TS | {"block": 2}, RULES), {"month": 2, "lost": 0.3}),
    "by outcomes": ((24, (0.3, 0.6), looks(6, 5, "assessed"), TS | {"block": 2}, RULES), {"month": 4}),
    "by the calendar": (
        (24, (0.3, 0.6), {"kind": "calendar", "first_month": 8, "every_months": 5, "last_month": 40}, TS, RULES),
        {"month": 4},
    ),
    "a list of looks": ((24, (0.3, 0.6), {"kind": "enrolled", "at": [8, 13, 20]}, TS, RULES), {"month": 1}),
    "smaller is better": ((24, (0.6, 0.3), looks(8, 5), TS, RULES), {"better": "lower"}),
    "three arms": ((18, (0.3, 0.6, 0.5), looks(8, 5), TS, [*RULES, {"kind": "drop_arm", "probability": 0.1}]), {}),
}


def as_of(case: Scenario) -> np.ndarray:
    """Power, patients, share on the best arm and share of responders of one trial."""
    frame = exact_characteristics(case)
    figures = frame[(frame["design"] == "adaptive") & (frame["arm"] == "")].set_index("metric")["estimate"]
    responders = figures["mean_outcome"] if case.endpoint.better == "higher" else 1 - figures["mean_outcome"]
    return np.array([figures["power_any"], figures["patients"], figures["share_on_best"], responders])


def rows(found: Curve) -> np.ndarray:
    return found.table[["power", "enrolled", "share_on_best", "responders"]].to_numpy()


@pytest.mark.parametrize("name", CASES)
def test_each_size_is_the_trial_of_that_size(name):
    arguments, options = CASES[name]
    case = scenario(*arguments, **options)
    sizes = [size for size in SIZES if size <= case.population.patients]
    found = curve(case, sizes, "truth")
    assert tuple(found.table.columns) == CURVE
    assert found.table["patients"].tolist() == sizes
    assert (found.table["threshold"] == 0.95).all()
    assert found.table["largest_error"].isna().all()
    smaller = [with_patients(case, size) for size in sizes]
    expected = np.array([as_of(each) for each in smaller if each is not None])
    np.testing.assert_allclose(rows(found), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["blocks that looks cut", "delay", "by outcomes", "three arms", "losses"])
def test_each_size_has_the_threshold_of_that_size(name):
    (patients, rates, when, allocation, _), options = CASES[name]
    plain = scenario(patients, rates, when, allocation, [FUTILITY], **options)
    end = EFFICACY | {"from_look": plain.n_looks + 1}
    case = scenario(patients, rates, when, allocation, [FUTILITY, end], **options)
    found = curve(case, [13, 17, 18], "truth", level=0.05)
    for size, row in found.table.set_index("patients").iterrows():
        smaller = with_patients(case, int(size))
        assert smaller is not None
        calibrated = calibrate(smaller, 0.05)
        assert row["threshold"] == pytest.approx(calibrated.written, abs=1e-12)
        assert row["largest_error"] == pytest.approx(calibrated.upper, abs=1e-9)
        with_it = with_threshold(smaller, efficacy_rule(smaller)[0], calibrated.written)
        expected = as_of(with_it)
        np.testing.assert_allclose(row[["power", "enrolled", "share_on_best", "responders"]], expected, atol=1e-12)


def test_larger_than_the_scenario():
    """A series of looks goes on; a list of looks does not."""
    case = scenario(16, (0.3, 0.6), looks(8, 4), TS, RULES)
    found = curve(case, [16, 22, 30], "truth")
    np.testing.assert_allclose(rows(found)[2], as_of(scenario(30, (0.3, 0.6), looks(8, 4), TS, RULES)), atol=1e-12)
    listed = scenario(16, (0.3, 0.6), {"kind": "enrolled", "at": [8, 12]}, TS, RULES)
    other = scenario(30, (0.3, 0.6), {"kind": "enrolled", "at": [8, 12]}, TS, RULES)
    np.testing.assert_allclose(rows(curve(listed, [30], "truth"))[0], as_of(other), atol=1e-12)


def test_sizes_before_the_first_look_are_fixed_designs():
    case = scenario(16, (0.3, 0.6), looks(8, 4), {"kind": "equal", "block": 4}, RULES)
    fixed = scenario(7, (0.3, 0.6), {"kind": "none"}, {"kind": "equal", "block": 4}, RULES)
    np.testing.assert_allclose(rows(curve(case, [7, 16], "truth"))[0], as_of(fixed), atol=1e-12)


def test_trials_that_all_stop_at_their_first_look():
    rules = [{"kind": "efficacy", "probability": 0.9}, {"kind": "futility", "margin": 0.9, "probability": 1.0}]
    found = curve(scenario(24, (0.3, 0.6), looks(8, 4), COIN, rules), [9, 13, 24], "truth").table
    assert found["patients"].tolist() == [9, 13, 24]
    np.testing.assert_allclose(found["enrolled"], 8, rtol=1e-12)
    assert np.ptp(found["power"]) < 1e-15


# ------------------------------------------------------------------------------------------------ beginnings


def beginnings(case: Scenario, sizes: range) -> list[int]:
    whole = with_patients(case, sizes[-1])
    assert whole is not None
    return [size for size in sizes if is_beginning(whole, size)]


def test_where_the_last_block_is_shorter():
    """Looks at 8, 13, 18, 23 and blocks of 4: that of patients 17 to 20 is cut by the look at 18."""
    case = scenario(24, (0.3, 0.6), looks(8, 5), TS | {"block": 4}, RULES)
    sizes = beginnings(case, range(9, 31))
    assert [size for size in range(9, 31) if size not in sizes] == [14, 15, 19, 20, 24, 25, 29, 30]


@pytest.mark.parametrize(
    ("allocation", "every"),
    [
        (TS | {"block": 4}, 1),  # of one patient a block says nothing
        (TS | {"block": 4}, 4),  # the looks come between blocks
        (TS | {"block": 4}, 8),
        (TS | {"realisation": "independent"}, 5),
    ],
)
def test_where_no_block_is_cut(allocation, every):
    case = scenario(24, (0.3, 0.6), looks(8, every), allocation, RULES)
    assert beginnings(case, range(9, 31)) == list(range(9, 31))


def test_looks_after_the_last_patient():
    """Outcomes come four months later: 8 are known when the 12th patient is enrolled, 16 with the 20th."""
    by_outcomes = scenario(24, (0.3, 0.6), looks(8, 8, "assessed"), TS | {"block": 1}, RULES, month=4)
    assert beginnings(by_outcomes, range(8, 25)) == [8, 13, 14, 15, 16, 21, 22, 23, 24]
    months = {"kind": "calendar", "at_months": [8, 16]}
    calendar = scenario(24, (0.3, 0.6), months, TS | {"block": 1}, RULES, month=4)  # the last outcome: 4 months later
    assert beginnings(calendar, range(2, 25)) == [2, 3, 4, 9, 10, 11, 12, *range(17, 25)]


# -------------------------------------------------------------------------------------------------- answers


def made(power: list[float], target: float = 0.8) -> tuple[int | None, int | None]:
    from sps_adaptive.exact.sizes import _curve

    found = _curve([(10 + k, 0.9, 0.0, p, 10.0, 0.5, 0.5) for k, p in enumerate(power)], "truth", target)
    return found.first, found.lasting


def test_first_and_lasting():
    assert made([0.7, 0.81, 0.79, 0.82, 0.83]) == (11, 13)
    assert made([0.7, 0.8]) == (11, 11)
    assert made([0.9, 0.9]) == (10, 10)
    assert made([0.9, 0.7]) == (10, None)
    assert made([0.1, 0.2]) == (None, None)


def test_a_saw():
    found = curve(every_patient(COIN), range(24, 41), "truth", level=0.025, target=0.6)
    assert found.truth == "truth"
    assert found.first is not None
    assert found.lasting is not None
    power = found.table.set_index("patients")["power"]
    assert (power.diff().dropna() < 0).any()
    assert (power[power.index < found.first] < 0.6).all()
    assert (power[power.index >= found.lasting] >= 0.6).all()
    assert isinstance(found.table, pd.DataFrame)


# -------------------------------------------------------------------------------------------------- refusals

END = EFFICACY | {"from_look": 4}
WHEN = looks(8, 6)
REFUSALS: dict[str, tuple[tuple[Any, ...], dict[str, Any], list[int], float | None, str]] = {
    "depends on the largest number": (
        (24, (0.3, 0.6), WHEN, TS | {"power": "n/2N"}, RULES), {}, [20], None, "power: n/2N",
    ),
    "exponents that grow": (
        (24, (0.3, 0.6), WHEN, {"kind": "trippa"}, RULES), {}, [20], None, "trippa's exponents",
    ),
    "powers look by look": (
        (24, (0.3, 0.6), WHEN, TS | {"power": [0, 0.5, 1]}, RULES), {}, [20], None, "powers look by look",
    ),
    "predictive": (
        (24, (0.3, 0.6), WHEN, TS, [{"kind": "predictive", "probability": 0.1}, END]), {}, [20], None,
        "predictive probabilities are about one largest number",
    ),
    "thresholds by look": (
        (24, (0.3, 0.6), WHEN, TS, [{"kind": "efficacy", "probability": [0.99, 0.98, 0.97, 0.96]}]), {}, [20], None,
        "thresholds by look",
    ),
    "no rule": ((24, (0.3, 0.6), WHEN, TS, [FUTILITY]), {}, [20], None, "no efficacy rules"),
    "one patient": ((24, (0.3, 0.6), WHEN, TS, RULES), {}, [1, 20], None, "at least 2 patients"),
    "no size": ((24, (0.3, 0.6), WHEN, TS, RULES), {}, [], None, "at least 2 patients"),
    "before the first look": ((24, (0.3, 0.6), WHEN, TS, RULES), {}, [6, 8], None, "before the first look"),
    "claims at looks": ((24, (0.3, 0.6), WHEN, TS, RULES), {}, [20], 0.05, "at the final analysis only"),
    "level": ((24, (0.3, 0.6), WHEN, TS, [END]), {}, [20], 1.5, "a level of 1.5"),
    "margins": (
        (24, (0.3, 0.6, 0.5), WHEN, TS, [END | {"margin": 0.1}]), {}, [20], 0.05, "two arms and one margin only",
    ),
    "losses, and a look after the last patient": (
        (24, (0.3, 0.6), {"kind": "calendar", "at_months": [10]}, TS, RULES), {"month": 4, "lost": 0.1}, [9, 24], None,
        "a trial of 9 patients cannot be computed exactly",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    arguments, options, sizes, level, reason = REFUSALS[name]
    with pytest.raises(UsageError, match=reason):
        curve(scenario(*arguments, **options), sizes, "truth", level=level)


def test_an_unknown_truth():
    with pytest.raises(UsageError, match="no truth named 'other'"):
        curve(scenario(24, (0.3, 0.6), WHEN, TS, RULES), [24], "other")
