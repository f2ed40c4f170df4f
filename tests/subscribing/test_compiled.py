"""The compiled part takes datagrams as its twins do: the same messages, counts, errors and states, whatever comes.

Where it was not compiled, both ways are one, and these tests are true of that.
"""

from __future__ import annotations

import gc
import inspect
import threading
import time
import weakref
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways import BothWays
from ipcpy import Node, Publisher, Subscriber
from ipcpy.codec import MsgLibrary
from ipcpy.errors import CodecError
from ipcpy.protocol.data.batch import pack_batch
from ipcpy.protocol.wire import DATA_WORD, FAST_HEADER, HEADER_SIZE, UNCHECKED, Kind, pack_frame
from ipcpy.subscribing.latencies import BEHIND, ask
from receiving import HERE, THERE, Side

P, Q, R, S = 0xA1, 0xB2, 0xC3, 1 << 63 | 5
ELSEWHERE = ("10.0.0.8", 5_001)
Point = namedtuple("Point", "n x y")
LIBRARY = MsgLibrary({7: ("<q2d", Point), 8: ("<2f", tuple), 9: (">h", int)})
BODIES = [LIBRARY.pack(7, (1, 2.5, -0.0)), LIBRARY.pack(8, (1, float("nan"))), LIBRARY.pack(9, 5)]
CODECS = {"raw": 0, "struct": 1, "msgpack": 2}


class Picky:
    """A codec that refuses what begins with a letter, each in its way."""

    name = "picky"
    schema: dict[str, Any] = {}

    def encode(self, data: Any) -> bytes:
        raise NotImplementedError

    def decode(self, body: Any) -> Any:
        if body[:1] == b"v":
            raise ValueError(bytes(body))
        if body[:1] == b"c":
            raise CodecError("c")
        if body[:1] == b"k":
            raise KeyboardInterrupt
        if body[:1] == b"a":
            raise TimeoutError("an alarm")
        return len(body)


def side() -> Side:
    """Return a subscriber of four publishers: two of this host, one elsewhere that is reliable, one of a codec."""
    made = Side(depth=5)
    made.match(P)
    made.match(Q, codec="struct", schema=LIBRARY.schema)
    made.match(R, address=THERE, reliable=True, codec="struct", schema=LIBRARY.schema)
    made.match(S, first=3)
    made.inbound.flows[S].decode = Picky().decode
    return made


def unchecked(number: int, seq: int, body: bytes, sent_ns: int, codec: int = 0) -> bytes:
    """Build a DATA frame without a check."""
    return FAST_HEADER.pack(DATA_WORD | (HEADER_SIZE + len(body)), UNCHECKED | codec, number, seq, sent_ns) + body


NUMBERS = st.sampled_from([P, Q, R, S, 99])
STEPS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, -1, -2, 1 << 62, 1 << 64])
TIMES = st.sampled_from([0, 1, -1, BEHIND + 1, 1_000_000_000, -(1 << 62), -(1 << 63), -(1 << 64) + 2_000_000_000])
SMALL = st.one_of(st.sampled_from([b"", b"v", b"c", b"k", b"a", b"large", *BODIES]), st.binary(max_size=40))
ADDRESSES = st.sampled_from([None, None, None, None, HERE, THERE, ELSEWHERE])
CHANGES = st.one_of(
    st.just(("whole",)),
    st.just(("whole",)),
    st.just(("whole",)),
    st.tuples(st.just("flip"), st.integers(0, 10_000)),
    st.tuples(st.just("cut"), st.integers(0, 60)),
    st.tuples(st.just("longer"), st.binary(min_size=1, max_size=40)),
    st.just(("twice",)),
)
MESSAGES = st.tuples(
    st.just("message"), NUMBERS, STEPS, TIMES, SMALL, st.booleans(), st.sampled_from([None, None, None, 0, 1, 5]),
    CHANGES, ADDRESSES,
)  # fmt: skip
BATCHES = st.one_of(
    st.lists(SMALL, min_size=1, max_size=4),
    st.builds(lambda body, count: [body] * count, SMALL, st.sampled_from([1, 2, 4, 9, 100])),
)
OTHERS = st.one_of(
    st.tuples(st.just("kind"), st.sampled_from(list(Kind)), NUMBERS, STEPS, st.binary(max_size=40), ADDRESSES),
    st.tuples(st.just("batch"), NUMBERS, STEPS, BATCHES, CHANGES, ADDRESSES),
    st.tuples(
        st.just("merged"), st.lists(st.tuples(NUMBERS, STEPS, BATCHES), min_size=1, max_size=4), CHANGES, ADDRESSES
    ),
    st.tuples(st.just("bytes"), st.binary(max_size=80), st.sampled_from([HERE, THERE])),
    st.tuples(st.just("later"), st.sampled_from([1, BEHIND, 1_000_000_000])),
    st.tuples(st.just("read"), st.integers(1, 6)),
    st.just(("ask",)),
    st.just(("count",)),
    st.just(("timer",)),
    st.just(("multicast",)),
)


