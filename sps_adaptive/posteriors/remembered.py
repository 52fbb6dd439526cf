"""A posterior that remembers what it was asked at a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from sps_adaptive.contracts import Posterior

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, ProportionPosterior


def failures(posterior: Posterior) -> Bool[Array, " R"]:
    """Return in which replicates a fit did not converge."""
    told = getattr(posterior, "failed", None)
    return np.zeros(len(posterior.mean()), bool) if told is None else told()


class Remembered:
    """Answers each question once: several rules, the allocation and the record ask for the same probabilities.

    It lives as long as one look. Answers must not be changed by those who get them.
    """

    def __init__(self, posterior: Posterior) -> None:
        self._posterior = posterior
        self._best: dict[bytes, Float[Array, "R A"]] = {}
        self._better: dict[tuple[int, float], Float[Array, "R A"]] = {}
        self._success: dict[tuple[int | None, float, float, bytes, bool], Float[Array, "R A"]] = {}

    def prob_best(self, among: Bool[Array, "R A"]) -> Float[Array, "R A"]:
        """Return P(arm is the best of `among`)."""
        key = among.tobytes()
        if key not in self._best:
            self._best[key] = self._posterior.prob_best(among)
        return self._best[key]

    def prob_better(self, than: int, by: float = 0.0) -> Float[Array, "R A"]:
        """Return P(arm - arm `than` > by) for each arm."""
        key = (than, by)
        if key not in self._better:
            self._better[key] = self._posterior.prob_better(than, by)
        return self._better[key]

    def counts(self) -> tuple[Int[Array, "R A"], Int[Array, "R A"]]:
        """Return known outcomes and responders of each arm, where the posterior is one of proportions."""
        return cast("ProportionPosterior", self._posterior).counts()

    def failed(self) -> Bool[Array, " R"]:
        """Return in which replicates the fit did not converge; nowhere, where the analysis is closed."""
        return failures(self._posterior)

    def mean(self) -> Float[Array, "R A"]:
        """Return the posterior mean of each arm."""
        return self._posterior.mean()

    def sd(self) -> Float[Array, "R A"]:
        """Return the posterior standard deviation of each arm."""
        return self._posterior.sd()

    def outcome_sd(self) -> Float[Array, "R A"]:
        """Return an estimate of the standard deviation of one patient's outcome on each arm."""
        return self._posterior.outcome_sd()

    @property
    def priors(self) -> tuple[tuple[float, float], ...]:
        """Priors of the arms, where the posterior is one of proportions."""
        return cast("ProportionPosterior", self._posterior).priors

    def log_bayes_factor_equal(self, among: Bool[Array, "R A"]) -> Float[Array, " R"]:
        """Return the log Bayes factor of equality of the arms of `among`, where the posterior is one of proportions."""
        return cast("ProportionPosterior", self._posterior).log_bayes_factor_equal(among)

    def prob_above(self, value: float) -> Float[Array, "R A"]:
        """Return P(arm > value) for each arm."""
        return self._posterior.prob_above(value)

    def interval(self, level: float) -> Float[Array, "R A 2"]:
        """Return the equal-tailed credible interval of each arm."""
        return self._posterior.interval(level)

    def difference(self, than: int, level: float) -> Float[Array, "R A 3"]:
        """Return mean and interval of arm - arm `than`."""
        return self._posterior.difference(than, level)

    def prob_success(
        self, than: int | None, by: float, threshold: float, more: Int[Array, "R A"], fresh: bool = False
    ) -> Float[Array, "R A"]:
        """Return P(success after `more` outcomes of each arm)."""
        key = (than, by, threshold, more.tobytes(), fresh)
        if key not in self._success:
            self._success[key] = self._posterior.prob_success(than, by, threshold, more, fresh)
        return self._success[key]
