"""Independent draws: a binomial number on each arm."""

import numpy as np

from sps_adaptive.realisation import Independent
from tests.realisation.helpers import counts, dealt, patients


def test_the_number_on_an_arm_is_binomial():
    found = counts(dealt(Independent(kind="independent"), patients(20_000, 24), (1 / 3, 2 / 3)), 2)[:, 0]
    assert abs(found.mean() - 8) < 4 * 2.31 / np.sqrt(20_000)
    assert abs(found.std() - np.sqrt(24 * 2 / 9)) < 4 * 2.31 / np.sqrt(2 * 20_000)


def test_nothing_is_balanced_and_there_is_no_block():
    part = Independent(kind="independent")
    assert part.block_length(6) == 0 and part.balances() == () and part.remembers == ""
