"""The time to an event."""

import numpy as np
import pytest
from scipy.integrate import quad

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.endpoints import TimeToEvent
from tests.contracts.fakes import a_cohort

ARMS = ("placebo", "ivig", "rituximab", "withdrawn")
REPLICATES, PATIENTS, END = 800, 60, 12.0
RNG = np.random.default_rng(1)
ENROLLED_AT = np.sort(RNG.uniform(0, 1800, (REPLICATES, PATIENTS)), axis=1)
COHORT = a_cohort(ENROLLED_AT, dropout_at=ENROLLED_AT + RNG.exponential(900, ENROLLED_AT.shape))._replace(
    u_outcome={"relapse": RNG.random((REPLICATES, PATIENTS, 1))}
)
LUCK = COHORT.u_outcome["relapse"][..., 0]
STATED = {
    "placebo": 0.6,
    "ivig": {"median": 14, "shape": 1.7},
    "rituximab": {"hazard_ratio": 0.4, "against": "placebo"},
    "withdrawn": {"hazards": {0: 0.02, 3: 0.3, 6: 0.05}},
}


def relapse(better="lower"):
    return TimeToEvent(kind="time_to_event", better=better, follow_up_months=END)


def potential(stated=STATED, better="lower", shift=None):
    kind = relapse(better)
    return kind.potential(COHORT, "relapse", ARMS, kind.read(stated), shift)


def true_values(scale, stated=STATED, better="lower", shift=None):
    """On the endpoint's own scale."""
    kind = relapse(better)
    return kind.scale(scale).natural(kind.true_values(COHORT, ARMS, kind.read(stated), scale, shift))


def cumulative_hazard(arm, t):
    """Written down by hand for each arm of STATED."""
    t = np.asarray(t, float)
    return {
        "placebo": -np.log(0.4) * t / 12,
        "ivig": np.log(2) * (t / 14) ** 1.7,
        "rituximab": 0.4 * -np.log(0.4) * t / 12,
        "withdrawn": 0.02 * np.minimum(t, 3) + 0.3 * np.clip(t - 3, 0, 3) + 0.05 * np.clip(t - 6, 0, None),
    }[arm]


@pytest.mark.parametrize("arm", ARMS)
def test_the_event_comes_when_the_cumulative_hazard_has_reached_the_patients_luck(arm):
    months, good = np.moveaxis(potential().value[:, :, ARMS.index(arm)], -1, 0)
    exposure = -np.log1p(-LUCK)
    happens = exposure <= cumulative_hazard(arm, END)
    np.testing.assert_array_equal(good == 0, happens)
    np.testing.assert_allclose(cumulative_hazard(arm, months[happens]), exposure[happens], rtol=1e-10)
    assert (months[~happens] == END).all()


def test_what_is_added_multiplies_the_hazard():
    shift = RNG.normal(0, 0.7, (REPLICATES, PATIENTS, len(ARMS)))
    value = potential(shift=shift).value
    for a, arm in enumerate(ARMS):
        exposure = -np.log1p(-LUCK) * np.exp(-shift[:, :, a])
        happens = value[:, :, a, 1] == 0
        np.testing.assert_array_equal(happens, exposure <= cumulative_hazard(arm, END))
        months = value[:, :, a, 0][happens]
        np.testing.assert_allclose(cumulative_hazard(arm, months), exposure[happens], rtol=1e-10)
    common = potential(shift=np.repeat(shift[:, :, :1], len(ARMS), axis=2))
    np.testing.assert_array_equal(potential(shift=shift[:, :, :1]).value, common.value)


def test_the_event_is_known_on_its_day_and_its_absence_at_the_end_unless_the_patient_drops_out_before():
    found = potential()
    for a in range(len(ARMS)):
        for v in (0, 1):
            day = COHORT.enrolled_at + found.value[:, :, a, 0] * DAYS_PER_MONTH
            expected = np.where(day <= COHORT.dropout_at, day, np.inf)
            np.testing.assert_array_equal(found.known_at[:, :, a, v], expected)
    assert np.isinf(found.known_at).any() and (found.known_at[:, :, 0] != found.known_at[:, :, 1]).any()


