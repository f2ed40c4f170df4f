"""What a user's timeout may be."""

from __future__ import annotations

import numpy as np
import pytest

from ipcpy import ArgumentError
from ipcpy.timeouts import FOR_EVER, NEVER, seconds


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(None, None), (0, 0.0), (-1, 0.0), (0.5, 0.5), (FOR_EVER, FOR_EVER), (FOR_EVER + 1, None), (NEVER, None)],
)
def test_a_time_to_wait(timeout, expected):
    assert seconds(timeout) == expected


def test_numbers_of_other_kinds_are_numbers_too():
    assert seconds(np.float32(0.5)) == 0.5
    assert seconds("0.5") == 0.5


@pytest.mark.parametrize("timeout", [float("nan"), "soon", [], object()])
def test_what_is_no_time_is_refused(timeout):
    with pytest.raises(ArgumentError, match="timeout is a time in seconds"):
        seconds(timeout)
