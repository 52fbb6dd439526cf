"""The forward-looking Gittins rule as a kind: its formulas are tested in test_gittins_index."""

import numpy as np
import pytest

from sps_adaptive.allocation import Gittins
from sps_adaptive.allocation.gittins_index import controlled_flgi_probabilities, flgi_probabilities, gittins_tables
from sps_adaptive.allocation.realisation import Setting
from sps_adaptive.posteriors.beta import BetaPosterior
from tests.contracts.fakes import a_look

PRIORS = ((1.0, 1.0), (1.0, 1.0), (2.0, 1.0))
KNOWN, RESPONDERS = np.array([[5, 8, 6], [0, 4, 4]]), np.array([[1, 6, 2], [0, 1, 4]])
OPEN = np.array([[True, True, True], [True, True, False]])


def look(is_open=OPEN):
    posterior = BetaPosterior.from_counts(PRIORS, KNOWN, RESPONDERS, 40)
    return a_look(posterior, is_open, patients=40, n_enrolled=20, arm_known=KNOWN)


TABLES = gittins_tables(PRIORS, 0.99, 46)


def test_the_probabilities_are_those_of_the_forward_looking_rule():
    found = Gittins(kind="gittins", ahead=4).probabilities(look())
    expected = flgi_probabilities(RESPONDERS, KNOWN - RESPONDERS, OPEN, TABLES, 4)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[0, 1] > 0.9  # six of eight responded there


def test_the_controlled_rule_sets_an_equal_share_aside():
    found = Gittins(kind="gittins", ahead=4, controlled=True).probabilities(look())
    expected = controlled_flgi_probabilities(RESPONDERS, KNOWN - RESPONDERS, OPEN, TABLES, 4, 0)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found[:, 0], [1 / 3, 1 / 2])


def test_beside_a_stated_share_of_the_control_the_rule_is_about_the_others():
    found = Gittins(kind="gittins", ahead=4, control_share=0.4).probabilities(look())
    rivals = OPEN & [False, True, True]
    others = flgi_probabilities(RESPONDERS, KNOWN - RESPONDERS, rivals, TABLES, 4)
    np.testing.assert_allclose(found, others * 0.6 + [0.4, 0, 0], atol=1e-12)


def test_before_any_outcome_equal_priors_share_equally():
    posterior = BetaPosterior.from_counts(((1.0, 1.0),) * 3, np.zeros((1, 3), int), np.zeros((1, 3), int), 40)
    found = Gittins(kind="gittins").probabilities(a_look(posterior, [[True] * 3], patients=40))
    np.testing.assert_allclose(found, 1 / 3, atol=1e-12)


@pytest.mark.parametrize(
    "given, setting, words",
    [
        ({}, Setting(("a", "b"), 3, False), "yes or no"),
        ({"controlled": True, "control_share": 0.3}, Setting(("a", "b"), 3, True), "has a share for the control"),
        ({"ahead": 15}, Setting(tuple("abcdefgh"), 3, True), "too many courses"),
    ],
)
def test_what_cannot_be(given, setting, words):
    found = Gittins(kind="gittins", **given).problems(setting)
    assert any(words in message for _, message, _ in found), found
