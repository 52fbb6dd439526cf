"""The proportional-odds analysis against brute force, closed forms and its own prior."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logit

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import Ordinal
from sps_adaptive.models import ProportionalOdds
from sps_adaptive.posteriors.cumulative import CumulativeDensity
from tests.contracts.fakes import a_cohort
from tests.models import accuracy_ordinal as accuracy
from tests.models.dense_ordinal import mass_above, mode_of
from tests.models.snapshots import snapshot

ARMS = ("placebo", "low", "high")
CELLS = {model: json.loads(accuracy.file(model).read_text())["cells"] for model in accuracy.MODELS}
EVERY_CELL = [(model, cell) for model, cells in CELLS.items() for cell in cells]
IDS = [f"{model}-{cell['categories']}-{cell['patients']}" for model, cell in EVERY_CELL]
LARGEST = {"proportional_odds": 0.003, "win_probability": 0.004}
"""Errors in the stored data sets are at most so large; the references are good to 0.0001 and 0.0003."""


def model(**fields):
    return ProportionalOdds(kind="proportional_odds", **fields)


def setting(arms=ARMS, better="higher", control=0, highest=3, **given):
    endpoint = Ordinal(kind="ordinal", better=better, assessed_at_month=6, lowest=0, highest=highest)
    return AnalysisSetting(arms, better == "higher", control, endpoint, **given)


def seen(rng, arms=3, patients=45, highest=3, replicates=12, x=None):
    """Snapshots of natural scores; the first replicate knows nothing, the second nothing of the last arm."""
    arm = rng.integers(0, arms, (replicates, patients))
    score = np.clip(rng.integers(0, highest + 1, arm.shape) + (arm == 1), 0, highest).astype(float)
    score[rng.random(arm.shape) < 0.2] = np.nan
    score[0] = np.nan
    score[1, arm[1] == arms - 1] = np.nan
    return snapshot(arm, score, x, n_arms=arms)


# ------------------------------------------------------------------------------------------ brute force


@pytest.mark.parametrize(("kind", "cell"), EVERY_CELL, ids=IDS)
def test_stored_data_sets_near_the_threshold_have_the_probabilities_of_brute_force(kind, cell):
    sets = cell["data_sets"]
    fast = accuracy.fitted(kind, [one["counts"] for one in sets]).prob_better(0)[:, 1]
    assert len(sets) == accuracy.EACH
    again = accuracy.told({"data_sets": sets}, fast)
    assert again["largest_error"] == pytest.approx(cell["largest_error"], abs=2e-6)
    assert again["flips_at_0.975"] == cell["flips_at_0.975"] <= 1
    assert cell["largest_error"] < LARGEST[kind]


@pytest.mark.parametrize(("kind", "cell"), EVERY_CELL, ids=IDS)
def test_a_stored_answer_is_that_of_brute_force(kind, cell, picked=(7,)):
    for number in picked:
        one = cell["data_sets"][number]
        assert accuracy.reference(kind, one["counts"]) == pytest.approx(one["probability"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "cell"), EVERY_CELL, ids=IDS)
def test_all_stored_answers_are_those_of_brute_force(kind, cell):
    test_a_stored_answer_is_that_of_brute_force(kind, cell, range(accuracy.EACH))


def test_two_categories_are_logistic_regression():
    """By adaptive quadrature over the log odds of either arm. Laplace's method is good to 0.002 with so few."""
    counts = np.array([[[8, 4], [3, 9]], [[12, 0], [8, 4]], [[6, 6], [2, 10]], [[1, 11], [0, 12]]])
    fast = model().bind(setting(ARMS[:2], highest=1)).fit(accuracy.patients_of(counts)).prob_better(0)[:, 1]

    def density(middle, effect, given):
        """Jeffreys' prior of the share in the middle of the arms, as a density of its log odds."""
        chance = expit([middle - effect / 2, middle + effect / 2])
        log = given[:, 1] @ np.log(chance) + given[:, 0] @ np.log1p(-chance)
        return np.exp(log + np.log(expit(middle) * expit(-middle)) / 2 - effect**2 / 12.5)

    for r, given in enumerate(counts):
        sides = [
            quad(lambda e, g=given: quad(density, -25, 25, (e, g), limit=200, points=[0])[0], *ends, epsrel=1e-7)[0]
            for ends in ((0, 12), (-12, 0))
        ]
        assert fast[r] == pytest.approx(sides[0] / sum(sides), abs=0.002)


