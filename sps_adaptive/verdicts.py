"""What the rules of a design say together, at a look and at the final analysis. Both engines ask here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.contracts import Design, Look, Stop, Verdict

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


class Decision(NamedTuple):
    """What the rules of a design decide at a look, all together."""

    stop: Int[Array, " R"]
    """A `Stop` for each replicate."""
    close: Bool[Array, "R A"]
    """Arms that take no more patients."""
    claim: Bool[Array, "R A"]
    """Arms declared effective now."""
    control: Int[Array, " R"]
    """The arm that the others are compared with from now on."""
    closed_by: Int[Array, "R A"]
    """Number of the rule, from 1, that closed the arm now; 0 for none."""


def decide(design: Design, look: Look, is_claimed: Bool[Array, "R A"], control: Int[Array, " R"]) -> Decision:
    """Ask the rules in order; the first that stops a trial has the last word on it.

    A rule sees the arms that the rules before it have left open. Where a rule promotes an arm to control, all rules are
    asked once more, about the arms left and the new control. A trial without an open experimental arm stops: for
    efficacy if any arm was declared effective, otherwise for the reason of the last rule that closed an arm. An
    experimental arm that is left alone because the control was closed counts as declared effective.

    Parameters
    ----------
    design
        The rules.
    look
        What they may see; its `control` is not used.
    is_claimed
        Arms declared effective before.
    control
        The arm that is the control in each replicate.
    """
    before = look.is_open
    decision = Decision(
        stop=np.zeros(len(before), np.int8),
        close=np.zeros_like(before),
        claim=np.zeros_like(before),
        control=control,
        closed_by=np.zeros(before.shape, np.int8),
    )
    reason = np.full(len(before), Stop.FUTILITY, np.int8)
    waiting = np.ones(len(before), bool)
    while waiting.any():
        now = decision.control
        for arm in np.unique(now[waiting]):
            here = waiting & (now == arm)
            decision, reason = ask(design, look._replace(control=int(arm)), decision, reason, here)
        waiting = (decision.control != now) & (decision.stop == Stop.NO)
    is_open = before & ~decision.close
    own = np.arange(before.shape[1]) == decision.control[:, None]
    alone = is_open & ~own & (is_open.sum(axis=1) == 1)[:, None] & (decision.stop == Stop.NO)[:, None]
    claim = decision.claim | alone
    is_over = (decision.stop == Stop.NO) & (~(is_open & ~own).any(axis=1) | alone.any(axis=1))
    if look.is_coming is not None:
        is_over = is_over & ~look.is_coming.any(axis=1)
        claim = decision.claim | (alone & is_over[:, None])
    stop = np.where((is_claimed | claim).any(axis=1), Stop.EFFICACY, reason)
    return decision._replace(stop=np.where(is_over, stop, decision.stop).astype(np.int8), claim=claim)


def ask(
    design: Design, look: Look, decision: Decision, reason: Int[Array, " R"], here: Bool[Array, " R"]
) -> tuple[Decision, Int[Array, " R"]]:
    """Ask every rule once, where the control is that of `look`; return what is decided, and why an arm was closed."""
    stop, close, claim, control, closed_by = decision
    for number, rule in enumerate(design.decisions, start=1):
        said = rule.verdict(look._replace(is_open=look.is_open & ~close))
        undecided = here & (stop == Stop.NO) & (control == look.control)
        claim = claim | (said.claim & undecided[:, None])
        closes = said.close & undecided[:, None] & ~close
        closed_by = np.where(closes, number, closed_by).astype(np.int8)
        close = close | closes
        reason = np.where(closes.any(axis=1), rule.reason, reason).astype(np.int8)
        stop = np.where(undecided, said.stop, stop).astype(np.int8)
        control = np.where(undecided & (said.promote >= 0), said.promote, control)
    return Decision(stop, close, claim, control, closed_by), reason


def allocate(design: Design, look: Look, control: Int[Array, " R"]) -> Float[Array, "R A"]:
    """Return the probabilities for the next patients, by the arm that is the control in each replicate."""
    found = np.zeros(look.is_open.shape)
    for arm in np.unique(control):
        probabilities = design.allocation.probabilities(look._replace(control=int(arm)))
        found = np.where((control == arm)[:, None], probabilities, found)
    return found


def judge(
    design: Design, look: Look, control: Int[Array, " R"], is_claimed: Bool[Array, "R A"] | None = None
) -> Verdict:
    """Ask the rules that speak at the final analysis, each about all arms judged: nothing is left to stop or close.

    The trial is found futile when a futility rule is met and no arm meets efficacy. Where another arm has been promoted
    to control, those declared effective before (`is_claimed`) are compared with the first control as well: they have
    beaten it, or an arm that had.
    """
    found = Verdict.silent(look)
    for arm in np.unique(control):
        here = control == arm
        verdict = _judge(design, look._replace(control=int(arm)))
        found = found._replace(
            stop=np.where(here, verdict.stop, found.stop), claim=np.where(here[:, None], verdict.claim, found.claim)
        )
    moved = control != look.first_control
    if is_claimed is None or not moved.any():
        return found
    kept = moved[:, None] & is_claimed & _judge(design, look._replace(control=look.first_control)).claim
    stop = np.where(kept.any(axis=1), Stop.EFFICACY, found.stop).astype(np.int8)
    return found._replace(stop=stop, claim=found.claim | kept)


def _judge(design: Design, look: Look) -> Verdict:
    said = [rule.verdict(look) for rule in design.decisions if rule.at_final]
    claim = np.logical_or.reduce([verdict.claim for verdict in said] or [np.zeros_like(look.is_open)])
    futile = np.logical_or.reduce([verdict.stop == Stop.FUTILITY for verdict in said] or [claim[:, 0] & False])
    stop = np.where(claim.any(axis=1), Stop.EFFICACY, np.where(futile, Stop.FUTILITY, Stop.NO))
    return Verdict.silent(look)._replace(stop=stop.astype(np.int8), claim=claim)


def outcome_of(running: Bool[Array, " R"], is_claimed: Bool[Array, "R A"], final: Verdict) -> Int[Array, " R"]:
    """Return how each trial ended, as a position in `OUTCOMES` (the seven outcomes that FACTS tells apart).

    Parameters
    ----------
    running
        Whether the trial went to the end.
    is_claimed
        The arms declared effective, at a look or at the end.
    final
        What the rules said at the final analysis.
    """
    succeeded = is_claimed.any(axis=1)
    futile_at_end = final.stop == Stop.FUTILITY
    early = np.where(
        succeeded,
        np.where(futile_at_end, 4, 0),
        np.where(final.claim.any(axis=1), 5, 2),
    )
    late = np.where(succeeded, 1, np.where(futile_at_end, 3, 6))
    return np.where(running, late, early)
