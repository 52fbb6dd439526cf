"""The Gittins rule for scores as a kind: its formulas are tested in test_gittins_normal_index."""

import numpy as np
import pytest

from sps_adaptive.allocation import GittinsNormal
from sps_adaptive.allocation.gittins_normal_index import flgi_normal_probabilities, normal_tables
from sps_adaptive.allocation.realisation import Setting
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from tests.contracts.fakes import a_look

MEAN, KNOWN, SD = np.array([[0.1, 0.6, 0.2], [0.4, 0.1, 0.3]]), np.array([[6, 5, 7], [4, 4, 9]]), np.full((2, 3), 1.2)
OPEN = np.array([[True, True, True], [True, False, True]])
LOOK = a_look(
    GaussianPosterior(MEAN, SD / np.sqrt(KNOWN + 1), SD), OPEN, patients=30, n_enrolled=20, arm_known=KNOWN
)  # fmt: skip
TABLES = normal_tables((1.0,) * 3, 0.9, 33, 3)


def test_the_probabilities_are_those_of_the_forward_looking_rule():
    found = GittinsNormal(kind="gittins_normal", ahead=3, discount=0.9).probabilities(LOOK)
    np.testing.assert_allclose(found, flgi_normal_probabilities(MEAN, KNOWN, SD, OPEN, TABLES), atol=1e-12)


def test_the_controlled_rule_and_a_stated_share():
    controlled = GittinsNormal(kind="gittins_normal", ahead=3, discount=0.9, controlled=True).probabilities(LOOK)
    np.testing.assert_allclose(controlled[:, 0], [1 / 3, 1 / 2])
    stated = GittinsNormal(kind="gittins_normal", ahead=3, discount=0.9, control_share=1 / 3).probabilities(LOOK)
    np.testing.assert_allclose(stated[0], controlled[0], atol=1e-9)


@pytest.mark.parametrize("is_binary, words", [(True, "scores"), (False, None)])
def test_it_is_for_scores(is_binary, words):
    found = GittinsNormal(kind="gittins_normal").problems(Setting(("a", "b"), 3, is_binary))
    assert [words in message for _, message, _ in found] == ([True] if words else [])


def test_the_origin_of_the_score_does_not_matter_even_to_an_arm_without_outcomes():
    known = np.array([[6, 5, 0], [4, 9, 0]])
    own = SD / np.sqrt(np.maximum(known, 1e-12))
    found = []
    for origin in (0.0, 50.0, -50.0):
        mean = np.where(known > 0, MEAN + origin, 0.0)  # a flat prior leaves the third arm at its prior mean
        look = a_look(GaussianPosterior(mean, own, SD), np.ones((2, 3), bool), patients=30, arm_known=known)
        found.append(GittinsNormal(kind="gittins_normal", ahead=3, discount=0.9).probabilities(look))
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    np.testing.assert_allclose(found[2], found[0], atol=1e-9)
    assert (found[0][:, 2] > 0.3).all()  # of which nothing is known is worth trying
