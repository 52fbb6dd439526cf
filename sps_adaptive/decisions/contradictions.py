"""Rules that cannot stand beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from sps_adaptive.arrays import TIE
from sps_adaptive.decisions.any_of import AnyOf
from sps_adaptive.decisions.benefit_risk import BenefitRisk
from sps_adaptive.decisions.joined import Joined
from sps_adaptive.decisions.non_inferiority import NonInferiority
from sps_adaptive.decisions.predictive import Predictive
from sps_adaptive.decisions.predictive_success import PredictiveSuccess
from sps_adaptive.decisions.rule import Path, Rule
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.words import one_less

SMALL = 0.2
"""An arm declared effective above so little was probably meant to have a p-value below it."""

CONSEQUENCE = {
    "claim": "declares an arm effective",
    "close": "closes an arm",
    "give_up": "gives the trial up",
    "promote": "promotes an arm to control",
}
"""What follows from a rule, in plain English."""


class Pair(NamedTuple):
    """Two places that contradict each other."""

    path: Path
    also: Path
    message: str
    hint: str


class Placed(NamedTuple):
    """A rule, and where it stands."""

    path: Path
    rule: Rule
    within: tuple[Rule, ...] = ()
    """The rules that it is joined in."""

    def is_heard(self, number: int, *, is_final: bool) -> bool:
        """Return whether the rule is heard at an analysis, by its number from 1."""
        return all(rule.at_final if is_final else rule.heard_at(number) for rule in (self.rule, *self.within))


def contradictions(rules: Sequence[Rule], n_looks: int, fractions: tuple[float, ...] | None) -> Iterator[Pair]:
    """Yield pairs of rules that cannot be, each with both places.

    Parameters
    ----------
    rules
        The rules of a trial, in order.
    n_looks
        Number of looks before the final analysis.
    fractions
        Planned information at each look; None where it is not known.
    """
    for position, rule in enumerate(rules):
        yield from unlike(Placed((position,), rule))
    leaves = [Placed((k, *path), leaf) for k, rule in enumerate(rules) for path, leaf in rule.leaves()]
    yield from two_meanings(leaves)
    enough = [each for k, rule in enumerate(rules) for each in by_itself(Placed((k,), rule))]
    yield from crossing([resolved(each, fractions) for each in enough], n_looks, fractions)


def by_itself(placed: Placed) -> Iterator[Placed]:
    """Yield the rules that need no other to have a consequence: those of `any_of` too, with the looks of both."""
    if isinstance(placed.rule, Crossing):
        yield placed
    if isinstance(placed.rule, AnyOf):
        within = (*placed.within, placed.rule)
        for k, rule in enumerate(placed.rule.inner):
            yield from by_itself(Placed((*placed.path, "rules", k), rule, within))


def resolved(placed: Placed, fractions: tuple[float, ...] | None) -> Placed:
    """Return a rule with the thresholds that follow from its type I error, where they can be known."""
    if fractions is None:
        return placed
    try:
        return placed._replace(rule=placed.rule.planned(fractions))
    except ValueError:  # no threshold has this error, which is told elsewhere
        return placed


def unlike(joined: Placed) -> Iterator[Pair]:
    """Yield rules that are joined though something else follows from each."""
    if not isinstance(joined.rule, Joined):
        return
    inner = [Placed((*joined.path, "rules", k), rule) for k, rule in enumerate(joined.rule.inner)]
    first = inner[0]
    for other in inner[1:]:
        if consequence(other.rule) != consequence(first.rule):
            yield Pair(
                other.path,
                first.path,
                f"rules that cannot be combined: this one {said(other.rule)}, the first {said(first.rule)}",
                "join rules with the same consequence",
            )
    for each in inner:
        yield from unlike(each)


def consequence(rule: Rule) -> tuple[str, bool, int, bool]:
    """Return what follows from a rule: rules that agree in it can be joined."""
    return rule.effect, rule.stops, int(rule.reason), rule.is_binding


def said(rule: Rule) -> str:
    """Return in plain English what follows from a rule."""
    reason = f" for {rule.reason.name.lower()}" if rule.effect in ("close", "give_up") else ""
    free = "" if rule.is_binding else ", without binding"
    return f"{CONSEQUENCE[rule.effect]}{reason}{' and stops the trial' if rule.stops else ''}{free}"


def two_meanings(leaves: Sequence[Placed]) -> Iterator[Pair]:
    """Yield rules that call an arm effective in two senses: the tables know one."""
    claims = [each for each in leaves if each.rule.claims_beyond is not None]
    weaker = [each for each in claims if isinstance(each.rule, NonInferiority)]
    others = [each for each in claims if not isinstance(each.rule, NonInferiority)]
    if weaker and others:
        later, first = sorted([weaker[0], others[0]], key=lambda each: each.path, reverse=True)
        yield Pair(
            later.path,
            first.path,
            "effective would mean two things: better, and not inferior",
            "keep rules of one of the two kinds",
        )
    for other in weaker[1:]:
        if other.rule.claims_beyond != weaker[0].rule.claims_beyond:
            yield Pair(
                (*other.path, "margin"),
                (*weaker[0].path, "margin"),
                "not inferior by two different margins",
                "use the same margin in both rules",
            )


def crossing(rules: Sequence[Placed], n_looks: int, fractions: tuple[float, ...] | None) -> Iterator[Pair]:
    """Yield rules that give up below a higher threshold than the one above which others claim, of the same probability.

    Equal thresholds are no contradiction: every arm then is declared effective or given up.
    """
    for high, low in product(rules, rules):
        if not (isinstance(high.rule, Crossing) and isinstance(low.rule, Crossing)):
            continue
        if high.rule.effect != "claim" or low.rule.upper or not same_probability(high.rule, low.rule):
            continue
        for number in range(1, n_looks + 2):
            is_final = number > n_looks
            both = (high.rule, low.rule)
            if not all(each.is_heard(number, is_final=is_final) for each in (high, low)):
                continue
            planned = fractions[number - 1] if fractions and not is_final else None
            upper, lower = (rule.threshold_at(number, n_looks, planned) for rule in both)
            if upper is not None and lower is not None and lower - upper > TIE:
                where = "the final analysis" if is_final else f"look {number}"
                yield Pair(
                    (*low.path, "probability"),
                    (*high.path, "probability"),
                    f"at {where} arms are given up below {lower:g} and declared effective above {upper:g}: between the "
                    "two both are true",
                    "lower this threshold or raise the other"
                    + (f"; or is {upper:g} a p-value, for {one_less(upper)}?" if upper < SMALL else ""),
                )
                break


def same_probability(high: Crossing, low: Crossing) -> bool:
    """Return whether two rules compare the same probability of an arm with their thresholds."""
    if getattr(high, "multiplicity", "none") != "none" or getattr(high, "test", "posterior") != "posterior":
        return False
    kinds = {getattr(rule, "against", "control") for rule in (high, low)}
    predicts = {predicted(rule) for rule in (high, low)}
    if high.endpoint != low.endpoint or isinstance(low, BenefitRisk):
        return False
    return len(kinds) == 1 and high.by == low.by and len(predicts) == 1


def predicted(rule: Crossing) -> tuple[object, ...]:
    """Return which success a rule predicts; empty for a rule on what is believed now."""
    if isinstance(rule, PredictiveSuccess):
        return rule.kind, rule.horizon, rule.patients_per_arm, rule.final_probability
    return (rule.kind,) if isinstance(rule, Predictive) else ()
