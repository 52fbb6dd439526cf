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

An arm may open and close by the protocol: with a patient, at the end of a month, or as soon as a rule closes another
arm. Whether a patient can get an arm is asked on the day on which the patient comes. Wherever an arm begins or ends to
be there for patients, the probabilities of the last look are found anew for the arms that are there, and a new
randomisation list begins. Rules judge arms that have opened, that is, that are there from the beginning or that some
patient enrolled could have got, and go on to judge those that the protocol has closed. A trial without experimental
arms goes on while one is to come: it has not opened, the protocol has not closed it, and enrolment goes on. Two arms
are compared by the patients who could have got either, if controls are to be concurrent: an analysis of its own, of
fewer patients.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from statistics import NormalDist
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
    at_looks: tuple[int, ...] | None = None
    against: str | float = "control"
    control_too: bool = False
    first_control_only: bool = False
    multiplicity: str = "none"
    keep: int = 0
    delta: float | None = None
    """Of a threshold with a shape; `probability` then holds the last threshold."""
    inner: tuple[Rule, ...] = ()

    def threshold(self, look: int, is_final: bool, fraction: float) -> float:
        """The entry of the look (1 is the first), the last one for the final analysis."""
        if self.delta is not None:
            normal = NormalDist()
            final = normal.inv_cdf(self.probability[0])
            if is_final:
                fraction = 1.0
            if fraction == 0 and self.delta < 0.5:
                return float(final > 0)
            return normal.cdf(final * fraction ** (self.delta - 0.5))
        if len(self.probability) == 1 or is_final:
            return self.probability[-1]
        return self.probability[look - 1]

    def speaks(self, look: int, is_final: bool) -> bool:
        """Whether the rule is heard; one that joins others only where all of them are, or some."""
        if not is_final and (look < self.from_look or (self.at_looks is not None and look not in self.at_looks)):
            return False
        if self.kind == "all_of":
            return all(rule.speaks(look, is_final) for rule in self.inner)
        if self.kind == "any_of":
            return any(rule.speaks(look, is_final) for rule in self.inner)
        return not (is_final and self.kind in ONLY_AT_LOOKS)

    def first(self) -> Rule:
        """A rule that says what follows: the first of those that are joined."""
        return self.inner[0].first() if self.inner else self


ONLY_AT_LOOKS = ("drop_arm", "harm", "prune", "equivalence")
"""Rules that are not heard at the final analysis."""
CLAIMING = ("efficacy", "non_inferiority", "promote")
GIVING_UP = ("futility",)
REASONS = {"harm": "harm", "equivalence": "equivalence"}
"""Why a trial stops that a rule has stopped, or left without arms; all others: futility."""


def rule_of(rule: Any) -> Rule:
    """Read a rule off a scenario."""
    given = getattr(rule, "probability", ())
    shape = getattr(given, "shape", None)
    if shape is not None:
        probability, delta = (given.final,), {"obrien_fleming": 0.0, "pocock": 0.5}.get(shape, given.delta)
    else:
        probability, delta = tuple(given) if isinstance(given, list | tuple) else (given,), None
    return Rule(
        kind=rule.kind,
        margin=getattr(rule, "margin", 0.0),
        probability=probability,
        from_look=rule.from_look,
        then=getattr(rule, "then", "stop"),
        at_looks=None if rule.at_looks is None else tuple(rule.at_looks),
        against=getattr(rule, "against", "control"),
        control_too=getattr(rule, "control_too", False),
        first_control_only=getattr(rule, "first_control_only", False),
        multiplicity=getattr(rule, "multiplicity", "none"),
        keep=getattr(rule, "keep", 0),
        delta=delta,
        inner=tuple(rule_of(each) for each in getattr(rule, "rules", ())),
    )


def claims_of(rules: Sequence[Rule]) -> list[Rule]:
    """The rules that declare arms effective, also those that are joined with others."""
    alone = [leaf for rule in rules for leaf in (claims_of(rule.inner) if rule.inner else [rule])]
    return [rule for rule in alone if rule.kind in CLAIMING]


