"""What rules that learn share: burn-ins, and bounds when arms have closed or are young."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from sps_adaptive.allocation import Thompson
from sps_adaptive.allocation.realisation import Setting
from sps_adaptive.block import draw, run_designs
from sps_adaptive.spec import parse_scenario
from tests.allocation.settings import setting
from tests.contracts.fakes import look_at_best

BEST = [0.1, 0.7, 0.2]


def rule(**given):
    return Thompson(kind="thompson", power=1, **given)


def probabilities(best=BEST, enrolled=(10, 10, 10), *, is_open=None, control=0, **given):
    look = look_at_best(
        best, is_open=is_open, control=control, n_enrolled=sum(enrolled), arm_enrolled=[list(enrolled)]
    )  # fmt: skip
    return rule(**given).probabilities(look)[0]


# -------------------------------------------------------------------------------------------- the whole trial


@pytest.mark.parametrize("share, start", [(None, [1 / 3] * 3), (0.4, [0.4, 0.3, 0.3])])
def test_until_enough_are_enrolled_it_stays_as_it_began(share, start):
    before = probabilities(enrolled=(13, 8, 8), burn_in=30, control_share=share)
    np.testing.assert_allclose(before, start, atol=1e-12)
    after = probabilities(enrolled=(13, 8, 9), burn_in=30, control_share=share)
    np.testing.assert_array_equal(after, probabilities(enrolled=(13, 8, 9), control_share=share))
    assert not rule(burn_in=30).counts_enrolled


def test_each_trial_has_its_own_burn_in():
    look = look_at_best([BEST, BEST], n_enrolled=[29, 30])
    found = rule(burn_in=30).probabilities(look)
    np.testing.assert_allclose(found, [[1 / 3] * 3, BEST], atol=1e-12)


# ---------------------------------------------------------------------------------------------- single arms


@pytest.mark.parametrize(
    "enrolled, given, expected",
    [
        ((10, 10, 10), {}, BEST),
        ((4, 10, 10), {}, [1 / 3, 2 / 3 * 7 / 9, 2 / 3 * 2 / 9]),
        ((10, 10, 4), {}, [2 / 3 / 8, 2 / 3 * 7 / 8, 1 / 3]),
        ((10, 4, 4), {}, [1 / 3] * 3),
        ((4, 4, 4), {}, [1 / 3] * 3),
        # the floor and the ceiling hold beside a young arm: scaling 0.1 of 0.8 down to two thirds would break it
        ((10, 10, 4), {"floor": 0.1}, [0.1, 2 / 3 - 0.1, 1 / 3]),
        ((10, 10, 4), {"ceiling": 0.5}, [1 / 6, 0.5, 1 / 3]),
        ((10, 10, 4), {"floor": 0.3}, [0.3, 2 / 3 - 0.3, 1 / 3]),
        # a protected control keeps its share, however young it is itself
        ((10, 10, 4), {"control_share": 0.4}, [0.4, 0.3, 0.3]),
        ((2, 10, 10), {"control_share": 0.4}, [0.4, 0.6 * 7 / 9, 0.6 * 2 / 9]),
        ((10, 10, 4), {"control_share": "square_root"}, [np.sqrt(2) - 1, *[1 - np.sqrt(0.5)] * 2]),
        ((10, 10, 4), {"control_share": "matched"}, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_a_young_arm_gets_an_equal_share_and_the_others_what_is_left(enrolled, given, expected):
    found = probabilities(enrolled=enrolled, burn_in_per_arm=5, **given)
    np.testing.assert_allclose(found, expected, atol=2e-12)
    assert rule(burn_in_per_arm=5).counts_enrolled


def test_closed_arms_are_not_young():
    found = probabilities(enrolled=(10, 2, 10), is_open=[[True, False, True]], burn_in_per_arm=5)
    np.testing.assert_allclose(found, [1 / 3, 0, 2 / 3], atol=1e-12)


def test_arms_without_weight_share_what_young_ones_leave():
    found = probabilities([0, 1, 0, 0], (10, 3, 10, 10), burn_in_per_arm=5)
    np.testing.assert_allclose(found, [0.25] * 4, atol=1e-12)


@drawn(
    st.lists(st.floats(0, 1), min_size=2, max_size=5).filter(any),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([None, 0.33, "matched", "square_root"]),
    st.data(),
)
def test_bounds_hold_whoever_is_young_and_whoever_has_left(weights, low, high, share, data):
    arms = len(weights)
    booleans = st.lists(st.booleans(), min_size=arms, max_size=arms)
    is_open, young = np.array(data.draw(booleans)), np.array(data.draw(booleans))
    is_open[0] = True
    left = {None: 1, 0.33: 0.67, "matched": 1, "square_root": 1 - 1 / (1 + np.sqrt(arms - 1))}[share]
    rivals = arms if share in (None, "matched") else arms - 1
    floor, ceiling = low * left / rivals * 0.999, left / rivals + high * (1 - left / rivals)
    given = {"floor": floor, "ceiling": ceiling, "control_share": share, "burn_in_per_arm": 5}
    assert rule(**given).problems(setting(arms)) == []
    best = np.where(is_open, np.array(weights) + 1e-9, 0)
    found = probabilities(best / best.sum(), np.where(young, 2, 9), is_open=[is_open], **given)
    start = rule(**given).start(is_open[None], 0)[0]
    assert abs(found.sum() - 1) < 1e-12 and (found[~is_open] == 0).all()
    rival = is_open.copy()
    if share in (0.33, "square_root"):
        assert found[0] == pytest.approx(start[0])
        rival[0] = False
    np.testing.assert_allclose(found[rival & young], start[rival & young], atol=1e-12)
    if rival.any():
        equal = start[rival][0]
        assert (found[rival] >= min(floor, equal) - 1e-12).all()
        assert (found[rival] <= max(ceiling, equal) + 1e-12).all()


TRIAL = """title: an arm that opens late
arms: {a: {control: true}, b: {}, c: {opens: {patient: 31}}}
population: {patients: 90, accrual: {kind: steady, patients_per_month: 2}}
endpoints: {y: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {y: {kind: beta_binomial}}
looks: {kind: enrolled, first: 10, every: 5}
allocation: {kind: KIND, floor: 0.25, burn_in_per_arm: 10}
decisions: [{kind: efficacy, probability: 0.99, from_look: 17}]
truths: {truth: {y: {a: 0.2, b: 0.9, c: 0.2}}}
simulation: {engine: simulate}
"""


@pytest.mark.parametrize(
    "rule",
    [
        "thompson, power: 1", "top_two", "information_weighted", "trippa", "null_hypothesis", "neyman", "rsihr",
        "doubly_adaptive, target: rsihr", "play_the_winner",
    ],
)  # fmt: skip
def test_a_late_arm_gets_its_share_until_it_has_its_patients(rule):
    """In whole trials: while the arm is young it gets a third, and afterwards everybody has the floor at least."""
    trial = parse_scenario(TRIAL.replace("KIND", rule), "file.yaml")
    record = run_designs(trial, "truth", draw(trial, 0))["adaptive"]
    young_looks = 0
    for look in record.looks[:-1]:
        there = look.is_open[:, 2] & look.took_place
        young = there & (look.arm_enrolled[:, 2] < 10)
        young_looks += young.any()
        np.testing.assert_allclose(look.allocation[young, 2], 1 / 3, atol=1e-12)
        np.testing.assert_allclose(look.allocation[look.took_place].sum(axis=1), 1, atol=1e-12)
        assert (look.allocation[there] >= 0.25 - 1e-12).all() and (look.allocation[~look.is_open] == 0).all()
    assert young_looks >= 3


# ------------------------------------------------------------------------------------------ when arms close


@pytest.mark.parametrize("share", [None, 0.3, 0.6, "matched", "square_root"])
@pytest.mark.parametrize("arms", [2, 3, 4, 6, 10])
def test_floors_that_can_be_kept_at_first_can_be_kept_whoever_leaves(arms, share):
    """What the arms would get if they shared equally grows as they become fewer."""
    whole = rule(control_share=share).start(np.ones((1, arms), bool), 0)[0, 1]
    for left in range(1, arms):
        fewer = rule(control_share=share).start(np.ones((1, left + 1), bool), 0)[0, 1]
        assert fewer >= whole - 1e-12
    floor = min(whole, 1.0)
    found = probabilities(
        [1e-9, *[1.0] * (arms - 2), 1e-9][:arms],
        (10,) * arms,
        is_open=[[True, *[False] * (arms - 2), True]],
        floor=floor,
        control_share=share,
    )
    assert found[-1] >= floor - 1e-12


def test_a_ceiling_that_leaves_no_place_for_everybody_is_the_equal_share():
    assert rule(ceiling=0.4).problems(setting(3)) == []
    found = probabilities(is_open=[[True, True, False]], ceiling=0.4)
    np.testing.assert_allclose(found, [0.5, 0.5, 0], atol=1e-12)
    found = probabilities(is_open=[[True, True, False]], ceiling=0.4, control_share=0.3)
    np.testing.assert_allclose(found, [0.3, 0.7, 0], atol=1e-12)


@pytest.mark.parametrize(
    "given, arms, words",
    [
        ({"control_share": 0.5, "rescale": "control"}, 4, "with two of 4 arms left a control share of 0.5 grows to 1"),
        ({"rescale": "bounds", "floor": 0.1, "burn_in_per_arm": 5}, 3, "do not go with a burn-in of single arms"),
        ({"control_share": 0.4, "rescale": "both"}, 4, None),
    ],
)
def test_what_growing_bounds_cannot_go_with(given, arms, words):
    found = Thompson(kind="thompson", **given).problems(Setting(tuple("abcd"[:arms]), 3, True))
    assert [words in message for _, message, _ in found] == ([True] if words else [])
