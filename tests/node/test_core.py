"""Core: what publishers and subscribers are given, and who is told of what. Those here only take note."""

from __future__ import annotations

import os
import threading
import time

import pytest

import ipcpy as ipc
from ipcpy.errors import ClosedError, TransportError
from ipcpy.node.core import CLOSE_ALL, Core
from ipcpy.protocol.link.entries import PublisherEntry, SubscriberEntry
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.settings import Settings
from ipcpy.transport.data import DataSocket
from ipcpy.transport.handover import connect
from ipcpy.transport.link import LinkSocket
from ipcpy.transport.sockets import Sockets

DOMAIN = "cores"


class Endpoint:
    """A publisher and a subscriber that takes note of what it is told, and in which thread."""

    def __init__(self, number):
        self.number, self.told, self.threads = number, [], set()

    def _note(self, what, *details):
        self.told.append((what, *details))
        self.threads.add(threading.current_thread().name)

    def subscriber_found(self, number, info, address):
        self._note("found", number, info.topic, address)

    def publisher_found(self, number, info, is_its_address, group):
        self._note("found", number, info.topic)

    def subscriber_lost(self, number):
        self._note("lost", number)

    publisher_lost = subscriber_lost

    def receive_datagram(self, data, address):
        self._note("datagram", data, address)

    def verify(self, address, *, forgotten=False):
        self._note("verify", address)

    def network_changed(self, interfaces=()):
        self._note("network", *interfaces)

    def account(self, rows, moment):
        self._note("account")

    def close(self):
        self.told.append(("close",))
        self.on_close()

    def on_close(self):
        pass


def done(core):
    """Wait until the I/O thread has done all it was asked for so far."""
    event = threading.Event()
    core.loop.call(event.set)
    assert event.wait(30)


@pytest.fixture
def core():
    """A core that has looked at the network for the first time."""
    core = Core("arm", Settings(DOMAIN, ("lo",)), Sockets())
    core.ensure_open()
    done(core)
    yield core
    core.close()


@pytest.fixture
def other():
    with ipc.Node("eye", domain=DOMAIN, interfaces="lo") as other:
        yield other


# -- announcing


def test_what_is_announced_is_known_to_others_until_it_is_withdrawn(core, other, wait_until):
    publisher = Endpoint(77)
    core.add_publisher(publisher, PublisherEntry("imu", "raw", keep=3))
    wait_until(lambda: [topic.name for topic in other.topics()] == ["imu"])
    (topic,) = other.topics()
    assert (topic.publishers[0].id, topic.publishers[0].keep) == (f"{77:016x}", 3)
    core.withdraw(77)
    wait_until(lambda: other.topics() == ())


def test_what_is_announced_again_is_changed(core, other, wait_until):
    publisher = Endpoint(77)
    core.add_publisher(publisher, PublisherEntry("imu", "raw"))
    core.add_publisher(publisher, PublisherEntry("imu", "msgpack"))
    wait_until(lambda: [topic.codec for topic in other.topics()] == ["msgpack"])


def test_what_cannot_be_announced_is_refused_and_not_kept(core):
    publisher, subscriber = Endpoint(1), Endpoint(2)
    schema = {"doc": "x" * 1_000_000}
    with pytest.raises(ValueError, match="too large for discovery"):
        core.add_publisher(publisher, PublisherEntry("imu", "raw", schema))
    with pytest.raises(ValueError, match="too large for discovery"):
        core.add_subscriber(subscriber, SubscriberEntry("imu", "any", 4_000, schema))
    core.close()
    assert publisher.told == subscriber.told == []


def test_many_topics_in_a_row_all_arrive(core, other, wait_until):
    publishers = [Endpoint(number) for number in range(1, 301)]
    for number, publisher in enumerate(publishers):
        core.add_publisher(publisher, PublisherEntry(f"t/{number}", "raw"))
    wait_until(lambda: len(other.topics()) == 300, timeout=20)


def test_a_publisher_and_a_subscriber_of_one_node_meet_in_the_io_thread(core):
    publisher, subscriber = Endpoint(1), Endpoint(2)
    core.add_publisher(publisher, PublisherEntry("imu", "raw"))
    core.add_subscriber(subscriber, SubscriberEntry("imu", "any", 4_000))
    done(core)
    assert publisher.told == [("found", 2, "imu", ("127.0.0.1", 4_000))]
    assert subscriber.told == [("found", 1, "imu")]
    assert publisher.threads == subscriber.threads == {"ipcpy arm"}
    core.withdraw(2)
    done(core)
    assert publisher.told[1:] == [("lost", 2)]