def test_covariates_and_three_arms_agree_with_brute_force():
    """Patients with a score of their own that matters; comparisons of both arms with the control and each other."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(12, 45))
    given = seen(rng, x=x)
    posterior = model(covariates=("baseline",)).bind(setting(baseline=(0.0, 1.0))).fit(given)
    found = {than: posterior.prob_better(than) for than in (0, 1)}
    for r in (1, 5):
        for arm, number in ((1, 3), (2, 4)):
            exact = mass_above(posterior.density, r, number, points=1024, nodes=12)
            assert found[0][r, arm] == pytest.approx(exact, abs=0.003)
    assert (posterior.density.counts.sum(axis=(1, 2)) == given.n_known).all()
    np.testing.assert_allclose(found[1][:, 0], 1 - found[0][:, 1], atol=1e-9)


# -------------------------------------------------------------------------------------------- invariance


def test_lower_scores_are_better_where_they_are():
    given = seen(np.random.default_rng(3))
    turned = given._replace(value=3 - given.value, arm_total=3 * given.arm_known - given.arm_total)
    lower = given._replace(value=-given.value, arm_total=-given.arm_total)
    one = model().bind(setting()).fit(turned)
    other = model().bind(setting(better="lower")).fit(lower)
    np.testing.assert_array_equal(one.prob_better(0), other.prob_better(0))


def test_better_and_worse_are_mirror_images():
    """Turning the categories round turns the log odds ratios round."""
    given = seen(np.random.default_rng(4))
    turned = given._replace(value=3 - given.value, arm_total=3 * given.arm_known - given.arm_total)
    one, other = (model().bind(setting()).fit(each) for each in (given, turned))
    np.testing.assert_allclose(other.prob_better(0)[:, 1:], 1 - one.prob_better(0)[:, 1:], atol=1e-7)
    np.testing.assert_allclose(other.mean(), -one.mean(), atol=1e-7)


def test_arms_in_another_order_are_answered_in_that_order():
    given = seen(np.random.default_rng(5))
    order = [2, 0, 1]
    turned = given._replace(
        arm=np.argsort(order)[given.arm],
        arm_known=given.arm_known[:, order],
        arm_enrolled=given.arm_enrolled[:, order],
        arm_total=given.arm_total[:, order],
    )
    one = model().bind(setting()).fit(given)
    other = model().bind(setting(tuple(ARMS[a] for a in order), control=1)).fit(turned)
    among = np.ones((12, 3), bool)
    np.testing.assert_allclose(other.prob_best(among), one.prob_best(among)[:, order], atol=1e-7)
    np.testing.assert_allclose(other.prob_better(1), one.prob_better(0)[:, order], atol=1e-7)
    np.testing.assert_allclose(other.mean(), one.mean()[:, order], atol=1e-7)


def test_the_prior_does_not_favour_an_arm():
    """Two arms alike are equally likely to be the better, however unevenly their patients lie."""
    counts = np.array([[[0, 0, 1, 11], [0, 0, 1, 11]], [[0, 0, 0, 12], [0, 0, 0, 12]], [[3, 3, 3, 3], [3, 3, 3, 3]]])
    posterior = model(prior_patients=4.0).bind(setting(ARMS[:2])).fit(accuracy.patients_of(counts))
    np.testing.assert_allclose(posterior.prob_better(0)[:, 1], 0.5, atol=1e-6)


# ----------------------------------------------------------------------------------------- what is left


def test_empty_categories_and_separated_arms_have_finite_answers():
    counts = np.array(
        [
            [[0, 0, 0, 0], [0, 0, 0, 0]],
            [[12, 0, 0, 0], [0, 0, 0, 12]],
            [[0, 12, 0, 0], [0, 12, 0, 0]],
            [[6, 0, 0, 6], [0, 0, 0, 0]],
            [[0, 0, 0, 12], [12, 0, 0, 0]],
        ]
    )
    posterior = model().bind(setting(ARMS[:2])).fit(accuracy.patients_of(counts))
    better = posterior.prob_better(0)[:, 1]
    assert not posterior.failed().any() and np.isfinite(posterior.interval(0.95)).all()
    np.testing.assert_allclose(better[[0, 2, 3]], 0.5, atol=0.02)
    assert better[1] > 0.999 and better[4] < 0.001
    assert posterior.sd()[0, 1] == pytest.approx(2.5, rel=0.01)  # nothing known: the prior


def test_the_posterior_is_near_the_truth_with_many_patients():
    """The mean within 4 of its own standard deviations of the truth, which is near that of the formula."""
    rng, patients = np.random.default_rng(6), 3000
    arm = np.tile(np.arange(patients) % 2, (6, 1))
    cuts = logit(np.array([0.3, 0.5, 0.8]))
    score = (rng.random(arm.shape)[..., None] >= expit(cuts - 0.7 * arm[..., None])).sum(axis=2)
    posterior = model().bind(setting(ARMS[:2])).fit(snapshot(arm, score, n_arms=2))
    assert (np.abs(posterior.mean()[:, 1] - 0.7) < 4 * posterior.sd()[:, 1]).all()
    expected = posterior.outcome_sd().mean() * np.sqrt(2 / (patients / 2))
    np.testing.assert_allclose(posterior.sd()[:, 1], expected, rtol=0.05)


def test_where_odds_are_not_proportional_it_tends_to_the_true_value_of_the_endpoint():
    """A million patients on each of three arms, exactly as the truth has it: the log odds ratios to 0.0001."""
    shares = {"placebo": [0.1, 0.2, 0.3, 0.4], "low": [0.4, 0.1, 0.1, 0.4], "high": [0.05, 0.05, 0.6, 0.3]}
    endpoint = setting().endpoint
    truth = endpoint.true_values(a_cohort([[0.0]]), ARMS, endpoint.read(shares), "log_odds", control=0)
    many = CumulativeDensity(
        (np.eye(3) - 1 / 3)[None, :, 1:], 1e6 * np.array([list(shares.values())]), 0.25, np.full(2, 2.5**-2)
    )
    np.testing.assert_allclose(mode_of(many, 0)[0][3:], truth[1:], atol=1e-4)


@pytest.mark.parametrize(
    ("patients", "replicates"), [(24, 2000), (60, 2000), pytest.param(24, 20_000, marks=pytest.mark.slow)]
)
def test_ranks_are_calibrated(patients, replicates):
    """Truths from the prior, patients from the truths: P(log odds ratio < truth | data) is uniform (Talts 2018).

    The largest distance from the uniform distribution at a level of 1e-4, plus 0.003 for Laplace's method.
    """
    rng, prior = np.random.default_rng(7), model(effect_sd=1.5, prior_patients=5.0)
    middle = rng.dirichlet(np.ones(5), replicates)
    effect = rng.normal(0, 1.5, replicates)
    arm = np.tile(np.arange(patients) % 2, (replicates, 1))
    cuts = logit(np.clip(middle.cumsum(axis=1)[:, :-1], 1e-15, 1 - 1e-15))
    at_most = expit(cuts[:, None] - ((arm - 0.5) * effect[:, None])[..., None])
    score = (rng.random(arm.shape)[..., None] >= at_most).sum(axis=2)
    fit = prior.bind(setting(ARMS[:2], highest=4))
    posterior = fit.fit(snapshot(arm, score, n_arms=2))
    posterior.prob_better(0)
    (curve,) = posterior._curves.values()
    rank = np.array(ranks(curve, effect))
    distance = np.abs(np.sort(rank) - (np.arange(replicates) + 0.5) / replicates).max()
    assert distance < 2.23 / np.sqrt(replicates) + 0.003


def ranks(curve, truth):
    """P(below the truth) of each replicate, by asking for all truths on a grid and interpolating."""
    grid = np.linspace(truth.min() - 0.01, truth.max() + 0.01, 801)
    below = np.array([1 - curve.above(float(value)) for value in grid])
    return [np.interp(truth[r], grid, below[:, r]) for r in range(len(truth))]


def test_the_prior_expects_even_categories_and_even_odds():
    generator = np.random.default_rng(8)
    scores = model(effect_sd=1.0).prior_predictive(setting(better="lower", highest=6), 4000, generator)
    assert set(np.unique(scores)) == set(range(7))
    shares = np.stack([(scores == k).mean(axis=0) for k in range(7)])
    np.testing.assert_allclose(shares, shares[::-1], atol=0.03)
    means = model(effect_sd=1.0).prior_means(setting(), 4000, generator)
    assert (means[:, 0] == 0).all() and np.abs(means[:, 1:].std(axis=0) - 1).max() < 0.05
