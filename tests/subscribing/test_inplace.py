"""Large messages received straight into place: whatever befalls their datagrams, what is delivered is what was sent."""

from __future__ import annotations

import random
import select
import socket
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipcpy as ipc
from bothways import state_of
from gathered import Gathered, merged, outgoing, sent_as
from ipcpy.fast import COMPILED, compiled
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Heads, Place
from ipcpy.protocol.data.reports import POLL_BODY
from ipcpy.protocol.wire import FRAGMENT_OVERHEAD, Kind, pack_frame

SIZES = {
    1_428: 60,
    12_000: 8,
}  # bytes of data in a fragment, fragments: checked, and checked in part; any buffer holds them


@pytest.fixture
def node():
    with ipc.Node("test") as node:
        yield node


def pair(node, **options):
    publisher = ipc.Publisher("t", ipc.Raw(), node=node)
    subscriber = ipc.Subscriber("t", ipc.Raw(), node=node, **options)
    publisher.wait_for_subscribers(timeout=20)
    return publisher, subscriber


class Sending:
    """Sends messages as a publisher does, but some of their datagrams otherwise; one after the other has arrived."""

    def __init__(self, publisher, size, bodies, seed):
        (route,) = publisher._outlet.routes
        self.socket = route.socket
        self.publisher = publisher
        self.size = size
        self.bodies = bodies
        self.random = random.Random(seed)
        self.arrived = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        for seq, body in enumerate(self.bodies, 1):
            place = Place(int(self.publisher.id, 16), seq, 5, 0, len(body), self.size)
            message = Outgoing(place, [memoryview(body)])
            datagrams = [b"".join(each) for each in message.fragments(range(message.count))]
            last = datagrams.pop()
            self.send_spoiled(datagrams, self.random.choice(["", "lost", "twice", "swapped", "damaged", "between"]))
            self.send([last])
            if not self.arrived.acquire(timeout=20):
                return

    def send_spoiled(self, datagrams, how):
        at = self.random.randrange(len(datagrams) - 1)
        before, there, after = datagrams[:at], datagrams[at], datagrams[at + 1 :]
        if how == "lost":  # and sent again
            self.send(before, after, [there])
        elif how == "twice":
            self.send(before, [there, there], after)
        elif how == "swapped":
            self.send(before, [after[0], there], after[1:])
        elif how == "damaged":  # and sent again
            where = self.random.randrange(len(there) if self.size <= 9_000 else FRAGMENT_OVERHEAD)
            damaged = bytearray(there)
            damaged[where] ^= 1 << self.random.randrange(8)
            self.send(before, [bytes(damaged)], after, [there])
        elif how == "between":
            poll = pack_frame(Kind.POLL, int(self.publisher.id, 16), 0, 1, POLL_BODY.pack(1, 0))
            self.send(before, [poll, b"no frame", there], after)
        else:
            self.send(datagrams)

    def send(self, *parts):
        for datagrams in parts:
            while datagrams:  # merged or not, as the system likes
                count = self.random.choice([1, 5, 44])
                if len({len(each) for each in datagrams[:count]}) > 1:
                    count = 1
                self.socket.send_many([(each,) for each in datagrams[:count]], len(datagrams[0]))
                datagrams = datagrams[count:]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", SIZES)
def test_what_is_delivered_is_what_was_sent(node, size, seed):
    publisher, subscriber = pair(node)
    random_ = random.Random(seed)
    bodies = [random_.randbytes(SIZES[size] * size - random_.choice([0, 0, 1, size - 1])) for _ in range(30)]
    sending = Sending(publisher, size, bodies, seed)
    kept = []
    for body in bodies:
        message = subscriber.recv(10)
        sending.arrived.release()
        assert message.data == body
        kept = [*kept[-1:], message.data]  # of some the buffer is used again, of others it is not
    sending.thread.join(20)
    assert not subscriber.stats.lost


def test_what_was_received_is_the_readers_for_good(node):
    publisher, subscriber = pair(node)
    bodies = [bytes([number]) * 80_000 for number in range(6)]
    sending = Sending(publisher, 1_428, bodies, 1)
    received = []
    for _ in bodies:
        received.append(subscriber.recv(10).data)
        sending.arrived.release()
    assert received == bodies
    for data in received:
        data.extend(b"more")  # no view of it is left
    sending.thread.join(20)


@pytest.mark.parametrize("size", SIZES)
def test_small_messages_come_between_large_ones(node, size):
    publisher, subscriber = pair(node)
    large = random.Random(size).randbytes(100_000)
    for _ in range(5):
        for data in (large, b"1", large, b"2", b"3"):
            publisher.publish(data)
            assert subscriber.recv(20).data == data
    assert not subscriber.stats.lost


