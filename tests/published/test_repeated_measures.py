"""Repeated measures against restricted maximum likelihood, as SAS PROC MIXED computes it.

The reference is written out here and first checked against the figures of SAS on data with gaps. Then it judges the
analysis on the same patients up to their first gap: where dropout is monotone and each arm has a mean for each visit,
flat priors make the posterior means the estimates of maximum likelihood, restricted or not.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from sps_adaptive.models.mmrm import BoundMmrm
from tests.models.visits import snapshot

DATA = Path(__file__).parent / "data"
SAS = json.loads((DATA / "fev_sas.json").read_text())


def patients():
    """Arm (0 placebo, 1 treated) and the four visits of each patient, NaN where missing."""
    with (DATA / "fev.csv").open() as file:
        rows = list(csv.DictReader(file))
    value = np.array([[float(row[f"visit{visit}"] or "nan") for visit in range(1, 5)] for row in rows])
    return np.array([int(row["arm"] == "TRT") for row in rows]), value


def up_to_the_first_gap(value):
    return np.where(np.logical_and.accumulate(~np.isnan(value), axis=1), value, np.nan)


def likelihood(theta, value, design, restricted):
    """-2 log likelihood; estimates; their covariance. `theta`: a Cholesky factor of the covariances of the visits."""
    visits = value.shape[1]
    factor = np.zeros((visits, visits))
    factor[np.tril_indices(visits)] = theta
    covariance = factor @ factor.T
    seen = ~np.isnan(value)
    information, score, squares, constant = 0.0, 0.0, 0.0, 0.0
    for pattern in np.unique(seen, axis=0):
        if not pattern.any():
            continue
        mine = (seen == pattern).all(axis=1)
        inverse = np.linalg.inv(covariance[np.ix_(pattern, pattern)])
        y, x = value[mine][:, pattern], design[mine][:, pattern]
        information = information + np.einsum("npk,pq,nql->kl", x, inverse, x)
        score = score + np.einsum("npk,pq,nq->k", x, inverse, y)
        squares += np.einsum("np,pq,nq->", y, inverse, y)
        constant += mine.sum() * (pattern.sum() * np.log(2 * np.pi) - np.linalg.slogdet(inverse)[1])
    estimate = np.linalg.solve(information, score)
    answer = constant + squares - score @ estimate
    if restricted:
        answer += np.linalg.slogdet(information)[1] - len(estimate) * np.log(2 * np.pi)
    return answer, estimate, np.linalg.inv(information)


@cache
def fitted(which, restricted):
    arm, value = patients()
    design = np.ones((*value.shape, 1))
    if which == "arms":
        value = up_to_the_first_gap(value)
        cell = arm[:, None] * 4 + np.arange(4)
        design = np.eye(8)[cell]
    start = np.linalg.cholesky(np.diag(np.nanvar(value, axis=0)) * 0.9 + 2.0)[np.tril_indices(4)]
    found = minimize(lambda theta: likelihood(theta, value, design, restricted)[0], start, options={"gtol": 1e-5})
    return likelihood(found.x, value, design, restricted)


@pytest.mark.parametrize("restricted, stated", [(False, "maximum_likelihood"), (True, "restricted_maximum_likelihood")])
def test_the_reference_gives_the_figures_of_sas(restricted, stated):
    """Of the printed digits the last may differ."""
    minus_2, estimate, covariance = fitted("one mean", restricted)
    assert minus_2 == pytest.approx(SAS[stated]["minus_2_log_likelihood"], abs=1e-4)
    assert estimate[0] == pytest.approx(SAS[stated]["estimate"], rel=1e-4)
    assert np.sqrt(covariance[0, 0]) == pytest.approx(SAS[stated]["standard_error"], abs=2e-4)


def posterior():
    """The analysis with priors that are all but flat."""
    arm, value = patients()
    model = BoundMmrm(10.0, 0.5, 1e-7, (np.array(0.0),) * 2, np.zeros(2), None)
    return model.fit(snapshot(arm[None], up_to_the_first_gap(value)[None], n_arms=2))


@pytest.mark.parametrize("restricted", [False, True])
def test_flat_priors_make_the_means_those_of_both_likelihoods(restricted):
    """To the precision of the optimiser: the standard errors are 2.4 and 2.9 points, so 0.001 of a point is nothing."""
    _, estimate, _ = fitted("arms", restricted)
    np.testing.assert_allclose(posterior().mean()[0], estimate[[3, 7]], atol=1e-3)


def test_the_posterior_is_a_little_wider_than_the_standard_errors():
    """These take the covariances as known, the posterior does not; the last visit has 39 patients."""
    _, _, covariance = fitted("arms", restricted=True)
    ratio = posterior().sd()[0] / np.sqrt(np.diagonal(covariance)[[3, 7]])
    assert (ratio > 1).all() and (ratio < 1.05).all()
    low, high = posterior().difference(0, 0.95)[0, 1, 1:]
    apart = np.sqrt(covariance[3, 3] + covariance[7, 7] - 2 * covariance[3, 7])
    assert 1 < (high - low) / (2 * 1.96 * apart) < 1.1
