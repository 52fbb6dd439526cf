"""A scenario in plain English, the defaults it used, and what a statistician would ask about it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sps_adaptive.allocation import DoublyAdaptive, Erade, PlayTheWinner
from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential
from sps_adaptive.decisions import DropArm, Futility, Harm
from sps_adaptive.decisions.rule import Measured, Rule
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.endpoints import Binary
from sps_adaptive.endpoints.course import Course, numbers
from sps_adaptive.pauses import undisturbed
from sps_adaptive.population import Poisson, Sites
from sps_adaptive.prior_checks import expectations, surprises
from sps_adaptive.realisation import Minimisation, PermutedBlock, Stratified
from sps_adaptive.scenario import Moment, Scenario, TruthSpec
from sps_adaptive.schedules import Enrolled, NoLooks
from sps_adaptive.words import listed, months, percent

MANY_PENDING = 1 / 3
"""Share of pending patients at a look above which adaptation is said to be starved of data."""


class ExpectedLook(NamedTuple):
    """About what a look will find, if patients come and leave as expected."""

    month: float
    enrolled: float
    known: float
    pending: float


def describe(scenario: Scenario) -> list[str]:
    """Return the design as sentences, one paragraph each."""
    return [
        _arms(scenario),
        _population(scenario),
        *_endpoints(scenario),
        *_analyses(scenario),
        *expectations(scenario),
        _looks(scenario),
        _allocation(scenario),
        *_decisions(scenario),
        "Benchmark: the same patients randomised equally in permuted blocks, without looks, analysed once at the end "
        "with the thresholds of the final analysis"
        + ("; all arms are there from the first patient to the last." if scenario.is_platform else "."),
    ]


def expected_looks(scenario: Scenario) -> list[ExpectedLook]:
    """Return about what each look will find; a look that comes after the last patient is left out.

    The looks are those of one typical trial: patients come when they are expected, losses and events are spread evenly.
    """
    found = []
    lost = _lost(scenario)
    delay, schedule = scenario.endpoint.assessed_at_month * DAYS_PER_MONTH, scenario.looks.bind(scenario.endpoint)
    looks, _ = undisturbed(schedule, *_typical(scenario), scenario.population.closes_at)
    for _, day, cohort, _ in looks:
        enrolled = int((cohort.enrolled_at <= day).sum())
        past = int((cohort.enrolled_at + delay <= day).sum())
        found.append(
            ExpectedLook(day / DAYS_PER_MONTH, enrolled, past * (1 - lost), (enrolled - past) * (1 - lost / 2))
        )
    return found


def _lost(scenario: Scenario) -> float:
    dropout = scenario.population.dropout
    return dropout.proportion_by(scenario.endpoint.assessed_at_month) if dropout else 0.0


def _typical(scenario: Scenario) -> tuple[Cohort, Potential]:
    """Return the patients of one trial in which everything happens as expected."""
    patients, accrual = scenario.population.patients, scenario.population.accrual
    number = np.arange(1, patients + 1)
    enrolled_at = np.array([[accrual.expected_months(int(n)) * DAYS_PER_MONTH for n in number]])
    assessed_at = enrolled_at + scenario.endpoint.assessed_at_month * DAYS_PER_MONTH
    stays = _evenly(number, 1 - _lost(scenario))
    nothing = np.zeros((1, patients))
    cohort = Cohort(
        enrolled_at=enrolled_at,
        site=nothing.astype(np.int64),
        dropout_at=np.where(stays, np.inf, assessed_at),
        covariates=nothing[..., None],
        strata=np.zeros((1, patients, 0), np.int16),
        u_visit=nothing,
        u_arm=nothing,
        u_block=nothing,
        u_outcome={},
    )
    known_at = np.where(stays, assessed_at, np.inf)[:, :, None, None]
    value = nothing[:, :, None, None]
    if isinstance(scenario.endpoint, Binary):
        courses = [course for truth in scenario.truths.values() for course in truth.of(scenario.endpoint_name).values()]
        event = _evenly(np.cumsum(stays), float(np.mean([_middle(course) for course in courses])))
        value = (event == (scenario.endpoint.better == "higher"))[None, :, None, None]
    return cohort, Potential(value, known_at)


def _evenly(number: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Return which of the numbers 1, 2, ... make up a share of all of them, spread evenly."""
    so_far, before = (np.floor(n * share + 1e-9) for n in (number, number - 1))
    return np.asarray(so_far > before)


