"""Stopping on what an analysis to come will probably say, in every trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, PrivateAttr

from sps_adaptive.contracts import AllocationRule, Look
from sps_adaptive.decisions.claim import Claim
from sps_adaptive.decisions.rule import Effect, Measured, Place, Rule
from sps_adaptive.decisions.shape import Shape
from sps_adaptive.decisions.threshold import Crossing

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


class Success(NamedTuple):
    """What counts as success at the analysis to come: P(arm > control + by) > threshold."""

    against_control: bool
    """Whether arms are compared with the control, and not with the number `by`."""
    by: float
    threshold: float


class PredictiveSuccess(Crossing):
    r"""The trial stops when the predictive probability of success at an analysis to come is too small, or large enough.

    The predictive probability of an arm is the mean, over what the posterior expects of the outcomes to come, of
    whether that analysis has :math:`P(\theta_a > \theta_0 + \text{margin}) > \text{threshold}` (Spiegelhalter, Freedman
    and Blackburn 1986; Saville, Connor, Ayers and Alvarez 2014). The analysis is one of three: `current`, of everybody
    enrolled so far, once those who are pending are assessed; `maximum`, of the largest number of patients; `future`, of
    a separate trial of the arm and the control, such as phase III. For the first two, margin and threshold are those of
    the one efficacy rule at the final analysis; the third has its own.

    The patients still to come until the maximum are divided among the open arms as the design does before any look (for
    rules that learn, mostly equally), rounded to whole patients: the allocation is not adapted again. Everybody to come
    is taken to be assessed, nothing else stops the trial, and in an analysis of covariance the baselines to come are
    standard normal ones. Use `predictive` where the allocation to come matters: it sums over all paths, but for binary
    outcomes and small trials only.

    `futility`: the trial stops if the probability is below `probability` for every open experimental arm. `efficacy`:
    an arm with more than `probability` is declared effective, and the trial stops; with `current` that is the way to
    stop enrolment and wait for the patients who are pending (Broglio, Connor and Berry 2014). The rule does not apply
    to the final analysis.
    """

    kind: Literal["predictive_success"]
    horizon: Literal["current", "maximum", "future"]
    """Which analysis to come: of everybody enrolled so far; of the largest number of patients; of a separate trial."""
    then: Literal["futility", "efficacy"] = "futility"
    """Whether a small probability stops the trial for futility, or a large one for efficacy."""
    patients_per_arm: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Of `future`: patients assessed on each arm of the separate trial."""
    final_probability: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of `future`: the separate trial succeeds if an arm is better with more than this probability; with a flat prior
    0.975 stands for a one-sided level of 0.025. It is analysed after the priors of this trial."""
    margin: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """Of `future`: by how much better, in the units of the endpoint, in the good direction."""
    binding: bool = True
    """Whether the rule must be followed. If not, the run also tells the type I error of the trial in which nobody does,
    as authorities ask for (FDA 2019): giving up may lower the error, but only if one does give up."""
    _success: Success | None = PrivateAttr(None)
    _allocation: AllocationRule | None = PrivateAttr(None)

    @property
    def upper(self) -> bool:
        """Whether a large probability counts, and not a small one."""
        return self.then == "efficacy"

    @property
    def by(self) -> float:
        """By how much better an arm is asked to be in a separate trial."""
        return self.margin

    @property
    def is_binding(self) -> bool:
        """Whether the type I error may count on the rule being followed."""
        return self.binding

    @property
    def effect(self) -> Effect:
        """What follows."""
        return "claim" if self.upper else "give_up"

    @property
    def at_final(self) -> bool:
        """Nothing is left to predict at the final analysis."""
        return False

    @property
    def stops(self) -> bool:
        """Whether the trial stops when the rule has declared an arm effective."""
        return self.upper

    @property
    def counts_pending(self) -> bool:
        """Whether the rule asks who is pending."""
        return self.horizon != "future"

    def within(self, rules: Sequence[Rule], allocation: AllocationRule) -> Self:
        """Return the rule of a trial: it knows what success is, and how patients are divided."""
        known = self.model_copy()
        known._allocation = allocation
        if self.patients_per_arm is not None and self.final_probability is not None:
            known._success = Success(True, self.margin, self.final_probability)
        elif len(claims := [rule for rule in rules if isinstance(rule, Claim)]) == 1:
            claim, against = claims[0], getattr(claims[0], "against", "control")
            beyond = claim.by + (0.0 if isinstance(against, str) else against)
            known._success = Success(isinstance(against, str), beyond, claim.stated[-1])
        return known

    def better(self, look: Look) -> Float[Array, "R A"]:
        """Return the predictive probability of success of each arm."""
        if self._success is None or self._allocation is None:
            raise TypeError("a rule on predictive success works only when bound to its trial")
        against_control, by, threshold = self._success
        than = look.control if against_control else None
        if self.horizon != "future":
            more = look.arm_pending + (self.still_to_come(look) if self.horizon == "maximum" else 0)
            return look.posterior.prob_success(than, by, threshold, more)
        found = np.zeros(look.is_open.shape)
        for arm in range(look.is_open.shape[1]):  # each has a trial of its own, with the control
            if arm != look.control:
                more = np.zeros(found.shape, np.int64)
                more[:, [arm, look.control]] = self.patients_per_arm
                found[:, arm] = look.posterior.prob_success(than, by, threshold, more, fresh=True)[:, arm]
        return found

    def still_to_come(self, look: Look) -> Int[Array, "R A"]:
        """Return how many patients each arm would get until the largest number."""
        assert self._allocation is not None
        anyone = look.is_open.any(axis=1, keepdims=True)
        shares = self._allocation.start(look.is_open | ~anyone, look.control) * anyone
        to_come = np.maximum(look.patients - look.n_enrolled, 0)[:, None]
        return np.floor(shares * to_come + 0.5 + 1e-9).astype(np.int64)  # ties up, in spite of rounding errors

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above the threshold (to claim them), or below (to give up)."""
        return self.exceeds(look) if self.upper else self.falls_short(look)

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        number = f" with {self.patients_per_arm} an arm" if self.horizon == "future" else ""
        return f"P(success, {self.horizon}{number})"

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint)."""
        found: list[Place] = []
        for name in ("patients_per_arm", "final_probability"):
            given = getattr(self, name) is not None
            if given != (self.horizon == "future"):
                what = f"'{name}' is missing" if not given else f"'{name}' belongs to a separate trial"
                hint = "say what the separate trial is" if not given else "leave it out, or use horizon: future"
                found.append(((name,) if given else (), what, hint))
        if self.margin != 0 and self.horizon != "future":
            found.append((("margin",), "the margin is that of the efficacy rule", "leave it out"))
        if self.upper and not self.binding:
            found.append((("binding",), "declaring an arm effective always binds", "leave it out"))
        if isinstance(self.probability, Shape) and self.probability.error is not None:
            what = "a type I error belongs to a threshold on a posterior probability"
            found.append((("probability", "error"), what, "give final, the last threshold"))
        return super().problems(n_looks, at_final) + found

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        level, when = self.level(), self.when()
        if self.horizon == "future":
            by = f" by more than {measured.difference(self.margin)}" if self.margin else ""
            will = (
                f"will probably be found better than {measured.control}{by} (posterior probability above "
                f"{self.final_probability:g}) in a separate trial of {self.patients_per_arm} patients an arm"
            )
        else:
            whom = "all patients" if self.horizon == "maximum" else "those enrolled so far, when they are assessed"
            will = f"will probably be declared effective by the analysis of {whom}"
        if self.upper:
            return f"an arm that {will}, with probability above {level}, is declared effective{when}; the trial stops"
        return f"the trial stops for futility when no open arm {will}: with probability of at least {level}{when}"
