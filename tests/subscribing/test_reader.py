"""Who waits, reads: threads, the I/O thread in their absence, event loops, groups, timers, the end. Real sockets."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import threading
import time
import weakref
from collections import deque
from types import SimpleNamespace

import pytest

from ipcpy.node.loop import Loop
from ipcpy.protocol.data.reports import POLL_BODY, unpack_report
from ipcpy.protocol.wire import Kind, frames, pack_frame
from ipcpy.subscribing.inbound import Inbound
from ipcpy.subscribing.inbox import Inbox
from ipcpy.subscribing.inlets import DRAIN, Inlets
from ipcpy.subscribing.intake import Intake
from ipcpy.subscribing.lease import LONG
from ipcpy.subscribing.reader import Reader
from ipcpy.timeouts import NEVER
from ipcpy.transport.data import DataSocket
from receiving import publisher_info

LO = 1  # the index of loopback
P = 0xA1
GROUPS = itertools.count(1)


class Desk:
    """A reader and what it reads for: one publisher that is matched, whose datagrams a test sends itself."""

    def __init__(self, loop, spin=0.0):
        self.socket = DataSocket("127.0.0.1")
        self.lock = threading.RLock()
        inbox = Inbox(1_000)
        self.intake = Intake(7, self.socket, inbox, lambda: None)
        self.inbound = Inbound(self.intake, None)
        self.messages = inbox.messages
        self.reader = Reader(loop, Inlets(self.socket), self.inbound, self.lock, spin)
        self.sender = DataSocket("127.0.0.1")
        self.address = ("127.0.0.1", self.sender.port)
        self.flow = self.inbound.add(P, publisher_info(P), lambda ip: True)
        self.flow.address = self.address
        self.flow.receiver.start(1)

    def send(self, seq):
        self.sender.sendto(pack_frame(Kind.DATA, P, seq, time.time_ns(), b"%d" % seq), ("127.0.0.1", self.socket.port))

    def bodies(self):
        return [message.data for message in list(self.messages)]

    def close(self):
        self.reader.close(1.0)
        self.sender.close()


@pytest.fixture
def loop():
    loop = Loop("test")
    loop.start()
    yield loop
    loop.call(loop.quit)
    loop.join(20)


@pytest.fixture
def desk(loop):
    desk = Desk(loop)
    yield desk
    desk.close()


@pytest.fixture
def group():
    return f"239.255.201.{next(GROUPS)}", 26_000 + next(GROUPS)


def test_who_waits_reads_the_socket_himself(desk):
    threading.Timer(0.02, desk.send, [1]).start()
    desk.reader.wait(20, time.monotonic() + 20)
    assert desk.bodies() == [b"1"]


def test_nobody_waits_so_the_io_thread_reads(desk, wait_until):
    for seq in range(1, 4):
        desk.send(seq)
    wait_until(lambda: desk.bodies() == [b"1", b"2", b"3"])


def test_a_reader_who_stays_away_gives_the_socket_back(desk, wait_until):
    desk.send(1)
    desk.reader.wait(20, time.monotonic() + 20)
    for seq in range(2, 7):  # whoever is away longer than the lease: the I/O thread reads for him
        desk.send(seq)
    wait_until(lambda: len(desk.messages) == 6, timeout=20 * LONG + 5)


def test_with_a_timeout_of_nothing_it_only_looks(desk):
    started = time.monotonic()
    desk.reader.wait(0, started)
    assert not desk.messages and time.monotonic() - started < 5
    desk.send(1)
    while not desk.messages and time.monotonic() < started + 5:
        desk.reader.wait(0, time.monotonic())
    assert desk.bodies() == [b"1"]


def test_a_second_reader_waits_for_the_first_no_longer_than_its_time(desk):
    first = threading.Thread(target=desk.reader.wait, args=(1.0, time.monotonic() + 1.0))
    first.start()
    started = time.monotonic()
    desk.reader.wait(0.05, started + 0.05)
    assert 0.05 <= time.monotonic() - started
    desk.reader.wake()
    first.join(20)
    assert not first.is_alive()


def test_only_one_reads_but_nothing_is_missed(desk, wait_until):
    def take():
        deadline = time.monotonic() + 20
        while len(taken) < 200 and time.monotonic() < deadline:
            desk.reader.wait(0.05, time.monotonic() + 0.05)
            try:
                taken.append(desk.messages.popleft().seq)
            except IndexError:
                pass

    taken = deque()
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seq in range(1, 201):
        desk.send(seq)
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == list(range(1, 201))


def test_groups_are_read_too_until_they_are_left(desk, group, wait_until):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sender.bind(("127.0.0.1", 0))
        desk.flow.multicast = sender.getsockname()
        desk.reader.join(group, [LO])
        sender.sendto(pack_frame(Kind.DATA, P, 1, time.time_ns(), b"1"), group)
        wait_until(lambda: desk.bodies() == [b"1"])
        desk.messages.clear()
        second = pack_frame(Kind.DATA, P, 2, time.time_ns(), b"2")
        threading.Timer(0.02, sender.sendto, [second, group]).start()
        desk.reader.wait(20, time.monotonic() + 20)  # for both sockets
        assert desk.bodies() == [b"2"]
        assert len(desk.intake.sockets) == 2
        desk.reader.leave(group)
        assert len(desk.intake.sockets) == 1


def test_a_group_is_left_without_waiting_for_who_reads(desk, group):
    desk.reader.join(group, [LO])
    (_, joined) = desk.intake.sockets
    with desk.reader._turn.lock:  # as a thread that waits for ever has it
        leaving = threading.Thread(target=desk.reader.leave, args=(group,))
        leaving.start()
        leaving.join(20)
        assert not leaving.is_alive(), "the I/O thread would be held up for good"
        assert joined.fileno() != -1, "whoever reads may be looking at it"
    desk.reader.drain_now()
    assert joined.fileno() == -1


def test_what_came_by_multicast_is_taken_after_what_came_by_unicast_before(desk):
    """Only the group was readable when the wait ended; the earlier message has come to the own socket meanwhile."""
    desk.flow.multicast = ("127.0.0.1", 9)
    frame = pack_frame(Kind.DATA, P, 2, time.time_ns(), b"2")
    late = SimpleNamespace(poll=lambda: (frame, desk.flow.multicast), poll_all=lambda count: [])
    with desk.reader._turn.lock:
        desk.send(1)
        desk.reader._read_one(late)
    assert desk.bodies() == [b"1", b"2"] and desk.flow.receiver.reordered == 0


def test_a_poll_counts_once_what_came_by_multicast_before_it_is_read(desk, group):
    """A poll comes by unicast, so it overtakes what still waits in the group's socket: more than one portion here."""
    count = DRAIN + 44
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sender.bind(("127.0.0.1", 0))
        desk.flow.multicast = sender.getsockname()
        desk.reader.join(group, [LO])
        with desk.reader._turn.lock:  # nobody reads meanwhile
            for seq in range(1, count + 1):
                sender.sendto(pack_frame(Kind.DATA, P, seq, time.time_ns(), b""), group)
            poll = pack_frame(Kind.POLL, P, count, 5, POLL_BODY.pack(5, count + 1))
            desk.sender.sendto(poll, ("127.0.0.1", desk.socket.port))
        desk.reader.drain_now()
        desk.reader.drain_now()
    assert len(desk.messages) == count
    assert not +desk.flow.receiver.lost and not desk.flow.receiver.reordered
    report = next(frames(desk.sender.recvfrom(2_000)[0]))
    assert report.kind == Kind.REPORT and unpack_report(report.body).next == count + 1