def for_final(rule: Rule) -> Rule:
    """The rule of a trial that has only a final analysis."""
    inner = tuple(for_final(each) for each in rule.inner if each.speaks(1, True))
    kind = "efficacy" if rule.kind == "promote" else rule.kind
    last = rule.probability[-1:]
    return replace(rule, kind=kind, probability=last, from_look=1, at_looks=None, inner=inner, delta=None)


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
    """Margin of the first rule that declares arms effective: what the probabilities in the tables refer to."""
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

    realisation: str = "quota"
    """quota or independent (told apart by `block`), permuted_block, urn, stratified or minimisation."""
    mass: float = 0.0
    """Of the urn."""
    factors: tuple[int, ...] = ()
    """Which of the patient's levels are balanced."""
    factor_weights: tuple[float, ...] = ()
    preference: float | None = None
    """Probability of the arm that minimisation prefers."""
    sharpness: float | None = None
    imbalance: str = "range"
    burn_in: int = 0
    """Patients before the probabilities move."""
    burn_in_per_arm: int = 0
    """Patients of an arm before it competes."""
    opens: tuple[tuple[str, float] | None, ...] = ()
    """By arm, if the protocol opens it late: patient and the number of the first, month and the day, or when_closed
    and the other arm."""
    closes: tuple[tuple[str, float] | None, ...] = ()
    """The same for arms that close early; the patient is the last who can get it."""
    concurrent: bool = False
    """Whether arms are compared by the patients who could get either."""


def plan_of(scenario: Any, design: str = "adaptive") -> Plan:
    """Read the plan off a scenario: its own design, or the benchmark without looks."""
    patients = scenario.population.patients
    names = list(scenario.arms)
    rules = [rule_of(rule) for rule in scenario.decisions]
    margins = [-rule.margin if rule.kind == "non_inferiority" else rule.margin for rule in claims_of(rules)]
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
        final = [for_final(rule) for rule in rules if rule.speaks(1, True)]
        return Plan(triggers=(), allocation="equal", block=2 * len(names), rules=tuple(final), **common)
    given = scenario.allocation
    word = given.realisation if isinstance(given.realisation, str) else given.realisation.kind
    section = None if isinstance(given.realisation, str) else given.realisation
    block, stated = 0, section.block if hasattr(section, "block") else given.block
    if word in ("quota", "permuted_block", "stratified"):
        block = stated if stated is not None else 2 * len(names)
        if stated is None and given.kind == "fixed":  # a multiple of whole parts, at least twice the arms
            parts = sum(given.ratio.values())
            while parts == int(parts) and block % parts:
                block += 1
            block = max(block, int(parts)) if parts == int(parts) else block
    extra: dict[str, Any] = {}
    if given.kind == "fixed":
        extra["ratio"] = tuple(given.ratio[name] for name in names)
    if given.kind == "thompson":
        extra = {key: getattr(given, key) for key in ("power", "floor", "ceiling", "control_share")}
        extra |= {key: getattr(given, key) or 0 for key in ("burn_in", "burn_in_per_arm")}
    opens, closes = moments_of(scenario, "opens"), moments_of(scenario, "closes")
    if any(opens) or any(closes):  # otherwise all arms are there throughout
        model = scenario.analysis[next(iter(scenario.endpoints))]
        extra |= {"opens": opens, "closes": closes, "concurrent": model.controls == "concurrent"}
    if scenario.looks.kind != "none":
        extra |= waiting_of(scenario.looks)
    extra["realisation"] = word
    if word == "urn":
        extra["mass"] = section.mass if section else 4.0
    if word in ("stratified", "minimisation"):
        known = [*scenario.population.covariates, "site"]
        extra["factors"] = tuple(known.index(name) for name in section.factors)
    if word == "minimisation":
        extra["factor_weights"] = tuple(section.weights.get(name, 1.0) for name in section.factors)
        extra["sharpness"], extra["imbalance"] = section.sharpness, section.imbalance
        if section.sharpness is None:
            extra["preference"] = 0.8 if section.probability is None else section.probability
    return Plan(
        triggers=triggers_of(scenario.looks, patients),
        allocation=given.kind,
        block=block,
        rules=tuple(rules),
        **common,
        **extra,
    )


