"""A score at several visits, of which the last is the primary one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Potential
from sps_adaptive.endpoints.course import Course, Finite, by_arm
from sps_adaptive.endpoints.endpoint import Endpoint, Place
from sps_adaptive.endpoints.outcome_dropout import OutcomeDropout
from sps_adaptive.endpoints.score_course import ScoreCourse
from sps_adaptive.endpoints.visit_correlation import VisitCorrelation
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


def _written_as(value: Any) -> str:
    """Return how a true value is written: so that what is wrong with it is said of that, and not of all it might be."""
    if isinstance(value, list):
        return "visits"
    is_section = isinstance(value, dict) and not all(str(key).replace(".", "", 1).isdigit() for key in value)
    return "course" if is_section or isinstance(value, ScoreCourse) else "number"


LongitudinalTruth = dict[str, Course | list[Finite] | ScoreCourse]
"""The mean of the analysed outcome on each arm at the visits, for a patient with an average baseline."""

Positive = Annotated[float, Field(gt=0)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]


class VisitsBaseline(Part):
    """The same score, measured at enrolment."""

    mean: float
    """Mean at enrolment."""
    sd: Positive
    """Standard deviation between patients at enrolment."""
    correlation: Correlation | list[Correlation]
    """Correlation, within an arm, between the score at enrolment and at the visits: one for all, or one for each."""


class Longitudinal(Endpoint):
    r"""A normally distributed score at several visits, analysed as it is or as its change from baseline.

    With the patient's standard baseline score z, the scores of arm a at the visits are

    .. math:: y_t = \mu_{at} + b_t z + \varepsilon_t, \qquad \varepsilon \sim N(0, \Sigma - c c^\top),

    with the covariances :math:`\Sigma` of the visits within an arm, :math:`c_t = \rho_t s_t` their covariance with z,
    and :math:`b_t = c_t` for the score itself, :math:`c_t - s_0` for its change. :math:`\mu_{at}` is a number for
    all visits, one for each, or a :class:`~sps_adaptive.endpoints.score_course.ScoreCourse`: natural course, placebo
    response that fades, drug that sets in. What covariates and sites add is added at every visit alike.

    The true value of an arm is the mean of all randomised patients at the last visit, had nobody left: a hypothetical
    estimand. Patients leave by the dropout of the population and, with `dropout`, because of their scores. Use it
    for drugs that set in at different speeds, and to ask what visits before the primary one are worth.
    """

    truth_type: ClassVar[Any] = Annotated[
        Annotated[Course, Tag("number")]
        | Annotated[list[Finite], Tag("visits")]
        | Annotated[ScoreCourse, Tag("course")],
        Discriminator(_written_as),
    ]

    kind: Literal["longitudinal"]
    visits_at_months: Annotated[list[Annotated[float, Field(ge=0, le=600)]], Field(min_length=1, max_length=24)]
    """Months from enrolment to the visits, in order; the last is the primary one."""
    window_months: Annotated[float, Field(ge=0, le=120)] = 0.0
    """A patient's visits fall at most this many months before or after the planned days, all by the same."""
    unit: str | None = None
    """Unit of the score, for the tables."""
    outcome: Literal["value", "change_from_baseline"] = "value"
    """What is analysed: the scores at the visits or their changes since enrolment."""
    sd: Positive | list[Positive]
    """Standard deviation of the score within an arm: one for all visits, or one for each."""
    correlation: VisitCorrelation
    """How the scores of the visits go together, within an arm."""
    baseline: VisitsBaseline | None = None
    """The score at enrolment; needed for a change from baseline and for a baseline-adjusted analysis."""
    dropout: OutcomeDropout | None = None
    """Patients who leave because of their scores; left out: nobody does."""

    @property
    def uniforms(self) -> int:
        """How many uniform numbers the outcome of a patient is made of: for the scores, then for leaving."""
        return self.outcomes * (2 if self.dropout else 1)

    @property
    def outcomes(self) -> int:
        """Number of visits."""
        return len(self.visits_at_months)

    @property
    def assessed_at_month(self) -> float:
        """Months from enrolment to the last visit."""
        return self.visits_at_months[-1]

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: LongitudinalTruth,
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the oriented scores of each patient on each arm; `shift` adds to the score at every visit."""
        luck, visits = cohort.u_outcome[name], self.outcomes
        factor, draw = np.linalg.cholesky(self._residual()), normal_quantile(luck[..., :visits])
        noise = [(draw[..., : visit + 1] * factor[visit, : visit + 1]).sum(axis=2) for visit in range(visits)]
        own = np.stack(noise, axis=-1) + cohort.covariates[..., :1] * self._slope()
        score = self._means(cohort, arms, truth) + own[:, :, None, :]
        if shift is not None:
            score = score + shift[..., None]
        if self.dropout is None:
            return Potential(self.sign * score, self.known_at(cohort))
        stays = self.dropout.visits(score, self._start(cohort), luck[..., visits:], arms)
        known_at = np.where(np.arange(visits) < stays[..., None], self.known_at(cohort), np.inf)
        missed = np.take_along_axis(self._planned(cohort), np.minimum(stays, visits - 1), axis=2)
        return Potential(self.sign * score, known_at, np.where(stays < visits, missed, np.inf))

    def known_at(self, cohort: Cohort) -> Float[Array, "R N 1 V"]:
        """Return the days of the visits, inf for those after the dropout of the population."""
        planned = self._planned(cohort)
        return np.where(planned > cohort.dropout_at[..., None], np.inf, planned)[:, :, None, :]

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: LongitudinalTruth,
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true mean of each arm at the last visit, had nobody left, averaged over the patients."""
        mean = self._means(cohort, arms, truth)[..., -1]
        return self.sign * (mean if shift is None else mean + shift).mean(axis=(0, 1))

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        unit = f" in {self.unit}" if self.unit else ""
        change = ", analysed as its change since enrolment" if self.outcome == "change_from_baseline" else ""
        months = ", ".join(f"{month:g}" for month in self.visits_at_months[:-1])
        visits = f" at months {months} and {self.assessed_at_month:g}" if months else ""
        leaves = ", on which it depends who leaves" if self.dropout else ""
        return f"a score{unit}{visits}{change}{leaves}"

    def words(self, value: Any) -> str:
        """Return the true value of one arm in a few words."""
        if isinstance(value, ScoreCourse) and value.like is not None:
            return f"as {value.like}" + (f", {value.effect.size:+g} in the end" if value.effect else "")
        if isinstance(value, ScoreCourse | list):
            return ", ".join(f"{mean:.3g}" for mean in self.by_visit({"": value}, "")) + " at the visits"
        return super().words(value)

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated, with an example."""
        return (
            "give a number, one for each visit, or a course: {start: 4, placebo: {peak: -0.8, half_life_months: 2}}, "
            "{like: placebo, effect: {size: -1.4, onset_months: 6}}"
        )

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth, as (path, message, hint)."""
        found: list[Place] = []
        for arm, value in truth.items():
            if isinstance(value, list) and len(value) != self.outcomes:
                found.append(((arm,), f"{len(value)} means, and there are {self.outcomes} visits", "give one for each"))
            if isinstance(value, ScoreCourse) and value.like is not None:
                other = truth.get(value.like)
                if not isinstance(other, ScoreCourse) or other.like is not None:
                    what = f"'{value.like}' is no arm with a course of its own"
                    found.append(((arm, "like"), what, "name an arm that states start, natural or placebo"))
        return found

    def problems(self) -> list[Place]:
        """Return what cannot be about the endpoint itself, as (path, message, hint)."""
        found: list[Place] = []
        months, number = np.array(self.visits_at_months), self.outcomes
        if (np.diff(months) <= 0).any():
            found.append((("visits_at_months",), "the visits are not in order", "begin with the earliest"))
        if self.window_months > months[0]:
            what = f"a window of {self.window_months:g} months around month {months[0]:g} begins before enrolment"
            found.append((("window_months",), what, "make the window at most as long as the first month"))
        correlation = self.baseline.correlation if self.baseline else 0.0
        for path, given in ((("sd",), self.sd), (("baseline", "correlation"), correlation)):
            if isinstance(given, list) and len(given) != number:
                found.append((path, f"{len(given)} values, and there are {number} visits", "give one for each"))
        if self.outcome == "change_from_baseline" and self.baseline is None:
            what = "a change from baseline without a baseline"
            found.append((("outcome",), what, "add baseline: {mean, sd, correlation}"))
        return found or self._matrix_problems()

    def by_visit(self, truth: Mapping[str, Any], arm: str) -> Float[Array, " V"]:
        """Return the stated means of an arm at the visits, if they do not change with the month of enrolment."""
        value = truth[arm]
        if isinstance(value, ScoreCourse):
            return value.at(np.array(self.visits_at_months), truth[value.like] if value.like is not None else None)
        return np.broadcast_to(np.asarray(value, np.float64), (self.outcomes,))

    def _matrix_problems(self) -> list[Place]:
        matrix = self.correlation.matrix(np.array(self.visits_at_months))
        if matrix.shape != (self.outcomes, self.outcomes):
            what = f"a matrix for other than {self.outcomes} visits"
            return [(("correlation", "rows"), what, "give a row for each visit, as long as there are visits")]
        if not np.array_equal(matrix, matrix.T) or (np.diagonal(matrix) != 1).any():
            what = "a matrix of correlations is symmetric and has ones on its diagonal"
            return [(("correlation", "rows"), what, "state each correlation twice")]
        if np.linalg.eigvalsh(matrix)[0] < 1e-9:
            what = "these correlations cannot be together: the matrix is not positive definite"
            return [(("correlation",), what, "bring them nearer to 0")]
        if np.linalg.eigvalsh(self._residual())[0] < 1e-12 * np.diagonal(self._residual()).max():
            what = "the correlations with the baseline cannot be beside those of the visits with each other"
            return [(("baseline", "correlation"), what, "bring them nearer to 0, or to each other")]
        return []

    def _planned(self, cohort: Cohort) -> Float[Array, "R N V"]:
        """Return the days of all visits, if the patient stays."""
        planned = cohort.enrolled_at[..., None] + np.array(self.visits_at_months) * DAYS_PER_MONTH
        if self.window_months:
            planned += (self.window_months * DAYS_PER_MONTH * (2 * cohort.u_visit - 1))[..., None]
        return planned

    def _means(self, cohort: Cohort, arms: tuple[str, ...], truth: LongitudinalTruth) -> Float[Array, "#R #N A V"]:
        fixed = np.stack(
            [np.zeros(self.outcomes) if isinstance(truth[a], dict) else self.by_visit(truth, a) for a in arms]
        )
        moving: list[Course] = [value if isinstance(value := truth[arm], dict) else 0.0 for arm in arms]
        return fixed + by_arm(moving, cohort.enrolled_at)[..., None]

    def _sds(self) -> Float[Array, " V"]:
        return np.broadcast_to(np.asarray(self.sd, np.float64), (self.outcomes,))

    def _with_baseline(self) -> Float[Array, " V"]:
        """Return the covariance of the scores with the standard baseline score."""
        if self.baseline is None:
            return np.zeros(self.outcomes)
        return np.asarray(self.baseline.correlation, np.float64) * self._sds()

    def _slope(self) -> Float[Array, " V"]:
        change = self.outcome == "change_from_baseline" and self.baseline is not None
        return self._with_baseline() - (self.baseline.sd if change and self.baseline else 0.0)

    def _residual(self) -> Float[Array, "V V"]:
        """Return the covariances of the scores given the baseline."""
        matrix = self.correlation.matrix(np.array(self.visits_at_months))
        return matrix * np.outer(self._sds(), self._sds()) - np.outer(self._with_baseline(), self._with_baseline())

    def _start(self, cohort: Cohort) -> Float[Array, "R N"] | None:
        """Return the analysed outcome at enrolment; None where it is not measured."""
        if self.outcome == "change_from_baseline":
            return np.zeros(cohort.enrolled_at.shape)
        return None if self.baseline is None else self.baseline.mean + self.baseline.sd * cohort.covariates[..., 0]
