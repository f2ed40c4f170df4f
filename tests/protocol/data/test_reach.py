"""Numbers that a publisher can have come to, and others."""

from __future__ import annotations

import pytest

from ipcpy.protocol.data.reach import RATE, Reach


@pytest.mark.parametrize("first", [1, 1 << 32, 1 << 63])
def test_a_publisher_comes_as_far_as_its_time_allows(first: int) -> None:
    reach = Reach()
    assert reach.holds((1 << 64) - 1, 5.0), "before the START nothing is known"
    reach.start(first, 10.0)
    assert reach.holds(1, 10.0) and reach.holds(first + RATE, 10.0)
    assert not reach.holds(first + RATE + 1, 10.0)
    assert reach.holds(first + 11 * RATE, 20.0) and not reach.holds(first + 11 * RATE + 1, 20.0)


def test_a_later_start_is_no_leave_to_jump() -> None:
    reach = Reach()
    reach.start(1, 0.0)
    reach.start(1 << 40, 0.0)
    assert not reach.holds(1 << 40, 0.0)
