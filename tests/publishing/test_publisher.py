"""Publisher: arguments, counts, latched topics, batches, threads, fork, the end."""

from __future__ import annotations

import asyncio
import collections
import gc
import re
import threading
import weakref
import zlib

import pytest

import ipcpy as ipc
from ipcpy.protocol.wire import HEADER_SIZE, OVERHEAD, Kind
from ipcpy.testing import MemoryNetwork
from recording import recording_node

Point = collections.namedtuple("Point", "x y")


@pytest.fixture
def node():
    with ipc.Node("test") as node:
        yield node


@pytest.fixture
def patient(monkeypatch):
    """Have batches wait for subscribers as long as a busy computer may take: a best-effort publisher else goes on."""
    monkeypatch.setattr("ipcpy.publishing.pacing.BATCH_WAIT", 30.0)


@pytest.fixture
def recorded():
    """A node, and the record of what its publishers send."""
    node, record = recording_node()
    with node:
        yield node, record


def pair(node, topic="t", codec=None, **options):
    publisher = ipc.Publisher(topic, codec, node=node, **options)
    subscriber = ipc.Subscriber(topic, node=node)
    publisher.wait_for_subscribers(timeout=20)
    return publisher, subscriber


def test_a_publisher_shows_what_is_for_its_user_and_nothing_else(node):
    shown = {name for name in dir(ipc.Publisher("t", node=node)) if not name.startswith("_")}
    assert shown == {
        *("close", "id", "loan", "publish", "publish_many", "stats", "subscribers", "topic", "wait_for_subscribers"),
        *("publish_async", "publish_many_async", "wait_for_subscribers_async", "why"),
    }


@pytest.mark.parametrize("topic", ["", "a b", "//imu", "imu/", "a//b", "robot/*", "**", 5, None, "x" * 300, "a\n"])
def test_a_wrong_topic_is_refused_at_once(node, topic):
    with pytest.raises(ipc.ArgumentError, match="topic"):
        ipc.Publisher(topic, node=node)


def test_a_wrong_codec_or_keep_is_refused_at_once(node):
    with pytest.raises(ValueError, match="codec has name, encode, decode and schema"):
        ipc.Publisher("t", "msgpack", node=node)
    with pytest.raises(ipc.ArgumentError, match=r"did you mean MsgPack\(\)\?"):
        ipc.Publisher("t", ipc.MsgPack, node=node)
    for keep in (-1, 1.5, True, "1"):
        with pytest.raises(ValueError, match="keep is a number of messages"):
            ipc.Publisher("t", keep=keep, node=node)


def test_a_wrong_multicast_is_refused_at_once(node):
    with pytest.raises(ValueError, match="multicast is True, False or None"):
        ipc.Publisher("t", multicast="yes", node=node)


def test_a_wrong_node_is_refused_at_once():
    for make in (ipc.Publisher, ipc.Subscriber):
        with pytest.raises(ipc.ArgumentError, match="node is a Node"):
            make("t", node=5)


def test_what_no_subscriber_takes_is_refused_at_once(node):
    publisher, subscriber = pair(node, codec=ipc.Raw())
    with pytest.raises(ipc.ArgumentError, match="at most 67108864 bytes, got 67108865"):
        publisher.publish(bytes((64 << 20) + 1))
    publisher.publish(b"next")
    assert subscriber.recv(20).seq == 1


def test_a_time_to_wait_may_be_any_number(node):
    publisher, subscriber = pair(node)
    for timeout in (float("inf"), 1e300, None, 5):
        publisher.publish(1)
        assert subscriber.recv(timeout).data == 1
    assert publisher.wait_for_subscribers(timeout=float("inf")) == 1
    assert subscriber.wait_for_publishers(timeout=1e300) == 1
    for timeout in ("x", float("nan"), [1]):
        for wait in (subscriber.recv, publisher.wait_for_subscribers, subscriber.wait_for_publishers):
            with pytest.raises(ipc.ArgumentError, match="timeout is a time in seconds"):
                wait(timeout=timeout)
    with pytest.raises(TimeoutError):
        subscriber.recv(-1)