def defaults(scenario: Scenario) -> list[str]:
    """Return every default that the scenario relies on, as `path = value`."""
    of_its_rules = ("rule", "realisation")  # a mixture is dealt as a whole
    unset = [(path, value) for path, value in _unset(scenario, ()) if path[-2:] != of_its_rules]
    found = [f"{_words(path)} = {_plain(value)}" for path, value in unset]
    kind, block = scenario.allocation.realisation_kind(), scenario.allocation.block_length(len(scenario.arms))
    in_section = isinstance(scenario.allocation.realisation, BaseModel)
    if block and getattr(kind, "block", None) is None:
        found.append(f"allocation.{'realisation.' if in_section else ''}block = {block}")
    if not in_section:  # a word stands for a section whose other fields have their defaults
        found += [f"{_words(path)} = {_plain(value)}" for path, value in _unset(kind, ("allocation", "realisation"))]
    if isinstance(kind, Minimisation) and kind.probability is None and kind.sharpness is None:
        found.append(f"allocation.realisation.probability = {kind.preference():g}")
    return found


def _words(path: tuple[str, ...]) -> str:
    """Return a path as a reader of `describe` knows it."""
    return f"rule {path[1]}: {'.'.join(path[2:])}" if path[0] == "decisions" else ".".join(path)


