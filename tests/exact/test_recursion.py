"""The recursion: no weight is lost or made, and small trials agree with an enumeration patient by patient."""

from __future__ import annotations

import os
import subprocess
import sys
from math import comb, factorial
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.exact import recursion
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.posterior import counts
from tests.exact.helpers import enumerated, exact, probability, scenario

EFFICACY = {"kind": "efficacy", "probability": 0.93}
CLOSE = {"kind": "efficacy", "probability": 0.91, "then": "close_arm"}
FUTILITY = {"kind": "futility", "probability": 0.22}
DROP = {"kind": "drop_arm", "probability": 0.27}
FINAL_ONLY = {"kind": "efficacy", "probability": 0.975, "from_look": 2}
QUOTA = {"kind": "thompson", "power": 1, "floor": 0.05}
DRAWS = {"kind": "thompson", "power": 1, "realisation": "independent"}


def every(first: int, step: int | None = None, **given) -> dict:
    return {"kind": "enrolled", "first": first} | ({"every": step} if step else {}) | given


# -------------------------------------------------------------------------------------- conservation

WITHOUT_STOPPING = {
    "2 arms, 24, a look after every patient": (24, 2, every(8, 1), QUOTA, 0),
    "2 arms, 60, a look after every patient": (60, 2, every(12, 1), QUOTA, 0),
    "2 arms, 60, independent": (60, 2, every(10, 10), DRAWS, 0),
    "2 arms, 24, pending": (24, 2, every(8, 3), QUOTA, 4),
    "3 arms, 30": (30, 3, every(12, 6), QUOTA, 0),
    "3 arms, 18, independent, pending": (18, 3, every(6, 4), DRAWS, 2),
    "4 arms, 16": (16, 4, every(8, 4), QUOTA, 0),
    "4 arms, 16, control protected": (16, 4, every(6, 5), {**QUOTA, "control_share": "matched"}, 0),
    "3 arms, no look": (30, 3, {"kind": "none"}, {"kind": "equal", "realisation": "independent"}, 0),
    "2 arms, no look, pending": (24, 2, {"kind": "none"}, {"kind": "fixed", "ratio": {"arm 0": 1, "arm 1": 2}}, 5),
}  # fmt: skip


@pytest.mark.parametrize(("patients", "arms", "looks", "allocation", "month"), WITHOUT_STOPPING.values(),
                         ids=WITHOUT_STOPPING)  # fmt: skip
def test_the_weights_with_so_many_responders_count_the_ways_to_choose_them(patients, arms, looks, allocation, month):
    """Whoever gets which arm: of N patients S respond in C(N, S) ways."""
    case = scenario(patients, [0.5] * arms, looks, allocation, month=month)
    weights = np.zeros(patients + 1)
    for ending in recursion.walk(case.designs()["adaptive"], course(case)):
        known, successes = counts(ending.batch.rows())
        assert (known.sum(axis=1) == patients).all()
        assert (known == ending.batch.enrolled()).all()
        weights += np.bincount(successes.sum(axis=1), ending.weight, patients + 1)
    np.testing.assert_allclose(weights, [comb(patients, s) for s in range(patients + 1)], rtol=1e-9)


@pytest.mark.parametrize(
    ("patients", "arms", "looks", "allocation", "month"),
    [
        (24, 2, every(8, 4), QUOTA, 3),
        (24, 2, every(8, 4), DRAWS, 1.5),
        (10, 3, every(6, 2), QUOTA, 1),
        (10, 3, {"kind": "calendar", "at_months": [4, 9]}, DRAWS, 2),
        (20, 2, {"kind": "none"}, {"kind": "equal"}, 6),
    ],
)
def test_with_patients_lost_the_weights_are_multinomial(patients, arms, looks, allocation, month):
    lost = 0.15
    case = scenario(patients, [0.5] * arms, looks, allocation, month=month, lost=lost)
    weights = np.zeros((patients + 1, patients + 1))
    for ending in recursion.walk(case.designs()["adaptive"], course(case)):
        known, successes = counts(ending.batch.rows())
        np.add.at(weights, (known.sum(axis=1), successes.sum(axis=1)), ending.weight)
    for k in range(patients + 1):
        for s in range(k + 1):
            ways = factorial(patients) // (factorial(s) * factorial(k - s) * factorial(patients - k))
            assert weights[k, s] == pytest.approx(ways * (1 - lost) ** k * lost ** (patients - k), rel=1e-9)


