"""What must hold of any trial, whatever the numbers: no look into the future, no date that matters by itself."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive import block
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential, Span
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.tables import LookRecord, TrialRecord
from sps_adaptive.trial import run
from tests.reference import comparison
from tests.reference.designs import DESIGNS, random_design
from tests.reference.posterior import snapshot_of
from tests.reference.simulator import Known

REPLICATES = 50
EXAMPLES = settings(max_examples=12)
DECIDED = (
    "took_place",
    "stop",
    "is_open",
    "is_claimed",
    "n_enrolled",
    "n_known",
    "n_pending",
    "arm_enrolled",
    "arm_known",
)

names = st.sampled_from(list(DESIGNS))
texts = st.one_of(names.map(DESIGNS.__getitem__), st.integers(0, 19).map(random_design))


@cache
def case_of(text: str) -> comparison.Case:
    return comparison.case(text, REPLICATES)


@cache
def record_of(text: str) -> TrialRecord:
    return comparison.by_engine(case_of(text))


def same(one: LookRecord, other: LookRecord, replicates: np.ndarray | slice = slice(None)) -> bool:
    """Bitwise the same, all that a look saw and decided."""
    return all(np.array_equal(a[replicates], b[replicates], equal_nan=True) for a, b in zip(one, other, strict=True))


# ----------------------------------------------------------------------------------------- the calendar


def later(schedule: Any, months: float) -> Any:
    """The same looks, with every date of the protocol moved."""
    changes: dict[str, Any] = {}
    if schedule.kind == "calendar":
        dates = [month + months for month in schedule.months()]
        changes = {"at_months": dates, "first_month": None, "every_months": None, "last_month": None}
    if schedule.kind == "several":
        changes = {"of": [later(each, months) for each in schedule.of]}
    if getattr(schedule, "minimum_months", None):
        changes["minimum_months"] = schedule.minimum_months + months
    return schedule.model_copy(update=changes)


def opened_later(span: Span, days: float) -> Span:
    """The same arm, with the days on which it opens and closes moved."""
    on = {name: None if (day := getattr(span, name)) is None else day + days for name in ("opens_on", "closes_on")}
    return span._replace(**on)


@EXAMPLES
@given(texts, st.floats(0.5, 3000))
def test_shifting_the_calendar_changes_no_verdict(text, shift):
    case = case_of(text)
    if case.scenario.population.accrual.kind == "steady" or case.scenario.endpoint.assessed_at_month == 0:
        shift = float(2 ** round(np.log2(shift)))  # dates that coincide may fall apart by rounding; these do not
    moved = case.cohort._replace(enrolled_at=case.cohort.enrolled_at + shift, dropout_at=case.cohort.dropout_at + shift)
    potential = case.potential._replace(known_at=case.potential.known_at + shift)
    design = case.design._replace(
        schedule=later(case.design.schedule, shift / DAYS_PER_MONTH),
        closes_at=case.design.closes_at + shift,
        spans=case.design.spans and tuple(opened_later(span, shift) for span in case.design.spans),
    )
    before, after = record_of(text), run(design, moved, potential)
    for one, other in zip(before.looks, after.looks, strict=True):
        for field in DECIDED:
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)
        there = one.took_place
        np.testing.assert_allclose(other.day[there], one.day[there] + shift, rtol=1e-12)
        np.testing.assert_array_equal(one.allocation, other.allocation)
    for field in ("outcome", "stop", "stop_look", "selected", "arm"):
        np.testing.assert_array_equal(getattr(before, field), getattr(after, field), err_msg=field)


# ------------------------------------------------------------------------------------------ the future


@EXAMPLES
@given(texts, st.integers(0, 5), st.integers(0, 2**32 - 1), st.floats(0, 400))
def test_what_is_not_known_at_a_look_changes_nothing_up_to_it(text, index, seed, later):
    """Other values, and later dates, of all that lies after the look: another truth, another future."""
    case = case_of(text)
    before = record_of(text)
    index = min(index, len(before.looks) - 2)
    look = before.looks[index]
    there = np.flatnonzero(look.took_place)
    day = np.where(look.took_place, look.day, np.inf)
    future = case.potential.known_at > day[:, None, None, None]
    rng = np.random.default_rng(seed)
    other = rng.permuted(case.potential.value, axis=1)
    potential = Potential(
        np.where(future, other, case.potential.value), case.potential.known_at + np.where(future, later, 0.0)
    )
    dropout_at = case.cohort.dropout_at
    cohort = case.cohort._replace(dropout_at=np.where(dropout_at > day[:, None], dropout_at + later, dropout_at))
    after = run(case.design, cohort, potential)
    for earlier in range(index + 1):
        assert same(before.looks[earlier], after.looks[earlier], there)
    enrolled = before.cohort.enrolled_at <= day[:, None]
    np.testing.assert_array_equal(np.where(enrolled, before.arm, -1)[there], np.where(enrolled, after.arm, -1)[there])


@EXAMPLES
@given(names, st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_a_truth_that_changes_after_a_look_is_not_seen_by_it(name, index, seed):
    case = case_of(DESIGNS[name])
    before = record_of(DESIGNS[name])
    index = min(index, len(before.looks) - 2)
    look = before.looks[index]
    there = np.flatnonzero(look.took_place)
    rng = np.random.default_rng(seed)
    truth = {arm: float(p) for arm, p in zip(case.design.arms, rng.uniform(0, 1, len(case.design.arms)), strict=True)}
    other = case.design.endpoint.potential(case.cohort, case.design.endpoint_name, case.design.arms, truth)
    unknown = case.potential.known_at > np.where(look.took_place, look.day, np.inf)[:, None, None, None]
    after = run(
        case.design, case.cohort, case.potential._replace(value=np.where(unknown, other.value, case.potential.value))
    )
    for earlier in range(index + 1):
        assert same(before.looks[earlier], after.looks[earlier], there)


# ------------------------------------------------------------------------------------------- dropouts

UNADAPTED = """
title: looks that change nothing
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 40
  accrual: {kind: poisson, patients_per_month: 2}
  dropout: {kind: exponential, proportion: 0.2, by_month: 6}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 5, window_months: 2}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: calendar, first_month: 2, every_months: 2, last_month: 40}
