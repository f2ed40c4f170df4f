"""Large messages: any order, loss and refill, contradictions, and what a hostile publisher can cost."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol import wire
from ipcpy.protocol.data.fragments import (
    MAX_FRAGMENTS,
    MAX_PARTIALS,
    RENEW,
    REPORT_BYTES,
    Assembly,
    Outgoing,
    Partial,
)
from ipcpy.protocol.data.heads import Place, Run, pack_fragment, unpack_fragment


def place(total: int, size: int, seq: int = 1, sent_ns: int = 5) -> Place:
    return Place(7, seq, sent_ns, 0, total, size)


def run(where: Place, number: int, *parts: memoryview) -> Run:
    return Run(where, number, parts)


def outgoing(body: bytes, size: int, seq: int = 1) -> Outgoing:
    return Outgoing(place(len(body), size, seq), [memoryview(body)])


def fragment(message: Outgoing, index: int) -> Run:
    (frame,) = wire.frames(b"".join(message.fragments(range(index, index + 1))[0]))
    return unpack_fragment(frame)


bodies = st.binary(min_size=1, max_size=500)


@given(bodies, st.integers(1, 60), st.randoms(use_true_random=False))
def test_fragments_in_any_order_with_copies_give_the_message(body: bytes, size: int, random_: random.Random) -> None:
    message = outgoing(body, size)
    order = list(range(message.count)) + random_.choices(range(message.count), k=3)
    random_.shuffle(order)
    partial = Partial(message.place, 0.0)
    for index in order:
        partial.add(fragment(message, index), 0.0)
    assert partial.complete
    assert partial.buffer == body


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20), st.integers(1, 70))
def test_parts_are_sliced_where_fragments_end(parts: list[bytes], size: int) -> None:
    body = b"".join(parts)
    if not body:
        return
    message = Outgoing(place(len(body), size), [memoryview(part) for part in parts])
    partial = Partial(message.place, 0.0)
    for index in range(message.count):
        data = b"".join(message.fragments(range(index, index + 1))[0])
        assert len(data) <= message.datagram
        partial.add(fragment(message, index), 0.0)
    assert partial.buffer == body


@given(bodies, st.integers(1, 60), st.randoms(use_true_random=False))
def test_what_is_missing_is_asked_for_and_nothing_else(body: bytes, size: int, random_: random.Random) -> None:
    message = outgoing(body, size)
    message.next = message.count
    lost = {index for index in range(message.count) if random_.random() < 0.3} or {0}
    partial = Partial(message.place, 0.0)
    for index in range(message.count):
        if index not in lost:
            partial.add(fragment(message, index), 0.0)
    assert message.ask(*partial.missing())
    assert message.resend == sorted(lost)
    for index in message.resend:
        partial.add(fragment(message, index), 0.0)
    assert partial.buffer == body


def test_more_missing_than_one_report_holds_takes_several() -> None:
    message = outgoing(bytes(20_000), 1)
    message.next = message.count
    partial = Partial(message.place, 0.0)
    rounds = 0
    while not partial.complete:
        first, bitmap = partial.missing()
        assert len(bitmap) <= REPORT_BYTES
        message.ask(first, bitmap)
        for index in message.resend:
            partial.add(fragment(message, index), 0.0)
        rounds += 1
    assert rounds == 3  # 8,192 fragments each


@given(st.integers(0, 1 << 32), st.binary(max_size=2_000))
def test_a_wild_bitmap_asks_only_for_what_was_sent(first: int, bitmap: bytes) -> None:
    message = outgoing(bytes(1_000), 10)
    message.next = 50
    message.ask(first, bitmap)
    assert all(0 <= index < 50 for index in message.resend)


def test_what_was_sent_after_the_position_of_a_report_is_on_its_way() -> None:
    message = outgoing(bytes(100), 10)
    message.next = 10
    for index in range(10):
        message.sent_at[index] = 100 * (index + 1)
    assert message.ask(0, b"\xff\xff", 450)
    assert message.resend == [0, 1, 2, 3]
    assert not message.ask(0, b"\xff\xff", 50)


def test_a_message_sent_before_sends_only_what_is_asked_for() -> None:
    body = memoryview(bytes(100))
    message = Outgoing(place(100, 10), [body], sent_before=True)
    assert message.done
    message.ask(2, b"\x05", 0)
    assert message.resend == [2, 4]


# -- what a publisher may do wrong -------------------------------------------------------------------------------------


def test_the_first_fragment_fixes_what_the_message_is() -> None:
    assembly = Assembly()
    assert assembly.add(run(place(100, 10), 0, memoryview(bytes(10))), 0.0)
    for other in (place(200, 10), place(100, 20), place(100, 10, sent_ns=6)):
        assert assembly.add(run(other, 1, memoryview(bytes(other.size))), 0.0) is None
    assert assembly.add(run(place(100, 10), 1, memoryview(bytes(10))), 0.0)


def test_a_message_comes_anew_in_other_fragments_once_nothing_more_came_of_the_old() -> None:
    assembly = Assembly()
    assembly.add(run(place(100, 10), 0, memoryview(bytes(10))), 0.0)
    renewed = assembly.add(run(place(100, 50), 1, memoryview(bytes(50))), RENEW + 0.01)
    assert renewed is not None and not renewed.complete
    assert assembly.add(run(place(100, 50), 0, memoryview(bytes(50))), RENEW + 0.01) is renewed
    assert renewed.complete


def test_copies_are_told_apart() -> None:
    assembly = Assembly()
    part = run(place(100, 10), 3, memoryview(bytes(10)))
    assert assembly.add(part, 0.0) is not None
    assert assembly.add(part, 0.0) is None


@pytest.mark.parametrize(("total", "size"), [(64 << 20 | 1, 1_428), ((1 << 32) - 1, 65_000), (MAX_FRAGMENTS + 1, 1)])
def test_too_large_a_message_is_not_taken(total: int, size: int) -> None:
    assert Assembly().too_large(place(total, size))


def test_the_largest_messages_are_taken() -> None:
    assert not Assembly().too_large(place(64 << 20, 512))
    assert not Assembly().too_large(place(MAX_FRAGMENTS, 1))


def test_100_000_forged_first_fragments_cost_little_memory_and_time() -> None:
    assembly = Assembly()
    data = memoryview(bytes(64))
    tracemalloc.start()
    begin = time.process_time()
    for seq in range(1, 100_001):
        assembly.add(run(place(1 << 20, 64, seq), 0, data), 0.0)
        assembly.evicted.clear()
    elapsed = time.process_time() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(assembly) == MAX_PARTIALS
    assert peak < 4 << 20
    assert elapsed < 30  # several times what it takes, for AddressSanitizer


def test_declared_lengths_are_not_allocated() -> None:
    assembly = Assembly()
    tracemalloc.start()
    for seq in (1, 2):
        assembly.add(run(place(64 << 20, 1_428, seq), 0, memoryview(bytes(1_428))), 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_forged_last_fragments_are_bounded() -> None:
    assembly = Assembly(max_message=1 << 20)
    last = (1 << 20) // 1_024 - 1
    for seq in range(1, 100):
        assembly.add(run(place(1 << 20, 1_024, seq), last, memoryview(bytes(1_024))), 0.0)
        assert sum(len(partial.buffer) for partial in assembly) <= 2 << 20
    assert len(assembly) == 2


def test_best_effort_gives_up_the_oldest_and_says_so() -> None:
    assembly = Assembly(max_message=1_000)
    for seq in (1, 2, 3):
        assembly.add(run(place(1_000, 10, seq), 0, memoryview(bytes(10))), 0.0)
    assert sorted(partial.place.seq for partial in assembly) == [2, 3]
    assert assembly.evicted == [1]


def test_reliable_keeps_the_lowest() -> None:
    assembly = Assembly(max_message=1_000)
    for seq in (5, 6):
        assembly.add(run(place(1_000, 10, seq), 0, memoryview(bytes(10))), 0.0, keep_lowest=True)
    assert assembly.add(run(place(1_000, 10, 7), 0, memoryview(bytes(10))), 0.0, keep_lowest=True) is None
    assert assembly.add(run(place(1_000, 10, 4), 0, memoryview(bytes(10))), 0.0, keep_lowest=True)
    assert sorted(partial.place.seq for partial in assembly) == [4, 5]


def test_a_message_that_waits_for_its_turn_stays_fresh() -> None:
    assembly = Assembly()
    assembly.add(run(place(100, 10, 1), 0, memoryview(bytes(10))), 0.0)
    assembly.add(run(place(100, 10, 2), 0, memoryview(bytes(10))), 0.0)
    assembly.add(run(place(100, 10, 1), 1, memoryview(bytes(10))), 5.0)
    assert [partial.touched for partial in assembly] == [5.0, 5.0]
    assembly.add(run(place(100, 10, 2), 1, memoryview(bytes(10))), 6.0)
    assert [partial.touched for partial in assembly] == [5.0, 6.0]


@given(bodies, st.integers(1, 60), st.lists(st.integers(0, 500), max_size=4), st.data())
def test_fragments_made_together_are_those_made_one_by_one(
    body: bytes, size: int, cuts: list[int], data: st.DataObject
) -> None:
    ends = sorted({cut for cut in cuts if 0 < cut < len(body)} | {len(body)})
    parts = [memoryview(body)[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    message = Outgoing(place(len(body), size), parts)
    first = data.draw(st.integers(0, message.count - 1))
    stop = data.draw(st.integers(first + 1, message.count))
    unchecked = Outgoing(message.place._replace(codec=wire.UNCHECKED), parts)
    laid = unchecked.laid(range(first, stop))
    in_one_part = not any(first * size < end < min(stop * size, len(body)) for end in ends)
    assert (laid is not None) == in_one_part
    if laid is not None:
        heads, here = laid
        assert here == body[first * size : stop * size]
        assert heads == b"".join(bytes(each[0]) for each in unchecked.fragments(range(first, stop)))
    assert message.laid(range(first, stop)) is None and unchecked.laid([first]) is None
    stretch = message.stretch(first, stop)
    ends_here = [end for end in (*ends, len(body)) if first * size < end < min(stop * size, len(body))]
    reach = ends_here[0] // size * size if ends_here else min(stop * size, len(body))
    assert stretch == body[first * size : max(reach, first * size)]
    for indexes in (range(first, stop), list(range(first, stop))):
        found = [b"".join(each) for each in message.fragments(indexes)]
        assert found == [
            pack_fragment(message.place, index * size, [memoryview(data)]) + data
            for index in range(first, stop)
            for data in (body[index * size : (index + 1) * size],)
        ]


def due(partial: Partial, limit: int) -> tuple[int, list[memoryview]]:
    first, count = partial.span(limit)
    return first, partial.places(first, count)


def test_places_that_are_due_follow_what_came_last_and_end_with_the_buffer() -> None:
    partial = Partial(place(100, 10), 0.0)
    message = outgoing(bytes(range(100)), 10)
    assert partial.add(fragment(message, 0), 0.0)
    number, places = due(partial, 5)
    assert number == 1 and list(map(len, places)) == [10]  # no more than twice what has come
    places.clear()
    partial.add(fragment(message, 7), 0.0)
    assert partial.span(5) == (8, 2)
    partial.add(fragment(message, 8), 0.0)
    partial.add(fragment(message, 9), 0.0)
    number, places = due(partial, 5)
    assert number == 1 and len(places) == 5
    for index, each in enumerate(places, number):
        each[:] = bytes(range(10 * index, 10 * index + 10))
    assert places[0].obj is partial.buffer
    places.clear()
    assert not partial.add(Run(partial.place, 1, (), 5, bytearray(100)), 0.0)  # they are in place, but elsewhere
    placed = Run(partial.place, 1, (), 5, partial.buffer)
    assert partial.add(placed, 0.0) and not partial.add(placed, 0.0)
    assert partial.span(5) == (6, 1)
    partial.add(fragment(message, 6), 0.0)
    assert partial.complete and partial.buffer == bytes(range(100)) and partial.span(5) == (0, 0)


def test_the_last_place_due_is_as_short_as_its_fragment() -> None:
    partial = Partial(place(25, 10), 0.0, bytearray(25))
    number, places = due(partial, 9)
    assert (number, list(map(len, places))) == (0, [10, 10, 5])


# -- buffers that are used again ---------------------------------------------------------------------------------------


def put_together(assembly: Assembly, seq: int, total: int = 100_000) -> bytearray:
    """Have a message put together and dropped, as the receiver does once it is complete; return its buffer."""
    body = memoryview(bytes([seq]) * total)
    partial = assembly.add(run(place(total, 50_000, seq), 0, body[:50_000], body[50_000:]), 0.0)
    assert partial is not None and partial.complete
    assembly.drop(seq)
    return partial.buffer


def test_a_buffer_that_nobody_holds_is_used_again() -> None:
    assembly = Assembly()
    put_together(assembly, 1)
    assert assembly.spares.take(100_000) == bytes([1]) * 100_000, "what was in it when it was let go"


def test_a_buffer_that_a_user_holds_is_left_alone() -> None:
    assembly = Assembly()
    held = put_together(assembly, 1)
    view = memoryview(put_together(assembly, 2))  # a view holds a buffer just as well
    for seq in range(3, 10):
        put_together(assembly, seq)
    assert held == bytes([1]) * 100_000 and view == bytes([2]) * 100_000
