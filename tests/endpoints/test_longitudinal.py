"""Scores at several visits: their means and covariances, who leaves, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import Longitudinal
from sps_adaptive.endpoints.score_course import DrugEffect, NaturalCourse, PlaceboResponse, ScoreCourse
from sps_adaptive.pauses import later
from sps_adaptive.timeline import cut, last_day, pick
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig", "azathioprine")
SYMMETRY = {"kind": "compound_symmetry", "correlation": 0.6}
BASELINE = {"mean": 4.0, "sd": 1.1, "correlation": [0.7, 0.6, 0.5]}
TRUTH = {
    "placebo": {
        "start": 4.2,
        "natural": {"per_month": 0.05},
        "placebo": {"peak": -0.8, "peak_month": 1, "half_life_months": 2, "stays": 0.25},
    },
    "ivig": {"like": "placebo", "effect": {"size": -1.4, "onset_months": 1}},
    "azathioprine": {"like": "placebo", "effect": {"size": -1.4, "onset_months": 10}},
}


def endpoint(**fields):
    given = {"better": "lower", "visits_at_months": [1, 3, 6], "sd": [1.0, 1.2, 1.5], "correlation": SYMMETRY}
    return Longitudinal(kind="longitudinal", **given | fields)


def cohort(patients=40_000, visits=3, uniforms=6, **fields):
    rng = np.random.default_rng(1)
    enrolled_at = np.sort(rng.uniform(0, 900, (1, patients)), axis=1)
    return a_cohort(enrolled_at, u_outcome={"score": rng.random((1, patients, uniforms))}, **fields)


def potential(part, people, truth=TRUTH, shift=None):
    return part.potential(people, "score", ARMS, part.read(truth), shift)


# ------------------------------------------------------------------------------------------------- the mean


def test_a_course_is_the_sum_of_its_parts():
    """By hand: natural 0.05 t; placebo -0.8, then -0.8 (1/4 + 3/4 2^-(t-1)/2); the drug all at month 1, or t / 10."""
    part = endpoint()
    truth = part.read(TRUTH)
    fade = [1.0, 0.25 + 0.75 * 0.5, 0.25 + 0.75 * 0.5**2.5]
    placebo = np.array([4.2 + 0.05 * t - 0.8 * left for t, left in zip((1, 3, 6), fade, strict=True)])
    np.testing.assert_allclose(part.by_visit(truth, "placebo"), placebo, atol=1e-12)
    np.testing.assert_allclose(part.by_visit(truth, "ivig"), placebo - 1.4, atol=1e-12)
    np.testing.assert_allclose(part.by_visit(truth, "azathioprine"), placebo - np.array([0.14, 0.42, 0.84]), atol=1e-12)
    values = part.true_values(cohort(10), ARMS, truth, "mean")
    np.testing.assert_allclose(values, -np.array([placebo[2], placebo[2] - 1.4, placebo[2] - 0.84]), atol=1e-12)


MONTHS = np.array([0.0, 0.5, 1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    "part, expected",
    [
        (NaturalCourse(per_month=0.5), [0, 0.25, 0.5, 1, 2]),
        (NaturalCourse(per_month=0.5, until_month=2), [0, 0.25, 0.5, 1, 1]),
        (PlaceboResponse(peak=2), [0, 1, 2, 2, 2]),
        (PlaceboResponse(peak=2, peak_month=2, half_life_months=1), [0, 0.5, 1, 2, 0.5]),
        (PlaceboResponse(peak=2, half_life_months=1, stays=0.5), [0, 1, 2, 1.5, 1.125]),
        (DrugEffect(size=3), [3, 3, 3, 3, 3]),
        (DrugEffect(size=3, lag_months=1), [0, 0, 3, 3, 3]),
        (DrugEffect(size=3, onset_months=2), [0, 0.75, 1.5, 3, 3]),
        (DrugEffect(size=3, onset_months=2, lag_months=1), [0, 0, 0, 1.5, 3]),
        (DrugEffect(size=3, onset_months=2, onset="exponential"), 3 * (1 - np.exp(-MONTHS / 2))),
        (DrugEffect(size=3, onset_months=1, lasts_until_month=2, half_life_months=1), [0, 1.5, 3, 3, 0.75]),
        (ScoreCourse(start=1, effect=DrugEffect(size=2)), [3, 3, 3, 3, 3]),
    ],
)
def test_the_parts_of_a_course(part, expected):
    np.testing.assert_allclose(part.at(MONTHS), expected, atol=1e-12)


def test_means_may_be_a_number_or_one_for_each_visit():
    part = endpoint(better="higher")
    truth = part.read({"placebo": 1.0, "ivig": [1, 2, 3], "azathioprine": {0: 1.0, 30: 2.0}})
    np.testing.assert_allclose(part.by_visit(truth, "ivig"), [1, 2, 3])
    people = cohort(1000)
    found = part.true_values(people, ARMS, truth, "mean")
    np.testing.assert_allclose(found, [1, 3, 1 + people.enrolled_at.mean() / DAYS_PER_MONTH / 30], rtol=1e-3)
    assert part.changes(truth["azathioprine"]) and not part.changes(truth["ivig"])


# ------------------------------------------------------------------------------------ variances and luck


def test_scores_have_the_stated_moments():
    """40,000 patients: a standard deviation is right to 0.4%, a correlation to 0.005; tolerances are four of these."""
    part = endpoint(baseline=BASELINE)
    people = cohort()
    score = -potential(part, people).value[0, :, 1]
    truth = part.read(TRUTH)
    np.testing.assert_allclose(score.mean(axis=0), part.by_visit(truth, "ivig"), atol=0.03)
    np.testing.assert_allclose(score.std(axis=0), [1.0, 1.2, 1.5], rtol=0.016)
    with_baseline = np.corrcoef(np.column_stack([people.covariates[0], score]).T)
    np.testing.assert_allclose(with_baseline[0, 1:], [0.7, 0.6, 0.5], atol=0.02)
    np.testing.assert_allclose(with_baseline[1:, 1:][np.triu_indices(3, 1)], 0.6, atol=0.02)


def test_a_change_is_the_score_less_the_baseline():
    people = cohort(100)
    flat = dict.fromkeys(ARMS, 0.0)
    score = potential(endpoint(baseline=BASELINE), people, flat).value
    change = potential(endpoint(baseline=BASELINE, outcome="change_from_baseline"), people, flat).value
    np.testing.assert_allclose(change, score + 1.1 * people.covariates[:, :, None], atol=1e-12)


def test_an_autoregressive_correlation_falls_with_time():
    part = endpoint(correlation={"kind": "autoregressive", "correlation": 0.8, "months": 2})
    np.testing.assert_allclose(part.correlation.matrix(np.array([1, 3, 6]))[0], [1, 0.8, 0.8**2.5])


def test_what_covariates_add_is_there_at_every_visit():
    people, part = cohort(50), endpoint()
    shift = np.linspace(-1, 1, 50)[None, :, None]
    with_it, without = potential(part, people, shift=shift), potential(part, people)
    np.testing.assert_allclose(with_it.value, without.value - shift[..., None], atol=1e-12)
    truth = part.read(TRUTH)
    moved = part.true_values(people, ARMS, truth, "mean", shift + 0.5) - part.true_values(people, ARMS, truth, "mean")
    np.testing.assert_allclose(moved, -0.5)


# ------------------------------------------------------------------------------------------------- leaving


def test_visits_after_dropout_are_never_known():
    people = cohort(3, dropout_at=np.inf)
    left = people.enrolled_at + np.array([[2 * DAYS_PER_MONTH, np.inf, 10.0]])
    known_at = endpoint().known_at(people._replace(dropout_at=left))
    assert known_at.shape == (1, 3, 1, 3)
    np.testing.assert_array_equal(np.isfinite(known_at[0, :, 0]), [[1, 0, 0], [1, 1, 1], [0, 0, 0]])
    late = endpoint(window_months=0.5).known_at(people._replace(u_visit=np.full((1, 3), 0.75)))
    np.testing.assert_allclose(late - endpoint().known_at(people), 0.25 * DAYS_PER_MONTH)


def leaving(**fields):
    return endpoint(baseline=BASELINE, dropout={"hazard": 0.1, "reference": 4.0, **fields})


def test_who_leaves_is_told_by_the_last_observed_score():
    """The probabilities by hand, from the patients' own scores; whoever has left does not come back."""
    part, people = leaving(per_point_seen=0.7, per_point_unseen=-0.4), cohort(2000)
    found = potential(part, people)
    score = -found.value
    assert found.known_at.shape == (1, 2000, 3, 3)
    before = np.concatenate([np.broadcast_to(4 + 1.1 * people.covariates[:, :, None, :1], (1, 2000, 3, 1)), score], -1)
    chance = expit(logit(0.1) + 0.7 * (before[..., :3] - 4) - 0.4 * (score - 4))
    there = np.logical_and.accumulate(people.u_outcome["score"][:, :, None, 3:] >= chance, axis=3)
    np.testing.assert_array_equal(np.isfinite(found.known_at), there)
    assert (there[:, :, 0] != there[:, :, 1]).any(), "who leaves depends on the arm"


