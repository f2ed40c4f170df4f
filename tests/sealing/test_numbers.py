"""sealing.numbers: no number is ever handed out twice."""

from __future__ import annotations

import sys
import threading

import pytest

from ipcpy.fast import compiled
from ipcpy.sealing import numbers
from ipcpy.sealing.datagram import COUNT_BITS, LAST_COUNT
from ipcpy.sealing.numbers import CLOSED, Exhausted, Locked, Stream, Streams


def test_streams_differ_and_begin_with_one():
    streams = Streams()
    first, second = streams.take(), streams.take()
    assert [next(first.numbers), next(first.numbers)] == [1, 2]
    assert next(second.numbers) == 1 << COUNT_BITS | 1
    assert (first.last, second.last) == (LAST_COUNT, 1 << COUNT_BITS | LAST_COUNT)


def test_a_stream_that_was_given_back_goes_on_where_it_was():
    streams = Streams()
    stream = streams.take()
    next(stream.numbers)
    streams.give_back(stream)
    again = streams.take()
    assert again is stream and next(again.numbers) == 2
    assert streams.take() is not stream


def test_streams_that_are_used_up_are_an_error_and_never_begin_again(monkeypatch):
    monkeypatch.setattr(numbers, "STREAMS", 2)
    streams = Streams()
    streams.take(), streams.take()
    for _ in range(2):
        with pytest.raises(Exhausted, match="used up"):
            streams.take()


def test_what_is_closed_has_no_numbers():
    for _ in range(2):
        with pytest.raises(OSError, match="closed"):
            next(CLOSED.numbers)
    assert iter(CLOSED.numbers) is CLOSED.numbers


@pytest.mark.parametrize("gil", [True, False])
def test_threads_never_get_the_same_number(monkeypatch, gil):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: gil, raising=False)
    stream = Stream(3)
    assert isinstance(stream.numbers, Locked) is not gil and iter(stream.numbers) is stream.numbers
    each: list[list[int]] = [[] for _ in range(4)]

    def draw(into: list[int]) -> None:
        into += [next(stream.numbers) for _ in range(5_000)]

    threads = [threading.Thread(target=draw, args=(into,)) for into in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = sorted(sum(each, []))
    assert drawn == list(range(3 << COUNT_BITS | 1, (3 << COUNT_BITS | 1) + 20_000))


@pytest.mark.skipif(compiled is None, reason="ipcpy runs without its compiled part")
def test_numbers_of_the_compiled_part_count_up_and_end_with_64_bits():
    assert compiled is not None
    drawn = compiled.Numbers((1 << 64) - 3)
    assert iter(drawn) is drawn and [next(drawn), next(drawn)] == [(1 << 64) - 3, (1 << 64) - 2]
    for _ in range(2):
        with pytest.raises(OverflowError, match="no more numbers"):
            next(drawn)
    for first in (-1, 1 << 64):
        with pytest.raises(OverflowError):
            compiled.Numbers(first)
    with pytest.raises(TypeError):
        compiled.Numbers(1.0)
