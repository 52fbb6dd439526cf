"""Columns of a design matrix from covariates."""

from __future__ import annotations

import numpy as np
import pytest

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models.covariates import columns, covariate_problems
from tests.models.snapshots import snapshot

FACTORS = {"titre": {"low": 0.5, "middle": 0.3, "high": 0.2}, "sex": {"f": 0.7, "m": 0.3}}
SETTING = AnalysisSetting(("a", "b"), factors=FACTORS, baseline=(3.0, 1.0))


def patients():
    arm, x = np.array([[0, 1, 1, -1]]), np.array([[0.3, -1.2, 2.0, 9.9]])
    strata = np.array([[[0, 1], [1, 0], [2, 0], [2, 1]]], np.int16)
    return snapshot(arm, np.ones((1, 4)), x, 2)._replace(strata=strata)


def test_levels_are_dummies_less_their_prevalence_and_the_baseline_is_its_score():
    found = columns(SETTING, ("sex", "baseline", "titre"))(patients())
    expected = [
        [1 - 0.3, 0.3, -0.3, -0.2],
        [-0.3, -1.2, 1 - 0.3, -0.2],
        [-0.3, 2.0, -0.3, 1 - 0.2],
        [0, 0, 0, 0],
    ]
    np.testing.assert_allclose(found[0], expected)


def test_columns_of_a_factor_have_mean_zero_in_the_population():
    rng = np.random.default_rng(1)
    level = rng.choice(3, (1, 200_000), p=list(FACTORS["titre"].values()))
    many = snapshot(np.zeros(level.shape, int), np.ones(level.shape), n_arms=2)
    many = many._replace(strata=np.stack([level, level * 0], axis=-1))
    found = columns(SETTING, ("titre",))(many)
    assert (np.abs(found.mean(axis=(0, 1))) < 4 * found.std(axis=(0, 1)) / np.sqrt(200_000)).all()


def test_without_names_there_are_no_columns():
    assert columns(SETTING, ())(patients()).shape == (1, 4, 0)


def test_what_patients_do_not_tell_is_not_asked():
    """Without strata the baseline can be used all the same."""
    found = columns(SETTING, ("baseline",))(patients()._replace(strata=None))
    np.testing.assert_array_equal(found[0, :, 0], [0.3, -1.2, 2.0, 0])


@pytest.mark.parametrize(
    "names, setting, message",
    [
        (("age",), SETTING, "there is no covariate 'age'"),
        (("sex", "sex"), SETTING, "'sex' stands there twice"),
        (("baseline",), SETTING._replace(baseline=None), "there is no baseline"),
        (("age",), AnalysisSetting(("a", "b")), "there is no covariate 'age'"),
    ],
)
def test_covariates_that_are_not_there_are_named(names, setting, message):
    ((path, found, hint),) = covariate_problems(setting, names)
    assert found == message and path == ("covariates", len(names) - 1) and hint


def test_covariates_that_are_there_are_fine():
    assert covariate_problems(SETTING, ("sex", "baseline", "titre")) == []
