"""A timed walk: moments and shares against closed forms."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from sps_adaptive.endpoints import TimedWalk
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig")
N = 100_000
RNG = np.random.default_rng(20_261_125)
COHORT = a_cohort(
    np.sort(RNG.uniform(0, 1800, (N // 50, 50)), axis=1), u_outcome={"walk": RNG.random((N // 50, 50, 2))}
)
BASELINE = {"median": 9.5, "sd": 0.5, "correlation": 0.8}
STATED = {"placebo": {"median": 9.0, "cannot_walk": 0.15}, "ivig": {"median": 6.0, "cannot_walk": 0.05}}


def walk(outcome="speed", **given):
    return TimedWalk(kind="timed_walk", assessed_at_month=4, sd=0.6, outcome=outcome, **given)


def outcomes(endpoint, shift=None):
    truth = endpoint.read(STATED)
    return endpoint.potential(COHORT, "walk", ARMS, truth, shift).value[..., 0].reshape(-1, 2).astype(float)


@pytest.mark.parametrize("baseline", [None, BASELINE])
def test_seconds_are_log_normal_among_those_who_can_walk(baseline):
    found = outcomes(walk(baseline=baseline))
    for arm, (median, cannot) in enumerate([(9.0, 0.15), (6.0, 0.05)]):
        stands = found[:, arm] == 0
        assert stands.mean() == pytest.approx(cannot, abs=4 * np.sqrt(cannot * (1 - cannot) / N))
        seconds = 25 / found[~stands, arm]
        assert kstest(np.log(seconds), norm(np.log(median), 0.6).cdf).pvalue > 1e-4


@pytest.mark.parametrize("outcome", ["speed", "percent_change", "responder"])
@pytest.mark.parametrize("shift", [None, 0.2])
def test_the_true_value_is_the_mean(outcome, shift):
    endpoint = walk(outcome, baseline=BASELINE)
    added = None if shift is None else np.full((1, 1, 1), shift)
    found = outcomes(endpoint, added)
    true = endpoint.true_values(COHORT, ARMS, endpoint.read(STATED), endpoint.scales()[0], added)
    error = found.std(axis=0) / np.sqrt(N)
    assert (np.abs(found.mean(axis=0) - true) < 4 * error).all()


def test_other_true_values_of_the_speed():
    endpoint = walk()
    found, truth = outcomes(endpoint), endpoint.read(STATED)
    within = endpoint.true_values(COHORT, ARMS, truth, "within_8_seconds")
    assert within == pytest.approx((found >= 25 / 8).mean(axis=0), abs=4 * 0.5 / np.sqrt(N))
    win = endpoint.true_values(COHORT, ARMS, truth, "win_probability", control=0)
    one, other = found[: N // 2, 1], found[N // 2 :, 0]
    assert win[1] == pytest.approx((one > other).mean() + (one == other).mean() / 2, abs=4 * 0.5 / np.sqrt(N // 2))
    assert win[0] == pytest.approx(0.5)


def test_a_responder_saves_a_fifth_of_the_seconds_at_enrolment():
    endpoint = walk("responder", baseline=BASELINE)
    start = 9.5 * np.exp(0.5 * COHORT.covariates[..., 0].ravel())
    speed, yes = outcomes(walk(baseline=BASELINE)), outcomes(endpoint)
    seconds = np.where(speed > 0, 25 / np.where(speed > 0, speed, 1), np.inf)
    np.testing.assert_array_equal(yes, seconds <= 0.8 * start[:, None] * (1 + 1e-12))


def test_who_cannot_walk_has_lost_all_speed():
    change, speed = outcomes(walk("percent_change", baseline=BASELINE)), outcomes(walk(baseline=BASELINE))
    assert (change[speed == 0] == -100).all() and (change[speed > 0] > -100).all()


@pytest.mark.parametrize("outcome", ["percent_change", "responder"])
def test_a_change_needs_a_walk_at_enrolment(outcome):
    assert "without a walk at enrolment" in walk(outcome).problems()[0][1]
    assert walk(outcome, baseline=BASELINE).problems() == []
    assert walk(outcome).analysed_as == {"percent_change": "continuous", "responder": "binary"}[outcome]


def test_what_cannot_be_read_is_told():
    found = walk().unreadable({"placebo": {"median": 9}, "ivig": {"cannot_walk": 1.5}, "third": 3})
    assert {path[0] for path, *_ in found} == {"ivig", "third"}
    assert any("'median' is missing" in message for _, message, _ in found)
