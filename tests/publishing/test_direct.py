"""``publish`` of the compiled part: the datagrams, results, errors and counts of Python's, whatever is published, and
sockets refuse.

Both ways publish on one node: a publisher whose ``_direct`` is taken away is Python's. In place of a subscriber's
socket each sends by a way of its own to a socket of the test.
"""

from __future__ import annotations

import gc
import inspect
import socket
import struct
import sys
import threading
import time
import weakref
from collections import namedtuple
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ipcpy as ipc
from ipcpy import fast
from ipcpy.codec.bodies import Bodies
from ipcpy.protocol.wire import FLAG_UNCHECKED, Kind, frames
from ipcpy.publishing.outlet import Outlet
from ipcpy.publishing.publisher import Publisher
from ipcpy.transport.group import sender_to

pytestmark = pytest.mark.skipif(not fast.COMPILED, reason=f"not compiled: {fast.why_pure}")

_numbers = count()
Point = namedtuple("Point", "x y")
Same = namedtuple("Same", "x y")
MESSAGES = {1: ("<id", Point), 2: ("<ii", Same), 3: ("<hh", Same), 4: ("5s", str), 5: ("<3000d", tuple)}


class Refusing:
    """Who stands behind a way: counts what it is given again."""

    def __init__(self) -> None:
        self.again: list[tuple[bytes, int]] = []

    def send_again(self, frame: bytes, messages: int = 1) -> int:
        self.again.append((bytes(frame), messages))
        return 1


class Sized(int):
    """So many bytes, without a long name."""


class Odd:
    """A codec that makes whatever it is given."""

    name, schema = "odd", {}

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, data: Any, id: int | None = None) -> Any:
        self.encoded += 1
        if isinstance(data, Exception):
            raise data
        return data

    def decode(self, body: Any) -> Any:
        return body


