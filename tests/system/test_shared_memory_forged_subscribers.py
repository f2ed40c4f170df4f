"""A subscriber that takes memory and lies about what it holds costs itself something, and others nothing."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import random
import socket
import sys
import threading

import pytest

import ipcpy as ipc
from attacking import without_key
from forged import DATAGRAM, REFUSED, SEALS, TABLE, TAKEN, close, memory, name, node_without_memory, receive, send
from lan_process import wait_until
from large import PUBLISHER, SUBSCRIBER, Large, all_let_go, holdings, warm

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(120),
    without_key,
]
LIMIT = 24


class Listener:
    """What listens in a node's name and answers offers as a test says, in a thread of its own.

    Attributes:
        offers: the datagrams that came.
        descriptors: those that came with them.
    """

    def __init__(self, node, answer):
        self.offers, self.descriptors, self.errors, self.accepted = [], [], [], []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(name(node))
        self._socket.listen(16)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = self._socket.accept()
                self.accepted.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            while data := self._take(connection):
                self._answer(connection, data)

    def _take(self, connection):
        data, descriptors = receive(connection)
        if data:
            self.offers.append(data)
        self.descriptors += descriptors
        return data

    def close(self):
        for each in (self._socket, *self.accepted):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        descriptors, self.descriptors = self.descriptors, []
        close(descriptors)


def taken(offer, **changes):
    names = ("magic", "version", "kind", "segment", "entries", "publisher", "subscriber", "token", "size")
    fields = dict(zip(names, DATAGRAM.unpack(offer), strict=True)) | {"kind": TAKEN} | changes
    return DATAGRAM.pack(*fields.values())


def ledger(size=TABLE, count=1, content=None, data=taken, **how):
    """Answer with TAKEN and a ledger."""

    def answer(connection, offer):
        made = [memory(size, **how) for _ in range(count)]
        if content is not None:
            made[0][1][:] = content
        first = DATAGRAM.unpack(offer)[3] == 0
        send(connection, data(offer), [descriptor for descriptor, _ in made] if first else [])
        close(descriptor for descriptor, _ in made)

    return answer


def thing(opened):
    def answer(connection, offer):
        descriptors = opened()
        send(connection, taken(offer), descriptors[:1])
        close(descriptors)

    return answer


def with_flood(connection, offer):
    ledger()(connection, offer)
    descriptor, _ = memory(TABLE)
    for _ in range(1_000):
        send(connection, taken(offer), [descriptor])
    close([descriptor])


def without_end(connection, offer):
    for _ in range(1_000):
        send(connection, b"x" * 44)


BAD = {  # ways to answer -> what may be counted
    "goes": lambda connection, offer: connection.close(),
    "says nothing": lambda connection, offer: None,
    "refuses": lambda connection, offer: send(connection, taken(offer, kind=REFUSED)),
    "garbage": lambda connection, offer: send(connection, b"x" * 44),
    "a short answer": lambda connection, offer: send(connection, taken(offer)[:-1]),
    "a long answer": lambda connection, offer: send(connection, taken(offer) * 30),
    "garbage without end": without_end,
    "an offer": ledger(data=lambda offer: offer),
    "no ledger": lambda connection, offer: send(connection, taken(offer)),
    "two ledgers": ledger(count=2),
    "another segment": ledger(data=lambda offer: taken(offer, segment=3)),
    "another publisher": ledger(data=lambda offer: taken(offer, publisher=3)),
    "another subscriber": ledger(data=lambda offer: taken(offer, subscriber=3)),
    "another token": ledger(data=lambda offer: taken(offer, token=3)),
    "a ledger that is not sealed": ledger(seals=0),
    "a ledger that may shrink": ledger(seals=SEALS & ~0x2),
    "a ledger that others may write": ledger(seals=SEALS & ~0x10),
    "a ledger too short": ledger(size=TABLE // 2),
    "an empty ledger": ledger(size=0),
    "a huge ledger": ledger(size=1 << 40, allocated=0),
    "a sparse ledger": ledger(allocated=0),
    "a pipe": thing(lambda: list(os.pipe())),
    "a folder": thing(lambda: [os.open("/", os.O_RDONLY)]),
}
ODD = {  # taken as it seems right, and lies later
    "all held": ledger(content=b"\xff" * TABLE),
    "all let go": ledger(content=b"\xfe" + b"\xff" * (TABLE - 1)),
    "garbage in the ledger": ledger(content=random.Random(1).randbytes(TABLE)),
    "nothing ever noted": ledger(),
    "a thousand answers": with_flood,
}


class Scene:
    """A publisher with an honest subscriber and one whose hand-over a test answers."""

    def __init__(self, spawn, answer):
        self.node = node_without_memory()
        self.listener = Listener(self.node.id, answer)
        self.cover = ipc.Subscriber("large", ipc.Raw(), node=self.node, depth=10_000)
        self.honest = Large(spawn, SUBSCRIBER, hold=1)
        self.publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": str(LIMIT)}, size=300_000, wait=2)
        self.publisher.process.wait_line("matched", 30)
        self.by_udp = warm(self.publisher, self.honest) - self.honest.stats()["shared"]
        self.before = holdings(self.publisher.pid)

    def goes_on(self, count=60):
        """Publish; insist that the honest subscriber gets all through memory."""
        before = self.publisher.stats()["published"]
        for published in range(before + 3, before + count + 1, 3):
            self.publisher.ask("publish", 3, answer="published")
            books = self.honest.right(published)
        assert books["lost"] == {} and books["received"] == before + count == books["shared"] + self.by_udp
        assert holdings(self.publisher.pid).memory <= LIMIT << 20

    def leave(self):
        """Close the one that lies; insist that nothing of it is left."""
        self.cover.close()
        self.node.close()
        self.listener.close()
        wait_until(lambda: self.publisher.ask("wait")[1] == "1", 10)
        now = holdings(self.publisher.pid)
        self.goes_on(9)
        all_let_go(self.publisher.pid, now)
        self.publisher.finish()
        self.honest.finish()


@pytest.fixture
def scene(spawn):
    scenes = []

    def make(answer):
        scenes.append(Scene(spawn, answer))
        return scenes[-1]

    yield make
    for each in scenes:
        each.cover.close()
        each.node.close()
        each.listener.close()


@pytest.mark.parametrize("how", BAD)
def test_an_answer_that_cannot_be_trusted_leaves_udp(scene, how):
    here = scene(BAD[how])
    here.goes_on()
    got = [here.cover.recv(20).seq for _ in range(60)]
    assert got == list(range(1, 61))
    assert here.cover.stats.lost == {}
    told = here.publisher.stats()
    assert told["shared"][here.cover.id] == 0
    now = holdings(here.publisher.pid)
    assert now.descriptors <= here.before.descriptors + 12
    if how not in ("goes", "refuses", "says nothing"):
        assert sum(told["handovers"].values()) > 0, told
    here.leave()


@pytest.mark.parametrize("how", ODD)
def test_a_ledger_that_lies_costs_the_others_nothing(scene, how):
    here = scene(ODD[how])
    here.goes_on(120)
    here.leave()


def test_a_ledger_that_changes_all_the_time_costs_the_others_nothing(scene):
    made, mapped = memory(TABLE)
    stop = threading.Event()

    def answer(connection, offer):
        send(connection, taken(offer), [made] if DATAGRAM.unpack(offer)[3] == 0 else [])

    def scribble():
        dice = random.Random(2)
        while not stop.is_set():
            at = 8 * dice.randrange(TABLE // 8)
            mapped[at : at + 8] = dice.choice(
                (bytes(8), b"\xff" * 8, dice.randrange(1_000).to_bytes(8, "little"), dice.randbytes(8))
            )

    scribbler = threading.Thread(target=scribble)
    here = scene(answer)
    scribbler.start()
    try:
        here.goes_on(120)
    finally:
        stop.set()
        scribbler.join()
    here.leave()


def test_what_is_offered_can_be_read_and_no_more(scene):
    here = scene(ledger())
    here.goes_on(6)
    descriptor = wait_until(lambda: here.listener.descriptors)[0]
    size = os.fstat(descriptor).st_size
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
    for attack in (
        lambda: os.ftruncate(descriptor, 0),
        lambda: os.ftruncate(descriptor, 2 * size),
        lambda: os.pwrite(descriptor, b"x", 0),
        lambda: mmap.mmap(descriptor, size, prot=mmap.PROT_READ | mmap.PROT_WRITE),
    ):
        with pytest.raises(PermissionError):
            attack()
    mmap.mmap(descriptor, size, prot=mmap.PROT_READ).close()
    here.leave()


def test_one_that_takes_and_goes_at_once_again_and_again(spawn):
    honest = Large(spawn, SUBSCRIBER, hold=1)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": str(LIMIT)}, size=100_000)
    publisher.process.wait_line("matched", 30)
    first = warm(publisher, honest)
    before = holdings(publisher.pid)

    def answer(connection, offer):
        ledger()(connection, offer)
        connection.close()

    for published in range(first + 3, first + 61, 3):
        with node_without_memory() as node:
            listener = Listener(node.id, answer)
            with ipc.Subscriber("large", ipc.Raw(), node=node):
                wait_until(lambda: publisher.ask("wait")[1] == "2", 20)
                publisher.ask("publish", 3, answer="published")
                wait_until(lambda listener=listener: listener.offers, 20)
            listener.close()
        honest.right(published)
    wait_until(lambda: publisher.ask("wait")[1] == "1", 20)
    all_let_go(publisher.pid, before, more=3)
    assert honest.stats()["shared"] > 59
    publisher.finish()
    honest.finish()
