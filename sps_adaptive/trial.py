"""The trial: the loop over looks, which reads like the synopsis of a protocol. Read `contracts.py` first.

Time is a loop, replicates are an axis. The patients and what would happen to them on each arm are there before
the trial starts; the trial deals arms, looks, decides, and deals again to those not yet enrolled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.contracts import (
    DAYS_PER_MONTH,
    Cohort,
    Design,
    Endpoint,
    Known,
    Look,
    Outcome,
    Posterior,
    Potential,
    Secondary,
    Snapshot,
    Spans,
    Stop,
)  # fmt: skip
from sps_adaptive.openings import at_once, changes, concurrent, has_opened, is_coming, spans, takes
from sps_adaptive.pauses import closed, enrolment_ends, next_look, with_them
from sps_adaptive.posteriors.remembered import Remembered, failures
from sps_adaptive.realisation.balance import covariate_imbalance
from sps_adaptive.tables import LookRecord, SecondaryRecord, TrialRecord
from sps_adaptive.timeline import cut, followed, last_day, n_enrolled_by, pick
from sps_adaptive.verdicts import Decision, allocate, decide, judge, outcome_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

LEVEL = 0.95
"""Level of the reported credible intervals."""


class Dealt(NamedTuple):
    """A randomisation list."""

    arm: Int[Array, "R N"]
    chances: Float[Array, "R N A"]
    """As in `State`."""


class State(NamedTuple):
    """Where a batch of trials stands between two looks."""

    arm: Int[Array, "R N"]
    """Arm dealt to each patient; for those not yet enrolled, what they will get if nothing changes."""
    chances: Float[Array, "R N A"]
    """Probabilities with which each patient was dealt, where the randomisation list keeps account; else N is 0."""
    is_open: Bool[Array, "R A"]
    is_claimed: Bool[Array, "R A"]
    control: Int[Array, " R"]
    """The arm that the others are compared with."""
    looked: Float[Array, " R"]
    """Day of the last look that took place, -inf before the first."""
    running: Bool[Array, " R"]
    stop: Int[Array, " R"]
    stop_look: Int[Array, " R"]
    stop_day: Float[Array, " R"]
    dropped: Int[Array, "R A"]
    """Position of the first patient enrolled after a rule closed the arm; as many as there are patients if none did."""
    judged: Bool[Array, "R A"]
    """Of a stopped trial, the arms that were open when the stopping look began: the final analysis judges them."""


NOTHING: Mapping[str, Potential] = {}


def run(design: Design, cohort: Cohort, potential: Potential, others: Mapping[str, Potential] = NOTHING) -> TrialRecord:
    """Run one trial per replicate.

    Parameters
    ----------
    design
        The design, ready to run.
    cohort
        The patients, R replicates of N.
    potential
        What would happen to each of them on each arm: the only trace of the truth.
    others
        The same on the endpoints beside the primary one, by name.

    Returns
    -------
    TrialRecord
        Everything the tables and a replay need.
    """
    before = cohort
    cohort, potential = closed(cohort, potential, design.closes_at)
    others = with_them(others, before, cohort)
    state, end = start(design, cohort), np.empty(0)
    records = []
    for index in range(design.schedule.n_looks(design.patients)):
        came, outcome = cohort, pick(potential, state.arm)
        day, cohort, potential, outcome = next_look(
            design.schedule, index, cohort, potential, outcome, state.looked, design.closes_at
        )
        others = with_them(others, came, cohort)
        if index == 0 or cohort is not came or potential.known_at.shape[2] > 1:  # otherwise the same at every look
            coming, closed_on = enrolment_ends(cohort, design.closes_at)
            end = np.maximum(last_day(cohort, outcome, coming), closed_on)
        takes_place = state.running & (day < end) & (day > state.looked)
        open_to = spans_of(design, cohort, state.dropped)
        on_day = np.where(takes_place, day, -np.inf)
        snapshot = seen_by(design, design.endpoint, on_day, cohort, state.arm, outcome, None, open_to)
        asked = measured(design, on_day, cohort, state.arm, others, None, open_to, asked_only=True)
        look = look_at(design, index, snapshot, state.is_open, state.is_claimed, design.model.fit(snapshot), asked)
        decision = decide(design, look, state.is_claimed, state.control)
        state, allocation = carry_out(design, cohort, state, look, decision, snapshot, takes_place)
        there = taking(design, cohort, state, snapshot.n_enrolled)
        records.append(
            record(
                design,
                cohort,
                look,
                snapshot,
                decision,
                state,
                there,
                allocation,
                takes_place,
                decision.claim,
                final=False,
            )
        )
    return final_analysis(design, cohort, potential, others, state, records)


def start(design: Design, cohort: Cohort) -> State:
    """Open the trial: all arms open, everybody dealt with the starting probabilities."""
    replicates, patients = cohort.u_arm.shape
    is_open = np.ones((replicates, len(design.arms)), bool)
    nobody_yet, nobody_dropped = np.zeros(replicates, np.int64), np.full(is_open.shape, patients)
    account = np.zeros((replicates, patients if design.dealer.keeps_account else 0, len(design.arms)))
    nobody_dealt = Dealt(np.zeros((replicates, patients), np.int8), account)

    def allocation(open_arms: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        return design.allocation.start(open_arms, design.control)

    dealt, _ = deal_onwards(design, cohort, nobody_dealt, nobody_yet, is_open, nobody_dropped, allocation)
    return State(
        arm=dealt.arm,
        chances=dealt.chances,
        is_open=is_open,
        is_claimed=np.zeros_like(is_open),
        control=np.full(replicates, design.control),
        looked=np.full(replicates, -np.inf),
        running=np.ones(replicates, bool),
        stop=np.zeros(replicates, np.int8),
        stop_look=np.zeros(replicates, np.int16),
        stop_day=np.full(replicates, np.inf),
        dropped=nobody_dropped,
        judged=is_open,
    )


def deal_onwards(
    design: Design,
    cohort: Cohort,
    dealt: Dealt,
    start: Int[Array, " R"],
    is_open: Bool[Array, "R A"],
    dropped: Int[Array, "R A"],
    allocation: Callable[[Bool[Array, "R A"]], Float[Array, "R A"]],
) -> tuple[Dealt, Float[Array, "R A"]]:
    """Deal everybody from `start` on, anew wherever an arm opens or closes by the protocol.

    Returns
    -------
    tuple
        The list, and the probabilities for the patient at `start`; for the last patient, if all are enrolled.
    """
    open_to = spans_of(design, cohort, dropped)
    if open_to is None:
        probabilities = allocation(is_open)
        return deal_from(design, cohort, dealt, start, probabilities), probabilities

    def there(at: Int[Array, " R"]) -> Bool[Array, "R A"]:
        return is_open & takes(open_to, np.minimum(at, design.patients - 1))

    probabilities = allocation(there(start))
    dealt = deal_from(design, cohort, dealt, start, probabilities)
    for at in changes(open_to, start, is_open, design.patients).T:
        dealt = deal_from(design, cohort, dealt, at, allocation(there(at)))
    return dealt, probabilities


def deal_from(
    design: Design, cohort: Cohort, dealt: Dealt, start: Int[Array, " R"], probabilities: Float[Array, "R A"]
) -> Dealt:
    """Deal everybody from `start` on; a list that keeps account is told what the patients before leave owed."""
    arm, chances = dealt
    if not design.dealer.keeps_account:
        nothing = np.zeros(probabilities.shape)
        return Dealt(design.dealer.deal(arm, probabilities, cohort, start, nothing), chances)
    before = (np.arange(arm.shape[1]) < start[:, None])[:, :, None]
    got = arm[:, :, None] == np.arange(len(design.arms))
    owed = np.where(before, chances - got, 0.0).sum(axis=1)
    return Dealt(
        design.dealer.deal(arm, probabilities, cohort, start, owed),
        np.where(before, chances, probabilities[:, None, :]),
    )


def spans_of(design: Design, cohort: Cohort, dropped: Int[Array, "R A"]) -> Spans | None:
    """Return which patients each arm may be dealt to; None where the protocol lets all arms take all of them."""
    return None if design.spans is None else spans(design.spans, cohort, dropped)


def seen_by(
    design: Design,
    endpoint: Endpoint,
    day: Float[Array, " R"],
    cohort: Cohort,
    arm: Int[Array, "R N"],
    outcome: Outcome,
    last_enrolled: Int[Array, " R"] | None,
    open_to: Spans | None,
) -> Snapshot:
    """Return what can be known on a day, with the time on study where the analysis needs it."""
    snapshot = cut(day, cohort, arm, outcome, len(design.arms), last_enrolled, open_to)
    if not endpoint.needs_follow_up:
        return snapshot
    return snapshot._replace(followed=followed(day, cohort, snapshot.arm, outcome))


def measured(
    design: Design,
    day: Float[Array, " R"],
    cohort: Cohort,
    arm: Int[Array, "R N"],
    others: Mapping[str, Potential],
    last_enrolled: Int[Array, " R"] | None,
    open_to: Spans | None,
    *,
    asked_only: bool,
) -> Mapping[str, Known]:
    """Return what is known of the endpoints beside the primary one; at looks of those that a rule asks for."""
    found = {}
    for each in design.others:
        if each.is_asked or not asked_only:
            outcome = pick(others[each.name], arm)
            seen = seen_by(design, each.endpoint, day, cohort, arm, outcome, last_enrolled, open_to)
            found[each.name] = Known(Remembered(each.model.fit(seen)), seen.arm_known, seen.arm_pending)
    return found


def look_at(
    design: Design,
    index: int,
    snapshot: Snapshot,
    is_open: Bool[Array, "R A"],
    is_claimed: Bool[Array, "R A"],
    posterior: Posterior,
    others: Mapping[str, Known],
) -> Look:
    """Return what the rules may see."""
    coming = None
    if snapshot.spans is not None and design.spans is not None:
        day, number = snapshot.day, snapshot.n_enrolled
        enrolling = (number < design.patients) & (day < design.closes_at)
        coming = is_open & is_coming(snapshot.spans, design.spans, number, day, enrolling)
        is_open = is_open & has_opened(snapshot.spans, design.spans, snapshot.n_enrolled)
    return Look(
        k=index,
        n_looks=design.schedule.n_looks(design.patients),
        patients=design.patients,
        control=design.control,
        first_control=design.control,
        n_enrolled=snapshot.n_enrolled,
        n_known=snapshot.n_known,
        arm_enrolled=snapshot.arm_enrolled,
        arm_known=snapshot.arm_known,
        arm_pending=snapshot.arm_pending,
        is_open=is_open,
        is_claimed=is_claimed,
        posterior=Remembered(posterior),
        is_coming=coming,
        others=others,
    )


def carry_out(
    design: Design,
    cohort: Cohort,
    state: State,
    look: Look,
    decision: Decision,
    snapshot: Snapshot,
    takes_place: Bool[Array, " R"],
) -> tuple[State, Float[Array, "R A"]]:
    """Act on a decision where the look takes place: claim, close, stop, and deal again to those not yet enrolled."""
    here = takes_place[:, None]
    is_open = state.is_open & ~(decision.close & here)
    control = np.where(takes_place, decision.control, state.control)
    stops = takes_place & (decision.stop != Stop.NO)
    goes_on = takes_place & ~stops
    not_yet = np.where(goes_on, look.n_enrolled, design.patients)
    closes = here & decision.close & (state.dropped == design.patients)
    dropped = np.where(closes, look.n_enrolled[:, None], state.dropped)

    def allocation(open_arms: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        return allocate(design, look._replace(is_open=open_arms), control)

    before = Dealt(state.arm, state.chances)
    dealt, probabilities = deal_onwards(design, cohort, before, not_yet, is_open, dropped, allocation)
    after = State(
        arm=dealt.arm,
        chances=dealt.chances,
        is_open=is_open,
        is_claimed=state.is_claimed | (decision.claim & here),
        control=control,
        looked=np.where(takes_place, snapshot.day, state.looked),
        running=state.running & ~stops,
        stop=np.where(stops, decision.stop, state.stop),
        stop_look=np.where(stops, look.k + 1, state.stop_look),
        stop_day=np.where(stops, snapshot.day, state.stop_day),
        dropped=dropped,
        judged=np.where(stops[:, None], state.is_open, state.judged),
    )
    return after, np.where(goes_on[:, None], probabilities, 0.0)


def final_analysis(
    design: Design,
    cohort: Cohort,
    potential: Potential,
    others: Mapping[str, Potential],
    state: State,
    records: list[LookRecord],
) -> TrialRecord:
    """Follow everybody enrolled to the end and judge once more.

    A trial that went to the end makes its claims here. A trial that stopped at a look keeps its verdict; the
    final analysis tells whether the patients who were still being followed contradict it.
    """
    replicates, patients = state.arm.shape
    coming, closed_on = enrolment_ends(cohort, design.closes_at)
    n_last = np.where(state.running, coming, n_enrolled_by(state.stop_day, cohort))
    outcome = pick(potential, state.arm)
    followed_until = last_day(cohort, outcome, n_last)
    for each in design.others:
        followed_until = np.maximum(followed_until, last_day(cohort, pick(others[each.name], state.arm), n_last))
    day = np.maximum(followed_until, np.where(state.running, closed_on, state.stop_day))
    open_to = spans_of(design, cohort, state.dropped)
    snapshot = seen_by(design, design.endpoint, day, cohort, state.arm, outcome, n_last, open_to)
    known = measured(design, day, cohort, state.arm, others, n_last, open_to, asked_only=False)
    judged = np.where(state.running[:, None], state.is_open, state.judged) | state.is_claimed
    number = design.schedule.n_looks(design.patients)
    look = look_at(design, number, snapshot, judged, state.is_claimed, design.model.fit(snapshot), known)
    verdict = judge(design, look, state.control, state.is_claimed)
    state = state._replace(
        is_claimed=state.is_claimed | (verdict.claim & state.is_open & state.running[:, None]),
        arm=np.where(np.arange(patients) < n_last[:, None], state.arm, np.int8(-1)),
    )
    everywhere = np.ones(replicates, bool)
    no_more = np.zeros(judged.shape)
    nothing = Decision(verdict.stop, verdict.close, verdict.claim, state.control, np.zeros(judged.shape, np.int8))
    there = taking(design, cohort, state, snapshot.n_enrolled)
    for number, seen in enumerate(records, start=1):  # a stopped trial ended enrolment at the look
        there = np.where((state.stop_look == number)[:, None], seen.is_open, there)
    last = record(design, cohort, look, snapshot, nothing, state, there, no_more, everywhere, verdict.claim, final=True)
    best = np.where(state.is_claimed, look.posterior.mean(), -np.inf)
    return TrialRecord(
        looks=(*records, last),
        outcome=outcome_of(state.running, state.is_claimed, verdict),
        stop=state.stop,
        stop_look=state.stop_look,
        decision_day=np.where(state.running, day, state.stop_day),
        selected=np.where(state.is_claimed.any(axis=1), best.argmax(axis=1), -1),
        arm=state.arm,
        cohort=cohort,
        potential=potential,
        covariate_imbalance=covariate_imbalance(state.arm, cohort.strata, len(design.arms)),
        others=others,
        secondaries=tuple(record_secondary(each, known[each.name], design.control) for each in design.others),
    )


def record_secondary(secondary: Secondary, known: Known, control: int) -> SecondaryRecord:
    """Write down what the final analysis says of an endpoint beside the primary one, on its own scale."""
    effect, scale = known.posterior.difference(control, LEVEL), secondary.scale
    ends = [scale.natural_difference(effect[..., end]) for end in (1, 2)]
    return SecondaryRecord(
        arm_known=known.arm_known,
        estimate=scale.natural(known.posterior.mean()),
        prob_better=known.posterior.prob_better(control),
        effect=scale.natural_difference(effect[..., 0]),
        effect_lower=np.fmin(*ends),
        effect_upper=np.fmax(*ends),
        fit_failed=failures(known.posterior),
    )


def taking(design: Design, cohort: Cohort, state: State, n_enrolled: Int[Array, " R"]) -> Bool[Array, "R A"]:
    """Return which arms the next patient could be dealt; the last one, if all are enrolled.

    Where enrolment closes before that patient comes: which arms were there on the day on which it closed.
    """
    if design.spans is None:
        return state.is_open
    cohort = cohort._replace(enrolled_at=np.minimum(cohort.enrolled_at, design.closes_at))
    span = spans(design.spans, cohort, state.dropped)
    return state.is_open & takes(span, np.minimum(n_enrolled, design.patients - 1))


def concurrent_controls(design: Design, snapshot: Snapshot) -> Int[Array, "R A"]:
    """Return how many patients of the first control were enrolled while each arm could be given too."""
    number = np.repeat(snapshot.arm_enrolled[:, [design.control]], len(design.arms), axis=1)
    if snapshot.spans is None:
        return number
    mine = snapshot.arm == design.control
    for arm in range(len(design.arms)):
        together = concurrent(snapshot.spans, arm, design.control, design.patients)
        number[:, arm] = (mine & together).sum(axis=1)
    return number


def opened_month(design: Design, cohort: Cohort, snapshot: Snapshot) -> Float[Array, "R A"]:
    """Return when the first patient came who could be given each arm; 0 if it was there from the beginning."""
    month = np.zeros((len(snapshot.day), len(design.arms)))
    if snapshot.spans is None or design.spans is None:
        return month
    first = np.minimum(snapshot.spans.begin, design.patients - 1)
    came = np.take_along_axis(cohort.enrolled_at, first, axis=1) / DAYS_PER_MONTH
    has = has_opened(snapshot.spans, design.spans, snapshot.n_enrolled)
    return np.where(has, np.where(at_once(design.spans), 0.0, came), np.nan)


def record(
    design: Design,
    cohort: Cohort,
    look: Look,
    snapshot: Snapshot,
    decision: Decision,
    state: State,
    there: Bool[Array, "R A"],
    allocation: Float[Array, "R A"],
    took_place: Bool[Array, " R"],
    meets_efficacy: Bool[Array, "R A"],
    *,
    final: bool,
) -> LookRecord:
    """Write down what a look saw and decided, on the endpoint's own scale."""
    scale, posterior = design.scale, look.posterior
    mean = posterior.mean()
    effect = np.stack([mean - mean[:, [design.control]]] * 3, axis=-1)
    effect[..., 1:] = np.nan
    if final:
        effect = posterior.difference(design.control, LEVEL)
    elif snapshot.spans is not None:  # the control's patients may be others than those of its own mean
        effect[..., 0] = posterior.difference(design.control, LEVEL)[..., 0]
    lower, upper = (scale.natural_difference(effect[..., end]) for end in (1, 2))
    better = posterior.prob_better(design.control, design.efficacy_margin)
    return LookRecord(
        took_place=took_place,
        day=snapshot.day,
        n_enrolled=snapshot.n_enrolled,
        n_known=snapshot.n_known,
        n_pending=snapshot.n_pending,
        stop=np.where(took_place & (not final), decision.stop, Stop.NO),
        is_open=there,
        is_claimed=state.is_claimed,
        meets_efficacy=meets_efficacy,
        fit_failed=failures(posterior) & took_place,
        is_control=np.arange(len(design.arms)) == state.control[:, None],
        closed_by=np.where(took_place[:, None], decision.closed_by, np.int8(0)),
        arm_enrolled=snapshot.arm_enrolled,
        n_concurrent=concurrent_controls(design, snapshot),
        opened_month=opened_month(design, cohort, snapshot),
        arm_known=snapshot.arm_known,
        arm_total=natural_total(design, snapshot.arm_total, snapshot.arm_known),
        estimate=scale.natural(mean),
        prob_best=posterior.prob_best(look.is_open & state.is_open if not final else look.is_open),
        prob_better=better,
        allocation=allocation,
        effect=scale.natural_difference(effect[..., 0]),
        effect_lower=np.fmin(lower, upper),
        effect_upper=np.fmax(lower, upper),
    )


def natural_total(design: Design, oriented_total: Float[Array, "R A"], count: Int[Array, "R A"]) -> Float[Array, "R A"]:
    """Return sums of outcomes on the endpoint's own scale; turning is affine, so whole numbers stay whole."""
    return design.endpoint.natural(np.zeros(1)) * count + design.endpoint.natural_difference(oriented_total)
