"""Two scores of a patient, one after each treatment: moments, carry-over and days against the closed form."""

import numpy as np
import pytest
from pydantic import ValidationError

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import Crossover
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig")
R, N = 2000, 100
COHORT = a_cohort(
    np.sort(np.random.default_rng(1).uniform(0, 1800, (R, N)), axis=1),
    u_outcome={"stiffness": np.random.default_rng(2).random((R, N, 3))},
)
FIELDS = {
    "kind": "crossover", "better": "higher", "period_months": 3, "washout_months": 1, "sd_between": 1.2,
    "sd_within": 0.8, "period_effect": 0.3,
}  # fmt: skip


def crossover(**given):
    return Crossover(**FIELDS | given)


def scores(endpoint, stated, shift=None):
    """Scores on the endpoint's own scale: [patients, first treatment, what is known]."""
    potential = endpoint.potential(COHORT, "stiffness", ARMS, endpoint.read(stated), shift)
    return endpoint.natural(potential.value.reshape(R * N, 2, 3))


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_moments_are_those_of_the_closed_form(better):
    """4 standard errors of each mean, standard deviation and correlation."""
    y = scores(crossover(better=better), {"placebo": 1.0, "ivig": 0.2})
    n, sd, rho = R * N, np.hypot(1.2, 0.8), 1.44 / 2.08
    expected = {0: (1.0 - 0.15, 0.2 + 0.15), 1: (0.2 - 0.15, 1.0 + 0.15)}  # by first treatment: placebo, ivig
    for first, (one, two) in expected.items():
        assert abs(y[:, first, 0].mean() - one) < 4 * sd / np.sqrt(n)
        assert abs(y[:, first, 1].mean() - two) < 4 * sd / np.sqrt(n)
        for period in (0, 1):
            assert abs(y[:, first, period].std() - sd) < 4 * sd / np.sqrt(2 * n)
        assert abs(np.corrcoef(y[:, first, 0], y[:, first, 1])[0, 1] - rho) < 4 * (1 - rho**2) / np.sqrt(n)
        difference = y[:, first, 0] - y[:, first, 1]
        assert abs(difference.std() - np.sqrt(2) * 0.8) < 4 * np.sqrt(2) * 0.8 / np.sqrt(2 * n)
        np.testing.assert_allclose(y[:, first, 2], (y[:, first, 0] + y[:, first, 1]) / 2, atol=1e-12)


@pytest.mark.parametrize("measured", ["end", "throughout"])
@pytest.mark.parametrize("washout", [0, 1, 3])
@pytest.mark.parametrize("half_life", [0.0, 0.7, 1.5, 4.0])
def test_the_share_carried_over_is_the_exponential_one(measured, washout, half_life):
    share = crossover(measured=measured, washout_months=washout).carried_over(half_life)
    if half_life == 0:
        assert share == 0
    elif measured == "end":
        assert share == pytest.approx(np.exp(-np.log(2) * (washout + 3) / half_life))
    else:  # its mean over the second period, by many small steps
        month = washout + 3 * (np.arange(100_000) + 0.5) / 100_000
        assert share == pytest.approx(np.exp(-np.log(2) * month / half_life).mean(), rel=1e-8)


def test_the_shares_that_the_docstring_tells():
    told = {
        ("end", 1, 4): 0.50, ("end", 3, 4): 0.35, ("end", 1, 0.7): 0.02, ("end", 3, 0.7): 0.003,
        ("throughout", 1, 4): 0.66, ("throughout", 1, 0.7): 0.12, ("throughout", 3, 4): 0.46,
        ("throughout", 3, 0.7): 0.02,
    }  # fmt: skip
    for (measured, washout, half_life), share in told.items():
        found = crossover(measured=measured, washout_months=washout).carried_over(half_life)
        assert found == pytest.approx(share, abs=0.005 if share > 0.003 else 0.0005)


def test_a_lingering_treatment_changes_the_second_score_only_and_only_where_it_came_first():
    endpoint = crossover()
    without = scores(endpoint, {"placebo": 1.0, "ivig": 0.2})
    lingering = scores(endpoint, {"placebo": 1.0, "ivig": {"mean": 0.2, "half_life_months": 2}})
    share = 2.0**-2  # washout 1 and period 3, two half-lives
    np.testing.assert_allclose(lingering[:, 1, 1] - without[:, 1, 1], share * (0.2 - 1.0), atol=1e-12)
    np.testing.assert_array_equal(lingering[:, :, 0], without[:, :, 0])
    np.testing.assert_array_equal(lingering[:, 0], without[:, 0])


