"""A fixed design."""

import pytest

from sps_adaptive.schedules import NoLooks


def test_there_is_no_look_and_nothing_wrong_with_that():
    schedule = NoLooks(kind="none")
    assert schedule.n_looks(2) == schedule.n_looks(100_000) == 0
    assert schedule.problems(60) == []
    with pytest.raises(IndexError):
        schedule.day(0, None, None, None)
