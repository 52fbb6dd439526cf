"""Follow-ups of patients, as a model sees them, and their posteriors by dense sums over all parameters."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sps_adaptive.contracts import DAYS_PER_MONTH, AnalysisSetting, Cohort, Outcome, Snapshot
from sps_adaptive.endpoints import TimeToEvent
from sps_adaptive.timeline import cut, followed

END = 12.0


def endpoint(better: str = "lower", end: float = END) -> TimeToEvent:
    return TimeToEvent(kind="time_to_event", better=better, follow_up_months=end)


def setting(arms: int = 2, better: str = "lower", factors: Any = None, end: float = END) -> AnalysisSetting:
    names = tuple("abcdef"[:arms])
    return AnalysisSetting(names, better == "higher", endpoint=endpoint(better, end), factors=factors or {})


def snapshot(
    arm: Any, months: Any, event: Any, arms: int = 2, better: str = "lower", strata: Any = None, end: float = END
) -> Snapshot:
    """A look that sees patients followed for so many months so far, some of them with the event.

    Patients without the event and less than the whole follow-up are still followed. Arm -1: not enrolled.
    """
    arm, months, event = np.asarray(arm, np.int8), np.asarray(months, float), np.asarray(event, bool)
    nothing = np.zeros(arm.shape)
    last = 1000.0
    enrolled_at = np.where(arm >= 0, last - months * DAYS_PER_MONTH, last + 50)
    order = np.argsort(enrolled_at, axis=1, kind="stable")
    arm, months, event, enrolled_at = (np.take_along_axis(x, order, axis=1) for x in (arm, months, event, enrolled_at))
    levels = np.zeros((*arm.shape, 0), np.int64)
    if strata is not None:
        levels = np.take_along_axis(np.asarray(strata, np.int64), order[..., None], axis=1)
    cohort = Cohort(
        enrolled_at, nothing.astype(int), np.full(arm.shape, np.inf), nothing[..., None], levels, nothing, nothing,
        nothing, {},
    )  # fmt: skip
    complete = event | (months >= end)
    good = event == (better == "higher")
    known_at = np.where(complete, enrolled_at + months * DAYS_PER_MONTH, enrolled_at + end * DAYS_PER_MONTH)
    # A thousandth of a day later, so that rounding does not hide what has just happened.
    day = np.full(len(arm), last + 1e-3)
    outcome = Outcome(np.stack([months, good], axis=-1), np.stack([known_at, known_at], axis=-1))
    seen = cut(day, cohort, arm, outcome, arms)
    return seen._replace(followed=followed(np.full(len(arm), last), cohort, seen.arm, outcome))


def weibull_trials(
    rng: np.random.Generator,
    replicates: int,
    patients: int,
    log_hazard: Any,
    shape: Any,
    x: Any = None,
    effect: Any = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arm, months and event of trials in which two or more arms alternate and enrolment took as long as follow-up."""
    hazard = np.exp(np.asarray(log_hazard, float))  # [R, A] or [A]
    arms = hazard.shape[-1]
    arm = np.broadcast_to(np.arange(patients) % arms, (replicates, patients))
    own = np.take_along_axis(np.broadcast_to(hazard, (replicates, arms)), arm, axis=1)
    shape = np.broadcast_to(np.asarray(shape, float).reshape(-1, 1), (replicates, 1))
    if x is not None:
        own = own * np.exp(x * np.asarray(effect, float).reshape(-1, 1))
    exposure = rng.exponential(size=(replicates, patients)) / own
    time = END * (exposure * shape / np.exp(shape - 1) / END) ** (1 / shape)
    limit = np.minimum(rng.uniform(0, 1.6 * END, (replicates, patients)), END)
    return arm.copy(), np.minimum(time, limit), time <= limit