def test_what_a_withdrawn_one_misses_is_not_told_to_it(core):
    publisher = Endpoint(1)
    core.add_publisher(publisher, PublisherEntry("imu", "raw"))
    core.withdraw(1)
    core.add_subscriber(Endpoint(2), SubscriberEntry("imu", "any", 4_000))
    done(core)
    assert publisher.told == []


# -- the sockets that publishers share


def test_an_answer_goes_to_the_publishers_it_names_and_to_no_other(core, wait_until):
    publishers = [Endpoint(number) for number in (1, 2, 3)]
    for publisher in publishers:
        core.add_publisher(publisher, PublisherEntry("imu", "raw"))
    subscriber = DataSocket("127.0.0.1")
    socket = core.connection(("127.0.0.1", subscriber.port), 1)
    assert core.connection(("127.0.0.1", subscriber.port), 2) is socket
    answer = pack_frame(Kind.REPORT, 2, 9, 0, bytes(24))
    subscriber.sendto(answer, ("127.0.0.1", socket._sock.getsockname()[1]))
    wait_until(lambda: publishers[1].told)
    assert publishers[1].told == [("datagram", answer, ("127.0.0.1", subscriber.port))]
    assert publishers[0].told == publishers[2].told == []
    subscriber.close()


def test_a_refusal_makes_those_who_send_there_ask_again(core, wait_until):
    publishers = [Endpoint(number) for number in (1, 2)]
    for publisher in publishers:
        core.add_publisher(publisher, PublisherEntry("imu", "raw"))
    gone = DataSocket("127.0.0.1")
    address = ("127.0.0.1", gone.port)
    gone.close()
    core.connection(address, 1).send(b"anybody?")
    wait_until(lambda: publishers[0].told)
    assert publishers[0].told == [("verify", address)] and publishers[1].told == []


def test_a_refusal_makes_the_node_that_listened_there_doubtful(core, wait_until):
    other = Core("eye", Settings(DOMAIN, ("lo",)), Sockets())
    other.ensure_open()
    other.add_subscriber(Endpoint(9), SubscriberEntry("imu", "any", 4_000))
    wait_until(lambda: core.topics())
    doubted = []
    core._peering.doubt = doubted.append
    core.loop.call(core._on_refusal, ("127.0.0.1", 4_001))
    core.loop.call(core._on_refusal, ("127.0.0.1", 4_000))
    done(core)
    assert doubted == [other.id]
    other.close()


def test_the_last_publisher_that_releases_a_socket_closes_it(core):
    address = ("127.0.0.1", 9)
    socket = core.connection(address, 1)
    core.connection(address, 2)
    core.release_connection(address, 1)
    assert not socket.closed
    core.release_connection(address, 2)
    assert socket.closed


# -- the network


def test_the_way_to_an_address_by_multicast(core):
    assert core.bind_host == "127.0.0.1"
    assert core.interface_of("127.0.0.1") in core.interface_indexes()
    assert core.interface_of("192.0.2.1") is None
    socket = core.fanout_socket(("239.1.2.3", 5_000), "127.0.0.1", lambda socket: None)
    assert socket is not None
    core.loop.unwatch(socket)
    socket.close()
    assert core.fanout_socket(("239.1.2.3", 5_000), "192.0.2.1", lambda socket: None) is None


def test_without_a_descriptor_there_is_no_multicast():
    def refuse(group, interface, address):
        raise TransportError(24, "Too many open files")

    core = Core("arm", Settings(DOMAIN, ("lo",)), Sockets(fanout=refuse))
    core.ensure_open()
    done(core)
    assert core.fanout_socket(("239.1.2.3", 5_000), "127.0.0.1", lambda socket: None) is None
    core.close()


def test_all_are_told_of_other_interfaces_and_only_stale_ways_of_other_routes(core):
    publisher, subscriber = Endpoint(1), Endpoint(2)
    core.add_publisher(publisher, PublisherEntry("a", "raw"))
    core.add_subscriber(subscriber, SubscriberEntry("b", "any", 4_000))
    done(core)
    core.loop.call(core._on_network, False)
    done(core)
    assert publisher.told == subscriber.told == []
    core.loop.call(core._on_network, True)
    done(core)
    assert publisher.told == [("network",)]
    assert subscriber.told == [("network", *core.interface_indexes())]


def test_who_is_reached_by_another_way_now_is_challenged_anew(core):
    publisher, near, far = Endpoint(1), Endpoint(2), Endpoint(3)
    core.add_publisher(publisher, PublisherEntry("a", "raw"))
    for subscriber, port in ((near, 4_000), (far, 4_001)):
        core.add_subscriber(subscriber, SubscriberEntry("a", "any", port))
    done(core)
    publisher.told.clear()
    core._connections.refresh = lambda: {("127.0.0.1", 4_001)}
    core.loop.call(core._on_network, False)
    done(core)
    assert publisher.told == [("found", 3, "a", ("127.0.0.1", 4_001))]


