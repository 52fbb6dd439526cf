"""Which patients an arm is compared with, where arms open late or close early (shared by the models)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.openings import concurrent
from sps_adaptive.part import Part
from sps_adaptive.posteriors.remembered import failures

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, ProportionPosterior


class Controlled(Part):
    """An analysis that says which patients of the control count."""

    controls: Literal["concurrent", "all"] = "concurrent"
    """Where arms open late or close early: `concurrent` compares two arms by the patients enrolled while both could be
    given, so not those who came after a rule had closed one of them; `all` uses every patient. The second has more
    power, and is biased if outcomes drift while the trial enrols. Without arms that open late or close early there is
    no difference. Probabilities of being the best of several arms, and rules that use them, take every patient."""

    left_out: ClassVar[str] = "Patients without an outcome are left out."
    """What becomes of patients whose outcome is not known, in plain English."""

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the model in its trial, as (path, message, hint)."""
        return []

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return the last outcome of n new patients on each arm as the prior expects them, on the endpoint's own scale.

        None where a prior is flat.
        """
        return None

    def prior_means(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return n draws of each arm's value from the prior, on the scale of the analysis as the endpoint states it.

        None where a prior is flat, or where the model does not tell.
        """
        return None


@dataclass(frozen=True, eq=False)
class Concurrent:
    """A model whose comparisons use patients enrolled while both arms could be given.

    Each arm by itself (mean, interval, probability of being the best) is estimated from all its patients.
    """

    model: AnalysisModel

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given what is known."""
        whole = self.model.fit(snapshot)
        return whole if snapshot.spans is None else ConcurrentPosterior(self.model, snapshot, whole)


@dataclass(frozen=True, eq=False)
class ConcurrentPosterior:
    """What is believed of the arms, each comparison from concurrent patients; a fit for each pair that needs one."""

    model: AnalysisModel
    snapshot: Snapshot
    whole: Posterior
    _pairs: dict[tuple[int, int], Posterior] = field(default_factory=dict)

    def pair(self, arm: int, than: int) -> Posterior:
        """Return the posterior from patients who could be given either of two arms."""
        if (arm, than) not in self._pairs:
            assert self.snapshot.spans is not None
            together = concurrent(self.snapshot.spans, arm, than, self.snapshot.arm.shape[1])
            same = bool(together.all())
            self._pairs[arm, than] = self.whole if same else self.model.fit(restricted(self.snapshot, together))
        return self._pairs[arm, than]

    def failed(self) -> Bool[Array, " R"]:
        """Return in which replicates a fit did not converge: of all patients, or of a pair asked for so far."""
        fits = [self.whole, *self._pairs.values()]
        return np.logical_or.reduce([failures(posterior) for posterior in fits])

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return self.whole.mean()

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        return self.whole.sd()

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return an estimate of the standard deviation of one patient's outcome on each arm."""
        return self.whole.outcome_sd()

    def log_bayes_factor_equal(self, among: Bool[Array, "R A"]) -> Float[Array, " R"]:
        """Return the log Bayes factor of equality of the arms of `among`, where the posterior is one of proportions."""
        return cast("ProportionPosterior", self.whole).log_bayes_factor_equal(among)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return self.whole.prob_above(value)

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        return self.whole.interval(level)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`)."""
        return self.whole.prob_best(among)

    def counts(self) -> tuple[Int[Array, "R A"], Int[Array, "R A"]]:
        """Return known outcomes and responders of each arm, where the posterior is one of proportions."""
        return cast("ProportionPosterior", self.whole).counts()

    @property
    def priors(self) -> tuple[tuple[float, float], ...]:
        """Priors of the arms, where the posterior is one of proportions."""
        return cast("ProportionPosterior", self.whole).priors

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm, from concurrent patients."""
        better = self.whole.prob_better(than, by).copy()
        for arm in range(better.shape[1]):
            if arm != than and self.pair(arm, than) is not self.whole:
                better[:, arm] = self.pair(arm, than).prob_better(than, by)[:, arm]
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and interval of arm - arm `than`, from concurrent patients."""
        answer = self.whole.difference(than, level).copy()
        for arm in range(answer.shape[1]):
            if arm != than and self.pair(arm, than) is not self.whole:
                answer[:, arm] = self.pair(arm, than).difference(than, level)[:, arm]
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Refuse: which of the patients to come will be concurrent is not known."""
        raise TypeError("success is not predicted where arms open late or close early")


def restricted(snapshot: Snapshot, keep: Bool[Array, "R N"]) -> Snapshot:
    """Return what would be known had only these patients been enrolled."""
    arm = np.where(keep, snapshot.arm, -1).astype(snapshot.arm.dtype)
    known = snapshot.known & keep[..., None]
    value = np.where(known, snapshot.value, np.nan).astype(snapshot.value.dtype)
    last, final = known[..., -1], np.where(known[..., -1], snapshot.value[..., -1], 0.0)
    mine = [arm == a for a in range(snapshot.n_arms)]
    return snapshot._replace(
        arm=arm,
        known=known,
        value=value,
        arm_enrolled=np.stack([each.sum(axis=1) for each in mine], axis=1),
        arm_known=np.stack([(each & last).sum(axis=1) for each in mine], axis=1),
        arm_total=np.stack([(each * final).sum(axis=1) for each in mine], axis=1),
    )