STOPPING = {
    "2 arms": (24, 2, every(8, 2), QUOTA, [EFFICACY, FUTILITY], {}),
    "2 arms, pending": (24, 2, every(8, 4), QUOTA, [EFFICACY, FUTILITY], {"month": 5}),
    "2 arms, pending, lost": (20, 2, every(8, 4), DRAWS, [EFFICACY, DROP], {"month": 3, "lost": 0.2}),
    "3 arms": (24, 3, every(9, 5), QUOTA, [CLOSE, DROP, FUTILITY], {}),
    "3 arms, independent": (18, 3, every(6, 4), DRAWS, [CLOSE, DROP, FUTILITY], {}),
    "3 arms, pending": (18, 3, every(6, 4), QUOTA, [DROP, EFFICACY], {"month": 2}),
    "3 arms, lost": (9, 3, every(4, 3), QUOTA, [DROP, EFFICACY], {"month": 1, "lost": 0.3}),
    "4 arms": (14, 4, every(6, 4), DRAWS, [CLOSE, DROP], {"control": 2}),
}


@pytest.mark.parametrize(("patients", "arms", "looks", "allocation", "rules", "more"), STOPPING.values(), ids=STOPPING)
def test_the_probability_of_everything_is_1_whatever_the_truth(patients, arms, looks, allocation, rules, more):
    case = scenario(patients, [0.5] * arms, looks, allocation, rules, **more)
    truths = np.array([[0.0] * 4, [1.0] * 4, [0.3] * 4, [0.1, 0.9, 0.5, 1.0], [0.999, 1e-9, 0.25, 0.0]])[:, :arms]
    total, claimed = np.zeros(len(truths)), False
    for ending in recursion.walk(case.designs()["adaptive"], course(case)):
        total += [probability(ending, truth).sum() for truth in truths]
        claimed = claimed or bool(ending.is_claimed.any())
        assert (ending.weight >= 0).all()
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-12)
    assert claimed


def test_the_states_at_each_look_have_the_probability_of_getting_there():
    """What is seen at a look is all that has not stopped before it."""
    case = scenario(20, [0.3, 0.6], every(6, 4), QUOTA, [EFFICACY, FUTILITY], month=1)
    found = exact(case)
    stopped_before = np.cumsum(found["stop look"][1:]) - found["stop look"][1:]
    np.testing.assert_allclose(found["took place"], 1 - stopped_before, rtol=0, atol=1e-13)
    assert found["stop look"][1:].min() > 0


