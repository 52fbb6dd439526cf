"""All ways to allocate at one error: against the commands that do it one design at a time."""

import numpy as np
import pytest

from sps_adaptive.errors import UsageError
from sps_adaptive.exact.calibration import calibrate, with_threshold
from sps_adaptive.exact.scores import efficacy_rule
from sps_adaptive.search.gallery import (
    DROPPING,
    ENTRIES,
    Entry,
    figures,
    gallery,
    losses,
    setting,
    share_of_strict,
    truths_with_power,
)
from sps_adaptive.spec import load_scenario, parse_scenario

SMALL = """
title: A small setting
arms:
  placebo: {control: true}
  a: {}
  b: {}
population:
  patients: 24
  accrual: {kind: steady, patients_per_month: 2}
endpoints:
  response: {kind: binary, better: higher, assessed_at_month: 0}
analysis:
  response: {kind: beta_binomial}
looks: {kind: enrolled, at: [12, 18]}
allocation: {kind: equal}
decisions:
  - {kind: efficacy, probability: 0.975, from_look: 3}
truths:
  nothing works: {response: {placebo: 0.3, a: 0.3, b: 0.3}}
  a works: {response: {placebo: 0.3, a: 0.8, b: 0.3}}
"""
FEW = (
    Entry("equal", {"kind": "equal"}),
    Entry(DROPPING, {"kind": "equal"}, drops=True),
    Entry("Thompson", {"kind": "thompson", "power": 1}),
)


@pytest.fixture(scope="module")
def found():
    return gallery(parse_scenario(SMALL), 0.1, FEW)


def test_a_row_for_each_way_and_truth(found):
    assert found["rule"].tolist() == [entry.name for entry in FEW for _ in range(2)]
    assert found["truth"].tolist() == ["nothing works", "a works"] * 3
    assert found.groupby("rule")["learns"].first().to_dict() == {"equal": False, DROPPING: False, "Thompson": True}
    null = found[found["truth"] == "nothing works"]
    assert null["power"].isna().all() and (null["wrong"] <= 0.1 + 1e-9).all()


def test_power_lies_between_that_of_the_two_thresholds_around_the_level(found):
    for entry in FEW:
        case = setting(parse_scenario(SMALL), entry)
        place, _ = efficacy_rule(case)
        one = calibrate(case, 0.1)
        assert one.upper <= 0.1 < one.next_upper and one.next_threshold < one.threshold
        share = share_of_strict(one)
        assert share * one.upper + (1 - share) * one.next_upper == pytest.approx(0.1, abs=1e-12)
        strict, loose = (
            figures(with_threshold(case, place, threshold))["a works"]["power"]
            for threshold in (one.written, one.next_threshold)
        )
        row = found[(found["rule"] == entry.name) & (found["truth"] == "a works")].iloc[0]
        assert strict < row["power"] < loose
        assert row["power"] == pytest.approx(share * strict + (1 - share) * loose, abs=1e-12)


def test_equal_randomisation_of_three_arms_by_enumeration(found):
    """Eight patients an arm: failures and share need no sum over paths."""
    row = found[(found["rule"] == "equal") & (found["truth"] == "a works")].iloc[0]
    assert row["share_on_best"] == pytest.approx(1 / 3)
    assert row["failures"] == pytest.approx(8 * (0.7 + 0.2 + 0.7))
    assert row["wrong_direction"] == 0


def test_losses_are_those_of_rules_that_learn(found):
    lost = losses(found, "a works")
    power = found[found["truth"] == "a works"].set_index("rule")["power"]
    expected = power[DROPPING] - power["Thompson"]
    assert lost == ({"Thompson": pytest.approx(expected)} if expected > 5e-5 else {})


def test_claims_at_looks_have_no_place_in_it():
    early = parse_scenario(SMALL.replace("from_look: 3", "from_look: 1"))
    with pytest.raises(UsageError, match="at the final analysis only"):
        gallery(early, 0.1, FEW)


def test_every_entry_is_a_design_of_the_setting_that_comes_with_the_package():
    base = load_scenario("scenarios/gallery.yaml")
    assert truths_with_power(base) == ["ivig works", "both work"]
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES) and DROPPING in [entry.name for entry in ENTRIES]
    for entry in ENTRIES:
        case = setting(base, entry)
        assert np.isfinite(case.n_looks) and case.allocation.kind == entry.allocation["kind"]
