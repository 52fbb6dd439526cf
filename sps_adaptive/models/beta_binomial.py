"""Binary outcomes with Beta priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting, Posterior, Snapshot
from sps_adaptive.models.arm_priors import by_arm
from sps_adaptive.models.controls import Controlled
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array
    from sps_adaptive.posteriors.beta import Priors


class BetaPrior(Part):
    """A Beta distribution for the probability of the event, worth alpha + beta patients."""

    alpha: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """Events the prior is worth."""
    beta: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """Patients without the event the prior is worth."""


class BetaBinomial(Controlled):
    r"""Independent Beta priors and binomial counts: the conjugate analysis of a binary endpoint.

    With s events among n assessed patients of an arm,

    .. math:: \theta_a \mid \text{data} \sim \mathrm{Beta}(\alpha_a + s_a, \beta_a + n_a - s_a)

    (Berry, Carlin, Lee and Müller 2011, section 2.3). Probabilities of being best or better are computed by
    quadrature, not sampled: their errors are below 1e-8 for the priors in use (whole or half numbers, and
    anything from 0.1 on). Patients without an assessment say nothing: they are neither events nor failures.

    Use it for response yes or no. Priors are stated for the event as the endpoint names it; if the event
    harms (`better: lower`), the analysis turns them round by itself.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"binary"})
    scale: ClassVar[str] = "probability"
    needs_baseline: ClassVar[bool] = False

    kind: Literal["beta_binomial"]
    prior: BetaPrior = BetaPrior()
    """The prior of every arm that has none of its own. The default is uniform."""
    arm_priors: dict[str, BetaPrior] = Field(default_factory=dict)
    """Priors of single arms, for example of a control with historical data."""

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        if setting.higher_is_better:
            return BoundBetaBinomial(tuple((prior.alpha, prior.beta) for prior in priors))
        return BoundBetaBinomial(tuple((prior.beta, prior.alpha) for prior in priors))

    def prior_means(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return draws of the event's probability on each arm."""
        priors = by_arm(self.prior, self.arm_priors, setting.arms)
        return np.stack([generator.beta(prior.alpha, prior.beta, n) for prior in priors], axis=1)

    def prior_predictive(
        self, setting: AnalysisSetting, n: int, generator: np.random.Generator
    ) -> Float[Array, "n A"] | None:
        """Return whether new patients have the event."""
        rate = self.prior_means(setting, n, generator)
        assert rate is not None
        return (generator.random(rate.shape) < rate).astype(float)


@dataclass(frozen=True)
class BoundBetaBinomial:
    """The Beta-binomial analysis of given arms."""

    priors: Priors
    """Oriented (alpha, beta) of each arm."""

    def fit(self, snapshot: Snapshot) -> Posterior:
        """Return the posterior given the outcomes of the last visit that are known."""
        from sps_adaptive.posteriors.beta import BetaPosterior

        events = snapshot.arm_total.astype(np.int64)
        return BetaPosterior.from_counts(self.priors, snapshot.arm_known, events, snapshot.arm.shape[1])
