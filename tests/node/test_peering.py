"""The link alive: when its sockets rest, what it does with datagrams, events and refusals. Sockets are real."""

from __future__ import annotations

import socket

import pytest

from ipcpy.addresses import LOOPBACK
from ipcpy.errors import TransportError
from ipcpy.node import peering
from ipcpy.node.network import Network
from ipcpy.node.peering import Peering
from ipcpy.protocol.link.echo import ECHO_SIZE, pack_echo, unpack_echoed
from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, pack_entry
from ipcpy.protocol.link.greeting import domain_number
from ipcpy.protocol.link.link import Link, PeerFound, PeerLost
from ipcpy.protocol.link.peers import Path, Peer, Timing
from ipcpy.protocol.link.table import Mirror
from ipcpy.protocol.wire import Kind
from ipcpy.settings import Settings
from ipcpy.transport.interfaces import LO
from ipcpy.transport.sockets import Sockets
from still import StillLoop

ENTRY = NodeEntry("n", "h", 1, "1", "d")


def make(sockets=None, id=1, loop=None):
    """Make the link of a node on loopback, with a loop that only takes note."""
    loop, events = loop or StillLoop(), []
    link = Link(id, pack_entry(ENTRY), ENTRY.domain, bytes([id] * 16))
    network = Network(loop, Settings("d", ("lo",)), lambda others: None)
    network.start()
    made = Peering(loop, ENTRY, link, network, sockets or Sockets(), events.append)
    return made, loop, link, events


@pytest.fixture
def link():
    """A link's sockets with a loop that only takes note; what comes is news if it says so."""
    found, loop, pure, _ = make()
    pure.receive_datagram = lambda data, address, now, asked: data == b"news"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((LOOPBACK, found.port))
        yield found, loop, sock.send
    found.abandon()


def fire(loop):
    """Do what is due next."""
    loop.timers.pop()[1]()


def test_the_sockets_rest_while_nothing_new_comes(link):
    found, loop, send = link
    watched = dict(loop.ready)
    assert len(watched) == 2
    send(b"known")
    loop.ready[found._socket]()
    assert not loop.ready
    watched[found._group]()  # it was ready in the same moment
    assert len(loop.timers) == 1, "one rest at a time"
    for _ in range(2):
        send(b"known")
        fire(loop)
        assert not loop.ready and len(loop.timers) == 1
    fire(loop)
    assert loop.ready == watched, "nothing came: whatever comes next is read at once"


@pytest.mark.parametrize("datagrams", [[b"news"], [b"known", b"news"], [b"known"] * peering.DRAIN])
def test_no_rest_after_news_or_amid_a_flood(link, datagrams):
    found, loop, send = link
    send(b"known")
    loop.ready[found._socket]()
    for datagram in datagrams:
        send(datagram)
    fire(loop)
    assert len(loop.ready) == 2
    send(b"news")
    loop.ready[found._socket]()
    assert len(loop.ready) == 2


def test_a_defect_ends_the_rest(link):
    found, loop, send = link
    send(b"known")
    loop.ready[found._socket]()
    found._link.receive_datagram = lambda *arguments: 1 / 0
    send(b"known")
    with pytest.raises(ZeroDivisionError):
        fire(loop)
    assert len(loop.ready) == 2


def test_a_closed_link_does_not_wake_from_its_rest(link):
    found, loop, send = link
    send(b"known")
    loop.ready[found._socket]()
    found.abandon()
    fire(loop)
    assert not loop.ready


def test_a_peer_that_lives_answers_before_a_second_refusal_is_believed():
    assert 2 * peering.REST_MAX < Timing().verify, "its rest and ours"


def test_refusals_are_read_although_something_comes_in_every_rest(link):
    found, loop, send = link
    told = []
    found._link.receive_refusal = lambda address, now: told.append(address)
    send(b"known")
    loop.ready[found._socket]()
    found._socket.failures = lambda: [] if told else [(("127.0.0.1", 9), True)]
    send(b"known")
    fire(loop)
    assert told == [("127.0.0.1", 9)]


# -- datagrams, events, refusals


