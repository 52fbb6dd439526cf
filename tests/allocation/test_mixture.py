"""Mixtures: weighted means of what their rules say."""

import numpy as np
import pytest

from sps_adaptive.allocation import Equal, Fixed, Mixture, Thompson
from sps_adaptive.errors import DesignError, SpecError
from sps_adaptive.spec import parse_scenario
from sps_adaptive.synopsis import defaults, describe
from tests.allocation.settings import NAMES, paths, setting
from tests.contracts.fakes import look_at_best

ARMS = NAMES[:3]
BEST = [0.1, 0.7, 0.2]
THOMPSON = {"kind": "thompson", "power": 1}


def mixture(*parts, **given):
    rules = [{"weight": weight, "rule": part} for weight, part in parts]
    return Mixture.model_validate({"kind": "mixture", "rules": rules, **given})


def test_it_is_the_weighted_mean():
    ratio = dict(zip(ARMS, (2, 1, 1), strict=True))
    mixed = mixture((1, THOMPSON), (3, {"kind": "fixed", "ratio": ratio})).bind(ARMS)
    look = look_at_best(BEST)
    expected = (np.array(BEST) + 3 * np.array([0.5, 0.25, 0.25])) / 4
    np.testing.assert_allclose(mixed.probabilities(look), [expected], atol=1e-15)
    start = mixed.start(np.ones((1, 3), bool), 0)
    np.testing.assert_allclose(start, [(1 / 3 + 3 * np.array([0.5, 0.25, 0.25])) / 4], atol=1e-15)


def test_closed_arms_get_nothing_from_any_rule():
    mixed = mixture((1, THOMPSON), (1, {"kind": "equal"})).bind(ARMS)
    found = mixed.probabilities(look_at_best(BEST, is_open=[[True, False, True]]))
    np.testing.assert_allclose(found, [[(1 / 3 + 1 / 2) / 2, 0, (2 / 3 + 1 / 2) / 2]], atol=1e-15)


def test_a_mixture_may_hold_a_mixture():
    inner = {"kind": "mixture", "rules": [{"weight": 1, "rule": THOMPSON}, {"weight": 1, "rule": {"kind": "equal"}}]}
    mixed = mixture((1, inner), (1, {"kind": "equal"}))
    assert isinstance(mixed.rules[0].rule, Mixture) and isinstance(mixed.rules[0].rule.rules[0].rule, Thompson)
    found = mixed.bind(ARMS).probabilities(look_at_best(BEST))
    np.testing.assert_allclose(found, [np.array(BEST) / 4 + 1 / 4], atol=1e-12)


def test_it_asks_for_what_its_rules_ask_for():
    coin = {"kind": "doubly_adaptive", "target": "equal"}
    assert not mixture((1, THOMPSON), (1, {"kind": "equal"})).counts_enrolled
    assert (
        mixture((1, THOMPSON), (1, coin)).counts_enrolled
        and mixture((1, THOMPSON), (1, coin)).bind(ARMS).counts_enrolled
    )
    assert mixture((1, THOMPSON), (1, coin)).bound_to_size() is None
    assert mixture((1, {"kind": "thompson"}), (1, coin)).bound_to_size() == "power: n/2N"


def test_it_is_realised_as_a_whole():
    assert mixture((1, THOMPSON), (1, {"kind": "equal"}), block=4).bind(ARMS).block_length(3) == 4
    assert mixture((1, THOMPSON), (1, {"kind": "equal"}), realisation="independent").bind(ARMS).block_length(3) == 0
    wrong = mixture((1, {**THOMPSON, "block": 6}), (1, {"kind": "equal", "realisation": "independent"}))
    assert paths(wrong.problems(setting())) == [("rules", 0, "rule", "block"), ("rules", 1, "rule", "realisation")]


def test_problems_of_its_rules_are_its_own():
    ratio = {"arm 0": 1, "arm 1": 1, "elsewhere": 1}
    wrong = mixture((1, {**THOMPSON, "floor": 0.4}), (1, {"kind": "fixed", "ratio": ratio}))
    assert paths(wrong.problems(setting())) == [
        ("rules", 0, "rule", "floor"), ("rules", 1, "rule", "ratio", "elsewhere"), ("rules", 1, "rule", "ratio"),
    ]  # fmt: skip


def test_it_needs_two_rules():
    with pytest.raises(ValueError, match="at least 2 items"):
        mixture((1, THOMPSON))


def test_it_is_told_by_its_parts():
    told = mixture((1, {"kind": "equal"}), (3, {"kind": "fixed", "ratio": dict.fromkeys(ARMS, 1)})).words(ARMS)
    assert told == "a mixture of 25% (equal) and 75% (1:1:1)"
    assert isinstance(mixture((1, {"kind": "equal"}), (3, THOMPSON)).rules[0].rule, Equal)
    assert Fixed.model_fields["block"].default is None


YAML = """title: a mixture
arms: {a: {control: true}, b: {}}
population: {patients: 20, accrual: {kind: steady, patients_per_month: 1}}
endpoints: {y: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {y: {kind: beta_binomial}}
looks: {kind: enrolled, first: 5, every: 5}
allocation:
  kind: mixture
  rules:
    - {weight: 1, rule: {kind: thompson, floor: 0.1}}
    - {weight: 1, rule: RULE}
decisions: [{kind: efficacy, probability: 0.95}]
truths: {truth: {y: {a: 0.3, b: 0.6}}}
"""


@pytest.mark.parametrize(
    "rule, error, told",
    [
        ("{kind: thompson, powr: 1}", SpecError, "11:42: allocation.rules.1.rule: unknown key 'powr'"),
        ("{kind: thomson}", SpecError, "11:25: allocation.rules.1.rule: kind 'thomson' is not known"),
        ("{kind: thompson, floor: 0.6}", DesignError, "allocation.rules.1.rule.floor: floors of 0.6 for 2 arms"),
        ("{kind: fixed, ratio: {a: 1, c: 1}}", DesignError, "allocation.rules.1.rule.ratio: nothing is said about b"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_place(rule, error, told):
    with pytest.raises(error) as found:
        parse_scenario(YAML.replace("RULE", rule), "file.yaml")
    assert told in str(found.value)


def test_a_scenario_with_a_mixture_is_read_and_told():
    scenario = parse_scenario(YAML.replace("RULE", "{kind: equal}"), "file.yaml")
    assert "Randomisation: a mixture of 50%" in " ".join(describe(scenario))
    told = [line.split(" = ")[0] for line in defaults(scenario)]
    assert "allocation.realisation" in told and "allocation.rules.1.rule.ceiling" in told
    assert not any(path.endswith("rule.realisation") for path in told)
