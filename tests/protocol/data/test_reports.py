"""Bodies of reports: read as built, wrong lengths rejected, ranges clipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.reports import (
    MAX_RANGES,
    Report,
    missing_between,
    pack_missing,
    pack_report,
    unpack_missing,
    unpack_report,
)
from ipcpy.protocol.wire import Malformed

ranges = st.lists(st.tuples(st.integers(0, (1 << 63)), st.integers(1, (1 << 32) - 1)), max_size=MAX_RANGES)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1), ranges)
def test_a_report_is_read_as_it_was_built(next_seq: int, window: int, pairs: list[tuple[int, int]]) -> None:
    missing = tuple((start, start + count) for start, count in pairs)
    assert unpack_report(pack_report(next_seq, window, missing)) == Report(next_seq, window, missing)


def test_a_giant_range_is_cut_short() -> None:
    assert unpack_report(pack_report(1, 1 << 40, [(1, 1 << 60)])) == Report(1, (1 << 32) - 1, ((1, 1 << 32),))


@pytest.mark.parametrize("length", [0, 1, 11, 13, 23, 25, 12 + 65 * 12])
def test_a_report_of_wrong_length_is_rejected(length: int) -> None:
    with pytest.raises(Malformed):
        unpack_report(bytes(length))


@given(st.integers(0, (1 << 32) - 1), st.binary(min_size=1, max_size=100))
def test_a_missing_is_read_as_it_was_built(first: int, bitmap: bytes) -> None:
    assert unpack_missing(pack_missing(first, bitmap)) == (first, bitmap)


@pytest.mark.parametrize("length", range(5))
def test_a_missing_without_a_bitmap_is_rejected(length: int) -> None:
    with pytest.raises(Malformed):
        unpack_missing(bytes(length))


@given(st.integers(0, 30), st.integers(0, 30), st.sets(st.integers(0, 40)))
def test_what_is_left_out(start: int, stop: int, here: set[int]) -> None:
    missing = missing_between(start, stop, here, 100)
    assert [n for a, b in missing for n in range(a, b)] == [n for n in range(start, stop) if n not in here]
    assert missing_between(start, stop, here, 2) == missing[:2]
