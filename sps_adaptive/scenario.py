"""A scenario: the YAML file as one object, composed, checked and ready to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from sps_adaptive.allocation import AllocationKind, Equal
from sps_adaptive.allocation.realisation import Setting
from sps_adaptive.contracts import (
    DAYS_PER_MONTH,
    AllocationRule,
    AnalysisModel,
    AnalysisSetting,
    Cohort,
    Dealer,
    Design,
    Potential,
    Scale,
    Secondary,
    Span,
)  # fmt: skip
from sps_adaptive.decisions import (
    BenefitRisk,
    DecisionKind,
    Efficacy,
    Equivalence,
    Predictive,
    PredictiveSuccess,
    Promote,
    Prune,
)
from sps_adaptive.decisions.claim import Claim
from sps_adaptive.decisions.contradictions import contradictions
from sps_adaptive.decisions.rule import Ignored, Rule
from sps_adaptive.decisions.rule import Path as RulePath
from sps_adaptive.decisions.shape import Shape
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.endpoints import Continuous, EndpointKind, truth_words
from sps_adaptive.endpoints.course import Course
from sps_adaptive.errors import DesignError, Problem, UsageError
from sps_adaptive.models import AnalysisKind
from sps_adaptive.models.controls import Concurrent
from sps_adaptive.part import Name, Part
from sps_adaptive.population.cohort import Population
from sps_adaptive.population.copula import correlated
from sps_adaptive.population.effects import Effects, LevelEffect, shift
from sps_adaptive.population.sites import Sites
from sps_adaptive.schedules import Assessed, Calendar, Enrolled, Events, NoLooks, ScheduleKind, Several
from sps_adaptive.schedules.schedule import Place

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

    from sps_adaptive.contracts import Array

ENGINE = 1
"""Version of the numbers: raised whenever the same scenario and seed would give other ones."""

BLOCK_SIZE = 2000
"""Replicates in a block. Blocks are drawn whole, so that a larger run repeats the smaller one and goes on."""

ADAPTIVE, FIXED, NO_FUTILITY = "adaptive", "fixed", "no_futility"
"""The designs of a run: the scenario's own; equal randomisation of as many patients without looks; and, where there are
rules that do not bind, the scenario's own in which nobody follows them. Tables store the position: only add at the
end."""

PROSE = frozenset({"title", "question", "source", "description"})
"""Fields that explain the numbers and do not change them."""

CONDITIONAL = frozenset({"log_odds", "log_rate", "log_hazard"})
"""Scales on which a true value is that of the average patient: what covariates and sites add is averaged on the scale
itself, as an analysis that adjusts for them does."""

SCORES = frozenset({"continuous", "longitudinal", "crossover"})
"""Endpoints to which covariates and sites add points."""

LARGEST_SHIFT = 5.0
"""Largest effect of a covariate or standard deviation between sites, on log scales: 148 times as much."""

RESERVED = PROSE | {"none", "effects", "site_sd"}
"""No arm, truth or endpoint may be called so: words of the file, and what the tables call a selection of no arm."""

Words = Annotated[str, StringConstraints(max_length=2000)]


class Moment(Part):
    """A point of the trial: one of a patient, a month, or the closing of another arm by a rule."""

    patient: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """With this patient, counted from 1 in order of enrolment."""
    month: Annotated[float, Field(gt=0, le=1200)] | None = None
    """At the end of this month since the trial opened."""
    when_closed: Name | None = None
    """As soon as a rule closes this arm."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Moment:
        if [self.patient, self.month, self.when_closed].count(None) != 2:
            what, hint = "give one of patient, month and when_closed", "for example {patient: 19} or {month: 12}"
            raise PydanticCustomError("value_error", what, {"hint": hint})
        return self


class Arm(Part):
    """A treatment that patients are randomised to."""

    control: bool = False
    """Whether the other arms are compared with this one."""
    description: Words | None = None
    """Dose and schedule, in words."""
    opens: Moment | None = None
    """When the arm begins to take patients (`patient`: the first who can get it); left out: when the trial opens."""
    closes: Moment | None = None
    """When it takes no more (`patient`: the last who can get it), unless a rule closed it before; left out: when the
    trial ends. Its patients are followed, and it can still be declared effective."""

    @property
    def opens_late(self) -> bool:
        """Whether it is not there from the first patient on."""
        return self.opens is not None and self.opens.patient != 1


TruthFields = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "propertyNames": {"enum": truth_words()}})]
"""The true value of an arm in several words, such as {median: 7.4, cannot_walk: 0.05}."""

Stated = Annotated[Course | list[float] | TruthFields, Field(union_mode="left_to_right")]
"""The true value of an arm as it is stated: what it may be is the endpoint's to say."""


class TruthSpec(BaseModel):
    """A state of the world: for each endpoint, its true value on each arm.

    What a value may be is the endpoint's to say. For most it is one number, or numbers by month of enrolment where it
    changes while the trial enrols: ``placebo: {0: 0.45, 18: 0.25}``. Others take several words, such as
    ``{median: 7.4, cannot_walk: 0.05}``, ``{odds_ratio: 2.1}`` or ``{like: placebo, effect: {size: -1.4}}``.
    """

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, dict[str, Stated]]

    source: Words | None = None
    """Where the numbers come from: a paper, a table, or the word "assumed"."""
    description: Words | None = None
    """What this truth stands for."""

    effects: dict[Name, Effects] = Field(default_factory=dict)
    """What covariates do to an endpoint, by endpoint, covariate and level: a number is prognostic, added on every arm;
    {prognostic: x, predictive: {ARM: y}} adds more on single arms. Log odds for binary and ordinal endpoints, log
    hazard or log rate for events, log seconds for a timed walk, points for scores. The stated value of an arm is that
    of a patient to whom nothing is added. (What is added to an ordinal endpoint moves towards higher categories, also
    where lower ones are better; its odds ratios are for better ones.)"""
    site_sd: dict[Name, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict)
    """Standard deviation between sites of what they add, by endpoint, on the same scale."""

    @property
    def stated(self) -> dict[str, dict[str, Any]]:
        """What is stated of each endpoint, by arm."""
        return self.__pydantic_extra__

    def of(self, endpoint: str) -> dict[str, Any]:
        """Return the true values of an endpoint as they are stated, by arm."""
        return self.__pydantic_extra__[endpoint]


