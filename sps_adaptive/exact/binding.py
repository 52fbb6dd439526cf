"""Rules that must know the paths of their trial: predictive probabilities and conditional tests.

Both engines run the designs that are made here. For other designs these are those of the scenario.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

from sps_adaptive.arrays import TIE
from sps_adaptive.contracts import DecisionRule, Design, Look
from sps_adaptive.decisions import AnyOf, Efficacy, Predictive
from sps_adaptive.decisions.claim import Claim
from sps_adaptive.decisions.joined import Joined
from sps_adaptive.decisions.rule import Rule
from sps_adaptive.errors import UsageError
from sps_adaptive.scenario import Scenario

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array, CriticalValues, PredictiveTable, ProportionPosterior
    from sps_adaptive.exact.calendar import Course


def designs(scenario: Scenario) -> dict[str, Design]:
    """Return the designs of a scenario, ready to run.

    Raises
    ------
    UsageError
        If a rule needs the paths of a trial whose paths cannot be summed.
    """
    made = scenario.designs()
    if not _needs_paths(scenario):
        return made
    return dict(_bound(_Key(scenario)))


def refuse_unsummable(scenario: Scenario) -> None:
    """Refuse, before anything runs, a scenario that has rules about paths that cannot be summed.

    Raises
    ------
    UsageError
        If a rule needs the paths of the trial, and they cannot be summed.
    """
    if not _needs_paths(scenario):
        return
    from sps_adaptive.exact.calendar import reasons_against_paths

    if reasons := reasons_against_paths(scenario):
        raise UsageError(
            f"a predictive rule or a conditional test needs a trial whose paths can be summed: {reasons[0]}",
            "use rules on the posterior probability, or change what stands in the way",
        )


def _needs_paths(scenario: Scenario) -> bool:
    return any(isinstance(rule, Predictive) or is_conditional(rule) for _, rule in scenario.rules())


def is_conditional(rule: object) -> bool:
    """Return whether a rule is a conditional test."""
    return isinstance(rule, Efficacy) and rule.test == "conditional"


class _Key:
    """A scenario as a key: equal where its designs are."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.digest = scenario, scenario.digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@lru_cache(maxsize=8)
def _bound(key: _Key) -> tuple[tuple[str, Design], ...]:
    from sps_adaptive.exact.calendar import course

    refuse_unsummable(key.scenario)
    return tuple((name, bound(design, course(key.scenario, design))) for name, design in key.scenario.designs().items())


def bound(design: Design, plan: Course) -> Design:
    """Return a design whose rules know its paths, also those that are joined with others."""
    before_end = design._replace(decisions=tuple(without_conditional(design.decisions)))

    def with_paths(rule: DecisionRule) -> DecisionRule:
        if isinstance(rule, Joined):
            return rule.of([with_paths(each) for each in rule.inner])
        if isinstance(rule, Predictive):
            return rule.bind(predictive_table(design, plan))
        if isinstance(rule, Efficacy) and is_conditional(rule):
            return rule.bind(critical_values(before_end, plan, 1 - rule.stated[-1]))
        return rule

    return design._replace(decisions=tuple(map(with_paths, design.decisions)))


def without_conditional(rules: Sequence[DecisionRule]) -> Iterator[DecisionRule]:
    """Yield the rules that speak before the final analysis, where conditional tests do not."""
    for rule in rules:
        if isinstance(rule, Joined):
            left = list(without_conditional(rule.inner))
            if len(left) == len(rule.inner) or (left and isinstance(rule, AnyOf)):
                yield rule.of(left)  # from `all_of` nothing follows where one of its rules is silent
        elif not is_conditional(rule):
            yield rule


