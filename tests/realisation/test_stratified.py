"""A list for each stratum."""

import numpy as np

from sps_adaptive.realisation import Stratified
from tests.realisation.helpers import counts, dealt, factors_of, patients


def stratified(*factors, **given):
    return Stratified(kind="stratified", factors=list(factors), **given)


def test_every_full_block_of_a_stratum_holds_its_quotas():
    cohort = patients(200, 80, (0.6, 0.4), (0.5, 0.3, 0.2))
    arm = dealt(stratified("f1", "f0", block=4), cohort, (0.5, 0.25, 0.25))
    full = 0
    for r in range(200):
        for first in (0, 1):
            for second in (0, 1, 2):
                of = arm[r][(cohort.strata[r, :, 0] == first) & (cohort.strata[r, :, 1] == second)]
                for begin in range(0, len(of) - 3, 4):
                    assert sorted(of[begin : begin + 4]) == [0, 0, 1, 2]
                    full += 1
    assert full > 200 * 12


def test_the_site_is_a_factor():
    cohort = patients(300, 60)
    arm = dealt(stratified("site", block=2), cohort, (0.5, 0.5))
    for site in range(3):
        here = cohort.site == site
        difference = ((arm == 0) & here).sum(axis=1) - ((arm == 1) & here).sum(axis=1)
        assert np.abs(difference).max() == 1  # half a block at most


def test_quotas_that_are_not_whole_are_right_on_average():
    cohort = patients(20_000, 6, (0.5, 0.5))
    found = counts(dealt(stratified("f0", block=4), cohort, (0.45, 0.35, 0.2)), 3).mean(axis=0)
    np.testing.assert_allclose(found, 6 * np.array((0.45, 0.35, 0.2)), atol=5 * 1.3 / np.sqrt(20_000))


def test_after_a_look_new_blocks_begin_and_those_enrolled_keep_their_arms():
    cohort = patients(400, 20, (1.0,))
    first = dealt(stratified("f0", block=4), cohort, (0.5, 0.5))
    again = dealt(stratified("f0", block=4), cohort, (0.75, 0.25), start=6, arm=first)
    np.testing.assert_array_equal(again[:, :6], first[:, :6])
    for begin in (6, 10, 14):
        assert (counts(again[:, begin : begin + 4], 2) == (3, 1)).all()


def test_the_last_block_is_of_full_length_since_nobody_knows_who_is_still_to_come():
    """Six patients in one stratum in blocks of four: the last two are any two of a block of two and two."""
    arm = dealt(stratified("f0", block=4), patients(20_000, 6, (1.0,)), (0.5, 0.5))
    both_alike = (arm[:, 4] == arm[:, 5]).mean()
    assert abs(both_alike - 1 / 3) < 4 * np.sqrt(2 / 9 / 20_000)


def test_too_many_strata_are_a_mistake_of_the_design():
    part = stratified("f0", "site")
    assert part.problems({"f0": 100, "site": 100}) == []
    assert part.problems({"f0": 101, "site": 100})[0][0] == ("factors",)
    assert part.strata(factors_of(patients(2, 30, (0.5, 0.5)))) == 6
