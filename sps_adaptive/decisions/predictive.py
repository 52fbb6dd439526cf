"""Stopping on what the final analysis will probably say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sps_adaptive.arrays import above, below
from sps_adaptive.contracts import Look, PredictiveTable, Stop, Verdict
from sps_adaptive.decisions.rule import Effect, Measured, Place, conclude
from sps_adaptive.decisions.shape import Shape
from sps_adaptive.decisions.threshold import Threshold

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array


class Predictive(Threshold):
    r"""The trial stops when the predictive probability of success is too small, or large enough.

    The predictive probability of an arm is that of being declared effective at the final analysis of all patients,
    given the data: the mean over what the posterior expects of the outcomes to come, while allocation goes on as the
    design says, nothing else stops the trial, and patients without an outcome yet count as not yet randomised. It is
    computed exactly, in every state, by backward recursion. Success is what the efficacy rule says at the final
    analysis.

    `futility`: the trial stops if it is below `probability` for every open experimental arm. `efficacy`: an arm with
    more than `probability` is declared effective, and the trial stops. The rule does not apply to the final analysis.

    It needs a binary endpoint, no dropouts, and looks at which the number of outcomes is certain.
    """

    kind: Literal["predictive"]
    then: Literal["futility", "efficacy"] = "futility"
    """Whether a small probability stops the trial for futility, or a large one for efficacy."""
    binding: bool = True
    """Whether the rule must be followed. If not, the run also tells the type I error of the trial in which nobody does,
    as authorities ask for (FDA 2019): giving up may lower the error, but only if one does give up."""

    @property
    def upper(self) -> bool:
        """Whether a large probability counts, and not a small one."""
        return self.then == "efficacy"

    @property
    def is_binding(self) -> bool:
        """Whether the type I error may count on the rule being followed."""
        return self.binding

    @property
    def effect(self) -> Effect:
        """What follows."""
        return "claim" if self.then == "efficacy" else "give_up"

    @property
    def at_final(self) -> bool:
        """Nothing is left to predict at the final analysis."""
        return False

    @property
    def stops(self) -> bool:
        """The trial stops."""
        return True

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Refuse: the rule must first learn the paths of its trial."""
        raise TypeError("a predictive rule works only when bound to its trial")

    def compares(self, control: str) -> str:
        """Return what the rule compares with its threshold, as short as in a formula."""
        return "P(success)"

    def problems(self, n_looks: int, at_final: bool) -> list[Place]:
        """Return what cannot be, as (path, message, hint)."""
        found: list[Place] = []
        if self.then == "efficacy" and not self.binding:
            found.append((("binding",), "declaring an arm effective always binds", "leave it out"))
        if isinstance(self.probability, Shape) and self.probability.error is not None:
            what = "a type I error belongs to a threshold on a posterior probability"
            found.append((("probability", "error"), what, "give final, the last threshold"))
        return super().problems(n_looks, at_final) + found

    def words(self, measured: Measured) -> str:
        """Return the rule in plain English, without a full stop."""
        will = "will probably be declared effective at the final analysis"
        level, when = self.level(), self.when()
        if self.then == "efficacy":
            return f"an arm that {will}, with probability above {level}, is declared effective{when}; the trial stops"
        return f"the trial stops for futility when no open arm {will}: with probability of at least {level}{when}"

    def bind(self, table: PredictiveTable) -> BoundPredictive:
        """Return the rule for a trial whose predictive probabilities are known."""
        return BoundPredictive(self, table)


class BoundPredictive:
    """A predictive rule that knows the predictive probabilities of its trial."""

    at_final = False
    stops = True
    reason = Stop.FUTILITY

    def __init__(self, rule: Predictive, table: PredictiveTable) -> None:
        self.rule, self._table = rule, table
        self.effect = rule.effect

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return self.rule.applies(look)

    def judged(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms the rule judges."""
        return self.rule.judged(look)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what."""
        return self._table(look), self.rule.at(look)

    def met(self, look: Look) -> Bool[Array, "R A"]:
        """Return which arms are above (to claim them), or below (to give up)."""
        value, threshold = self.compared(look)
        beyond = above if self.effect == "claim" else below
        return self.judged(look) & beyond(value, threshold[:, None])

    def verdict(self, look: Look) -> Verdict:
        """Return whether to stop."""
        return conclude(self, look) if self.applies(look) else Verdict.silent(look)
