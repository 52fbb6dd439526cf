"""The trial, all its paths at once: the loop over looks of `trial.run` with states in place of replicates.

A state is what the data of a trial come to; its weight is the number of ways to get there, each with the probability
of the allocations on the way. The response rates do not enter (see `transition`), so that one pass serves every truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.contracts import Design, Look, Posterior, Stop
from sps_adaptive.exact.calendar import Course
from sps_adaptive.exact.layout import Batch, Chosen, Layer, grown, layer
from sps_adaptive.exact.posterior import CellPosterior, counts, priors_of
from sps_adaptive.exact.stages import Point, Stage, branch, points, settling, stage
from sps_adaptive.exact.transition import cells_reached, growth, push
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.verdicts import decide, judge, outcome_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

BATCH = 60_000
"""About how many states are worked on at a time: few enough to stay in the cache of a processor."""

FEW = 0.4
"""States that are fewer than this share of a batch are judged one by one: products of matrices are for whole cells."""

Arms = tuple[bool, ...]
"""Yes or no for each arm."""


class Standing(NamedTuple):
    """What has been decided so far on a path."""

    is_open: Arms
    is_claimed: Arms
    control: int
    """The arm that the others are compared with."""


class End(NamedTuple):
    """How enrolment ended on a path."""

    look: int
    """Number of the look, from 1, at which the trial stopped; 0 if it went to the end."""
    stop: Stop
    is_open: Arms
    """The arms that were open when enrolment ended."""
    is_claimed: Arms
    """The arms declared effective at looks."""
    judged: Arms
    """The arms that the final analysis judges."""
    control: int
    """The arm that they are compared with."""


class Ending(NamedTuple):
    """Final states that ended alike, and what the final analysis says in each of them."""

    end: End
    enrolled: int
    """Patients enrolled."""
    batch: Batch | Chosen
    """The states: patients, known outcomes and responders of each arm."""
    weight: Float[Array, " R"]
    is_claimed: Bool[Array, "R A"]
    """The arms declared effective, at a look or now."""
    meets_efficacy: Bool[Array, "R A"]
    """The arms that meet efficacy now."""
    outcome: Int[Array, " R"]
    """Position in `tables.OUTCOMES`."""
    posterior: Posterior


class Seen(NamedTuple):
    """The states at a look that takes place, before anything is decided."""

    look: int
    """From 1."""
    batch: Batch
    weight: Float[Array, " R"]


class Allocated(NamedTuple):
    """The states in which a trial goes on after a look, with the probabilities for the next patients."""

    look: int
    """From 1."""
    batch: Batch
    weight: Float[Array, " R"]
    probabilities: Float[Array, "R A"]


Weights = dict[Standing, tuple[Layer, "Float[Array, 'P S']"]]
"""For what has been decided: the states, and their weights by how those pending are divided among the arms."""

Watch = Callable[[Seen | Allocated], None]


def walk(design: Design, course: Course, watch: Watch | None = None, sizes: Sequence[int] = ()) -> Iterator[Ending]:
    """Yield all final states of a trial.

    Parameters
    ----------
    design
        The design; its analysis is Beta-binomial.
    course
        How many patients are enrolled and settled at each look.
    watch
        Is shown the states at each look.
    sizes
        Numbers of patients, smaller than the largest, at which the trial might as well end: the final states of these
        trials are yielded too. Only for rules that do not depend on the largest number.

    Yields
    ------
    Ending
        Every final state that can be reached; some more than once, after different looks. Those with `look` 0 are
        of a trial that went to the end of `enrolled` patients, the others belong to all trials larger than that.
    """
    arms, everybody = len(design.arms), (True,) * len(design.arms)
    path, block = path_of(course), design.allocation.block_length(arms)
    states: Weights = {
        Standing(everybody, (False,) * arms, design.control): (
            layer(np.zeros((1, arms)), 0, course.missing > 0),
            np.ones((1, 1)),
        )
    }
    for k in range(len(path) - 1):
        if not states:  # every path has ended at a look
            return
        cells = np.concatenate([where.cells for where, _ in states.values()])
        onward = Onward(stage(arms, path, k, block, course.patients), cells, course.missing)
        ends = {
            size: Onward(branch(arms, path[k], block, size), cells, course.missing)
            for size in sizes
            if path[k].enrolled < size <= path[k + 1].enrolled and size < course.patients
        }
        stopped: dict[End, Onward] = {}
        for standing, (where, weight) in states.items():
            for batch in where.batches(BATCH):
                here = weight[:, batch.place]
                if k == 0:
                    pi = design.allocation.start(np.ones((batch.size, arms), bool), design.control)
                    for each in (onward, *ends.values()):
                        each.push(standing, batch, here, pi, pi[:1])
                    continue
                if watch is not None:
                    watch(Seen(course.looks[k - 1].k + 1, batch, here.sum(axis=0)))
                yield from hold_look(
                    design, course, k - 1, path[k], standing, batch, here, (onward, *ends.values()), stopped, watch
                )
        for end, settled in stopped.items():
            for where, weight in settled.arrived().values():
                for batch in where.batches(BATCH):
                    yield final_analysis(design, course, end, batch, weight[0, batch.place], path[k].enrolled)
        for size, each in ends.items():
            yield from to_the_end(design, course, each.arrived(), size)
        states = onward.arrived()
    yield from to_the_end(design, course, states, course.patients)


def to_the_end(design: Design, course: Course, states: Weights, patients: int) -> Iterator[Ending]:
    """Judge the trials that went to the end."""
    for standing, (where, weight) in states.items():
        judged = tuple(o or c for o, c in zip(standing.is_open, standing.is_claimed, strict=True))
        end = End(0, Stop.NO, standing.is_open, standing.is_claimed, judged, standing.control)
        for batch in where.batches(BATCH):
            yield final_analysis(design, course, end, batch, weight[0, batch.place], patients)


def path_of(course: Course) -> list[Point]:
    """Return the points of the trial, from the opening to the final analysis."""
    enrolled = (0, *(look.enrolled for look in course.looks), course.patients)
    settled = (0, *(look.settled for look in course.looks), course.patients)
    return points(enrolled, settled)


def look_at(
    design: Design,
    course: Course,
    k: int,
    enrolled: int,
    is_open: Arms,
    is_claimed: Arms,
    batch: Batch | Chosen,
    posterior: Posterior,
) -> Look:
    """Return what the rules may see in each state."""
    settled = batch.enrolled()
    known = counts(batch.rows())[0] if batch.thinned else settled
    return Look(
        k=k,
        n_looks=design.schedule.n_looks(course.patients),
        patients=course.patients,
        control=design.control,
        first_control=design.control,
        n_enrolled=np.full(batch.size, enrolled),
        n_known=known.sum(axis=1),
        arm_enrolled=settled,  # rules that ask are refused where patients may be pending (`calendar`)
        arm_known=known,
        arm_pending=np.zeros_like(known),  # likewise
        is_open=np.tile(np.array(is_open), (batch.size, 1)),
        is_claimed=np.tile(np.array(is_claimed), (batch.size, 1)),
        posterior=posterior,
    )


def posterior_of(design: Design, batch: Batch | Chosen, patients: int) -> Posterior:
    """Return the posterior in each state; the design's analysis must be Beta-binomial."""
    priors = priors_of(design)
    if isinstance(batch, Chosen):
        return BetaPosterior.from_counts(priors, *counts(batch.rows()), patients)
    return CellPosterior(priors, batch, patients)