def _seq(side: Side, number: int, step: int) -> int:
    flow = side.inbound.flows.get(number)
    return max(0, min((flow.receiver.next if flow else 1) + step, (1 << 64) - 1))


def _address(number: int, address: Any) -> Any:
    return address or (THERE if number == R else HERE)


def _changed(data: bytes, change: Any) -> bytes:
    match change:
        case ("flip", bit):
            flipped = bytearray(data)
            flipped[bit // 8 % len(data)] ^= 1 << bit % 8
            return bytes(flipped)
        case ("cut", count):
            return data[: max(0, len(data) - count)]
        case ("longer", more):
            return data + more
        case ("twice",):
            return data + data
    return data


def _merged(side: Side, parts: list[tuple[int, int, list[bytes]]]) -> bytes:
    """Return frames laid end to end, each with the number that is due after those before it, but for its step."""
    due: dict[int, int] = {}
    found = b""
    for number, step, bodies in parts:
        seq = max(0, min(due.get(number, _seq(side, number, 0)) + step, (1 << 64) - 1))
        due[number] = seq + len(bodies)
        told = 1 if number in (Q, R) else 0
        if len(bodies) > 1:
            found += pack_batch(number, seq, side.wall_ns, told, bodies)
        else:
            found += pack_frame(Kind.DATA, number, seq, side.wall_ns, bodies[0], codec=told)
    return found


def _read(side: Side, count: int) -> None:
    for _ in range(min(count, len(side.inbox.messages))):
        side.inbox.messages.popleft()


def _do(both: BothWays, step: Any) -> None:
    first = both.sides[0]
    match step:
        case ("message", number, ahead, ago, body, check, codec, change, address):
            seq, sent_ns = _seq(first, number, ahead), max(0, min(first.wall_ns - ago, (1 << 64) - 1))
            told = (1 if number in (Q, R) else 0) if codec is None else codec
            body = bytes(9_000) if body == b"large" else body
            if check or number == R:
                data = pack_frame(Kind.DATA, number, seq, sent_ns, body, codec=told)
            else:
                data = unchecked(number, seq, body, sent_ns, told)
            both.take(_changed(data, change), _address(number, address))
        case ("kind", kind, number, ahead, body, address):
            frame = pack_frame(kind, number, _seq(first, number, ahead), first.wall_ns, body)
            both.take(frame, _address(number, address))
        case ("batch", number, ahead, bodies, change, address):
            told = 1 if number in (Q, R) else 0
            frame = pack_batch(number, _seq(first, number, ahead), first.wall_ns, told, bodies)
            both.take(_changed(frame, change), _address(number, address))
        case ("merged", parts, change, address):
            both.take(_changed(_merged(first, parts), change), _address(parts[0][0], address))
        case ("bytes", data, address):
            both.take(data, address)
        case ("later", ns):
            both.each(lambda side: setattr(side, "wall_ns", side.wall_ns + ns))
            both.each(lambda side: setattr(side, "now", side.now + ns / 1e9))
        case ("read", count):
            both.each(lambda side: _read(side, count))
        case ("ask",):
            both.each(lambda side: [ask(flow, side.wall_ns) for flow in side.inbound.flows.values()])
        case ("count",):
            both.count()
        case ("timer",):
            both.each(lambda side: side.inbound.handle_timer(side.now))
        case ("multicast",):
            both.each(lambda side: setattr(side.inbound.flows[P], "multicast", ELSEWHERE))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(MESSAGES, MESSAGES, OTHERS), max_size=30))
