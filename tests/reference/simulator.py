"""One trial, one patient at a time: the slow reference that the engine must repeat patient for patient.

Written from the protocol in words, not from the engine: plain Python, a queue of dated events, nothing batched.
It shares with the engine only what is no decision: the patients (`Cohort`), their potential outcomes
(`Potential`), and the fields of a scenario.

On one day everything happens in this order: patients are enrolled, outcomes are assessed, patients drop out, enrolment
closes, a look falls due, and then an analysis may take place. So a look sees all of its day.

A look falls due when a number of patients, outcomes or events is reached, or on a date. It is held up until enough
outcomes are known and the month is late enough. If enrolment pauses for looks, it does so from the day on which the
look is due to the day of its analysis, and whoever would have come later comes later by as many days. What falls due
while another look is waiting for its analysis, or on the day of one, is no look of its own. Looks are numbered as they
take place.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

DAYS_PER_MONTH = 30.4375
TIE = 1e-12
"""Probabilities closer to a threshold than this are at it, and neither above nor below."""
VANISHING = 1e-12
"""Weights below this share of the largest count as this share of it."""
ALMOST_ONE = 1 - 2**-53

ENROLMENT, ASSESSMENT, DROPOUT, DUE, ANALYSIS = range(5)
ANEW, HELD_UP = range(2)
"""Why a look may be due: a number or a date is reached; what held up an earlier one may be over."""
MOMENT = 1e-6
"""Days: what is nearer than this is on one day, whatever rounding makes of it."""


# ------------------------------------------------------------------------------------------- the plan


@dataclass(frozen=True)
class Rule:
    """One decision rule."""

    kind: str
    margin: float
    probability: tuple[float, ...]
    from_look: int
    then: str = "stop"
    against: str | float = "control"
    control_too: bool = False
    first_control_only: bool = False

    def threshold(self, look: int, is_final: bool) -> float:
        """The entry of the look (1 is the first), the last one for the final analysis."""
        if len(self.probability) == 1 or is_final:
            return self.probability[-1]
        return self.probability[look - 1]


@dataclass(frozen=True)
class Plan:
    """What the protocol of one trial says, in plain numbers."""

    patients: int
    n_arms: int
    control: int
    triggers: tuple[tuple[str, float], ...]
    """When looks fall due: enrolled, assessed, events and their number, or calendar and the day."""
    allocation: str
    """equal, fixed or thompson."""
    block: int
    """Length of a randomisation block; 0: independent."""
    rules: tuple[Rule, ...]
    margin: float
    """Margin of the first efficacy rule: what the probabilities in the tables refer to."""
    ratio: tuple[float, ...] = ()
    power: float | str = "n/2N"
    floor: float = 0.0
    ceiling: float = 1.0
    control_share: float | str | None = None
    minimum_assessed: int = 0
    minimum_day: float = 0.0
    most: int = 1_000_000
    pause: str | float | None = None
    """None, until_assessed, or days."""
    closes_at: float = math.inf
    """Day on which enrolment closes."""
    event: float = 1.0
    """The oriented outcome that is an event."""

    @property
    def n_looks(self) -> int:
        """Looks that there may be at most."""
        return min(len(self.triggers), self.most)


def plan_of(scenario: Any, design: str = "adaptive") -> Plan:
    """Read the plan off a scenario: its own design, or the benchmark without looks."""
    patients = scenario.population.patients
    names = list(scenario.arms)
    rules = [
        Rule(
            rule.kind,
            rule.margin,
            tuple(rule.probability) if isinstance(rule.probability, list) else (rule.probability,),
            rule.from_look,
            getattr(rule, "then", "stop"),
            rule.against,
            getattr(rule, "control_too", False),
            getattr(rule, "first_control_only", False),
        )
        for rule in scenario.decisions
    ]
    margins = [rule.margin for rule in rules if rule.kind in ("efficacy", "promote")]
    common = {
        "patients": patients,
        "n_arms": len(names),
        "control": [arm.control for arm in scenario.arms.values()].index(True),
        "margin": margins[0] if margins else 0.0,
        "event": 1.0 if scenario.endpoint.better == "higher" else 0.0,
    }
    if scenario.population.closes_at_month is not None:
        common["closes_at"] = scenario.population.closes_at_month * DAYS_PER_MONTH
    if design == "fixed":  # equal, permuted blocks of the default length, only a final analysis
        final = [
            Rule(
                "efficacy" if rule.kind == "promote" else rule.kind,
                rule.margin,
                rule.probability[-1:],
                1,
                rule.then,
                rule.against,
                rule.control_too,
            )
            for rule in rules
            if rule.kind not in ("drop_arm", "equivalence")
        ]
        return Plan(triggers=(), allocation="equal", block=2 * len(names), rules=tuple(final), **common)
    given = scenario.allocation
    block = 0
    if given.realisation == "quota":
        block = given.block if given.block is not None else 2 * len(names)
        if given.block is None and given.kind == "fixed":  # a multiple of whole parts, at least twice the arms
            parts = sum(given.ratio.values())
            while parts == int(parts) and block % parts:
                block += 1
            block = max(block, int(parts)) if parts == int(parts) else block
    extra: dict[str, Any] = {}
    if given.kind == "fixed":
        extra["ratio"] = tuple(given.ratio[name] for name in names)
    if given.kind == "thompson":
        extra = {key: getattr(given, key) for key in ("power", "floor", "ceiling", "control_share")}
    if scenario.looks.kind != "none":
        extra |= waiting_of(scenario.looks)
    return Plan(
        triggers=triggers_of(scenario.looks, patients),
        allocation=given.kind,
        block=block,
        rules=tuple(rules),
        **common,
        **extra,
    )


def waiting_of(looks: Any) -> dict[str, Any]:
    """What holds looks up."""
    pause = looks.pause
    return {
        "minimum_assessed": looks.minimum_assessed or 0,
        "minimum_day": (looks.minimum_months or 0.0) * DAYS_PER_MONTH,
        "most": looks.most or 1_000_000,
        "pause": pause if pause is None or isinstance(pause, str) else pause.months * DAYS_PER_MONTH,
    }


def triggers_of(looks: Any, patients: int) -> tuple[tuple[str, float], ...]:
    """All that may make a look fall due."""
    schedules = looks.of if looks.kind == "several" else [looks]
    return tuple((each.kind, number) for each in schedules for number in looks_of(each, patients))


def looks_of(looks: Any, patients: int) -> tuple[float, ...]:
    """The numbers, or the days, at which there may be a look."""
    if looks.kind == "none":
        return ()
    if looks.kind == "calendar":
        if looks.at_months is not None:
            return tuple(month * DAYS_PER_MONTH for month in looks.at_months)
        months, k = [], 0
        while True:
            month = looks.first_month + k * (looks.every_months or 0.0)
            if looks.last_month is not None and month > looks.last_month + 1e-9:
                break
            months.append(month)
            k += 1
            if not looks.every_months or looks.last_month is None:
                break
        return tuple(month * DAYS_PER_MONTH for month in months)
    if looks.at is not None:
        return tuple(n for n in looks.at if n < patients)
    numbers, n = [], looks.first
    while n < patients and (looks.last is None or n <= looks.last):
        numbers.append(n)
        if not looks.every:
            break
        n += looks.every
    return tuple(numbers)


# --------------------------------------------------------------------------------- patients and analysis


@dataclass(frozen=True)
class Patients:
    """One replicate's rows of the cohort and of the potential outcomes, as lists."""

    enrolled_at: Sequence[float]
    dropout_at: Sequence[float]
    u_arm: Sequence[float]
    u_block: Sequence[float]
    covariate: Sequence[float]
    value: Sequence[Sequence[float]]
    """By patient, then arm; oriented."""
    known_at: Sequence[Sequence[float]]
    """By patient, then arm, or one number where the arm does not matter."""

    @classmethod
    def row(cls, cohort: Any, potential: Any, replicate: int) -> Patients:
        """The rows of one replicate; the last visit is the primary outcome."""
        return cls(
            cohort.enrolled_at[replicate].tolist(),
            cohort.dropout_at[replicate].tolist(),
            cohort.u_arm[replicate].tolist(),
            cohort.u_block[replicate].tolist(),
            cohort.covariates[replicate, :, 0].tolist(),
            potential.value[replicate, :, :, -1].astype(float).tolist(),
            potential.known_at[replicate, :, :, -1].tolist(),
        )


