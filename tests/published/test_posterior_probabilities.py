"""Posterior probabilities printed by others, and worked values whose digits were agreed on beforehand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.posteriors.joint_student import JointStudentPosterior
from sps_adaptive.posteriors.student import StudentPosterior

RARTRIALS = json.loads((Path(__file__).parent / "data" / "rartrials_posterior_probs.json").read_text(encoding="utf-8"))


def beta(parameters):
    """The posterior Beta(a, b) of each arm, reached from a uniform prior."""
    a, b = np.array(parameters).T
    counts = np.array([a + b - 2]), np.array([a - 1])
    return BetaPosterior.from_counts(((1, 1),) * len(a), *counts, int(max(a + b - 2)))


def turned(parameters):
    return beta([(b, a) for a, b in parameters])


def test_rartrials_vignette():
    # Seven digits are printed: half a unit of the last, and the 1e-6 that the source claims for its quadrature.
    post, expected = RARTRIALS["inputs"]["post_beta"], RARTRIALS["expected"]
    everyone = np.ones((1, 3), bool)
    better = beta(post).prob_better(0, 0.1)[0, 1:]
    worse = turned(post).prob_better(0, 0.1)[0, 1:]
    np.testing.assert_allclose(better, expected["pr_gt_control_plus_0_1"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(worse, expected["pr_lt_control_minus_0_1"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(beta(post).prob_best(everyone)[0], expected["pr_max"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(turned(post).prob_best(everyone)[0], expected["pr_min"], atol=1e-6, rtol=0)


def test_best_of_three_responses():
    # Twelve digits were computed by exact quadrature of the polynomials.
    best = beta([(4, 8), (6, 6), (9, 3)]).prob_best(np.ones((1, 3), bool))[0]
    np.testing.assert_allclose(best, [0.010044030206, 0.088978176447, 0.900977793347], atol=1e-11, rtol=0)


@pytest.mark.parametrize(("margin", "expected"), [(0.0, 0.985013438574), (0.1, 0.953546138696), (0.2, 0.881881707750)])
def test_better_by_a_margin(margin, expected):
    assert beta([(4, 8), (9, 3)]).prob_better(0, margin)[0, 1] == pytest.approx(expected, abs=1e-11)


def test_one_patient_in_each_arm():
    assert beta([(1, 2), (2, 1)]).prob_better(0)[0, 1] == pytest.approx(5 / 6, abs=1e-14)


def test_best_of_three_independent_students():
    # Lower is better. Eight digits: the table of the t cdf is accurate to about 3e-9.
    posterior = StudentPosterior(
        -np.array([[0, -0.3, -0.8]]), np.array([[0.35, 0.4, 0.3]]), np.array([[7.0, 9.0, 6.0]])
    )
    best = posterior.prob_best(np.ones((1, 3), bool))[0]
    np.testing.assert_allclose(best, [0.04769937, 0.17081919, 0.78148143], atol=2e-8, rtol=0)


def test_best_of_three_with_a_common_variance():
    # Inverse-gamma(10, 8) is 20 degrees of freedom and scale 0.8. Seven digits were printed, four called safe.
    posterior = JointStudentPosterior(
        -np.array([[0, -0.3, -0.8]]),
        1 / np.array([[8.0, 9.0, 7.0]]),
        np.zeros((1, 3)),
        np.array([0.8]),
        np.array([20.0]),
    )
    best = posterior.prob_best(np.ones((1, 3), bool))[0]
    np.testing.assert_allclose(best, [0.0327791, 0.1303244, 0.8368965], atol=5e-5, rtol=0)
