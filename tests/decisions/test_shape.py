"""Thresholds that fall as information grows."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from sps_adaptive.decisions import Efficacy, Futility
from sps_adaptive.decisions.shape import Shape
from tests.contracts.fakes import look_at_better
from tests.exact.helpers import scenario


def at(fractions, **given):
    return Shape(**given).at(np.array(fractions, float))


def test_obrien_and_fleming_on_the_scale_of_a_probability():
    """z = c / sqrt(t): at a quarter of the information twice the last one."""
    found = at([0.25, 0.5, 1], shape="obrien_fleming", final=0.975)
    np.testing.assert_allclose(found, ndtr(ndtri(0.975) * np.array([2, np.sqrt(2), 1])), rtol=1e-14)


def test_pocock_is_always_the_same_and_delta_lies_between():
    np.testing.assert_allclose(at([0.1, 0.5, 1], shape="pocock", final=0.98), 0.98, rtol=1e-14)
    for delta, name in ((0.0, "obrien_fleming"), (0.5, "pocock")):
        np.testing.assert_allclose(
            at([0.2, 0.7], shape="wang_tsiatis", delta=delta, final=0.98), at([0.2, 0.7], shape=name, final=0.98)
        )


def test_below_one_half_it_is_the_mirror_image():
    found = at([0.25, 0.5, 1], shape="obrien_fleming", final=0.1)
    np.testing.assert_allclose(found, 1 - at([0.25, 0.5, 1], shape="obrien_fleming", final=0.9), atol=1e-15)
    assert (np.diff(found) > 0).all()  # giving up is harder early


def test_with_no_information_nothing_is_crossed():
    assert at([0.0], shape="obrien_fleming", final=0.9).tolist() == [1.0]
    assert at([0.0], shape="obrien_fleming", final=0.1).tolist() == [0.0]


def test_a_rule_reads_the_information_of_each_replicate_and_one_at_the_end():
    rule = Efficacy(kind="efficacy", probability={"shape": "obrien_fleming", "final": 0.9})
    better = np.tile([0, 0.95], (3, 1))
    looks = [look_at_better(better, n_known=[20, 60, 100], patients=100, k=k) for k in (0, 3)]
    np.testing.assert_allclose(rule.at(looks[0]), ndtr(ndtri(0.9) / np.sqrt([0.2, 0.6, 1])))
    assert rule.verdict(looks[0]).claim[:, 1].tolist() == [False, False, True]
    np.testing.assert_allclose(rule.at(looks[1]), 0.9)


@pytest.mark.parametrize("shape, constant", [("obrien_fleming", 2.004), ("pocock", 2.289)])
def test_the_constants_of_a_published_table(shape, constant):
    """Three analyses at equal steps, two-sided 5%: Jennison and Turnbull (2000), tables 2.1 and 2.3.

    For one side of 2.5% they are the same, as both sides are hardly ever crossed.
    """
    found = Shape(shape=shape, error=0.025).planned((1 / 3, 2 / 3, 1.0))
    assert found.error is None
    assert ndtri(found.final) == pytest.approx(constant, abs=0.0011)


def test_the_error_is_that_of_the_joint_normal_law_of_the_analyses():
    fractions = np.array([0.3, 0.55, 1.0])
    shape = Shape(shape="wang_tsiatis", delta=0.2, error=0.04).planned(tuple(fractions))
    correlation = np.sqrt(np.minimum.outer(fractions, fractions) / np.maximum.outer(fractions, fractions))
    bound = ndtri(shape.at(fractions))
    inside = multivariate_normal.cdf(bound, np.zeros(3), correlation, abseps=1e-8, releps=1e-8)
    assert 1 - inside == pytest.approx(0.04, abs=1e-6)


def test_a_scenario_plans_the_looks_at_which_the_rule_is_heard():
    """With looks at 10, 20 and 30 of 40; from the second on it is two looks and the final analysis."""
    rules = [{"kind": "efficacy", "probability": {"shape": "pocock", "error": 0.05}, "from_look": 2}]
    case = scenario(40, (0.3, 0.6), {"kind": "enrolled", "first": 10, "every": 10}, {"kind": "equal"}, rules)
    made = case.designs()
    expected = Shape(shape="pocock", error=0.05).planned((0.5, 0.75, 1.0)).final
    assert made["adaptive"].decisions[0].probability.final == expected
    assert made["fixed"].decisions[0].probability == expected  # the threshold of the final analysis


@pytest.mark.parametrize(
    "kind, given, words",
    [
        (Efficacy, {"shape": "pocock"}, "neither final nor error"),
        (Efficacy, {"shape": "pocock", "final": 0.9, "error": 0.05}, "both given"),
        (Efficacy, {"shape": "wang_tsiatis", "final": 0.9}, "'delta' is missing"),
        (Efficacy, {"shape": "pocock", "final": 0.9, "delta": 0.1}, "has its own delta"),
        (Efficacy, {"shape": "obrien_fleming", "final": 0.4}, "harder to cross early"),
        (Efficacy, {"shape": "obrien_fleming", "final": 0.5}, "harder to cross early"),
        (Futility, {"shape": "obrien_fleming", "final": 0.6}, "harder to cross early"),
        (Futility, {"shape": "obrien_fleming", "error": 0.05}, "no type I error"),
    ],
)
def test_what_is_no_shape(kind, given, words):
    rule = kind(kind=kind.__name__.lower(), probability=given)
    (found,) = rule.problems(3, rule.at_final)
    assert words in found[1] and found[0][0] == "probability" and found[2]


@pytest.mark.parametrize("given", [{"shape": "straight", "final": 0.9}, {"shape": "pocock", "error": 0.5}])
def test_what_does_not_parse(given):
    with pytest.raises(ValidationError):
        Efficacy(kind="efficacy", probability=given)


def test_a_shape_that_is_not_planned_has_no_threshold():
    with pytest.raises(TypeError, match="planned"):
        at([0.5], shape="pocock", error=0.05)


@pytest.mark.parametrize("looks", [0, 4, 99])
def test_the_smallest_error_has_thresholds_that_can_be_exceeded(looks):
    """The same at all analyses, and further from 1 than what counts as a tie."""
    smallest = Shape(shape="pocock", error=1e-9)
    fractions = tuple((np.arange(looks + 1) + 1.0) / (looks + 1))
    threshold = smallest.planned(fractions).at(np.array(fractions))
    assert (threshold < 1 - 2e-12).all() and (threshold >= 1 - 1.001e-9).all()
    with pytest.raises(ValidationError, match="greater than or equal to"):
        Shape(shape="pocock", error=1e-16)
