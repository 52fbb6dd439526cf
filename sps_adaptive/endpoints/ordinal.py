"""A scale of ordered categories, such as a stiffness index from 0 to 6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sps_adaptive.contracts import Cohort, Potential, Scale
from sps_adaptive.endpoints.assessment import Assessed
from sps_adaptive.endpoints.course import Course, values
from sps_adaptive.endpoints.endpoint import Place
from sps_adaptive.part import Name, Part
from sps_adaptive.words import listed, percent

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class OrdinalTruth(Part):
    """The true distribution of one arm: category by category, or by an odds ratio against another arm."""

    probabilities: list[Annotated[float, Field(ge=0, le=1)]] | None = None
    """Probability of each category, from the lowest to the highest."""
    odds_ratio: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Cumulative odds ratio for better outcomes against another arm, the same for every division of the categories
    (proportional odds); above 1 is better than that arm."""
    against: Name | None = None
    """The arm that the odds ratio compares with; left out: the one arm whose probabilities are stated."""
    drift: Course | None = None
    """Log odds for better outcomes, by month of enrolment, on top of the stated distribution: {0: 0.5, 18: 0}. Arms
    that are stated by an odds ratio share the drift of the arm they are compared with."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("drift"), dict):  # months are text in JSON
            months = [(_number(month), odds) for month, odds in value["drift"].items()]
            return value | {"drift": dict(months)}
        return {"probabilities": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _one_of_them(self) -> OrdinalTruth:
        if (self.probabilities is None) == (self.odds_ratio is None):
            what, hint = "give one of probabilities and odds_ratio", "for example {odds_ratio: 2.1}"
            raise PydanticCustomError("value_error", what, {"hint": hint})
        return self


class Ordinal(Assessed):
    r"""A score of ordered categories: whole numbers from `lowest` to `highest`, or labels from low to high.

    A patient with luck u has category j on arm a if u lies between the cumulative probabilities of j - 1 and of j,

    .. math:: F_{aj} = \mathrm{expit}(\mathrm{logit}(F_{0j}) - \eta_a),

    where :math:`\eta_a` moves patients towards higher categories: what covariates and sites add, and for an arm stated
    by an odds ratio :math:`\pm\log \mathrm{OR}` with the sign of the good direction, so that an odds ratio above 1 is
    better whichever direction is good (proportional odds, McCullagh 1980). An arm may also have probabilities of its
    own, and then the odds are not proportional. A larger u is a higher category on every arm and in every truth.

    Use it for the distribution-of-stiffness index (0 to 6), the heightened-sensitivity scale (1 to 7) and the modified
    Rankin scale (0 to 6): with so few values and so many patients at an end of the scale a normal distribution fits
    poorly. True values are `mean`, the mean score of all patients; `log_odds`, the log odds ratio for better outcomes
    against the control that a proportional-odds model tends to as patients increase (it maximises the expected log
    likelihood of all arms in equal numbers; where the odds are proportional it is their log ratio; White 1982); and
    `win_probability`, the probability that a patient on the arm fares better than one on the control, a tie counting
    half.
    """

    truth_type: ClassVar[Any] = OrdinalTruth

    kind: Literal["ordinal"]
    lowest: Annotated[int, Field(ge=-1000, le=1000)] | None = None
    """The lowest score."""
    highest: Annotated[int, Field(ge=-1000, le=1000)] | None = None
    """The highest score; every whole number between them is a category."""
    labels: Annotated[list[Name], Field(min_length=2, max_length=50)] | None = None
    """Names of the categories from the lowest to the highest, instead of numbers; they count as 0, 1, 2, ..."""

    @model_validator(mode="after")
    def _categories_stated(self) -> Ordinal:
        numbers = self.lowest, self.highest
        if (self.labels is None) == (None in numbers) or (self.labels is not None and numbers != (None, None)):
            what, hint = "say what the categories are", "give lowest: 0 and highest: 6, or labels: [none, mild, severe]"
            raise PydanticCustomError("value_error", what, {"hint": hint})
        if self.lowest is not None and self.highest is not None and not 1 <= self.highest - self.lowest < 50:
            what, hint = "from 2 to 50 categories are needed", "for example lowest: 0 and highest: 6"
            raise PydanticCustomError("value_error", what, {"hint": hint})
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise PydanticCustomError("value_error", "two labels are the same", {"hint": "name every category once"})
        return self

    @property
    def first(self) -> int:
        """Score of the lowest category."""
        return self.lowest if self.lowest is not None else 0

    @property
    def categories(self) -> int:
        """Number of categories."""
        return len(self.labels) if self.labels is not None else (self.highest or 0) - self.first + 1

    @property
    def scores(self) -> Float[Array, " C"]:
        """Score of each category, from the lowest to the highest."""
        return self.first + np.arange(self.categories, dtype=float)

    def potential(
        self,
        cohort: Cohort,
        name: str,
        arms: tuple[str, ...],
        truth: Mapping[str, OrdinalTruth],
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Potential:
        """Return the oriented score of each patient on each arm; `shift` adds to the log odds of higher categories."""
        luck = cohort.u_outcome[name][:, :, None, 0]
        score = np.full((*luck.shape[:2], len(arms)), float(self.first))
        for at_most in self._cumulative(cohort, arms, truth, shift):
            score += luck >= at_most
        return Potential((self.sign * score)[..., None], self.known_at(cohort))

    def scales(self) -> tuple[str, ...]:
        """Return `mean`; and against the control `log_odds` and `win_probability`."""
        return ("mean", "log_odds", "win_probability")

    def compares(self, scale: str) -> bool:
        """Return whether a scale compares arms with the control."""
        return scale != "mean"

    def scale(self, name: str) -> Scale:
        """Return how values are turned: odds ratios and win probabilities are for better outcomes as they are."""
        return super().scale(name) if name == "mean" else Scale(name)

    def true_values(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, OrdinalTruth],
        scale: str,
        shift: Float[Array, "R N #A"] | None = None,
        control: int = 0,
    ) -> Float[Array, " A"]:
        """Return the oriented true value of each arm.

        `mean` and `win_probability` are of all patients; `log_odds` of patients to whom `shift` adds nothing. The
        latter two compare with arm `control`.
        """
        counted = None if scale == "log_odds" else shift
        share = self.shares(cohort, arms, truth, counted)
        if scale == "mean":
            return np.asarray(self.sign * (share @ self.scores))
        better = share if self.better == "higher" else share[:, ::-1]
        if scale == "log_odds":
            from sps_adaptive.posteriors.cumulative import log_odds_ratios

            return log_odds_ratios(better, control)
        below = np.cumsum(better[control]) - better[control]
        return np.asarray(better @ (below + better[control] / 2))

    def shares(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, OrdinalTruth],
        shift: Float[Array, "R N #A"] | None = None,
    ) -> Float[Array, "A C"]:
        """Return the share of all patients in each category, on each arm."""
        at_most = [each.mean(axis=(0, 1)) for each in self._cumulative(cohort, arms, truth, shift)]
        return np.diff(np.stack([np.zeros(len(arms)), *at_most, np.ones(len(arms))], axis=1), axis=1)

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated."""
        even = ", ".join(f"{share:.2g}" for share in _example(self.categories))
        return f"give probabilities from low to high, [{even}], or {{odds_ratio: 2.1}} against the control"

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth, as (path, message, hint)."""
        found: list[Place] = []
        stated = [arm for arm, value in truth.items() if value.probabilities is not None]
        if not stated:
            hint = "state the probabilities of the control"
            return [((), "no arm has probabilities for the odds ratios to compare with", hint)]
        for arm, value in truth.items():
            if value.probabilities is not None:
                found += self._probability_problems(arm, value)
                continue
            if value.against is None and len(stated) > 1:
                what = f"an odds ratio, and {listed(stated)} have probabilities"
                found.append(((arm,), what, f"say against which: {{odds_ratio: 2, against: {stated[0]}}}"))
            if value.against is not None and value.against not in stated:
                what = f"an odds ratio against '{value.against}', which has no probabilities"
                found.append(((arm, "against"), what, f"compare with {listed(stated)}"))
        return found

    def changes(self, value: Any) -> bool:
        """Return whether the distribution of an arm changes with the month of enrolment."""
        return isinstance(value.drift, dict)

    def describe(self) -> str:
        """Return what kind of outcome it is."""
        if self.labels is not None:
            return f"one of {self.categories} ordered categories ({listed(self.labels)})"
        return f"a score in whole numbers from {self.lowest} to {self.highest}"

    def words(self, value: Any) -> str:
        """Return the true distribution of one arm in a few words."""
        drift = ", changing with the month of enrolment" if self.changes(value) else ""
        if value.probabilities is None:
            against = f" than on {value.against}" if value.against else ""
            return f"odds of better outcomes {value.odds_ratio:g} times higher{against}{drift}"
        shares = np.array(value.probabilities)
        if self.labels is not None:
            each = (f"{percent(share)} {label}" for share, label in zip(shares, self.labels, strict=True))
            return f"{listed(each)}{drift}"
        return f"{self.lowest}-{self.highest} index, mean {shares @ self.scores:.2g}{drift}"

    def _probability_problems(self, arm: str, value: OrdinalTruth) -> list[Place]:
        shares = value.probabilities or []
        place = (arm, "probabilities")
        if value.against is not None:
            return [((arm, "against"), "probabilities are against no other arm", "leave `against` out")]
        if len(shares) != self.categories:
            return [(place, f"{len(shares)} probabilities for {self.categories} categories", self.truth_hint())]
        if abs(sum(shares) - 1) > 1e-6:
            return [(place, f"the probabilities sum to {sum(shares):g}", "they must sum to 1")]
        return []

    def _cumulative(
        self,
        cohort: Cohort,
        arms: tuple[str, ...],
        truth: Mapping[str, OrdinalTruth],
        shift: Float[Array, "R N #A"] | None,
    ) -> list[Float[Array, "#R #N A"]]:
        """Return P(score <= category) of each patient on each arm, for every category but the highest."""
        from scipy.special import expit, logit

        stated = [arm for arm, value in truth.items() if value.probabilities is not None]
        base, moves = [], []
        for arm in arms:
            own = truth[arm]
            other = own if own.probabilities is not None else truth[own.against or stated[0]]
            shares = np.array(other.probabilities)
            base.append(np.where(shares[::-1].cumsum()[::-1][1:] > 0, shares.cumsum()[:-1] / shares.sum(), 1.0))
            odds = 0.0 if own.odds_ratio is None else np.log(own.odds_ratio)
            drifts = [values(each.drift, cohort.enrolled_at) for each in {id(own): own, id(other): other}.values()
                      if each.drift is not None]  # fmt: skip
            moves.append(self.sign * sum(drifts, start=np.asarray(odds)))
        added = np.stack(np.broadcast_arrays(*(np.atleast_2d(move) for move in moves)), axis=-1)
        if shift is not None:
            added = added + shift
        # Where nothing is added the stated probabilities stay what they are, to the last digit.
        plain = not added.any()
        at_most = np.minimum(np.array(base), 1.0).T
        return [each[None, None] if plain else np.asarray(expit(logit(each) - added)) for each in at_most]


def _number(text: Any) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _example(categories: int) -> list[float]:
    """Return probabilities that sum to 1, for a hint."""
    shares = [round(1 / categories, 2)] * categories
    shares[-1] = round(1 - sum(shares[:-1]), 2)
    return shares
