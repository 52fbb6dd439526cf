"""Minimisation: worked by hand, bent towards balance, and better than strata where there are many."""

import numpy as np
import pytest

from sps_adaptive.realisation import Independent, Minimisation, Quota, Stratified
from tests.realisation.helpers import counts, dealt, patients

REPLICATES = 40_000


def minimisation(*factors, **given):
    return Minimisation(kind="minimisation", factors=list(factors), **given)


def next_patient(earlier, arms, new, pi, part, replicates=REPLICATES):
    """How often each arm is the next patient's, after earlier patients with these levels on these arms."""
    cohort = patients(replicates, len(arms) + 1, *[(1.0,)] * len(new))
    strata = np.array([*earlier, new], np.int16)
    cohort = cohort._replace(strata=np.broadcast_to(strata, (replicates, *strata.shape)))
    before = np.broadcast_to(np.array([*arms, 0], np.int8), (replicates, len(arms) + 1)).copy()
    factors = {f"f{i}": int(strata[:, i].max()) + 1 for i in range(len(new))} | {"site": 3}
    pi = np.broadcast_to(np.array(pi, float), (replicates, len(pi))).copy()
    start = np.full(replicates, len(arms))
    arm = part.dealer(6, factors).deal(before, pi, cohort, start, np.zeros(pi.shape))
    np.testing.assert_array_equal(arm[:, :-1], before[:, :-1])
    return counts(arm[:, -1:], pi.shape[1]).mean(axis=0)


def about(expected):
    return pytest.approx(expected, abs=4.5 * 0.5 / np.sqrt(REPLICATES))


EARLIER = [(0, 0), (0, 1), (1, 1), (0, 1), (1, 0)]
ARMS = [0, 0, 1, 1, 2]
"""Level 0 of the first factor: 2, 1, 0 patients on the three arms; level 1 of the second: 1, 2, 0."""


def test_an_example_by_hand():
    """A patient with levels 0 and 1. On arm 0 the ranges were 3 and 2, on arm 1 they were 2 and 3, on arm 2 1 and 1."""
    equal = (1 / 3, 1 / 3, 1 / 3)
    found = next_patient(EARLIER, ARMS, (0, 1), equal, minimisation("f0", "f1", probability=0.8))
    assert found == about([0.1, 0.1, 0.8])
    bent = np.exp(-0.5 * np.array([5, 5, 2]))
    found = next_patient(EARLIER, ARMS, (0, 1), equal, minimisation("f0", "f1", sharpness=0.5))
    assert found == about(bent / bent.sum())
    # With 0.3 for the second factor: 3.6, 2.9 and 1.3. Variances: of (3, 1, 0), (2, 2, 0), (2, 1, 1) and so on.
    bent = np.exp(-0.5 * np.array([3.6, 2.9, 1.3]))
    found = next_patient(EARLIER, ARMS, (0, 1), equal, minimisation("f0", "f1", sharpness=0.5, weights={"f1": 0.3}))
    assert found == about(bent / bent.sum())
    bent = np.exp(-0.5 * np.array([7 / 3 + 4 / 3, 4 / 3 + 7 / 3, 1 / 3 + 1 / 3]))
    found = next_patient(EARLIER, ARMS, (0, 1), equal, minimisation("f0", "f1", sharpness=0.5, imbalance="variance"))
    assert found == about(bent / bent.sum())


def test_of_several_best_arms_one_is_drawn_and_preferred():
    """Level 1 of the first factor and level 0 of the second: 0, 1, 1 and 1, 0, 1. Ranges 1 + 2, 2 + 1, 2 + 2."""
    found = next_patient(EARLIER, ARMS, (1, 0), (1 / 3,) * 3, minimisation("f0", "f1", probability=0.8))
    assert found == about([0.4 + 0.05, 0.4 + 0.05, 0.1])


def test_unequal_targets_are_balanced_in_their_ratio():
    """Two arms 2 : 1 with 2 and 1 patients of the level: (3/4) / (2/3) : ... arm 0 leaves 2.25 - 1.5, arm 1 3 - 1.5."""
    earlier, arms = [(0,), (0,), (0,)], [0, 0, 1]
    assert next_patient(earlier, arms, (0,), (2 / 3, 1 / 3), minimisation("f0", probability=1)) == about([1, 0])
    assert next_patient(earlier, [0, 0, 0], (0,), (2 / 3, 1 / 3), minimisation("f0", probability=1)) == about([0, 1])
    bent = np.array([2 / 3, 1 / 3]) * np.exp(-0.6 * np.array([0.75, 1.5]))
    found = next_patient(earlier, arms, (0,), (2 / 3, 1 / 3), minimisation("f0", sharpness=0.6))
    assert found == about(bent / bent.sum())


def test_the_others_share_in_the_ratio_of_their_probabilities_and_nobody_is_preferred_with_less_than_his_own():
    earlier, arms = [(0,), (0,), (0,), (0,)], [1, 1, 2, 2]
    assert next_patient(earlier, arms, (0,), (0.3, 0.5, 0.2), minimisation("f0")) == about(
        [0.8, 0.2 * 5 / 7, 0.2 * 2 / 7]
    )
    found = next_patient(earlier, arms, (0,), (0.9, 0.06, 0.04), minimisation("f0", probability=0.5))
    assert found == about([0.9, 0.06, 0.04])