def moments_of(scenario: Any, which: str) -> tuple[tuple[str, float] | None, ...]:
    """When the protocol opens, or closes, each arm."""
    names, found = list(scenario.arms), []
    for arm in scenario.arms.values():
        moment = getattr(arm, which)
        if moment is None:
            found.append(None)
        elif which == "opens" and moment.patient == 1:
            found.append(None)  # with the trial
        elif moment.patient is not None:
            found.append(("patient", moment.patient))
        elif moment.month is not None:
            found.append(("month", moment.month * DAYS_PER_MONTH))
        else:
            found.append(("when_closed", names.index(moment.when_closed)))
    return tuple(found)


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
    levels: Sequence[Sequence[int]]
    """By patient: the level of each categorical covariate, and last the site."""
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
            [
                [*levels, site]
                for levels, site in zip(cohort.strata[replicate].tolist(), cohort.site[replicate].tolist(), strict=True)
            ],
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


@dataclass
class Compared:
    """A belief whose comparisons rest on the patients who could get either arm."""

    whole: Belief
    among: Callable[[int, int], Belief]
    """What is believed from the patients who could get either of two arms."""

    def mean(self) -> list[float]:
        return self.whole.mean()

    def best(self, among: list[int]) -> dict[int, float]:
        return self.whole.best(among)

    def better(self, arm: int, than: int, by: float) -> float:
        return self.among(arm, than).better(arm, than, by)


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
    plan: Plan, control: int, open_arms: list[int], belief: Belief | None, enrolled: list[int]
) -> list[float]:
    """With which probabilities the next patients are randomised; `belief` None: before the first look.

    `enrolled` counts the patients of each arm at the last look.
    """
    wanted = wanted_probabilities(plan, control, open_arms, belief, enrolled)
    return whole_patients(wanted, plan.block) if plan.realisation == "permuted_block" else wanted


def whole_patients(wanted: list[float], block: int) -> list[float]:
    """The probabilities as whole patients of a block: the largest remainders get the places that are left.

    Where several remainders are as large and there are not places for all of them, they share the places.
    """
    places = [math.floor(block * p + 1e-9) for p in wanted]
    rest = {arm: block * p - n for arm, (p, n) in enumerate(zip(wanted, places, strict=True)) if block * p - n > 1e-9}
    left = block - sum(places)
    given = [float(n) for n in places]
    while left > 0:
        largest = max(rest.values())
        alike = [arm for arm, r in rest.items() if largest - r < 1e-9]
        for arm in alike:
            given[arm] += min(1.0, left / len(alike))
            del rest[arm]
        left -= len(alike)
    return [n / block for n in given]


def wanted_probabilities(
    plan: Plan, control: int, open_arms: list[int], belief: Belief | None, enrolled: list[int]
) -> list[float]:
    """What the allocation rule asks for, before it is rounded to whole patients."""
    answer, n_enrolled = [0.0] * plan.n_arms, sum(enrolled)
    if len(open_arms) == 1:
        answer[open_arms[0]] = 1.0
        return answer
    if plan.allocation == "equal":
        for arm in open_arms:
            answer[arm] = 1 / len(open_arms)
        return answer
    if plan.allocation == "fixed":
        for arm in open_arms:
            answer[arm] = plan.ratio[arm] / sum(plan.ratio[a] for a in open_arms)
        return answer
    others = [arm for arm in open_arms if arm != control]
    if belief is None or n_enrolled < plan.burn_in:
        belief = None
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
    left = 1 - (own or 0.0)
    if belief is not None:
        equal = left / len(weight)
        for arm in [arm for arm in weight if enrolled[arm] < plan.burn_in_per_arm]:
            answer[arm] = equal  # it does not compete yet
            left -= equal
            del weight[arm]
    if not weight:
        return answer
    shares = projected(weight, left, plan.floor, plan.ceiling)
    for arm, share in shares.items():
        answer[arm] = share
    return answer