def test_without_a_slope_the_hazard_is_as_stated():
    """0.1 between visits, so 0.9^3 finish; 40,000 patients: a standard error of 0.0022."""
    part = leaving(hazard={"placebo": 0.1, "ivig": 0.1, "azathioprine": 0.3})
    known = np.isfinite(potential(part, cohort()).known_at)[0].mean(axis=0)
    np.testing.assert_allclose(known[:, 2], [0.9**3, 0.9**3, 0.7**3], atol=0.01)


def test_who_leaves_has_left_on_the_day_of_the_visit_that_is_missed():
    """So a final analysis does not wait for them, and they are pending only until then."""
    part, people = leaving(hazard=0.4), cohort(50)
    found = potential(part, people)
    for patient in range(50):
        for arm in range(3):
            seen = int(np.isfinite(found.known_at[0, patient, arm]).sum())
            month = [1, 3, 6, np.inf][seen]
            expected = people.enrolled_at[0, patient] + month * DAYS_PER_MONTH
            assert found.left_at[0, patient, arm] == pytest.approx(expected)
    arm = np.zeros((1, 50), int)
    outcome = pick(found, arm)
    last = last_day(people, outcome, np.array([50]))
    settled = np.minimum(outcome.known_at[..., -1], outcome.left_at)
    assert np.isfinite(last).all() and last[0] == settled.max()
    day = np.array([500.0])
    seen = cut(day, people, arm, outcome, 3)
    enrolled = people.enrolled_at[0] <= 500
    assert seen.n_pending[0] == (enrolled & (settled[0] > 500)).sum()
    moved, then = later(people, found, np.full((1, 50), 30.0))
    assert last_day(moved, pick(then, arm), np.array([50]))[0] == pytest.approx(last[0] + 30)


