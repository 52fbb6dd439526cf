"""How fast a trial is. Ratios within one run; machines differ, so no time is asserted.

The reference design: binary, three arms with a control, looks at 40, 60, ... 180 patients and the final analysis at
200, outcomes known at once, randomisation by the square root of P(best), independent draws, response rate
0.3 everywhere. adaptr 1.4.0 (R) with 5,000 posterior draws a look needs about 25 CPU seconds for 1,000 trials of it on
one core of the machine on which the figures of docs/design.md were taken.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from sps_adaptive.block import draw
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.trial import run

ADAPTR_CPU_SECONDS = 25.4

REFERENCE = Scenario.model_validate(
    {
        "title": "reference",
        "arms": {"control": {"control": True}, "a": {}, "b": {}},
        "population": {"patients": 200, "accrual": {"kind": "steady", "patients_per_month": 10}},
        "endpoints": {"y": {"kind": "binary", "better": "higher", "assessed_at_month": 0}},
        "analysis": {"y": {"kind": "beta_binomial"}},
        "looks": {"kind": "enrolled", "first": 40, "every": 20},
        "allocation": {"kind": "thompson", "power": 0.5, "realisation": "independent"},
        "decisions": [{"kind": "drop_arm", "probability": 0.01}, {"kind": "efficacy", "probability": 0.99}],
        "truths": {"null": {"y": {"control": 0.3, "a": 0.3, "b": 0.3}}},
    }
).checked()


def reference_block(block: int) -> int:
    """Simulate one block of the reference design, patients included; return the number of trials."""
    design = REFERENCE.designs()["adaptive"]
    cohort = draw(REFERENCE, block)
    potential = design.endpoint.potential(cohort, "y", design.arms, REFERENCE.truth("null").of("y"))
    return len(run(design, cohort, potential).outcome)


@pytest.mark.parametrize("interval", [True, False], ids=["with interval of the effect", "without"])
def test_reference_design(benchmark: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, interval: bool) -> None:
    """With and without the credible interval of the difference in the final analysis, which adaptr does not compute."""
    if not interval:
        nothing = np.zeros((BLOCK_SIZE, 3, 3))
        monkeypatch.setattr(BetaPosterior, "difference", lambda self, than, level: nothing)
    reference_block(0)  # compile, and fill the tables of the posterior
    blocks = iter(range(1, 10_000))
    started, done = time.process_time(), 0

    def one() -> None:
        nonlocal done
        done += reference_block(next(blocks))

    benchmark.pedantic(one, rounds=20)
    seconds = 1000 * (time.process_time() - started) / done
    benchmark.extra_info["cpu_seconds_per_1000_trials"] = round(seconds, 4)
    benchmark.extra_info["adaptr_over_this"] = round(ADAPTR_CPU_SECONDS / seconds)


def test_quadrature_error_of_the_reference_design() -> None:
    """The speed is not bought with accuracy: probabilities of the reference design against dense quadrature."""
    from scipy.stats import beta

    rng = np.random.default_rng(1)
    n = rng.integers(0, 67, (50, 3))
    s = rng.binomial(n, 0.3)
    posterior = BetaPosterior.from_counts(((1.0, 1.0),) * 3, n, s, 200)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, w = (nodes + 1) / 2, weights / 2
    density = beta.pdf(x, 1 + s[..., None], 1 + (n - s)[..., None])
    cdf = beta.cdf(x, 1 + s[..., None], 1 + (n - s)[..., None])
    best = np.stack(
        [(density[:, a] * np.delete(cdf, a, axis=1).prod(axis=1) * w).sum(axis=1) for a in range(3)], axis=1
    )
    assert np.abs(posterior.prob_best(np.ones((50, 3), bool)) - best).max() < 1e-6
    better = np.stack([(density[:, 0] * (1 - cdf[:, a]) * w).sum(axis=1) for a in range(3)], axis=1)
    assert np.abs(posterior.prob_better(0) - better)[:, 1:].max() < 1e-6


@pytest.mark.parametrize("replicates", [BLOCK_SIZE])
def test_kernels_against_numpy(benchmark: pytest.FixtureRequest, replicates: int) -> None:
    """What the compiled loop over patients buys over its numpy twin, for one cut of 200 patients."""
    from sps_adaptive.timeline import cut, pick

    design = REFERENCE.designs()["adaptive"]
    cohort = draw(REFERENCE, 0)
    potential = design.endpoint.potential(cohort, "y", design.arms, REFERENCE.truth("null").of("y"))
    arm = np.random.default_rng(0).integers(0, 3, (replicates, 200)).astype(np.int8)
    day = np.full(replicates, cohort.enrolled_at[0, 119])
    outcome = pick(potential, arm)

    def with_numpy() -> None:
        known = (cohort.enrolled_at <= day[:, None]) & (outcome.known_at[..., -1] <= day[:, None])
        value = np.where(known, outcome.value[..., -1], np.nan)
        for a in range(3):
            (known & (arm == a)).sum(axis=1)
            np.where(known & (arm == a), value, 0).sum(axis=1)

    started = time.perf_counter()
    for _ in range(20):
        with_numpy()
    numpy_seconds = (time.perf_counter() - started) / 20
    benchmark(lambda: cut(day, cohort, arm, outcome, 3))
    benchmark.extra_info["numpy_over_compiled"] = round(numpy_seconds / benchmark.stats.stats.mean, 1)
