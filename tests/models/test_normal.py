"""The normal analysis against textbook formulas, written once more from the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_ind

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import Normal
from tests.models.snapshots import of_arm, random_snapshot, snapshot

ARMS = ("placebo", "low", "high")
EVERYTHING = ["known", "arm_specific", "common"]


def model(variance, **fields):
    return Normal(kind="normal", variance=variance, **{"sd": 1.3} | fields)


def normal_inverse_gamma(y, mean, patients, a, b):
    """The update of Gelman et al. (2013), section 3.3: parameters after outcomes y."""
    n, centre = len(y), np.mean(y) if len(y) else 0.0
    total = patients + n
    location = (patients * mean + n * centre) / total
    b = b + 0.5 * sum((y - centre) ** 2) + 0.5 * patients * n * (centre - mean) ** 2 / total
    return location, total, a + n / 2, b


def test_arm_specific_variances():
    seen = random_snapshot(np.random.default_rng(1))
    fields = {"sd_patients": 3.0, "prior": {"mean": 0.4, "patients": 2}}
    posterior = model("arm_specific", **fields, arm_priors={"high": {"mean": -1, "patients": 5}}).bind(
        AnalysisSetting(ARMS)
    )
    posterior = posterior.fit(seen)
    for r in range(len(seen.arm)):
        for arm, (mean, patients) in enumerate([(0.4, 2), (0.4, 2), (-1, 5)]):
            y, _ = of_arm(seen, r, arm)
            location, total, a, b = normal_inverse_gamma(y, mean, patients, 1.5, 1.5 * 1.3**2)
            assert posterior.location[r, arm] == pytest.approx(location, abs=1e-13)
            assert posterior.scale[r, arm] == pytest.approx(np.sqrt(b / (a * total)), rel=1e-12)
            assert posterior.df[r, arm] == pytest.approx(2 * a, abs=1e-13)


def test_common_variance():
    seen = random_snapshot(np.random.default_rng(2))
    bound = model("common", sd_patients=3.0, prior={"mean": 0.4, "patients": 2}).bind(AnalysisSetting(ARMS))
    posterior = bound.fit(seen)
    for r in range(len(seen.arm)):
        a, b = 1.5, 1.5 * 1.3**2
        for arm in range(3):
            y, _ = of_arm(seen, r, arm)
            location, total, a, b = normal_inverse_gamma(y, 0.4, 2, a, b)
            assert posterior.location[r, arm] == pytest.approx(location, abs=1e-13)
            assert posterior.diagonal[r, arm] == pytest.approx(1 / total, rel=1e-13)
        assert posterior.variance[r] == pytest.approx(b / a, rel=1e-12)
        assert posterior.df[r] == pytest.approx(2 * a, abs=1e-13)


def test_known_variance():
    seen = random_snapshot(np.random.default_rng(3))
    posterior = model("known", prior={"mean": 0.4, "patients": 2}).bind(AnalysisSetting(ARMS)).fit(seen)
    for r in range(len(seen.arm)):
        for arm in range(3):
            y, _ = of_arm(seen, r, arm)
            precision = (2 + len(y)) / 1.3**2
            assert posterior.location[r, arm] == pytest.approx((2 * 0.4 + sum(y)) / 1.3**2 / precision, abs=1e-13)
            assert posterior.scale[r, arm] == pytest.approx(precision**-0.5, rel=1e-13)


def test_flat_prior_and_known_variance_is_the_z_test():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=9), rng.normal(0.5, size=14)
    seen = snapshot([[0] * 9 + [1] * 14], [[*a, *b]], n_arms=2)
    posterior = model("known").bind(AnalysisSetting(ARMS[:2])).fit(seen)
    z = (b.mean() - a.mean()) / (1.3 * np.sqrt(1 / 9 + 1 / 14))
    assert posterior.prob_better(0)[0, 1] == pytest.approx(norm.cdf(z), abs=1e-14)


@pytest.mark.parametrize("variance", ["common", "arm_specific"])
def test_flat_priors_give_the_t_tests(variance):
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=9), rng.normal(0.5, size=14)
    seen = snapshot([[0] * 9 + [1] * 14], [[*a, *b]], n_arms=2)
    posterior = model(variance, sd_patients=0).bind(AnalysisSetting(ARMS[:2])).fit(seen)
    if variance == "common":
        expected = ttest_ind(b, a, alternative="less").pvalue
        assert posterior.prob_better(0)[0, 1] == pytest.approx(expected, abs=1e-12)
        interval = ttest_ind(b, a).confidence_interval(0.95)
        np.testing.assert_allclose(posterior.difference(0, 0.95)[0, 1, 1:], interval, rtol=1e-9)
    for arm, y in enumerate((a, b)):  # one-sample t-tests
        expected = t(len(y) - 1, y.mean(), y.std(ddof=1) / np.sqrt(len(y))).interval(0.9)
        if variance == "arm_specific":
            np.testing.assert_allclose(posterior.interval(0.9)[0, arm], expected, rtol=1e-9)


@pytest.mark.parametrize("variance", ["common", "arm_specific"])
def test_a_tiny_guess_is_no_guess(variance):
    seen = random_snapshot(np.random.default_rng(6))
    some, none = (model(variance, sd_patients=nu).bind(AnalysisSetting(ARMS)).fit(seen) for nu in (1e-7, 0.0))
    # the first replicate knows nothing
    np.testing.assert_allclose(some.prob_better(0)[1:], none.prob_better(0)[1:], atol=1e-6)


@pytest.mark.parametrize("variance", EVERYTHING)
def test_a_large_mean_costs_no_accuracy(variance):
    # Blood pressures in pascal: a sum of squares would leave no digit. 1e8 + noise has 8 digits of noise.
    plain, moved = (random_snapshot(np.random.default_rng(7), mean=mean) for mean in (0.0, 1e8))
    one, other = (model(variance).bind(AnalysisSetting(ARMS)).fit(seen) for seen in (plain, moved))
    np.testing.assert_allclose(one.prob_better(0)[1:], other.prob_better(0)[1:], atol=1e-6)


@pytest.mark.parametrize("variance", EVERYTHING)
@pytest.mark.parametrize("sd_patients", [0.0, 1.0])
@pytest.mark.parametrize("patients", [0.0, 2.0])
def test_whatever_is_known_there_are_answers(variance, sd_patients, patients):
    nothing = [np.nan] * 6
    values = [nothing, [0.7, *nothing[1:]], [0.7, 0.9, *nothing[2:]], [0.5] * 6, [1, 2, 3, 4, 5, 6]]
    seen = snapshot([[0, 1, 0, 1, 0, 1]] * 5, values)  # nobody is on the third arm
    bound = model(variance, sd_patients=sd_patients, prior={"patients": patients, "mean": 0.2}).bind(
        AnalysisSetting(ARMS)
    )
    posterior = bound.fit(seen)
    better = posterior.prob_better(0)
    for answer in (better, posterior.prob_best(np.ones((5, 3), bool)), posterior.difference(0, 0.95)):
        assert np.isfinite(answer).all()
    assert np.isfinite(posterior.interval(0.95)).all()
    # Of the third arm nothing is known: as good as any other, to about one part in a million standard deviations.
    if patients == 0:
        np.testing.assert_allclose(better[:, 2], 0.5, atol=1e-5)
        half = np.ptp(posterior.interval(0.5), axis=-1)[:, 2] / 2
        assert (half > 1e5).all()


@pytest.mark.parametrize("variance", EVERYTHING)
def test_lower_may_be_better(variance):
    seen = random_snapshot(np.random.default_rng(8))
    turned = snapshot(seen.arm, -seen.value[..., 0])
    given = model(variance, prior={"mean": 0.5, "patients": 3}, arm_priors={"low": {"mean": 2, "patients": 1}})
    one, other = given.bind(AnalysisSetting(ARMS)).fit(seen), given.bind(AnalysisSetting(ARMS, False)).fit(turned)
    np.testing.assert_allclose(one.mean(), -other.mean(), atol=1e-14)
    np.testing.assert_allclose(one.prob_better(0, 0.1), 1 - other.prob_better(0, -0.1), atol=1e-8)


def test_plugged_in_standard_deviations():
    """As in adaptr: N(mean, s / sqrt(n - 1)), s with the divisor n - 1."""
    seen = random_snapshot(np.random.default_rng(11))
    posterior = model("plug_in").bind(AnalysisSetting(ARMS)).fit(seen)
    for r in range(1, len(seen.arm)):
        for arm in range(3):
            y, _ = of_arm(seen, r, arm)
            assert len(y) >= 2
            assert posterior.location[r, arm] == pytest.approx(y.mean(), abs=1e-13)
            assert posterior.scale[r, arm] == pytest.approx(y.std(ddof=1) / np.sqrt(len(y) - 1), rel=1e-12)


def test_an_arm_with_fewer_than_two_outcomes_is_a_thousand_times_wider_than_all_outcomes():
    seen = snapshot([[0, 0, 1, 0], [0, 1, -1, -1], [0, -1, -1, -1], [0, 0, 1, 1]],
                    [[1.0, 3.0, 8.0, 4.0], [2.0, 5.0, 0, 0], [7.0, 0, 0, 0], [2.0, 2.0, 3.0, 3.0]])  # fmt: skip
    posterior = model("plug_in").bind(AnalysisSetting(ARMS)).fit(seen)
    np.testing.assert_allclose(posterior.location[0], [8 / 3, 4, 4])
    np.testing.assert_allclose(posterior.scale[0, 1:], 7000)
    np.testing.assert_allclose(posterior.location[1], 3.5)
    np.testing.assert_allclose(posterior.scale[1], 3000)
    np.testing.assert_allclose(posterior.scale[2], 1300)  # one outcome has no range: that of the scenario's sd
    assert (posterior.scale[3, :2] < 1e-8).all() and posterior.scale[3, 2] == pytest.approx(1000)


def test_a_plugged_in_posterior_is_narrower_than_that_of_the_t_test():
    seen = random_snapshot(np.random.default_rng(12))
    narrow = model("plug_in").bind(AnalysisSetting(ARMS)).fit(seen).interval(0.95)
    wide = model("arm_specific", sd_patients=0).bind(AnalysisSetting(ARMS)).fit(seen).interval(0.95)
    assert (np.diff(narrow)[1:] < np.diff(wide)[1:]).all()


@pytest.mark.parametrize("priors", [{"prior": {"patients": 1}}, {"arm_priors": {"low": {"patients": 1}}}])
def test_plugging_in_has_no_prior(priors):
    with pytest.raises(ValueError, match="plug_in has no prior"):
        model("plug_in", **priors)
