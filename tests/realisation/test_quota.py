"""Quotas: whole numbers exactly, others rounded at random and right on average."""

import numpy as np
import pytest

from sps_adaptive.allocation import Equal
from sps_adaptive.realisation import Quota
from tests.realisation.helpers import counts, dealt, patients


def test_whole_quotas_are_exact_in_every_block():
    arm = dealt(Quota(kind="quota", block=8), patients(300, 24), (0.5, 0.25, 0.25))
    for first in (0, 8, 16):
        assert (counts(arm[:, first : first + 8], 3) == (4, 2, 2)).all()


def test_other_quotas_are_rounded_up_or_down_and_right_on_average():
    found = counts(dealt(Quota(kind="quota", block=5), patients(20_000, 5), (0.5, 0.3, 0.2)), 3)
    assert set(map(tuple, found.tolist())) == {(2, 2, 1), (3, 1, 1)}
    np.testing.assert_allclose(found.mean(axis=0), (2.5, 1.5, 1), atol=4 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize("word", ["quota", "permuted_block", "independent", "urn"])
def test_a_word_stands_for_a_section_with_its_defaults(word):
    by_word, by_section = Equal(kind="equal", realisation=word), Equal(kind="equal", realisation={"kind": word})
    cohort = patients(50, 20)
    start, nothing, pi = np.zeros(50, np.int64), np.zeros((50, 3)), np.full((50, 3), 1 / 3)
    one, other = (
        rule.dealer(3, {"site": 3}).deal(np.zeros((50, 20), np.int8), pi, cohort, start, nothing)
        for rule in (by_word, by_section)
    )
    np.testing.assert_array_equal(one, other)
    assert by_word.block_length(3) == by_section.block_length(3)


def test_a_block_length_may_stand_in_the_section_or_beside_a_word_and_not_in_both():
    assert Equal(kind="equal", realisation={"kind": "quota", "block": 9}).block_length(3) == 9
    assert Equal(kind="equal", block=9).block_length(3) == 9
    twice = Equal(kind="equal", realisation={"kind": "quota", "block": 9}, block=9)
    assert [path for path, _, _ in twice.realisation_problems({"site": 1})] == [("block",)]
    without = Equal(kind="equal", realisation="urn", block=9)
    assert "urn has no randomisation blocks" in without.realisation_problems({"site": 1})[0][1]
