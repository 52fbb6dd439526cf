"""Designs without looks against sums over all outcomes and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, binom, fisher_exact, nct, norm, t

from tests.analytic.helpers import agree, pooled, records, scenario


def claims(arm: int = 1):
    return lambda record: record.looks[-1].is_claimed[:, arm]


def probability_better(n: int, s1: int, s0: int) -> float:
    """P(theta_1 > theta_0) with uniform priors and n patients an arm, by adaptive quadrature."""
    return quad(lambda x: beta.pdf(x, 1 + s0, 1 + n - s0) * beta.sf(x, 1 + s1, 1 + n - s1), 0, 1)[0]


@pytest.mark.parametrize(("p0", "p1"), [(0.3, 0.3), (0.25, 0.6), (0.9, 0.9)])
def test_beta_binomial_two_arms(p0: float, p1: float) -> None:
    """Type I error and power of a fixed design are finite sums over the two numbers of responders."""
    n, threshold = 20, 0.975
    s = np.arange(n + 1)
    rejects = np.array([[probability_better(n, s1, s0) > threshold for s0 in s] for s1 in s])
    exact = binom.pmf(s, n, p1) @ rejects @ binom.pmf(s, n, p0)
    case = scenario(
        population=2 * n,
        decisions=[{"kind": "efficacy", "probability": threshold}],
        truths={"truth": {"y": {"control": p0, "active": p1}}},
    )
    agree(pooled(records(case, "truth", 10), claims()), exact)


@pytest.mark.parametrize(("delta", "better"), [(0.0, "higher"), (0.6, "higher"), (-0.6, "lower")])
def test_normal_known_variance_is_the_z_test(delta: float, better: str) -> None:
    n, sd, threshold = 25, 1.2, 0.975
    error = sd * np.sqrt(2 / n)
    case = scenario(
        population=2 * n,
        endpoints={"y": {"kind": "continuous", "better": better, "assessed_at_month": 0, "sd": sd}},
        analysis={"y": {"kind": "normal", "variance": "known", "sd": sd}},
        decisions=[{"kind": "efficacy", "probability": threshold}],
        truths={"truth": {"y": {"control": 1.0, "active": 1.0 + delta}}},
    )
    exact = norm.sf(norm.ppf(threshold) - abs(delta) / error)
    agree(pooled(records(case, "truth", 10), claims()), exact)


@pytest.mark.parametrize("delta", [0.0, 0.8])
def test_normal_common_variance_is_the_t_test(delta: float) -> None:
    """Flat prior on the means, a guess of the variance worth nothing: the pooled two-sample t test."""
    n, threshold = 12, 0.95
    df = 2 * n - 2
    case = scenario(
        population=2 * n,
        endpoints={"y": {"kind": "continuous", "better": "higher", "assessed_at_month": 0, "sd": 1.0}},
        analysis={"y": {"kind": "normal", "variance": "common", "sd": 1.0, "sd_patients": 0}},
        decisions=[{"kind": "efficacy", "probability": threshold}],
        truths={"truth": {"y": {"control": 0.0, "active": delta}}},
    )
    exact = nct.sf(t.ppf(threshold, df), df, delta / np.sqrt(2 / n))
    agree(pooled(records(case, "truth", 10), claims()), exact)


def test_ancova_gains_what_theory_says() -> None:
    """With correlation rho the variance of the effect falls by 1 - rho^2, up to the price of estimating the slope."""
    n, rho = 40, 0.7
    case = scenario(
        population=2 * n,
        endpoints={
            "y": {
                "kind": "continuous",
                "better": "lower",
                "assessed_at_month": 0,
                "sd": 1.5,
                "baseline": {"mean": 4, "sd": 1, "correlation": rho},
            }
        },
        analysis={"y": {"kind": "ancova", "sd": 1, "sd_patients": 0.001, "slope": {"patients": 0.001}}},
        decisions=[{"kind": "efficacy", "probability": 0.975}],
        truths={"truth": {"y": {"control": 0.0, "active": -0.5}}},
    )
    effect = pooled(records(case, "truth", 20), lambda record: record.looks[-1].effect[:, 1])
    agree(effect, -0.5)
    # Var of an ANCOVA contrast: sigma^2 (1 - rho^2) 2/n (1 + 1/(2n - 4)); the last factor averages the imbalance of
    # the baseline, squared, over its sum of squares within arms: F(1, 2n - 2) / (2n - 2) has this mean.
    expected = 1.5**2 * (1 - rho**2) * 2 / n * (1 + 1 / (2 * n - 4))
    agree((effect - effect.mean()) ** 2, expected)


class FisherTest:
    """A frequentist test as an analysis model: P(better) is 1 minus the one-sided p-value."""

    def fit(self, snapshot):
        self.n, self.s = snapshot.arm_known, snapshot.arm_total
        return self

    def mean(self):
        return self.s / np.maximum(self.n, 1)

    def prob_best(self, among):
        return among / among.sum(axis=1, keepdims=True)

    def prob_better(self, than, by=0.0):
        table, back = np.unique(np.column_stack([self.s, self.n]), axis=0, return_inverse=True)
        p = [fisher_exact([[s1, n1 - s1], [s0, n0 - s0]], alternative="greater").pvalue for s0, s1, n0, n1 in table]
        better = 1 - np.array(p)[back.ravel()]
        return np.stack([np.zeros_like(better), better], axis=1)

    def difference(self, than, level):
        return np.zeros((*self.s.shape, 3))


def test_fisher_exact_test() -> None:
    """The power of Fisher's test, one-sided 0.025, is a finite sum."""
    n, p0, p1, alpha = 30, 0.2, 0.55, 0.025
    s = np.arange(n + 1)
    rejects = np.array(
        [[fisher_exact([[a, n - a], [b, n - b]], alternative="greater").pvalue < alpha for b in s] for a in s]
    )
    exact = binom.pmf(s, n, p1) @ rejects @ binom.pmf(s, n, p0)
    case = scenario(
        population=2 * n,
        decisions=[{"kind": "efficacy", "probability": 1 - alpha}],
        truths={"truth": {"y": {"control": p0, "active": p1}}},
    )
    agree(pooled(records(case, "truth", 10, FisherTest()), claims()), exact)
