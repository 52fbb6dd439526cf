"""Stopping on predicted success: what is to come, the future that then comes, the exact engine, and what cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sps_adaptive.allocation import Equal, Fixed
from sps_adaptive.contracts import AnalysisSetting, Outcome, Stop
from sps_adaptive.decisions import Efficacy, PredictiveSuccess
from sps_adaptive.decisions.rule import Measured
from sps_adaptive.errors import DesignError
from sps_adaptive.exact.binding import predictive_table
from sps_adaptive.exact.calendar import course, reasons_against
from sps_adaptive.exact.calibration import calibrate
from sps_adaptive.exact.sizes import curve
from sps_adaptive.models import Ancova, BetaBinomial, Normal
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.replay import replay
from sps_adaptive.scenario import Scenario
from sps_adaptive.timeline import cut
from tests.analytic.helpers import agree, scenario
from tests.contracts.fakes import FakePosterior, a_cohort, a_look

SUCCESS = {"kind": "efficacy", "probability": 0.9, "from_look": 4}
FUTURE = {"horizon": "future", "patients_per_arm": 30, "final_probability": 0.8}
EQUAL = Equal(kind="equal")


class Asked(FakePosterior):
    """A posterior that writes down what it was asked."""

    def prob_success(self, than, by, threshold, more, fresh=False):
        self.means.append((than, by, threshold, more.tolist(), fresh))
        return self.better[0.0]


def rule(horizon="maximum", claim=None, allocation=EQUAL, **given) -> PredictiveSuccess:
    made = PredictiveSuccess(kind="predictive_success", horizon=horizon, **{"probability": 0.1} | given)
    return made.within([claim or Efficacy(kind="efficacy", probability=[0.99, 0.9], margin=0.1)], allocation)


def asked(part, is_open=(True, True, True), **given) -> list[Any]:
    posterior = Asked(np.ones((1, 3)), {0.0: np.array([[0, 0.2, 0.05]])}, [])
    part.met(a_look(posterior, [is_open], patients=60, n_enrolled=40, arm_pending=[[1, 2, 3]], **given))
    return posterior.means


# --------------------------------------------------------------------------------------------- what is asked


def test_current_awaits_those_pending():
    assert asked(rule("current")) == [(0, 0.1, 0.9, [[1, 2, 3]], False)]


@pytest.mark.parametrize(
    "allocation, is_open, more",
    [
        (EQUAL, (True, True, True), [8, 9, 10]),  # 20 more patients, 6 2/3 an arm, rounded
        (EQUAL, (True, False, True), [11, 2, 13]),
        (EQUAL, (False, False, False), [1, 2, 3]),
        (Fixed(kind="fixed", ratio={"a": 2, "b": 1, "c": 1}).bind(("a", "b", "c")), (True, True, True), [11, 7, 8]),
    ],
)
def test_maximum_adds_those_still_to_come_as_the_design_opens(allocation, is_open, more):
    assert asked(rule("maximum", allocation=allocation), is_open) == [(0, 0.1, 0.9, [more], False)]


def test_nobody_more_comes_to_a_trial_that_is_full():
    posterior = Asked(np.ones((1, 3)), {0.0: np.array([[0, 0.2, 0.05]])}, [])
    rule("maximum").met(a_look(posterior, [[True] * 3], patients=40, n_enrolled=40, arm_pending=[[1, 2, 3]]))
    assert posterior.means[0][3] == [[1, 2, 3]]


def test_a_future_trial_is_of_one_arm_and_the_control():
    part = rule("future", patients_per_arm=30, final_probability=0.975, margin=0.05)
    assert asked(part) == [(0, 0.05, 0.975, [[30, 30, 0]], True), (0, 0.05, 0.975, [[30, 0, 30]], True)]


def test_success_against_a_fixed_value():
    claim = Efficacy(kind="efficacy", probability={"shape": "obrien_fleming", "final": 0.8}, against=0.3, margin=0.1)
    assert asked(rule("current", claim)) == [(None, 0.4, 0.8, [[1, 2, 3]], False)]


@pytest.mark.parametrize(
    "then, better, stop",
    [
        ("futility", [0, 0.01, 0.02], Stop.FUTILITY),
        ("futility", [0, 0.01, 0.1], Stop.NO),  # on the threshold
        ("efficacy", [0, 0.1, 0.2], Stop.EFFICACY),
        ("efficacy", [0, 0.1, 0.05], Stop.NO),
    ],
)
def test_what_follows(then, better, stop):
    posterior = Asked(np.ones((1, 3)), {0.0: np.array([better])}, [])
    part = rule("current", then=then)
    said = part.verdict(a_look(posterior, [[True] * 3]))
    assert said.stop.tolist() == [stop]
    assert said.claim.any() == (stop == Stop.EFFICACY)
    assert not part.verdict(a_look(posterior, [[True] * 3], k=3)).stop.any()  # silent at the final analysis


def test_alone_it_knows_no_trial():
    alone = PredictiveSuccess(kind="predictive_success", horizon="current", probability=0.1)
    with pytest.raises(TypeError, match="bound"):
        asked(alone)


def test_it_is_told():
    measured = Measured("placebo", True, "")
    assert "by the analysis of all patients: with probability of at least 0.1" in rule("maximum").words(measured)
    assert "those enrolled so far" in rule("current", then="efficacy").words(measured)
    told = rule(probability=0.2, margin=0.05, **FUTURE).words(measured)
    assert "better than placebo by more than 5 percentage points" in told and "of 30 patients an arm" in told


# ----------------------------------------------------------------------------------------- the future comes

PROPER = {"mean": 0.2, "patients": 4}
MODELS = {
    "binary": BetaBinomial(kind="beta_binomial", prior={"alpha": 2, "beta": 3}),
    "known": Normal(kind="normal", variance="known", sd=1.2, prior=PROPER),
    "arm specific": Normal(kind="normal", variance="arm_specific", sd=1.2, sd_patients=8, prior=PROPER),
    "common": Normal(kind="normal", variance="common", sd=1.2, sd_patients=8, prior=PROPER),
    "ancova": Ancova(kind="ancova", sd=1.2, sd_patients=8, prior=PROPER, slope={"patients": 3}),
}
REPLICATES, PATIENTS, PENDING = 6000, 48, 8


def drawn(kind, rng, patients):
    """Outcomes of patients of two arms by turns, whose truths come from the prior; two independent sets of them."""
    shape = (REPLICATES, patients)
    arm = np.broadcast_to(np.arange(patients) % 2, shape)
    x = rng.normal(size=(2, *shape))
    if kind == "binary":
        truth = rng.beta(2, 3, (REPLICATES, 2))[:, np.arange(patients) % 2]
        return arm, x, rng.random((2, *shape)) < truth
    sd = np.full((REPLICATES, 2), 1.2)
    if kind != "known":
        sd = np.broadcast_to(1.2 * np.sqrt(8 / rng.chisquare(8, (REPLICATES, 1 + (kind == "arm specific")))), sd.shape)
    theta = 0.2 + rng.normal(size=sd.shape) * sd / 2
    slope = rng.normal(size=(REPLICATES, 1)) * sd[:, :1] / np.sqrt(3) * (kind == "ancova")
    mean, sd = (each[:, np.arange(patients) % 2] for each in (theta, sd))
    return arm, x, mean + slope * x + sd * rng.normal(size=x.shape)


@pytest.mark.parametrize("horizon", ["current", "maximum", "future"])
@pytest.mark.parametrize("kind", MODELS)
def test_what_is_predicted_is_how_often_it_comes_true(kind, horizon):
    """Truths are drawn from the prior, trials looked at half way, and continued; approximations are within 0.008."""
    arm, x, value = drawn(kind, np.random.default_rng(11), PATIENTS)
    enrolled_at = np.broadcast_to(np.arange(PATIENTS, dtype=float), arm.shape)
    model = MODELS[kind].bind(AnalysisSetting(("a", "b")))
    cohorts = [a_cohort(enrolled_at, covariates=each[..., None]) for each in x]
    outcomes = [Outcome(each[..., None], enrolled_at[..., None] + PENDING) for each in value]
    part, threshold = rule(**FUTURE | {"patients_per_arm": PATIENTS // 2, "final_probability": 0.9}), 0.9
    part = part if horizon == "future" else rule(horizon)
    by = part.margin if horizon == "future" else 0.1
    day = np.full(REPLICATES, PATIENTS / 2 - 1.0)
    seen = cut(day, cohorts[0], arm, outcomes[0], 2)
    assert (seen.arm_pending == PENDING / 2).all() and (seen.arm_known == (PATIENTS / 2 - PENDING) / 2).all()
    look = a_look(
        model.fit(seen), np.ones((REPLICATES, 2), bool), patients=PATIENTS, n_enrolled=PATIENTS // 2,
        arm_pending=seen.arm_pending,
    )  # fmt: skip
    predicted = part.better(look)[:, 1]
    which, last = int(horizon == "future"), PATIENTS // (2 if horizon == "current" else 1)
    ends = cut(np.full(REPLICATES, np.inf), cohorts[which], arm, outcomes[which], 2, np.full(REPLICATES, last))
    succeeded = model.fit(ends).prob_better(0, by)[:, 1] > threshold
    assert 0.1 < succeeded.mean() < 0.9 and predicted.std() > 0.1
    for weight in (1, predicted, predicted < 0.2, predicted > 0.5):
        agree(weight * (succeeded - predicted), 0.0)


# ------------------------------------------------------------------------------------------ the exact engine


def case(*decisions, **sections) -> Scenario:
    given = {
        "population": 24,
        "looks": {"kind": "enrolled", "first": 6, "every": 6},
        "truths": {"t": {"y": {"a": 0.3, "b": 0.6}}},
    } | sections
    return scenario(decisions=list(decisions), **given)


def predicts(horizon="maximum", probability=0.1, **given):
    return {"kind": "predictive_success", "horizon": horizon, "probability": probability} | given


def test_where_numbers_are_certain_it_is_the_exact_predictive_probability():
    """Equal blocks of two: at every look it is certain how many each arm will have."""
    made = case(SUCCESS | {"margin": 0.05}, predicts())
    design = made.designs()["adaptive"]
    table = predictive_table(design, course(made))
    for k, each in enumerate((3, 6, 9)):
        s = np.stack(np.meshgrid(np.arange(each + 1), np.arange(each + 1)), axis=-1).reshape(-1, 2)
        n = np.full(s.shape, each)
        posterior = BetaPosterior.from_counts(design.model.priors, n, s, 24)
        look = a_look(posterior, np.ones(n.shape, bool), k=k, patients=24, n_enrolled=2 * each, n_known=2 * each)
        found = design.decisions[1].better(look)[:, 1]
        np.testing.assert_allclose(found, table(look)[:, 1], atol=1e-12)
        assert 0 < found.mean() < 1


def test_the_exact_engine_refuses_it_where_patients_are_pending():
    late = {"endpoints": {"y": {"kind": "binary", "better": "higher", "assessed_at_month": 2}}}
    for horizon, more in (("current", {}), ("maximum", {}), ("future", FUTURE)):
        decisions = SUCCESS, predicts(**{"horizon": horizon} | more)
        assert reasons_against(case(*decisions)) == []
        refused = reasons_against(case(*decisions, **late))
        assert [("predictive success" in reason) for reason in refused] == [True] * (horizon != "future")
        waits = {"kind": "enrolled", "first": 6, "every": 6, "pause": "until_assessed"}
        assert reasons_against(case(*decisions, **late, looks=waits)) == []


def test_a_threshold_is_calibrated_with_it():
    made = case(SUCCESS, predicts("current", 0.2))
    found = calibrate(made, 0.05)
    assert found.upper <= 0.05
    assert 0.5 < found.threshold < calibrate(case(SUCCESS), 0.05).threshold  # giving up lowers the error


def test_sizes_have_no_common_maximum():
    made = case(SUCCESS | {"from_look": 1}, predicts())
    with pytest.raises(Exception, match="one largest number"):
        curve(made, [20, 24], "t")


# --------------------------------------------------------------------------------------------- what cannot be

PLATFORM = {"arms": {"a": {"control": True}, "b": {}, "c": {"opens": {"patient": 9}}}}
THREE = {"truths": {"t": {"y": {"a": 0.3, "b": 0.6, "c": 0.4}}}, "allocation": {"kind": "equal", "block": 3}}


@pytest.mark.parametrize(
    "decisions, sections, message",
    [
        ([predicts()], {}, "no efficacy rule"),
        ([SUCCESS, SUCCESS, predicts("current")], {}, "two efficacy rules"),
        ([SUCCESS | {"test": "conditional"}, predicts()], {}, "conditional test"),
        ([SUCCESS | {"multiplicity": "holm"}, predicts()], THREE, "corrected"),
        ([SUCCESS | {"against": "best"}, predicts()], THREE, "best arm"),
        ([{"kind": "all_of", "rules": [SUCCESS, SUCCESS | {"margin": 0.1}]}, predicts()], {}, "two efficacy rules"),
        ([{"kind": "all_of", "rules": [SUCCESS, predicts(then="efficacy")]}, predicts()], {}, "joined"),
        ([{"kind": "promote", "probability": 0.9}, predicts()], {}, "control may change"),
        ([SUCCESS, predicts()], THREE | PLATFORM, "open or close"),
        ([SUCCESS, predicts(margin=0.1)], {}, "margin is that of the efficacy rule"),
        ([SUCCESS, predicts(patients_per_arm=30)], {}, "belongs to a separate trial"),
        ([SUCCESS, predicts("future", patients_per_arm=30)], {}, "'final_probability' is missing"),
        ([SUCCESS, predicts(then="efficacy", binding=False)], {}, "always binds"),
        ([SUCCESS, predicts(then="efficacy"), predicts(probability=0.5)], {}, "both are true"),
        ([SUCCESS, predicts(probability={"shape": "pocock", "error": 0.025})], {}, "belongs to a threshold on a post"),
    ],
)
def test_what_cannot_be(decisions, sections, message):
    with pytest.raises(DesignError, match=message):
        case(*decisions, **sections)


def test_a_posterior_that_takes_the_spread_as_known_predicts_nothing():
    plug_in = {
        "endpoints": {"y": {"kind": "continuous", "better": "higher", "assessed_at_month": 0, "sd": 1}},
        "analysis": {"y": {"kind": "normal", "variance": "plug_in", "sd": 1}},
    }
    with pytest.raises(DesignError, match="plug_in"):
        case(SUCCESS, predicts("future", **{key: FUTURE[key] for key in ("patients_per_arm", "final_probability")}),
             **plug_in)  # fmt: skip


# ----------------------------------------------------------------------------------------------- around it


def test_a_rule_that_does_not_bind_and_the_benchmark():
    made = case(SUCCESS, predicts(binding=False), {"kind": "any_of", "rules": [
        {"kind": "futility", "probability": 0.05}, predicts("current", 0.05)]})  # fmt: skip
    designs = made.designs()
    assert designs["no_futility"].decisions[1].at_final is False
    assert [type(each).__name__ for each in designs["fixed"].decisions] == ["Efficacy", "AnyOf"]


def test_a_replay_shows_what_was_compared():
    made = case(SUCCESS, predicts(), predicts(**FUTURE), endpoints={
        "y": {"kind": "binary", "better": "lower", "assessed_at_month": 3}})  # fmt: skip
    heard = replay(made, "t", 3).rules(1)
    assert [each.asked for each in heard] == ["P(success, maximum) <", "P(success, future with 30 an arm) <"]
    assert all(0 <= each.values["b"] <= 1 and each.threshold == 0.1 for each in heard)