def test_a_call_to_wake_up_costs_no_buffer_that_was_ready_for_the_next_message(monkeypatch):
    monkeypatch.setenv("IPCPY_SHM", "0")
    with ipc.Node("test") as node:
        subscriber = ipc.Subscriber("t", ipc.Raw(), node=node)
        publisher = ipc.Publisher("t", ipc.Raw(), node=node)
        publisher.wait_for_subscribers(timeout=20)
        gathering = subscriber._subscription.reader._gathering
        for number in range(100):  # the I/O thread may have read a part of the first ones
            publisher.publish(bytes(300_000))
            subscriber.recv(timeout=20)
            if number > 1 and gathering.expects:
                break
        subscriber._subscription.reader.wake()
        with pytest.raises(TimeoutError):
            subscriber.recv(timeout=0.05)
        (flow,) = subscriber._subscription._inbound.flows.values()
        assert gathering.expects and flow.receiver.assembly.spares.take(300_000) is not None


# -- in C as in Python -------------------------------------------------------------------------------------------------

MESSAGES = st.tuples(
    st.sampled_from([1, 1, 1, 1, 2, 0]),  # how many numbers further
    st.sampled_from([50_000, 50_000, 50_000, 8, 1_428, 70_001, 130_000]),  # bytes
    st.sampled_from([1_428, 1_428, 1_428, 512, 9_001, 20_000]),  # of a fragment
    st.sampled_from([1, 5, 44, 64]),  # fragments in a call
    st.sampled_from(["whole", "whole", "spoiled", "empty", "poll"]),
    st.integers(0, 3),  # messages that are held
)


@settings(deadline=None, max_examples=150)
@given(st.lists(MESSAGES, min_size=1, max_size=8), st.integers(0, 1 << 30))
def test_in_c_and_in_python_the_same_is_received(steps, seed):
    random_ = random.Random(seed)
    seq = 0
    with Gathered(compiled=True) as fast, Gathered(compiled=False) as pure:
        for further, total, size, per_call, how, hold in steps:
            seq = max(1, seq + further)
            data = sent_as(random_, outgoing(random_, seq, total, size), per_call, how)
            for each in (fast, pure):
                each.take(data, hold)
                each.side.now += 0.01
            assert fast.seen == pure.seen and fast.held == pure.held
            assert state_of(fast.side) == state_of(pure.side)


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_what_is_usual_is_received_in_c(monkeypatch):
    calls = []
    for name in ("begin", "fill"):
        usual = getattr(compiled, name)
        monkeypatch.setattr(
            compiled, name, lambda *args, usual=usual, name=name: calls.append((name, args[-3:-1])) or usual(*args)
        )
    random_ = random.Random(1)
    with Gathered(compiled=True) as gathered:
        for seq in range(1, 6):
            gathered.take(sent_as(random_, outgoing(random_, seq, 40_000, 512), 44, "whole"))
    assert [calls[-3][0], calls[-2], calls[-1][0]] == ["begin", ("fill", (44, 79 - 44)), "begin"], "two for a message"


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_a_socket_that_gets_the_number_of_one_that_was_closed_meanwhile_is_not_read(wait_until):
    message, seen = outgoing(random.Random(1), 1, 100_000, 1_000), SimpleNamespace()
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    buffers, number = (bytearray(64 * 44), bytearray(65_536), bytearray(100_000)), ours.fileno()
    args = seen, number, *buffers, Heads(message.place).common, 0, 100, 1e9
    thread = threading.Thread(target=compiled.fill, args=args)
    thread.start()
    theirs.send(merged(message, 0, 1))
    wait_until(lambda: not select.select([ours], [], [], 0)[0])  # it was received, so it waits for the next
    ours.close()
    other, its_peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, other, its_peer:
        assert other.fileno() == number
        its_peer.send(b"for somebody else")
        theirs.send(merged(message, 1, 2))
        theirs.send(b"the end")
        thread.join(20)
        assert (seen._count, seen._other[0]) == (2, b"the end")
        assert other.recv(100, socket.MSG_DONTWAIT) == b"for somebody else"


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
@pytest.mark.parametrize(
    ("first", "count", "total", "size", "buffer"),
    [
        (0, 3, 30, 10, 29),  # the buffer is too small
        (0, 4, 30, 10, 40),  # the message has no such fragments
        (3, 1, 30, 10, 40),
        (1 << 62, 1, 30, 10, 30),
        (1, (1 << 64) - 1, 30, 10, 30),
        (0, 1, 30, 0, 30),
        (0, 1, 0, 10, 30),
    ],
)
def test_nothing_is_received_beyond_a_buffer(first, count, total, size, buffer):
    common = Heads(Place(7, 1, 5, 0, total, size)).common
    usual = {"heads": 64 * 44, "rest": 65_536, "buffer": 30}
    with Gathered(compiled=True) as gathered:
        for sizes, which in (
            ({"buffer": buffer}, (common, first, count)),
            ({"heads": 64 * 44 - 1}, (common, 0, 1)),
            ({"rest": 65_535}, (common, 0, 1)),
            ({}, (common[:-1], 0, 1)),
        ):
            buffers = map(bytearray, (usual | sizes).values())
            with pytest.raises(ValueError, match="no places"):
                compiled.fill(gathered, gathered.socket.fileno(), *buffers, *which, 1e9)