class Known(NamedTuple):
    """A known outcome."""

    patient: int
    arm: int
    value: float
    """Oriented."""
    covariate: float
    """Standard score of the baseline."""


class Belief(Protocol):
    """A posterior of one trial."""

    def mean(self) -> list[float]: ...
    def better(self, arm: int, than: int, by: float) -> float: ...
    def best(self, among: list[int]) -> dict[int, float]: ...


Fit = Callable[[list[Known], int], Belief]
"""Known outcomes, in the order of the patients, and the number of arms -> what is believed."""


# ---------------------------------------------------------------------------------------- what comes out


@dataclass
class Seen:
    """What one look, or the final analysis, saw and did."""

    number: int
    """From 1; the final analysis is the number of scheduled looks + 1."""
    day: float
    n_enrolled: int
    n_known: int
    n_pending: int
    arm_enrolled: list[int]
    arm_known: list[int]
    arm_total: list[float]
    estimate: list[float]
    prob_better: list[float]
    """By the margin of the first efficacy rule; for the control 1 if that is negative, else 0."""
    prob_best: list[float]
    """Among the arms open after the look; at the final analysis among the arms judged, and the control."""
    is_open: list[bool]
    is_claimed: list[bool]
    meets_efficacy: list[bool]
    """Whether an efficacy rule that was heard found its condition met."""
    control: int
    """The arm that the others are compared with after the look."""
    stop: str
    allocation: list[float]
    """Zeros where nobody is randomised any more."""
    heard: list[tuple[int, int, float, float]] = field(default_factory=list)
    """Every comparison made: rule, arm, probability, threshold."""