def test_whatever_comes_both_ways_take_it_the_same(steps):
    both = BothWays(side)
    for step in steps:
        _do(both, step)
        both.compare()


def test_what_is_usual_is_taken_in_c_where_that_is(monkeypatch):
    """Else the other tests would compare Python with Python."""
    from ipcpy.fast import COMPILED
    from ipcpy.subscribing.inbound import Inbound

    taken = []
    monkeypatch.setattr(Inbound, "take_any", lambda self, data, address: taken.append(data))
    one = Side()
    if COMPILED:
        monkeypatch.undo()
        one.match(P)
        one.match(R, address=THERE, reliable=True)
        monkeypatch.setattr(Inbound, "take_any", lambda self, data, address: taken.append(data))
    for seq in (1, 2, 3):
        one.inbound.take(unchecked(P, seq, b"x", one.wall_ns), HERE)
        one.inbound.take(pack_frame(Kind.DATA, R, seq, one.wall_ns, b"y"), THERE)
    assert len(one.messages()) == (6 if COMPILED else 0)
    if COMPILED:
        assert taken == []


@pytest.fixture
def node():
    with Node("n") as node:
        yield node


def test_recv_says_the_same_of_itself_whichever_it_is():
    twin = getattr(Subscriber, "_recv_any", Subscriber.recv)
    assert inspect.getdoc(Subscriber.recv) == inspect.getdoc(twin)
    assert [*inspect.signature(Subscriber.recv).parameters] == [*inspect.signature(twin).parameters]
    assert inspect.signature(Subscriber.recv).parameters["timeout"].default is None


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), ((20.0,), {}), ((20,), {}), ((), {"timeout": 20.0}), ((), {"timeout": None}), ((1e9,), {})],
)
def test_recv_takes_every_timeout_as_ever(node, given, named):
    publisher, subscriber = Publisher("t", node=node), Subscriber("t", node=node)
    publisher.wait_for_subscribers(timeout=20)
    for n in range(4):
        if n % 2:  # it comes while one waits
            threading.Timer(0.02, publisher.publish, [n]).start()
        else:
            publisher.publish(n)
        assert subscriber.recv(*given, **named).data == n
    assert subscriber.stats.received == 4 and subscriber.stats.lost == {} and subscriber.stats.unread == 0


@pytest.mark.parametrize(("given", "named"), [(("x",), {}), ((float("nan"),), {}), ((1, 2), {}), ((), {"time": 1})])
def test_recv_refuses_what_is_no_timeout(node, given, named):
    subscriber = Subscriber("t", node=node)
    with pytest.raises((TypeError, ValueError)):
        subscriber.recv(*given, **named)


@pytest.mark.parametrize("timeout", [0, 0.0, -1.0, 0.01, 1])
def test_recv_ends_in_time(node, timeout):
    subscriber = Subscriber("t", node=node)
    for _ in range(2):
        begin = time.monotonic()
        with pytest.raises(TimeoutError, match="no message on 't' within"):
            subscriber.recv(timeout)
        assert max(0, timeout) <= time.monotonic() - begin + 0.001 < 15