def hold_look(
    design: Design,
    course: Course,
    number: int,
    point: Point,
    standing: Standing,
    batch: Batch,
    weight: Float[Array, "P R"],
    onwards: Sequence[Onward],
    stopped: dict[End, Onward],
    watch: Watch | None = None,
) -> Iterator[Ending]:
    """Decide in every state of a batch: those that stop end, the others go on with new allocation probabilities.

    Where patients are pending, those who stop go into `stopped`, to be judged when these are settled.
    """
    held = course.looks[number]
    posterior = posterior_of(design, batch, course.patients)
    arms = standing.is_open, standing.is_claimed
    look = look_at(design, course, held.k, point.enrolled, *arms, batch, posterior)
    for said, here in verdicts(design, look, standing):
        mine = weight if here is None else np.where(here, weight, 0.0)
        if here is not None and not mine.any():
            continue
        is_open, control = tuple(o and not c for o, c in zip(standing.is_open, said.close, strict=True)), said.control
        is_claimed = tuple(b or c for b, c in zip(standing.is_claimed, said.claim, strict=True))
        if said.stop != Stop.NO:
            judged = tuple(o or c for o, c in zip(standing.is_open, is_claimed, strict=True))
            end = End(held.k + 1, said.stop, is_open, is_claimed, judged, control)
            if point.enrolled == point.settled:
                yield final_analysis(design, course, end, batch, mine[0], point.enrolled)
                continue
            if end not in stopped:
                stopped[end] = Onward(settling(len(design.arms), point), onwards[0].cells, course.missing)
            nobody_dealt = np.zeros((batch.size, len(design.arms)))
            stopped[end].push(Standing(is_open, is_claimed, control), batch, mine, nobody_dealt, nobody_dealt[:1])
            continue
        now = look._replace(is_open=np.tile(np.array(is_open), (batch.size, 1)), control=control)
        pi = design.allocation.probabilities(now)
        if watch is not None:
            watch(Allocated(held.k + 1, batch, mine.sum(axis=0), pi))
        fixed = None if design.allocation.learns else pi[:1]
        for onward in onwards:
            onward.push(Standing(is_open, is_claimed, control), batch, mine, pi, fixed)


