"""Stopping on what the final analysis will probably say."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from sps_adaptive.arrays import above, below
from sps_adaptive.contracts import Look, PredictiveTable, Stop, Verdict
from sps_adaptive.decisions.threshold import Threshold, experimental, nobody

if TYPE_CHECKING:
    from jaxtyping import Float

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

    at_final: ClassVar[bool] = False

    kind: Literal["predictive"]
    then: Literal["futility", "efficacy"] = "futility"
    """Whether a small probability stops the trial for futility, or a large one for efficacy."""

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return not look.is_final and look.k + 1 >= self.from_look

    def verdict(self, look: Look) -> Verdict:
        """Refuse: the rule must first learn the paths of its trial."""
        raise TypeError("a predictive rule works only when bound to its trial")

    def bind(self, table: PredictiveTable) -> BoundPredictive:
        """Return the rule for a trial whose predictive probabilities are known."""
        return BoundPredictive(self, table)


class BoundPredictive:
    """A predictive rule that knows the predictive probabilities of its trial."""

    at_final: ClassVar[bool] = False

    def __init__(self, rule: Predictive, table: PredictiveTable) -> None:
        self.rule, self._table = rule, table

    def applies(self, look: Look) -> bool:
        """Return whether the rule speaks at this look."""
        return self.rule.applies(look)

    def compared(self, look: Look) -> tuple[Float[Array, "R A"], Float[Array, " R"]]:
        """Return what the rule compares with what."""
        return self._table(look), np.full(len(look.is_open), self.rule.at(look))

    def verdict(self, look: Look) -> Verdict:
        """Return whether to stop."""
        if not self.applies(look):
            return Verdict.silent(look)
        probability, judged = self._table(look), experimental(look)
        if self.rule.then == "efficacy":
            claim = judged & above(probability, self.rule.at(look))
            stop = np.where(claim.any(axis=1), Stop.EFFICACY, Stop.NO).astype(np.int8)
            return Verdict(stop, nobody(look), claim)
        hopeless = below(probability, self.rule.at(look)) | ~judged
        stop = np.where(judged.any(axis=1) & hopeless.all(axis=1), Stop.FUTILITY, Stop.NO).astype(np.int8)
        return Verdict(stop, nobody(look), nobody(look))