def test_an_event_that_helps_is_the_same_event():
    harms, helps = potential(better="lower"), potential(better="higher")
    np.testing.assert_array_equal(harms.value[..., 0], helps.value[..., 0])
    np.testing.assert_array_equal(harms.value[..., 1], 1 - helps.value[..., 1])
    np.testing.assert_array_equal(harms.known_at, helps.known_at)
    for scale in relapse().scales():
        np.testing.assert_allclose(true_values(scale, better="lower"), true_values(scale, better="higher"))


@pytest.mark.parametrize("arm", ARMS)
def test_true_values_are_integrals_of_the_survival_function(arm):
    a = ARMS.index(arm)
    assert true_values("event_free")[a] == pytest.approx(np.exp(-cumulative_hazard(arm, END)))
    mean, _ = quad(lambda t: np.exp(-cumulative_hazard(arm, t)), 0, END, points=[3, 6])
    assert true_values("restricted_mean")[a] == pytest.approx(mean, rel=1e-8)
    step = 1e-6

    def log_hazard(t):
        return np.log((cumulative_hazard(arm, t + step) - cumulative_hazard(arm, t - step)) / (2 * step))

    pieces = [quad(log_hazard, low + 1e-4, high - 1e-4)[0] for low, high in ((0, 3), (3, 6), (6, END))]
    assert true_values("log_hazard")[a] == pytest.approx(sum(pieces) / END, abs=2e-3)


def test_true_values_of_a_constant_hazard_are_the_textbooks():
    hazard = -np.log(0.4) / 12
    assert true_values("log_hazard")[0] == pytest.approx(np.log(hazard))
    assert true_values("restricted_mean")[0] == pytest.approx((1 - 0.4) / hazard)


@pytest.mark.parametrize("control", [0.6, {"median": 9, "shape": 0.6}, {"hazards": {0: 0.3, 2: 0.01}}])
def test_where_hazards_are_proportional_log_hazards_differ_by_the_log_of_their_ratio(control):
    stated = {arm: {"hazard_ratio": 0.4} for arm in ARMS} | {"placebo": control}
    found = true_values("log_hazard", stated)
    np.testing.assert_allclose(found[1:] - found[0], np.log(0.4), rtol=1e-12)


@pytest.mark.parametrize("scale", ["event_free", "restricted_mean"])
def test_true_values_are_the_averages_of_the_patients(scale):
    """4 SEs of a mean of 48,000 patients, with what covariates add and a truth that changes with time."""
    stated = STATED | {"placebo": {0: 0.7, 40: 0.3}}
    shift = RNG.normal(0, 0.5, (REPLICATES, PATIENTS, 1))
    months, event_free = np.moveaxis(potential(stated, shift=shift).value, -1, 0)
    value = event_free if scale == "event_free" else months
    error = value.std(axis=(0, 1)) / np.sqrt(LUCK.size)
    assert (np.abs(value.mean(axis=(0, 1)) - true_values(scale, stated, shift=shift)) < 4 * error).all()


def test_log_hazards_are_those_of_a_patient_to_whom_nothing_is_added():
    shift = np.full((REPLICATES, PATIENTS, 1), 0.8)
    np.testing.assert_array_equal(true_values("log_hazard", shift=shift), true_values("log_hazard"))
    assert (true_values("event_free", shift=shift) < true_values("event_free")).all()


def test_the_distribution_may_change_with_the_month_of_enrolment():
    kind = relapse()
    truth = kind.read({"placebo": {0: 0.8, 60: 0.2}, "ivig": {"hazard_ratio": {0: 1, 60: 0.1}}})
    assert kind.changes(truth["placebo"]) and kind.changes(truth["ivig"])
    event = kind.potential(COHORT, "relapse", ("placebo", "ivig"), truth).value[..., 1] == 0
    for chosen, placebo, ivig in ((slice(0, 6), 0.8, 1.0), (slice(54, 60), 0.2, 0.1)):
        share = event[:, chosen].mean(axis=(0, 1))
        month = COHORT.enrolled_at[:, chosen].mean() / DAYS_PER_MONTH
        expected = np.interp(month, [0, 60], [0.8, 0.2])
        assert share[0] == pytest.approx(expected, abs=0.03) and abs(expected - placebo) < 0.1
        ratio = np.interp(month, [0, 60], [1, 0.1])
        assert share[1] == pytest.approx(1 - (1 - expected) ** ratio, abs=0.03) and abs(ratio - ivig) < 0.15


