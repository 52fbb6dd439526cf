"""What the rules of a design say together, at a look and at the final analysis. Both engines ask here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.contracts import Design, Look, Stop, Verdict

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

    from sps_adaptive.contracts import Array


def decide(design: Design, look: Look, is_claimed: Bool[Array, "R A"]) -> Verdict:
    """Ask the rules in order; the first that stops a trial has the last word on it.

    A rule sees the arms that the rules before it have left open. A trial without an open experimental arm stops:
    for efficacy if any arm was declared effective, for futility if none was.
    """
    stop = np.zeros(len(look.is_open), np.int8)
    is_open, claim = look.is_open, np.zeros_like(look.is_open)
    for rule in design.decisions:
        said = rule.verdict(look._replace(is_open=is_open))
        undecided = stop == Stop.NO
        claim = claim | (said.claim & undecided[:, None])
        is_open = is_open & ~(said.close & undecided[:, None])
        stop = np.where(undecided, said.stop, stop).astype(np.int8)
    left = np.delete(is_open, look.control, axis=1).any(axis=1)
    reason = np.where((is_claimed | claim).any(axis=1), Stop.EFFICACY, Stop.FUTILITY)
    stop = np.where((stop == Stop.NO) & ~left, reason, stop).astype(np.int8)
    return Verdict(stop, look.is_open & ~is_open, claim)


def judge(design: Design, look: Look) -> Verdict:
    """Ask the rules that speak at the final analysis, each about all arms judged: nothing is left to stop or close.

    The trial is found futile when a futility rule is met and no arm meets efficacy.
    """
    said = [rule.verdict(look) for rule in design.decisions if rule.at_final]
    claim = np.logical_or.reduce([verdict.claim for verdict in said] or [np.zeros_like(look.is_open)])
    futile = np.logical_or.reduce([verdict.stop == Stop.FUTILITY for verdict in said] or [claim[:, 0] & False])
    stop = np.where(claim.any(axis=1), Stop.EFFICACY, np.where(futile, Stop.FUTILITY, Stop.NO))
    return Verdict(stop.astype(np.int8), np.zeros_like(claim), claim)


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