def test_true_values_are_those_had_nobody_left():
    part = leaving(per_point_seen=2.0)
    truth = part.read(TRUTH)
    np.testing.assert_array_equal(
        part.true_values(cohort(10), ARMS, truth, "mean"), endpoint().true_values(cohort(10), ARMS, truth, "mean")
    )


def test_uniforms_are_those_that_are_used():
    assert endpoint().uniforms == 3 and leaving().uniforms == 6 and endpoint().outcomes == 3
    assert endpoint().assessed_at_month == 6


# ------------------------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    "fields, place",
    [
        ({"visits_at_months": [3, 1, 6]}, ("visits_at_months",)),
        ({"window_months": 2}, ("window_months",)),
        ({"sd": [1.0, 2.0]}, ("sd",)),
        ({"outcome": "change_from_baseline"}, ("outcome",)),
        ({"baseline": BASELINE | {"correlation": [0.5, 0.5]}}, ("baseline", "correlation")),
        ({"baseline": BASELINE | {"correlation": [0.9, -0.9, 0.9]}}, ("baseline", "correlation")),
        ({"correlation": {"kind": "unstructured", "rows": [[1, 0.5], [0.5, 1]]}}, ("correlation", "rows")),
        (
            {"correlation": {"kind": "unstructured", "rows": [[1, 0.5, 0], [0.4, 1, 0], [0, 0, 1]]}},
            ("correlation", "rows"),
        ),
        (
            {"correlation": {"kind": "unstructured", "rows": [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]}},
            ("correlation",),
        ),
    ],
)
def test_what_cannot_be_is_said_in_its_place(fields, place):
    assert [path for path, _, _ in endpoint(**fields).problems()] == [place]


def test_a_right_endpoint_has_no_problems():
    for part in (endpoint(), leaving(), endpoint(baseline=BASELINE, outcome="change_from_baseline")):
        assert part.problems() == []


@pytest.mark.parametrize(
    "truth, place",
    [
        ({"placebo": [1, 2], "ivig": 1, "azathioprine": 1}, ("placebo",)),
        ({"placebo": 1, "ivig": {"like": "placebo"}, "azathioprine": 1}, ("ivig", "like")),
        ({"placebo": {"start": 1}, "ivig": {"like": "nobody"}, "azathioprine": 1}, ("ivig", "like")),
        (
            {"placebo": {"start": 1}, "ivig": {"like": "placebo"}, "azathioprine": {"like": "ivig"}},
            ("azathioprine", "like"),
        ),
    ],
)
def test_what_a_truth_cannot_be(truth, place):
    part = endpoint()
    assert [path for path, _, _ in part.truth_problems(part.read(truth))] == [place]


def test_a_course_that_contradicts_itself_is_not_read():
    with pytest.raises(ValidationError, match="like takes"):
        ScoreCourse(like="placebo", start=1.0)
    with pytest.raises(ValidationError, match="wears off"):
        DrugEffect(size=1.0, half_life_months=2)
    assert endpoint().unreadable({"placebo": {"effect": {"onset_months": 1}}})[0][0] == ("placebo", "effect")


def test_it_tells_itself():
    part = endpoint(unit="points")
    truth = part.read(TRUTH)
    assert part.describe() == "a score in points at months 1, 3 and 6"
    assert part.words(truth["azathioprine"]) == "as placebo, -1.4 in the end"
    assert part.words(truth["placebo"]) == "3.45, 3.85, 4.19 at the visits"
    assert part.words(3.0) == "3"
    assert leaving().describe() == "a score at months 1, 3 and 6, on which it depends who leaves"
    assert endpoint(visits_at_months=[6], sd=1.0).describe() == "a score"