def predictive_table(design: Design, plan: Course) -> PredictiveTable:
    """Return the predictive probabilities of a design, found when they are first asked for."""
    from sps_adaptive.exact.backward import Table, predictive

    tables: dict[tuple[bool, ...], dict[int, Table]] = {}
    counts_claims = any(_corrected(rule) for rule in design.decisions)

    def probability(look: Look) -> Float[Array, "R A"]:
        known, responders = cast("ProportionPosterior", look.posterior).counts()
        found = np.zeros(look.is_open.shape)
        arms = len(design.arms)
        standings: Bool[Array, "R B"] = np.concatenate([look.is_open, look.is_claimed & counts_claims], axis=1)
        for each in np.unique(standings, axis=0):
            standing = tuple(bool(one) for one in each)
            if standing not in tables:
                tables[standing] = predictive(design, plan, standing[:arms], standing[arms:])
            here = (standings == each).all(axis=1)
            table = tables[standing].get(look.k)
            if table is None:  # a look that never takes place
                continue
            in_time = here & (known.sum(axis=1) == table.where.total)  # others are at looks that do not take place
            found[in_time] = table.at(known[in_time], responders[in_time])
        return found

    return probability


def _corrected(rule: DecisionRule) -> bool:
    leaves = [leaf for _, leaf in rule.leaves()] if isinstance(rule, Rule) else []
    return any(isinstance(leaf, Claim) and leaf.multiplicity != "none" for leaf in leaves)


def critical_values(design: Design, plan: Course, level: float) -> CriticalValues:
    r"""Return the critical values of a conditional test, by known outcomes and responders.

    If all arms have the same response rate, the law of the final state given that the trial went to the end with k
    known outcomes and S responders is :math:`g(x) / \sum g`, whatever the rate. The critical value is the smallest
    such that the states above it have a probability of at most the level; ties are rejected together or not at all.

    Notes
    -----
    So the error given S, and with it the error over all S, is at most the level at every common response rate (Fisher's
    exact test is this test for equal allocation and its own order of the states). See Baas, Jacko and Villar (2024),
    arXiv:2407.01055, for such tests in response-adaptive trials.
    """
    from sps_adaptive.exact.posterior import counts
    from sps_adaptive.exact.recursion import walk

    pieces: list[tuple[Array, Array, Array]] = []
    radix = plan.patients + 1
    for ending in walk(design, plan):
        if ending.end.look:
            continue
        open_arms: Bool[Array, " A"] = np.array(ending.end.is_open)
        open_arms[design.control] = False
        better = ending.posterior.prob_better(design.control, design.efficacy_margin)
        known, responders = counts(ending.batch.rows())
        code = known.sum(axis=1) * radix + responders.sum(axis=1)
        pieces.append((code, better[:, open_arms].max(axis=1, initial=-1.0), ending.weight))
    table = np.full(radix * radix, np.inf)
    if pieces:  # otherwise every trial stops at a look
        code, score, weight = (np.concatenate(each) for each in zip(*pieces, strict=True))
        order = np.lexsort((-score, code))
        code, score, weight = code[order], score[order], weight[order]
        for first, last in _runs(code):
            table[code[first]] = _critical(score[first:last], weight[first:last], level)

    def critical(look: Look) -> Float[Array, " R"]:
        known, responders = cast("ProportionPosterior", look.posterior).counts()
        return np.asarray(table[known.sum(axis=1) * radix + responders.sum(axis=1)])

    return critical


def _runs(code: Array) -> list[tuple[int, int]]:
    ends = np.append(np.flatnonzero(np.diff(code)) + 1, len(code))
    return list(zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True))


def _critical(score: Float[Array, " X"], weight: Float[Array, " X"], level: float) -> float:
    """Return the smallest critical value, from scores in decreasing order."""
    beyond = np.cumsum(weight) / weight.sum()
    last_of_ties = np.append(np.diff(score) < -TIE, True)
    allowed = np.flatnonzero(last_of_ties & (beyond <= level + 1e-12))
    following = 0 if len(allowed) == 0 else int(allowed[-1]) + 1
    return float(score[following]) if following < len(score) else -1.0
