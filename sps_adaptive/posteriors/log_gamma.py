"""Logs of hazards that are gamma distributed, given few other parameters that are summed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.posteriors.approximate import success

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array

HALVINGS = 60
"""Most steps in search of a quantile."""


@dataclass(frozen=True, eq=False)
class LogGammaPosterior:
    r"""Logs of gamma variables that are independent given a node, summed over nodes.

    Arm a is :math:`\theta_a = \log \lambda_a`, and given node q, which has the weight :math:`w_q`, :math:`\lambda_a` is
    :math:`\mathrm{Gamma}(\alpha_a, \beta_{qa})`. Then every question has a closed form: tail areas are incomplete gamma
    functions, and as a ratio of gamma variables is a ratio of a beta variable to its complement,

    .. math:: P(\theta_a - \theta_b > d) = \sum_q w_q\, P\!\left(B > \frac{\beta_{qa} e^d}{\beta_{qa} e^d
        + \beta_{qb}}\right), \qquad B \sim \mathrm{Beta}(\alpha_a, \alpha_b).

    Only `prob_best` integrates over one more variable. Oriented values are :math:`\pm\theta_a`.
    """

    shape: Float[Array, "R A"]
    log_rate: Float[Array, "R Q A"]
    weight: Float[Array, "R Q"]
    """Rows sum to 1."""
    sign: float
    """1 where larger hazards are better, -1 where smaller ones are."""
    spread: Float[Array, "R A"]
    """Standard deviation of one patient's outcome: of what one patient tells of theta."""
    known: Float[Array, "R A"]
    """How many patients with complete follow-up the data of each arm are worth."""
    fit_failed: Bool[Array, " R"]

    def failed(self) -> Bool[Array, " R"]:
        """Return where the nodes could not be placed."""
        return self.fit_failed.copy()

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        from scipy.special import psi

        return np.asarray(self.sign * (psi(self.shape) - self._expected(self.log_rate)))

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        from scipy.special import polygamma

        return np.sqrt(polygamma(1, self.shape) + self._variance(self.log_rate))

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return the standard deviation of one patient's outcome on each arm."""
        return self.spread.copy()

    def below(self, value: Float[Array, "..."]) -> Float[Array, "R A"]:
        """Return P(oriented arm <= value), for values that broadcast to (R, A)."""
        from scipy.special import gammainc, gammaincc

        at = np.broadcast_to(self.sign * np.asarray(value, float), self.shape.shape)
        with np.errstate(over="ignore"):
            exposure = np.exp(at[:, None, :] + self.log_rate)
        tail = gammainc if self.sign > 0 else gammaincc
        return self._expected(np.asarray(tail(self.shape[:, None, :], exposure)))

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return np.clip(1 - self.below(np.array(value)), 0.0, 1.0)

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        mean, sd = self.mean(), self.sd()
        return np.stack([quantile(self.below, tail, mean, sd) for tail in ((1 - level) / 2, (1 + level) / 2)], axis=-1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        from sps_adaptive.posteriors.log_gamma_kernels import fill_best

        best = np.zeros(self.shape.shape)
        if self.shape.shape[1] == 2:
            better = self.prob_better(0)[:, 1]
            both = among.all(axis=1)
            best[:, 1] = np.where(both, better, among[:, 1])
            best[:, 0] = np.where(both, 1 - better, among[:, 0])
            return best
        fill_best(self.shape, self.log_rate, self.weight, np.ascontiguousarray(among), self.sign > 0, best)
        return best

    def difference_below(self, than: int, by: Float[Array, "..."]) -> Float[Array, "R A"]:
        """Return P(oriented arm - arm `than` <= by); without meaning for `than` itself."""
        from scipy.special import betainc, betaincc, expit

        other, gap = self.shape[:, [than]], self.log_rate - self.log_rate[:, :, [than]]
        at = np.broadcast_to(self.sign * np.asarray(by, float), self.shape.shape)
        tail = betainc if self.sign > 0 else betaincc
        place = np.asarray(expit(gap + at[:, None, :]))
        return self._expected(np.asarray(tail(self.shape[:, None, :], other[:, None, :], place)))

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        better = np.clip(1 - self.difference_below(than, np.array(by)), 0.0, 1.0)
        better[:, than] = 1.0 if by < 0 else 0.0
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        gap, sd = self._gap(than)

        def below(by: Float[Array, "R A"]) -> Float[Array, "R A"]:
            return self.difference_below(than, by)

        ends = [quantile(below, tail, gap, sd) for tail in ((1 - level) / 2, (1 + level) / 2)]
        answer = np.stack([gap, *ends], axis=-1)
        answer[:, than] = 0.0
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` patients of each arm), by the normal approximation of `approximate.success`."""
        gap, sd = (self.mean(), self.sd()) if than is None else self._gap(than)
        return success(gap, sd, self.known, more, than, by, threshold, fresh)

    def _gap(self, than: int) -> tuple[Float[Array, "R A"], Float[Array, "R A"]]:
        """Return posterior mean and standard deviation of arm - arm `than`."""
        from scipy.special import polygamma

        mean, own = self.mean(), polygamma(1, self.shape)
        between = self._variance(self.log_rate - self.log_rate[:, :, [than]])
        return mean - mean[:, [than]], np.sqrt(own + own[:, [than]] + between)

    def _expected(self, by_node: Float[Array, "R Q A"]) -> Float[Array, "R A"]:
        return (self.weight[:, :, None] * by_node).sum(axis=1)

    def _variance(self, by_node: Float[Array, "R Q A"]) -> Float[Array, "R A"]:
        return self._expected((by_node - self._expected(by_node)[:, None, :]) ** 2)


def quantile(
    below: Callable[[Float[Array, "R A"]], Float[Array, "R A"]],
    probability: float,
    mean: Float[Array, "R A"],
    sd: Float[Array, "R A"],
) -> Float[Array, "R A"]:
    """Return where a distribution function has a value, to some nine digits: the secant kept in a bracket.

    Parameters
    ----------
    below
        The distribution function of each entry.
    probability
        Its value.
    mean, sd
        About where to look.
    """
    low, high = mean - 4 * sd, mean + 4 * sd
    for _ in range(HALVINGS):  # widen until the bracket holds
        outside = below(low) > probability
        if not outside.any():
            break
        low = np.where(outside, low - 4 * (mean - low), low)
    for _ in range(HALVINGS):
        outside = below(high) < probability
        if not outside.any():
            break
        high = np.where(outside, high + 4 * (high - mean), high)
    miss_low, miss_high = below(low) - probability, below(high) - probability
    at, side, seeking = mean.copy(), np.zeros(mean.shape), np.ones(mean.shape, bool)
    for _ in range(HALVINGS):
        # An entry that is found is left alone, so that it does not depend on the others.
        drop = np.where(miss_high > miss_low, miss_high - miss_low, 1.0)
        between = np.where(miss_high > miss_low, low - miss_low * (high - low) / drop, (low + high) / 2)
        at = np.where(seeking, between, at)
        miss = below(at) - probability
        left = miss < 0
        # Illinois: an end that stays twice counts half, so that both ends move.
        miss_high = np.where(left, np.where(side < 0, miss_high / 2, miss_high), miss)
        miss_low = np.where(left, miss, np.where(side > 0, miss_low / 2, miss_low))
        low, high, side = np.where(left, at, low), np.where(left, high, at), np.where(left, -1.0, 1.0)
        seeking &= (np.abs(miss) > 1e-11) & (high - low > 1e-9 * sd)
        if not seeking.any():
            break
    return at