def test_two_links_meet_by_multicast_and_say_goodbye(monkeypatch, wait_until):
    loop = StillLoop()
    loop.stop_time(monkeypatch, "loop", "peering")
    one, _, its_link, met = make(id=1, loop=loop)
    other, _, _, heard = make(id=2, loop=loop)

    def until(condition):
        def step():
            loop.advance(0.001)
            for file in list(loop.ready):
                loop.ready[file]() if file in loop.ready else None
            return condition()

        wait_until(step)

    one.rejoin()
    other.rejoin()
    until(lambda: met and heard)
    assert [type(event) for event in met] == [PeerFound] == [type(event) for event in heard]
    its_link.table.put(5, pack_entry(PublisherEntry("imu", "raw")))
    one.tell()
    until(lambda: len(heard) == 2)
    assert heard[1].entry_id == 5
    one.close()
    until(lambda: len(heard) == 3)
    assert heard[2].reason == "closed"
    other.close()
    assert one.sent > 2 and one.received > 2 and not one.refused
    assert not loop.ready, "nothing is watched any more"


def test_nothing_is_told_after_the_end(link):
    found, _, _ = link
    found.abandon()
    found._link.changed = lambda now: pytest.fail("there are no sockets to tell it by")
    found.tell()


def test_what_comes_is_counted(link):
    found, loop, send = link
    for _ in range(3):
        send(b"known")
    loop.ready[found._socket]()
    assert found.received == 3


def test_the_process_of_a_peer_is_watched_from_when_it_is_found_until_it_is_lost(link, monkeypatch):
    found, _, _ = link
    steps = []
    events = [[PeerFound(7, ENTRY, ("127.0.0.1", 9))], [], [PeerLost(7, "closed")], []]
    found._link.events = lambda: events.pop(0)
    found._link.watch = lambda id, watched: steps.append(("link", id, watched))
    monkeypatch.setattr(found._processes, "add", lambda id, entry: steps.append(("add", id, entry)) or "perhaps")
    monkeypatch.setattr(found._processes, "remove", lambda id: steps.append(("remove", id)))
    found.flush()
    assert steps == [("add", 7, ENTRY), ("link", 7, "perhaps")]
    found.flush()
    assert steps[2:] == [("remove", 7)]


def test_the_link_is_told_of_a_process_that_ended(link):
    found, _, _ = link
    told = []
    found._link.process_died = lambda id, now: told.append(id)
    found._died(7)
    assert told == [7]


def test_who_said_goodbye_before_its_process_ended_said_it_though_the_sockets_rest(link):
    found, loop, send = link
    said = []
    found._link.process_died = lambda id, now: said.append("died")
    found._link.receive_datagram = lambda *what: said.append(what[0]) or False
    send(b"known")
    loop.ready[found._socket]()
    send(b"goodbye")
    found._died(5)
    assert said == [b"known", b"goodbye", "died"]


@pytest.mark.parametrize(("peers", "seconds"), [(1, 0.0008), (10, 0.008), (1_000, 0.04)])
def test_the_more_peers_the_longer_a_rest_within_bounds(link, monkeypatch, peers, seconds):
    found, loop, send = link
    loop.stop_time(monkeypatch, "peering")
    found._link.peers.update(dict.fromkeys(range(peers)))
    send(b"known")
    loop.ready[found._socket]()
    ((when, _),) = loop.timers
    assert when - loop.now == pytest.approx(seconds)


def test_an_echo_that_came_to_all_by_multicast_is_answered_by_nobody(link, monkeypatch):
    found, loop, _ = link
    question = pack_echo(1, 2, domain_number("d"), size=ECHO_SIZE, answer=ECHO_SIZE, aside=False)
    queue = [(question, ("127.0.0.1", 9))]
    got = []
    found._link.receive_datagram = lambda data, *_: got.append(data) or True
    monkeypatch.setattr(found._group, "poll", lambda: queue.pop() if queue else None)
    loop.ready[found._group]()
    assert got == [question]


