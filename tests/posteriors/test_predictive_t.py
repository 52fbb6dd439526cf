"""The integrals over a Student-t and a Beta variable, against simulation, dense sums and finer rules."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, t

from sps_adaptive.posteriors import predictive_t as room
from sps_adaptive.posteriors.independent import standards
from sps_adaptive.posteriors.predictive_t import Race, chance
from sps_adaptive.posteriors.quadrature import sine_rule


def races(rng, number, fresh):
    df = rng.choice([1.0, 2.5, 4.0, 12.0, 40.0, 200.0], number)
    gained = rng.choice([1.0, 2.0, 3.0, 9.0, 40.0, 300.0], number)
    known, later = df + 1, df + 1 + gained
    move = np.sqrt(2 / known + 2 / gained if fresh else 2 / known - 2 / later)
    # What a prior mean, worth some outcomes, adds: worth (offset + along T)², never negative.
    worth, offset, along = rng.choice([0.0, 3.0], number), rng.normal(size=number), move * rng.normal(size=number)
    prior = np.stack([worth * offset**2, 2 * worth * offset * along, worth * along**2], axis=1)
    hurdle = rng.uniform(0.5, 2.5, number) ** 2 * 2 / (gained if fresh else later) / (gained if fresh else df + gained)
    if fresh:
        prior[:, 0] += rng.choice([0.0, 1.0, 5.0], number)
    else:
        prior[:] = 0.0
    return Race(rng.normal(0, 1.5, number) * np.sqrt(2 / known), move, hurdle, prior, df, gained)


@pytest.mark.parametrize("fresh", [False, True])
def test_simulation(fresh):
    rng, trials = np.random.default_rng([1, int(fresh)]), 40_000
    race = races(rng, 60, fresh)
    found = chance(race, fresh)
    for p in range(len(found)):
        g, r, k, e, nu, m = (field[p] for field in race)
        ratio = nu / rng.chisquare(nu, trials)  # σ² / s²
        z = rng.normal(size=trials)
        spread = ratio * rng.chisquare(m, trials) if fresh else nu + ratio * z**2
        if not fresh and m > 1:
            spread = spread + ratio * rng.chisquare(m - 1, trials)
        moved = np.sqrt(ratio) * z
        succeeded = g + r * moved > np.sqrt(k * (e[0] + e[1] * moved + e[2] * moved**2 + spread))
        error = np.sqrt(max(found[p] * (1 - found[p]), 1 / trials) / trials)
        assert abs(succeeded.mean() - found[p]) < 4.5 * error  # of 60 cases one may lie beyond 4


@pytest.mark.parametrize("fresh", [False, True])
def test_a_finer_rule_changes_nothing(monkeypatch, fresh):
    # One degree of freedom leaves kinks of the region in T: 1e-5. From two on the rule is good to 1e-6 and better.
    race = races(np.random.default_rng([2, int(fresh)]), 400, fresh)
    found = chance(race, fresh)
    for name, part in zip(("POINT", "POINT_COMPLEMENT", "POINT_WEIGHT"), sine_rule(400), strict=True):
        monkeypatch.setattr(room, name, part)
    finer = chance(race, fresh)
    few = race.df < 2
    np.testing.assert_allclose(found[few], finer[few], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[~few], finer[~few], rtol=0, atol=2e-6)


def test_a_dense_sum_over_both_variables():
    race = races(np.random.default_rng(3), 12, True)
    found = chance(race, True)
    u = (np.arange(1500) + 0.5) / 1500
    for p in range(len(found)):
        g, r, k, e, nu, m = (field[p] for field in race)
        moved, b = t(nu).ppf(u)[:, None], beta((nu + 1) / 2, m / 2).ppf(u)
        squares = e[0] + e[1] * moved + e[2] * moved**2 + (1 - b) / b * (nu + moved**2)
        assert found[p] == pytest.approx((g + r * moved > np.sqrt(k * squares)).mean(), abs=1e-3)


def test_regions():
    """Every kind of inequality, as it arises from scales and hurdles, against a dense sum."""
    (tail, shape), _ = standards(np.array([4.0]))
    x = t(4).ppf((np.arange(200_000) + 0.5) / 200_000)
    rng = np.random.default_rng(4)
    cases = [(gap, move, rng.exponential(size=3)) for gap in (-1.5, 0.0, 0.3, 2.0) for move in (0.0, 0.4, 1.0, 3.0)]
    cases += [
        (0.7, 1.0, np.zeros(3)),
        (0.0, 0.0, np.zeros(3)),
        (0.0, 1.0, np.zeros(3)),
        (0.9, 1.0, np.array([1, 0, 0.3])),
    ]
    for gap, move, (flat, tilt, size) in cases:
        # (gap + move T)² against flat T² + 2 tilt T + size, which has no root
        tilt = np.sqrt(flat * size) * np.tanh(tilt - 1)
        two, one, zero = move**2 - flat, gap * move - tilt, gap**2 - size
        found = room.region(gap, move, two, one, zero, tail[0], shape[0])
        expected = (gap + move * x > np.sqrt(flat * x**2 + 2 * tilt * x + size)).mean()
        assert found == pytest.approx(expected, abs=2e-5), (gap, move, two, one, zero)
