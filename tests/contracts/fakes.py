"""Small stand-ins: a posterior that says what it is told, patients made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sps_adaptive.contracts import Cohort, Look

Array = np.ndarray


@dataclass(frozen=True)
class FakePosterior:
    """A posterior made of numbers; asked for a margin that `better` does not list, it raises."""

    best: Array
    """Weights of being best; they are shared among the arms that are asked for."""
    better: Mapping[float, Array] = field(default_factory=dict)
    """By margin: the probability that each arm is better than the control by it."""
    means: Array | None = None

    def mean(self) -> Array:
        return self.best if self.means is None else self.means

    def sd(self) -> Array:
        return np.full(self.best.shape, 0.1)

    def outcome_sd(self) -> Array:
        return np.sqrt(0.2 + self.best)

    def counts(self) -> tuple[Array, Array]:
        return np.full(self.best.shape, 10), np.round(10 * self.best).astype(int)

    @property
    def priors(self) -> tuple[tuple[float, float], ...]:
        return ((1.0, 1.0),) * self.best.shape[1]

    def log_bayes_factor_equal(self, among: Array) -> Array:
        return 2 - 5 * np.where(among, self.best, 0).max(axis=1)

    def prob_above(self, value: float) -> Array:
        return 1 / (1 + np.exp(-(self.mean() - value) / self.sd()))

    def interval(self, level: float) -> Array:
        return np.stack([self.mean() - level, self.mean() + level], axis=-1)

    def prob_best(self, among: Array) -> Array:
        weight = np.where(among, self.best, 0.0)
        return weight / weight.sum(axis=1, keepdims=True)

    def prob_better(self, than: int, by: float = 0.0) -> Array:
        answer = np.array(self.better[by], float)
        answer[:, than] = 1.0 if by < 0 else 0.0
        return answer

    def difference(self, than: int, level: float) -> Array:
        middle = self.mean() - self.mean()[:, [than]]
        answer = np.stack([middle, middle - level, middle + level], axis=-1)
        answer[:, than] = 0
        return answer

    def prob_success(self, than: int | None, by: float, threshold: float, more: Array, fresh: bool = False) -> Array:
        """Between what is believed now and one half, the nearer to the latter the more is to come."""
        answer = 0.5 + (self.prob_better(than or 0, by) - 0.5) / (1 + threshold + more / (50 + fresh))
        answer[:, than or 0] = 0.0
        return answer


def a_look(
    posterior: Any,
    is_open: Any,
    *,
    k: int = 0,
    n_looks: int = 3,
    patients: int = 100,
    control: int = 0,
    n_enrolled: Any = 40,
    n_known: Any = 30,
    arm_enrolled: Any = None,
    arm_known: Any = None,
    arm_pending: Any = None,
    is_claimed: Any = False,
) -> Look:
    """A look at R replicates; R and A are those of `is_open`."""
    is_open = np.atleast_2d(np.array(is_open, bool))
    replicates = len(is_open)
    return Look(
        k=k,
        n_looks=n_looks,
        patients=patients,
        control=control,
        first_control=control,
        n_enrolled=np.broadcast_to(np.asarray(n_enrolled), (replicates,)).copy(),
        n_known=np.broadcast_to(np.asarray(n_known), (replicates,)).copy(),
        arm_enrolled=_by_arm(arm_enrolled, is_open.shape, n_enrolled),
        arm_known=_by_arm(arm_known, is_open.shape, n_known),
        arm_pending=_by_arm(arm_pending, is_open.shape, np.asarray(n_enrolled) - np.asarray(n_known)),
        is_open=is_open,
        is_claimed=np.broadcast_to(np.asarray(is_claimed, bool), is_open.shape).copy(),
        posterior=posterior,
    )


def _by_arm(given: Any, shape: tuple[int, ...], whole: Any) -> Array:
    """Patients of each arm; if they are not given, about as many on each."""
    if given is None:
        return np.broadcast_to(np.reshape(np.asarray(whole) // shape[1], (-1, 1)), shape).copy()
    return np.broadcast_to(np.asarray(given), shape).copy()


def look_at_better(better: Any, *, by: float = 0.0, is_open: Any = None, **rest: Any) -> Look:
    """A look whose posterior knows only P(arm better than the control by `by`), one row a replicate."""
    better = np.atleast_2d(np.array(better, float))
    is_open = np.ones(better.shape, bool) if is_open is None else is_open
    return a_look(FakePosterior(np.ones(better.shape), {by: better}), is_open, **rest)


def look_at_best(best: Any, *, is_open: Any = None, **rest: Any) -> Look:
    """A look whose posterior knows the probabilities of being best, one row a replicate."""
    best = np.atleast_2d(np.array(best, float))
    is_open = np.ones(best.shape, bool) if is_open is None else is_open
    return a_look(FakePosterior(best), is_open, **rest)


def a_cohort(enrolled_at: Any, **given: Any) -> Cohort:
    """Patients with these enrolment days; what is not given is drawn with a fixed seed, and nobody drops out."""
    enrolled_at = np.atleast_2d(np.array(enrolled_at, float))
    replicates, patients = shape = enrolled_at.shape
    rng = np.random.default_rng(20_261_122)
    drawn = {
        "site": np.zeros(shape, np.int64),
        "dropout_at": np.full(shape, np.inf),
        "covariates": rng.standard_normal((*shape, 1)),
        "strata": np.zeros((*shape, 0), np.int16),
        "u_visit": rng.random(shape),
        "u_arm": rng.random(shape),
        "u_block": rng.random(shape),
        "u_outcome": {"response": rng.random((replicates, patients, 1))},
    }
    given = {name: value if isinstance(value, Mapping) else np.array(value) for name, value in given.items()}
    return Cohort(enrolled_at=enrolled_at, **(drawn | given))


def rows(cohort: Cohort, which: slice) -> Cohort:
    """Some replicates of a cohort."""
    return cohort.only(which)


def copied(value: Any) -> Any:
    """A deep copy of arrays in tuples, mappings and objects that have the fields of a FakePosterior."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return type(value)(*map(copied, value)) if hasattr(value, "_fields") else tuple(map(copied, value))
    if isinstance(value, FakePosterior):
        return FakePosterior(copied(value.best), copied(value.better), copied(value.means))
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal to the last bit, NaN equal to NaN, -0.0 unlike 0.0."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, FakePosterior):
        return all(same(getattr(one, name), getattr(other, name)) for name in ("best", "better", "means"))
    return bool(one == other)