def test_every_message_is_counted_whichever_way_it_is_handed_over(node, wait_until):
    """Straight to who waits, by the inbox, by another thread that takes it, or by the I/O thread."""
    publisher, subscriber = Publisher("t", node=node), Subscriber("t", node=node, depth=3)
    publisher.wait_for_subscribers(timeout=20)
    assert [subscriber.recv(20).data for n in range(100) if publisher.publish(n)] == list(range(100))
    published = 100

    def all_arrived():
        stats = subscriber.stats
        return stats.received + sum(stats.lost.values()) == published

    for burst in (1, 3, 4, 7):
        for n in range(burst):
            publisher.publish(n)
        published += burst
        wait_until(all_arrived)  # the reader is away: the I/O thread empties the socket
        assert [subscriber.recv(20).data for _ in range(min(burst, 3))] == list(range(burst))[-3:]
    stats = subscriber.stats
    assert stats.received == 100 + 1 + 3 * 3 and stats.lost == {"inbox": 1 + 4}
    assert subscriber._subscription._inbox.unread(0) == (0, 0, 0.0)


@pytest.mark.parametrize("bounds", [{"depth": 1_000_000}, {"depth": 3, "depth_bytes": 1}])
def test_a_message_that_is_taken_at_once_needs_no_room(node, bounds):
    """However little an inbox has for each message; those that wait there give way as ever."""
    publisher, subscriber = Publisher("t", node=node), Subscriber("t", node=node, **bounds)
    publisher.wait_for_subscribers(timeout=20)
    texts = ["a" * (n % 7 * 100) for n in range(100)]
    assert [subscriber.recv(20).data for text in texts if publisher.publish(text)] == texts
    for text in ("b" * 300, "c" * 200):
        publisher.publish(text)
        while not subscriber._messages or subscriber._messages[-1].data != text:
            time.sleep(0.01)  # the reader is away: the I/O thread takes it
    kept = ["c" * 200] if "depth_bytes" in bounds else ["b" * 300, "c" * 200]
    assert [subscriber.recv(20).data for _ in kept] == kept
    publisher.publish("d" * 400)
    assert subscriber.recv(20).data == "d" * 400
    stats = subscriber.stats
    assert stats.received == 101 + len(kept) and stats.lost == ({"inbox": 1} if "depth_bytes" in bounds else {})


def test_numbers_up_to_the_last_one():
    """One above the last number is still a number of 64 bits; what follows that is none."""
    for last in ((1 << 64) - 3, (1 << 64) - 2, (1 << 64) - 1):
        both = BothWays(side)
        both.each(lambda side, last=last: setattr(side.inbound.flows[P].receiver, "next", last))
        for seq in (last, last + 1, last + 2):
            both.take(unchecked(P, seq & (1 << 64) - 1, b"x", 5), HERE)
            both.compare()


@pytest.mark.parametrize("field", ["receiver", "address", "unchecked", "codec_number", "fastest_ns", "bytes", "topic"])
@pytest.mark.parametrize("value", [None, "x", -1.5, 1 << 70, (), ("127.0.0.1", -1), ("127.0.0.1", 1 << 70)])
def test_a_field_of_a_type_that_nobody_expects_crashes_nothing(field, value):
    both = BothWays(side)
    both.each(lambda side: setattr(side.inbound.flows[P], field, value))
    both.take(unchecked(P, 1, b"x", 1_000_000_000), HERE)
    assert [len(side.inbox.messages) for side in both.sides] in ([0, 0], [1, 1])


def test_fields_that_are_not_there_are_missed_as_ever():
    one = side()
    for name in ("next", "waiting"):
        delattr(one.inbound.flows[P].receiver, name)
        with pytest.raises(AttributeError, match=name):
            getattr(one.inbound.flows[P].receiver, name)
    with pytest.raises(AttributeError):
        one.inbound.take(unchecked(P, 1, b"x", 5), HERE)


def test_what_is_forgotten_goes_with_all_it_holds():
    """Fields in C take part in the collection of garbage."""
    one = side()
    one.inbound.take(unchecked(P, 1, b"x", 5), HERE)
    one.inbound.flows[P].topic = [one.inbound]  # a cycle
    gone = weakref.ref(one.inbound), weakref.ref(one.inbound.flows[P].receiver), weakref.ref(one.intake)
    del one
    gc.collect()
    assert [each() for each in gone] == [None, None, None]