class Said(NamedTuple):
    """A verdict that is the same in many states."""

    stop: Stop
    close: Arms
    claim: Arms
    control: int


def verdicts(design: Design, look: Look, standing: Standing) -> list[tuple[Said, Bool[Array, " R"] | None]]:
    """Return the different verdicts at a look, and in which states each is given; None: in all."""
    nobody = (False,) * len(design.arms)
    if not any(rule.applies(look) for rule in design.decisions):
        return [(Said(Stop.NO, nobody, nobody, standing.control), None)]
    is_claimed = np.tile(np.array(standing.is_claimed), (len(look.is_open), 1))
    decision = decide(design, look, is_claimed, np.full(len(look.is_open), standing.control))
    arms = len(design.arms)
    bits = 1 << np.arange(arms)
    code = (decision.close @ bits) + (decision.claim @ bits) * 2**arms
    code = decision.stop + len(Stop) * (decision.control + arms * code)
    given = np.unique(code)
    found = []
    for each in given:
        first = int(np.argmax(code == each))
        stop, control = Stop(int(decision.stop[first])), int(decision.control[first])
        said = Said(stop, _arms(decision.close[first]), _arms(decision.claim[first]), control)
        found.append((said, None if len(given) == 1 else code == each))
    return found


def final_analysis(
    design: Design, course: Course, end: End, batch: Batch, weight: Float[Array, " R"], enrolled: int
) -> Ending:
    """Judge everybody, followed to the end; see `trial.final_analysis`."""
    reached = np.flatnonzero(weight)
    states: Batch | Chosen = batch
    if len(reached) < FEW * batch.size:
        states, weight = Chosen(batch, reached), weight[reached]
    posterior = posterior_of(design, states, course.patients)
    n_looks = design.schedule.n_looks(course.patients)
    look = look_at(design, course, n_looks, enrolled, end.judged, end.is_claimed, states, posterior)
    running = end.look == 0
    is_claimed = np.tile(np.array(end.is_claimed), (states.size, 1))
    verdict = judge(design, look, np.full(states.size, end.control), is_claimed)
    if running:
        is_claimed |= verdict.claim & np.array(end.is_open)
    outcome = outcome_of(np.full(states.size, running), is_claimed, verdict)
    return Ending(end, enrolled, states, weight, is_claimed, verdict.claim, outcome, posterior)


class Onward:
    """Collects the states at the end of a stage."""

    def __init__(self, ahead: Stage, cells: Int[Array, "C A"], missing: float) -> None:
        self._stage, self.cells, self._missing = ahead, cells, missing
        self._arrived: Weights = {}

    def push(
        self,
        standing: Standing,
        batch: Batch,
        weight: Float[Array, "P R"],
        pi: Float[Array, "R A"],
        fixed: Float[Array, "1 A"] | None,
    ) -> None:
        """Send the states of a batch on.

        Parameters
        ----------
        standing
            What has been decided.
        weight, pi
            Weights and allocation probabilities of its states.
        fixed
            The allocation probabilities, if they are the same in all states of the layer.
        """
        ahead = self._stage
        if standing not in self._arrived:
            cells = grown(self.cells, ahead.steps(standing.is_open, fixed))
            target = layer(cells, ahead.end.settled, batch.thinned)
            self._arrived[standing] = target, np.zeros((ahead.ways_after, target.size))
        target, arrived = self._arrived[standing]
        coefficient = growth(max(1, ahead.end.settled - ahead.begin.settled), self._missing)
        push(
            np.ascontiguousarray(weight), np.ascontiguousarray(pi), batch.cells, batch.start, batch.thinned,
            ahead.how, ahead.pending, coefficient, target.total, target.where, target.start, arrived,
        )  # fmt: skip

    def arrived(self) -> Weights:
        """Return the states that were reached; cells that nobody reached are left out."""
        return {standing: _reached(where, weight) for standing, (where, weight) in self._arrived.items()}


def _reached(where: Layer, weight: Float[Array, "P S"]) -> tuple[Layer, Float[Array, "P S"]]:
    here = np.empty(len(where.cells), bool)
    cells_reached(weight, where.start, here)
    if here.all():
        return where, weight
    kept = np.repeat(here, np.diff(where.start))
    return layer(where.cells[here], where.total, where.thinned), weight[:, kept]


def _arms(mask: Bool[Array, " A"]) -> Arms:
    return tuple(bool(each) for each in mask)