class Side:
    """A publisher with one way out, to a socket of the test."""

    def __init__(self, node: ipc.Node, codec: Any, *, pure: bool, checked: bool = False) -> None:
        topic = f"side{next(_numbers)}"
        self.publisher = Publisher(topic, codec, node=node)
        self.subscriber = ipc.Subscriber(topic, Bodies(), node=node)
        self.publisher.wait_for_subscribers(timeout=20)
        if pure:
            self.publisher._direct = None
        self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind(("127.0.0.1", 0))
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(self.sink.getsockname())
        self.target = Refusing()
        self.outlet: Outlet = self.publisher._outlet
        self.outlet.needs_check = checked
        self.ways((self.sock.send, self.target))

    def ways(self, *ways: Any) -> None:
        """Have it send by these ways, whatever else its outlet finds."""
        self.outlet.rebuild = lambda: None  # type: ignore[method-assign]
        self.outlet.ways = ways

    def outcome(self, *arguments: Any, **named: Any) -> tuple[object, ...]:
        """Publish; return what came of it, without what differs from one publisher to another."""
        try:
            result: object = self.publisher.publish(*arguments, **named)
        except Exception as error:
            result = type(error), str(error).replace(self.publisher.topic, "topic")
        stats = self.publisher.stats
        return result, stats.published, stats.bytes, len(self.target.again), self.datagrams()

    def datagrams(self) -> list[object]:
        """Return what was sent in frames of their own, without number and time of the publisher."""
        found: list[object] = []
        while True:
            try:
                data = self.sink.recv(65_536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            if data[3] != Kind.DATA:
                continue  # where memory is shared, and how far that has come, is another at each side
            for frame in frames(data, unchecked=True):
                assert abs(frame.sent_ns - time.time_ns()) < 10e9 and frame.source == self.publisher._framing.number
            checked = not data[5] & FLAG_UNCHECKED
            found.append((data[:8], data[16:24], data[32 : len(data) - 4 * checked], len(data)))

    def close(self) -> None:
        self.sink.close()
        self.sock.close()
        self.publisher.close()
        self.subscriber.close()


Pair = tuple[Side, Side]


@pytest.fixture(scope="module")
def node() -> Iterator[ipc.Node]:
    with ipc.Node("direct") as node:
        yield node


@pytest.fixture
def pairs(node: ipc.Node) -> Iterator[Callable[..., Pair]]:
    """Make a compiled side and a pure one."""
    made: list[Side] = []

    def pair(codec: Callable[[], Any], **options: Any) -> Pair:
        both = Side(node, codec(), pure=False, **options), Side(node, codec(), pure=True, **options)
        made.extend(both)
        assert type(both[0].publisher._direct) is fast.compiled.Direct  # type: ignore[union-attr]
        return both

    yield pair
    for side in made:
        side.close()


def library() -> ipc.MsgLibrary:
    return ipc.MsgLibrary(MESSAGES)


numbers = st.sampled_from([0, 1, -1, 2**31, 1.5, "x", None, 2**70])
structs = st.one_of(
    st.builds(Point, numbers, numbers),
    st.builds(Same, numbers, numbers),
    st.text(max_size=6),
    st.sampled_from([5, None, b"x", (1.0,) * 3000, [1, 2], Point]),
)
ids = st.sampled_from([(), (), (), (1,), (3,), (None,), (9,), ("x",), (1, 2)])
bodies = st.one_of(
    st.binary(max_size=3000),
    st.sampled_from([0, 2_011, 2_012, 2_013, 32_000, 70_000]).map(Sized),
)
odd = st.one_of(
    bodies,
    st.binary(max_size=3000).map(bytearray),
    st.binary(max_size=3000).map(memoryview),
    st.sampled_from([None, 5, "text", [], [b"a", b"b"], ValueError("no"), ipc.CodecError("none")]),
)
CODECS: list[tuple[Callable[[], Any], st.SearchStrategy[Any]]] = [
    (library, structs),
    (ipc.Raw, odd),
    (ipc.MsgPack, st.one_of(st.dictionaries(st.text(max_size=3), numbers), numbers, st.just(object()), bodies)),
    (Odd, odd),
]


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(("codec", "data"), CODECS, ids=lambda each: getattr(each, "__name__", ""))
def test_both_send_the_same_and_refuse_the_same(pairs, codec, data, checked):
    ours, pure = pairs(codec, checked=checked)

    @settings(suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.lists(st.tuples(data, ids), max_size=5))
    def check(messages):
        for message, id in messages:
            assert ours.outcome(message, *id) == pure.outcome(message, *id)

    check()


def test_arguments_are_refused_as_by_python(pairs):
    ours, pure = pairs(library)
    message = Point(1, 2.0)
    for arguments, named in (
        ((), {}),
        ((message,), {"di": 1}),
        ((message, 1, 2), {}),
        ((), {"data": message, "id": 1}),
    ):
        assert ours.outcome(*arguments, **named) == pure.outcome(*arguments, **named)
    assert ours.outcome(data=message)[0] == 1
    assert Publisher.publish(ours.publisher, message) == 1
    with pytest.raises(TypeError):
        Publisher.publish(5, message)  # type: ignore[arg-type]


def test_a_frame_that_is_checked_has_the_check_of_zlib(pairs):
    ours, _ = pairs(ipc.Raw, checked=True)
    for size in range(1, 80):
        ours.publisher.publish(bytes(range(size)))
        frame = next(iter(frames(ours.sink.recv(65_536))))  # raises where the check is wrong
        assert frame.body == bytes(range(size))


def test_what_the_system_refuses_goes_the_old_way_and_is_counted(pairs):
    for close in (lambda side: side.sink.close(), lambda side: side.sock.close()):
        ours, pure = pairs(library)
        for side in (ours, pure):
            close(side)
            side.datagrams = list  # type: ignore[method-assign]  # there is no socket to look at
        outcomes = [[side.outcome(Point(n, 0.0)) for n in range(4)] for side in (ours, pure)]
        assert [each[:3] for each in outcomes[0]] == [each[:3] for each in outcomes[1]]
        assert [len(frame) for frame, _ in ours.target.again] == [51] * len(ours.target.again)


def test_a_full_socket_is_waited_for_as_python_does(pairs):
    ours, pure = pairs(library)
    for side in (ours, pure):
        full, taking = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        full.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 20_000))
        with full, taking:
            side.ways((full.send, side.target))
            results = [side.publisher.publish(Point(n, 0.0)) for n in range(5_000) if not side.target.again]
            assert results[0] == 1 and results[-1] == 0
            frame = side.target.again[0][0]
            assert frame[16:24] == len(results).to_bytes(8, "little") and side.publisher.stats.published == len(results)


