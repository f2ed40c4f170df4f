"""Where publishers of this host hand over memory: whom an offer reaches, and what is refused; sockets are real."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from handing import another_user, descriptors, exchange, in_child, readable
from ipcpy.node.handovers import MAX_PENDING, PATIENCE, Handovers
from ipcpy.protocol.data.places import TABLE_SIZE, Offer, OfferKind, pack_offer
from ipcpy.transport.handover import Listener, connect
from still import StillLoop

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")

LIMIT = 1 << 28
SUBSCRIBER = 5
OFFER = Offer(OfferKind.OFFER, 1, SUBSCRIBER, 7, 0, 2 * TABLE_SIZE)


class Subscriber:
    """Takes note of what it is offered, and answers as a test says."""

    def __init__(self):
        self.answer, self.offers, self.connections = "", [], []

    def memory_offered(self, offer, descriptors, sock):
        self.offers.append((offer, [os.fstat(descriptor).st_ino for descriptor in descriptors]))
        if not self.answer:
            self.connections.append(sock)
        return self.answer


class World:
    """The node of a subscriber, and clients of it."""

    def __init__(self):
        self.loop, self.subscriber, self.clients = StillLoop(), Subscriber(), []
        self.node = int.from_bytes(os.urandom(8), "little")
        self.handovers = Handovers(self.loop, self.node, {SUBSCRIBER: self.subscriber}, LIMIT)

    @property
    def name(self):
        return f"{self.node:016x}"

    def connect(self):
        """Connect, and let the node accept; return the client's end."""
        self.clients.append(connect(self.name))
        self.exchange()
        return self.clients[-1]

    def exchange(self):
        """Let the node read everything that has come."""
        exchange(self.loop)

    def ended(self, client):
        """Tell whether the node has closed its end of a connection."""
        return client.receive() is None and client.ended

    def close(self):
        self.handovers.close()
        for each in [*self.clients, *self.subscriber.connections]:
            each.close()


@pytest.fixture
def world(monkeypatch):
    before = descriptors()
    world = World()
    world.loop.stop_time(monkeypatch, "handovers")
    world.handovers.listen_soon()
    yield world
    world.close()
    assert not world.loop.ready and descriptors() == before, "no descriptor is left, whatever was refused"


def test_an_offer_reaches_the_subscriber_that_it_is_for_and_the_connection_is_its_own_then(world, tmp_path):
    client = world.connect()
    with open(tmp_path / "file", "w") as file:
        client.send(pack_offer(OFFER), [file.fileno()])
        world.exchange()
        assert world.subscriber.offers == [(OFFER, [os.fstat(file.fileno()).st_ino])]
    (sock,) = world.subscriber.connections
    assert list(world.loop.ready) != [] and sock not in world.loop.ready
    sock.send(b"answer")
    assert client.receive() == (b"answer", [])
    world.loop.advance(2 * PATIENCE)
    assert not world.ended(client) and not world.handovers.refused


@pytest.mark.parametrize("cause", ["unknown", "token", "memory"])
def test_what_a_subscriber_refuses_is_counted_by_its_cause_and_the_connection_ends(world, cause):
    world.subscriber.answer = cause
    client = world.connect()
    client.send(pack_offer(OFFER))
    world.exchange()
    assert world.ended(client) and world.handovers.refused == {cause: 1}


def test_an_offer_for_a_subscriber_that_is_not_here_is_refused(world):
    client = world.connect()
    client.send(pack_offer(OFFER._replace(subscriber=SUBSCRIBER + 1)), [0, 1])
    world.exchange()
    assert world.ended(client) and world.handovers.refused == {"unknown": 1} and world.subscriber.offers == []


@pytest.mark.parametrize(
    "datagram",
    [
        b"x",
        pack_offer(OFFER)[:-1],
        pack_offer(OFFER) + b"x",
        b"ipcN" + pack_offer(OFFER)[4:],
        b"ipcM\x02" + pack_offer(OFFER)[5:],
        pack_offer(OFFER._replace(kind=OfferKind.TAKEN)),
        pack_offer(OFFER._replace(kind=OfferKind.REFUSED)),
        pack_offer(OFFER._replace(segment=1)),
    ],
    ids="short cut long magic version taken refused second".split(),
)
def test_what_is_no_first_offer_is_malformed(world, datagram):
    client = world.connect()
    client.send(datagram, [0])
    world.exchange()
    assert world.ended(client) and world.handovers.refused == {"malformed": 1} and world.subscriber.offers == []


def test_who_says_nothing_is_sent_away_in_time_and_not_before(world):
    first = world.connect()
    world.loop.advance(PATIENCE / 2)
    second = world.connect()
    world.loop.advance(PATIENCE / 2 - 0.001)
    assert not world.ended(first)
    world.loop.advance(0.001)
    assert world.ended(first) and not world.ended(second) and world.handovers.refused == {"malformed": 1}
    second.send(pack_offer(OFFER))
    world.exchange()
    assert [offer for offer, _ in world.subscriber.offers] == [OFFER]


