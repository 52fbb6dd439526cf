"""What holds for every predictive probability of success of normal outcomes, whatever the posterior."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sps_adaptive.posteriors.gaussian import GaussianPosterior
from sps_adaptive.posteriors.joint_student import JointStudentPosterior
from sps_adaptive.posteriors.predictive_joint_student import success_of_joint_student
from sps_adaptive.posteriors.predictive_normal import NormalPriors, success_of_gaussian
from sps_adaptive.posteriors.predictive_student import success_of_student
from sps_adaptive.posteriors.student import StudentPosterior

KINDS = ["gaussian", "student", "joint", "joint with a baseline"]
PRIORS = {
    "added": None,
    "flat": NormalPriors(np.zeros(3), np.zeros(3), 1.2, 1.0, 1.0),
    "informative": NormalPriors(np.array([0.4, 0.1, -0.2]), np.array([6.0, 0.0, 2.0]), 1.2, 3.0, 1.0),
}


def draw(kind, rng, replicates=40):
    """Arrays of a posterior, by name, and further patients; arms of which nothing is known, and none to come, occur."""
    n = rng.integers(2, 20, (replicates, 3)) * 1.0
    n[rng.random(n.shape) < 0.05] = 1e-12
    location, spread = rng.normal(size=n.shape), rng.gamma(5, 0.2, n.shape)
    fields = {
        "gaussian": {"location": location, "scale": 1.2 / np.sqrt(n)},
        "student": {"location": location, "scale": spread / np.sqrt(n), "df": np.maximum(n, 1.0), "patients": n},
        "joint": {
            "location": location, "diagonal": 1 / n, "loading": np.zeros(n.shape), "variance": spread[:, 0] ** 2,
            "df": 1 + n.sum(axis=1),
        },
    }[kind.partition(" ")[0]]  # fmt: skip
    if kind == "joint with a baseline":
        fields |= {"loading": rng.normal(0, 0.2, n.shape), "slope": 1 / n.sum(axis=1)}
    more = rng.integers(0, 12, n.shape) * (rng.random(n.shape) < 0.8)
    more[:3] = 0
    return fields, more


def success(kind, fields, more, priors=None, than=0, by=0.1, threshold=0.9):
    function = {
        "gaussian": partial(success_of_gaussian, sd=1.2),
        "student": success_of_student,
        "joint": success_of_joint_student,
    }[kind.partition(" ")[0]]
    return function(**fields, than=than, by=by, threshold=threshold, more=more, priors=priors)


def posterior_of(kind, fields):
    kept = {name: value for name, value in fields.items() if name not in ("patients", "slope")}
    return {"gaussian": GaussianPosterior, "student": StudentPosterior, "joint": JointStudentPosterior}[
        kind.partition(" ")[0]
    ](**kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("priors", PRIORS)
@pytest.mark.parametrize(("than", "threshold"), [(0, 0.9), (1, 0.2), (2, 0.5), (None, 0.9), (None, 0.5)])
def test_batches_and_arms_in_any_order(kind, priors, than, threshold):
    fields, more = draw(kind, np.random.default_rng(1))
    before = {name: value.copy() for name, value in fields.items()}, more.copy()
    whole = success(kind, fields, more, PRIORS[priors], than, threshold=threshold)
    assert ((whole >= 0) & (whole <= 1)).all()
    parts = []
    for rows in (slice(0, 1), slice(1, 23), slice(23, 40), slice(40, 40)):
        part = {name: value[rows] for name, value in fields.items()}
        parts.append(success(kind, part, more[rows], PRIORS[priors], than, threshold=threshold))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    order = [2, 0, 1]
    turned = {name: value[:, order] if value.ndim == 2 else value for name, value in fields.items()}
    prior = PRIORS[priors]
    if prior is not None:
        prior = prior._replace(mean=prior.mean[order], patients=prior.patients[order])
    other = None if than is None else order.index(than)
    again = success(kind, turned, more[:, order], prior, other, threshold=threshold)
    np.testing.assert_allclose(again, whole[:, order], rtol=0, atol=1e-9)
    for name, value in fields.items():
        np.testing.assert_array_equal(value, before[0][name])
    np.testing.assert_array_equal(more, before[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("by", "threshold"), [(0.0, 0.8), (0.3, 0.5), (-0.2, 0.1)])
def test_without_further_patients_it_is_the_claim_itself(kind, by, threshold):
    fields, more = draw(kind, np.random.default_rng(2), 200)
    found = success(kind, fields, 0 * more, None, 1, by, threshold)
    better = posterior_of(kind, fields).prob_better(1, by)
    np.testing.assert_array_equal(found, better - threshold > 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("priors", ["added", "flat"])
def test_many_further_patients_reveal_the_truth(kind, priors):
    fields, more = draw(kind, np.random.default_rng(3))
    known = (fields["diagonal"] < 1e6).all(axis=1) if "diagonal" in fields else (fields["scale"] < 1e3).all(axis=1)
    fields = {name: value[known] for name, value in fields.items()}
    found = success(kind, fields, 0 * more[known] + 10**6, PRIORS[priors], 1, 0.2, 0.5)
    expected = posterior_of(kind, fields).prob_better(1, 0.2)
    # What is left of the spread; with own variances also the rule of eight nodes for the other arm's mean: its largest
    # error here is 0.0014, with 16 nodes it is 0.0003, with 32 it is 0.00002.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 if kind == "student" else 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("priors", PRIORS)
def test_a_higher_threshold_is_met_less_often(kind, priors):
    fields, more = draw(kind, np.random.default_rng(4))
    thresholds = (0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0)
    found = np.array([success(kind, fields, more, PRIORS[priors], 1, 0.1, each) for each in thresholds])
    # The rules for the arms' own variances leave errors of about 0.005, which differ between thresholds.
    assert (np.diff(found, axis=0) < (0.01 if kind == "student" else 1e-6)).all()
    np.testing.assert_array_equal(found[-1], 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_separate_trial_that_leaves_the_control_out_knows_nothing(kind):
    fields, more = draw(kind, np.random.default_rng(5))
    more = np.tile([10, 0, 5], (len(more), 1))
    for threshold, answer in ((0.55, 0.0), (0.45, 1.0)):
        found = success(kind, fields, more, PRIORS["flat"], 1, 0.1, threshold)
        known = np.abs(fields["location"]).max(axis=1) < 1e3
        if kind == "gaussian":
            known &= (fields["scale"] < 1e3).all(axis=1)
        else:
            wide = fields["diagonal"] if "diagonal" in fields else fields["scale"]
            known &= (wide < 1e3).all(axis=1)
        np.testing.assert_allclose(found[known][:, [0, 2]], answer, rtol=0, atol=1e-6)