def test_what_is_sent_to_an_address_is_the_same_and_so_is_what_is_refused(pairs):
    outcomes = []
    for side in pairs(library):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            way = sender_to(sock.sendto, side.sink.getsockname()), side.target
            side.ways(way, way)
            came = [side.outcome(Point(1, 2.0))]
            side.ways(way)
            came.append(side.outcome(Point(2, 2.0)))
            sock.close()
            outcomes.append([*came, side.outcome(Point(3, 2.0))])
    assert outcomes[0] == outcomes[1]
    assert [len(outcome[-1]) for outcome in outcomes[0]] == [2, 1, 0]
    assert [outcome[3] for outcome in outcomes[0]] == [0, 0, 1]


def test_what_sends_to_an_address_by_the_system_needs_no_python_and_all_else_does():
    def sendto(data: bytes, address: object) -> int:
        called.append((data, address))
        return len(data)

    called: list[object] = []
    assert fast.compiled
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        here = sock.getsockname()
        usual = fast.compiled.Addressed(sock.sendto, here).send, None
        assert fast.compiled.send((usual,), b"frame") == () and sock.recv(100) == b"frame"
        assert usual[0](b"by Python") == 9 and sock.recv(100) == b"by Python"
        hosts = "localhost", "127.0.0.1\0", "", None
        for address in (*((host, here[1]) for host in hosts), ("127.0.0.1", 0), ("127.0.0.1", 1 << 16), ("127.0.0.1",)):
            way = fast.compiled.Addressed(sock.sendto, address).send, None
            assert fast.compiled.send((way,), b"frame") == (way,)
        other = fast.compiled.Addressed(sendto, here).send, None
        assert fast.compiled.send((usual, other, usual), b"frame") == (other, usual)
        assert other[0](b"data") == 4 and called == [(b"data", here)]
    assert fast.compiled.send((usual,), b"frame") == (usual,)
    with pytest.raises(OSError):
        usual[0](b"closed")
    for arguments in ((), (sendto,), (sendto, "address"), (sendto, ("127.0.0.1", 9), 1)):
        with pytest.raises(TypeError):
            fast.compiled.Addressed(*arguments)


def test_what_sends_to_an_address_is_collected_in_a_circle():
    class Sendto:
        def __call__(self, data: bytes, address: object) -> int:
            return len(data)

    assert fast.compiled
    sendto = Sendto()
    sendto.send = fast.compiled.Addressed(sendto, ("127.0.0.1", 9)).send  # type: ignore[attr-defined]
    gone = weakref.ref(sendto)
    del sendto
    gc.collect()
    assert gone() is None


def test_other_ways_are_called_in_their_order(pairs):
    ours, pure = pairs(library)
    for side in (ours, pure):
        sent: list[bytes] = []
        side.ways((side.sock.send, side.target), (sent.append, side.target), (side.sock.send, side.target))
        side.outlet.routes = side.outlet.routes * 3
        assert side.publisher.publish(Point(1, 2.0)) == 3
        assert [data[2] for data in side.datagrams()] == [sent[0][32:]] * 2  # type: ignore[index]


def test_an_alarm_of_a_way_is_raised_and_the_lock_is_free(pairs):
    def alarm(frame: bytes) -> None:
        raise TimeoutError("the time is up")

    for side in pairs(library):
        side.ways((alarm, side.target))
        with pytest.raises(TimeoutError, match="the time is up"):
            side.publisher.publish(Point(1, 2.0))
        assert side.target.again == [] and not side.publisher._monitor.busy()
        assert side.publisher.stats.published == 1


