"""Random numbers that are addressed and not drawn in passing."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from sps_adaptive.streams import Stream, uniforms


def test_the_ids_never_change():
    assert {stream.name: int(stream) for stream in Stream} == {
        "ACCRUAL": 1,
        "SITE": 2,
        "BASELINE": 3,
        "DROPOUT": 4,
        "VISIT": 5,
        "ARM": 6,
        "BLOCK": 7,
        "OUTCOME": 8,
        "COVARIATE": 9,
        "SITE_SCORE": 10,
    }


def test_the_numbers_never_change():
    """Published results are made of these: Philox, keyed through SeedSequence(seed, (name, block, index))."""
    found = uniforms(20_261_122, Stream.ARM, 3, 2, 2, 1)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(20_261_122, spawn_key=(6, 3, 1))))
    np.testing.assert_array_equal(found, generator.random((2, 2)).T)
    frozen = [[0.5745316352907189, 0.2887824828976632], [0.1363784684835867, 0.8982013887783991]]
    np.testing.assert_array_equal(found, frozen)


def test_shape_type_and_range():
    u = uniforms(1, Stream.OUTCOME, 0, 5, 7)
    assert u.shape == (5, 7) and u.dtype == np.float64 and u.flags.c_contiguous
    assert (u >= 0).all() and (u < 1).all()


def test_the_same_address_gives_the_same_numbers():
    np.testing.assert_array_equal(uniforms(4, Stream.SITE, 2, 6, 3, 1), uniforms(4, Stream.SITE, 2, 6, 3, 1))


@pytest.mark.parametrize("name", Stream)
def test_more_patients_keep_the_earlier_ones(name):
    few, many = uniforms(9, name, 1, 50, 10), uniforms(9, name, 1, 50, 25)
    np.testing.assert_array_equal(many[:, :10], few)


def test_a_large_seed_is_not_cut_short():
    assert (uniforms(2**63 - 1, Stream.ARM, 0, 3, 3) != uniforms(2**31 - 1, Stream.ARM, 0, 3, 3)).all()


ADDRESSES = [
    *((1, name, 0, 0) for name in Stream),
    *((1, Stream.ARM, block, 0) for block in (1, 2, 10_000)),
    *((1, Stream.OUTCOME, 0, index) for index in (1, 2)),
    *((seed, Stream.ARM, 0, 0) for seed in (0, 2, 2**32 + 1, 2**62)),
]


def test_no_two_addresses_have_anything_to_do_with_each_other():
    """Correlations of 20,000 pairs, 4 standard errors of 1 / sqrt(n); some 130 pairs are looked at."""
    n = 20_000
    drawn = [uniforms(seed, name, block, 200, n // 200, index).ravel() for seed, name, block, index in ADDRESSES]
    for one, other in combinations(drawn, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(n)
        assert not np.isin(one, other).any()


def test_patients_and_replicates_of_a_stream_are_unrelated():
    u = uniforms(1, Stream.OUTCOME, 0, 20_000, 3)
    for one, other in combinations(u.T, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(len(u))
    across = uniforms(1, Stream.OUTCOME, 0, 3, 20_000)
    for one, other in combinations(across, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(20_000)


@pytest.mark.parametrize("name", Stream)
def test_they_are_uniform(name):
    """Kolmogorov-Smirnov at the level 0.001, seed fixed."""
    assert stats.kstest(uniforms(20_261_122, name, 0, 200, 100).ravel(), "uniform").pvalue > 0.001