def test_who_goes_without_a_word_is_forgotten(world):
    client = world.connect()
    watched = len(world.loop.ready)
    client.close()
    world.exchange()
    assert len(world.loop.ready) == watched - 1 and not world.handovers.refused


def test_no_more_than_a_number_may_be_silent_at_a_time(world):
    silent = [world.connect() for _ in range(MAX_PENDING)]
    assert world.ended(world.connect()) and world.handovers.refused == {"crowded": 1}
    silent[0].send(pack_offer(OFFER))
    world.exchange()
    assert not world.ended(world.connect()), "one has said its offer: there is room for another"
    world.loop.advance(PATIENCE)
    assert world.handovers.refused == {"crowded": 1, "malformed": MAX_PENDING}
    assert not world.ended(world.connect())


def test_where_no_descriptor_is_left_who_waits_is_looked_for_later_and_not_again_and_again(world, monkeypatch):
    def refuse(_):
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("ipcpy.transport.handover.Listener.accept", refuse)
        client = world.connect()  # which reads until nothing is there
    assert not world.loop.ready
    world.loop.advance(PATIENCE)
    client.send(pack_offer(OFFER))
    world.exchange()
    assert len(world.subscriber.offers) == 1


def test_who_comes_from_another_user_is_refused(world):
    def knock():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(f"\0ipcpy/{world.name}")
        assert sock.recv(1) == b""

    with another_user(knock):
        assert readable(next(iter(world.loop.ready)), 10)
        world.exchange()
    assert world.handovers.refused == {"user": 1} and len(world.loop.ready) == 1


def test_after_the_end_nothing_is_taken_or_connected_to_any_more(world):
    pending, other = world.connect(), World()
    other.handovers.listen_soon()
    sock = world.handovers.connect(other.name)
    assert sock is not None
    sock.close()
    for _ in range(2):
        world.handovers.close()
    assert world.ended(pending) and not world.loop.ready
    assert connect(world.name) is None and world.handovers.connect(other.name) is None
    world.handovers.listen_soon()
    assert connect(world.name) is None
    other.close()


def test_a_forked_child_closes_what_is_its_parents_and_the_parent_goes_on(world):
    client = world.connect()

    def abandon():
        before = descriptors()
        world.handovers.abandon()
        return (before - descriptors()) == {"socket": 2}

    assert in_child(abandon)
    client.send(pack_offer(OFFER))
    world.exchange()
    assert [offer for offer, _ in world.subscriber.offers] == [OFFER]


def test_each_key_has_a_name_and_a_removed_one_has_none(world):
    """A publisher connects to the name of the first of its keys, which its subscribers' node has somewhere."""
    names = [f"{world.name}a", f"{world.name}b"]
    keyed = Handovers(world.loop, world.node, {SUBSCRIBER: world.subscriber}, LIMIT, lambda node: tuple(names))
    keyed.keys_changed()  # before anything listens
    assert connect(names[0]) is None
    keyed.listen_soon()
    world.exchange()
    world.clients += [connect(name) for name in names]
    assert None not in world.clients[-2:]
    world.clients.append(keyed.connect(world.name))
    assert world.clients[-1] is not None
    names[:] = [f"{world.name}c", names[0]]
    keyed.keys_changed()
    world.clients += [connect(name) for name in names]
    assert None not in world.clients[-2:]
    assert connect(f"{world.name}b") is None
    keyed.close()
    assert connect(names[0]) is connect(names[1]) is None


def test_where_somebody_else_has_the_name_everything_goes_by_sockets():
    world = World()
    other = Listener(world.name)
    world.handovers.listen_soon()
    assert world.handovers.limit == 0 and world.handovers.connect(world.name) is None and not world.loop.ready
    world.close()
    other.close()


def test_it_listens_once_and_not_where_no_memory_is_shared_or_the_node_is_about_to_end(world):
    world.handovers.listen_soon()
    assert len(world.loop.ready) == 1
    none = Handovers(world.loop, world.node + 1, {}, 0)
    none.listen_soon()
    ending = Handovers(world.loop, world.node + 2, {}, LIMIT)
    world.loop.stopping = True
    ending.listen_soon()
    assert len(world.loop.ready) == 1 and none.connect(world.name) is None
    for each in (none, ending):
        each.close()


def test_where_the_system_cannot_share_memory_there_is_no_limit_to_reach(monkeypatch):
    monkeypatch.setattr("ipcpy.transport.memory.available", lambda: False)
    handovers = Handovers(StillLoop(), 1, {}, LIMIT)
    assert handovers.limit == 0 and handovers.connect("0" * 16) is None
