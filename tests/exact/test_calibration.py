"""The smallest threshold that keeps the largest error: reference values, and that the next smaller one does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sps_adaptive.arrays import TIE
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.calibration import STEP, Calibration, calibrate, digits, shortest, with_threshold
from sps_adaptive.exact.certificate import Certificate, Certifier, nulls
from sps_adaptive.exact.recursion import walk
from sps_adaptive.exact.scores import claims_only_at_end, efficacy_rule
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import exact, scenario

COIN = {"kind": "equal", "realisation": "independent"}
BLOCKS = {"kind": "equal", "block": 2}
TS = {"kind": "thompson", "power": 1, "floor": 0.1, "block": 2}
TEMPERED = {"kind": "thompson", "power": "n/2N", "floor": 0.1, "block": 2}
LOOKS = {"kind": "enrolled", "first": 8, "every": 6}
FUTILITY = {"kind": "futility", "probability": 0.1}


def efficacy(probability: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "efficacy", "probability": probability} | more


def place_of(case: Scenario) -> int:
    return efficacy_rule(case)[0]


def certificates(case: Scenario) -> list[Certificate]:
    design = designs(case)["adaptive"]
    certifier = Certifier(case, design)
    for ending in walk(design, course(case, design)):
        certifier.add(ending)
    return [each for each in certifier.certificates() if each.null in {null.name for null in nulls(case)}]


def largest(case: Scenario) -> Certificate:
    return max(certificates(case), key=lambda each: each.lower)


# ------------------------------------------------------------------------------------------ reference values


@pytest.mark.parametrize(
    ("patients", "allocation", "threshold", "power"),
    [
        (24, BLOCKS, 0.97574371, 0.497761),
        (24, TS, 0.97846154, 0.419920),
        (24, TEMPERED, 0.97464531, 0.473140),
        (60, BLOCKS, 0.97618548, 0.886635),
        (60, TS, 0.98432360, 0.658346),
        (60, TEMPERED, 0.97929933, 0.839379),
    ],
    ids=["24, coin", "24, Thompson", "24, tempered", "60, coin", "60, Thompson", "60, tempered"],
)
def test_two_arms_at_one_in_forty(patients, allocation, threshold, power):
    """Blocks until the first look, and then a look after every patient: each of them a coin."""
    n_looks = len(range(12, patients))
    case = scenario(
        patients, (0.3, 0.7), {"kind": "enrolled", "first": 12, "every": 1}, allocation,
        [efficacy(0.975, from_look=n_looks + 1)],
    )  # fmt: skip
    found = calibrate(case, 0.025)
    assert found.threshold == pytest.approx(threshold, abs=6e-9)
    assert found.lower <= found.upper <= 0.025
    for number in (found.threshold, found.written):
        calibrated = with_threshold(case, 0, number)
        assert exact(calibrated)["claimed"][1] == pytest.approx(power, abs=6e-7)


# ------------------------------------------------------------------------------------------------ smallest

DROP = {"kind": "drop_arm", "probability": 0.1}
AT_THE_END: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "fixed": ((40, (0.3, 0.6), {"kind": "none"}, COIN, [efficacy(0.9)]), {}),
    "futility at looks": ((26, (0.3, 0.6), LOOKS, TS, [FUTILITY, efficacy(0.9, from_look=4)]), {}),
    "smaller is better": ((26, (0.6, 0.3), LOOKS, TS, [FUTILITY, efficacy(0.9, from_look=4)]), {"better": "lower"}),
    "margin": ((26, (0.3, 0.6), LOOKS, TS, [efficacy(0.9, from_look=4, margin=0.1)]), {}),
    "not much worse": ((26, (0.3, 0.6), LOOKS, TS, [efficacy(0.9, from_look=4, margin=-0.15)]), {}),
    "losses": ((18, (0.3, 0.6), LOOKS, TS, [efficacy(0.9, from_look=3)]), {"month": 2, "lost": 0.2}),
    "three arms": (
        (
            20, (0.3, 0.3, 0.6), LOOKS, TS | {"block": 3},
            [efficacy(0.9, from_look=3), {"kind": "drop_arm", "probability": 0.1}],
        ),
        {"control": 1},
    ),
    "Holm": (
        (18, (0.3, 0.3, 0.6), LOOKS, TS | {"block": 3}, [efficacy(0.9, from_look=3, multiplicity="holm"), DROP]), {},
    ),
    "closed test": (
        (18, (0.3, 0.3, 0.6), LOOKS, TS | {"block": 3}, [efficacy(0.9, from_look=3, multiplicity="closed"), DROP]), {},
    ),
    "not inferior": (
        (
            26, (0.3, 0.6), LOOKS, TS,
            [{"kind": "non_inferiority", "margin": 0.15, "probability": 0.9, "from_look": 4}],
        ),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("level", [0.01, 0.05])
@pytest.mark.parametrize("name", AT_THE_END)
def test_no_smaller_threshold_will_do(name, level):
    arguments, options = AT_THE_END[name]
    case = scenario(*arguments, **options)
    assert claims_only_at_end(case)
    found, place = calibrate(case, level), place_of(case)
    assert found.level == level
    at, below = (with_threshold(case, place, found.threshold + change) for change in (0.0, -3 * TIE))
    assert max(each.upper for each in certificates(at)) <= level + 1e-6  # certificates are less narrow
    assert largest(at).lower == pytest.approx(found.lower, abs=1e-6)
    assert found.lower <= found.upper <= level
    assert largest(below).lower > level
    written = with_threshold(case, place, found.written)
    assert found.threshold <= found.written < 1
    np.testing.assert_array_equal(exact(written)["claimed"], exact(at)["claimed"])


def test_the_rates_are_those_of_the_groups():
    arguments, options = AT_THE_END["three arms"]
    case = scenario(*arguments, **options)
    found = calibrate(case, 0.05)
    groups = {null.name: null.groups for null in nulls(case)}[found.null]
    assert len(found.rates) == len(groups)
    where = largest(with_threshold(case, place_of(case), found.threshold))
    assert where.null == found.null
    for rate, group in zip(found.rates, groups, strict=True):
        assert rate == pytest.approx(where.rates[f"arm {group[0]}"], abs=1e-3)


# -------------------------------------------------------------------------------------------- claims at looks

BY_PASSES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "efficacy at looks": ((20, (0.3, 0.6), LOOKS, BLOCKS, [efficacy(0.9), FUTILITY]), {}),
    "smaller is better": ((20, (0.6, 0.3), LOOKS, TS, [efficacy(0.9), FUTILITY]), {"better": "lower"}),
    "a shape": (
        (20, (0.3, 0.6), LOOKS, BLOCKS, [efficacy({"shape": "obrien_fleming", "final": 0.9}), FUTILITY]), {},
    ),
    "Holm at looks": (
        (15, (0.3, 0.3, 0.6), LOOKS, BLOCKS | {"block": 3}, [efficacy(0.9, multiplicity="holm"), FUTILITY]), {},
    ),
    "stops when success is probable": (
        (
            20, (0.3, 0.6), LOOKS, BLOCKS,
            [{"kind": "predictive", "then": "efficacy", "probability": 0.9}, efficacy(0.9, from_look=3)],
        ),
        {},
    ),
    "stops when success is improbable": (
        (20, (0.3, 0.6), LOOKS, BLOCKS, [{"kind": "predictive", "probability": 0.2}, efficacy(0.9, from_look=3)]),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_PASSES)
def test_paths_of_their_own(name):
    """With claims at looks, or rules that ask what a success would be, every threshold has paths of its own."""
    arguments, options = BY_PASSES[name]
    case = scenario(*arguments, **options)
    place = place_of(case)
    assert not claims_only_at_end(case)
    found = calibrate(case, 0.05)
    at, below = (with_threshold(case, place, found.threshold + change) for change in (0.0, -STEP))
    assert max(each.upper for each in certificates(at)) == pytest.approx(found.upper, abs=1e-12)
    assert found.upper <= 0.05 < largest(below).upper
    assert found.written == found.threshold == pytest.approx(round(found.threshold, digits(STEP)), abs=1e-15)
    groups = {null.name: null.groups for null in nulls(case)}[found.null]
    where = max(certificates(at), key=lambda each: each.upper)
    good = [where.rates[f"arm {group[0]}"] for group in groups]
    good = good if case.endpoint.better == "higher" else [1 - rate for rate in good]
    assert found.rates == pytest.approx(good, abs=1e-12)


def test_a_rule_that_never_meets_its_look_is_one_for_the_end():
    """The same trial, written so that the rule could speak at a look which finds nothing to claim."""
    looks = {"kind": "enrolled", "at": [2]}
    one = scenario(16, (0.3, 0.7), looks, BLOCKS, [efficacy(0.9, from_look=2)])
    other = scenario(16, (0.3, 0.7), looks, BLOCKS, [efficacy(0.9)])
    found = [calibrate(case, 0.05) for case in (one, other)]
    assert found[0].threshold <= found[1].threshold < found[0].threshold + STEP
    assert found[0].lower == pytest.approx(found[1].lower, abs=1e-6)


# ------------------------------------------------------------------------------------------------ refusals

END = efficacy(0.9, from_look=4)
REFUSALS = {
    "no rule": ((24, (0.3, 0.6), LOOKS, BLOCKS, [FUTILITY]), 0.05, "no rule declares an arm effective"),
    "two rules": ((24, (0.3, 0.6), LOOKS, BLOCKS, [END, END]), 0.05, "has 2 efficacy rules"),
    "conditional": (
        (24, (0.3, 0.6), LOOKS, BLOCKS, [END | {"test": "conditional"}]),
        0.05,
        "finds its critical values by itself",
    ),
    "level 0": ((24, (0.3, 0.6), LOOKS, BLOCKS, [END]), 0.0, "a level of 0"),
    "level 1": ((24, (0.3, 0.6), LOOKS, BLOCKS, [END]), 1.0, "a level of 1"),
    "margins": (
        (24, (0.3, 0.6, 0.6), LOOKS, BLOCKS, [END | {"margin": 0.1}]),
        0.05,
        "two arms and one margin only",
    ),
    "by look": (
        (24, (0.3, 0.6), LOOKS, BLOCKS, [efficacy([0.9, 0.9, 0.9, 0.9])]),
        0.05,
        "thresholds by look cannot be found",
    ),
    "never claims": (
        (12, (0.3, 0.6), {"kind": "none"}, BLOCKS, [efficacy(0.9, margin=0.9)]),
        0.05,
        "no arm could ever be declared effective",
    ),
    "stops by itself": (  # what another rule claims no threshold can prevent
        (
            24, (0.3, 0.6), LOOKS, BLOCKS,
            [efficacy(0.9), {"kind": "predictive", "then": "efficacy", "probability": 0.0}],
        ),
        1e-9,
        "no threshold below 1 keeps the largest error at 1e-09",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    arguments, level, reason = REFUSALS[name]
    with pytest.raises(UsageError, match=reason):
        calibrate(scenario(*arguments), level)


# ------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.97846153846, 0.98, 0.979),
        (0.97846153846, 0.9785, 0.97847),
        (0.5, 0.6, 0.5),
        (0.75, 0.76, 0.75),
        (0.9999999, 1.0, 0.9999999),
        (0.123456789012345, 0.1234567890123452, 0.123456789012345),
    ],
)
def test_the_shortest_number(low, high, expected):
    assert shortest(low, high) == expected


def test_the_shortest_number_of_random_intervals():
    rng = np.random.default_rng(11)
    for low, width in zip(rng.random(2000), 10.0 ** -rng.uniform(1, 12, 2000), strict=True):
        found = shortest(low, low + width)
        assert low <= found < low + width
        decimals = len(repr(found).partition(".")[2])
        if found != low:
            coarser = np.ceil(low * 10.0 ** (decimals - 1)) / 10.0 ** (decimals - 1)
            assert decimals == 1 or coarser >= low + width or "e" in repr(found)


def test_a_calibration_says_what_it_found():
    case = scenario(24, (0.3, 0.7), {"kind": "none"}, BLOCKS, [efficacy(0.9)])
    assert isinstance(calibrate(case, 0.025), Calibration)
    assert len(repr(calibrate(case, 0.025).written)) <= len(repr(calibrate(case, 0.025).threshold))