class Counting:
    """A codec that takes numbers, and counts what it encodes."""

    name, schema = "raw", {}

    def __init__(self):
        self.encoded = []

    def encode(self, data, id=0):
        if not isinstance(data, int | float):
            raise ipc.CodecError(f"it takes numbers, got {data!r}")
        self.encoded.append((data, id))
        return b"x"

    def decode(self, body):
        return body


def test_publishing_to_nobody_encodes_only_the_first_message_of_a_type(node):
    codec = Counting()
    publisher = ipc.Publisher("t", codec, node=node)
    for number in range(10):
        assert publisher.publish(number) == publisher.publish(float(number)) == publisher.publish(number, 7) == 0
    assert publisher.publish_many(range(10)) == 0
    assert codec.encoded == [(0, 0), (0.0, 0), (0, 7)]
    assert publisher.stats.published == 40
    assert publisher.subscribers == ()


def test_what_cannot_be_published_is_refused_though_nobody_listens(node):
    library = ipc.MsgLibrary({1: ("ii", Point)})
    for codec, data in ((None, {1, object()}), (library, (1, "x")), (library, b"no")):
        publisher = ipc.Publisher("t", codec, node=node)
        with pytest.raises(ipc.CodecError):
            publisher.publish(data)
        with pytest.raises(ipc.CodecError):
            publisher.publish_many([data])
        assert publisher.stats.published == 0
    with pytest.raises(ipc.ArgumentError, match="99"):
        ipc.Publisher("t", library, node=node).publish(Point(1, 2), 99)
    with pytest.raises(ipc.ArgumentError, match="67108864"):
        ipc.Publisher("t", ipc.Raw(), node=node).publish(bytes((64 << 20) + 1))


def test_publishing_many_to_nobody_ends_when_it_is_closed_meanwhile(node):
    publisher = ipc.Publisher("t", node=node)
    with pytest.raises(ipc.ClosedError):
        publisher.publish_many(publisher.close() for _ in range(3))
    assert publisher.stats.published == 0


def test_data_that_does_not_fit_raises_and_sends_nothing(node):
    publisher, subscriber = pair(node, codec=ipc.MsgLibrary({1: ("ii", Point)}))
    with pytest.raises(ipc.CodecError, match="x"):
        publisher.publish(Point("no", 1))
    assert publisher.publish(Point(1, 2)) == 1
    message = subscriber.recv(20)
    assert (message.data, message.seq, message.topic, message.publisher) == ((1, 2), 1, "t", publisher.id)
    assert message.received_ns >= message.sent_ns > 0


def test_an_id_chooses_between_two_messages_of_one_type(node):
    publisher, subscriber = pair(node, codec=ipc.MsgLibrary({1: ("i", int), 2: ("h", int)}))
    with pytest.raises(ValueError, match="id="):
        publisher.publish(5)
    publisher.publish(5, id=2)
    assert subscriber.recv(20).data == 5


def test_counts(node):
    publisher, subscriber = pair(node, codec=ipc.Raw())
    assert [publisher.publish(b"12345") for _ in range(3)] == [1, 1, 1]
    stats = publisher.stats
    assert (stats.published, stats.bytes, stats.handed, stats.refused) == (3, 15, 3, 0)
    [info] = publisher.subscribers
    assert info.kind == "subscriber" and info.topic == "t" and info.id == subscriber.id
    assert stats.subscribers[subscriber.id].handed == 3


def test_waiting_for_subscribers_ends_in_time(node):
    publisher = ipc.Publisher("t", node=node)
    with pytest.raises(TimeoutError, match="0 of 1 subscribers of 't'"):
        publisher.wait_for_subscribers(timeout=0)
    with pytest.raises(TimeoutError):
        publisher.wait_for_subscribers(timeout=0.01)


