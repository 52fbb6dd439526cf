"""The contract of endpoints and analyses that are for exactly two arms: the same as of all, with two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sps_adaptive.contracts import AnalysisSetting, Potential, Snapshot
from sps_adaptive.endpoints import Crossover
from sps_adaptive.models import CrossoverAnalysis
from sps_adaptive.timeline import cut, pick
from tests.contracts.fakes import rows, same
from tests.contracts.test_every_kind import EXAMPLES, PIECES, N, R, holds, split, the_cohort

ARMS = ("a", "b")
ENDPOINTS = [Crossover(kind="crossover", **given) for given in EXAMPLES["endpoints", "crossover"]]
MODELS = [CrossoverAnalysis(kind="crossover", **given) for given in EXAMPLES["analysis", "crossover"]]
TRUTHS = [
    {"a": 0.25, "b": {"mean": 0.6, "half_life_months": 2}},
    {"a": {0: 0.5, 12: 0.25}, "b": {"mean": {0: 0.6, 6: 0.6}, "half_life_months": 2}},
]
AMONG = np.array([[True, True], [True, True], [True, False], [False, True], [True, True], [True, True]])


def the_patients() -> Any:
    return the_cohort()._replace(u_outcome={"score": np.random.default_rng(8).random((R, N, 3))})


@pytest.mark.parametrize("truth", TRUTHS, ids=["constant", "changing"])
@pytest.mark.parametrize("part", ENDPOINTS)
def test_endpoint(part, truth):
    cohort, truth = the_patients(), part.read(truth)
    assert part.uniforms == cohort.u_outcome["score"].shape[2]
    potential = holds(part.potential, cohort, "score", ARMS, truth)
    assert isinstance(potential, Potential)
    assert potential.value.shape == (R, N, 2, part.outcomes) and potential.value.dtype == np.float64
    assert potential.known_at.shape == (R, N, 1, part.outcomes)
    finite = np.isfinite(potential.known_at)
    assert not np.isnan(potential.known_at).any()
    assert (potential.known_at >= cohort.enrolled_at[:, :, None, None])[finite].all()
    assert (potential.known_at <= cohort.dropout_at[:, :, None, None])[finite].all()
    assert finite.any() and not finite.all()
    for piece in PIECES:
        assert same(part.potential(rows(cohort, piece), "score", ARMS, truth), split(potential, piece))
    turned = part.potential(cohort, "score", ARMS[::-1], truth)
    assert same(np.ascontiguousarray(potential.value[:, :, ::-1]), np.ascontiguousarray(turned.value))
    means = holds(part.true_values, cohort, ARMS, truth, "mean")
    assert means.shape == (2,) and means[1] == pytest.approx(part.natural(np.array(0.6)))
    np.testing.assert_array_equal(part.true_values(cohort, ARMS[::-1], truth, "mean"), means[::-1])


def a_snapshot() -> Snapshot:
    """Replicate 0 knows nothing, replicate 1 nothing of those who had b first; the others are in the midst of it."""
    cohort, arm = the_patients(), np.random.default_rng(6).integers(0, 2, (R, N))
    arm[1] = 0
    outcome = pick(ENDPOINTS[0].potential(cohort, "score", ARMS, ENDPOINTS[0].read(TRUTHS[0])), arm)
    days = np.full(R, 500.0)
    days[0] = -np.inf
    return cut(days, cohort, arm, outcome, 2)


def answers(posterior: Any, among: np.ndarray = AMONG, which: slice = slice(None)) -> dict[str, np.ndarray]:
    """Every question that can be asked of a posterior."""
    more = np.array([[4, 4], [3, 5], [0, 0], [1, 0], [0, 3], [2, 7]])[which]
    return {
        "mean": posterior.mean(),
        "sd": posterior.sd(),
        "outcome sd": posterior.outcome_sd(),
        "interval": posterior.interval(0.9),
        "above": posterior.prob_above(0.2),
        "best": posterior.prob_best(among),
        "better": posterior.prob_better(0),
        "not worse by": posterior.prob_better(1, -0.1),
        "difference": posterior.difference(0, 0.9),
        "success": posterior.prob_success(0, 0.0, 0.9, more),
        "success alone": posterior.prob_success(None, 0.2, 0.8, more),
        "success anew": posterior.prob_success(0, -0.1, 0.9, more + 10, fresh=True),
    }


@pytest.mark.parametrize("part", MODELS)
def test_analysis_model(part):
    snapshot = a_snapshot()
    assert snapshot.n_known[0] == 0 and snapshot.arm_known[1, 1] == 0 and (snapshot.n_pending[1:] > 0).all()
    model = part.bind(AnalysisSetting(ARMS))
    found = holds(lambda given: answers(model.fit(given)), snapshot)
    for name, value in found.items():
        assert value.shape[:2] == (R, 2) and value.dtype == np.float64 and np.isfinite(value).all(), name
    np.testing.assert_allclose(found["best"].sum(axis=1), 1, atol=1e-9)
    assert (found["best"][~AMONG] == 0).all()
    assert (found["better"][:, 0] == 0).all() and (found["not worse by"][:, 1] == 1).all()
    assert (found["difference"][:, 0] == 0).all()
    middle, low, high = np.moveaxis(found["difference"][:, 1], -1, 0)
    assert (low < high).all() and (found["interval"][..., 0] < found["interval"][..., 1]).all()
    np.testing.assert_allclose(middle, found["mean"][:, 1] - found["mean"][:, 0], rtol=1e-9, atol=1e-9)
    assert found["success"][2, 1] == (found["better"][2, 1] > 0.9), "nothing is to come in this replicate"
    for name in ("better", "above", "best", "success", "success alone", "success anew"):
        assert (found[name] >= 0).all() and (found[name] <= 1).all(), name


@pytest.mark.parametrize("part", MODELS)
def test_analysis_model_split_or_turned_says_the_same(part):
    snapshot, model = a_snapshot(), part.bind(AnalysisSetting(ARMS))
    whole = answers(model.fit(snapshot))
    for piece in PIECES:
        for name, value in answers(model.fit(split(snapshot, piece)), AMONG[piece], piece).items():
            assert same(np.ascontiguousarray(value), np.ascontiguousarray(whole[name][piece])), name
    turned = snapshot._replace(arm=np.where(snapshot.arm >= 0, 1 - snapshot.arm, -1))
    other = part.bind(AnalysisSetting(ARMS[::-1], control=1)).fit(turned)
    np.testing.assert_allclose(other.mean(), whole["mean"][:, ::-1], atol=1e-12)
    np.testing.assert_allclose(other.prob_better(1), whole["better"][:, ::-1], atol=1e-7)
    np.testing.assert_allclose(other.prob_best(AMONG[:, ::-1]), whole["best"][:, ::-1], atol=1e-7)


@pytest.mark.parametrize("part", MODELS)
def test_analysis_model_sees_nothing_but_what_is_known(part):
    snapshot, model = a_snapshot(), part.bind(AnalysisSetting(ARMS))
    disturbed = snapshot._replace(value=np.where(snapshot.known, snapshot.value, 1e6))
    expected = answers(model.fit(snapshot))
    for name, value in answers(model.fit(disturbed)).items():
        assert same(value, expected[name]), name
