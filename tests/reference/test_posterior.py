"""The slow posteriors against numbers that are known otherwise: exact fractions, other programs, sampling."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tests.reference.posterior import Beta, Joint, Students, ancova_fit, normal_fit
from tests.reference.simulator import Known

HIGHER = SimpleNamespace(better="higher")


def data(rng: np.random.Generator, counts: list[int]) -> list[Known]:
    arms = np.repeat(np.arange(len(counts)), counts)
    x = rng.normal(size=len(arms))
    y = rng.normal(size=len(arms)) + 0.7 * x + 0.4 * arms
    return [Known(i, int(arms[i]), float(y[i]), float(x[i])) for i in range(len(arms))]


@pytest.mark.parametrize(("one", "other"), [((9, 3), (4, 8)), ((1, 1), (1, 1)), ((2, 40), (3, 17))])
def test_beta_better_is_the_exact_fraction(one, other):
    def beta(a: int, b: int) -> Fraction:
        return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))

    (a, b), (c, d) = one, other
    exact = sum(beta(c + i, b + d) / ((b + i) * beta(1 + i, b) * beta(c, d)) for i in range(a))
    assert Beta([one, other]).better(0, 1, 0.0) == pytest.approx(float(exact), abs=1e-13)


def test_beta_repeats_printed_numbers():
    belief = Beta([(4, 8), (6, 6), (9, 3)])
    assert list(belief.best([0, 1, 2]).values()) == pytest.approx([0.010044030206, 0.088978176447, 0.900977793347])
    assert [belief.better(2, 0, d) for d in (0, 0.1, 0.2)] == pytest.approx(
        [0.985013438574, 0.953546138696, 0.881881707750], abs=1e-11
    )


def test_beta_with_a_margin_and_its_mirror():
    belief = Beta([(0.5, 0.5), (2, 5)])
    assert belief.better(0, 1, -0.3) == pytest.approx(1 - belief.better(1, 0, 0.3), abs=1e-10)
    assert belief.better(0, 1, 1.0) == 0
    assert belief.better(0, 1, -1.0) == 1


def test_students_repeat_printed_numbers():
    belief = Students([0.0, 0.3, 0.8], [0.35, 0.4, 0.3], [7, 9, 6])
    assert list(belief.best([0, 1, 2]).values()) == pytest.approx([0.04769937, 0.17081919, 0.78148143], abs=1e-8)


@pytest.mark.parametrize("df", [3.0, 40.0, math.inf])
def test_joint_best_is_what_sampling_finds(df):
    own, lever = np.array([0.1, 0.3, 0.05, 0.2]), np.array([0.1, -0.2, 0.05, 0.0])
    belief = Joint(np.array([0.0, 0.2, 0.3, 0.1]), own, lever, 1.3, df)
    best = belief.best([0, 1, 2, 3])
    assert sum(best.values()) == pytest.approx(1, abs=1e-10)
    rng, n = np.random.default_rng(5), 400_000
    root = np.ones(n) if math.isinf(df) else np.sqrt(df / rng.chisquare(df, n))
    theta = rng.normal(size=(n, 4)) * np.sqrt(own) + rng.normal(size=(n, 1)) * lever
    theta = belief.location + 1.3 * theta * root[:, None]
    found = np.bincount(theta.argmax(axis=1), minlength=4) / n
    se = np.sqrt(found * (1 - found) / n)
    assert (np.abs(found - list(best.values())) < 4 * se).all()


def test_joint_with_two_levers_alike_is_the_t_distribution():
    belief = Joint(np.array([0.0, 0.5]), np.array([0.3, 0.2]), np.array([0.4, 0.4]), 2.0, 9.0)
    assert belief.better(1, 0, 0.1) == pytest.approx(stats.t.sf(-0.4 / (2 * math.sqrt(0.5)), 9), abs=1e-14)


def test_flat_priors_give_the_t_test():
    known = data(np.random.default_rng(3), [7, 9])
    groups = [[outcome.value for outcome in known if outcome.arm == arm] for arm in (0, 1)]
    flat = SimpleNamespace(mean=0.0, patients=0.0)
    model = SimpleNamespace(variance="common", sd=1.0, sd_patients=0, prior=flat, arm_priors={})
    belief = normal_fit(model, ["a", "b"], HIGHER)(known, 2)
    test = stats.ttest_ind(groups[1], groups[0], alternative="greater")
    assert belief.better(1, 0, 0.0) == pytest.approx(1 - test.pvalue, abs=1e-12)


def test_ancova_with_flat_priors_is_least_squares():
    known = data(np.random.default_rng(4), [6, 8, 5])
    flat = SimpleNamespace(mean=0.0, patients=0.0)
    slope = SimpleNamespace(mean=0.0, patients=1e-9)
    model = SimpleNamespace(sd=1.0, sd_patients=0, prior=flat, arm_priors={}, slope=slope)
    belief = ancova_fit(model, ["a", "b", "c"], HIGHER)(known, 3)
    x = np.array([[outcome.arm == a for a in range(3)] + [outcome.covariate] for outcome in known], float)
    y = np.array([outcome.value for outcome in known])
    solution, rest, *_ = np.linalg.lstsq(x, y, rcond=None)
    contrast = np.array([-1.0, 0, 1, 0])
    df = len(y) - 3  # the prior of the slope is proper, and costs nothing
    se = math.sqrt(rest[0] / df * (contrast @ np.linalg.inv(x.T @ x) @ contrast))
    assert belief.mean() == pytest.approx(list(solution[:3]), abs=1e-7)
    assert belief.better(2, 0, 0.0) == pytest.approx(stats.t.cdf(contrast @ solution / se, df), abs=1e-7)
