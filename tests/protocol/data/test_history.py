"""What a publisher keeps: by count, by bytes, and looked up however far the question lies outside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.history import History, Kept
from ipcpy.protocol.wire import OVERHEAD


def filled(count: int, max_bytes: int, sizes: list[int], first: int = 1) -> History:
    history = History(count, max_bytes, first)
    for seq, size in enumerate(sizes, first):
        history.add(Kept(seq, 0, b"", (), size))
    return history


@given(st.integers(1, 20), st.integers(1, 200), st.lists(st.integers(0, 60), max_size=50), st.integers(0, 60))
def test_bounds_hold_and_the_newest_stay(count: int, max_bytes: int, sizes: list[int], more: int) -> None:
    history = filled(count, max_bytes, sizes, 100)
    kept = list(history.between(0, 1 << 64))
    assert [message.seq for message in kept] == list(range(history.lowest_kept(history.next), history.next))
    assert len(kept) <= count
    assert len(kept) <= 1 or sum(message.size for message in kept) <= max_bytes
    assert history.next == 100 + len(sizes)
    expected = history.lowest_kept_after(more)
    history.add(Kept(history.next, 0, b"", (), more))
    assert history.lowest_kept(0) == expected


def test_an_empty_history() -> None:
    history = History(5, 100, 7)
    assert (len(history), history.lowest_kept(9), history.next) == (0, 9, 7)
    assert list(history.between(0, 1 << 64)) == []


def test_one_message_is_kept_whatever_its_size() -> None:
    assert len(filled(10, 100, [1, 5_000])) == 1


def test_giant_ranges_are_clamped_before_any_loop() -> None:
    history = filled(10, 1_000, [1] * 5, 1 << 63)
    assert [m.seq - (1 << 63) for m in history.between(0, 1 << 64)] == [0, 1, 2, 3, 4]
    assert [m.seq - (1 << 63) for m in history.between((1 << 63) + 3, 1 << 90)] == [3, 4]
    assert list(history.between(1 << 64, 0)) == []
    assert list(history.between(0, 5)) == []


def test_a_number_that_is_skipped_to_comes_next_and_nothing_before_it_is_kept() -> None:
    history = filled(5, 1_000, [10, 10, 10])
    history.skip(40)
    assert (len(history), history.next, history.lowest_kept(history.next)) == (0, 40, 40)
    assert history.spare(100, 20) == 10
    assert not list(history.between(1, 50))


def test_bytes_of_bodies_are_counted_without_what_frames_have_around_them() -> None:
    history = History(3, 1_000)
    for seq, size in ((1, 10), (2, 20), (3, 30)):
        history.add(Kept(seq, 0, b"frame", size=size + OVERHEAD))
    history.add(Kept(4, 0, b"", [memoryview(b"large")], 500))
    assert [history.bytes_from(start) for start in (1, 3, 4, 5)] == [550, 530, 500, 0]
