"""The analyses whose calibration is tested: for each a function that draws truths from its prior, and data from them.

To add a model write a function `(generator, trials, patients) -> (truth, snapshot)`: draw every parameter from the
model's prior, with an array of one value a trial; note the true value of each arm, oriented, on the scale of the
analysis ([R, A]; where only differences from the control are identified, 0 for it); draw patients; make the look that
sees them with `tests/models/snapshots.py`, or another helper that returns a `Snapshot`. Then add a line to `CASES`. The
priors must be proper. The design must not adapt, so that one look holds all patients.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, ndtr

from sps_adaptive.contracts import AnalysisSetting, Snapshot
from sps_adaptive.endpoints import Count, Ordinal
from sps_adaptive.models import (
    Ancova,
    BetaBinomial,
    CrossoverAnalysis,
    Logistic,
    NegativeBinomial,
    Normal,
    PiecewiseExponential,
    ProportionalOdds,
    Walk,
    Weibull,
    WinProbability,
)  # fmt: skip
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


CATEGORIES, EFFECT_SD = 5, 1.5
SCALE = Ordinal(kind="ordinal", better="higher", assessed_at_month=3, lowest=0, highest=CATEGORIES - 1)
IN_CATEGORIES = SETTING._replace(endpoint=SCALE)


def categories(rng: Rng, share: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """A category of each patient, with the shares [R, A, C] of the arm."""
    at_most = np.take_along_axis(share.cumsum(axis=2)[..., :-1], arm[..., None], axis=1)
    return (rng.random(arm.shape)[..., None] >= at_most).sum(axis=2)


def proportional_odds(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    """The prior of the categories is that of the middle of the arms."""
    middle = rng.dirichlet(np.ones(CATEGORIES), trials)
    effect = rng.normal(0, EFFECT_SD, (trials, 3)) * [0, 1, 1]
    above = np.clip(1 - middle.cumsum(axis=1)[:, None, :-1], 1e-15, 1 - 1e-15)
    above = expit(logit(above) + (effect - effect.mean(axis=1, keepdims=True))[..., None])
    share = -np.diff(above, axis=2, prepend=1, append=0)
    arm = dealt(trials, patients)
    return effect, snapshot(arm, categories(rng, share, arm))


def wins(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    share, arm = rng.dirichlet(np.full(CATEGORIES, 0.6), (trials, 3)), dealt(trials, patients)
    control = share[:, 0]
    theta = (share * (control.cumsum(axis=1) - control / 2)[:, None]).sum(axis=2)
    return theta, snapshot(arm, categories(rng, share, arm))


LEVELS = {"antibodies": {"no": 0.3, "yes": 0.7}}


def adjusted_responses(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    log_odds, arm = rng.normal(-0.5, 1.2, (trials, 3)), dealt(trials, patients)
    level = (rng.random(arm.shape) < 0.7).astype(int)
    chance = expit(own(log_odds, arm) + rng.standard_normal((trials, 1)) * (level - 0.7))
    return log_odds, snapshot(arm, rng.random(arm.shape) < chance)._replace(strata=level[..., None])


WEEKS, FOLD = 4.0, 5.0
DIARY = Count(kind="count", better="lower", over_weeks=WEEKS, dispersion=1, assessed_at_month=3)


def diaries(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    """Fewer are better."""
    sd = np.log(FOLD) / 1.959963984540054
    log_rate, arm = rng.normal(np.log(4), sd, (trials, 3)), dealt(trials, patients)
    dispersion = np.exp(rng.normal(np.log(0.8), sd, (trials, 1)))
    count = rng.poisson(rng.gamma(1 / dispersion, dispersion * WEEKS * np.exp(own(log_rate, arm))))
    seen = snapshot(arm, -count.astype(float))
    value = np.concatenate([np.full_like(seen.value, WEEKS), seen.value], axis=2)
    return -log_rate, seen._replace(value=value, known=np.repeat(seen.known, 2, axis=2))


def walks(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    """Speeds over 25 feet; compared by the probability to walk them within 8 seconds."""
    cannot, arm = rng.beta(0.5, 4.5, (trials, 3)), dealt(trials, patients)
    sigma = 0.5 / np.sqrt(rng.chisquare(4, (trials, 1)) / 4)
    middle = np.log(9) + sigma * rng.standard_normal((trials, 3))
    log_seconds = own(middle, arm) + sigma * rng.standard_normal(arm.shape)
    speed = np.where(rng.random(arm.shape) < own(cannot, arm), 0.0, 25 * np.exp(-log_seconds))
    return (1 - cannot) * ndtr((np.log(8) - middle) / sigma), snapshot(arm, speed)


def two_periods(rng: Rng, trials: int, patients: int) -> tuple[np.ndarray, Snapshot]:
    """Without carry-over; the arm is the first treatment. The period effect has a flat prior: any number will do."""
    within = SD / np.sqrt(rng.chisquare(SD_PATIENTS, (trials, 1)) / SD_PATIENTS)
    effect = 0.4 + np.sqrt(2) * within * rng.standard_normal((trials, 1))
    arm, mean = dealt(trials, patients, 2), rng.standard_normal((trials, patients))
    noise = within[..., None] * rng.standard_normal((trials, patients, 2))
    first, second = mean + effect * arm + noise[..., 0], mean + effect * (1 - arm) + 0.7 + noise[..., 1]
    seen = snapshot(arm, (first + second) / 2, n_arms=2)
    value = np.stack([first, second, (first + second) / 2], axis=2)
    truth = np.concatenate([np.zeros_like(effect), effect], axis=1)
    return truth, seen._replace(value=value, known=np.repeat(seen.known, 3, axis=2))


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
    "proportional_odds": Case(
        ProportionalOdds(kind="proportional_odds", effect_sd=EFFECT_SD, prior_patients=CATEGORIES).bind(IN_CATEGORIES),
        proportional_odds,
    ),
    "win_probability": Case(
        WinProbability(kind="win_probability", prior_patients=0.6 * CATEGORIES).bind(IN_CATEGORIES), wins
    ),
    "logistic": Case(
        Logistic(
            kind="logistic", prior={"mean": -0.5, "sd": 1.2}, covariates=["antibodies"], coefficients={"sd": 1}
        ).bind(SETTING._replace(factors=LEVELS)),
        adjusted_responses,
    ),
    "negative_binomial": Case(
        NegativeBinomial(
            kind="negative_binomial", prior={"median": 4, "fold": FOLD}, dispersion={"median": 0.8, "fold": FOLD}
        ).bind(SETTING._replace(endpoint=DIARY, higher_is_better=False)),
        diaries,
    ),
    "walk": Case(
        Walk(
            kind="walk",
            estimand="within_seconds",
            seconds=8,
            sd=0.5,
            sd_patients=4,
            prior={"median": 9, "patients": 1},
            cannot_walk={"alpha": 0.5, "beta": 4.5},
        ).bind(SETTING),
        walks,
    ),
    "crossover": Case(
        CrossoverAnalysis(
            kind="crossover",
            sd_within=SD,
            sd_between=1,
            sd_patients=SD_PATIENTS,
            effect={"mean": 0.4, "patients": 1},
        ).bind(AnalysisSetting(ARMS[:2])),
        two_periods,
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
