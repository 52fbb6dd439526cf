"""Independent normal and Student-t posteriors against dense quadrature of scipy's distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm, t

from sps_adaptive.posteriors import independent as room
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from sps_adaptive.posteriors.student import StudentPosterior

KINDS = ["alike", "unlike", "vague", "heavy", "normal"]


def draw(kind, rng, arms):
    location, scale = rng.normal(0, 1.5, arms), np.exp(rng.normal(0, 0.4, arms))
    df = rng.choice([3, 5, 8, 9.5, 20, 60], arms).astype(float)
    if kind == "unlike":
        scale = np.exp(rng.normal(0, 2.0, arms))
    if kind == "vague":  # what an arm gets of which nothing is known
        scale = scale * rng.choice([1, 1e6], arms)
    if kind == "heavy":
        df = rng.choice([0.5, 1, 1.5, 2, 3], arms)
    if kind == "normal":
        df = np.full(arms, np.inf)
    return location, scale, df


def marginal(df):
    return norm if np.isinf(df) else t(df)


def dense_best(location, scale, df):
    """P(best): three Gauss-Legendre nodes in each interval of a grid that is fine around every arm."""
    y = np.linspace(-45, 45, 4501)
    edges = np.unique(np.concatenate([m + s * np.sinh(y) for m, s in zip(location, scale, strict=True)]))
    node, weight = np.polynomial.legendre.leggauss(3)
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    x, weight = (middle[:, None] + half[:, None] * node).ravel(), (half[:, None] * weight).ravel()
    z = [(x - m) / s for m, s in zip(location, scale, strict=True)]
    cdf = np.array([marginal(d).cdf(one) for d, one in zip(df, z, strict=True)])
    with np.errstate(over="ignore", under="ignore"):
        pdf = np.array([marginal(d).pdf(one) / s for d, one, s in zip(df, z, scale, strict=True)])
    return np.array([(weight * pdf[k] * np.delete(cdf, k, 0).prod(0)).sum() for k in range(len(df))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arms", [2, 3, 5])
def test_best_agrees_with_dense_quadrature(kind, arms):
    # 1e-8: the tables of the cdfs are good to about 3e-9, the panels to about the same.
    rng = np.random.default_rng([arms, KINDS.index(kind)])
    for _ in range(8):
        location, scale, df = draw(kind, rng, arms)
        best = StudentPosterior(location[None], scale[None], df[None]).prob_best(np.ones((1, arms), bool))[0]
        np.testing.assert_allclose(best, dense_best(location, scale, df), atol=1e-8, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_better_agrees_with_dense_quadrature(kind):
    rng = np.random.default_rng([9, KINDS.index(kind)])
    for _ in range(10):
        location, scale, df = draw(kind, rng, 2)
        by = rng.normal()
        better = StudentPosterior(location[None], scale[None], df[None]).prob_better(0, by)[0, 1]
        assert better == pytest.approx(dense_best(location + np.array([by, 0]), scale, df)[1], abs=1e-8)


def test_normal_limit():
    # The kernel of the Student-t with infinite degrees of freedom against the closed form.
    rng = np.random.default_rng(1)
    location, scale = rng.normal(size=(50, 3)), np.exp(rng.normal(size=(50, 3)))
    student, gaussian = (
        StudentPosterior(location, scale, np.full((50, 3), np.inf)),
        GaussianPosterior(location, scale),
    )
    np.testing.assert_allclose(student.prob_better(1, 0.3), gaussian.prob_better(1, 0.3), atol=1e-8, rtol=0)
    np.testing.assert_allclose(student.difference(1, 0.9), gaussian.difference(1, 0.9), atol=1e-6, rtol=1e-6)
    np.testing.assert_array_equal(student.prob_best(np.ones((50, 3), bool)), gaussian.prob_best(np.ones((50, 3), bool)))


def test_normal_best_of_three_is_a_bivariate_normal_probability():
    rng = np.random.default_rng(2)
    for _ in range(30):
        location, scale = rng.normal(size=3), np.exp(rng.normal(size=3))
        best = GaussianPosterior(location[None], scale[None]).prob_best(np.ones((1, 3), bool))[0, 0]
        covariance = np.diag(scale[1:] ** 2) + scale[0] ** 2
        # 1e-7: what scipy promises of its bivariate normal
        assert best == pytest.approx(multivariate_normal.cdf(location[0] - location[1:], cov=covariance), abs=1e-7)


def test_normal_functionals_are_closed():
    posterior = GaussianPosterior(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    assert posterior.prob_better(0)[0, 1] == pytest.approx(norm.cdf(0.2), abs=1e-15)
    assert posterior.prob_better(0, 1.0)[0, 1] == pytest.approx(0.5, abs=1e-15)
    np.testing.assert_allclose(posterior.interval(0.95)[0, 1], 2 + 4 * norm.ppf([0.025, 0.975]), rtol=1e-13)
    expected = [1, *(1 + 5 * norm.ppf([0.025, 0.975]))]
    np.testing.assert_allclose(posterior.difference(0, 0.95)[0, 1], expected, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_ends_of_a_difference_cut_off_the_tails(kind, level):
    # The root is found to 1e-7 of the scale; prob_better itself is tested above.
    rng = np.random.default_rng([8, KINDS.index(kind)])
    location, scale, df = (np.array(part) for part in zip(*(draw(kind, rng, 3) for _ in range(12)), strict=True))
    answer = StudentPosterior(location, scale, df).difference(1, level)
    np.testing.assert_array_equal(answer[:, 1], 0)
    for r in range(12):
        one = StudentPosterior(location[[r]], scale[[r]], df[[r]])
        for arm in (0, 2):
            for end, above in ((1, (1 + level) / 2), (2, (1 - level) / 2)):
                assert one.prob_better(1, answer[r, arm, end])[0, arm] == pytest.approx(above, abs=1e-8)


def test_intervals_are_those_of_the_distribution():
    posterior = StudentPosterior(np.array([[1.0]]), np.array([[2.0]]), np.array([[5.0]]))
    # 1e-9: the accuracy of scipy's quantile function
    np.testing.assert_allclose(posterior.interval(0.9)[0, 0], 1 + 2 * t(5).ppf([0.05, 0.95]), rtol=1e-9)


@pytest.mark.parametrize("df", [0.5, 1, 1.5, 2, 3, 5, 7.5, 12, 30, 100, 500, np.inf])
def test_the_tabulated_distribution(df):
    # Cubic Hermite interpolation, error h^4 / 384 times the fourth derivative; a power law beyond z = 4000. The
    # density bends more than the cdf.
    z = np.concatenate([-np.geomspace(1e-3, 1e12, 800), np.geomspace(1e-3, 1e12, 800), [0.0]])
    table = room.standard(df)
    found = np.array([room.cdf_and_density(one, *table) for one in z])
    np.testing.assert_allclose(found[:, 0], marginal(df).cdf(z), atol=3e-9, rtol=0)
    with np.errstate(over="ignore", under="ignore"):
        expected = marginal(df).pdf(z)
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-8, rtol=0)


def twin_best(location, scale, df):
    """The panels of the kernel in plain numpy, with scipy's distributions instead of the table."""
    arms = [marginal(d) for d in df]
    low = [-a.ppf(1e-9) for a in arms]
    high = [-a.ppf(3e-5) for a in arms]
    x, end = max(location - scale * low), max(location + scale * high)
    best = np.array([a.sf((end - m) / s) for a, m, s in zip(arms, location, scale, strict=True)])
    while x < end:
        near, distance = np.minimum(2, np.sqrt(df)) * scale, x - location
        reach = np.where(distance > 0, near + distance, np.maximum(near, -0.6 * distance))
        length = min(reach.min(), end - x)
        at = x + length * room.NODE
        cdf = np.array([a.cdf((at - m) / s) for a, m, s in zip(arms, location, scale, strict=True)])
        pdf = np.array([a.pdf((at - m) / s) / s for a, m, s in zip(arms, location, scale, strict=True)])
        for k in range(len(df)):
            best[k] += (length * room.NODE_WEIGHT * pdf[k] * np.delete(cdf, k, 0).prod(0)).sum()
        x += length
    return best / best.sum()


