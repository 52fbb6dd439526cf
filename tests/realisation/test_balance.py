"""How the make-up of the arms is compared."""

import numpy as np

from sps_adaptive.realisation import Independent, Minimisation
from sps_adaptive.realisation.balance import covariate_imbalance
from tests.realisation.helpers import dealt, patients


def test_by_hand():
    arm = np.array([[0, 0, 0, 0, 1, 1, -1], [0, 1, 0, 1, 0, 1, -1]])
    strata = np.array([[[0, 0], [0, 1], [0, 2], [1, 2], [1, 0], [1, 0], [1, 1]]] * 2)
    # Arm 0: 3/4 and 1/4; 1/4, 1/4, 2/4. Arm 1: 0 and 1; 1, 0, 0. Differences 3/4, 3/4; 3/4, 1/4, 1/2.
    # Second trial, arm 0: 2/3, 1/3; 2/3, 0, 1/3. Arm 1: 1/3, 2/3; 1/3, 1/3, 1/3.
    expected = [(3 / 4 + 1 / 2) / 2, (1 / 3 + 2 / 9) / 2]
    np.testing.assert_allclose(covariate_imbalance(arm, strata, 2), expected, atol=1e-15)
    np.testing.assert_allclose(covariate_imbalance(arm, strata, 3), expected, atol=1e-15)  # an arm without patients


def test_arms_alike_arms_apart_and_no_covariate():
    arm = np.array([[0, 0, 1, 1]])
    assert covariate_imbalance(arm, np.array([[[0], [1], [1], [0]]]), 2)[0] == 0
    assert covariate_imbalance(arm, np.array([[[0], [0], [1], [1]]]), 2)[0] == 1
    assert np.isnan(covariate_imbalance(arm, np.zeros((1, 4, 0), int), 2)).all()


def test_minimisation_makes_arms_alike():
    cohort = patients(1000, 48, (0.6, 0.4), (0.7, 0.2, 0.1))
    part = Minimisation(kind="minimisation", factors=["f0", "f1"])
    minimal = covariate_imbalance(dealt(part, cohort, (1 / 3,) * 3), cohort.strata, 3).mean()
    draws = covariate_imbalance(dealt(Independent(kind="independent"), cohort, (1 / 3,) * 3), cohort.strata, 3).mean()
    assert minimal < 0.5 * draws
