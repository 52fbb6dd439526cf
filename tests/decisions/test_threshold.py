"""A probability to cross: thresholds by look, margins, and what does not fit the looks."""

import numpy as np
import pytest
from pydantic import ValidationError

from sps_adaptive.decisions import DropArm, Efficacy, Futility
from tests.contracts.fakes import look_at_better

KINDS = {"efficacy": Efficacy, "futility": Futility, "drop_arm": DropArm}


def rule(kind, probability, **given):
    return KINDS[kind](kind=kind, probability=probability, **given)


def speaks(said):
    return bool(said.stop.any() or said.close.any() or said.claim.any())


HIGH, LOW = [0.0, 0.99, 0.99], [0.0, 0.01, 0.01]
LOUD = {"efficacy": HIGH, "futility": LOW, "drop_arm": LOW}
"""P(better) at which each rule speaks with the threshold 0.5."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("distance, beyond", [(0.0, False), (0.5e-12, False), (-0.5e-12, False), (3e-12, True)])
def test_thresholds_are_strict_and_a_tie_does_not_depend_on_rounding(kind, distance, beyond):
    threshold = 0.985 if kind == "efficacy" else 0.1
    direction = 1 if kind == "efficacy" else -1
    look = look_at_better([0, threshold + direction * distance])
    assert speaks(rule(kind, threshold).verdict(look)) is beyond


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_reads_the_probability_of_its_own_margin(kind):
    look = look_at_better(LOUD[kind], by=0.25)
    assert speaks(rule(kind, 0.5, margin=0.25).verdict(look))
    with pytest.raises(KeyError):  # the posterior was not asked for any other margin
        rule(kind, 0.5).verdict(look)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("from_look", [1, 2, 3])
def test_a_rule_is_silent_before_its_first_look(kind, from_look):
    said = [speaks(rule(kind, 0.5, from_look=from_look).verdict(look_at_better(LOUD[kind], k=k))) for k in range(3)]
    assert said == [k + 1 >= from_look for k in range(3)]


@pytest.mark.parametrize("kind, speaks_at_final", [("efficacy", True), ("futility", True), ("drop_arm", False)])
def test_the_final_analysis_is_always_late_enough_for_the_rules_that_speak_there(kind, speaks_at_final):
    final = look_at_better(LOUD[kind], k=3, n_looks=3)
    assert final.is_final
    assert speaks(rule(kind, 0.5, from_look=4).verdict(final)) is speaks_at_final
    assert rule(kind, 0.5).at_final is speaks_at_final


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_thresholds_is_read_look_by_look(kind):
    never, always = (1.0, 0.0) if kind == "efficacy" else (0.0, 1.0)
    thresholds = [never, always, never, always][: 4 if kind != "drop_arm" else 3]
    said = [speaks(rule(kind, thresholds).verdict(look_at_better(LOUD[kind], k=k))) for k in range(3)]
    assert said == [False, True, False]
    final = speaks(rule(kind, thresholds).verdict(look_at_better(LOUD[kind], k=3)))
    assert final is (kind != "drop_arm")


@pytest.mark.parametrize("kind", KINDS)
def test_replicates_are_judged_one_by_one(kind):
    better = np.array([LOUD[kind], [0, 0.5, 0.5], LOUD[kind]])
    said = rule(kind, 0.5).verdict(look_at_better(better))
    rows = [rule(kind, 0.5).verdict(look_at_better(row)) for row in better]
    for field in ("stop", "close", "claim"):
        np.testing.assert_array_equal(getattr(said, field), np.concatenate([getattr(row, field) for row in rows]))
    assert said.stop.dtype == np.int8 and said.close.dtype == said.claim.dtype == bool


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("control", range(3))
def test_the_control_is_never_closed_and_never_claimed(kind, control):
    """Whatever the posterior says: also where its probability for the control itself would do."""
    for by in (-0.5, 0.0, 0.5):
        for everything in (0.0, 1.0):
            look = look_at_better(np.full((1, 3), everything), by=by, control=control)
            said = rule(kind, 0.5, margin=by).verdict(look)
            assert not said.close[0, control] and not said.claim[0, control]


@pytest.mark.parametrize("kind", KINDS)
def test_closed_arms_are_neither_closed_again_nor_claimed(kind):
    said = rule(kind, 0.5).verdict(look_at_better(LOUD[kind], is_open=[True, False, True]))
    assert not said.close[0, 1] and not said.claim[0, 1]
    assert speaks(said)


@pytest.mark.parametrize(
    "kind, given, n_looks, path",
    [
        ("efficacy", {"probability": [0.99, 0.98]}, 2, "probability"),
        ("efficacy", {"probability": [0.99, 0.98, 0.97, 0.96]}, 2, "probability"),
        ("drop_arm", {"probability": [0.1, 0.1, 0.1]}, 2, "probability"),
        ("drop_arm", {"probability": [0.1]}, 2, "probability"),
        ("efficacy", {"probability": 0.99, "from_look": 4}, 2, "from_look"),
        ("drop_arm", {"probability": 0.1, "from_look": 3}, 2, "from_look"),
    ],
)
def test_thresholds_that_do_not_fit_the_looks_are_problems(kind, given, n_looks, path):
    found = rule(kind, **given).problems(n_looks, rule(kind, **given).at_final)
    assert [where for where, _, _ in found] == [(path,)]
    assert all(message and hint for _, message, hint in found)


@pytest.mark.parametrize(
    "kind, given, n_looks",
    [
        ("efficacy", {"probability": 0.99}, 0),
        ("efficacy", {"probability": [0.99]}, 0),
        ("efficacy", {"probability": [0.99, 0.98, 0.97], "from_look": 3}, 2),
        ("futility", {"probability": [0.05, 0.05, 0.05]}, 2),
        ("drop_arm", {"probability": [0.1, 0.1], "from_look": 2}, 2),
    ],
)
def test_thresholds_that_fit_are_not(kind, given, n_looks):
    assert rule(kind, **given).problems(n_looks, rule(kind, **given).at_final) == []


@pytest.mark.parametrize("given", [{"probability": 1.01}, {"probability": []}, {"probability": 0.5, "from_look": 0}])
def test_what_cannot_be_a_threshold_does_not_parse(given):
    with pytest.raises(ValidationError):
        rule("efficacy", **given)