def test_the_kernel_repeats_its_twin():
    # 1e-8: the table's error, nothing else.
    rng = np.random.default_rng(3)
    for _ in range(10):
        location, scale, df = draw("alike", rng, 3)
        best = StudentPosterior(location[None], scale[None], df[None]).prob_best(np.ones((1, 3), bool))[0]
        np.testing.assert_allclose(best, twin_best(location, scale, df), atol=1e-8, rtol=0)


def test_scales_at_the_limit_of_the_numbers():
    # Outcomes that are all equal leave a scale of almost nothing, beside arms that are very wide or far away.
    location = np.array([[1e8, 1e8 + 1, 1e8], [0.5, 0.5, 0], [1e8, -1e8, 3.0], [7, 7, 7]])
    scale = np.array([[1e-9, 1e-9, 1e9], [1e-9, 1e-9, 1e6], [1e-9, 1e-9, 1e-9], [1e-9, 1e-9, 1e-9]])
    posterior = StudentPosterior(location, scale, np.full((4, 3), 2.0))
    best = posterior.prob_best(np.ones((4, 3), bool))
    # Student-t tails with two degrees of freedom reach from 1e6 to 1 with a probability of about 1e-6.
    expected = [[0, 0.5, 0.5], [0.25, 0.25, 0.5], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(best, expected, atol=2e-6)
    np.testing.assert_allclose(posterior.prob_better(0)[:, 1], [1, 0.5, 0, 0.5], atol=1e-6)
    assert np.isfinite(posterior.difference(0, 0.95)).all()


@pytest.mark.parametrize("kind", ["normal", "student"])
def test_how_much_outcomes_vary_is_known_where_the_analysis_says(kind):
    location, scale = np.zeros((1, 2)), np.ones((1, 2))
    fields = (location, scale) if kind == "normal" else (location, scale, scale)
    posterior = {"normal": GaussianPosterior, "student": StudentPosterior}[kind]
    np.testing.assert_array_equal(posterior(*fields, 2 * scale).outcome_sd(), [[2, 2]])
    with pytest.raises(ValueError, match="does not know how much the outcomes"):
        posterior(*fields).outcome_sd()
