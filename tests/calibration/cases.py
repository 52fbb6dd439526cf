"""The analyses whose calibration is tested: for each a function that draws truths from its prior, and data from them.

To add a model write a function `(generator, trials, patients) -> (truth, snapshot)`: draw every parameter from the
model's prior, with an array of one value a trial; note the true value of each arm, oriented, on the scale of the
analysis ([R, A]; where only differences from the control are identified, 0 for it); draw patients; make the look that
sees them with `tests/models/snapshots.py`, or another helper that returns a `Snapshot`. Then add a line to `CASES`. The
priors must be proper. The design must not adapt, so that one look holds all patients.
"""

from __future__ import annotations

import numpy as np

from sps_adaptive.contracts import AnalysisSetting, Snapshot
from sps_adaptive.models import Ancova, BetaBinomial, Normal, PiecewiseExponential, Weibull
from tests.calibration.harness import Case
from tests.models.follow_ups import END, weibull_trials
from tests.models.follow_ups import setting as follow_up_setting
from tests.models.follow_ups import snapshot as follow_up_snapshot
from tests.models.snapshots import snapshot

ARMS = ("placebo", "one", "other")
SETTING = AnalysisSetting(ARMS)
WORTH = {"mean": 0.3, "patients": 0.5}
"""Prior of a mean: 0.3, worth half a patient."""
SD, SD_PATIENTS = 1.2, 4.0

Rng = np.random.Generator


def dealt(trials: int, patients: int, arms: int = 3) -> np.ndarray:
    """Equal randomisation without chance: the arms in turn."""
    return np.tile(np.arange(patients) % arms, (trials, 1))


def own(by_arm: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """What each patient has from the arm."""
    return np.take_along_axis(np.broadcast_to(by_arm, (len(arm), by_arm.shape[1])), arm, axis=1)


def responses(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    rate, arm = rng.beta(1.5, 2.5, (trials, 3)), dealt(trials, patients)
    return rate, snapshot(arm, rng.random(arm.shape) < own(rate, arm))


def sigmas(rng: Rng, trials: int, arms: int = 1) -> np.ndarray:
    """Standard deviations from the scaled-inverse-chi-square prior."""
    return SD / np.sqrt(rng.chisquare(SD_PATIENTS, (trials, arms)) / SD_PATIENTS)


def means(rng: Rng, sigma: np.ndarray) -> np.ndarray:
    """Means of three arms from their prior, given the standard deviation."""
    return WORTH["mean"] + sigma / np.sqrt(WORTH["patients"]) * rng.standard_normal((len(sigma), 3))


def scores(
    arm_specific: bool = False, known: bool = False, noise: float = 1.0, gain: float = 0.0, slope_patients: float = 0
):
    """Normal scores; other values of `noise` and `gain` than the model has make it wrong."""

    def simulate(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
        sigma = np.full((trials, 1), SD) if known else sigmas(rng, trials, 3 if arm_specific else 1)
        mean, arm = means(rng, sigma), dealt(trials, patients)
        value = own(mean, arm) + noise * own(np.broadcast_to(sigma, mean.shape), arm) * rng.standard_normal(arm.shape)
        x = rng.standard_normal(arm.shape)
        value += gain * (arm > 0)
        if slope_patients:
            value += (0.4 + sigma / np.sqrt(slope_patients) * rng.standard_normal((trials, 1))) * x
        return mean, snapshot(arm, value, x)

    return simulate


def normal(variance: str) -> Normal:
    return Normal(kind="normal", variance=variance, sd=SD, sd_patients=SD_PATIENTS, prior=WORTH)


def ancova() -> Ancova:
    slope = {"mean": 0.4, "patients": 2}
    return Ancova(kind="ancova", sd=SD, sd_patients=SD_PATIENTS, prior=WORTH, slope=slope)


def weibull_events(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    log_hazard, shape = np.log(rng.gamma(1, 1 / END, (trials, 2))), np.exp(rng.normal(0, 0.5, trials))
    return -log_hazard, follow_up_snapshot(*weibull_trials(rng, trials, patients, log_hazard, shape))


def piecewise_events(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    """Hazards that change at month 4; enrolment takes as long as follow-up."""
    log_hazard = np.log(rng.gamma(1, 1 / END, (trials, 2)))
    early, late = (rng.standard_normal((trials, 1)) for _ in range(2))
    mean = (4 * early + (END - 4) * late) / END
    arm = dealt(trials, patients, 2)
    rate = np.exp(own(log_hazard, arm))
    first, second = rate * np.exp(early - mean), rate * np.exp(late - mean)
    exposure = rng.standard_exponential(arm.shape)
    months = np.where(exposure < 4 * first, exposure / first, 4 + (exposure - 4 * first) / second)
    followed = np.minimum(rng.uniform(0.02, 2, arm.shape), 1) * END
    return -log_hazard, follow_up_snapshot(arm, np.minimum(months, followed), months <= followed)


CASES = {
    "beta_binomial": Case(
        BetaBinomial(kind="beta_binomial", prior={"alpha": 1.5, "beta": 2.5}).bind(SETTING), responses
    ),
    "normal, known variance": Case(normal("known").bind(SETTING), scores(known=True)),
    "normal, common variance": Case(normal("common").bind(SETTING), scores()),
    "normal, variance of each arm": Case(normal("arm_specific").bind(SETTING), scores(arm_specific=True)),
    "ancova": Case(ancova().bind(SETTING), scores(slope_patients=2)),
    "weibull": Case(Weibull(kind="weibull").bind(follow_up_setting()), weibull_events),
    "piecewise_exponential": Case(
        PiecewiseExponential(kind="piecewise_exponential", cuts=[4]).bind(follow_up_setting()), piecewise_events
    ),
}

WRONG = {
    "too sure: outcomes vary by 30% more than the known variance says": Case(
        normal("known").bind(SETTING), scores(known=True, noise=1.3)
    ),
    "too vague: they vary by 30% less": Case(normal("known").bind(SETTING), scores(known=True, noise=0.7)),
    "to one side: patients on experimental arms have half a point more than is their due": Case(
        normal("common").bind(SETTING), scores(gain=0.5)
    ),
}
"""Analyses that do not fit the trials they are given."""