def test_an_echo_is_answered_and_not_given_to_the_link(link):
    found, loop, _ = link
    found._link.receive_datagram = lambda *arguments: pytest.fail("the link got an echo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(20)
        question = pack_echo(1, 2, domain_number("d"), size=ECHO_SIZE, answer=ECHO_SIZE, aside=False)
        asker.sendto(question, (LOOPBACK, found.port))
        loop.ready[found._socket]()
        assert unpack_echoed(asker.recv(2_000)).node == found._link.id


def test_greetings_leave_from_where_we_were_asked_and_the_rest_from_where_the_peer_knows_us(link, monkeypatch):
    """And what one address was asked is answered before another is."""
    found, loop, _ = link
    here, there = ("10.0.0.1", "10.0.0.201"), ("10.0.0.2", 9)
    asked = iter((*here, here[1]))
    queue, sent = [(b"one", there), (b"two", there), (b"three", there)], []

    def poll():
        if queue:
            found._socket.asked = next(asked)
            return queue.pop(0)
        return None

    hello, alive = (b"III%c" % kind for kind in (Kind.HELLO, Kind.ALIVE))
    answers = []
    found._link.receive_datagram = lambda data, address, now, asked: answers.append((hello, address)) or True
    found._link.addresses = {there: Peer(7, there, 0.0, Mirror(), {there: Path(1, 2, 0.0, "10.0.0.201")})}
    found._link.datagrams_to_send = lambda: [answers.pop() for _ in range(len(answers))]
    found._network.way_to = lambda address, asked: (address, asked)
    monkeypatch.setattr(found._socket, "poll", poll)
    monkeypatch.setattr(found._socket, "sendto", lambda data, address, way: sent.append((data, way)) or True)
    loop.ready[found._socket]()
    assert sent == [(hello, ("10.0.0.2", ip)) for ip in (here[0], here[1], here[1])]
    found._link.datagrams_to_send = lambda: [(alive, there)]
    found.flush()
    assert sent[3:] == [(alive, ("10.0.0.2", "10.0.0.201"))]


def test_a_send_that_the_system_refuses_is_counted_and_the_link_learns_of_it(link, monkeypatch):
    found, _, _ = link
    told = []
    found._link.receive_unreachable = lambda address, now: told.append(address)
    found._link.datagrams_to_send = lambda: [(b"some", ("192.0.2.1", 9)), (b"y", None), (b"z", None)]
    monkeypatch.setattr(found._socket, "sendto", lambda data, address, way: False)
    monkeypatch.setattr(found._socket, "multicast", lambda data, interface, address: data == b"y")
    found.flush()
    assert told == [("192.0.2.1", 9)]
    assert found.refused == {"unicast": 1, "multicast": 1} and found.sent == 3


def test_greetings_go_out_once_for_each_network_of_interfaces_that_are_up(link, monkeypatch):
    found, _, _ = link
    down = LO.__class__("eth1", 3, ("10.1.0.1",), ("10.1.0.1/24",), 1_500, False, False, True)
    networks = ("10.0.0.1/24", "10.0.1.1/24", "10.0.0.201/24")
    two = LO.__class__("eth0", 2, ("10.0.0.1", "10.0.1.1", "10.0.0.201"), networks, 1_500, True, False, True)
    found._network.interfaces = (LO, two, down)
    sent = []
    monkeypatch.setattr(found._socket, "multicast", lambda *what: sent.append(what) or True)
    found._link.datagrams_to_send = lambda: [(b"hello", None)]
    found.flush()
    assert sent == [(b"hello", 1, LOOPBACK), (b"hello", 2, "10.0.0.1"), (b"hello", 2, "10.0.1.1")]


def test_it_hears_its_own_greeting_only_by_loopback_and_only_the_last_one(link):
    found, _, _ = link
    assert not found.hears_itself()
    queue = [(b"III" + bytes(5) + bytes(8), (LOOPBACK, 9)), (bytes(8) + found._own, ("10.0.0.1", 9))]
    found._group.poll = lambda: queue.pop(0) if queue else None
    assert not found.hears_itself(), "another's, and one that came back by another interface"
    queue.append((bytes(8) + found._own, (LOOPBACK, 9)))
    assert found.hears_itself() and found.hears_itself()
    found.rejoin()
    assert not found.hears_itself(), "that was before the network changed"


def test_its_own_greeting_is_looked_for_in_a_bounded_time(link):
    found, _, _ = link
    calls = []
    found._group.poll = lambda: calls.append(1) or (b"x" * 16, (LOOPBACK, 9))
    assert not found.hears_itself()
    assert len(calls) == peering.LOOKS * peering.DRAIN


def test_without_the_group_a_warning_is_logged_and_the_link_works(caplog):
    def refuse():
        raise TransportError(98, "cannot share UDP port 17769")

    made, loop, _, _ = make(Sockets(greetings=refuse))
    assert "no greeting by multicast" in caplog.text
    assert list(loop.ready) == [made._socket]
    made.rejoin()
    assert not made.hears_itself()
    made.close()
    assert not loop.ready


def test_without_a_port_there_is_no_link():
    def refuse(host, ports):
        raise TransportError(24, "Too many open files")

    with pytest.raises(TransportError, match="Too many open files"):
        make(Sockets(link=refuse))