@dataclass
class Trial:
    """What happened in one trial."""

    arm: list[int]
    looks: list[Seen]
    final: Seen
    stop: str
    stop_look: int
    decision_day: float
    outcome: str
    selected: int

    def closest_call(self) -> float:
        """How near any probability came to the threshold it was compared with."""
        return min((abs(p - t) for seen in [*self.looks, self.final] for _, _, p, t in seen.heard), default=math.inf)


# ---------------------------------------------------------------------------------------- randomisation


def projected(weights: dict[int, float], shared: float, floor: float, ceiling: float) -> dict[int, float]:
    """Shares clip(scale * weight, floor, ceiling) that sum to `shared`, the scale found by bisection."""
    number = len(weights)
    equal = shared / number
    if ceiling * number < shared:
        ceiling = equal
    floor = min(floor, equal)
    largest = max(weights.values())
    weights = {arm: max(weight / largest, VANISHING) for arm, weight in weights.items()}

    def shares(scale: float) -> dict[int, float]:
        return {arm: min(max(scale * weight, floor), ceiling) for arm, weight in weights.items()}

    low, high = 0.0, 2 * max(ceiling, shared) / min(weights.values())
    while True:
        middle = (low + high) / 2
        if middle <= low or middle >= high:
            break
        if sum(shares(middle).values()) < shared:
            low = middle
        else:
            high = middle
    return shares(high)


