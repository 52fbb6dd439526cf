"""A scale of ordered categories."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import minimize
from scipy.special import expit, logit

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import EndpointKind, Ordinal
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig", "mycophenolate")
REPLICATES, PATIENTS = 1000, 60
COHORT = a_cohort(np.sort(np.random.default_rng(1).uniform(0, 1800, (REPLICATES, PATIENTS)), axis=1))
CONTROL = [0.05, 0.1, 0.15, 0.3, 0.2, 0.15, 0.05]
ODDS = {"placebo": CONTROL, "ivig": {"odds_ratio": 2.1}, "mycophenolate": {"odds_ratio": 0.7}}
FREE = {
    "placebo": CONTROL,
    "ivig": [0.3, 0.05, 0.05, 0.1, 0.1, 0.1, 0.3],
    "mycophenolate": {"odds_ratio": 1.5, "against": "placebo"},
}


def ordinal(better="lower", **fields):
    return Ordinal(kind="ordinal", better=better, assessed_at_month=6, **(fields or {"lowest": 0, "highest": 6}))


def scores(stated, better="lower", shift=None, **fields):
    endpoint = ordinal(better, **fields)
    return endpoint.natural(endpoint.potential(COHORT, "response", ARMS, endpoint.read(stated), shift).value[..., 0])


def values(stated, scale, better="lower", shift=None, control=0, arms=ARMS):
    endpoint = ordinal(better)
    return endpoint.true_values(COHORT, arms, endpoint.read(stated), scale, shift, control)


def moved(shares, towards_higher):
    """The shares of the categories after the cumulative log odds are moved, from the definition."""
    at_most = np.append(expit(logit(np.cumsum(shares)[:-1]) - towards_higher), 1.0)
    return np.diff(at_most, prepend=0.0)


# -------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_categories_come_with_the_stated_probabilities(better):
    """4 SEs of a proportion of 60,000."""
    sign = 1 if better == "higher" else -1
    drawn = scores(ODDS, better)
    for a, log_ratio in enumerate((0.0, np.log(2.1), np.log(0.7))):
        expected = moved(CONTROL, sign * log_ratio)
        for category, share in enumerate(expected):
            error = np.sqrt(share * (1 - share) / drawn[..., a].size)
            assert abs((drawn[..., a] == category).mean() - share) < 4 * error


def test_an_odds_ratio_above_one_is_better_whichever_direction_is_good():
    for better, sign in (("higher", 1), ("lower", -1)):
        mean = scores(ODDS, better).mean(axis=(0, 1))
        assert sign * (mean[1] - mean[0]) > 0.3 and sign * (mean[2] - mean[0]) < -0.1


def test_scores_begin_with_the_lowest_and_labels_count_from_zero():
    stated = dict.fromkeys(ARMS, CONTROL)
    np.testing.assert_array_equal(np.unique(scores(stated, lowest=1, highest=7)), np.arange(1.0, 8))
    np.testing.assert_array_equal(np.unique(scores(stated, labels=list("abcdefg"))), np.arange(7.0))
    np.testing.assert_array_equal(scores(stated, lowest=1, highest=7), 1 + scores(stated))


@settings(max_examples=20)  # each looks at 60,000 patients
@given(st.floats(0.05, 20), st.floats(0.05, 20))
def test_a_larger_odds_ratio_makes_nobody_worse(one, other):
    """In two truths, and on two arms of one truth, the same patient has the same luck."""
    low, high = sorted((one, other))
    value = scores({"placebo": CONTROL, "ivig": {"odds_ratio": low}, "mycophenolate": {"odds_ratio": high}}, "higher")
    assert (value[..., 1] <= value[..., 2]).all()
    again = scores({"placebo": CONTROL, "ivig": {"odds_ratio": high}, "mycophenolate": {"odds_ratio": 1}}, "higher")
    np.testing.assert_array_equal(again[..., 1], value[..., 2])
    np.testing.assert_array_equal(again[..., 2], again[..., 0])


def test_what_covariates_add_moves_patients_to_higher_categories():
    """4 SEs of a mean of 60,000, in either direction of what is good."""
    shift = np.full((REPLICATES, PATIENTS, 1), 0.8)
    for better in ("higher", "lower"):
        mean = scores(dict.fromkeys(ARMS, CONTROL), better, shift)[..., 0].mean()
        assert abs(mean - moved(CONTROL, 0.8) @ np.arange(7)) < 4 * 1.6 / np.sqrt(60_000)


def test_categories_without_patients_stay_empty():
    stated = {"placebo": [0.0, 0.5, 0, 0.5, 0, 0, 0], "ivig": {"odds_ratio": 3}, "mycophenolate": {"odds_ratio": 0.2}}
    for shift in (None, np.full((REPLICATES, PATIENTS, 1), 0.8)):
        assert set(np.unique(scores(stated, shift=shift))) == {1.0, 3.0}


def test_drift_is_shared_by_the_arms_that_are_compared_with_the_drifting_one():
    stated = {
        "placebo": {"probabilities": CONTROL, "drift": {0: 1.0, 30: 0}},
        "ivig": {"odds_ratio": 2.1},
        "mycophenolate": CONTROL,
    }
    stated["ivig"]["against"] = "placebo"
    drawn, month = scores(stated, "higher"), COHORT.enrolled_at / DAYS_PER_MONTH
    for low, high, added in ((0, 1, 1 - 0.5 / 30), (31, 99, 0)):
        these = (month >= low) & (month < high)
        for arm, log_ratio in ((0, added), (1, added + np.log(2.1)), (2, 0.0)):
            expected = moved(CONTROL, log_ratio) @ np.arange(7)
            assert abs(drawn[these, arm].mean() - expected) < 4 * 1.6 / np.sqrt(these.sum()) + 0.005
    endpoint = ordinal()
    read = endpoint.read(stated)
    assert endpoint.changes(read["placebo"]) and not endpoint.changes(read["ivig"])


# ----------------------------------------------------------------------------------------- true values


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_true_mean_is_that_of_the_probabilities(better):
    sign = 1 if better == "higher" else -1
    expected = [sign * (moved(CONTROL, sign * np.log(ratio)) @ np.arange(7)) for ratio in (1, 2.1, 0.7)]
    np.testing.assert_allclose(values(ODDS, "mean", better), expected, rtol=1e-13)


def test_the_log_odds_ratio_is_the_stated_one():
    np.testing.assert_allclose(values(ODDS, "log_odds"), np.log([1, 2.1, 0.7]), atol=1e-11)
    np.testing.assert_allclose(values(ODDS, "log_odds", control=1), np.log([1 / 2.1, 1, 0.7 / 2.1]), atol=1e-11)
    turned = values(ODDS, "log_odds", control=1, arms=(ARMS[2], ARMS[0], ARMS[1]))
    np.testing.assert_allclose(turned, np.log([0.7, 1, 2.1]), atol=1e-11)


def test_where_odds_are_not_proportional_the_log_odds_ratio_maximises_the_expected_likelihood():
    share = np.array([CONTROL, FREE["ivig"], moved(CONTROL, -np.log(1.5))])[:, ::-1]  # lower is better

    def lost(parameters):
        cuts = np.cumsum(np.append(parameters[0], np.exp(parameters[1:6])))
        fitted = [np.diff(expit(cuts - move), prepend=0, append=1) for move in (0.0, *parameters[6:])]
        return -sum(each @ np.log(np.maximum(fit, 1e-300)) for each, fit in zip(share, fitted, strict=True))

    found = minimize(lost, np.append([-2.5] + [-0.5] * 5, [0.0, 0.0]), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(values(FREE, "log_odds"), [0, *found.x[6:]], atol=1e-5)


def test_the_win_probability_is_that_of_all_pairs_of_categories():
    share = np.array([CONTROL, FREE["ivig"], moved(CONTROL, -np.log(1.5))])
    better = np.tril(np.ones((7, 7)), -1).T + np.eye(7) / 2  # a lower score wins
    expected = [each @ better @ share[0] for each in share]
    np.testing.assert_allclose(values(FREE, "win_probability"), expected, rtol=1e-13)
    assert values(FREE, "win_probability")[0] == pytest.approx(0.5, abs=1e-15)
    against = [each @ better @ share[1] for each in share]
    np.testing.assert_allclose(values(FREE, "win_probability", control=1), against, rtol=1e-13)


def test_two_categories_are_a_binary_endpoint():
    endpoint = ordinal("higher", lowest=0, highest=1)
    truth = endpoint.read(
        {"placebo": [0.7, 0.3], "ivig": [0.4, 0.6], "mycophenolate": {"odds_ratio": 1, "against": "placebo"}}
    )
    np.testing.assert_allclose(endpoint.true_values(COHORT, ARMS, truth, "mean"), [0.3, 0.6, 0.3])
    log_odds = endpoint.true_values(COHORT, ARMS, truth, "log_odds")
    np.testing.assert_allclose(log_odds, [0, logit(0.6) - logit(0.3), 0], atol=1e-11)
    wins = endpoint.true_values(COHORT, ARMS, truth, "win_probability")
    np.testing.assert_allclose(wins, [0.5, 0.5 + (0.6 - 0.3) / 2, 0.5])


def test_arms_without_a_common_category_have_a_finite_log_odds_ratio():
    stated = {
        "placebo": [0.5, 0.5, 0, 0, 0, 0, 0],
        "ivig": [0, 0, 0, 0, 0, 0.5, 0.5],
        "mycophenolate": [1, 0, 0, 0, 0, 0, 0],
    }
    found = values(stated, "log_odds", "higher")
    assert np.isfinite(found).all() and found[1] > 10 and found[2] < -10


def test_covariates_change_what_is_true_of_all_patients_and_not_of_the_average_one():
    shift = np.where(np.arange(PATIENTS) % 2, 1.5, -1.5)[None, :, None] * np.ones((REPLICATES, 1, 1))
    np.testing.assert_allclose(values(ODDS, "log_odds", shift=shift), values(ODDS, "log_odds"), atol=1e-12)
    halves = [(moved(CONTROL, 1.5 - x) + moved(CONTROL, -1.5 - x)) / 2 for x in np.log([1, 2.1, 0.7])]
    np.testing.assert_allclose(values(ODDS, "mean", shift=shift), [-each @ np.arange(7) for each in halves], rtol=1e-12)
    assert values(ODDS, "win_probability", shift=shift)[1] < values(ODDS, "win_probability")[1] - 0.02


# ------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "fields",
    [
        {"lowest": 0},
        {"lowest": 3, "highest": 3},
        {"lowest": 0, "highest": 60},
        {"labels": ["none", "none"]},
        {"labels": ["none", "some"], "lowest": 0},
        {"labels": ["none"]},
    ],
)
def test_categories_must_be_stated_once(fields):
    with pytest.raises(ValidationError):
        ordinal(**fields)


def test_truths_that_cannot_be_read_say_where():
    found = ordinal().unreadable({"placebo": [0.5, 1.5], "ivig": {"odds": 2}, "mycophenolate": {}})
    assert {path[0] for path, _, _ in found} == set(ARMS)
    assert all("odds_ratio" in hint for _, _, hint in found)


@pytest.mark.parametrize(
    ("stated", "path", "part"),
    [
        ({"placebo": [0.5, 0.5]}, ("placebo", "probabilities"), "2 probabilities for 7"),
        ({"placebo": [0.2] * 7}, ("placebo", "probabilities"), "sum to 1.4"),
        ({"placebo": {"odds_ratio": 2}}, (), "no arm has probabilities"),
        ({"placebo": CONTROL, "gold": CONTROL, "ivig": {"odds_ratio": 2}}, ("ivig",), "placebo and gold"),
        ({"placebo": CONTROL, "ivig": {"odds_ratio": 2, "against": "gold"}}, ("ivig", "against"), "'gold'"),
        ({"placebo": {"probabilities": CONTROL, "against": "ivig"}}, ("placebo", "against"), "no other arm"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_is_a_problem(stated, path, part):
    found = ordinal().truth_problems(ordinal().read(stated))
    assert [(place, part in message) for place, message, _ in found] == [(path, True)]


def test_truths_are_told_in_a_few_words():
    endpoint = ordinal()
    told = [endpoint.words(value) for value in endpoint.read(ODDS).values()]
    assert told[0] == "0-6 index, mean 3.1"
    assert told[1] == "odds of better outcomes 2.1 times higher"
    labelled = ordinal(labels=["none", "mild", "severe"])
    assert labelled.words(labelled.read({"a": [0.2, 0.5, 0.3]})["a"]) == "20% none, 50% mild and 30% severe"
    assert "none, mild and severe" in labelled.describe() and "from 0 to 6" in endpoint.describe()
    drifting = endpoint.read({"a": {"probabilities": CONTROL, "drift": {0: 0.5, 18: 0}}})["a"]
    assert endpoint.words(drifting).endswith("changing with the month of enrolment")


def test_the_kind_is_read_from_a_file():
    read = TypeAdapter(EndpointKind).validate_python(
        {"kind": "ordinal", "better": "lower", "assessed_at_month": 3, "labels": ["none", "mild", "severe"]}
    )
    assert isinstance(read, Ordinal) and read.categories == 3 and read.analysed_as == "ordinal"