def test_a_treatment_without_an_effect_carries_nothing_over():
    endpoint = crossover()
    without = scores(endpoint, {"placebo": 1.0, "ivig": 1.0})
    lingering = scores(endpoint, {"placebo": 1.0, "ivig": {"mean": 1.0, "half_life_months": 20}})
    np.testing.assert_allclose(lingering, without, atol=1e-12)


def test_what_covariates_add_follows_the_treatment():
    endpoint, stated = crossover(), {"placebo": 1.0, "ivig": {"mean": 0.2, "half_life_months": 2}}
    shift = np.broadcast_to(np.array([0.5, -0.7]), (R, N, 2))
    moved = scores(endpoint, stated, shift) - scores(endpoint, stated)
    np.testing.assert_allclose(moved[:, 0, :2], [[0.5, -0.7]] * (R * N), atol=1e-12)
    np.testing.assert_allclose(moved[:, 1, :2], [[-0.7, 0.5 + 0.25 * -1.2]] * (R * N), atol=1e-12)
    found = endpoint.true_values(COHORT, ARMS, endpoint.read(stated), "mean", shift)
    np.testing.assert_allclose(found, [1.5, -0.5], atol=1e-12)


def test_scores_are_known_at_the_end_of_each_period_and_not_after_dropout():
    cohort = a_cohort([[0.0, 0, 0, 0]], dropout_at=np.array([[1, 3, 6.9, 7]]) * DAYS_PER_MONTH,
                      u_outcome={"stiffness": np.full((1, 4, 3), 0.5)})  # fmt: skip
    endpoint = crossover()
    known_at = endpoint.potential(cohort, "stiffness", ARMS, {"placebo": 0.0, "ivig": 0.0}).known_at
    assert known_at.shape == (1, 4, 1, 3)
    np.testing.assert_allclose(
        known_at[0, :, 0] / DAYS_PER_MONTH,
        [[np.inf] * 3, [3, np.inf, np.inf], [3, np.inf, np.inf], [3, 7, 7]],
    )
    assert endpoint.assessed_at_month == 7


def test_a_mean_may_change_with_the_month_of_enrolment():
    endpoint = crossover()
    stated = {"placebo": 0.0, "ivig": {"mean": {0: -1.0, 24: 0.0}, "half_life_months": 1}}
    read = endpoint.read(stated)
    assert endpoint.changes(read["ivig"]) and not endpoint.changes(read["placebo"])
    month = COHORT.enrolled_at / DAYS_PER_MONTH
    expected = np.interp(month, [0, 24], [-1, 0])
    moved = scores(endpoint, stated)[:, 1, 0] - scores(endpoint, {"placebo": 0.0, "ivig": 0.0})[:, 1, 0]
    np.testing.assert_allclose(moved, expected.ravel(), atol=1e-12)
    assert endpoint.true_values(COHORT, ARMS, read, "mean")[1] == pytest.approx(expected.mean())


def test_truths_are_read_and_told():
    endpoint = crossover()
    read = endpoint.read({"placebo": 0.1, "ivig": {"mean": -0.7, "half_life_months": 2}})
    assert endpoint.words(read["placebo"]) == "0.1"
    assert endpoint.words(read["ivig"]) == "-0.7 (half of the effect lost 2 months after treatment)"
    assert endpoint.unreadable({"placebo": 1, "ivig": {"mean": 1, "half_life_months": 0}}) == []
    for wrong in ("much", {"half_life_months": 2}, {"mean": 1, "half_life_months": -1}, {"mean": 1, "other": 2}):
        assert endpoint.unreadable({"ivig": wrong}), wrong
    early = endpoint.read({"ivig": {"mean": {-3: 0.0, 4: 1.0}}})
    assert [path for path, *_ in endpoint.truth_problems(early)] == [("ivig", "mean")]
    assert endpoint.truth_problems(read) == []


def test_there_are_exactly_two_arms():
    cohort = a_cohort([[0.0]], u_outcome={"stiffness": np.full((1, 1, 3), 0.5)})
    with pytest.raises(ValueError, match="two arms, not 3"):
        crossover().potential(cohort, "stiffness", (*ARMS, "rituximab"), dict.fromkeys((*ARMS, "rituximab"), 0.0))


@pytest.mark.parametrize("wrong", [{"period_months": 0}, {"washout_months": -1}, {"sd_within": 0}, {"sd_between": -1}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        crossover(**wrong)


def test_it_is_told_in_words():
    assert crossover(unit="points").describe() == (
        "a score in points measured at the end of each of two periods of 3 months with 1 month between them, the "
        "first with the treatment of the arm, the second with the other one"
    )