def test_rendezvous_is_told_of_other_interfaces_and_of_what_is_published(core):
    told = []
    core.rendezvous.network_changed = lambda: told.append("network")
    core.rendezvous.show = lambda: told.append(core._introductions.published(core.id))
    core.loop.call(core._on_network, False)
    core.loop.call(core._on_network, True)
    done(core)
    assert told == ["network"]
    publisher = Endpoint(1)
    core.add_publisher(publisher, PublisherEntry("a", "raw"))
    done(core)
    done(core)  # it is told by an alarm, which rings once all calls of a round are made
    assert told == ["network", ("a",)]


# -- the end


def test_publishers_are_told_how_long_they_may_take_to_close(core):
    publisher = Endpoint(1)
    core.add_publisher(publisher, PublisherEntry("a", "raw"))
    assert core.close_by == float("inf")
    left = []
    publisher.on_close = lambda: left.append(core.close_by - time.monotonic())
    core.close()
    assert left[0] <= CLOSE_ALL


def test_closing_closes_all_that_were_added_and_says_goodbye(core, other, wait_until):
    publisher, subscriber = Endpoint(1), Endpoint(2)
    core.add_publisher(publisher, PublisherEntry("a", "raw"))
    core.add_subscriber(subscriber, SubscriberEntry("b", "any", 4_000))
    wait_until(lambda: len(other.topics()) == 2)
    with other.watch() as watch:
        core.close()
        core.close()
        assert publisher.told[-1] == subscriber.told[-1] == ("close",)
        events = [watch.get(20) for _ in range(7)]  # two nodes, two topics; then all of ours goes
        assert {event.reason for event in events if hasattr(event, "reason")} == {"closed"}
    with pytest.raises(ClosedError):
        core.ensure_open()


def test_where_there_is_no_port_nothing_is_left_open():
    def refuse(host, ports):
        raise TransportError(24, "Too many open files")

    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(TransportError, match="Too many open files"):
        Core("luckless", Settings(DOMAIN, ("lo",)), Sockets(link=refuse)).ensure_open()
    assert {thread.name for thread in threading.enumerate()} <= before


def test_it_is_made_of_the_sockets_it_was_given():
    made = []

    class Link(LinkSocket):
        def __init__(self, host, ports):
            super().__init__(host, ports)
            made.append(self)

    core = Core("arm", Settings(DOMAIN, ("lo",)), Sockets(link=Link, mdns=False))
    core.ensure_open()
    assert [link.port for link in made] == [core.link_port]
    core.close()


def test_closing_once_more_does_what_an_exception_from_outside_has_left(core, monkeypatch, wait_until):
    def interrupt():
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(core._view, "close", interrupt)
    with core.watch() as watch:
        with pytest.raises(KeyboardInterrupt):
            core.close()
        core.close()
        with pytest.raises(ClosedError):
            while True:
                watch.get(20)
    wait_until(lambda: core.loop.stopping)


@pytest.mark.parametrize("moment", ["closed", "close_by"])
def test_a_node_is_closed_although_an_exception_from_outside_came_first(moment, wait_until):
    class Interrupted(Core):
        done = False

        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == moment and self.__dict__.get("loop") and not self.done:
                self.__dict__["done"] = True
                raise KeyboardInterrupt

    core = Interrupted("interrupted", Settings(DOMAIN), Sockets())
    core.ensure_open()
    with pytest.raises(KeyboardInterrupt):
        core.close()
    core.close()
    wait_until(lambda: core.loop.stopping)


# -- shared memory


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")
def test_shared_memory_is_taken_from_the_first_subscriber_on_until_the_node_is_closed(core, wait_until):
    name = f"{core.id:016x}"
    assert core.handovers.limit == Settings().memory and connect(name) is None
    core.add_subscriber(Endpoint(2), SubscriberEntry("imu", "any", 4_000))
    done(core)
    client = connect(name)
    client.send(b"no offer")
    wait_until(lambda: core.stats().handovers == {"malformed": 1})
    client.close()
    core.close()
    assert connect(name) is None


def test_where_a_node_has_sockets_alone_or_memory_is_switched_off_nobody_connects(core):
    off, alone = Settings(DOMAIN, ("lo",), memory=0), Settings(DOMAIN, ("lo",))
    for settings, sockets in ((off, Sockets()), (alone, Sockets(memory=False))):
        other = Core("none", settings, sockets)
        other.ensure_open()
        assert other.handovers.limit == 0 and other.handovers.connect(f"{core.id:016x}") is None
        other.close()
