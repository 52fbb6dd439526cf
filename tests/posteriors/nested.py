"""Nested simulation of analyses to come, through the models, and how far an answer lies from it."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from sps_adaptive.contracts import AnalysisModel, Posterior
from sps_adaptive.posteriors.joint_student import JointStudentPosterior
from sps_adaptive.posteriors.student import StudentPosterior
from tests.models.snapshots import snapshot

STANDARD_ERRORS = 4.0


def repeated(n):
    """The arms of patients, n of each."""
    return np.repeat(np.arange(len(n)), n)


def fitted(model: AnalysisModel, arm, value, x=None) -> Posterior:
    """The posterior of trials whose patients all have the same arms."""
    value = np.atleast_2d(value)
    return model.fit(snapshot(np.broadcast_to(arm, value.shape), value, x, n_arms=int(arm.max()) + 1))


def better(posterior: Posterior, than, by):
    """P(arm > arm `than` + by), or P(arm > by)."""
    if than is not None:
        return posterior.prob_better(than, by)
    if isinstance(posterior, StudentPosterior):
        df, scale = posterior.df, posterior.scale
    else:
        assert isinstance(posterior, JointStudentPosterior)
        df = posterior.df[:, None]
        scale = np.sqrt(posterior.variance[:, None] * (posterior.diagonal + posterior.loading**2))
    return stdtr(df, (posterior.location - by) / scale)


def agree(answer, succeeded, beyond=0.0):
    """Within the standard errors of a simulation, and `beyond` of approximation."""
    observed = succeeded.mean(axis=0)
    error = np.sqrt(np.maximum(answer * (1 - answer), 1 / len(succeeded)) / len(succeeded))
    off = np.abs(observed - answer)
    assert (off <= STANDARD_ERRORS * error + beyond).all(), f"{answer} against {observed}, error {error}"
