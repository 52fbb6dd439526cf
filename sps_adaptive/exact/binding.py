"""Rules that must know the paths of their trial: predictive probabilities and conditional tests.

Both engines run the designs that are made here. For other designs these are those of the scenario.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

from sps_adaptive.arrays import TIE
from sps_adaptive.contracts import DecisionRule, Design, Look
from sps_adaptive.decisions import Efficacy, Predictive
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
    if not any(_needs_paths(rule) for design in made.values() for rule in design.decisions):
        return made
    return dict(_bound(_Key(scenario)))


def _needs_paths(rule: DecisionRule) -> bool:
    return isinstance(rule, Predictive) or (isinstance(rule, Efficacy) and rule.test == "conditional")


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
    from sps_adaptive.exact.calendar import course, reasons_against_paths

    if reasons := reasons_against_paths(key.scenario):
        raise UsageError(
            f"a predictive rule or a conditional test needs a trial whose paths can be summed: {reasons[0]}",
            "use rules on the posterior probability, or change what stands in the way",
        )
    return tuple((name, bound(design, course(key.scenario, design))) for name, design in key.scenario.designs().items())


def bound(design: Design, plan: Course) -> Design:
    """Return a design whose rules know its paths."""
    without = tuple(rule for rule in design.decisions if not isinstance(rule, Predictive))
    judging = design._replace(decisions=without)
    rules: list[DecisionRule] = []
    for rule in design.decisions:
        if isinstance(rule, Predictive):
            rules.append(rule.bind(predictive_table(judging, plan)))
        elif isinstance(rule, Efficacy) and rule.test == "conditional":
            level = 1 - (rule.probability[-1] if isinstance(rule.probability, list) else rule.probability)
            others = tuple(each for each in design.decisions if each is not rule)
            rules.append(rule.bind(critical_values(design._replace(decisions=others), plan, level)))
        else:
            rules.append(rule)
    return design._replace(decisions=tuple(rules))


def predictive_table(design: Design, plan: Course) -> PredictiveTable:
    """Return the predictive probabilities of a design, found when they are first asked for."""
    from sps_adaptive.exact.backward import Table, predictive

    tables: dict[tuple[bool, ...], dict[int, Table]] = {}

    def probability(look: Look) -> Float[Array, "R A"]:
        known, responders = cast("ProportionPosterior", look.posterior).counts()
        found = np.zeros(look.is_open.shape)
        for is_open in np.unique(look.is_open, axis=0):
            standing = tuple(bool(each) for each in is_open)
            if standing not in tables:
                tables[standing] = predictive(design, plan, standing)
            here = (look.is_open == is_open).all(axis=1)
            table = tables[standing].get(look.k)
            if table is None:  # a look that never takes place
                continue
            in_time = here & (known.sum(axis=1) == table.where.total)  # others are at looks that do not take place
            found[in_time] = table.at(known[in_time], responders[in_time])
        return found

    return probability


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
