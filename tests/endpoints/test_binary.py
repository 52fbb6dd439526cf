"""Response, yes or no."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import Binary
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig", "mycophenolate")
REPLICATES, PATIENTS = 1000, 60
COHORT = a_cohort(np.sort(np.random.default_rng(1).uniform(0, 1800, (REPLICATES, PATIENTS)), axis=1))


def binary(better="higher"):
    return Binary(kind="binary", better=better, assessed_at_month=6)


def events(truth, better="higher"):
    """Whether the event happens, on the endpoint's own scale: [R, N, A]."""
    value = binary(better).potential(COHORT, "response", ARMS, truth).value[..., 0]
    return binary(better).natural(value.astype(float)).astype(bool)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_events_happen_with_the_stated_probability(better):
    """4 SEs of a proportion of 60,000."""
    truth = {"placebo": 0.25, "ivig": 0.6, "mycophenolate": 0.41}
    for a, arm in enumerate(ARMS):
        p = truth[arm]
        rate = events(truth, better)[..., a].mean()
        assert abs(rate - p) < 4 * np.sqrt(p * (1 - p) / COHORT.enrolled_at.size)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_certainty_is_certain(p):
    assert (events(dict.fromkeys(ARMS, p)) == bool(p)).all()


@settings(max_examples=25)  # each looks at 60,000 patients
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_probability_keeps_every_event_and_adds_some(one, other):
    """In two truths, and on two arms of one truth, the same patient has the same luck."""
    low, high = sorted((one, other))
    before, after = events(dict.fromkeys(ARMS, low)), events(dict.fromkeys(ARMS, high))
    assert not (before & ~after).any()
    arms = events({"placebo": low, "ivig": high, "mycophenolate": low})
    assert not (arms[..., 0] & ~arms[..., 1]).any()
    np.testing.assert_array_equal(arms[..., 0], arms[..., 2])


def test_where_lower_is_better_the_absence_of_the_event_is_good():
    truth = {"placebo": 0.25, "ivig": 0.6, "mycophenolate": 0.41}
    higher = binary("higher").potential(COHORT, "response", ARMS, truth).value
    lower = binary("lower").potential(COHORT, "response", ARMS, truth).value
    np.testing.assert_array_equal(higher, ~lower)
    np.testing.assert_allclose(binary("lower").true_values(COHORT, ARMS, truth, "probability"), [0.75, 0.4, 0.59])
    np.testing.assert_allclose(binary("higher").true_values(COHORT, ARMS, truth, "probability"), [0.25, 0.6, 0.41])


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_turning_back_is_turning(better):
    endpoint, x, y = binary(better), np.array([0.0, 0.3, 1.0]), np.array([0.5, 0.2, 0.1])
    np.testing.assert_allclose(endpoint.natural(endpoint.natural(x)), x, atol=1e-15)
    np.testing.assert_allclose(
        endpoint.natural(x) - endpoint.natural(y), endpoint.natural_difference(x - y), atol=1e-15
    )
    assert endpoint.natural(np.array(0.3)) == pytest.approx(0.3 if better == "higher" else 0.7)


def test_a_probability_may_change_with_the_month_of_enrolment():
    """Rates among patients enrolled in month 0 to 1, about 12, and after 24; 4 SEs."""
    truth = {"placebo": {0: 0.45, 24: 0.25}, "ivig": 0.6, "mycophenolate": {24: 0.25, 0: 0.45}}
    happened, month = events(truth), COHORT.enrolled_at / DAYS_PER_MONTH
    np.testing.assert_array_equal(happened[..., 0], happened[..., 2])
    for low, high, p in ((0, 1, 0.45 - 0.5 / 120), (11, 13, 0.35), (24, 99, 0.25)):
        these = happened[(month >= low) & (month < high), 0]
        assert abs(these.mean() - p) < 4 * np.sqrt(p * (1 - p) / len(these)) + 0.001
    mean = binary().true_values(COHORT, ARMS, truth, "probability")
    assert mean[0] == pytest.approx(np.interp(month, [0, 24], [0.45, 0.25]).mean())
    assert mean[1] == pytest.approx(0.6)


def test_probabilities_outside_0_to_1_are_problems():
    truth = {"placebo": {0: -0.1, 24: 0.25}, "ivig": 1.01, "mycophenolate": 1.0}
    found = binary().truth_problems(truth)
    assert [(path, message) for path, message, _ in found] == [
        (("placebo",), "a probability of -0.1"),
        (("ivig",), "a probability of 1.01"),
    ]