def test_latecomers_get_the_last_messages_first_and_once(node):
    publisher = ipc.Publisher("map", keep=3, node=node)
    for number in range(10):
        publisher.publish(number)
    early = ipc.Subscriber("map", node=node)
    publisher.wait_for_subscribers(1, timeout=20)
    publisher.publish(10)
    late = ipc.Subscriber("map", node=node)
    publisher.wait_for_subscribers(2, timeout=20)
    publisher.publish(11)
    assert [early.recv(20).data for _ in range(5)] == [7, 8, 9, 10, 11]
    assert [late.recv(20).data for _ in range(4)] == [8, 9, 10, 11]
    for subscriber in (early, late):
        with pytest.raises(TimeoutError):
            subscriber.recv(0.05)


def test_a_large_latched_message_reaches_a_latecomer(node):
    body = bytes(range(256)) * 4096
    publisher = ipc.Publisher("map", ipc.Raw(), keep=1, node=node)
    publisher.publish(body)
    subscriber = ipc.Subscriber("map", node=node)
    assert subscriber.recv(10).data == body


@pytest.mark.parametrize(
    "size", [0, 1, 100, 30_000, 60_000, 64_900, 64_964, 64_965, 65_000, 65_536, 200_000, 3_000_000]
)
def test_any_size_arrives_equal(node, size):
    publisher, subscriber = pair(node, codec=ipc.Raw())
    body = bytes(number * 7 % 256 for number in range(1000)) * (size // 1000 + 1)
    publisher.publish(body[:size])
    publisher.publish(b"after")
    assert subscriber.recv(10).data == body[:size]
    assert subscriber.recv(10).data == b"after"


def test_a_buffer_may_be_changed_after_publish(node):
    publisher, subscriber = pair(node, codec=ipc.Raw())
    body = bytearray(b"a" * 2_000_000)
    publisher.publish(body)
    body[:] = b"b" * len(body)
    assert bytes(subscriber.recv(10).data) == b"a" * len(body)


@pytest.mark.parametrize("bodies", [[b"%d" % n for n in range(5000)], [b"%04d" % n for n in range(5000)]])
@pytest.mark.usefixtures("patient")
def test_many_arrive_in_order(node, bodies):
    publisher = ipc.Publisher("t", ipc.Raw(), node=node)
    subscriber = ipc.Subscriber("t", depth=10_000, node=node)
    publisher.wait_for_subscribers(timeout=20)
    assert publisher.publish_many(bodies) == 1
    received = [subscriber.recv(20) for _ in bodies]
    assert [message.data for message in received] == bodies
    assert [message.seq for message in received] == list(range(1, len(bodies) + 1))


POINTS = ipc.MsgLibrary({1: ("dd", Point), 2: ("d", float)})


@pytest.mark.usefixtures("patient")
def test_many_structs_arrive_in_order(node):
    publisher = ipc.Publisher("t", POINTS, node=node)
    subscriber = ipc.Subscriber("t", POINTS, depth=10_000, node=node)
    publisher.wait_for_subscribers(timeout=20)
    points = [Point(n, -n) for n in range(5000)]
    for messages in (points, [1.0, 2.0], [*points[:3], 0.5, *points[:3]]):
        assert publisher.publish_many(iter(messages)) == 1
        assert [subscriber.recv(20).data for _ in messages] == messages
    assert publisher.stats.bytes == subscriber.stats.bytes
    assert subscriber.stats.lost == {}


def test_nothing_is_sent_of_many_of_which_one_is_wrong(node):
    publisher = ipc.Publisher("t", POINTS, node=node)
    subscriber = ipc.Subscriber("t", node=node)
    publisher.wait_for_subscribers(timeout=20)
    with pytest.raises(ipc.CodecError, match="field y: expected float64, got str 'b'"):
        publisher.publish_many([*[Point(0, 0)] * 500, Point(1, "b")])
    publisher.publish(Point(1, 2))
    assert subscriber.recv(20).seq == 1


@pytest.mark.usefixtures("patient")
def test_many_are_paced_to_what_the_subscriber_takes(node):
    count = 300_000
    publisher = ipc.Publisher("t", ipc.Raw(), node=node)
    subscriber = ipc.Subscriber("t", depth=count, node=node)
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish_many([b"%064d" % n for n in range(count)])
    assert [int(subscriber.recv(20).data) for _ in range(count)] == list(range(count))
    assert subscriber.stats.lost == {}


class Squeezing:
    """A codec that hands everything on to another but encode and decode."""

    def __init__(self, codec):
        self._codec = codec

    def __getattr__(self, name):
        return getattr(self._codec, name)

    def encode(self, data):
        return zlib.compress(self._codec.encode(data))

    def decode(self, body):
        return self._codec.decode(zlib.decompress(body))


def test_a_codec_around_another_has_its_say_in_batches_too(node):
    codec = Squeezing(ipc.Raw())
    publisher = ipc.Publisher("t", codec, node=node)
    subscriber = ipc.Subscriber("t", codec, node=node)
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish_many([b"a" * 500] * 10)
    assert [subscriber.recv(20).data for _ in range(10)] == [b"a" * 500] * 10
    assert subscriber.stats.bytes < 500


def test_many_of_mixed_size_arrive_in_order(node):
    publisher, subscriber = pair(node, codec=ipc.Raw())
    bodies = [b"x" * size for size in (1, 70_000, 3, 0, 59_990, 200_000, 5)]
    publisher.publish_many(iter(bodies))
    assert [bytes(subscriber.recv(10).data) for _ in bodies] == bodies


def test_bytes_are_those_of_the_bodies_in_batches_too(node):
    publisher = ipc.Publisher("t", ipc.Raw(), node=node)
    subscriber = ipc.Subscriber("t", node=node)
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish_many([b"12345"] * 3)
    assert [subscriber.recv(20).data for _ in range(3)] == [b"12345"] * 3
    assert publisher.stats.bytes == subscriber.stats.bytes == 15


def test_no_datagram_is_larger_than_the_way_takes(recorded):
    node, record = recorded
    publisher, subscriber = pair(node, codec=ipc.Raw())
    publisher.publish(bytes(200_000))  # its fragments are as large as the way takes
    assert len(subscriber.recv(20).data) == 200_000
    room = max(map(len, record.of_kind(Kind.FRAGMENT)))
    bodies = [bytes(room - OVERHEAD - less) for less in range(-2, 10)]
    publisher.publish_many(bodies)
    for body in bodies:
        publisher.publish_many([body[:1]] * 3 + [body])
    assert [bytes(subscriber.recv(20).data) for _ in bodies] == bodies
    assert max(map(len, record.datagrams)) == room


def test_several_threads_may_publish(node):
    publisher = ipc.Publisher("t", node=node)
    subscriber = ipc.Subscriber("t", depth=10_000, node=node)
    publisher.wait_for_subscribers(timeout=20)

    def work(number):
        for count in range(50):  # 200 in all: the smallest buffer has room for them, whoever reads when
            publisher.publish([number, count])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    received = [subscriber.recv(20) for _ in range(200)]
    for thread in threads:
        thread.join()
    assert [message.seq for message in received] == list(range(1, 201))
    for number in range(4):
        counts = [message.data[1] for message in received if message.data[0] == number]
        assert counts == list(range(50))


def test_closing_is_idempotent_and_final(node, wait_until):
    publisher, subscriber = pair(node)
    publisher.publish(1)
    publisher.close()
    publisher.close()
    with pytest.raises(ipc.ClosedError):
        publisher.publish(2)
    with pytest.raises(ipc.ClosedError):
        publisher.wait_for_subscribers(timeout=20)
    assert subscriber.recv(20).data == 1
    wait_until(lambda: subscriber.publishers == ())


def test_a_forgotten_publisher_withdraws_itself(node, wait_until):
    publisher = ipc.Publisher("forgotten", node=node)
    wait_until(lambda: [topic.name for topic in node.topics()] == ["forgotten"])
    gone = weakref.ref(publisher)
    gc.disable()
    try:
        del publisher
        assert gone() is None  # at once, not when the garbage collector comes
        wait_until(lambda: node.topics() == ())
    finally:
        gc.enable()


@pytest.mark.parametrize("options", [{}, {"reliable": True}, {"multicast": True}])
def test_one_that_has_published_is_forgotten_just_as_well(node, wait_until, options):
    publisher, subscriber = pair(node, codec=ipc.Raw(), **options)
    publisher.publish(b"small")
    publisher.publish(bytes(200_000))  # by unicast, where small ones go by multicast: either may be there first
    publisher.publish_many([b"a", b"b"])
    assert sorted(len(subscriber.recv(20).data) for _ in range(4)) == [1, 1, 5, 200_000]
    gone = weakref.ref(publisher)
    gc.disable()
    try:
        del publisher
        assert gone() is None
        wait_until(lambda: subscriber.publishers == ())
    finally:
        gc.enable()


def test_one_may_be_collected_where_its_lock_is_held(node, wait_until):
    """As the garbage collector may do in the I/O thread."""
    publisher, subscriber = pair(node)
    with publisher._lock:
        del publisher
    wait_until(lambda: subscriber.publishers == ())


def test_closing_the_node_closes_its_publishers(node):
    publisher, subscriber = pair(node, codec=ipc.Raw(), reliable=True)
    publisher.publish(b"last")
    assert subscriber.recv(20).data == b"last"
    node.close()
    assert repr(publisher) == "<ipcpy.Publisher 't' raw closed>"
    for use in (lambda: publisher.publish(b"x"), lambda: publisher.publish_many([b"x"])):
        with pytest.raises(ipc.ClosedError, match="the publisher of 't' is closed"):
            use()
    publisher.close()
    assert publisher.stats.published == 1


def test_a_publisher_that_multicasts_is_closed_for_good_too(node, wait_until):
    publisher, subscriber = pair(node, codec=ipc.Raw(), multicast=True)
    wait_until(lambda: any(fanout.members for fanout in publisher._delivery._fanouts))
    publisher.publish(b"last")
    publisher.close()
    with pytest.raises(ipc.ClosedError):
        publisher.publish(b"too late")
    assert subscriber.recv(20).data == b"last"


INHERITED = """
import os, sys
import ipcpy as ipc
publisher, other = ipc.Publisher("t", ipc.Raw(), reliable=True), ipc.Publisher("other", ipc.Raw())
subscriber = ipc.Subscriber("t")
publisher.wait_for_subscribers(timeout=10)
publisher.publish(b"parent")
parents_id = publisher.id
child = os.fork()
if child == 0:
    assert other.publish(b"begins anew") == 0
    assert publisher.subscribers == () and publisher.stats.handed == 0
    publisher.close()
    publisher.close()
    try:
        publisher.publish(b"child")
    except ipc.ClosedError:
        print("closed in the child", flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
publisher.publish(b"parent again")
assert [bytes(subscriber.recv(10).data) for _ in range(2)] == [b"parent", b"parent again"]
assert publisher.id == parents_id and len(publisher.subscribers) == 1
print("open in the parent", flush=True)
"""


def test_what_a_forked_child_closes_stays_open_in_its_parent(spawn):
    process = spawn(INHERITED)
    process.succeed(timeout=40)
    assert "closed in the child" in process.stdout
    assert "open in the parent" in process.stdout


def test_a_closed_node_refuses(node):
    node.close()
    with pytest.raises(ipc.ClosedError, match="closed"):
        ipc.Publisher("t", node=node)


@pytest.mark.parametrize(("local", "overhead"), [(True, HEADER_SIZE), (False, OVERHEAD)])
def test_messages_are_checked_unless_all_subscribers_are_on_this_host(recorded, monkeypatch, local, overhead):
    node, record = recorded
    publisher, subscriber = pair(node, codec=ipc.Raw())
    outlet = publisher._outlet
    if not local:
        for route in outlet.routes:
            route.socket.intact = False  # as on a network
        outlet.rebuild()
    publisher.publish(b"body")
    assert subscriber.recv(20).data == b"body"
    (datagram,) = record.of_kind(Kind.DATA)
    assert len(datagram) == overhead + 4


class Plain:
    """A codec whose faster variants do what a careless author makes them do."""

    name = "plain"
    schema: dict = {}

    def encode(self, data):
        return data

    def decode(self, body):
        return bytes(body)

    def encode_many(self, messages):
        if not messages[0]:
            return b"", 0
        raise ipc.CodecError("cannot")

    def decode_many(self, data, size):
        return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("bodies", [[b"ab", b"cd", b"ef"], [b"", b"", b""]])
def test_where_a_codec_cannot_do_many_at_once_each_goes_by_itself(node, bodies):
    publisher = ipc.Publisher("t", Plain(), node=node)
    subscriber = ipc.Subscriber("t", Plain(), node=node)
    publisher.wait_for_subscribers(timeout=20)
    assert publisher.publish_many(bodies) == 1
    assert [subscriber.recv(timeout=20).data for _ in bodies] == bodies


# -- waiting, and why it was in vain


@pytest.mark.parametrize("count", [-1, 1.5, True, "1", None])
def test_a_number_of_subscribers_that_is_none_is_refused(node, count):
    publisher = ipc.Publisher("t", node=node)
    with pytest.raises(ipc.ArgumentError, match="count is how many"):
        publisher.wait_for_subscribers(count)
    with pytest.raises(ipc.ArgumentError, match="count is how many"):
        asyncio.run(publisher.wait_for_subscribers_async(count))


def test_a_coroutine_waits_for_subscribers_and_others_run_meanwhile(node):
    async def main():
        with ipc.Publisher("t", node=node) as publisher:
            waiting = [asyncio.create_task(publisher.wait_for_subscribers_async(2)) for _ in range(3)]
            first = ipc.Subscriber("t", node=node)
            assert await publisher.wait_for_subscribers_async(timeout=20) == 1
            assert not any(task.done() for task in waiting)
            second = ipc.Subscriber("t", node=node)
            async with asyncio.timeout(20):
                assert await asyncio.gather(*waiting) == [2, 2, 2]
            first.close(), second.close()

    asyncio.run(main())


def test_a_coroutine_that_waits_for_subscribers_in_vain_is_told_why(node):
    async def main():
        publisher = ipc.Publisher("t", node=node)
        for timeout in (0, 0.01):
            with pytest.raises(
                TimeoutError, match=r"0 of 1 subscribers of 't' within .* No subscriber of 't' is known"
            ):
                await publisher.wait_for_subscribers_async(timeout=timeout)
        assert await publisher.wait_for_subscribers_async(0, timeout=0) == 0
        for wrong in ("soon", float("nan")):
            with pytest.raises(ipc.ArgumentError, match="timeout"):
                await publisher.wait_for_subscribers_async(timeout=wrong)

    asyncio.run(main())


def test_a_coroutine_that_waits_for_subscribers_is_woken_by_the_end_and_leaves_nothing_when_cancelled(node):
    async def main():
        publisher = ipc.Publisher("t", node=node)
        cancelled, ended = (asyncio.create_task(publisher.wait_for_subscribers_async()) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert len(publisher._monitor.bell._futures) == 1
        await asyncio.to_thread(publisher.close)
        with pytest.raises(ipc.ClosedError):
            await ended
        assert not publisher._monitor.bell._futures
        with pytest.raises(ipc.ClosedError):
            await publisher.wait_for_subscribers_async(timeout=0)

    asyncio.run(main())


def test_coroutines_of_several_event_loops_wait_for_subscribers(node):
    publisher = ipc.Publisher("t", node=node)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(publisher.wait_for_subscribers_async(timeout=10))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    other = ipc.Subscriber("t", node=node)
    for thread in threads:
        thread.join(20)
    assert found == [1, 1, 1]
    other.close()


def test_it_says_whom_it_sends_to_and_who_left(node, wait_until):
    publisher = ipc.Publisher("a/b", node=node)
    assert re.fullmatch(r"No subscriber of 'a/b' is known in domain '.*'\. .*", publisher.why())
    subscriber = ipc.Subscriber("a/*", node=node)
    publisher.wait_for_subscribers(timeout=20)
    assert re.fullmatch(r"Subscriber 'test' on .*\(this process\): matched\.", publisher.why())
    subscriber.close()
    wait_until(lambda: "subscriber 'test' in this process left" in publisher.why())
    with pytest.raises(TimeoutError, match="subscriber 'test' in this process left"):
        publisher.wait_for_subscribers(timeout=0)
    publisher.close()
    assert publisher.why() == "The publisher of 'a/b' is closed."


# -- the instant of matching


def test_a_message_published_in_the_instant_of_matching_arrives(node):
    """Nobody is there when publish looks first, and somebody is when it numbers the message."""
    came = []

    class Meeting(ipc.Raw):
        def encode(self, data, id=0):
            if not came:
                came.append(ipc.Subscriber("t", node=node))
                publisher.wait_for_subscribers(1, timeout=10)
            return super().encode(data)

    publisher = ipc.Publisher("t", Meeting(), node=node)
    assert publisher.publish(b"first") == 1
    message = came[0].recv(timeout=20)
    assert (message.data, message.seq) == (b"first", 1)
    assert came[0].stats.lost == {} and publisher.stats.published == 1


def test_those_of_many_messages_that_come_after_the_matching_arrive(node):
    subscriber = None
    publisher = ipc.Publisher("t", node=node)

    def messages():
        nonlocal subscriber
        yield "to nobody"
        subscriber = ipc.Subscriber("t", node=node)
        publisher.wait_for_subscribers(1, timeout=10)
        yield from range(3)

    assert publisher.publish_many(messages()) == 1
    assert [(message.seq, message.data) for message in (subscriber.recv(timeout=20) for _ in range(3))] == [
        (2, 0),
        (3, 1),
        (4, 2),
    ]
    assert subscriber.stats.lost == {}


def test_what_a_signal_handler_publishes_while_the_counts_are_read_goes_out(node, monkeypatch):
    publisher, subscriber = pair(node)
    stats = publisher._outlet.stats

    def interrupted():
        publisher.publish("from a handler")
        return stats()

    monkeypatch.setattr(publisher._outlet, "stats", interrupted)
    assert publisher.stats.published == 0
    assert subscriber.recv(20).data == "from a handler"


# -- shared memory -----------------------------------------------------------------------------------------------------


def test_a_loan_is_filled_and_published_and_arrives_without_a_copy(node, wait_until):
    numpy = pytest.importorskip("numpy")
    publisher, subscriber = pair(node)
    first = publisher.loan((100, 200, 3))
    first[:] = 1
    assert publisher.publish(first) == 1 and (subscriber.recv(20).data == 1).all()

    def arrives_without_a_copy():
        nonlocal array
        array = publisher.loan((100, 200, 3), "uint8")
        array[:] = numpy.arange(200, dtype="u1")[:, None]
        publisher.publish(array)
        data = subscriber.recv(20).data
        assert (data == array).all() and not data.flags.writeable and not array.flags.writeable
        assert publisher.stats.shared == subscriber.stats.shared
        return subscriber.stats.shared > 0

    array = first
    wait_until(arrives_without_a_copy)  # the memory of the latest loan may not be with the subscriber yet
    with pytest.raises(ValueError, match="read-only"):
        array[:] = 0


def test_bytes_are_lent_too_and_arrive_as_a_view_that_nobody_writes_to(node, wait_until):
    publisher, subscriber = pair(node, codec=ipc.Raw())
    publisher.publish(bytes(100_000))
    assert subscriber.recv(20).data == bytes(100_000)

    def arrives_as_a_view():
        view = publisher.loan(100_000)
        view[:] = b"x" * 100_000
        publisher.publish(view)
        data = subscriber.recv(20).data
        assert data == b"x" * 100_000
        return subscriber.stats.shared == 1 and data.readonly

    wait_until(arrives_as_a_view)


def test_a_loan_works_as_well_where_no_memory_is_shared():
    pytest.importorskip("numpy")
    with MemoryNetwork() as network:
        publisher, subscriber = pair(network.node("none"))
        array = publisher.loan((200, 300))
        array[:] = 5
        publisher.publish(array)
        assert (subscriber.recv(20).data == 5).all() and publisher.stats.shared == 0


def test_what_is_no_loan_is_refused_and_none_is_made_after_close(node):
    publisher = ipc.Publisher("t", node=node)
    with pytest.raises(ipc.ArgumentError, match="a loan has from 0 to"):
        publisher.loan(-1)
    publisher.close()
    with pytest.raises(ipc.ClosedError):
        publisher.loan(10)