class Randomiser:
    """Deals one arm after the other."""

    def __init__(self, plan: Plan, patients: Patients, chances: list[float]) -> None:
        self.plan, self.patients = plan, patients
        self.places: dict[int, float] = {}
        self.lists: dict[tuple[int, ...], tuple[float, list[int]]] = {}
        """In each stratum: the luck of the block under way, and its free places."""
        self.dealt: list[int] = []
        self.promised: list[list[float]] = []
        """The probabilities under which each patient so far was dealt."""
        self.change(chances)

    def change(self, chances: list[float]) -> None:
        """The trial went on from a look: new probabilities, and the next patient begins a new block."""
        self.chances = chances
        self.places, self.lists = {}, {}

    def deal(self, patient: int) -> int:
        if self.plan.realisation == "urn":
            arm = self._at(self.patients.u_arm[patient], self._urn())
        elif self.plan.realisation == "minimisation":
            arm = self._at(self.patients.u_arm[patient], self._minimised(patient))
        elif self.plan.realisation == "stratified":
            arm = self._at(self._place_in_stratum(patient), self.chances)
        else:
            arm = self._at(self._place(patient), self.chances)
        self.dealt.append(arm)
        self.promised.append(self.chances)
        return arm

    def _urn(self) -> list[float]:
        """Chances in proportion to the mass of each arm: its stock and what it is owed, if that is above 0."""
        mass = []
        for arm, chance in enumerate(self.chances):
            owed = math.fsum(then[arm] for then in self.promised) - self.dealt.count(arm)
            mass.append(max(self.plan.mass * chance + owed, 0.0) if chance > 0 else 0.0)
        total = math.fsum(mass)
        return [m / total for m in mass] if total > 1e-9 else self.chances

    def _place_in_stratum(self, patient: int) -> float:
        stratum = tuple(self.patients.levels[patient][factor] for factor in self.plan.factors)
        if not self.lists.get(stratum, (0.0, []))[1]:  # the first patient of a block, which is always of full length
            self.lists[stratum] = (self.patients.u_block[patient], list(range(self.plan.block)))
        luck, free = self.lists[stratum]
        place = free.pop(int(self.patients.u_arm[patient] * len(free)))
        return min((place + luck) / self.plan.block, ALMOST_ONE)

    def _minimised(self, patient: int) -> list[float]:
        """Chances by the imbalance that each arm would leave in the margins of this patient's factors."""
        arms = [arm for arm, chance in enumerate(self.chances) if chance > 0]
        imbalance = {}
        for candidate in arms:
            imbalance[candidate] = 0.0
            for factor, weight in zip(self.plan.factors, self.plan.factor_weights, strict=True):
                level = self.patients.levels[patient][factor]
                alike = [
                    arm for earlier, arm in enumerate(self.dealt) if self.patients.levels[earlier][factor] == level
                ]
                alike.append(candidate)
                scaled = [alike.count(arm) / (len(arms) * self.chances[arm]) for arm in arms]
                if self.plan.imbalance == "range":
                    spread = max(scaled) - min(scaled)
                else:
                    spread = statistics.variance(scaled) if len(scaled) > 1 else 0.0
                imbalance[candidate] += weight * spread
        least = min(imbalance.values())
        rounding = 1e-9 * max(1.0, least)  # imbalances that differ by less are equal
        more = {arm: each - least if each - least > rounding else 0.0 for arm, each in imbalance.items()}
        chances = [0.0] * self.plan.n_arms
        if self.plan.preference is None:
            bent = {arm: self.chances[arm] * math.exp(-self.plan.sharpness * more[arm]) for arm in arms}
            for arm in arms:
                chances[arm] = bent[arm] / sum(bent.values())
            return chances
        best = [arm for arm in arms if more[arm] == 0]
        for preferred in best:  # which of several it is, chance decides
            share = self.chances[preferred] / sum(self.chances[arm] for arm in best)
            others = [arm for arm in arms if arm != preferred]
            if not others:
                chances[preferred] += share
                continue
            own = max(self.plan.preference, self.chances[preferred])
            chances[preferred] += share * own
            for arm in others:
                chances[arm] += share * (1 - own) * self.chances[arm] / sum(self.chances[a] for a in others)
        return chances

    def _at(self, place: float, chances: list[float]) -> int:
        below = 0.0
        arm = -1
        for candidate, chance in enumerate(chances):
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


