"""The final probability of being better, in every final state: what thresholds are chosen from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.decisions import Efficacy, Predictive, PredictiveSuccess, Promote
from sps_adaptive.decisions.claim import Claim
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.bernstein import Supremum, coefficients, supremum
from sps_adaptive.exact.certificate import Null, Totals, one_degree
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Ending

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array, Design
    from sps_adaptive.scenario import Scenario

LOWEST = 0.5
"""Thresholds below this are not considered: states that would not pass one are not kept."""


def efficacy_rule(scenario: Scenario) -> tuple[int, Claim]:
    """Return the one rule of a scenario that declares arms effective, and its place.

    Raises
    ------
    UsageError
        If there is none or more than one, or its threshold alone does not decide.
    """
    found = scenario.claims()
    if len(found) != 1:
        raise UsageError(
            f"the scenario has {len(found) or 'no'} efficacy rules, and a threshold can be found for one",
            "keep one rule of the kind efficacy",
        )
    (place, *inside), rule = found[0]
    if isinstance(rule, Promote):
        raise UsageError(
            "where the control may change a threshold decides more than errors, and none is found",
            "use efficacy in place of promote to find a threshold",
        )
    if inside or not isinstance(rule, Claim) or not isinstance(place, int):
        raise UsageError(
            "the efficacy rule is joined with others, and its threshold alone does not decide",
            "let it stand by itself to find its threshold",
        )
    if isinstance(rule, Efficacy) and rule.test == "conditional":
        raise UsageError(
            "a conditional test finds its critical values by itself",
            "leave the calibration out, or use test: posterior",
        )
    if isinstance(rule, Efficacy) and rule.against != "control":
        raise UsageError(
            "a threshold can be found for comparisons with the control", "compare with the control, or simulate"
        )
    return place, rule


def claims_only_at_end(scenario: Scenario) -> bool:
    """Return whether the efficacy rule speaks only at the final analysis: then larger thresholds only take claims away.

    Not so where a rule on the predictive probability of success stops trials: it depends on the threshold too.
    """
    if any(isinstance(rule, Predictive | PredictiveSuccess) for _, rule in scenario.rules()):
        return False
    return scenario.n_looks == 0 or efficacy_rule(scenario)[1].from_look > scenario.n_looks


class Scores(NamedTuple):
    """Final states in which a wrong claim is possible, by decreasing score."""

    score: Float[Array, " X"]
    """The largest probability of being better, over the arms whose claim would be wrong."""
    weight: Float[Array, " X"]
    code: Int[Array, " X"]
    """Which of the totals below."""
    known: Int[Array, "T G"]
    responders: Int[Array, "T G"]
    """Known outcomes and responders of each group of arms."""

    def largest_error(self, null: Null, n: int, width: float) -> Supremum:
        """Return the largest probability, over a null, of the first n states."""
        weight = np.bincount(self.code[:n], self.weight[:n], len(self.known))
        radix = (int(self.known.max(initial=0)) + 1,) * len(null.groups)
        totals, which = np.unique(np.ravel_multi_index(tuple(self.known.T), radix), return_inverse=True)
        weights: dict[Totals, Float[Array, "..."]] = {(0,) * len(null.groups): np.zeros((1,) * len(null.groups))}
        for number, total in enumerate(zip(*np.unravel_index(totals, radix), strict=True)):
            here = np.flatnonzero((which == number) & (weight > 0))
            if len(here):
                known = tuple(int(each) for each in total)
                weights[known] = np.zeros([each + 1 for each in known])
                weights[known][tuple(self.responders[here].T)] = weight[here]
        tensor = one_degree(weights)
        if tensor is None:
            raise UsageError(
                f"the error can be certified for fewer patients only, where {null.name}", "use fewer patients or arms"
            )
        return supremum(coefficients(tensor), width, below=null.below, margin=null.margin)


def final_scores(design: Design, ending: Ending) -> Float[Array, "R A"]:
    """Return what the efficacy rule compares with its threshold in final states of trials that went to the end."""
    better = ending.posterior.prob_better(design.control, design.efficacy_margin)
    rule = next((each for each in design.decisions if isinstance(each, Claim)), None)
    if rule is None or rule.multiplicity == "none":
        return better
    judged = np.tile(np.array(ending.end.judged), (len(better), 1))
    judged[:, design.control] = False
    return rule.counted_among(better, judged, np.zeros_like(judged), design.control)


class Collector:
    """Keeps the scores of final states, for one null."""

    def __init__(self, null: Null, design: Design) -> None:
        self._null, self._design = null, design
        self._pieces: list[tuple[Array, ...]] = []

    def add(self, ending: Ending) -> None:
        """Keep what a trial that went to the end might claim."""
        arms = [arm for arm in self._null.wrong if ending.end.is_open[arm]]
        if ending.end.look != 0 or not arms:
            return
        score = final_scores(self._design, ending)[:, arms].max(axis=1)
        kept = np.flatnonzero((score > LOWEST) & (ending.weight > 0))
        if len(kept) == 0:
            return
        known, responders = counts(ending.batch.rows()[kept])
        groups = self._null.groups
        k = np.stack([known[:, group].sum(axis=1) for group in groups], axis=1)
        s = np.stack([responders[:, group].sum(axis=1) for group in groups], axis=1)
        self._pieces.append((score[kept], ending.weight[kept], k, s))

    def scores(self) -> Scores:
        """Return all that was kept, sorted."""
        groups = len(self._null.groups)
        if not self._pieces:
            none = np.zeros((0, groups), np.int64)
            return Scores(np.empty(0), np.empty(0), np.empty(0, np.int64), none, none)
        score, weight, k, s = (np.concatenate(each) for each in zip(*self._pieces, strict=True))
        order = np.argsort(-score, kind="stable")
        radix = (int(k.max()) + 1,) * (2 * groups)
        found, code = np.unique(np.ravel_multi_index((*k.T, *s.T), radix)[order], return_inverse=True)
        both = np.stack(np.unravel_index(found, radix), axis=1)
        return Scores(score[order], weight[order], code, both[:, :groups], both[:, groups:])
