"""Values: what is known of a clock, and of how late a message came."""

from __future__ import annotations

import ipcpy as ipc


def test_a_clock_unpacks_as_offset_bound_and_age():
    offset, bound, age = ipc.Clock(3600.0, 0.0001, 0.05, 1e-4)
    assert (offset, bound, age) == (3600.0, 0.0001, 0.05)


def test_a_delay_unpacks_as_seconds_and_bound():
    seconds, bound = ipc.Delay(0.0012, 0.0001)
    assert (seconds, bound) == (0.0012, 0.0001)
