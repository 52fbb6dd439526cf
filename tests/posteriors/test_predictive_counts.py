"""Predictive probabilities of binary outcomes: double sums, published values, the exact engine, limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta as beta_distribution
from scipy.stats import betabinom, binom

from sps_adaptive.exact.backward import predictive
from sps_adaptive.exact.calendar import course
from sps_adaptive.posteriors import predictive_counts as room
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.posteriors.predictive_counts import success_of_counts
from tests.exact.helpers import scenario

UNIFORM = ((1, 1),) * 3
MIXED = ((0.5, 0.5), (2, 3), (1.3, 0.7))
N_MAX = 40


def states(rng, replicates=6, most=12, further=9):
    n = rng.integers(0, most, (replicates, 3))
    return n, rng.binomial(n, rng.random(n.shape)), rng.integers(0, further, n.shape)


def double_sum(priors, n, s, than, by, threshold, more, fresh):
    """Over all numbers of responders of both arms, with the claim of the analysis asked for each."""
    found = np.zeros(len(n))
    kept = 0 if fresh else 1
    size = max(int(more.max()), 1) if fresh else N_MAX
    for arm in range(len(n)):
        if arm == than:
            found[arm] = by < 0
            continue
        pair = [than, arm]
        laws = [betabinom(more[a], priors[a][0] + s[a], priors[a][1] + n[a] - s[a]) for a in pair]
        for y in np.ndindex(*(more[pair] + 1)):
            known = BetaPosterior.from_counts(
                tuple(priors[a] for a in pair), (kept * n + more)[pair][None], kept * s[pair][None] + np.array(y), size
            )
            if known.prob_better(0, by)[0, 1] - threshold > 1e-12:
                found[arm] += laws[0].pmf(y[0]) * laws[1].pmf(y[1])
    return found


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("priors", [UNIFORM, MIXED])
@pytest.mark.parametrize(("by", "threshold"), [(0.0, 0.9), (0.1, 0.6), (-0.15, 0.95), (0.0, 0.5)])
def test_double_sums(priors, by, threshold, fresh):
    # Rounding: some hundred terms. The claims are those of the same quadrature, so no term can be on the other side.
    n, s, more = states(np.random.default_rng(7))
    found = success_of_counts(priors, n, s, N_MAX, 1, by, threshold, more, fresh)
    for r in range(len(n)):
        expected = double_sum(priors, n[r], s[r], 1, by, threshold, more[r], fresh)
        np.testing.assert_allclose(found[r], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.2, 0.55, 1.0])
def test_single_sums_against_a_value(value, fresh):
    n, s, more = states(np.random.default_rng(8))
    found = success_of_counts(MIXED, n, s, N_MAX, None, value, 0.8, more, fresh)
    for (r, arm), answer in np.ndenumerate(found):
        a, b = MIXED[arm]
        m, y = more[r, arm], np.arange(more[r, arm] + 1)
        law = betabinom(m, a + s[r, arm], b + n[r, arm] - s[r, arm])
        start = (a, b) if fresh else (a + s[r, arm], b + n[r, arm] - s[r, arm])
        succeeds = beta_distribution(start[0] + y, start[1] + m - y).sf(value) > 0.8
        assert answer == pytest.approx((law.pmf(y) * succeeds).sum(), abs=1e-13)


def test_lee_and_liu():
    # Clinical Trials 5:93-106, the example of p. 97 and the design for p0 = 0.2, p1 = 0.4, at most 36 patients.
    stored = Path(__file__).parents[1] / "published" / "data" / "lee_liu_2008.json"
    published = json.loads(stored.read_text(encoding="utf-8"))
    example = published["inputs"]["example"]
    n, s = np.array([[example["n"]]]), np.array([[example["x"]]])
    prior, most = (tuple(example["prior"]),), example["Nmax"]
    found = success_of_counts(prior, n, s, most, None, example["p0"], example["thetaT"], most - n)
    assert found[0, 0] == pytest.approx(published["expected"]["PP"], abs=6e-8)

    design = published["inputs"]["design"]
    prior, most = (tuple(design["prior"]),), design["Nmax"]
    regions = {n: r for r, n in published["expected"]["design"]["reject_if_le"]}
    for n in range(design["first_look"], most + 1):
        s = np.arange(n + 1)[:, None]
        known = np.full_like(s, n)
        found = success_of_counts(prior, known, s, most, None, design["p0"], design["thetaT"], most - known)
        hopeless = found[:, 0] < design["thetaL"]
        np.testing.assert_array_equal(hopeless, s[:, 0] <= max(r for m, r in regions.items() if m <= n))


def test_reference_values_of_a_coin():
    """Two arms of 6, twelve patients to come, each dealt by a fair coin: the mean over how many each arm gets."""
    # Values of another program: a backward recursion over all states of the trial, patient by patient.
    expected = {(2, 4): 0.268920352, (1, 5): 0.868078870, (2, 5): 0.607092109}
    to_come = np.arange(13)
    more = np.stack([12 - to_come, to_come], axis=1)
    for responders, value in expected.items():
        n, s = np.full((13, 2), 6), np.tile(responders, (13, 1))
        found = success_of_counts(UNIFORM[:2], n, s, 24, 0, 0.0, 0.975, more)[:, 1]
        assert binom(12, 0.5).pmf(to_come) @ found == pytest.approx(value, abs=6e-10)


# `settled` at each look is a whole number of blocks, so that every arm gets the same number of patients.
QUOTAS = {
    "two arms": ((24, (0.3, 0.6), {"kind": "enrolled", "at": [8, 16]}, 2), {}, 0.0, 0.9),
    "three arms, lower is better, pending patients": (
        (18, (0.3, 0.6, 0.5), {"kind": "enrolled", "at": [9, 15]}, 3), {"month": 3, "better": "lower", "control": 1},
        0.05, 0.8,
    ),
    "priors of their own": (
        (20, (0.3, 0.6), {"kind": "enrolled", "at": [6, 12]}, 2),
        {"analysis": {"arm_priors": {"arm 0": {"alpha": 4, "beta": 16}, "arm 1": {"alpha": 0.5, "beta": 0.5}}}},
        0.0, 0.7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTAS)
def test_the_exact_engine_agrees_where_the_counts_to_come_are_certain(name):
    (patients, rates, looks, block), options, margin, threshold = QUOTAS[name]
    rule = {"kind": "efficacy", "margin": margin, "probability": threshold, "from_look": 3}
    case = scenario(patients, rates, looks, {"kind": "equal", "block": block}, [rule], **options)
    design = case.designs()["adaptive"]
    when, arms = course(case, design), len(rates)
    tables = predictive(design, when, (True,) * arms)
    rng = np.random.default_rng(5)
    for held in when.looks:
        assert held.settled % arms == 0
        n = np.full((40, arms), held.settled // arms)
        s = rng.binomial(n, rng.random(n.shape))
        more = np.full_like(n, patients // arms) - n
        found = success_of_counts(design.model.priors, n, s, patients, design.control, margin, threshold, more)
        expected = tables[held.k].at(n, s)
        others = np.arange(arms) != design.control
        assert 0.05 < expected[:, others].mean() < 0.95
        np.testing.assert_allclose(found[:, others], expected[:, others], rtol=0, atol=1e-12)


def test_without_further_patients_it_is_the_claim_itself():
    n, s, more = states(np.random.default_rng(9), replicates=200)
    posterior = BetaPosterior.from_counts(MIXED, n, s, N_MAX)
    for by in (0.0, 0.1, -0.1, 1.0, -1.0):
        found = success_of_counts(MIXED, n, s, N_MAX, 1, by, 0.7, 0 * more)
        np.testing.assert_array_equal(found, posterior.prob_better(1, by) - 0.7 > 1e-12)


def test_what_is_certain_is_certain_to_the_last_digit():
    n, s, more = states(np.random.default_rng(10), replicates=50)
    for threshold, answer in ((0.0, 1.0), (1.0, 0.0)):
        found = success_of_counts(MIXED, n, s, N_MAX, 1, 0.1, threshold, more)
        np.testing.assert_array_equal(found[:, [0, 2]], answer)


def test_many_further_patients_reveal_the_truth():
    # Then success is that the arm is better: its posterior probability. With a threshold of one half the claim goes by
    # the means alone, and what is left is the spread of two proportions of 700 patients about them: of order 1/700.
    rng = np.random.default_rng(11)
    n = rng.integers(2, 30, (12, 2))
    s = rng.binomial(n, rng.random(n.shape))
    expected = BetaPosterior.from_counts(UNIFORM[:2], n, s, 30).prob_better(0, 0.1)[:, 1]
    for fresh in (False, True):
        found = success_of_counts(UNIFORM[:2], n, s, 730, 0, 0.1, 0.5, np.full_like(n, 700), fresh)[:, 1]
        np.testing.assert_allclose(found, expected, rtol=0, atol=4e-3)


def test_nested_simulation():
    rng = np.random.default_rng(12)
    n, s, more, trials = np.array([[9, 7]]), np.array([[3, 4]]), np.array([[11, 16]]), 100_000
    theta = rng.beta(1 + s, 1 + n - s, (trials, 2))
    y = rng.binomial(more, theta)
    final = BetaPosterior.from_counts(UNIFORM[:2], np.broadcast_to(n + more, y.shape), s + y, N_MAX)
    separate = BetaPosterior.from_counts(UNIFORM[:2], np.broadcast_to(more, y.shape), y, N_MAX)
    for posterior, fresh in ((final, False), (separate, True)):
        succeeded = posterior.prob_better(0, 0.05)[:, 1] > 0.9
        found = success_of_counts(UNIFORM[:2], n, s, N_MAX, 0, 0.05, 0.9, more, fresh)[0, 1]
        assert abs(succeeded.mean() - found) < 4 * np.sqrt(found * (1 - found) / trials)


@pytest.mark.parametrize("than", [0, 2, None])
@pytest.mark.parametrize("fresh", [False, True])
def test_batches_and_arms_in_any_order(fresh, than):
    n, s, more = states(np.random.default_rng(13), replicates=60)
    arguments = (n.copy(), s.copy(), more.copy())
    whole = success_of_counts(MIXED, n, s, N_MAX, than, 0.1, 0.8, more, fresh)
    parts = [
        success_of_counts(MIXED, n[rows], s[rows], N_MAX, than, 0.1, 0.8, more[rows], fresh)
        for rows in (slice(0, 1), slice(1, 37), slice(37, 60), slice(60, 60))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    order = [2, 0, 1]
    turned = success_of_counts(
        tuple(MIXED[arm] for arm in order), n[:, order], s[:, order], N_MAX,
        None if than is None else order.index(than), 0.1, 0.8, more[:, order], fresh,
    )  # fmt: skip
    np.testing.assert_array_equal(turned, whole[:, order])
    for now, before in zip((n, s, more), arguments, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("fresh", [False, True])
def test_without_a_table_the_answers_are_the_same(monkeypatch, fresh):
    # The same nodes, the cdf from scipy instead of the recurrences.
    n, s, more = states(np.random.default_rng(14))
    found = success_of_counts(MIXED, n, s, N_MAX, 1, 0.1, 0.8, more, fresh)
    monkeypatch.setattr(room, "TABLE_BYTES", 0)
    again = success_of_counts(MIXED, n, s, N_MAX, 1, 0.1, 0.8, more, fresh)
    np.testing.assert_allclose(again, found, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "beta", "m"), [(1, 1, 0), (1, 1, 7), (0.02, 0.01, 30), (0.5, 9, 40), (700, 20, 2000)]
)
def test_the_law_by_ratios_of_neighbours(alpha, beta, m):
    weight = np.empty(m + 1)
    room.beta_binomial(float(alpha), float(beta), m, weight)
    # scipy's logarithms of gamma functions lose digits where these are large: 1e-9 of the largest term.
    expected = betabinom(m, alpha, beta).pmf(np.arange(m + 1))
    np.testing.assert_allclose(weight / weight.sum(), expected, rtol=1e-9, atol=1e-9 * expected.max())


def test_the_stairs_repeat_their_twin():
    """All claims at once, without a walk."""
    rng = np.random.default_rng(15)
    priors, n_max = ((1.0, 1.0),), 30
    table = room.beta_table(priors, n_max, 0.1)
    n, more = np.array([4, 9, 6]), np.array([8, 12, 0])
    s = rng.binomial(n, 0.5)
    row = (n + more) * (n + more + 1) // 2 + s
    pair = np.array([[0, 1], [1, 0], [2, 1], [1, 2], [2, 2]])
    found = np.empty(len(pair))
    room.climb(1.0 + s, 1.0 + n - s, more, row, pair, *table, True, 0.7, found)
    for (control, arm), answer in zip(pair, found, strict=True):
        x, y = np.arange(more[control] + 1), np.arange(more[arm] + 1)
        claims = table.weighted_pdf[row[control] + x] @ (1 - table.cdf[row[arm] + y]).T - 0.7 > 1e-12
        laws = [betabinom(more[u], 1 + s[u], 1 + n[u] - s[u]).pmf(k) for u, k in ((control, x), (arm, y))]
        assert answer == pytest.approx(laws[0] @ claims @ laws[1], abs=1e-13)


@pytest.mark.parametrize(
    ("more", "message"),
    [([[1, 2]], "further outcomes"), ([[1, -1, 0]], "further outcomes"), ([[1, 38, 0]], "more than 40 outcomes")],
)
def test_impossible_numbers_are_refused(more, message):
    n = np.array([[3, 3, 3]])
    with pytest.raises(ValueError, match=message):
        success_of_counts(UNIFORM, n, n, N_MAX, 0, 0.0, 0.9, np.array(more))
