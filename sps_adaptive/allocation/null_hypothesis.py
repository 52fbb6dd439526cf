"""Thompson sampling that holds it possible that all arms are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded, Probability
from sps_adaptive.allocation.bounds import share_equally
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.contracts import Look, ProportionPosterior

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array

NORMAL_DF = 1e9
"""Degrees of freedom of a Student-t that is normal to all digits that matter."""


class NullHypothesis(Bounded):
    r"""Equal randomisation and Thompson sampling, mixed by the posterior probability that all arms are equal.

    .. math:: \pi_a \propto \frac{P(H_0 \mid \text{data})}{k} + P(H_1 \mid \text{data}) \,
        P(\theta_a = \max_b \theta_b \mid \text{data}, H_1)

    over the k open arms, where :math:`H_0` says that they are equal (Pawel and Held 2025). What tempering, floors and
    burn-ins do by hand, a Bayesian does by believing beforehand in :math:`H_0`: as long as the data do not speak
    against it, randomisation stays near equal. A prior probability of 0 is Thompson sampling, 1 is equal
    randomisation. Use it in small trials, where Thompson sampling chases chance.

    For yes or no, the odds of :math:`H_0` are multiplied by the Bayes factor of Beta-binomial marginal likelihoods.
    The common rate of :math:`H_0` has the prior of the arms; where these differ, a Beta distribution with the mean of
    their parameters (their logarithmic pool with equal weights). With `effect_sd` the normal approximation is used,
    for any endpoint: posterior means :math:`m_a` and standard deviations :math:`s_a` stand for estimates and their
    standard errors, which is apt where priors are worth little; under :math:`H_1` the true values are spread about an
    unknown centre, so that the difference of two arms has prior :math:`N(0, \tau^2)` with :math:`\tau` the `effect_sd`
    (differences from one arm are correlated by one half, as in the paper).

    References
    ----------
    Pawel S, Held L (2025). Stabilizing Thompson sampling with null hypothesis Bayesian response-adaptive
    randomization. arXiv:2510.01734.
    """

    kind: Literal["null_hypothesis"]
    prior_of_equality: Probability = 0.5
    """Probability, before the trial, that all arms are equal."""
    effect_sd: Annotated[float, Field(gt=0)] | None = None
    """Prior standard deviation of the difference of two arms if they differ, on the scale of the endpoint. It is
    needed for an endpoint that is not yes or no."""

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the average of equal randomisation and Thompson sampling."""
        from scipy.special import expit, logit

        if self.effect_sd is None:
            log_bayes = cast(ProportionPosterior, look.posterior).log_bayes_factor_equal(look.is_open)
            best = look.posterior.prob_best(look.is_open)
        else:
            mean, sd = look.posterior.mean(), look.posterior.sd()
            log_bayes, best = normal_hypotheses(mean, sd, self.effect_sd, look.is_open)
        equal = expit(logit(self.prior_of_equality) + log_bayes)[:, None]
        return equal * share_equally(look.is_open) + (1 - equal) * best

    def bound_to_scale(self) -> str | None:
        """Return what ties the probabilities to the unit of the endpoint: the prior of its effects."""
        if self.effect_sd is None:
            return None
        return f"The prior standard deviation of the effects, {self.effect_sd:g}, has the unit of the score."

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and an endpoint without a prior of its effects."""
        found = super().problems(setting)
        if self.effect_sd is None and not setting.is_binary:
            found.append(
                (
                    ("effect_sd",),
                    "without it the rule is for an endpoint of kind binary",
                    "state the standard deviation of the differences between arms that you expect",
                )
            )
        return found

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        spread = (
            "" if self.effect_sd is None else f" and otherwise differences with standard deviation {self.effect_sd:g}"
        )
        return (
            "the probability of being the best arm, averaged with equal randomisation by the probability that all arms "
            f"are equal (at first {self.prior_of_equality:g}{spread})"
        )


def normal_hypotheses(
    mean: Float[Array, "R A"], sd: Float[Array, "R A"], effect_sd: float, among: Bool[Array, "R A"]
) -> tuple[Float[Array, " R"], Float[Array, "R A"]]:
    r"""Return the log Bayes factor of equality, and the probabilities of being best if arms differ.

    Estimates are :math:`m_a \sim N(\theta_a, s_a^2)`, and :math:`\theta_a \sim N(\mu, \tau^2 / 2)` with a flat prior
    of the centre :math:`\mu`; under equality :math:`\tau = 0`. A flat centre leaves the differences from any one arm
    what they are in the paper, with a prior correlation of one half.
    """
    from sps_adaptive.posteriors.joint_student import JointStudentPosterior

    prior, own = effect_sd**2 / 2, sd**2
    log_equal, _, _ = _about_centre(mean, own, among)
    log_apart, centre, precision = _about_centre(mean, own + prior, among)
    share = own / (own + prior)  # of the centre in the mean of an arm
    posterior = JointStudentPosterior(
        location=(1 - share) * mean + share * centre[:, None],
        diagonal=prior * share,
        loading=share / np.sqrt(precision)[:, None],
        variance=np.ones(len(mean)),
        df=np.full(len(mean), NORMAL_DF),
    )
    return log_equal - log_apart, posterior.prob_best(among)


def _about_centre(
    mean: Float[Array, "R A"], variance: Float[Array, "R A"], among: Bool[Array, "R A"]
) -> tuple[Float[Array, " R"], Float[Array, " R"], Float[Array, " R"]]:
    """Return the log marginal likelihood, but for constants, about a centre with a flat prior; it; its precision."""
    weight = np.where(among, 1 / variance, 0.0)
    precision = weight.sum(axis=1)
    centre = (weight * mean).sum(axis=1) / precision
    squares = (weight * (mean - centre[:, None]) ** 2).sum(axis=1)
    logs = np.where(among, np.log(variance), 0.0).sum(axis=1)
    return -(logs + np.log(precision) + squares) / 2, centre, precision
