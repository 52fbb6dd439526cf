"""Means at the last of several visits, each visit regressed on those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, stdtrit

from sps_adaptive.posteriors.approximate import success
from sps_adaptive.posteriors.independent import standards
from sps_adaptive.posteriors.joint_student import ANGLE_NODE, ANGLE_NODE_WEIGHT, NODE, NODE_WEIGHT, fill_joint_best
from sps_adaptive.posteriors.lattice import lattice, student_tables

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array


@dataclass(frozen=True, eq=False)
class SequentialPosterior:
    r"""The posterior of the arms' means at the last visit, from a regression of each visit on those before.

    Given the mean :math:`\mu_{a,<t}` of the earlier visits, the regression of visit t with the residual variance
    :math:`\sigma_t^2` says

    .. math::
        \mu_{at} = \bar y_{at} + b_t^\top (\mu_{a,<t} - \bar y_{a,<t}) + \sigma_t \varepsilon_{at} / \sqrt{N_{at}},
        \quad b_t \mid \sigma_t \sim N(\hat b_t, \sigma_t^2 G_t^{-1}), \quad
        \nu_t s_t^2 / \sigma_t^2 \sim \chi^2_{\nu_t},

    with the means :math:`\bar y_{at}` of the patients seen at visit t (covariates, too, count as earlier visits; the
    means are wanted where they are 0). So a mean, or a difference of two arms, at visit t given that of the earlier
    visits is Student-t. Probabilities and quantiles are integrals over V - 1 Student-t variables of the
    Student-t distribution of the last step, by `lattice`. Means and standard deviations are exact. For the probability
    of being the best of three or more arms they are taken to be jointly Student-t, with what they share (the slopes)
    as one factor: of three arms each comparison has its exact probability, and only their dependence is approximate.
    """

    own: Float[Array, "R A V"]
    """1 / N: variance of each arm's mean at each visit given the earlier ones, of its own, in units of σ²."""
    centre: Float[Array, "R A V K"]
    """Means of the covariates and of the visits up to t, of the patients seen at visit t: the first C + t + 1 count."""
    root: Float[Array, "R V K K"]
    """Lower triangular matrices with G⁻¹ = root' root."""
    slope: Float[Array, "R V K"]
    """Posterior mean of the slopes on covariates and earlier visits."""
    variance: Float[Array, "R V"]
    """s²: the scale of σ² at each visit."""
    df: Float[Array, "R V"]
    """ν: degrees of freedom."""
    spread: Float[Array, "R A"]
    """Standard deviation of one patient's last outcome."""
    known: Int[Array, "R A"]
    """Patients whose last outcome is known."""

    def mean(self) -> Float[Array, "R A"]:
        """Return the centre of each arm: the posterior mean where it exists (more than one degree of freedom)."""
        return np.stack([self._moments(arm, None, self.own, self.variance)[0] for arm in range(self._arms)], axis=1)

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm; where infinite, half the central 68.3% interval."""
        return np.stack([self._sd(arm, None) for arm in range(self._arms)], axis=1)

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return an estimate of the standard deviation of one patient's outcome at the last visit."""
        return self.spread.copy()

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return np.stack([self._above(arm, -1, value) for arm in range(self._arms)], axis=1)

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        return np.stack([self._ends(arm, -1, level) for arm in range(self._arms)], axis=1)

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`); 0 outside it, rows sum to 1."""
        arms = self._arms
        better, gap = np.zeros((2, len(self.df), arms, arms))
        df = self.df[:, -1]
        for k in range(arms):
            for j in range(k):
                better[:, k, j] = self._above(k, j, 0.0)
                better[:, j, k] = 1 - better[:, k, j]
                gap[:, k, j] = stdtrit(df, np.clip(better[:, k, j], 1e-300, 1 - 1e-16))
                gap[:, j, k] = -gap[:, k, j]
        (tail, shape), _ = standards(np.array([np.inf]))
        best = np.zeros((len(df), arms))
        diagonal, loading = self._factor()
        fill_joint_best(
            self.mean(), diagonal, loading, np.ones(len(df)), df, np.ascontiguousarray(among), gap, better,
            ANGLE_NODE, ANGLE_NODE_WEIGHT, tail, shape, NODE, NODE_WEIGHT, best,
        )  # fmt: skip
        return best

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm; for `than` itself 1 if by < 0, else 0."""
        better = np.full((len(self.df), self._arms), 1.0 if by < 0 else 0.0)
        for arm in range(self._arms):
            if arm != than:
                better[:, arm] = self._above(arm, than, by)
        return better

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and equal-tailed interval (mean, lower, upper) of arm - arm `than`; 0 for `than` itself."""
        answer = np.zeros((len(self.df), self._arms, 3))
        mean = self.mean()
        for arm in range(self._arms):
            if arm != than:
                answer[:, arm, 0] = mean[:, arm] - mean[:, than]
                answer[:, arm, 1:] = self._ends(arm, than, level)
        return answer

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm), by the normal approximation of `approximate.success`.

        The partial follow-up of the patients to come is left out of account; where nothing is to come, the answer is
        what the posterior says now.
        """
        mean = self.mean()
        gap = mean if than is None else mean - mean[:, [than]]
        sd = np.stack([self._sd(arm, than if than != arm else None) for arm in range(self._arms)], axis=1)
        answer = success(gap, sd, self.known, more, than, by, threshold, fresh)
        nothing = more == 0 if than is None else (more == 0) & (more[:, [than]] == 0)
        if fresh or not nothing.any():
            return answer
        now = self.prob_above(by) if than is None else self.prob_better(than, by)
        return np.where(nothing, (now - threshold > 0).astype(np.float64), answer)

    @property
    def _arms(self) -> int:
        return self.own.shape[1]

    def _only(self, which: Bool[Array, " R"]) -> SequentialPosterior:
        return SequentialPosterior(*(np.ascontiguousarray(field[which]) for field in vars(self).values()))

    def _tables(self) -> tuple[Any, ...]:
        """Return what the kernels must know of the Student-t variables."""
        steps = self.df.shape[1] - 1
        quantile, row = student_tables(self.df[:, :-1], steps)
        (tail, shape), last = standards(self.df[:, -1])
        given = self.own, self.centre, self.root, self.slope, self.variance
        return *given, np.ascontiguousarray(row), quantile, lattice(steps)[1], last, tail, shape

    def _above(self, first: int, second: int, by: float) -> Float[Array, " R"]:
        from sps_adaptive.posteriors.sequential_kernels import fill_above

        answer = np.empty(len(self.df))
        fill_above(*(first, second, float(by), *self._tables(), answer))
        return answer

    def _ends(self, first: int, second: int, level: float) -> Float[Array, "R 2"]:
        from sps_adaptive.posteriors.sequential_kernels import fill_ends

        answer = np.empty((len(self.df), 2))
        fill_ends(*(first, second, np.array([(1 - level) / 2, (1 + level) / 2]), *self._tables(), answer))
        return answer

    def _moments(
        self, first: int, second: int | None, own: Float[Array, "R A V"], variance: Float[Array, "R V"]
    ) -> tuple[Float[Array, " R"], Float[Array, " R"]]:
        """Return mean and variance of `first` less `second`, if the variances have the means `variance`."""
        alone, centre = own[:, first], self.centre[:, first]
        if second is not None:
            alone, centre = alone + own[:, second], centre - self.centre[:, second]
        replicates, visits = alone.shape
        covariates = centre.shape[2] - visits
        mean, covariance = np.zeros((replicates, visits)), np.zeros((replicates, visits, visits))
        for t in range(visits):
            size = covariates + t
            at = np.concatenate([np.zeros((replicates, covariates)), mean[:, :t]], axis=1)
            distance = at - centre[:, t, :size]
            slope, root = self.slope[:, t, :size], self.root[:, t, :size, :size]
            mean[:, t] = centre[:, t, size] + (slope * distance).sum(axis=1)
            before = covariance[:, :t, :t]
            through, earlier = slope[:, covariates:], root[:, :, covariates:]
            far = ((root * distance[:, None, :]).sum(axis=2) ** 2).sum(axis=1)
            # Sums over last axes: their order, and so the last bit, does not depend on the batch.
            moved = (earlier[:, :, None, :] * before[:, None, :, :]).sum(axis=3)
            loose = (moved * earlier).sum(axis=2).sum(axis=1)
            along = (through[:, None, :] * before).sum(axis=2)
            covariance[:, t, :t] = covariance[:, :t, t] = along
            covariance[:, t, t] = variance[:, t] * (alone[:, t] + far + loose) + (along * through).sum(axis=1)
        return mean[:, -1], covariance[:, -1, -1]

    def _factor(self) -> tuple[Float[Array, "R A"], Float[Array, "R A"]]:
        """Return the variance of each arm of its own, and the loading of the factor that they share.

        As those of a joint Student-t, so without the part of the variance that comes from its degrees of freedom.
        """
        tails = 1 - 2 / np.maximum(self.df, 3.0)
        variance, nobody = self.variance / tails * tails[:, -1:], np.zeros_like(self.own)
        arms = range(self._arms)
        whole = np.stack([self._moments(arm, None, self.own, variance)[1] for arm in arms], axis=1)
        shared = np.zeros((len(self.df), self._arms, self._arms))
        for k in arms:
            shared[:, k, k] = self._moments(k, None, nobody, variance)[1]
        own = np.maximum(whole - np.diagonal(shared, axis1=1, axis2=2), 1e-300)
        for k in arms:
            for j in range(k):
                apart = self._moments(k, j, nobody, variance)[1]
                shared[:, k, j] = shared[:, j, k] = (shared[:, k, k] + shared[:, j, j] - apart) / 2
        # Only differences matter: what all arms share alike is left out.
        shared = shared - shared.mean(axis=1, keepdims=True)
        shared = shared - shared.mean(axis=2, keepdims=True)
        value, vector = np.linalg.eigh(shared)
        loading = vector[:, :, -1] * np.sqrt(np.maximum(value[:, -1:], 0.0))
        rest = np.diagonal(shared, axis1=1, axis2=2) - loading**2
        return own + np.maximum(rest, 0.0), loading

    def _sd(self, first: int, second: int | None) -> Float[Array, " R"]:
        sd = np.sqrt(self._moments(first, second, self.own, self.variance / np.maximum(1 - 2 / self.df, 1e-9))[1])
        heavy = np.asarray((self.df <= 2).any(axis=1))
        if heavy.any():
            ends = self._only(heavy)._ends(first, -1 if second is None else second, 2 * float(ndtr(1.0)) - 1)
            sd[heavy] = (ends[:, 1] - ends[:, 0]) / 2
        return sd
