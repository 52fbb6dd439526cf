"""What holds for every posterior, whatever its distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from sps_adaptive.posteriors.joint_student import JointStudentPosterior
from sps_adaptive.posteriors.student import StudentPosterior

ARMS, N_MAX = 4, 30
FIELDS = {
    BetaPosterior: ("n", "successes"),
    GaussianPosterior: ("location", "scale"),
    StudentPosterior: ("location", "scale", "df"),
    JointStudentPosterior: ("location", "diagonal", "loading", "variance", "df"),
}
KINDS = list(FIELDS)
# Errors of the numbers themselves; identities between two of them hold to about as much.
ACCURACY = {BetaPosterior: 1e-12, GaussianPosterior: 1e-8, StudentPosterior: 1e-8, JointStudentPosterior: 1e-5}


def build(kind, fields):
    if kind is BetaPosterior:
        return BetaPosterior.from_counts(((1, 1),) * fields["n"].shape[1], fields["n"], fields["successes"], N_MAX)
    return kind(**fields)


def random_fields(kind, rng, replicates, arms=ARMS):
    """Fields of a posterior; arms of which nothing is known occur."""
    n = rng.integers(0, N_MAX + 1, (replicates, arms))
    vague = np.where(rng.random((replicates, arms)) < 0.1, 1e6, 1.0)
    drawn = {
        "n": n,
        "successes": rng.binomial(n, rng.random((replicates, arms))),
        "location": rng.normal(size=(replicates, arms)),
        "scale": np.exp(rng.normal(0, 0.5, (replicates, arms))) * vague,
        "diagonal": vague**2 / rng.integers(1, 20, (replicates, arms)),
        "loading": rng.normal(0, 0.2, (replicates, arms)),
        "variance": rng.gamma(2, size=replicates),
        "df": rng.choice([1.0, 4.0, 9.5, 40.0], replicates if kind is JointStudentPosterior else (replicates, arms)),
    }
    return {name: drawn[name] for name in FIELDS[kind]}


def select(fields, rows):
    return {name: value[rows] for name, value in fields.items()}


def reorder(fields, order):
    return {name: value[:, order] if value.ndim == 2 else value for name, value in fields.items()}


def functionals(posterior, among):
    return {
        "mean": posterior.mean(),
        "interval": posterior.interval(0.9),
        "best": posterior.prob_best(among),
        "better": posterior.prob_better(1),
        "better by": posterior.prob_better(1, 0.1),
        "worse by": posterior.prob_better(1, -0.1),
        "difference": posterior.difference(1, 0.9),
    }


def some_open(rng, replicates, arms=ARMS):
    among = rng.random((replicates, arms)) < 0.6
    among[np.arange(replicates), rng.integers(0, arms, replicates)] = True
    return among


seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
@settings(max_examples=15)
def test_probabilities_of_being_best_are_shares_of_the_open_arms(kind, seed):
    rng = np.random.default_rng(seed)
    among = some_open(rng, 5)
    best = build(kind, random_fields(kind, rng, 5)).prob_best(among)
    assert ((best >= 0) & (best <= 1)).all()
    assert (best[~among] == 0).all()
    np.testing.assert_allclose(best.sum(axis=1), 1, atol=1e-12)
    alone = among.sum(axis=1) == 1
    assert (best[alone] == among[alone]).all()


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
@settings(max_examples=10)
def test_the_order_of_the_arms_does_not_matter(kind, seed):
    rng = np.random.default_rng(seed)
    fields, among, order = random_fields(kind, rng, 4), some_open(rng, 4), rng.permutation(ARMS)
    before, after = build(kind, fields), build(kind, reorder(fields, order))
    # Sums in another order; nested panels may also be cut elsewhere.
    tolerance = 1e-6 if kind is JointStudentPosterior else 1e-11
    np.testing.assert_allclose(after.prob_best(among[:, order]), before.prob_best(among)[:, order], atol=tolerance)
    than = int(rng.integers(ARMS))
    moved = int(np.flatnonzero(order == than)[0])
    np.testing.assert_allclose(
        after.prob_better(moved, 0.1), before.prob_better(than, 0.1)[:, order], atol=1e-11, rtol=0
    )
    np.testing.assert_allclose(
        after.difference(moved, 0.9), before.difference(than, 0.9)[:, order], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
def test_closed_arms_do_not_matter(kind):
    rng = np.random.default_rng(1)
    fields = random_fields(kind, rng, 6)
    among = np.array([[True, False, True, True]] * 6)
    fewer = build(kind, reorder(fields, [0, 2, 3])).prob_best(np.ones((6, 3), bool))
    np.testing.assert_array_equal(build(kind, fields).prob_best(among)[:, [0, 2, 3]], fewer)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
@settings(max_examples=10)
def test_splitting_the_batch_changes_nothing(kind, seed):
    rng = np.random.default_rng(seed)
    fields, among = random_fields(kind, rng, 6), some_open(rng, 6)
    whole = functionals(build(kind, fields), among)
    cut = int(rng.integers(1, 6))
    first = functionals(build(kind, select(fields, slice(0, cut))), among[:cut])
    second = functionals(build(kind, select(fields, slice(cut, 6))), among[cut:])
    for name, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([first[name], second[name]]), value, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_not_changed(kind):
    rng = np.random.default_rng(2)
    fields, among = random_fields(kind, rng, 6), some_open(rng, 6)
    for value in (*fields.values(), among):
        value.setflags(write=False)
    answers = functionals(build(kind, fields), among)
    assert all(value.flags.writeable for value in answers.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replicates", [0, 1])
def test_empty_batches_and_single_replicates(kind, replicates):
    rng = np.random.default_rng(3)
    fields = random_fields(kind, rng, replicates)
    answers = functionals(build(kind, fields), np.ones((replicates, ARMS), bool))
    shapes = {"interval": (2,), "difference": (3,)}
    for name, value in answers.items():
        assert value.shape == (replicates, ARMS, *shapes.get(name, ()))
        assert np.isfinite(value).all()


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, by=st.floats(-0.9, 0.9))
@settings(max_examples=15)
def test_better_and_worse_are_complements(kind, seed, by):
    posterior = build(kind, random_fields(kind, np.random.default_rng(seed), 5))
    total = posterior.prob_better(0, by)[:, 1] + posterior.prob_better(1, -by)[:, 0]
    np.testing.assert_allclose(total, 1, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_arms_the_better_is_the_best(kind):
    rng = np.random.default_rng(4)
    posterior = build(kind, random_fields(kind, rng, 40, arms=2))
    best = posterior.prob_best(np.ones((40, 2), bool))
    np.testing.assert_allclose(best[:, 1], posterior.prob_better(0)[:, 1], atol=max(ACCURACY[kind], 1e-11), rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_margin_only_makes_it_harder(kind):
    posterior = build(kind, random_fields(kind, np.random.default_rng(5), 30))
    by_margin = np.array([posterior.prob_better(0, by) for by in np.linspace(-1.2, 1.2, 25)])
    assert (np.diff(by_margin[:, :, 1:], axis=0) <= 1e-11).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_arm_is_not_better_than_itself(kind):
    posterior = build(kind, random_fields(kind, np.random.default_rng(6), 3))
    for by, expected in [(-0.1, 1.0), (0.0, 0.0), (0.1, 0.0)]:
        np.testing.assert_array_equal(posterior.prob_better(2, by)[:, 2], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_best_and_better_agree_about_the_mean(kind):
    posterior = build(kind, random_fields(kind, np.random.default_rng(7), 5))
    mean, difference = posterior.mean(), posterior.difference(3, 0.8)
    np.testing.assert_allclose(difference[..., 0], mean - mean[:, [3]], atol=1e-15)
    others = difference[:, :3]
    assert (others[..., 1] < others[..., 2]).all()
    interval = posterior.interval(0.8)
    assert (interval[..., 0] < interval[..., 1]).all()


@given(n=st.integers(1, N_MAX), other=st.integers(0, N_MAX), data=st.data())
@settings(max_examples=40)
def test_one_more_success_never_makes_an_arm_worse(n, other, data):
    s, r = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, other))
    by = data.draw(st.sampled_from([0.0, 0.1, -0.3]))
    counts = np.array([[n, other, 7]] * 2), np.array([[s, r, 3], [s + 1, r, 3]])
    posterior = BetaPosterior.from_counts(((0.5, 0.5), (1, 1), (2, 1)), *counts, N_MAX)
    best = posterior.prob_best(np.ones((2, 3), bool))
    better = posterior.prob_better(1, by)
    difference = posterior.difference(1, 0.95)
    assert best[1, 0] >= best[0, 0] - 1e-12
    assert best[1, 1] <= best[0, 1] + 1e-12
    assert better[1, 0] >= better[0, 0] - 1e-12
    assert (difference[1, 0] >= difference[0, 0] - 1e-7).all()