def _unset(part: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(part, TruthSpec):
        return
    if isinstance(part, BaseModel):
        for name in type(part).model_fields:
            value = getattr(part, name)
            if name not in part.model_fields_set:
                if value is not None and not isinstance(value, BaseModel) and value is not False and value != {}:
                    yield (*path, name), value
                elif isinstance(value, BaseModel):
                    yield from ((p, v) for p, v in _all_fields(value, (*path, name)))
            else:
                yield from _unset(value, (*path, name))
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _unset(value, (*path, str(key)))
    elif isinstance(part, list):
        for position, value in enumerate(part):
            yield from _unset(value, (*path, str(position + 1)))


def _all_fields(part: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(part).model_fields:
        if getattr(part, name) is not None:
            yield (*path, name), getattr(part, name)


# ------------------------------------------------------------------------- the design in English


def _arms(scenario: Scenario) -> str:
    control = scenario.arm_names[scenario.control]
    others = [name for name in scenario.arm_names if name != control]
    text = f"Arms: {listed(others)} against {control} (control)."
    if not scenario.is_platform:
        return text
    for name, arm in scenario.arms.items():
        told = []
        if arm.opens and arm.opens_late:
            told.append(f"opens {_moment(arm.opens)}")
        if arm.closes:
            last = f"after patient {arm.closes.patient}" if arm.closes.patient else _moment(arm.closes)
            told.append(f"closes {last}, unless a rule closes it before")
        if told:
            text += f" {name} {' and '.join(told)}."
    if scenario.concurrent_controls:
        return text + " Two arms are compared by the patients enrolled while both could be given (concurrent controls)."
    return text + " Two arms are compared by all their patients, also those enrolled when the other could not be given."


def _moment(moment: Moment) -> str:
    if moment.patient is not None:
        return f"with patient {moment.patient}"
    if moment.month is not None:
        return f"at the end of month {moment.month:g}"
    return f"when a rule closes {moment.when_closed}"


def _population(scenario: Scenario) -> str:
    population = scenario.population
    accrual = population.accrual
    text = f"Patients: at most {population.patients}. "
    if isinstance(accrual, Sites):
        last = accrual.opening_months().max()
        opening = f", the last of which opens in month {last:g}" if last else ""
        text += (
            f"They come to {accrual.sites} sites{opening}; "
            f"together these enrol {accrual.patients_per_month():.3g} a month once all are open. "
        )
    elif isinstance(accrual, Poisson):
        ramp = f" after a build-up of {accrual.ramp_up_months:g} months" if accrual.ramp_up_months else ""
        text += f"They come at random, {accrual.patients_per_month:g} a month{ramp}. "
    else:
        text += f"They come at equal intervals, {accrual.patients_per_month:g} a month. "
    text += f"Enrolling all of them takes about {accrual.expected_months(population.patients):.0f} months. "
    if population.closes_at_month is not None:
        text += f"Enrolment closes in month {population.closes_at_month:g}, whatever the number enrolled by then. "
    if population.covariates:
        told = [
            f"{name} ({', '.join(f'{level} {percent(share)}' for level, share in levels.items())})"
            for name, levels in population.covariates.items()
        ]
        matter = [name for name, truth in scenario.truths.items() if truth.effects]
        if not matter:
            effect = "without effect on the outcome"
        elif len(matter) == len(scenario.truths):
            effect = "with effects on outcomes in every truth"
        else:
            effect = f"with effects on outcomes in {listed([repr(name) for name in matter])}"
        text += f"Known at enrolment: {listed(told)}; {effect}. "
    if population.dropout is None:
        leaves = any(getattr(endpoint, "dropout", None) for endpoint in scenario.endpoints.values())
        return text + ("Nobody drops out but for how they are." if leaves else "Nobody drops out.")
    by = population.dropout.by_month
    return text + f"{percent(population.dropout.proportion)} have dropped out by {by:g} months after enrolment."


def _endpoints(scenario: Scenario) -> Iterator[str]:
    several = len(scenario.endpoints) > 1
    for place, (name, endpoint) in enumerate(scenario.endpoints.items()):
        head = ("Primary endpoint" if place == 0 else "Secondary endpoint") if several else "Endpoint"
        what = f" ({endpoint.description.rstrip('.')})" if endpoint.description else ""
        window = f", give or take {endpoint.window_months:g} months" if endpoint.window_months else ""
        fewer = endpoint.needs_follow_up and endpoint.better == "lower"
        when = "followed for up to" if endpoint.needs_follow_up else "assessed"
        after = "" if endpoint.needs_follow_up else " after enrolment"
        yield (
            f"{head}: {name}{what}, {endpoint.describe()}, {when} {months(endpoint.assessed_at_month)}{after}{window};"
            f" {'fewer events are' if fewer else f'{endpoint.better} is'} better."
        )
    if scenario.correlations:
        told = [f"{pair.between[0]} and {pair.between[1]} ({pair.correlation:g})" for pair in scenario.correlations]
        yield f"Correlated within patients, given the arm: {listed(told)}."


def _analyses(scenario: Scenario) -> Iterator[str]:
    several, told = len(scenario.endpoints) > 1, set[str]()
    for name in scenario.endpoints:
        model = scenario.analysis[name]
        summary = " ".join((type(model).__doc__ or "").strip().split("\n\n")[0].split())
        head = f"Analysis of {name}" if several else "Analysis"
        again = model.kind in told
        told.add(model.kind)
        scale = model.scale.replace("_", " ")
        yield f"{head}: {model.kind}, about the {scale}." + ("" if again else f" {summary} {model.left_out}")


def _looks(scenario: Scenario) -> str:
    when = scenario.looks.words(scenario.population.patients)
    if not when:
        return "Looks: none before the final analysis."
    return f"Looks: {when}; then the final analysis, when everyone's follow-up is over."


def _allocation(scenario: Scenario) -> str:
    rule = scenario.allocation
    told, realised = rule.words(scenario.arm_names), rule.realised(len(scenario.arms))
    return f"Randomisation: {told}{'; ' if ';' in told else ', '}{realised}."


def _decisions(scenario: Scenario) -> list[str]:
    control = scenario.arm_names[scenario.control]
    each = {name: Measured(control, scenario.is_share(name), _unit(scenario, name)) for name in scenario.endpoints}
    measured = each.pop(scenario.endpoint_name)._replace(others=each)
    return [f"Rule {n}: {rule.sentence(measured)}." for n, rule in enumerate(scenario.decisions, start=1)]


def _unit(scenario: Scenario, endpoint: str) -> str:
    """Return the unit of margins about an endpoint, or the scale where it has none."""
    scale = scenario.scale(endpoint)
    return scale.unit or ("" if scale.name in ("mean", "probability") else f"({scale.name.replace('_', ' ')})")


# ------------------------------------------------------------------------- what a statistician would ask


def warnings(scenario: Scenario) -> list[str]:
    """Return what a statistician would raise about a scenario that is valid."""
    return [
        *_about_pending(scenario),
        *_about_allocation(scenario),
        *_about_decisions(scenario),
        *_about_openings(scenario),
        *_about_truths(scenario),
        *surprises(scenario),
        *_about_size(scenario),
        *_about_names(scenario),
        *_about_sources(scenario),
    ]


def _about_pending(scenario: Scenario) -> Iterator[str]:
    looks = expected_looks(scenario)
    if missing := scenario.n_looks - len(looks):
        schedule = scenario.looks
        if not isinstance(schedule, NoLooks) and schedule.merges:
            yield (
                f"Of {scenario.n_looks} looks about {len(looks)} can be expected to take place: those that fall "
                "together are one, and none comes after everybody has been assessed."
            )
        else:
            which = "The last look is" if missing == 1 else f"The last {missing} looks are"
            yield f"{which} expected after everybody has been assessed, and will hardly ever take place."
    if not looks:
        return
    delay = scenario.endpoint.assessed_at_month
    starved = [look for look in looks if look.pending > MANY_PENDING * look.enrolled]
    if starved:
        patients = scenario.population.patients
        rate = patients / scenario.population.accrual.expected_months(patients)
        which = "every look" if len(starved) == len(looks) else f"{len(starved)} of {len(looks)} looks"
        most = max(starved, key=lambda look: look.pending / look.enrolled)
        learns = scenario.allocation.bind(scenario.arm_names).learns
        what = "the randomisation can hardly adapt" if learns else "a trial that stops has many patients in follow-up"
        advice = "Look later, or look at patients assessed" if isinstance(scenario.looks, Enrolled) else "Look later"
        yield (
            f"With {rate:.2g} patients a month and an endpoint at month {delay:g}, about {most.pending:.0f} of "
            f"{most.enrolled:.0f} patients are pending at one look, and more than a third at {which}: {what}. {advice}."
        )
    each = looks[0].known / len(scenario.arms)
    if each < 5:
        yield (
            f"At the first look about {looks[0].known:.0f} outcomes are known, {each:.1f} an arm: decisions there rest "
            "on very little. Look later, or set from_look."
        )


def _about_allocation(scenario: Scenario) -> Iterator[str]:
    rule, arms = scenario.allocation, len(scenario.arms)
    kind, block = rule.realisation_kind(), rule.block_length(arms)
    if isinstance(rule, Bounded):
        if arms == 2 and rule.costs_power:
            yield (
                "Response-adaptive randomisation between two arms costs power in nearly every setting studied; the "
                "benchmark in the answer shows how much."
            )
        if rule.control_share is None and rule.floor == 0 and not rule.protects_control:
            yield (
                "Nothing protects the control: when it looks bad it gets few patients, and every comparison with it "
                "suffers. Set control_share or floor."
            )
        if rule.floor == 0 and rule.ceiling == 1 and rule.may_be_certain:
            yield "Without floor and ceiling, randomisation can become all but certain, which regulators discourage."
        if block and 0 < rule.floor * block < 1 and isinstance(kind, PermutedBlock):
            yield (
                f"A floor of {rule.floor:g} in blocks of {block} is less than one patient a block: rounding to whole "
                "patients can leave the arm with none. Longer blocks, or quota, hold the floor."
            )
        elif block and 0 < rule.floor * block < 1:
            yield (
                f"A floor of {rule.floor:g} in blocks of {block} is less than one patient a block: a block may have "
                "none on that arm. Longer blocks hold the floor more closely."
            )
        if isinstance(rule, PlayTheWinner) and rule.balls < 5 * rule.added and rule.floor == 0 and rule.burn_in is None:
            yield (
                f"An urn of {rule.balls:g} and {rule.added:g} for each outcome can be all but decided by its first "
                "patients: so it was in the first ECMO trial, 11 patients to 1. Set a larger urn, a floor or a burn_in."
            )
        if isinstance(rule, DoublyAdaptive | Erade) and (most := _most_between_looks(scenario)) > 10:
            yield (
                f"{rule.kind} corrects its course at looks only, and up to {most} patients are enrolled between two of "
                "them: it overshoots. Look more often, or aim at the target itself (neyman, rsihr)."
            )
        if isinstance(rule, Erade) and block:
            yield (
                f"In blocks of {block}, erade's two probabilities leave little to chance: who knows the counts can "
                "guess much of a block. Use realisation: independent."
            )
    if rule.bind(scenario.arm_names).learns and scenario.n_looks == 0:
        yield "The rule can never adapt: there is no look before the final analysis."
    factors = scenario.population.factors()
    matter = any(truth.effects or any(truth.site_sd.values()) for truth in scenario.truths.values())
    if kind.balances() and not matter:
        yield (
            "The factors that are balanced have no effect on the outcome here: balancing them changes balance, not the "
            "power that a prognostic factor would bring."
        )
        if isinstance(kind, Minimisation) and isinstance(rule, Bounded):
            yield (
                "Minimisation drives all patients of the trial towards the latest probabilities, those of earlier "
                "looks included: it adapts more than the rule alone, and the floor does not bind each patient."
            )
        if [name for name in kind.balances() if factors[name] == 1]:
            yield "All patients come from one site: there is nothing to balance between sites."
    if isinstance(kind, Stratified):
        each = scenario.population.patients / (scenario.n_looks + 1) / kind.strata(factors)
        if each < block:
            yield (
                f"With {kind.strata(factors)} strata and {scenario.n_looks} looks a stratum gets about {each:.2g} "
                f"patients before its next list begins, less than a block of {block}: little is balanced. Take "
                "minimisation, fewer factors or shorter blocks."
            )
    if (
        block
        and not isinstance(kind, Stratified)
        and isinstance(scenario.looks, Enrolled)
        and any(n % block for n in scenario.looks.counts(scenario.population.patients))
    ):
        yield f"Looks do not fall at the end of randomisation blocks of {block}: a block is cut short at such a look."


def _most_between_looks(scenario: Scenario) -> int:
    """Return about how many patients are enrolled between two looks, at most; 0 without looks."""
    enrolled = [look.enrolled for look in expected_looks(scenario)]
    ends = [*enrolled, scenario.population.patients]
    return round(max((after - before for before, after in pairwise(ends)), default=0)) if enrolled else 0


def _about_decisions(scenario: Scenario) -> Iterator[str]:
    content = [rule.model_dump() for rule in scenario.decisions]
    for number, stated in enumerate(content, start=1):
        if (first := content.index(stated) + 1) < number:
            yield f"Rule {number} repeats rule {first} and changes nothing: is one of them meant to be another?"
    claims = [rule for _, rule in scenario.claims() if isinstance(rule, Crossing)]
    if not claims:
        yield "There is no efficacy rule: no arm can ever be declared effective."
    if len({rule.by for rule in claims}) > 1:
        yield "There are several efficacy rules: an arm counts as effective by the margin of the first."
    for rule in claims:
        analyses = sum(rule.heard_at(number) for number in range(1, scenario.n_looks + 1)) + 1
        if analyses > 1 and rule.is_constant and rule.stated:
            yield (
                f"The efficacy threshold {rule.stated[0]:g} is the same at all {analyses} analyses: each "
                "look adds to the type I error. See the familywise error where nothing works."
            )
        for _, other in scenario.rules():
            if isinstance(other, Futility | DropArm) and other.by <= rule.by and other.stated and rule.stated:
                low, high = max(other.stated), min(rule.stated)
                if low > high:
                    yield (
                        f"The {other.kind} threshold {low:g} is above the efficacy threshold {high:g}: an arm can "
                        "meet both; the order of the rules decides."
                    )
    for (place, *_), decision in scenario.rules():
        levels = decision.stated if isinstance(decision, Crossing) else []
        number, declares = int(place) + 1, decision.claims_beyond is not None
        if levels and (declares or isinstance(decision, Harm)) and min(levels) < 0.8:
            does = "declares an arm effective when it is better" if declares else "sees harm"
            yield (
                f"Rule {number} {does} with probability above {min(levels):g} "
                "only: is this a p-value, or meant for another rule?"
            )
        if levels and isinstance(decision, Futility | DropArm) and decision.margin <= 0 and max(levels) > 0.5:
            yield (
                f"Rule {number} ({decision.kind}) gives up although an arm is better with a probability up to "
                f"{max(levels):g}: is the threshold meant the other way round?"
            )


def _about_openings(scenario: Scenario) -> Iterator[str]:
    """Yield what arms that open late and close early bring about."""
    late = [name for name, arm in scenario.arms.items() if arm.opens_late]
    if late:
        though = f"although {listed(late)} may still be to come: close_arm and drop_arm close arms only."
        for number, rule in enumerate(scenario.decisions, start=1):
            if (rule.stops or rule.effect == "give_up") and _heard(rule, scenario):
                yield f"Rule {number} ({rule.kind}) stops the whole trial, {though}"
    if scenario.is_platform and not scenario.concurrent_controls:
        for name in scenario.truths:
            if scenario.drifts(name, scenario.endpoint_name):
                yield (
                    f"Outcomes drift in truth '{name}', and arms are compared with all controls: those of other days "
                    "bias the comparison. Use controls: concurrent."
                )
    closable = _closable(scenario)
    for name, arm in scenario.arms.items():
        for verb, moment in (("opens", arm.opens), ("closes", arm.closes)):
            if moment is None:
                continue
            if moment.when_closed is not None and moment.when_closed not in closable:
                yield f"'{name}' {verb} when a rule closes {moment.when_closed}, and no rule can."
            expected = _expected_end(scenario)
            if verb == "opens" and moment.month is not None and moment.month >= expected:
                yield (
                    f"'{name}' opens in month {moment.month:g}, and enrolment can be expected to be over in month "
                    f"{expected:.0f}: hardly anybody will get it."
                )
    if gap := _control_alone(scenario):
        yield f"{gap} nobody can get anything but the control, unless an arm that waits for another has opened."


def _heard(rule: Rule, scenario: Scenario) -> bool:
    """Return whether a rule is heard at some look before the final analysis."""
    return any(rule.heard_at(number) for number in range(1, scenario.n_looks + 1))


def _closable(scenario: Scenario) -> set[str]:
    """Return the arms that a rule can close at some look."""
    rules = [rule for rule in scenario.decisions if _heard(rule, scenario)]
    control = scenario.arm_names[scenario.control]
    found = set()
    for rule in rules:
        if rule.effect == "close" or (rule.effect == "claim" and not rule.stops):
            found |= {name for name in scenario.arm_names if name != control or getattr(rule, "control_too", False)}
        if rule.effect == "promote":
            found |= set(scenario.arm_names)
    return found


def _expected_end(scenario: Scenario) -> float:
    """Return the month in which enrolment can be expected to be over."""
    population = scenario.population
    month = population.accrual.expected_months(population.patients)
    return month if population.closes_at_month is None else min(month, population.closes_at_month)


def _control_alone(scenario: Scenario) -> str:
    """Return when the protocol lets nobody get anything but the control, if everything happens as expected; else ""."""
    population = scenario.population
    number = np.arange(1, population.patients + 1)
    month = np.array([population.accrual.expected_months(int(n)) for n in number])
    there = np.zeros(len(number), bool)
    for arm in scenario.arms.values():
        if arm.control or (arm.opens and arm.opens.when_closed is not None):
            continue
        begun, over = np.ones(len(number), bool), np.zeros(len(number), bool)
        if arm.opens:
            begun = number >= arm.opens.patient if arm.opens.patient else month >= (arm.opens.month or 0.0)
        if arm.closes and arm.closes.when_closed is None:
            over = number > arm.closes.patient if arm.closes.patient else month >= (arm.closes.month or 0.0)
        there |= begun & ~over
    alone = number[~there]
    if not len(alone):
        return ""
    gap = alone[: 1 + int(np.argmax(np.append(np.diff(alone) > 1, True)))]
    return f"From patient {gap[0]} to about {gap[-1]}" if len(gap) > 1 else f"With patient {gap[0]}"


def _about_truths(scenario: Scenario) -> Iterator[str]:
    design = scenario.designs()["adaptive"]

    patients = scenario.draw(0, 0, 20)

    def helps(truth: str) -> bool:
        return bool(design.is_effective(scenario.true_values(truth, scenario.endpoint_name, patients)).any())

    effective = {name: helps(name) for name in scenario.truths}
    if all(effective.values()):
        yield "No truth is a null: the type I error of the whole trial is unknown. Add one in which nothing works."
    if not any(effective.values()):
        yield "No truth has an effective arm, so there is no power to report."


def _about_size(scenario: Scenario) -> Iterator[str]:
    months = scenario.population.accrual.expected_months(scenario.population.patients)
    closes = scenario.population.closes_at_month
    if closes is not None:
        _, end = undisturbed(scenario.looks.bind(scenario.endpoint), *_typical(scenario), scenario.population.closes_at)
        enrolled = int(np.isfinite(end.cohort.enrolled_at).sum())
        if enrolled < scenario.population.patients:
            yield (
                f"Enrolment closes in month {closes:g}: about {enrolled} of {scenario.population.patients} patients "
                "can be expected by then, if the trial does not stop."
            )
    elif months > 84:
        yield f"Enrolling {scenario.population.patients} patients takes about {months / 12:.0f} years."
    if scenario.analysis[scenario.endpoint_name].kind == "ancova" and len(scenario.arms) > 3:
        yield (
            "With four or more arms ancova finds P(best) by nested quadrature: a millisecond or more for each trial "
            "and look, much more when few outcomes are known."
        )
    n = scenario.simulation.replicates
    if n < 1000:
        error = (0.025 * 0.975 / n) ** 0.5
        yield f"With {n} replicates a rate of 0.025 has a Monte Carlo standard error of {error:.3f}: too much to judge."


def _about_names(scenario: Scenario) -> Iterator[str]:
    lost = {"null", "na", "nan", "n/a"}
    for name in (*scenario.truths, *scenario.arms):
        if name.casefold() in lost:
            yield f"'{name}' is read as a missing value by pandas.read_csv and some spreadsheets: choose another name."


def _about_sources(scenario: Scenario) -> Iterator[str]:
    unsourced = [f"truth '{name}'" for name, truth in scenario.truths.items() if not truth.source]
    for label, part in (("accrual", scenario.population.accrual), ("dropout", scenario.population.dropout)):
        if part is not None and not part.source:
            unsourced.append(label)
    if unsourced:
        yield f"No source is given for {listed(unsourced)}: write source: (a paper, or the word assumed)."


# ------------------------------------------------------------------------- words


def _middle(course: Course) -> float:
    values = numbers(course)
    return sum(values) / len(values)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