def dense_weibull(
    arm: np.ndarray,
    months: np.ndarray,
    event: np.ndarray,
    *,
    x: np.ndarray | None = None,
    covariate_sd: float = 1.0,
    log_sd: float = 0.5,
    prior: tuple[float, float] = (1.0, END),
    by: float = 0.0,
    points: int = 1201,
) -> float:
    """P(theta_1 - theta_0 < -by) of one data set of two arms, from the likelihood as it is written in textbooks.

    Sums on equal steps over the log hazard of either arm, the log shape, and the effect of a covariate if there is one.
    """
    theta = np.linspace(-18, 3, points)
    step = theta[1] - theta[0]
    log_shapes = np.linspace(-6 * log_sd, 6 * log_sd, 161)
    effects = np.linspace(-7 * covariate_sd, 7 * covariate_sd, 141) if x is not None else np.zeros(1)
    z = np.zeros(arm.shape) if x is None else x
    rows = []
    for log_shape in log_shapes:
        k = np.exp(log_shape)
        with np.errstate(divide="ignore"):
            log_h0 = (k - 1) * (np.log(months / END) + 1)  # baseline log hazard at each time
            h0 = END * np.exp(k - 1) / k * (months / END) ** k  # and its integral
        for effect in effects:
            common = (event * (log_h0 + z * effect)).sum()
            common += -0.5 * (log_shape / log_sd) ** 2 - 0.5 * (effect / covariate_sd) ** 2
            of_arm = []
            for a in (0, 1):
                mine = arm == a
                total = (h0 * np.exp(z * effect))[mine].sum() + prior[1]
                of_arm.append((event[mine].sum() + prior[0]) * theta - np.exp(theta) * total)
            rows.append((common, *of_arm))
    common, zero, one = (np.array(each) for each in zip(*rows, strict=True))
    tops = zero.max(axis=1, keepdims=True), one.max(axis=1, keepdims=True)
    density0, density1 = np.exp(zero - tops[0]), np.exp(one - tops[1])
    log_weight = common + (tops[0] + tops[1])[:, 0]
    weight = np.exp(log_weight - log_weight.max())
    # P(theta_1 < theta_0 - by).
    # The trapezoidal rule, with its correction by the slope at the end.
    below = np.cumsum(density1, axis=1) - density1 / 2 - np.gradient(density1, axis=1) / 12
    mass1 = density1.sum(axis=1)
    shift = round(by / step)
    assert abs(shift * step - by) < 1e-12, "take a margin on the grid"
    moved = np.zeros_like(below)
    if shift:
        moved[:, shift:] = below[:, :-shift]
    else:
        moved = below
    joint = weight * (density0 * moved).sum(axis=1)
    return float(joint.sum() / (weight * density0.sum(axis=1) * mass1).sum())


def dense_piecewise(
    arm: np.ndarray,
    months: np.ndarray,
    event: np.ndarray,
    cuts: list[float],
    *,
    x: np.ndarray | None = None,
    baseline_sd: float = 1.0,
    covariate_sd: float = 1.0,
    by: float = 0.0,
    points: int = 33,
) -> float:
    """P(theta_1 - theta_0 < -by) of one data set of two arms; sums over the log hazard of every interval, before their
    mean is taken out, and the effect of a covariate if there is one. Given these the arms are gamma distributed."""
    from scipy.special import betainc

    edges = np.array([0.0, *cuts, END])
    grid = np.linspace(-5.5, 5.5, points)
    axes = [grid * baseline_sd] * (len(edges) - 1) + ([grid * covariate_sd] if x is not None else [])
    nodes = np.stack([each.ravel() for each in np.meshgrid(*axes, indexing="ij")], axis=1)
    raw, effect = nodes[:, : len(edges) - 1], nodes[:, len(edges) - 1 :]
    effect = effect[:, 0] if effect.shape[1] else np.zeros(len(nodes))
    baseline = raw - (raw @ np.diff(edges) / END)[:, None]
    log_weight = -0.5 * ((raw / baseline_sd) ** 2).sum(axis=1) - 0.5 * (effect / covariate_sd) ** 2
    total, shape = [np.full(len(nodes), END) for _ in range(2)], [1.0, 1.0]
    for i in range(len(arm)):
        z = 0.0 if x is None else x[i]
        inside = int(np.searchsorted(edges, months[i], side="left")) - 1
        spent = [min(max(months[i] - start, 0.0), stop - start) for start, stop in pairwise(edges)]
        total[arm[i]] += np.exp(z * effect) * (np.exp(baseline) @ np.array(spent))
        if event[i]:
            log_weight += baseline[:, inside] + z * effect
            shape[arm[i]] += 1
    log_weight -= shape[0] * np.log(total[0]) + shape[1] * np.log(total[1])
    weight = np.exp(log_weight - log_weight.max())
    chance = betainc(shape[1], shape[0], 1 / (1 + total[0] / (total[1] * np.exp(-by))))
    return float((weight * chance).sum() / weight.sum())