allocation: {kind: equal, realisation: independent}
decisions:
  - {kind: efficacy, margin: 0, probability: 1}
truths:
  t: {response: {placebo: 0.3, a: 0.5, b: 0.4}}
simulation: {replicates: 100, seed: 31}
"""


@EXAMPLES
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_with_more_dropout_never_more_outcomes_are_known_on_a_day(seed, share):
    case = case_of(UNADAPTED)
    cohort = case.cohort
    rng = np.random.default_rng(seed)
    sooner = cohort.enrolled_at + rng.exponential(150, cohort.enrolled_at.shape)
    hit = rng.random(cohort.enrolled_at.shape) < share
    dropout_at = np.where(hit, np.minimum(cohort.dropout_at, sooner), cohort.dropout_at)
    fewer = cohort._replace(dropout_at=dropout_at)
    assert isinstance(case.scenario.endpoint, Assessed)
    potential = case.potential._replace(known_at=case.scenario.endpoint.known_at(fewer))
    before, after = record_of(UNADAPTED), run(case.design, fewer, potential)
    np.testing.assert_array_equal(before.arm, after.arm)
    for one, other in zip(before.looks, after.looks, strict=True):
        there = one.took_place & other.took_place
        assert (other.arm_known[there] <= one.arm_known[there]).all()
        assert not (other.took_place & ~one.took_place).any()  # follow-up ends sooner, never later
    assert (after.looks[-1].day <= before.looks[-1].day).all()


# -------------------------------------------------------------------------------------------- batches


@EXAMPLES
@given(texts, st.integers(1, REPLICATES - 1))
def test_splitting_the_batch_changes_nothing(text, at):
    case = case_of(text)
    whole = record_of(text)
    for part in (slice(0, at), slice(at, REPLICATES)):
        cohort: Cohort = comparison.rows(case.cohort, part)
        record = run(case.design, cohort, Potential(case.potential.value[part], case.potential.known_at[part]))
        for one, other in zip(whole.looks, record.looks, strict=True):
            for field in LookRecord._fields:
                np.testing.assert_array_equal(getattr(one, field)[part], getattr(other, field), err_msg=field)
        for field in ("outcome", "stop", "stop_look", "decision_day", "selected", "arm"):
            np.testing.assert_array_equal(getattr(whole, field)[part], getattr(record, field), err_msg=field)
        for field in ("enrolled_at", "dropout_at"):
            np.testing.assert_array_equal(getattr(whole.cohort, field)[part], getattr(record.cohort, field))
        np.testing.assert_array_equal(whole.potential.known_at[part], record.potential.known_at)


@EXAMPLES
@given(texts)
def test_a_trial_does_not_change_the_patients(text):
    case = comparison.case(text, REPLICATES)
    copies = [np.copy(column) for column in case.cohort[:-2]]
    value, known_at = np.copy(case.potential.value), np.copy(case.potential.known_at)
    comparison.by_engine(case)
    assert all(np.array_equal(a, b) for a, b in zip(copies, case.cohort[:-2], strict=True))
    assert np.array_equal(value, case.potential.value)
    assert np.array_equal(known_at, case.potential.known_at)


# ------------------------------------------------------------------------------------------------ arms


@EXAMPLES
@given(texts, st.integers(0, 2**32 - 1))
def test_permuting_the_arms_permutes_the_posterior(text, seed):
    """Of models with one prior for all arms."""
    case = case_of(text)
    model = case.scenario.analysis[case.design.endpoint_name]
    if getattr(model, "arm_priors", None):
        return
    arms, patients = len(case.design.arms), case.design.patients
    rng = np.random.default_rng(seed)
    move = rng.permutation(arms)  # arm a becomes arm move[a]
    dealt = rng.integers(arms, size=patients)
    known = [
        Known(i, int(dealt[i]), float(case.potential.value[0, i, dealt[i], -1]), float(case.cohort.covariates[0, i, 0]))
        for i in range(0, patients, 2)
    ]
    moved = [outcome._replace(arm=int(move[outcome.arm])) for outcome in known]
    one = case.design.model.fit(snapshot_of(known, patients, arms))
    other = case.design.model.fit(snapshot_of(moved, patients, arms))
    among = rng.random((1, arms)) < 0.7
    among[0, 0] = True
    there = np.empty_like(among)
    there[:, move] = among
    close = {"rtol": 0, "atol": 1e-9}
    np.testing.assert_allclose(other.mean()[:, move], one.mean(), **close)
    np.testing.assert_allclose(other.prob_best(there)[:, move], one.prob_best(among), **close)
    np.testing.assert_allclose(other.prob_better(int(move[0]), 0.1)[:, move], one.prob_better(0, 0.1), **close)


# --------------------------------------------------------------------------------------------- streams


@EXAMPLES
@given(texts, st.integers(1, 60))
def test_a_larger_trial_meets_the_same_patients_and_then_some_more(text, more):
    scenario = comparison.parse(text)
    patients = scenario.population.patients
    population = scenario.population.model_copy(update={"patients": patients + more})
    few, many = block.draw(scenario, 3), block.draw(scenario.model_copy(update={"population": population}), 3)
    for field in Cohort._fields[:-2]:
        np.testing.assert_array_equal(getattr(few, field), getattr(many, field)[:, :patients], err_msg=field)
    for name, luck in few.u_outcome.items():
        np.testing.assert_array_equal(luck, many.u_outcome[name][:, :patients])


@pytest.mark.parametrize("name", DESIGNS)
def test_more_replicates_keep_the_earlier_ones(name):
    """Blocks are drawn whole: the first trials of a block do not depend on how many of them are looked at."""
    few, many = comparison.case(DESIGNS[name], 3), comparison.case(DESIGNS[name], 9)
    for field in Cohort._fields[:-2]:
        np.testing.assert_array_equal(getattr(few.cohort, field), getattr(many.cohort, field)[:3], err_msg=field)