def probabilities(
    plan: Plan, control: int, open_arms: list[int], belief: Belief | None, n_enrolled: int
) -> list[float]:
    """With which probabilities the next patients are randomised; `belief` None: before the first look."""
    answer = [0.0] * plan.n_arms
    if plan.allocation == "equal":
        for arm in open_arms:
            answer[arm] = 1 / len(open_arms)
        return answer
    if plan.allocation == "fixed":
        for arm in open_arms:
            answer[arm] = plan.ratio[arm] / sum(plan.ratio[a] for a in open_arms)
        return answer
    others = [arm for arm in open_arms if arm != control]
    if belief is None:
        weight = dict.fromkeys(open_arms, 1.0)
    else:
        best = dict(belief.best(open_arms))
        if plan.control_share == "matched" and control in open_arms:
            best[control] = max(best[arm] for arm in others)
            total = sum(best.values())
            best = {arm: p / total for arm, p in best.items()}
        power = n_enrolled / (2 * plan.patients) if plan.power == "n/2N" else float(plan.power)
        weight = {arm: p**power for arm, p in best.items()}
    own = None
    if plan.control_share == "square_root":
        own = 1 / (1 + math.sqrt(len(others)))
    elif isinstance(plan.control_share, float):
        own = plan.control_share
    if control not in open_arms:  # it has left, and needs no protection
        own = None
    if own is not None:
        answer[control] = own
        del weight[control]
    shares = projected(weight, 1 - (own or 0.0), plan.floor, plan.ceiling)
    for arm, share in shares.items():
        answer[arm] = share
    return answer


class Randomiser:
    """Deals one arm after the other."""

    def __init__(self, plan: Plan, patients: Patients, chances: list[float]) -> None:
        self.plan, self.patients = plan, patients
        self.places: dict[int, float] = {}
        self.change(chances)

    def change(self, chances: list[float]) -> None:
        """The trial went on from a look: new probabilities, and the next patient begins a new block."""
        self.chances = chances
        self.places = {}

    def deal(self, patient: int) -> int:
        place = self._place(patient)
        below = 0.0
        arm = -1
        for candidate, chance in enumerate(self.chances):
            if chance > 0:
                arm = candidate
                below += chance
                if place < below:
                    return arm
        return arm

    def _place(self, patient: int) -> float:
        u = self.patients.u_arm
        if self.plan.block == 0:
            return u[patient]
        if patient not in self.places:  # a block begins
            members = range(patient, min(patient + self.plan.block, self.plan.patients))
            luck = self.patients.u_block[patient]
            free = list(range(len(members)))  # each patient draws one of the places that are left
            for member in members:
                place = free.pop(int(u[member] * len(free)))
                self.places[member] = min((place + luck) / len(members), ALMOST_ONE)
        return self.places[patient]


# -------------------------------------------------------------------------------------------- the trial