class Simulation(Part):
    """How the figures are found, and how much to simulate."""

    engine: Literal["auto", "exact", "simulate"] = "auto"
    """`exact` sums over all paths of the trial: no Monte Carlo error, for binary endpoints and small trials. `simulate`
    draws trials. `auto` takes exact where the assumptions allow it and it is a matter of seconds."""

    replicates: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Simulated trials for each truth and design."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 20_261_122
    """The seed: the same seed gives the same numbers, on any number of workers."""


class Correlation(Part):
    """Two endpoints of a patient that depend on each other, given the arm.

    The luck of the patient on each endpoint is turned into a standard normal score, and the scores have this
    correlation (a Gaussian copula). Positive: who has a high value on one tends to have a high value on the other, on
    the scales on which they are stated. An outcome made of several uniforms depends through the first of them.
    """

    between: Annotated[list[Name], Field(min_length=2, max_length=2)]
    """The names of the endpoints."""
    correlation: Annotated[float, Field(gt=-1, lt=1)]
    """Correlation of the scores."""


class Scenario(Part):
    """A trial, its assumptions and the states of the world to try it in."""

    title: Words
    """One line that says what the trial is."""
    question: Words | None = None
    """What the trial is to find out."""
    arms: Annotated[dict[Name, Arm], Field(min_length=2, max_length=50)]
    """The arms by name, in the order of the tables; one of them is the control."""
    population: Population
    endpoints: Annotated[dict[Name, EndpointKind], Field(min_length=1)]
    """What is measured, by name."""
    correlations: Annotated[list[Correlation], Field(max_length=1000)] = Field(default_factory=list)
    """How the endpoints of a patient depend on each other, pair by pair; pairs left out are independent."""
    analysis: dict[Name, AnalysisKind]
    """How each endpoint is analysed."""
    looks: ScheduleKind
    """When the data are looked at before the final analysis."""
    allocation: AllocationKind
    """How patients are randomised."""
    decisions: Annotated[list[DecisionKind], Field(max_length=50)]
    """What is decided at a look; the order is the order of precedence."""
    truths: Annotated[dict[Name, TruthSpec], Field(min_length=1, max_length=1000)]
    """The states of the world, by name."""
    simulation: Simulation = Simulation()

    # ------------------------------------------------------------------ names

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of the arms, in order."""
        return tuple(self.arms)

    @property
    def control(self) -> int:
        """Index of the control arm."""
        return [arm.control for arm in self.arms.values()].index(True)

    @property
    def endpoint_name(self) -> str:
        """Name of the primary endpoint."""
        return next(iter(self.endpoints))

    @property
    def endpoint(self) -> EndpointKind:
        """The primary endpoint."""
        return self.endpoints[self.endpoint_name]

    @property
    def is_proportion(self) -> bool:
        """Whether the analysis of the primary endpoint is about the share of patients with an event."""
        return self.is_share(self.endpoint_name)

    def is_share(self, endpoint: str) -> bool:
        """Return whether the analysis of an endpoint is about the share of patients with an event."""
        model = self.analysis.get(endpoint)
        return self.endpoints[endpoint].analysed_as == "binary" and (model is None or model.scale == "probability")

    @property
    def is_platform(self) -> bool:
        """Whether arms open or close by the protocol while the trial enrols."""
        return any(arm.opens_late or arm.closes for arm in self.arms.values())

    @property
    def concurrent_controls(self) -> bool:
        """Whether two arms are compared by the patients enrolled while both could be given."""
        return self.analysis[self.endpoint_name].controls == "concurrent"

    @property
    def n_looks(self) -> int:
        """Number of looks before the final analysis."""
        return self.looks.n_looks(self.population.patients)

    def truth(self, name: str) -> TruthSpec:
        """Return a truth by name.

        Raises
        ------
        UsageError
            If the scenario has no such truth.
        """
        if name not in self.truths:
            raise UsageError(f"the scenario has no truth named '{name}'", f"it has: {', '.join(self.truths)}")
        return self.truths[name]

    def with_simulation(self, replicates: int | None = None, seed: int | None = None) -> Scenario:
        """Return the scenario with another number of replicates or another seed, where one is given."""
        changes = {"replicates": replicates, "seed": seed}
        stated = {name: value for name, value in changes.items() if value is not None}
        return self.model_copy(update={"simulation": self.simulation.model_copy(update=stated)})

    # --------------------------------------------------------------- patients

    def draw(self, seed: int, block: int, replicates: int) -> Cohort:
        """Return the patients of a block."""
        sites_matter = any(any(truth.site_sd.values()) for truth in self.truths.values())
        mix = self._mixed if self.correlations else None
        return self.population.draw(seed, block, replicates, self.endpoints, mix, sites_matter)

    def correlation_matrix(self) -> Float[Array, "E E"]:
        """Return the correlations of the luck of the endpoints, in their order, of high values with high values."""
        names = list(self.endpoints)
        matrix = np.eye(len(names))
        for pair in self.correlations:
            one, other = (names.index(name) for name in pair.between)
            matrix[one, other] = matrix[other, one] = pair.correlation
        return matrix

    def _mixed(self, luck: Mapping[str, Float[Array, "R N U"]]) -> Mapping[str, Float[Array, "R N U"]]:
        signs = {name: 1.0 if endpoint.luck_rises else -1.0 for name, endpoint in self.endpoints.items()}
        return correlated(luck, self.correlation_matrix(), signs)

    def potential(self, truth: str, endpoint: str, cohort: Cohort) -> Potential:
        """Return what would happen to each patient on each arm: the only place where a truth enters a trial."""
        kind, stated = self.endpoints[endpoint], self.truth(truth).of(endpoint)
        added = self._shift(truth, endpoint, cohort)
        return kind.potential(cohort, endpoint, self.arm_names, kind.read(stated), added)

    def true_values(self, truth: str, endpoint: str, cohort: Cohort) -> Float[Array, " A"]:
        """Return the oriented true value of each arm on the scale of the endpoint's analysis, over these patients."""
        kind, scale = self.endpoints[endpoint], self.analysis[endpoint].scale
        values, added = kind.read(self.truth(truth).of(endpoint)), self._shift(truth, endpoint, cohort)
        if added is None or scale not in CONDITIONAL:
            return kind.true_values(cohort, self.arm_names, values, scale, added, self.control)
        stated = kind.true_values(cohort, self.arm_names, values, scale, None, self.control)
        move = np.broadcast_to(kind.sign * added.mean(axis=(0, 1)), stated.shape)
        return np.asarray(stated + move - (move[self.control] if kind.compares(scale) else 0.0))

    def drifts(self, truth: str, endpoint: str) -> bool:
        """Return whether true values change with the month of enrolment; no for values that cannot be read."""
        kind, stated = self.endpoints[endpoint], self.truth(truth).stated.get(endpoint, {})
        if kind.unreadable(stated):
            return False
        return any(kind.changes(value) for value in kind.read(stated).values())

    def differs_among_patients(self, truth: str, endpoint: str) -> bool:
        """Return whether true values depend on who the patients are or on when they come."""
        given = self.truth(truth)
        return self.drifts(truth, endpoint) or endpoint in given.effects or given.site_sd.get(endpoint, 0.0) > 0

    def _shift(self, truth: str, endpoint: str, cohort: Cohort) -> Float[Array, "R N #A"] | None:
        given = self.truth(truth)
        levels = {name: list(levels) for name, levels in self.population.covariates.items()}
        effects, site_sd = given.effects.get(endpoint, {}), given.site_sd.get(endpoint, 0.0)
        return shift(cohort, self.arm_names, levels, effects, site_sd)

    # ------------------------------------------------------------------ rules

    def rules(self) -> Iterator[tuple[RulePath, Rule]]:
        """Yield every rule that stands by itself or is joined with others, with its path from `decisions` on."""
        for position, rule in enumerate(self.decisions):
            for path, leaf in rule.leaves():
                yield (position, *path), leaf

    @property
    def weights(self) -> dict[str, float]:
        """The value of one unit of each endpoint, where a rule weighs benefits and harms; empty elsewhere."""
        weighing = [rule for _, rule in self.rules() if isinstance(rule, BenefitRisk)]
        return weighing[0].weights if weighing else {}

    def claims(self) -> list[tuple[RulePath, Rule]]:
        """Return the rules that declare arms effective by a margin of their own, with their paths."""
        primary = (None, self.endpoint_name)
        return [
            (path, rule)
            for path, rule in self.rules()
            if rule.claims_beyond is not None and getattr(rule, "endpoint", None) in primary
        ]

    def planned_fractions(self) -> tuple[float, ...] | None:
        """Return the planned information at each look as a share of that at the end; None where it is not planned."""
        looks, patients = self.looks, self.population.patients
        waits = getattr(looks, "minimum_assessed", None) or getattr(looks, "minimum_months", None)
        if isinstance(looks, Assessed | Enrolled) and not waits:
            return tuple(count / patients for count in looks.counts(patients)[: self.n_looks])
        return () if self.n_looks == 0 else None

    # ---------------------------------------------------------------- designs

    @property
    def design_names(self) -> tuple[str, ...]:
        """Names of the designs of a run; the code in the tables is the position."""
        binds = all(rule.is_binding for rule in self.decisions)
        return (ADAPTIVE, FIXED) if binds else (ADAPTIVE, FIXED, NO_FUTILITY)

    @property
    def strictest(self) -> str:
        """Name of the design whose type I error counts: that in which nobody follows what need not be followed."""
        return NO_FUTILITY if NO_FUTILITY in self.design_names else ADAPTIVE

    def designs(self) -> dict[str, Design]:
        """Return the designs of a run: the scenario's own, its benchmark, and the first without what does not bind.

        The benchmark randomises the same patients equally, in permuted blocks, looks at nothing before the
        end, and then applies the thresholds of the final analysis.
        """
        equal = Equal(kind="equal")
        rules = tuple(rule.planned(self.planned_fractions() or ()) for rule in self.decisions)
        final_rules = tuple(rule.for_final() for rule in rules if rule.at_final)
        own = self._design(self.looks, self._allocation(), self._dealer(self.allocation), rules, self._spans())
        made = {
            ADAPTIVE: own,
            FIXED: self._design(NoLooks(kind="none"), equal, self._dealer(equal), final_rules),
        }
        if NO_FUTILITY in self.design_names:
            kept = [rule if stated.is_binding else Ignored() for rule, stated in zip(own.decisions, rules, strict=True)]
            made[NO_FUTILITY] = own._replace(decisions=tuple(kept))
        return made

    def _allocation(self) -> AllocationRule:
        return self.allocation.rounded(self.allocation.bind(self.arm_names), len(self.arms))

    def _dealer(self, allocation: AllocationKind) -> Dealer:
        return allocation.dealer(len(self.arms), self.population.factors())

    def _design(
        self,
        schedule: ScheduleKind,
        allocation: AllocationRule,
        dealer: Dealer,
        decisions: tuple[Rule, ...],
        spans: tuple[Span, ...] | None = None,
    ) -> Design:
        name, scale = self.endpoint_name, self.scale(self.endpoint_name)
        claims = [rule for _, rule in self.claims() if rule.claims_beyond is not None]
        against = getattr(claims[0].oriented(self._scale_of), "against", "control") if claims else "control"
        oriented = [rule.oriented(self._scale_of) for rule in decisions]
        return Design(
            arms=self.arm_names,
            control=self.control,
            patients=self.population.patients,
            endpoint_name=name,
            endpoint=self.endpoint,
            model=self._model(name),
            scale=scale,
            others=self._secondaries(),
            schedule=schedule.bind(self.endpoint),
            allocation=allocation,
            dealer=dealer,
            decisions=tuple(rule.within(oriented, allocation) for rule in oriented),
            efficacy_margin=(claims[0].claims_beyond or 0.0) if claims else 0.0,
            efficacy_value=None if isinstance(against, str) else against,
            closes_at=self.population.closes_at,
            spans=spans,
        )

    def scale(self, name: str) -> Scale:
        """Return what the analysis of an endpoint is about."""
        return self.endpoints[name].scale(self.analysis[name].scale)

    def _secondaries(self) -> tuple[Secondary, ...]:
        """Return the endpoints beside the primary one; rules ask for some of them."""
        asked = {name for _, rule in self.rules() if isinstance(rule, Crossing) for name in rule.asks}
        return tuple(
            Secondary(name, endpoint, self._model(name), self.scale(name), name in asked)
            for name, endpoint in list(self.endpoints.items())[1:]
        )

    def _scale_of(self, endpoint: str | None) -> Scale:
        return self.scale(endpoint or self.endpoint_name)

    def analysis_setting(self, name: str) -> AnalysisSetting:
        """Return what the model of an endpoint must know of the trial."""
        endpoint = self.endpoints[name]
        baseline = getattr(endpoint, "baseline", None)
        return AnalysisSetting(
            arms=self.arm_names,
            higher_is_better=endpoint.better == "higher",
            control=self.control,
            endpoint=endpoint,
            factors=self.population.covariates,
            baseline=None if baseline is None else (baseline.mean, baseline.sd),
        )

    def _model(self, name: str) -> AnalysisModel:
        model = self.analysis[name].bind(self.analysis_setting(name))
        return Concurrent(model) if self.is_platform and self.analysis[name].controls == "concurrent" else model

    def _spans(self) -> tuple[Span, ...] | None:
        """Return when each arm takes patients; None where all do throughout."""
        if not self.is_platform:
            return None
        names = list(self.arms)

        def day(moment: Moment | None) -> float | None:
            return None if moment is None or moment.month is None else moment.month * DAYS_PER_MONTH

        def other(moment: Moment | None) -> int | None:
            return None if moment is None or moment.when_closed is None else names.index(moment.when_closed)

        return tuple(
            Span(
                opens_with=arm.opens.patient - 1 if arm.opens and arm.opens.patient else None,
                opens_on=day(arm.opens),
                opens_after=other(arm.opens),
                closes_with=arm.closes.patient if arm.closes else None,
                closes_on=day(arm.closes),
                closes_after=other(arm.closes),
            )
            for arm in self.arms.values()
        )

    # ---------------------------------------------------------------- digests

    def digest(self) -> str:
        """Return what identifies the numbers of a run, but for the truths and the number of replicates.

        Prose does not count: correcting a source must not throw results away.
        """
        content = self.model_dump(mode="json", exclude={"truths": True, "simulation": {"replicates", "engine"}})
        covariates = {name: list(levels) for name, levels in self.population.covariates.items()}
        # Sorting the keys must not lose their order.
        order = {"arms": list(self.arms), "endpoints": list(self.endpoints), "covariates": list(covariates.items())}
        return _digest({"engine": ENGINE, "block_size": BLOCK_SIZE, "order": order, "scenario": content})

    def truth_digest(self, name: str) -> str:
        """Return what identifies the numbers of one truth."""
        truth = self.truth(name)
        values = {endpoint: {arm: _plain(truth.of(endpoint)[arm]) for arm in self.arms} for endpoint in self.endpoints}
        content: dict[str, Any] = {"design": self.digest(), "truth": values}
        if truth.effects or truth.site_sd:
            content |= truth.model_dump(mode="json", include={"effects", "site_sd"})
        return _digest(content)

    # ----------------------------------------------------------------- checks

    def problems(self) -> list[Problem]:
        """Return all that parses and yet cannot be, each with the path of the place to mend."""
        found = [
            Problem(tuple(path), message, hint, also=self._elsewhere(tuple(path), message))
            for path, message, hint in self._problems()
        ]
        return [*found, *self._contradictions()]

    def _elsewhere(self, path: tuple[str | int, ...], message: str) -> tuple[tuple[str | int, ...], ...]:
        """Return the other places that a problem is about: either could be mended."""
        match path:
            case ("arms", name, "closes", unit) if "before it opens" in message:
                return (("arms", name, "opens", unit),)
            case ("arms" | "looks", *_) if "last patient" in message or "the last of" in message:
                return (("population", "patients"),)
            case ("arms" | "looks", *_) if "enrolment closes" in message:
                return (("population", "closes_at_month"),)
            case ("allocation", "floor" | "ceiling") if "beside the control" in message:
                return (("allocation", "control_share"),)
            case ("decisions", *rule, "at_looks", int()) if "from_look is" in message:
                return (("decisions", *rule, "from_look"),)
        return ()

    def _contradictions(self) -> Iterator[Problem]:
        """Yield rules that cannot stand beside each other."""
        looks = self.n_looks if not self.looks.problems(self.population.patients) else 0
        for pair in contradictions(self.decisions, looks, self.planned_fractions()):
            yield Problem(("decisions", *pair.path), pair.message, pair.hint, also=(("decisions", *pair.also),))

    def checked(self, file: Path | str | None = None) -> Scenario:
        """Return the scenario itself if such a trial can be.

        Raises
        ------
        DesignError
            With every problem at once.
        """
        if found := self.problems():
            raise DesignError(found, file)
        return self

    def _problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        yield from self._arm_problems()
        yield from self._name_problems()
        yield from self._endpoint_problems()
        yield from self._truth_problems()
        patients = self.population.patients
        if isinstance(self.population.accrual, Sites):
            yield from _below(("population", "accrual"), self.population.accrual.problems())
        yield from _below(("population", "covariates"), self.population.covariate_problems())
        yield from _below(("allocation",), self.allocation.realisation_problems(self.population.factors()))
        looks = [*self.looks.problems(patients), *self._look_problems()]
        yield from _below(("looks",), looks)
        yield from self._closing_problems()
        setting = Setting(self.arm_names, None if looks else self.n_looks, self.is_proportion)
        yield from _below(("allocation",), self.allocation.problems(setting))
        if self.is_platform and getattr(self.allocation, "rescale", None):
            yield (
                ("allocation", "rescale"),
                "bounds that grow as arms close do not go with arms that open late or close by the protocol",
                "leave rescale out",
            )
        if not looks:  # otherwise the number of looks means nothing
            for position, rule in enumerate(self.decisions):
                yield from _below(("decisions", position), rule.problems(self.n_looks, rule.at_final))
            for place, leaf in self.rules():
                yield from _below(("decisions", *place), self._rule_problems(leaf))

    def _look_problems(self) -> list[Place]:
        """Return what cannot be about the looks, given the endpoint and the truths."""
        looks, found = self.looks, list[Place]()
        for path, schedule in _schedules(looks):
            if isinstance(schedule, Events) and not self.endpoint.has_events:
                found.append(
                    (
                        (*path, "kind"),
                        f"a {self.endpoint.kind} endpoint has no events to count",
                        "look at numbers enrolled or assessed",
                    )
                )
        pauses = getattr(looks, "pause", None) is not None
        for name in self.truths:
            if pauses and self.drifts(name, self.endpoint_name):
                found.append(
                    (
                        ("pause",),
                        f"enrolment pauses, and the truth '{name}' changes with the month of enrolment, which a pause "
                        "would move",
                        "leave the pause out, or state constant true values",
                    )
                )
        return found

    def _closing_problems(self) -> Iterator[Place]:
        """Yield what cannot be about a month in which enrolment closes."""
        closes, looks = self.population.closes_at_month, self.looks
        if closes is None:
            return
        second = self.population.accrual.expected_months(2)
        if closes < second:
            yield (
                ("population", "closes_at_month"),
                f"enrolment closes before two patients can be expected, in month {second:.3g}",
                "give a later month",
            )
        minimum = getattr(looks, "minimum_months", None)
        if minimum is not None and minimum >= closes:
            yield (
                ("looks", "minimum_months"),
                f"no look before month {minimum:g}, and enrolment closes in month {closes:g}",
                "give an earlier month, or let enrolment close later",
            )
        over = closes + self.endpoint.assessed_at_month + self.endpoint.window_months
        for path, schedule in _schedules(looks):
            if isinstance(schedule, Calendar):
                for position, month in enumerate(schedule.months()):
                    if month >= over:
                        place = ("last_month",) if schedule.at_months is None else ("at_months", position)
                        yield (
                            ("looks", *path, *place),
                            f"a look in month {month:g}, and everybody has been followed by month {over:g}, since "
                            f"enrolment closes in month {closes:g}",
                            "leave it out: the final analysis takes place without being listed",
                        )
                        break

    def _rule_problems(self, rule: Rule) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield what cannot be about a rule in this trial."""
        name = (rule.endpoint if isinstance(rule, Crossing) else None) or self.endpoint_name
        for asked in sorted(rule.asks) if isinstance(rule, Crossing) else []:
            if asked not in self.endpoints:
                place = ("weights", asked) if isinstance(rule, BenefitRisk) else ("endpoint",)
                yield place, f"there is no endpoint '{asked}'", f"the endpoints are: {', '.join(self.endpoints)}"
                return
        if name != self.endpoint_name and isinstance(rule, Predictive | PredictiveSuccess):
            yield ("endpoint",), "success is that of the primary endpoint", "leave endpoint out"
        if isinstance(rule, Crossing) and self.is_share(name) and abs(rule.by) >= 1:
            yield (
                ("margin",),
                f"a difference of proportions can never be more than {abs(rule.by):g}",
                "10 percentage points are 0.10",
            )
        against = getattr(rule, "against", "control")
        if not isinstance(against, str) and self.is_share(name) and not 0 <= against <= 1:
            yield ("against",), f"a proportion can never be {against:g}", "30 percent are 0.30"
        if not rule.at_final and self.n_looks == 0:
            yield (), "a rule for looks, and the trial has none", "add looks, or leave the rule out"
        if isinstance(rule, Prune) and rule.keep >= len(self.arms) - 1:
            arms = len(self.arms) - 1
            yield ("keep",), f"keeping {rule.keep} of {arms} experimental arms closes none", f"use fewer than {arms}"
        if isinstance(rule, Crossing) and isinstance(rule.probability, Shape) and rule.probability.error is not None:
            yield from _below(("probability", "error"), self._error_problems(rule))
        yield from self._path_rule_problems(rule)
        if isinstance(rule, PredictiveSuccess):
            yield from self._success_problems(rule)

    def _error_problems(self, rule: Crossing) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        if getattr(rule, "against", "control") == "best" or isinstance(rule, Equivalence):
            yield (
                (),
                f"an error of one comparison with the control, and {rule.word} compares something else",
                "give final, the threshold at the final analysis",
            )
            return
        fractions = self.planned_fractions()
        if fractions is None:
            yield (
                (),
                "the information at these looks is not planned, and the error depends on it",
                "give final, the threshold at the final analysis, or look when so many are enrolled or assessed",
            )
            return
        try:
            rule.planned(fractions)
        except ValueError as error:
            yield (), f"no threshold has this error: {error}", "give final, or look less often"

    def _path_rule_problems(self, rule: Rule) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield what cannot be about rules that sum over the paths of the trial."""
        conditional = isinstance(rule, Efficacy) and rule.test == "conditional"
        if not conditional and not isinstance(rule, Predictive):
            return
        if self.endpoint.kind != "binary" or not self.is_proportion:
            yield ("kind",), "a rule that sums over all paths needs a binary endpoint", "use a posterior rule"
        if isinstance(rule, Crossing) and rule.by != 0:
            yield ("margin",), "a margin has no place in this rule", "leave it out"
        if conditional and self.n_looks and rule.from_look <= self.n_looks:
            yield (
                ("test",),
                "a conditional test is for the final analysis only",
                f"add from_look: {self.n_looks + 1}, or use test: posterior",
            )
        if isinstance(rule, Predictive):
            claims = [leaf for _, leaf in self.claims()]
            if not claims:
                yield ("kind",), "success is not defined: there is no efficacy rule", "add one"
            if any(isinstance(each, Promote) for each in claims):
                yield ("kind",), "predictive probabilities where the control may change", "leave one out"
            if any(isinstance(each, Efficacy) and each.test == "conditional" for each in claims):
                yield ("kind",), "predictive probabilities of a conditional test", "use test: posterior"

    def _success_problems(self, rule: PredictiveSuccess) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield what cannot be about a rule that predicts success."""
        if self.is_platform:
            yield ("kind",), "predicted success where arms open or close by the protocol", "use a posterior probability"
        if getattr(self.analysis.get(self.endpoint_name), "variance", None) == "plug_in":
            yield ("kind",), "predicted success with variance: plug_in", "use variance: arm_specific"
        if not rule.counts_pending:  # it has a definition of success of its own
            return
        claims = self.claims()
        if len(claims) != 1:
            what = "two efficacy rules" if claims else "there is no efficacy rule"
            yield ("kind",), f"success is not defined: {what}", "have one such rule, or use horizon: future"
            return
        (place, claim) = claims[0]
        if not isinstance(claim, Claim):
            yield ("kind",), "predicted success where the control may change", "leave one out, or use horizon: future"
        elif len(place) > 1:
            yield ("kind",), "success is not defined by a joined efficacy rule", "let it stand by itself"
        elif claim.multiplicity != "none":
            yield ("kind",), "predicted success of corrected comparisons", "leave multiplicity out, or use futility"
        elif getattr(claim, "test", "posterior") != "posterior":
            yield ("kind",), "predicted success of a conditional test", "use test: posterior"
        elif getattr(claim, "against", "control") == "best":
            yield ("kind",), "predicted success against the best arm", "compare with the control or a fixed value"

    def _arm_problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        controls = [name for name, arm in self.arms.items() if arm.control]
        if not controls:
            yield ("arms",), "no arm is the control", "write {control: true} behind one arm"
        yield from self._span_problems()
        for name in controls[1:]:
            yield (
                ("arms", name, "control"),
                f"'{name}' and '{controls[0]}' are both the control",
                "keep {control: true} behind one arm only",
            )

    def _span_problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        patients = self.population.patients
        for name, arm in self.arms.items():
            for key in ("opens", "closes"):
                moment: Moment | None = getattr(arm, key)
                if moment is None:
                    continue
                place = ("arms", name, key)
                if arm.control:
                    yield place, "the control is there from the first patient to the last", f"leave {key} out"
                if moment.patient is not None and moment.patient > patients - (key == "closes"):
                    what = "opens after" if key == "opens" else "closes with or after"
                    yield (
                        (*place, "patient"),
                        f"'{name}' {what} the last of {patients} patients",
                        "use a smaller number",
                    )
                if moment.when_closed is not None and (
                    moment.when_closed not in self.arms or moment.when_closed == name
                ):
                    others = ", ".join(other for other in self.arms if other != name)
                    yield (*place, "when_closed"), f"there is no other arm '{moment.when_closed}'", f"use: {others}"
            if arm.opens and arm.closes:
                for unit in ("patient", "month"):
                    first, last = getattr(arm.opens, unit), getattr(arm.closes, unit)
                    if first is not None and last is not None and last < first + (unit == "month") * 1e-9:
                        yield ("arms", name, "closes", unit), f"'{name}' closes before it opens", "make it close later"
        if all(arm.opens_late for arm in self.arms.values() if not arm.control):
            yield ("arms",), "no arm but the control is there when the trial opens", "let one open at once"
        yield from self._never_opened()
        yield from self._left_without_arms()

    def _never_opened(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield arms that cannot open: too late, or each waits for the other."""
        over = self.population.closes_at_month
        waits = {name: arm.opens.when_closed for name, arm in self.arms.items() if arm.opens and arm.opens.when_closed}
        for name, arm in self.arms.items():
            month = arm.opens.month if arm.opens else None
            if over is not None and month is not None and month >= over:
                yield (
                    ("arms", name, "opens", "month"),
                    f"'{name}' opens in month {month:g}, and enrolment closes in month {over:g}",
                    "let it open earlier, or let enrolment close later",
                )
            chain = [name]
            while (following := waits.get(chain[-1])) is not None and following not in chain:
                chain.append(following)
            if following == name and len(chain) > 1:
                yield (
                    ("arms", name, "opens", "when_closed"),
                    f"'{name}' waits for '{waits[name]}', which can close only after '{name}' has",
                    "let one of them open by itself",
                )

    def _left_without_arms(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield moments that could leave patients without any arm, because a rule may close the control."""
        promotes = any(isinstance(rule, Promote) for _, rule in self.rules())
        closes_control = any(getattr(rule, "control_too", False) for _, rule in self.rules())
        for name, arm in self.arms.items():
            if closes_control and (arm.opens or arm.closes):
                key = "opens" if arm.opens else "closes"
                yield (
                    ("arms", name, key),
                    f"not all arms are there throughout, and a rule may close the control: '{name}' {key}, and there "
                    "could be times without any arm",
                    "leave out control_too, or let all arms open at once",
                )
            elif promotes and arm.closes:
                yield (
                    ("arms", name, "closes"),
                    f"'{name}' closes, and a rule may make it the control: there could be times without a control",
                    f"leave out the rule, or closes of '{name}'",
                )

    def _name_problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        for section in ("arms", "endpoints", "truths"):
            for name in getattr(self, section):
                if name in RESERVED:
                    yield (
                        (section, name),
                        f"'{name}' has a meaning of its own and cannot be a name",
                        "choose another name",
                    )

    def _correlation_problems(self) -> Iterator[Place]:
        known = True
        for number, pair in enumerate(self.correlations):
            for name in pair.between:
                if name not in self.endpoints:
                    known = False
                    hint = f"the endpoints are: {', '.join(self.endpoints)}"
                    yield ("correlations", number, "between"), f"there is no endpoint '{name}'", hint
            if frozenset(pair.between) in {frozenset(other.between) for other in self.correlations[:number]}:
                yield (
                    ("correlations", number, "between"),
                    "this pair is stated twice",
                    "keep one of the two",
                )
            if pair.between[0] == pair.between[1]:
                known = False
                yield ("correlations", number, "between"), "an endpoint with itself", "name two endpoints"
        if known and np.linalg.eigvalsh(self.correlation_matrix()).min() < 1e-8:
            yield ("correlations",), "no endpoints can be correlated like this", "use weaker correlations"

    def _endpoint_problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        yield from self._correlation_problems()
        yield from self._crossover_problems()
        for name in self.analysis:
            if name not in self.endpoints:
                yield (
                    ("analysis", name),
                    f"there is no endpoint '{name}'",
                    f"the endpoints are: {', '.join(self.endpoints)}",
                )
        for name, endpoint in self.endpoints.items():
            yield from _below(("endpoints", name), endpoint.problems())
            if isinstance(endpoint, Continuous):
                yield from self._continuous_problems(name, endpoint)
            if name not in self.analysis:
                yield ("analysis",), f"no analysis for the endpoint '{name}'", f"add '{name}: {{kind: ...}}'"
                continue
            model = self.analysis[name]
            if endpoint.analysed_as not in model.takes:
                derived = "" if endpoint.analysed_as == endpoint.kind else f", analysed as {endpoint.analysed_as}"
                yield (
                    ("analysis", name, "kind"),
                    f"{model.kind} is not for an endpoint of kind {endpoint.kind}{derived}",
                    f"use {', '.join(_models_for(endpoint.analysed_as))}",
                )
            elif model.needs_baseline and getattr(endpoint, "baseline", None) is None:
                yield (
                    ("analysis", name, "kind"),
                    f"{model.kind} adjusts for a baseline, but '{name}' has none",
                    "add baseline: {mean, sd, correlation} to the endpoint, or use kind: normal",
                )
            elif any(arm.control for arm in self.arms.values()):
                yield from _below(("analysis", name), model.problems(self.analysis_setting(name)))
            for arm in getattr(model, "arm_priors", {}):
                if arm not in self.arms:
                    yield ("analysis", name, "arm_priors", arm), f"there is no arm '{arm}'", self._the_arms()

    def _crossover_problems(self) -> Iterator[Place]:
        """Yield what does not go with patients who get both treatments."""
        if self.endpoint.kind != "crossover":
            return
        if self.allocation.kind not in ("equal", "fixed"):
            what = (
                "patients get both treatments, so only their order is randomised, and nothing is gained by adapting it"
            )
            yield ("allocation", "kind"), what, "use allocation: {kind: equal}"
        for name, endpoint in self.endpoints.items():
            if endpoint.kind != "crossover":
                what = f"'{name}' has a value for each arm, and every patient gets both treatments"
                yield ("endpoints", name, "kind"), what, "use kind: crossover, or leave it out"
        if self.is_platform:
            yield (
                ("arms",),
                "arms that open late or close early, and patients who get both",
                "leave opens and closes out",
            )

    def _continuous_problems(self, name: str, endpoint: Continuous) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        if endpoint.outcome == "change_from_baseline" and endpoint.baseline is None:
            yield (
                ("endpoints", name, "outcome"),
                "a change from baseline without a baseline",
                "add baseline: {mean, sd, correlation}",
            )
        if isinstance(endpoint.sd, dict):
            yield from self._arms_stated(("endpoints", name, "sd"), endpoint.sd)

    def _truth_problems(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        for truth_name, truth in self.truths.items():
            stated = truth.stated
            yield from _below(("truths", truth_name), self._effect_problems(truth))
            for name in stated:
                if name not in self.endpoints:
                    yield (
                        ("truths", truth_name, name),
                        f"there is no endpoint '{name}'",
                        f"the endpoints are: {', '.join(self.endpoints)}",
                    )
            for name, endpoint in self.endpoints.items():
                if name not in stated:
                    yield (
                        ("truths", truth_name),
                        f"no true values for the endpoint '{name}'",
                        f"add '{name}: {{...}}'",
                    )
                    continue
                path = ("truths", truth_name, name)
                yield from self._arms_stated(path, stated[name])
                if unreadable := endpoint.unreadable(stated[name]):
                    yield from _below(path, unreadable)
                    continue
                values = endpoint.read(stated[name])
                yield from _below(path, endpoint.truth_problems(values))
                for arm, course in values.items():
                    if endpoint.truth_type == Course and isinstance(course, dict) and (not course or min(course) < 0):
                        yield (
                            (*path, arm),
                            "a course needs months from 0 on",
                            "for example {0: 0.45, 18: 0.25}",
                        )

    def _effect_problems(self, truth: TruthSpec) -> Iterator[Place]:
        """Yield what cannot be about the effects of covariates and sites."""
        for key in ("effects", "site_sd"):
            for name in getattr(truth, key):
                if name not in self.endpoints:
                    hint = f"the endpoints are: {', '.join(self.endpoints)}"
                    yield (key, name), f"there is no endpoint '{name}'", hint
        factors = self.population.covariates
        yield from self._too_large(truth)
        for name, effects in truth.effects.items():
            for covariate, by_level in effects.items():
                place = ("effects", name, covariate)
                if covariate not in factors:
                    hint = f"the covariates are: {', '.join(factors)}" if factors else "add it to population.covariates"
                    yield place, f"there is no covariate '{covariate}'", hint
                    continue
                for level, effect in by_level.items():
                    if level not in factors[covariate]:
                        hint = f"its levels are: {', '.join(factors[covariate])}"
                        yield (*place, level), f"'{covariate}' has no level '{level}'", hint
                    for arm in effect.predictive if isinstance(effect, LevelEffect) else {}:
                        if arm not in self.arms:
                            yield (*place, level, "predictive", arm), f"there is no arm '{arm}'", self._the_arms()
        if any(truth.site_sd.values()) and not isinstance(self.population.accrual, Sites):
            yield ("site_sd",), "sites differ, and the accrual names none", "use accrual: {kind: sites, ...}"

    def _too_large(self, truth: TruthSpec) -> Iterator[Place]:
        """Yield effects beyond all measure, on scales on which each unit multiplies odds, rates, hazards or seconds."""
        for name in (name for name in self.endpoints if self.endpoints[name].kind not in SCORES):
            stated: list[tuple[tuple[str | int, ...], float]] = [(("site_sd", name), truth.site_sd.get(name, 0.0))]
            for covariate, by_level in truth.effects.get(name, {}).items():
                for level, effect in by_level.items():
                    place: tuple[str | int, ...] = ("effects", name, covariate, level)
                    if isinstance(effect, LevelEffect):
                        stated += [((*place, "prognostic"), effect.prognostic)]
                        stated += [((*place, "predictive", arm), value) for arm, value in effect.predictive.items()]
                    else:
                        stated.append((place, effect))
            for path, value in stated:
                if abs(value) > LARGEST_SHIFT:
                    yield path, f"{value:g} on a log scale is beyond all measure", "2 means about seven times as much"

    def _arms_stated(
        self, path: tuple[str | int, ...], stated: dict[str, Any]
    ) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        for arm in stated:
            if arm not in self.arms:
                yield (*path, arm), f"there is no arm '{arm}'", self._the_arms()
        if missing := [arm for arm in self.arms if arm not in stated]:
            yield path, f"nothing is said about {', '.join(missing)}", "state a value for every arm"

    def _the_arms(self) -> str:
        return f"the arms are: {', '.join(self.arms)}"


def _below(
    path: tuple[str | int, ...], found: Iterable[tuple[tuple[str | int, ...], str, str]]
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for deeper, message, hint in found:
        yield (*path, *deeper), message, hint


def _schedules(looks: ScheduleKind) -> list[tuple[tuple[str | int, ...], ScheduleKind]]:
    """Return the schedules of a trial, each with its path: those that it is made of, or itself."""
    return (
        [(("of", number), each) for number, each in enumerate(looks.of)]
        if isinstance(looks, Several)
        else [((), looks)]
    )


def _models_for(analysed_as: str) -> list[str]:
    """Return the kinds of analysis that take an outcome."""
    kinds = get_args(get_args(AnalysisKind)[0])
    return [kind.model_fields["kind"].annotation.__args__[0] for kind in kinds if analysed_as in kind.takes]


def _is_course(value: Any) -> bool:
    """Return whether a stated value is one by month of enrolment."""
    return isinstance(value, dict) and all(isinstance(key, int | float) for key in value)


def _plain(value: Any) -> Any:
    """Return a true value for a digest: months in order, and keys as text."""
    if _is_course(value):
        return [[month, value[month]] for month in sorted(value)]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _digest(content: Any) -> str:
    text = json.dumps(_without_prose(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_prose(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_prose(value) for key, value in content.items() if key not in PROSE}
    return [_without_prose(item) for item in content] if isinstance(content, list) else content
