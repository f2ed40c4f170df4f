"""Large messages received straight into place: whatever befalls their datagrams, what is delivered is what was sent."""

from __future__ import annotations

import random
import threading

import pytest

import ipcpy as ipc
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Place
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
    publisher.wait_for_subscribers(timeout=5)
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
            if not self.arrived.acquire(timeout=10):
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
    sending.thread.join(10)
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
    sending.thread.join(10)


@pytest.mark.parametrize("size", SIZES)
def test_small_messages_come_between_large_ones(node, size):
    publisher, subscriber = pair(node)
    large = random.Random(size).randbytes(100_000)
    for _ in range(5):
        for data in (large, b"1", large, b"2", b"3"):
            publisher.publish(data)
            assert subscriber.recv(5).data == data
    assert not subscriber.stats.lost


def test_a_call_to_wake_up_costs_no_buffer_that_was_ready_for_the_next_message(monkeypatch):
    monkeypatch.setenv("IPCPY_SHM", "0")
    with ipc.Node("test") as node:
        subscriber = ipc.Subscriber("t", ipc.Raw(), node=node)
        publisher = ipc.Publisher("t", ipc.Raw(), node=node)
        publisher.wait_for_subscribers(timeout=5)
        gathering = subscriber._subscription.reader._gathering
        for number in range(100):  # the I/O thread may have read a part of the first ones
            publisher.publish(bytes(300_000))
            subscriber.recv(timeout=5)
            if number > 1 and gathering.expects:
                break
        subscriber._subscription.reader.wake()
        with pytest.raises(TimeoutError):
            subscriber.recv(timeout=0.05)
        (flow,) = subscriber._subscription._inbound.flows.values()
        assert gathering.expects and flow.receiver.assembly.spares.take(300_000) is not None