def test_a_sharpness_of_nothing_is_independent_draws():
    cohort = patients(3000, 30, (0.5, 0.5))
    pi = np.random.default_rng(2).dirichlet((1, 1, 1), 3000)
    ours = dealt(minimisation("f0", sharpness=0), cohort, pi)
    np.testing.assert_array_equal(ours, dealt(Independent(kind="independent"), cohort, pi))


def test_closed_arms_get_nobody_and_do_not_count():
    cohort = patients(500, 40, (0.5, 0.5))
    for given in ({"probability": 0.7}, {"sharpness": 1}, {"sharpness": 1, "imbalance": "variance"}):
        arm = dealt(minimisation("f0", **given), cohort, (0.5, 0.25, 0.25))
        arm = dealt(minimisation("f0", **given), cohort, (0.5, 0.0, 0.5), start=20, arm=arm)
        assert (arm[:, 20:] != 1).all()
        arm = dealt(minimisation("f0", **given), cohort, (0.0, 0.0, 1.0), start=30, arm=arm)
        assert (arm[:, 30:] == 2).all()
    # As if arm 1 had never been: ranges between the open arms only.
    found = next_patient([(0,)] * 5, [1, 1, 1, 0, 0], (0,), (0.5, 0.0, 0.5), minimisation("f0", probability=1))
    assert found == about([0, 0, 1])


def margins(arm, strata, arms=2):
    """Mean over replicates of the largest difference of two arms in the patients of a level, averaged over levels."""
    found = []
    for factor in range(strata.shape[2]):
        for level in range(strata[:, :, factor].max() + 1):
            here = counts(np.where(strata[:, :, factor] == level, arm, -1), arms)
            found.append((here.max(axis=1) - here.min(axis=1)).mean())
    return float(np.mean(found))


def test_with_many_strata_minimisation_balances_what_stratified_blocks_do_not():
    """Pocock and Simon (1975): 48 strata for 50 patients are as good as none; with four strata both balance."""
    many = patients(3000, 50, (0.5, 0.5), (0.5, 0.5), (0.3, 0.3, 0.4), (0.25, 0.25, 0.25, 0.25))
    names, equal = ["f0", "f1", "f2", "f3"], (0.5, 0.5)
    none = margins(dealt(Independent(kind="independent"), many, equal), many.strata)
    strata = margins(dealt(Stratified(kind="stratified", factors=names, block=4), many, equal), many.strata)
    minimal = margins(dealt(minimisation(*names, probability=0.8), many, equal), many.strata)
    strict = margins(dealt(minimisation(*names, probability=1), many, equal), many.strata)
    assert strict < minimal < 0.6 * strata and 0.6 * none < strata < none
    few = patients(3000, 50, (0.5, 0.5), (0.5, 0.5))
    by_strata = margins(dealt(Stratified(kind="stratified", factors=["f0", "f1"], block=4), few, equal), few.strata)
    assert by_strata < 0.4 * margins(dealt(Independent(kind="independent"), few, equal), few.strata)


def test_the_balance_is_over_all_patients_of_the_trial_not_only_those_since_a_look():
    cohort = patients(2000, 60, (0.5, 0.5), (0.4, 0.6))
    one = dealt(minimisation("f0", "f1", probability=0.9), cohort, (0.5, 0.5))
    cut = one
    for start in range(7, 60, 7):
        cut = dealt(minimisation("f0", "f1", probability=0.9), cohort, (0.5, 0.5), start=start, arm=cut)
    np.testing.assert_array_equal(cut, one)


@pytest.mark.parametrize("given", [{"probability": 0.8}, {"sharpness": 0.3}])
def test_new_targets_are_sought_for_the_whole_trial_and_not_only_for_those_who_come_now(given):
    """24 patients equally and 24 at 1 : 3 are promised 18 and 30; the ratio of today over all 48 is 12 and 36."""
    cohort = patients(2000, 48, (0.5, 0.5))
    arm = dealt(minimisation("f0", **given), cohort, (0.5, 0.5))
    arm = dealt(minimisation("f0", **given), cohort, (0.25, 0.75), start=24, arm=arm)
    mean = counts(arm, 2)[:, 1].mean()
    assert 31 < mean < 36  # with 0.8 at most 12 + 24 * 0.8 can be on it; standard error 0.05
    quotas = dealt(
        Quota(kind="quota", block=4), cohort, (0.25, 0.75), start=24, arm=np.tile(np.array((0, 1), np.int8), (2000, 24))
    )
    assert (counts(quotas, 2)[:, 1] == 30).all()


def test_mistakes_are_told():
    factors = {"age": 2, "site": 4}
    assert minimisation("age", "site").problems(factors) == []
    found = minimisation("sex", "age", "age", weights={"site": 2}, probability=0.9, sharpness=1).problems(factors)
    assert [path for path, _, _ in found] == [("factors", 0), ("factors", 2), ("weights", "site"), ("sharpness",)]
    assert minimisation("sex").problems({"site": 1})[0][2] == "state it there; or site"