@pytest.mark.parametrize("states", [1, 7, 100])
@pytest.mark.parametrize("name", ["2 arms, pending", "3 arms, independent", "3 arms, lost"])
def test_the_size_of_the_batches_changes_nothing(name, states, monkeypatch):
    patients, arms, looks, allocation, rules, more = STOPPING[name]
    case = scenario(patients // 2 + 3, [0.2, 0.5, 0.6][:arms], looks, allocation, rules, **more)
    expected = exact(case)
    monkeypatch.setattr(recursion, "BATCH", states)
    for figure, value in exact(case).items():
        np.testing.assert_allclose(value, expected[figure], rtol=0, atol=1e-12, err_msg=figure)


SMALLER = {
    "2 arms": (24, 2, every(8, 4), {**QUOTA, "block": 4}, [EFFICACY, FUTILITY], {}),
    "2 arms, independent, pending": (20, 2, every(8, 4), DRAWS, [EFFICACY, FUTILITY], {"month": 5}),
    "2 arms, quotas, pending, lost": (14, 2, every(6, 4), {**QUOTA, "block": 2}, [EFFICACY, DROP],
        {"month": 3, "lost": 0.2}),
    "3 arms": (15, 3, every(6, 3), {**QUOTA, "block": 3}, [CLOSE, DROP, FUTILITY], {"month": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALLER)
def test_smaller_trials_end_on_the_way(name):
    """With looks at numbers of patients, and blocks that no look cuts, a smaller trial is the larger until it ends."""
    patients, arms, looks, allocation, rules, more = SMALLER[name]
    rates = [0.2, 0.7, 0.5][:arms]
    case = scenario(patients, rates, looks, allocation, rules, **more)
    for size in range(looks["first"] + 1, patients):
        found, expected = exact(case, size), exact(scenario(size, rates, looks, allocation, rules, **more))
        for figure in expected.keys() - {"stop look", "took place", "known at look"}:
            np.testing.assert_allclose(found[figure], expected[figure], rtol=1e-12, atol=1e-12, err_msg=figure)
        looks_held = len(expected["stop look"])
        np.testing.assert_allclose(found["stop look"][:looks_held], expected["stop look"], rtol=0, atol=1e-12)


# --------------------------------------------------------------------------------- patient by patient

SMALL = {
    "2 arms, quotas": (6, (0.3, 0.6), every(2, 2), {**QUOTA, "block": 3}, [EFFICACY, FUTILITY], {}),
    "2 arms, a quota cut short by every look": (6, (0.3, 0.6), every(1, 1), QUOTA, [DROP, CLOSE], {}),
    "2 arms, independent": (6, (0.3, 0.6), every(2, 1), DRAWS, [EFFICACY, FUTILITY], {}),
    "2 arms, unequal, no look": (6, (0.4, 0.2), {"kind": "none"},
        {"kind": "fixed", "ratio": {"arm 0": 1, "arm 1": 2.5}, "block": 4}, [EFFICACY, FUTILITY], {}),
    "2 arms, harm, informative priors": (6, (0.4, 0.2), every(2, 2), QUOTA, [EFFICACY],
        {"better": "lower", "control": 1, "analysis": {"arm_priors": {"arm 1": {"alpha": 2, "beta": 5}}}}),
    "2 arms, one patient pending": (6, (0.3, 0.7), every(2, 1), {**QUOTA, "block": 3}, [EFFICACY, FUTILITY],
        {"month": 1}),
    "2 arms, one and a half patients pending": (6, (0.3, 0.7), every(3, 2), DRAWS, [EFFICACY, FUTILITY],
        {"month": 1.5}),
    "2 arms, several looks pending": (6, (0.2, 0.9), every(2, 1), {**QUOTA, "block": 5}, [EFFICACY, FUTILITY],
        {"month": 3}),
    "2 arms, nobody known at any look": (6, (0.2, 0.9), every(2, 2), {**QUOTA, "block": 2}, [EFFICACY],
        {"month": 6}),
    "2 arms, looks at outcomes": (6, (0.2, 0.9), {"kind": "assessed", "at": [1, 3, 5]}, QUOTA,
        [EFFICACY, FUTILITY], {"month": 2}),
    "2 arms, looks by the calendar": (6, (0.2, 0.9), {"kind": "calendar", "at_months": [0.5, 2, 2.5, 5, 7, 8.5, 20]},
        {**QUOTA, "block": 3}, [EFFICACY, FUTILITY], {"month": 2}),
    "2 arms, dropped too soon": (6, (0.3, 0.7), every(2, 2), {**QUOTA, "block": 2},
        [{"kind": "drop_arm", "probability": 0.45}, {"kind": "efficacy", "probability": 0.6}], {"month": 3}),
    "3 arms, closed and stopped at one look": (5, (0.3, 0.6, 0.1), every(3, 1), {**QUOTA, "block": 3},
        [{"kind": "drop_arm", "probability": 0.4}, {"kind": "efficacy", "probability": 0.7}], {"month": 2}),
    "2 arms, every trial stops at the second look": (6, (0.3, 0.7), every(2, 1), QUOTA,
        [{"kind": "futility", "probability": 1, "from_look": 2}], {"month": 1}),
    "2 arms, lost": (5, (0.3, 0.7), every(2, 2), {**QUOTA, "block": 3}, [EFFICACY, FUTILITY],
        {"month": 1, "lost": 0.3}),
    "2 arms, lost, calendar": (5, (0.3, 0.7), {"kind": "calendar", "at_months": [2, 4]}, DRAWS, [EFFICACY, DROP],
        {"month": 2, "lost": 0.25}),
    "2 arms, margin": (6, (0.2, 0.8), every(3, 1), QUOTA,
        [{"kind": "efficacy", "margin": 0.1, "probability": [0.8, 0.83, 0.86, 0.9]},
         {"kind": "futility", "margin": -0.15, "probability": 0.4}], {}),
    "3 arms, quotas": (5, (0.3, 0.6, 0.1), every(2, 1), {**QUOTA, "block": 3}, [DROP, CLOSE], {}),
    "3 arms, blocks of 2": (5, (0.3, 0.9, 0.5), every(3, 1), {**QUOTA, "block": 2}, [CLOSE, DROP], {}),
    "3 arms, independent": (5, (0.3, 0.6, 0.1), every(3, 1), DRAWS, [DROP, EFFICACY, FUTILITY], {}),
    "3 arms, protected control": (5, (0.3, 0.6, 0.1), every(3, 1),
        {**QUOTA, "floor": 0, "control_share": "square_root", "power": "n/2N"}, [DROP, CLOSE], {"control": 1}),
    "3 arms, pending": (5, (0.3, 0.6, 0.1), every(2, 1), {**QUOTA, "block": 4}, [DROP, CLOSE], {"month": 2}),
    "3 arms, lost": (4, (0.3, 0.6, 0.1), every(2, 1), {**DRAWS, "ceiling": 0.6}, [DROP, CLOSE],
        {"month": 1, "lost": 0.2}),
    "2 arms, permuted blocks, pending": (6, (0.3, 0.7), every(2, 1),
        {**QUOTA, "floor": 0, "block": 3, "realisation": "permuted_block"}, [EFFICACY, FUTILITY], {"month": 1}),
    "3 arms, permuted blocks": (5, (0.3, 0.6, 0.1), every(2, 1),
        {**QUOTA, "floor": 0, "block": 4, "realisation": "permuted_block"}, [DROP, CLOSE], {}),
    "3 arms, the control may change": (5, (0.1, 0.9, 0.6), every(2, 1), {**DRAWS, "control_share": "matched"},
        [{"kind": "drop_arm", "probability": 0.17}, {"kind": "promote", "probability": 0.77}], {}),
    "3 arms, the control may change, pending": (5, (0.1, 0.9, 0.6), every(3, 1), {**QUOTA, "block": 4},
        [{"kind": "promote", "probability": [0.77, 0.76, 0.85]}, DROP, FUTILITY], {"month": 1}),
    "3 arms, equivalent arms close": (5, (0.6, 0.4, 0.5), every(2, 2), {**QUOTA, "block": 3},
        [{"kind": "equivalence", "margin": 0.3, "probability": 0.62}, EFFICACY], {"control": 2}),
    "3 arms, equals": (5, (0.1, 0.9, 0.6), every(2, 1), DRAWS,
        [{"kind": "drop_arm", "probability": 0.14, "against": "best", "control_too": True},
         {"kind": "efficacy", "probability": 0.77, "against": "best", "control_too": True}], {}),
    "3 arms, equal, arms dropped": (5, (0.8, 0.1, 0.5), every(2, 2), {"kind": "equal", "block": 3}, [DROP], {}),
}  # fmt: skip

LARGER = {
    "2 arms, 8 patients": (8, (0.3, 0.7), every(3, 2), {**QUOTA, "block": 4}, [EFFICACY, FUTILITY], {}),
    "2 arms, 8 patients, pending": (8, (0.3, 0.7), every(3, 2), {**QUOTA, "block": 5}, [EFFICACY, FUTILITY],
        {"month": 3}),
    "2 arms, 6 patients, lost": (6, (0.3, 0.7), every(2, 1), {**QUOTA, "block": 3}, [EFFICACY, FUTILITY],
        {"month": 2, "lost": 0.2}),
    "3 arms, 6 patients": (6, (0.3, 0.6, 0.1), every(3, 1), {**QUOTA, "block": 6}, [DROP, CLOSE, FUTILITY], {}),
    "3 arms, 6 patients, pending": (6, (0.3, 0.6, 0.1), every(2, 2), {**QUOTA, "block": 4}, [CLOSE, DROP],
        {"month": 3}),
    "4 arms, 5 patients": (5, (0.3, 0.6, 0.1, 0.9), every(3, 1), DRAWS, [CLOSE, DROP], {}),
}  # fmt: skip


def compare(patients, rates, looks, allocation, rules, more):
    case = scenario(patients, rates, looks, allocation, rules, **more)
    expected, found = enumerated(case), exact(case)
    assert expected["total"] == pytest.approx(1.0, abs=1e-12)
    assert found.keys() == expected.keys()
    for figure, value in expected.items():
        np.testing.assert_allclose(found[figure], value, rtol=1e-12, atol=1e-12, err_msg=figure)


@pytest.mark.parametrize("name", SMALL)
def test_small_trials_patient_by_patient(name):
    compare(*SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_somewhat_larger_trials_patient_by_patient(name):
    compare(*LARGER[name])


# ----------------------------------------------------------------------------------- inside the arrays

UNCOMPILED = """
import numpy as np
from tests.exact.helpers import exact
from tests.exact.test_recursion import SMALL, scenario
for name in ("2 arms, several looks pending", "2 arms, lost", "3 arms, independent", "3 arms, pending",
             "3 arms, equal, arms dropped", "3 arms, blocks of 2"):
    patients, rates, looks, allocation, rules, more = SMALL[name]
    found = exact(scenario(patients, rates, looks, allocation, rules, **more))
    print(name, *(repr(float(x)) for figure in found.values() for x in figure), sep=";")
"""


def test_uncompiled_the_loops_do_the_same_and_stay_inside_their_arrays():
    """Compiled code would write beyond the end of an array without a word; Python raises an IndexError."""
    root = Path(__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", UNCOMPILED],
        cwd=root,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    for line in answer.stdout.splitlines():
        name, *numbers = line.split(";")
        patients, rates, looks, allocation, rules, more = SMALL[name]
        compiled = exact(scenario(patients, rates, looks, allocation, rules, **more))
        np.testing.assert_allclose(
            [float(x) for x in numbers], np.concatenate(list(compiled.values())), rtol=0, atol=1e-13
        )