@dataclass(frozen=True)
class _Asked:
    """What a rule is asked about."""

    position: int
    """Of the rule in the list."""
    number: int
    """Of the look, from 1."""
    there: list[int]
    """The arms that are open, or judged at the final analysis."""
    control: int
    belief: Belief
    heard: list[tuple[int, int, float, float]]
    """Every comparison made is added to this."""
    is_final: bool = False


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
        self.could_get: list[list[int]] = []
        """By patient enrolled: the arms that the patient could be dealt."""
        self.closed_by_rule: list[int] = []
        self.last_look: tuple[Belief | None, list[int]] = (None, [0] * plan.n_arms)
        """What was believed at the last look, and the patients of each arm then."""
        self.randomiser: Randomiser | None = None

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
        there = self._there(patient, day)
        if self.randomiser is None:
            self.randomiser = Randomiser(self.plan, self.patients, self._chances(there))
        elif there != self.dealt_from:  # an arm opens or closes, or a look has closed one
            self.randomiser.change(self._chances(there))
        self.dealt_from = there
        arm = self.randomiser.deal(patient)
        self.arm.append(arm)
        self.could_get.append(there)
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

    def _there(self, patient: int, day: float) -> list[int]:
        """The arms that a patient who comes on a day can get."""
        return [
            arm
            for arm in range(self.plan.n_arms)
            if self.open[arm] and self._opens(arm, patient, day) and not self._closes(arm, patient, day)
        ]

    def _opens(self, arm: int, patient: int, day: float) -> bool:
        """Whether the protocol has opened an arm for a patient who comes on a day."""
        moment = self.plan.opens[arm] if self.plan.opens else None
        if moment is None:
            return True
        what, when = moment
        if what == "patient":
            return patient + 1 >= when
        return day >= when if what == "month" else when in self.closed_by_rule

    def _closes(self, arm: int, patient: int, day: float) -> bool:
        """Whether the protocol has closed an arm to a patient who comes on a day."""
        moment = self.plan.closes[arm] if self.plan.closes else None
        if moment is None:
            return False
        what, when = moment
        if what == "patient":
            return patient + 1 > when
        return day >= when if what == "month" else when in self.closed_by_rule

    def _chances(self, there: list[int]) -> list[float]:
        return probabilities(self.plan, self.control, there, *self.last_look)

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
        """The arms that have opened, and that no rule has closed."""
        opened = self._opened()
        return [arm for arm, is_open in enumerate(self.open) if is_open and arm in opened]

    def _opened(self) -> set[int]:
        """The arms that are there from the beginning, and those that some patient enrolled could have got."""
        moments = self.plan.opens or [None] * self.plan.n_arms
        at_once = {arm for arm, moment in enumerate(moments) if moment is None}
        return at_once | {arm for there in self.could_get for arm in there}

    def _is_coming(self, day: float) -> bool:
        """Whether an arm that has not opened still may."""
        if len(self.arm) == self.plan.patients or day >= self.plan.closes_at:
            return False
        opened = self._opened()
        return any(arm not in opened and not self._closes(arm, len(self.arm), day) for arm in range(self.plan.n_arms))

    def _takes_patients(self, *, enrolment_closed: bool = False) -> list[bool]:
        """For each arm, whether the next patient could get it; if all are enrolled, whether the last one could.

        Where enrolment closes before that patient comes, whether the arm was there on the day on which it closed.
        """
        if len(self.arm) == self.plan.patients:
            return [self.open[arm] and arm in self.could_get[-1] for arm in range(self.plan.n_arms)]
        patient = len(self.arm)
        comes = math.inf if enrolment_closed else self._later(self.patients.enrolled_at[patient])
        there = self._there(patient, min(comes, self.plan.closes_at))
        return [arm in there for arm in range(self.plan.n_arms)]

    def _experimental(self, arms: list[int]) -> list[int]:
        return [arm for arm in arms if arm != self.control]

    def _analyse(self) -> Belief:
        known = [
            Known(patient, self.arm[patient], self.known[patient], self.patients.covariate[patient])
            for patient in sorted(self.known)
        ]
        whole = self.fit(known, self.plan.n_arms)
        if not self.plan.concurrent:
            return whole

        @cache
        def among(arm: int, than: int) -> Belief:
            either = [one for one in known if {arm, than} <= set(self.could_get[one.patient])]
            return whole if len(either) == len(known) else self.fit(either, self.plan.n_arms)

        return Compared(whole, among)

    def _look(self, day: float, _: int) -> None:
        paused_on, self.paused_on = self.paused_on, None
        assert paused_on is not None
        enrolment_is_over = len(self.arm) == self.plan.patients or day >= self.plan.closes_at
        if self.stop != "none" or (enrolment_is_over and not self.pending):
            return
        self.looked = day
        number = len(self.seen) + 1
        belief = self._analyse()
        was_open, is_coming = self._open(), self._is_coming(day)
        heard: list[tuple[int, int, float, float]] = []
        meets: set[int] = set()
        self.reason = "futility"
        while self._ask(number, belief, heard, meets):  # all rules once more, with the new control
            pass
        if self.stop == "none" and not is_coming and self.control not in self._open() and len(self._open()) == 1:
            meets |= set(self._open())  # it has outlived the control
            self.claimed += self._open()
            self.stop = "efficacy"
        if self.stop == "none" and not is_coming and not self._experimental(self._open()):
            self.stop = "efficacy" if self.claimed else self.reason
        self.last_look = belief, [self.arm.count(arm) for arm in range(self.plan.n_arms)]
        if self.plan.pause is not None:
            self.pauses.append(day - paused_on)
        self.takes_patients = self._takes_patients()
        chances = [0.0] * self.plan.n_arms
        if self.stop != "none":
            self.stop_look, self.stop_day, self.open_before_stop = number, day, was_open
        else:
            there = [arm for arm, yes in enumerate(self.takes_patients) if yes]
            chances = self._chances(there)
            if self.randomiser is not None:
                self.randomiser.change(chances)
                self.dealt_from = there
            if self.plan.pause is not None:
                self._expect_patient(len(self.arm))
        self.seen.append(self._report(number, day, belief, heard, meets, chances, self._open()))

    def _ask(self, number: int, belief: Belief, heard: list[tuple[int, int, float, float]], meets: set[int]) -> bool:
        """Ask the rules in order, until one stops the trial or promotes an arm; return whether one was promoted."""
        for position, rule in enumerate(self.plan.rules):
            if not rule.speaks(number, is_final=False):
                continue
            asked = _Asked(position, number, self._open(), self.control, belief, heard)
            met = self._met(rule, asked)
            high, what = [arm for arm, yes in met.items() if yes], rule.first()
            gives_up = what.kind in GIVING_UP or (what.kind == "equivalence" and what.then == "stop")
            if gives_up:
                if met and len(high) == len(met):
                    self.stop = REASONS.get(what.kind, "futility")
            elif what.kind == "promote":
                if high:
                    better = {arm: belief.better(arm, self.control, 0.0) for arm in high}
                    # Of arms that are equally good the first in the file; a difference within rounding is none.
                    winner = min(arm for arm in high if better[arm] >= max(better.values()) - TIE)
                    meets.add(winner)
                    self.claimed.append(winner)
                    self.open[self.control] = False
                    self.closed_by_rule.append(self.control)
                    self.control = winner
                    return True
            elif what.kind in CLAIMING:
                meets |= set(high)
                self.claimed += high
                if high and what.then == "stop":
                    self.stop = "efficacy"
                elif high:
                    for arm in high:
                        self._close(arm, "futility")
            else:
                for arm in high:
                    self._close(arm, REASONS.get(what.kind, "futility"))
                if high and what.kind == "harm" and what.then == "stop":
                    self.stop = "harm"
            if self.stop != "none":
                break
        return False

    def _close(self, arm: int, reason: str) -> None:
        self.open[arm] = False
        self.closed_by_rule.append(arm)
        self.reason = reason

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
            if not rule.speaks(number, is_final=True):
                continue
            met = self._met(rule, _Asked(position, number, judged, self.control, belief, heard, is_final=True))
            if rule.first().kind in GIVING_UP:
                is_futile = is_futile or bool(met and all(met.values()))
                continue
            would_claim |= {arm for arm, yes in met.items() if yes}
            if self.control != self.plan.control:  # are those declared effective still better than the first control?
                asked = _Asked(position, number, judged, self.plan.control, belief, heard, is_final=True)
                met = self._met(rule, asked)
                would_claim |= {arm for arm, yes in met.items() if yes and arm in self.claimed}
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
        if not stopped:
            self.takes_patients = self._takes_patients(enrolment_closed=True)
        final = self._report(number, day, belief, heard, would_claim, nobody, judged)
        arms = self.arm + [-1] * (self.plan.patients - len(self.arm))
        decision_day = self.stop_day if stopped else day
        return Trial(arms, self.seen, final, self.stop, self.stop_look, decision_day, outcome, selected)

    def _met(self, rule: Rule, asked: _Asked) -> dict[int, bool]:
        """Whether each of the arms that a rule is about meets its condition."""
        position, belief, heard, control = asked.position, asked.belief, asked.heard, asked.control
        if rule.inner:
            each = [self._met(one, asked) for one in rule.inner if one.speaks(asked.number, asked.is_final)]
            join, arms = (all, set.intersection) if rule.kind == "all_of" else (any, set.union)
            return {arm: join(met.get(arm, False) for met in each) for arm in sorted(arms(*map(set, each)))}
        arms = asked.there if rule.control_too else [arm for arm in asked.there if arm != control]
        if rule.first_control_only and control != self.plan.control:
            return {}
        if rule.kind == "prune":
            best = belief.best(arms) if arms else {}
            for arm, other in combinations(arms, 2):  # a close call is one between two arms
                heard.append((position, arm, best[arm], best[other]))
            return {arm: sum(best[other] - best[arm] > TIE for other in arms) >= rule.keep for arm in arms}
        fraction = min(len(self.known) / self.plan.patients, 1.0)
        threshold = rule.threshold(asked.number, asked.is_final, fraction)
        if rule.kind == "drop_arm" and rule.against == "best":  # one after the other, but never the best
            left = list(asked.there)
            while True:
                best = belief.best(left)
                heard += [(position, arm, best[arm], threshold) for arm in left if arm in arms]
                low = [arm for arm in left if arm in arms and threshold - best[arm] > TIE]
                low = [arm for arm in low if best[arm] < max(best.values())]
                if not low:
                    return {arm: arm not in left for arm in arms}
                left = [arm for arm in left if arm not in low]
        chance = {arm: self._chance(rule, arm, asked) for arm in arms}
        if rule.multiplicity != "none":
            return self._rejected(rule, chance, 1 - threshold, asked)
        heard += [(position, arm, p, threshold) for arm, p in chance.items()]
        if rule.kind in ("drop_arm", "futility"):
            return {arm: threshold - p > TIE for arm, p in chance.items()}
        return {arm: p - threshold > TIE for arm, p in chance.items()}

    def _chance(self, rule: Rule, arm: int, asked: _Asked) -> float:
        """What a rule compares with its threshold."""
        belief, control = asked.belief, asked.control
        if rule.against == "best":
            return belief.best(asked.there)[arm]
        if rule.kind == "harm":
            return 1 - belief.better(arm, control, -rule.margin)
        if rule.kind == "non_inferiority":
            return belief.better(arm, control, -rule.margin)
        if rule.kind == "equivalence":
            return belief.better(arm, control, -rule.margin) - belief.better(arm, control, rule.margin)
        return belief.better(arm, control, rule.margin)

    def _rejected(self, rule: Rule, chance: dict[int, float], level: float, asked: _Asked) -> dict[int, bool]:
        """Which arms pass a test for several arms at once, from their tail areas.

        At a look an arm declared effective before counts as rejected, one that was dropped as not rejected. At the
        final analysis an arm declared effective before is judged anew, as if nothing had been declared before.
        """
        everybody = [arm for arm in range(self.plan.n_arms) if arm != asked.control]

        def smaller(arm: int, tail: float, bound: float) -> bool:
            asked.heard.append((asked.position, arm, tail, bound))
            return bound - tail > TIE

        def passed(claimed: set[int]) -> set[int]:
            tail = {arm: 0.0 if arm in claimed else 1 - chance[arm] if arm in chance else 1.0 for arm in everybody}
            if rule.multiplicity == "bonferroni":
                return {arm for arm in everybody if smaller(arm, tail[arm], level / len(everybody))}
            if rule.multiplicity == "holm":  # the smallest first, until one is not small enough
                found: set[int] = set(claimed)
                for arm in sorted((arm for arm in everybody if arm not in claimed), key=lambda arm: tail[arm]):
                    if not smaller(arm, tail[arm], level / (len(everybody) - len(found))):
                        break
                    found.add(arm)
                return found
            found = set()
            for arm in everybody:  # every intersection that holds the arm must be rejected by its own test
                others = [other for other in everybody if other != arm]
                groups = [(arm, *more) for size in range(len(everybody)) for more in combinations(others, size)]
                if all(
                    any(
                        smaller(arm, small, (k + 1) * level / len(group))
                        for k, small in enumerate(sorted(tail[one] for one in group))
                    )
                    for group in groups
                ):
                    found.add(arm)
            return found

        now, anew = passed(set(self.claimed)), passed(set()) if asked.is_final else set()
        return {arm: arm in (anew if asked.is_final and arm in self.claimed else now) for arm in chance}

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
            is_open=list(self.takes_patients),
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