@pytest.mark.parametrize("luck", [0.0, 1 - 2.0**-53])
def test_the_luckiest_and_the_unluckiest_have_times_like_anybody(luck):
    cohort = a_cohort([[1.0, 2.0]])._replace(u_outcome={"relapse": np.full((1, 2, 1), luck)})
    stated = STATED | {"ivig": {"median": 14, "shape": 0.1}}
    value = relapse().potential(cohort, "relapse", ARMS, relapse().read(stated)).value
    assert np.isfinite(value).all() and (value[..., 0] >= 0).all() and (value[..., 0] <= END).all()


@pytest.mark.parametrize(
    "stated, message",
    [
        ({"hazard_ratio": 0.5, "shape": 2}, "a shape belongs to"),
        ({"median": 5, "hazards": {0: 1}}, "give one of"),
        ({}, "give one of"),
        ({"median": -1}, "greater than 0"),
        ("often", "a number or a section is needed"),
        (True, "a number or a section is needed"),
        ([0.5], "a number or a section is needed"),
    ],
)
def test_what_cannot_be_read_says_how_a_truth_is_stated(stated, message):
    found = relapse().unreadable({"placebo": stated})
    assert found and message in found[0][1] and "hazard_ratio" in found[0][2]


@pytest.mark.parametrize(
    "change, place, message",
    [
        ({"placebo": 0}, ("placebo",), "a probability of 0"),
        ({"placebo": {0: 0.5, 6: 1}}, ("placebo",), "a probability of 1"),
        ({"placebo": {"event_probability": {-3: 0.5}}}, ("placebo", "event_probability"), "months from 0 on"),
        ({"ivig": {"hazard_ratio": 0, "against": "placebo"}}, ("ivig", "hazard_ratio"), "a hazard ratio of 0"),
        ({"ivig": {"hazard_ratio": 1}}, ("ivig",), "placebo and withdrawn are stated by themselves"),
        ({"ivig": {"hazard_ratio": 1, "against": "rituximab"}}, ("ivig", "against"), "not stated by itself"),
        ({"ivig": {"median": 4, "against": "placebo"}}, ("ivig", "against"), "only a hazard ratio"),
        ({"ivig": {"hazards": {1: 0.1}}}, ("ivig", "hazards"), "from month 0 on"),
        ({"ivig": {"hazards": {0: 0.1, 12: 0.2}}}, ("ivig", "hazards"), "follow-up ends in month 12"),
    ],
)
def test_what_cannot_be_is_named(change, place, message):
    kind = relapse()
    assert kind.truth_problems(kind.read(STATED)) == []
    found = kind.truth_problems(kind.read(STATED | change))
    assert [each[0] for each in found] == [place] and message in found[0][1]


def test_somebody_must_be_stated_by_themselves():
    kind = relapse()
    ((place, message, _),) = kind.truth_problems(kind.read({arm: {"hazard_ratio": 1} for arm in ARMS}))
    assert place == () and "every arm" in message


def test_a_truth_is_told_in_a_few_words():
    kind = relapse()
    words = [kind.words(value) for value in kind.read(STATED).values()]
    assert words == [
        "60% with the event by month 12",
        "median 14 months, Weibull shape 1.7",
        "hazard ratio 0.4 against placebo",
        "hazard a month 0.02 from month 0, 0.3 from month 3 and 0.05 from month 6",
    ]
    assert kind.words(kind.read({"a": {0: 0.6, 12: 0.5}})["a"]).endswith("changing with the month of enrolment")
