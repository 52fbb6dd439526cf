"""The compiled loops beside plain Python, patient for patient."""

import numpy as np
import pytest

from sps_adaptive.realisation import kernels

R, N, A = 30, 40, 4
RNG = np.random.default_rng(11)
START = RNG.integers(0, N + 1, R)
U_ARM, U_BLOCK = RNG.random((2, R, N))
PI = RNG.dirichlet((1, 1, 1, 1), R)
PI[::3, 1] = 0
PI /= PI.sum(axis=1, keepdims=True)
BEFORE = RNG.integers(0, A, (R, N)).astype(np.int8)


def inverse_cdf(weights, u):
    edges = np.cumsum(weights) / np.sum(weights)
    return int(np.flatnonzero((u < edges) & (weights > 0))[0])


def test_urn():
    owed = RNG.normal(0, 1.5, (R, A))
    expected, arm = BEFORE.copy(), BEFORE.copy()
    for r in range(R):
        mass = 3 * PI[r] + owed[r]
        for n in range(START[r], N):
            weight = np.where(PI[r] > 0, np.maximum(mass, 0), 0)
            expected[r, n] = inverse_cdf(weight if weight.sum() > 0 else PI[r], U_ARM[r, n])
            mass = mass + PI[r] - (np.arange(A) == expected[r, n])
    kernels.urn(arm, PI, U_ARM, START, owed, 3.0)
    np.testing.assert_array_equal(arm, expected)


def test_spread_in_strata():
    stratum, block = RNG.integers(0, 5, (R, N)), 4
    expected, position = np.zeros((R, N)), np.zeros((R, N))
    for r in range(R):
        for s in range(5):
            members = [n for n in range(START[r], N) if stratum[r, n] == s]
            for first in range(0, len(members), block):
                free = list(range(block))
                for n in members[first : first + block]:
                    place = free.pop(int(U_ARM[r, n] * len(free)))
                    expected[r, n] = (place + U_BLOCK[r, members[first]]) / block
    kernels.spread_in_strata(position, U_ARM, U_BLOCK, START, stratum, 5, block)
    np.testing.assert_array_equal(position, expected)


@pytest.mark.parametrize("by_variance", [False, True])
@pytest.mark.parametrize("preference, sharpness", [(0.8, 0.0), (1.0, 0.0), (-1.0, 0.4)])
def test_minimise(preference, sharpness, by_variance):
    sizes, weights = np.array([2, 3]), np.array([1.0, 0.5])
    level = np.stack([RNG.integers(0, size, (R, N)) for size in sizes], axis=2)
    expected, arm = BEFORE.copy(), BEFORE.copy()
    for r in range(R):
        pi, is_open = PI[r], PI[r] > 0
        for n in range(START[r], N):
            imbalance = np.full(A, np.inf)
            for k in np.flatnonzero(is_open):
                imbalance[k] = 0
                for f in range(2):
                    same = expected[r, :n][level[r, :n, f] == level[r, n, f]]
                    number = np.bincount(same, minlength=A) + (np.arange(A) == k)
                    share = number[is_open] / (is_open.sum() * pi[is_open])
                    imbalance[k] += weights[f] * (share.var(ddof=1) if by_variance else np.ptp(share))
            more = imbalance - imbalance.min()
            if preference < 0:
                weight = np.where(is_open, pi * np.exp(-sharpness * more), 0)
            else:
                weight = np.zeros(A)
                best = more < 1e-9
                for k in np.flatnonzero(best):
                    gets = max(preference, pi[k])
                    rest = (1 - gets) * pi / (1 - pi[k])
                    weight += pi[k] / pi[best].sum() * np.where(np.arange(A) == k, gets, rest)
            expected[r, n] = inverse_cdf(weight, U_ARM[r, n])
    kernels.minimise(arm, PI, U_ARM, START, level, sizes, weights, preference, sharpness, by_variance)
    np.testing.assert_array_equal(arm, expected)


def test_nobody_is_dealt_an_arm_without_weight():
    for u in (0.0, 0.5, 1 - 2.0**-53):
        assert kernels.draw(np.array([0.0, 0.3, 0.0]), u) == 1
        assert kernels.draw(np.array([0.1, 0.2, 0.0]), u) < 2