def test_what_is_put_off_is_done_after_it(pairs):
    for side in pairs(library):
        inner: list[int] = []

        def publish_within(frame: bytes, side: Side = side, inner: list[int] = inner) -> None:
            if not inner:
                inner.append(side.publisher.publish(Point(2, 0.0)))  # as a signal handler in the midst of it

        side.ways((publish_within, side.target), (side.sock.send, side.target))
        side.publisher.publish(Point(1, 0.0))
        assert inner == [1] and not side.publisher._later
        assert [data[1] for data in side.datagrams()] == [b"\1" + bytes(7), b"\2" + bytes(7)]  # type: ignore[index]


def test_it_waits_for_the_lock(pairs):
    ours, _ = pairs(library)
    with ours.publisher._lock:
        thread = threading.Thread(target=ours.publisher.publish, args=(Point(1, 0.0),))
        thread.start()
        thread.join(0.05)
        assert thread.is_alive() and ours.datagrams() == []
    thread.join(20)
    assert len(ours.datagrams()) == 1


def test_a_subclass_may_publish_otherwise(node):
    class Twice(Publisher):
        def publish(self, data: Any, id: int | None = None) -> int:
            return super().publish(data) + super().publish(data, id)

    with Twice("twice", node=node) as publisher, ipc.Subscriber("twice", node=node) as subscriber:
        publisher.wait_for_subscribers(timeout=20)
        assert publisher.publish(5) == 2
        assert [subscriber.recv(20).data, subscriber.recv(20).data] == [5, 5]


def test_a_codec_with_another_encode_is_asked(node):
    class Loud(ipc.MsgLibrary):
        def encode(self, data: Any, id: int | None = None) -> bytes:
            return super().encode(data._replace(x=7), id)

    with Publisher("loud", Loud(MESSAGES), node=node) as publisher, ipc.Subscriber("loud", node=node) as subscriber:
        publisher.wait_for_subscribers(timeout=20)
        publisher.publish(Point(1, 2.0))
        assert subscriber.recv(20).data == (7, 2.0)


def test_beside_a_thread_that_computes_it_does_not_wait_for_it(pairs):
    ours, pure = pairs(library)
    interval, over = sys.getswitchinterval(), threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(1_000))

    thread = threading.Thread(target=compute)
    sys.setswitchinterval(0.05)
    try:
        thread.start()
        took = []
        for side in (ours, pure):
            time.sleep(0.01)  # to have the GIL for the rest of an interval
            begun = time.perf_counter()
            for number in range(10):
                side.publisher.publish(Point(number, 0.0))
            took.append(time.perf_counter() - begun)
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()
    assert took[0] < 0.1  # with the GIL let go of each time it is up to 0.5


def test_a_publisher_that_nobody_holds_is_collected(node):
    publisher = Publisher("forgotten", library(), node=node)
    gone = weakref.ref(publisher)
    publisher.itself = publisher  # type: ignore[attr-defined]
    del publisher
    gc.collect()
    assert gone() is None


def test_it_reads_as_python_does():
    assert str(inspect.signature(Publisher.publish)) == "(self, /, data, id=None)"
    assert inspect.getdoc(Publisher.publish).startswith("Publish one message.")  # type: ignore[union-attr]


def test_no_memory_is_left_behind(pairs):
    tracemalloc = pytest.importorskip("tracemalloc")
    ours, _ = pairs(library)
    publish, good, bad = ours.publisher.publish, Point(1, 2.0), Point("x", 2.0)

    def some() -> None:
        for _ in range(2_000):
            publish(good)
            try:
                publish(bad)
            except ipc.CodecError:
                pass

    some()
    tracemalloc.start()
    try:
        some()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        some()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [b"x", bytearray(b"xy"), memoryview(b"xyz")], ids=lambda body: type(body).__name__)
def test_a_codec_is_asked_once_whatever_it_makes(pairs, body):
    for side in pairs(Odd):
        side.publisher.publish(body)
        before = side.publisher._codec.encoded
        assert side.publisher.publish(body) == 1
        assert side.publisher._codec.encoded == before + 1
        assert [frame[2] for frame in side.datagrams()] == [bytes(body)] * 2