class _Trial:
    """The state of one trial while its events happen."""

    def __init__(self, plan: Plan, patients: Patients, fit: Fit) -> None:
        self.plan, self.patients, self.fit = plan, patients, fit
        self.arm: list[int] = []
        self.known: dict[int, float] = {}
        """Outcomes known so far, by patient."""
        self.pending: set[int] = set()
        self.open = [True] * plan.n_arms
        self.claimed: list[int] = []
        self.stop, self.stop_look, self.stop_day = "none", 0, 0.0
        self.open_before_stop: list[int] = []
        self.last_event = 0.0
        """Day on which the last follow-up ended so far."""
        self.seen: list[Seen] = []
        self.held_up = False
        """Whether a look is due and may not take place yet."""
        self.paused_on: float | None = None
        """Day on which a look fell due that has not been analysed yet; enrolment pauses."""
        self.pauses: list[float] = []
        """Length of each pause so far, in days."""
        self.looked = -math.inf
        self.next_comes = math.inf
        """Day on which the next patient comes, as things stand."""
        self.queue: list[tuple[float, int, int]] = []
        self.control = plan.control
        self.randomiser = Randomiser(plan, patients, probabilities(plan, plan.control, self._open(), None, 0))

    def run(self) -> Trial:
        self._expect_patient(0)
        for kind, day in self.plan.triggers:
            if kind == "calendar":
                self._expect(day, DUE, ANEW)
        self._expect(self.plan.minimum_day, DUE, HELD_UP)
        while self.queue:
            day, what, which = heapq.heappop(self.queue)
            (self._enrol, self._assess, self._drop_out, self._due, self._look)[what](day, which)
        return self._final()

    def _expect_patient(self, patient: int) -> None:
        """The next patient will come, unless there is none or enrolment has closed by then."""
        if patient < self.plan.patients:
            self.next_comes = self._later(self.patients.enrolled_at[patient])
            if self.next_comes <= self.plan.closes_at:
                self._expect(self.next_comes, ENROLMENT, patient)

    def _later(self, day: float) -> float:
        """The day that this becomes for somebody who is enrolled after all pauses so far."""
        for length in self.pauses:
            day += length
        return day

    def _expect(self, day: float, what: int, which: int) -> None:
        heapq.heappush(self.queue, (day, what, which))

    def _enrol(self, day: float, patient: int) -> None:
        if self.stop != "none" or self.paused_on is not None or day != self.next_comes or patient != len(self.arm):
            return  # after a pause the patient is expected anew
        arm = self.randomiser.deal(patient)
        self.arm.append(arm)
        self.pending.add(patient)
        by_arm = self.patients.known_at[patient]
        known_at = self._later(by_arm[arm if len(by_arm) > 1 else 0])
        dropout_at = self._later(self.patients.dropout_at[patient])
        if math.isfinite(known_at):
            self._expect(known_at, ASSESSMENT, patient)
        if math.isfinite(dropout_at):
            self._expect(dropout_at, DROPOUT, patient)
        self._expect_patient(patient + 1)
        self._count("enrolled", len(self.arm), day)

    def _assess(self, day: float, patient: int) -> None:
        if patient not in self.pending:
            return
        self.pending.remove(patient)
        self.last_event = day
        self.known[patient] = self.patients.value[patient][self.arm[patient]]
        self._count("assessed", len(self.known), day)
        if self.known[patient] == self.plan.event:
            self._count("events", sum(value == self.plan.event for value in self.known.values()), day)
        if len(self.known) == self.plan.minimum_assessed:
            self._expect(day, DUE, HELD_UP)
        self._everybody_settled(day)

    def _drop_out(self, day: float, patient: int) -> None:
        if patient in self.pending:
            self.pending.remove(patient)
            self.last_event = day
            self._everybody_settled(day)

    def _count(self, what: str, number: int, day: float) -> None:
        """A look is due on the day on which a stated number is reached."""
        if (what, number) in self.plan.triggers:
            self._expect(day, DUE, ANEW)

    def _due(self, day: float, why: int) -> None:
        """A look is due: it is held up, or enrolment pauses for it, or it takes place at once."""
        if why == HELD_UP and not self.held_up:
            return
        if self.paused_on is not None or day <= self.looked + MOMENT:
            return  # one look, not two
        if len(self.known) < self.plan.minimum_assessed or day < self.plan.minimum_day:
            self.held_up = True
            return
        self.held_up = False
        if self.stop != "none" or len(self.seen) == self.plan.most:
            return
        self.paused_on = day
        if self.plan.pause is None:
            self._expect(day, ANALYSIS, 0)
        elif self.plan.pause == "until_assessed":
            self._everybody_settled(day)
        else:
            self._expect(day + self.plan.pause, ANALYSIS, 0)

    def _everybody_settled(self, day: float) -> None:
        """The analysis that a pause is for takes place when nobody is pending."""
        if self.paused_on is not None and self.plan.pause == "until_assessed" and not self.pending:
            self._expect(day, ANALYSIS, 0)

    def _open(self) -> list[int]:
        return [arm for arm, is_open in enumerate(self.open) if is_open]

    def _experimental(self, arms: list[int]) -> list[int]:
        return [arm for arm in arms if arm != self.control]

    def _analyse(self) -> Belief:
        known = [
            Known(patient, self.arm[patient], self.known[patient], self.patients.covariate[patient])
            for patient in sorted(self.known)
        ]
        return self.fit(known, self.plan.n_arms)

    def _look(self, day: float, _: int) -> None:
        paused_on, self.paused_on = self.paused_on, None
        assert paused_on is not None
        enrolment_is_over = len(self.arm) == self.plan.patients or day >= self.plan.closes_at
        if self.stop != "none" or (enrolment_is_over and not self.pending):
            return
        self.looked = day
        number = len(self.seen) + 1
        belief = self._analyse()
        was_open = self._open()
        heard: list[tuple[int, int, float, float]] = []
        meets: set[int] = set()
        self.reason = "futility"
        while self._ask(number, belief, heard, meets):  # all rules once more, with the new control
            pass
        if self.stop == "none" and self.control not in self._open() and len(self._open()) == 1:
            meets |= set(self._open())  # it has outlived the control
            self.claimed += self._open()
            self.stop = "efficacy"
        if self.stop == "none" and not self._experimental(self._open()):
            self.stop = "efficacy" if self.claimed else self.reason
        chances = [0.0] * self.plan.n_arms
        if self.stop != "none":
            self.stop_look, self.stop_day, self.open_before_stop = number, day, was_open
        else:
            chances = probabilities(self.plan, self.control, self._open(), belief, len(self.arm))
            self.randomiser.change(chances)
            if self.plan.pause is not None:
                self.pauses.append(day - paused_on)
                self._expect_patient(len(self.arm))
        self.seen.append(self._report(number, day, belief, heard, meets, chances, self._open()))

    def _ask(self, number: int, belief: Belief, heard: list[tuple[int, int, float, float]], meets: set[int]) -> bool:
        """Ask the rules in order, until one stops the trial or promotes an arm; return whether one was promoted."""
        for position, rule in enumerate(self.plan.rules):
            moved = self.control != self.plan.control
            if number < rule.from_look or (rule.first_control_only and moved):
                continue
            threshold = rule.threshold(number, is_final=False)
            chance = self._chances(position, rule, belief, self._open(), threshold, heard)
            low = [arm for arm, p in chance.items() if threshold - p > TIE]
            high = [arm for arm, p in chance.items() if p - threshold > TIE]
            if rule.kind == "drop_arm":
                while low:
                    if rule.against == "best":  # the best never leaves
                        best = belief.best(self._open())
                        low = [arm for arm in low if best[arm] < max(best.values())]
                    for arm in low:
                        self._close(arm, "futility")
                    if rule.against != "best" or not low:
                        break
                    chance = self._chances(position, rule, belief, self._open(), threshold, heard)
                    low = [arm for arm, p in chance.items() if threshold - p > TIE]
            elif rule.kind == "equivalence":
                if rule.then == "close_arm":
                    for arm in high:
                        self._close(arm, "equivalence")
                elif chance and len(high) == len(chance):
                    self.stop = "equivalence"
            elif rule.kind == "promote":
                if high:
                    winner = max(high, key=lambda arm: belief.better(arm, self.control, 0.0))
                    meets.add(winner)
                    self.claimed.append(winner)
                    self.open[self.control] = False
                    self.control = winner
                    return True
            elif rule.kind == "efficacy":
                meets |= set(high)
                self.claimed += high
                if high and rule.then == "stop":
                    self.stop = "efficacy"
                elif high:
                    for arm in high:
                        self._close(arm, "futility")
            elif chance and len(low) == len(chance):
                self.stop = "futility"
            if self.stop != "none":
                break
        return False

    def _close(self, arm: int, reason: str) -> None:
        self.open[arm] = False
        self.reason = reason

    def _chances(
        self,
        position: int,
        rule: Rule,
        belief: Belief,
        there: list[int],
        threshold: float,
        heard: list[tuple[int, int, float, float]],
        control: int | None = None,
    ) -> dict[int, float]:
        """What a rule compares with its threshold, for each arm that it is about."""
        control = self.control if control is None else control
        arms = there if rule.control_too else [arm for arm in there if arm != control]
        if rule.against == "best":
            best = belief.best(there)
            chance = {arm: best[arm] for arm in arms}
        elif rule.kind == "equivalence":
            chance = {
                arm: belief.better(arm, control, -rule.margin) - belief.better(arm, control, rule.margin)
                for arm in arms
            }
        else:
            chance = {arm: belief.better(arm, control, rule.margin) for arm in arms}
        heard += [(position, arm, p, threshold) for arm, p in chance.items()]
        return chance

    def _final(self) -> Trial:
        stopped = self.stop != "none"
        day = max(self.last_event, self.stop_day) if stopped else self.last_event
        if not stopped and len(self.arm) < self.plan.patients:  # somebody might still have come
            day = max(day, self.plan.closes_at)
        number = self.plan.n_looks + 1
        belief = self._analyse()
        judged = sorted({*(self.open_before_stop if stopped else self._open()), *self.claimed})
        heard: list[tuple[int, int, float, float]] = []
        would_claim: set[int] = set()
        is_futile = False
        for position, rule in enumerate(self.plan.rules):
            if rule.kind in ("drop_arm", "equivalence"):
                continue
            threshold = rule.threshold(number, is_final=True)
            chance = self._chances(position, rule, belief, judged, threshold, heard)
            if rule.kind == "futility":
                is_futile = is_futile or bool(chance and all(threshold - p > TIE for p in chance.values()))
                continue
            would_claim |= {arm for arm, p in chance.items() if p - threshold > TIE}
            if self.control != self.plan.control:  # are those declared effective still better than the first control?
                chance = self._chances(position, rule, belief, judged, threshold, heard, self.plan.control)
                would_claim |= {arm for arm, p in chance.items() if arm in self.claimed and p - threshold > TIE}
        is_futile = is_futile and not would_claim
        if stopped and self.claimed:
            outcome = "success, then futility" if is_futile else "early success"
        elif stopped:
            outcome = "futility, then success" if would_claim else "early futility"
        else:
            self.claimed += sorted(arm for arm in would_claim if self.open[arm])
            neither = "late futility" if is_futile else "inconclusive"
            outcome = "late success" if self.claimed else neither
        mean = belief.mean()
        selected = max(sorted(self.claimed), key=lambda arm: mean[arm]) if self.claimed else -1
        nobody = [0.0] * self.plan.n_arms
        final = self._report(number, day, belief, heard, would_claim, nobody, judged)
        arms = self.arm + [-1] * (self.plan.patients - len(self.arm))
        decision_day = self.stop_day if stopped else day
        return Trial(arms, self.seen, final, self.stop, self.stop_look, decision_day, outcome, selected)

    def _report(
        self,
        number: int,
        day: float,
        belief: Belief,
        heard: list[tuple[int, int, float, float]],
        meets: set[int],
        chances: list[float],
        among: list[int],
    ) -> Seen:
        plan = self.plan
        arms = range(plan.n_arms)
        by_arm = {arm: [p for p in self.known if self.arm[p] == arm] for arm in arms}
        best = belief.best(among)
        return Seen(
            number=number,
            day=day,
            n_enrolled=len(self.arm),
            n_known=len(self.known),
            n_pending=len(self.pending),
            arm_enrolled=[self.arm.count(arm) for arm in arms],
            arm_known=[len(by_arm[arm]) for arm in arms],
            arm_total=[math.fsum(self.known[p] for p in by_arm[arm]) for arm in arms],
            estimate=belief.mean(),
            prob_better=[
                float(plan.margin < 0) if arm == plan.control else belief.better(arm, plan.control, plan.margin)
                for arm in arms
            ],
            prob_best=[best.get(arm, 0.0) for arm in arms],
            is_open=list(self.open),
            is_claimed=[arm in self.claimed for arm in arms],
            meets_efficacy=[arm in meets for arm in arms],
            control=self.control,
            stop=self.stop,
            allocation=list(chances),
            heard=heard,
        )


def simulate(plan: Plan, patients: Patients, fit: Fit) -> Trial:
    """Run one trial."""
    return _Trial(plan, patients, fit).run()
