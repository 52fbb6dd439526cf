"""Timed walks whose decision lies near the threshold, and how the stored references were made.

``python -m tests.models.accuracy_of_walk`` computes the references anew and writes `data/accuracy_walk.json`; it takes
some minutes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, roots_hermitenorm, roots_jacobi

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import Walk
from tests.models.snapshots import snapshot

THRESHOLD = 0.975
DISTANCE = 25.0
SECONDS = 8.0
SD = 0.5
"""Prior guess of the standard deviation of log seconds, worth one patient: the default of the model."""
CANNOT = 0.5, 4.5
"""Prior of the share who cannot walk: the default of the model."""
CENTRE, PATIENTS = np.log(10.0), 0.5
"""Prior of the mean log seconds, and how many outcomes it is worth: the defaults of the model."""


class Walks(NamedTuple):
    """Trials: the arm of every patient, log seconds, and who walks."""

    arm: np.ndarray
    log_seconds: np.ndarray
    walks: np.ndarray

    @property
    def speed(self):
        """What is analysed."""
        return np.where(self.walks, DISTANCE * np.exp(-self.log_seconds), 0.0)

    def only(self, which):
        """Some of the trials."""
        return Walks(*(each[which] for each in self))


class Believed(NamedTuple):
    """The conjugate posterior of one trial, by arm, by plain sums."""

    location: np.ndarray
    own: np.ndarray
    variance: float
    df: float
    alpha: np.ndarray
    beta: np.ndarray


def trials(rng, replicates, patients, mean, sd, cannot) -> Walks:
    """Trials with arms of equal size; `mean` and `cannot` are by arm, or [R, A]; `sd` is one number, or [R, 1]."""
    arms = np.shape(mean)[-1]
    arm = np.broadcast_to(np.arange(patients) % arms, (replicates, patients))
    mean = np.take_along_axis(np.broadcast_to(mean, (replicates, arms)), arm, axis=1)
    cannot = np.take_along_axis(np.broadcast_to(cannot, (replicates, arms)), arm, axis=1)
    log_seconds = mean + sd * rng.standard_normal(arm.shape)
    return Walks(arm, log_seconds, rng.random(arm.shape) >= cannot)


def fit(data: Walks, arms=2, control=0, **fields):
    """The posterior of the model."""
    setting = AnalysisSetting(tuple("abcdef"[:arms]), control=control)
    return (
        Walk(kind="walk", **{"sd_patients": 1.0} | fields)
        .bind(setting)
        .fit(snapshot(data.arm, data.speed, n_arms=arms))
    )


def believed(data: Walks, place: int, arms: int) -> Believed:
    """The posterior of trial number `place`."""
    arm, y, walks = data.arm[place], data.log_seconds[place], data.walks[place]
    each = [y[(arm == a) & walks] for a in range(arms)]
    n = np.array([len(one) for one in each])
    total = n + PATIENTS
    location = np.array([(one.sum() + PATIENTS * CENTRE) for one in each]) / total
    # Completing the square: the prior's mean counts as another outcome of weight PATIENTS.
    squares = sum(((one - m) ** 2).sum() + PATIENTS * (CENTRE - m) ** 2 for one, m in zip(each, location, strict=True))
    df = 1 + n.sum()
    lost = np.array([((arm == a) & ~walks).sum() for a in range(arms)])
    return Believed(location, 1 / total, (SD**2 + squares) / df, df, CANNOT[0] + lost, CANNOT[1] + n)


def beta_rule(alpha: float, beta: float, nodes: int):
    """Nodes and weights, summing to 1, of the Gauss rule for a beta distribution."""
    x, weight = roots_jacobi(nodes, beta - 1, alpha - 1)
    return (1 + x) / 2, weight / weight.sum()


def sigma_rule(known: Believed, points: int):
    """Values of sigma and weights: a trapezoidal sum in the log of chi-square, which converges exponentially."""
    half = known.df / 2
    log_chi = np.linspace(np.log(known.df) - 14 / np.sqrt(half), np.log(known.df) + 8 / np.sqrt(half), points)
    log_weight = half * log_chi - np.exp(log_chi) / 2 - half * np.log(2) - gammaln(half)
    weight = np.exp(log_weight - log_weight.max())
    return np.sqrt(known.df * known.variance / np.exp(log_chi)), weight / weight.sum()


def dense_win(known: Believed, arm: int = 1, control: int = 0, above: float = 0.5, fine: int = 1) -> float:
    """P(win probability of an arm against the control > above), by sums over both shares and sigma."""
    q1, w1 = beta_rule(known.alpha[arm], known.beta[arm], 48 * fine)
    q0, w0 = beta_rule(known.alpha[control], known.beta[control], 48 * fine)
    sigma, weight = sigma_rule(known, 60 * fine)
    gap, own = known.location[control] - known.location[arm], known.own[control] + known.own[arm]
    q1, q0 = q1[:, None], q0[None]
    needed = (above - (1 - q1) * q0 - q1 * q0 / 2) / ((1 - q1) * (1 - q0))  # what P(faster | both walk) must exceed
    at = ndtri(np.clip(needed, 0, 1))  # infinite where any speed, or none, is enough
    # (mean of control - mean of arm) / (sigma sqrt 2) > at
    chance = ndtr((gap / sigma - np.sqrt(2) * at[..., None]) / np.sqrt(own)) @ weight
    return float(w1 @ chance @ w0)


def dense_within(known: Believed, arm: int = 1, than: int = 0, by: float = 0.0, fine: int = 1) -> float:
    """P(an arm's probability to walk within SECONDS exceeds another's by more than `by`), by sums in four dimensions.

    Over sigma, both shares and the other arm's mean; the arm's own mean is integrated out.
    """
    q1, w1 = beta_rule(known.alpha[arm], known.beta[arm], 20 * fine)
    q0, w0 = beta_rule(known.alpha[than], known.beta[than], 20 * fine)
    noise, w_noise = roots_hermitenorm(20 * fine)
    sigma, weight = sigma_rule(known, 40 * fine)
    limit = np.log(SECONDS)
    total = 0.0
    for s, w in zip(sigma, weight, strict=True):
        other = (1 - q0[:, None]) * ndtr((limit - known.location[than]) / s - np.sqrt(known.own[than]) * noise)
        needed = (other[None] + by) / (1 - q1[:, None, None])
        at = ndtri(np.clip(needed, 0, 1))
        chance = ndtr(((limit - known.location[arm]) / s - at) / np.sqrt(known.own[arm]))
        total += w * np.einsum("i,j,k,ijk->", w1, w0, w_noise / w_noise.sum(), chance)
    return float(total)


class Case(NamedTuple):
    """Data sets of one size, and what the model says of them."""

    data: Walks
    arms: int
    estimand: str
    by: float
    probability: np.ndarray
    normal: np.ndarray
    """What a normal distribution with the posterior mean and standard deviation of the difference says."""


@cache
def drawn_trials(seed: int, patients: int, drawn: int, arms: int) -> Walks:
    """The data sets from which those near the threshold are taken."""
    faster = 0.45 if patients < 40 else 0.3
    mean = np.log(9.5) - faster * (np.arange(arms) == 1)
    rng = np.random.default_rng(seed)
    return trials(rng, drawn, patients, mean, 0.5, np.array([0.15, 0.08, 0.1])[:arms])


def nearest(
    estimand: str, seed: int, patients: int, drawn: int, kept: int, arms: int = 2, by: float = 0.0
) -> list[int]:
    """Which data sets have a probability near the threshold, as the model has it today."""
    probability = fit(drawn_trials(seed, patients, drawn, arms), arms, estimand=estimand).prob_better(0, by)[:, 1]
    return [int(r) for r in np.sort(np.argsort(np.abs(probability - THRESHOLD), kind="stable")[:kept])]


def case(places: list[int], inputs: dict[str, Any]) -> Case:
    """Stored data sets, and what the model says of them: their places are stored, so that they stay the same."""
    estimand, by, arms = inputs["estimand"], inputs.get("by", 0.0), inputs.get("arms", 2)
    data = drawn_trials(inputs["seed"], inputs["patients"], inputs["drawn"], arms).only(places)
    found = fit(data, arms, estimand=estimand)
    gap = found.draws[..., 1] - found.draws[..., 0]
    normal = ndtr((gap.mean(axis=1) - by) / gap.std(axis=1))
    return Case(data, arms, estimand, by, found.prob_better(0, by)[:, 1], normal)


def reference(of: Case, place: int, fine: int = 1) -> float:
    """The probability by dense sums."""
    known = believed(of.data, place, of.arms)
    if of.estimand == "win_probability":
        return dense_win(known, above=0.5 + of.by, fine=fine)
    return dense_within(known, by=of.by, fine=fine)


INPUTS: list[dict[str, Any]] = [
    {"estimand": estimand, "seed": seed, "patients": patients, "drawn": 2000, "kept": kept, **more}
    for estimand in ("win_probability", "within_seconds")
    for seed, patients, kept, more in (
        (1, 24, 100, {}),
        (2, 60, 100, {}),
        (3, 60, 50, {"arms": 3}),
        (4, 60, 50, {"by": 0.05}),
    )
]


def main() -> None:
    """Compute the references and write them."""
    cases = []
    for each in INPUTS:
        places = nearest(**each)
        found = case(places, each)
        expected = np.array([reference(found, place) for place in range(len(found.probability))])
        finer = np.array([reference(found, place, fine=2) for place in range(0, len(expected), 25)])
        error, rough = found.probability - expected, found.normal - expected
        cases.append(
            {
                "inputs": each,
                "largest_error": float(np.abs(error).max()),
                "rms_error": float(np.sqrt((error**2).mean())),
                "flips": int(((found.probability > THRESHOLD) != (expected > THRESHOLD)).sum()),
                "normal_largest_error": float(np.abs(rough).max()),
                "normal_flips": int(((found.normal > THRESHOLD) != (expected > THRESHOLD)).sum()),
                "error_of_reference": float(np.abs(finer - expected[::25]).max()),
                "mean_error": float(error.mean()),
                "places": places,
                "reference": [float(value) for value in expected],
            }
        )
        summary = {key: value for key, value in cases[-1].items() if key not in ("reference", "places")}
        print(summary, found.probability.min(), found.probability.max(), flush=True)
    text = {
        "source": "dense sums over all parameters, tests/models/accuracy_of_walk.py; data sets drawn from the seed",
        "threshold": THRESHOLD,
        "seconds": SECONDS,
        "numpy": np.__version__,
        "cases": cases,
    }
    file = Path(__file__).parent / "data" / "accuracy_walk.json"
    file.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
