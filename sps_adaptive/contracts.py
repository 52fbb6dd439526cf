"""The types and protocols of a simulated trial. Read this file first, `trial.py` second.

Axes, always in this order: **R** replicates, **N** patients in order of enrolment, **A** arms,
**V** visits, **K** looks, **C** covariates, **F** categorical ones (factors). Days are calendar days since the trial
opened.
Outcomes and posteriors are *oriented*: larger is better, whatever the scale of the endpoint; the
endpoint turns them once on the way in and the tables once on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped

Array = NDArray[Any]

SITE = "site"
"""The name by which a rule calls the site that enrols a patient, beside the covariates of the scenario."""

DAYS_PER_MONTH = 365.25 / 12
"""The length of a month, wherever months of a scenario become days."""


class Scale(NamedTuple):
    """What a posterior and a true value are about: a probability, a mean, the log of a ratio; and how it is turned."""

    name: str
    """The word for it, such as `probability`, `mean` or `log_odds`."""
    unit: str = ""
    """Unit of a difference, where it has one."""
    sign: float = 1.0
    """1 where larger is better on the endpoint's own scale, -1 where smaller is."""
    origin: float = 0.0
    """What an oriented value of zero is on the endpoint's own scale."""

    def natural(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Turn oriented values into the endpoint's own scale, and back: turning is its own inverse."""
        return self.origin + self.sign * oriented

    def natural_difference(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Turn oriented differences into the endpoint's own scale, and back."""
        return self.sign * oriented


class Cohort(NamedTuple):
    """The patients who present themselves, and all about them that no decision of the trial can change."""

    enrolled_at: Float[Array, "R N"]
    """Day of enrolment, non-decreasing along N."""
    site: Int[Array, "R N"]
    """Index of the site that enrols the patient."""
    dropout_at: Float[Array, "R N"]
    """Day on which the patient would drop out; inf = never."""
    covariates: Float[Array, "R N C"]
    """Known at enrolment. At present the standard score of the baseline measurement (C = 1)."""
    strata: Int[Array, "R N F"]
    """Level of each categorical covariate (from 0, in the order of the scenario); F may be 0."""
    u_visit: Float[Array, "R N"]
    """Uniform that places the assessment in its window."""
    u_arm: Float[Array, "R N"]
    """Uniform that deals the arm."""
    u_block: Float[Array, "R N"]
    """Uniform that rounds the quotas of a randomisation block; the first patient's counts."""
    u_outcome: Mapping[str, Float[Array, "R N U"]]
    """The patient's own luck, one entry per endpoint, each with as many uniforms as the endpoint needs."""
    site_score: Float[Array, "R N"] | None = None
    """Standard score of the patient's site, the same for its patients; None where sites do not matter."""

    def only(self, which: slice | Array | None) -> Cohort:
        """Return the patients of some replicates, or indexed otherwise: splitting a batch changes nothing."""
        picked: dict[str, Any] = {name: None if field is None else field[which] for name, field in self._arrays()}
        return Cohort(**picked, u_outcome={name: luck[which] for name, luck in self.u_outcome.items()})

    def _arrays(self) -> list[tuple[str, Any]]:
        return [(name, field) for name, field in self._asdict().items() if name != "u_outcome"]


class Potential(NamedTuple):
    """What would happen to each patient on each arm. Made once per truth, before the trial starts.

    This is the only place where the truth enters: nothing after it sees a truth.
    """

    value: Shaped[Array, "R N A V"]
    """Oriented outcome: floats, or booleans where it is yes or no."""
    known_at: Float[Array, "R N #A V"]
    """Day on which it is assessed, inf = never; the axis A has length 1 where the arm does not matter."""
    left_at: Float[Array, "R N #A"] | None = None
    """Day on which the patient leaves because of the outcome, inf = never; None where nobody does."""


class Outcome(NamedTuple):
    """What happens to each patient, given the arms they were dealt."""

    value: Float[Array, "R N V"]
    known_at: Float[Array, "R N V"]
    left_at: Float[Array, "R N"] | None = None
    """As in `Potential`."""

    def leaves_at(self, cohort: Cohort) -> Float[Array, "R N"]:
        """Return the day on which each patient leaves, whatever the reason; inf = never."""
        return cohort.dropout_at if self.left_at is None else np.minimum(cohort.dropout_at, self.left_at)


class Span(NamedTuple):
    """When the protocol lets an arm take patients; None where nothing is said."""

    opens_with: int | None = None
    """Position of the first patient who can be dealt the arm, from 0."""
    opens_on: float | None = None
    """Day on which it opens."""
    opens_after: int | None = None
    """Index of the arm after which it opens, when a rule closes that one."""
    closes_with: int | None = None
    """Position of the first patient who can no longer be dealt the arm."""
    closes_on: float | None = None
    closes_after: int | None = None


class Spans(NamedTuple):
    """From which patient to which each arm may be dealt, as the protocol and the rules so far have it."""

    begin: Int[Array, "R A"]
    """Position of the first patient, from 0; as many as there are patients for an arm that does not open."""
    end: Int[Array, "R A"]
    """Position of the first patient who can no longer be dealt the arm."""


class Snapshot(NamedTuple):
    """What can be known on a day: no truth, no future, no outcome that was not observed."""

    day: Float[Array, " R"]
    arm: Int[Array, "R N"]
    """Arm of each enrolled patient, -1 for those not yet enrolled."""
    known: Bool[Array, "R N V"]
    """Whether the outcome has been assessed."""
    value: Float[Array, "R N V"]
    """Oriented outcome where known, NaN elsewhere."""
    covariates: Float[Array, "R N C"]
    n_pending: Int[Array, " R"]
    """Enrolled, not yet assessed, not known to have dropped out."""
    arm_pending: Int[Array, "R A"]
    """Those of them on each arm."""
    arm_enrolled: Int[Array, "R A"]
    """Patients enrolled on each arm."""
    arm_known: Int[Array, "R A"]
    """Those of them whose primary outcome (last visit) is known."""
    arm_total: Float[Array, "R A"]
    """Sum of their oriented primary outcomes."""
    spans: Spans | None = None
    """Which patients each arm could be dealt to; None where all arms are there from the first patient to the last."""
    strata: Int[Array, "R N F"] | None = None
    """Level of each categorical covariate, as in `Cohort`."""
    followed: Float[Array, "R N"] | None = None
    """Days on study so far: until this day, dropout or the last assessment, whichever comes first; 0 for patients not
    yet enrolled. None unless the endpoint needs it."""

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return self.arm_known.shape[1]

    @property
    def n_enrolled(self) -> Int[Array, " R"]:
        """Patients enrolled."""
        return self.arm_enrolled.sum(axis=1)

    @property
    def n_known(self) -> Int[Array, " R"]:
        """Patients whose primary outcome is known."""
        return self.arm_known.sum(axis=1)


class AnalysisSetting(NamedTuple):
    """What a model must know of its trial."""

    arms: tuple[str, ...]
    higher_is_better: bool = True
    control: int = 0
    """Index of the control."""
    endpoint: Any = None
    """The endpoint as the scenario has it: its categories, visits or follow-up."""
    factors: Mapping[str, Mapping[str, float]] = {}
    """The categorical covariates, in the order of `Snapshot.strata`: for each the prevalence of its levels."""
    baseline: tuple[float, float] | None = None
    """Mean and standard deviation of the baseline measurement, where there is one."""


class Posterior(Protocol):
    """What the analysis believes about the arms, oriented: larger is better. Batched over R."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        ...

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm; where infinite, half the central 68.3% interval."""
        ...

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return an estimate of the standard deviation of one patient's outcome on each arm."""
        ...

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        ...

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        ...

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        ...

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        ...

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        ...

    # A posterior may tell by `failed() -> Bool[R]` in which replicates its fit did not converge.

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(the analysis after `more` outcomes of each arm has P(arm - arm `than` > by) > threshold).

        Without `than` each arm is compared with the number `by`. `fresh`: the further outcomes are analysed alone, as
        those of a separate trial; what they will be is predicted from all that is known in either case.
        """
        ...


class Known(NamedTuple):
    """What is known of an endpoint at a look, beside the primary one."""

    posterior: Posterior
    arm_known: Int[Array, "R A"]
    """Patients whose outcome is known."""
    arm_pending: Int[Array, "R A"]
    """Patients whose outcome is yet to come."""


class Look(NamedTuple):
    """All that a rule of the trial may see."""

    k: int
    """0 for the first scheduled look; for the final analysis the number of scheduled looks."""
    n_looks: int
    """Number of scheduled looks before the final analysis."""
    patients: int
    """Largest number of patients the trial may enrol."""
    control: int
    """Index of the arm that the others are compared with, the same in all replicates. (Where arms are promoted to
    control, rules are asked once for each arm that is the control somewhere.)"""
    first_control: int
    """Index of the arm that was the control when the trial opened."""
    n_enrolled: Int[Array, " R"]
    n_known: Int[Array, " R"]
    arm_enrolled: Int[Array, "R A"]
    """Patients enrolled on each arm."""
    arm_known: Int[Array, "R A"]
    """Those of them whose outcome is known."""
    arm_pending: Int[Array, "R A"]
    """Those of them whose outcome is yet to come: not known, and they are not known to have dropped out."""
    is_open: Bool[Array, "R A"]
    """Arms under study: those that have opened and that no rule has closed. In `probabilities`, arms that take patients
    now."""
    is_claimed: Bool[Array, "R A"]
    """Arms that have been declared effective."""
    posterior: Posterior
    is_coming: Bool[Array, "R A"] | None = None
    """Arms that may still open; None where all arms are there from the start."""
    others: Mapping[str, Known] = {}
    """The endpoints beside the primary one that a rule asks for, by name."""

    def on(self, endpoint: str | None) -> Look:
        """Return the look at another endpoint; at the primary one for None."""
        if endpoint is None or endpoint not in self.others:
            return self
        other = self.others[endpoint]
        return self._replace(
            posterior=other.posterior,
            arm_known=other.arm_known,
            arm_pending=other.arm_pending,
            n_known=other.arm_known.sum(axis=1),
        )

    @property
    def is_final(self) -> bool:
        """Whether this is the analysis after everyone's follow-up."""
        return self.k == self.n_looks

    @property
    def information(self) -> Float[Array, " R"]:
        """Information fraction: known outcomes as a share of all patients there may be; 1 at the final analysis."""
        return np.ones(len(self.n_known)) if self.is_final else np.minimum(self.n_known / self.patients, 1.0)


class Stop(IntEnum):
    """Why a trial stopped. The ids are stored."""

    NO = 0
    EFFICACY = 1
    FUTILITY = 2
    EQUIVALENCE = 3
    HARM = 4


class Verdict(NamedTuple):
    """What a decision rule says at a look."""

    stop: Int[Array, " R"]
    """A `Stop` for each replicate."""
    close: Bool[Array, "R A"]
    """Arms that take no more patients."""
    claim: Bool[Array, "R A"]
    """Arms declared effective."""
    promote: Int[Array, " R"]
    """The arm that becomes the control, -1 for none."""

    @classmethod
    def silent(cls, look: Look) -> Verdict:
        """Return the verdict that changes nothing."""
        nothing = np.zeros(look.is_open.shape, bool)
        return cls(np.zeros(len(nothing), np.int8), nothing, nothing, np.full(len(nothing), -1, np.int8))


class Endpoint(Protocol):
    """How outcomes arise, and in which direction they are good."""

    @property
    def needs_follow_up(self) -> bool:
        """Whether the analysis must know how long each patient has been followed."""
        ...

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: Any,
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return what would happen to each patient on each arm.

        `shift` is what covariates and the site add, on the scale on which they act, in the endpoint's own direction.
        """
        ...

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Any,
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true value of each arm on a scale, averaged over patients where it differs among them.

        `control` is the index of the arm that scales compare with, where they compare.
        """
        ...

    def scale(self, name: str) -> Scale:
        """Return how values on a scale are turned."""
        ...

    def natural(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Turn oriented values back into the endpoint's own scale."""
        ...

    def natural_difference(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Turn oriented differences back into the endpoint's own scale."""
        ...


class AnalysisModel(Protocol):
    """How outcomes are analysed, batched over replicates."""

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given what is known."""
        ...


class ProportionModel(AnalysisModel, Protocol):
    """A conjugate analysis of proportions: what sums over all paths need to know of it."""

    @property
    def priors(self) -> tuple[tuple[float, float], ...]:
        """Oriented (alpha, beta) of each arm."""
        ...


class ProportionPosterior(Posterior, Protocol):
    """A posterior that is a function of counts."""

    def counts(self) -> tuple[Int[Array, "R A"], Int[Array, "R A"]]:
        """Return known outcomes and responders of each arm."""
        ...

    @property
    def priors(self) -> tuple[tuple[float, float], ...]:
        """Oriented (alpha, beta) of each arm before any data."""
        ...

    def log_bayes_factor_equal(self, among: Bool[Array, "R A"]) -> Float[Array, " R"]:
        """Return log P(data | the arms of `among` are equal) - log P(data | each has a rate of its own)."""
        ...


class LookSchedule(Protocol):
    """When the data are looked at."""

    def n_looks(self, patients: int) -> int:
        """Return the number of looks before the final analysis, at most."""
        ...

    def day(self, index: int, cohort: Cohort, outcome: Outcome, after: Float[Array, " R"]) -> Float[Array, " R"]:
        """Return the calendar day on which a look is due; inf where it never is.

        `after` is the day of the look before, -inf for the first: a look on that day or before does not take place.
        """
        ...

    def analysed(self, due: Float[Array, " R"], cohort: Cohort, outcome: Outcome) -> Float[Array, " R"]:
        """Return the calendar day of the analysis: `due` itself, or later if enrolment pauses for it."""
        ...


class AllocationRule(Protocol):
    """With which probabilities the next patients are randomised."""

    @property
    def learns(self) -> bool:
        """Whether the probabilities depend on the data; if not, they depend only on which arms are open."""
        ...

    @property
    def counts_enrolled(self) -> bool:
        """Whether they depend on the patients enrolled on each arm, and not only on those whose outcome is known."""
        ...

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return the probabilities before any look."""
        ...

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the probabilities after a look: rows sum to 1, closed arms get 0."""
        ...

    def block_length(self, n_arms: int) -> int:
        """Return the length of a randomisation block; 0 for independent draws."""
        ...


class Dealer(Protocol):
    """How probabilities become a randomisation list."""

    @property
    def keeps_account(self) -> bool:
        """Whether the list asks what the arms are owed."""
        ...

    def deal(
        self,
        arm: Int[Array, "R N"],
        probabilities: Float[Array, "R A"],
        cohort: Cohort,
        start: Int[Array, " R"],
        owed: Float[Array, "R A"],
    ) -> Int[Array, "R N"]:
        """Return the arms with everybody from `start` on dealt again; the others keep theirs.

        `owed`: for lists that keep account, the sum of the probabilities with which those before `start` were
        randomised, less the patients that each arm got; for others zeros.
        """
        ...


class DecisionRule(Protocol):
    """What is decided at a look. The order of the rules in the file is their order of precedence."""

    @property
    def at_final(self) -> bool:
        """Whether the rule also speaks at the final analysis."""
        ...

    @property
    def reason(self) -> Stop:
        """Why a trial stops in which the rule has closed the last experimental arm."""
        ...

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        ...

    def verdict(self, look: Look) -> Verdict:
        """Return what the rule says."""
        ...


PredictiveTable = Callable[[Look], Array]
"""Returns the predictive probability of success of each arm at a look, [R, A]."""

CriticalValues = Callable[[Look], Array]
"""Returns the probability of being better that an arm must exceed at the final analysis, [R]."""


class Secondary(NamedTuple):
    """An endpoint beside the primary one, and its analysis."""

    name: str
    endpoint: Endpoint
    model: AnalysisModel
    scale: Scale
    is_asked: bool
    """Whether a rule asks for it at looks; the others are analysed at the end only."""


class Design(NamedTuple):
    """One trial design, ready to run: the pieces of a scenario, composed and oriented."""

    arms: tuple[str, ...]
    control: int
    patients: int
    endpoint_name: str
    endpoint: Endpoint
    model: AnalysisModel
    schedule: LookSchedule
    allocation: AllocationRule
    dealer: Dealer
    decisions: tuple[DecisionRule, ...]
    efficacy_margin: float
    """The margin by which an arm must beat control to count as effective."""
    efficacy_value: float | None = None
    """The fixed value, oriented, that it must beat instead of the control; None: the control."""
    spans: tuple[Span, ...] | None = None
    """When each arm takes patients; None where all do from the first to the last."""
    closes_at: float = np.inf
    """Day on which enrolment closes, whatever the number enrolled."""
    scale: Scale = Scale("mean")
    """What the model's posterior is about."""
    others: tuple[Secondary, ...] = ()
    """The endpoints beside the primary one."""

    def is_effective(self, oriented: Float[Array, " A"], rounding: float = 1e-9) -> Bool[Array, " A"]:
        """Return which arms are effective, if these are their true values, oriented; never the control.

        They are if they exceed what the first rule that claims compares them with by more than its margin: the control,
        or a fixed value. Compared with the best other arm, an arm is effective if it is better than the control.
        """
        bar = oriented[self.control] if self.efficacy_value is None else self.efficacy_value
        effective = np.asarray(oriented - bar > self.efficacy_margin + rounding)
        effective[self.control] = False
        return effective