def test_what_a_timer_delivers_wakes_a_reader_who_took_the_last_message_meanwhile(desk, monkeypatch):
    """The count of messages may be as before: one was taken, another was released."""
    desk.messages.append("earlier")
    woken = threading.Event()

    def handle_timer(now):
        desk.messages.popleft()
        desk.messages.append("released")
        desk.intake.timer = NEVER

    monkeypatch.setattr(desk.inbound, "handle_timer", handle_timer)
    monkeypatch.setattr(desk.reader, "wake", woken.set)
    desk.intake.by(time.monotonic())
    desk.reader.timer_changed()
    assert woken.wait(20)


def test_coroutines_wait_and_the_event_loop_reads(desk):
    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, desk.send, 1)
        async with asyncio.timeout(20):
            while not desk.messages:
                await desk.reader.wait_async(loop)
        assert desk.bodies() == [b"1"]

    asyncio.run(main())


def test_close_wakes_whoever_waits(desk):
    thread = threading.Thread(target=desk.reader.wait, args=(None, NEVER))
    thread.start()
    desk.reader.close(5.0)
    thread.join(20)
    assert not thread.is_alive()
    desk.reader.wait(None, NEVER)  # and nobody waits any more


@pytest.mark.parametrize("spin", [0.0, 0.01])
def test_what_is_closed_goes_without_the_garbage_collector(loop, spin):
    desk = Desk(loop, spin)
    desk.reader.wait(0.001, time.monotonic() + 0.001)
    reader = weakref.ref(desk.reader)
    gc.disable()
    try:
        desk.close()
        del desk
        assert reader() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError, RuntimeError])
def test_whatever_a_signal_handler_raises_in_the_midst_of_reading_what_it_left_is_put_in_order(
    desk, monkeypatch, wait_until, error
):
    take, mend, mended = desk.inbound.take, desk.inbound.mend, []

    def interrupted(data, address):
        take(data, address)
        monkeypatch.undo()
        monkeypatch.setattr(desk.inbound, "mend", lambda: mended.append(True) or mend())
        raise error

    monkeypatch.setattr(desk.inbound, "take", interrupted)
    sending = threading.Thread(target=lambda: (wait_until(lambda: desk.reader._lease.taken), desk.send(1)))
    sending.start()
    with pytest.raises(error):
        desk.reader.wait(20, time.monotonic() + 5)
    sending.join(20)
    assert mended == [True]
