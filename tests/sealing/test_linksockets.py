"""sealing.linksockets: what a link sends is sealed, and what comes to it was opened."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from ipcpy.addresses import Way
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing.datagram import OVERHEAD, PROOF
from ipcpy.sealing.linksockets import SealedGreetings, SealedLinkSocket, sealed_greetings, sealed_link
from ipcpy.sealing.seal import Seal
from ipcpy.testing.sockets import sockets_in
from ipcpy.testing.weather import Weather
from ipcpy.transport.group import GroupSocket
from ipcpy.transport.kernel import LINUX
from ipcpy.transport.link import LinkSocket
from sealing import keyring, meet

HOST = "127.0.0.1"
LO = socket.if_nametoindex("lo") if LINUX else 1
ALIVE, HELLO = pack_frame(Kind.ALIVE, 1, 0, 0, bytes(17)), pack_frame(Kind.HELLO, 1, 0, 0, bytes(16))


class Ends:
    def __init__(self) -> None:
        self.stack = ExitStack()
        self.seals = Seal(keyring()), Seal(keyring())
        self.one, self.other = (self.open(seal) for seal in self.seals)
        self.there = HOST, self.other.port

    def open(self, seal: Seal, make=LinkSocket) -> LinkSocket:
        return self.stack.enter_context(closing(sealed_link(make, seal)(HOST, ())))


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    with made.stack:
        yield made


def test_what_is_sent_comes_opened_and_from_where(ends, wait_until):
    meet(*ends.seals)
    assert isinstance(ends.one, SealedLinkSocket)
    assert ends.one.sendto(ALIVE, ends.there)
    assert wait_until(ends.other.poll) == (ALIVE, (HOST, ends.one.port))
    assert ends.one.send_error(ALIVE, ends.there, Way(0, HOST)) is None
    assert wait_until(ends.other.poll) == (ALIVE, (HOST, ends.one.port))
    assert ends.other.asked == (HOST if LINUX else "")
    assert ends.other.poll() is None


def test_nothing_of_it_can_be_read_on_the_way(ends, wait_until):
    with closing(LinkSocket(HOST, ())) as plain:
        ends.one.sendto(ALIVE, (HOST, plain.port))
        data, _ = wait_until(plain.poll)
    assert len(data) == len(ALIVE) + PROOF.size + OVERHEAD and ALIVE[8:] not in data


def test_what_is_refused_comes_as_nothing(ends, wait_until):
    with closing(LinkSocket(HOST, ())) as plain:
        plain.sendto(HELLO, ends.there)
        assert wait_until(ends.other.poll) == (b"", (HOST, plain.port))
    assert ends.seals[1].refused == {"unsealed": 1}


def test_who_is_not_believed_is_shown_a_challenge_by_the_way_that_he_asked(ends, wait_until):
    ways = []
    ends.other.way_to = lambda address, asked: ways.append((address, asked))
    ends.one.sendto(ALIVE, ends.there)
    assert wait_until(ends.other.poll)[0] == b""
    assert ways == [(HOST, HOST if LINUX else "")]
    assert wait_until(ends.one.poll) == (b"", ends.there)
    ends.one.sendto(ALIVE, ends.there)
    assert wait_until(ends.other.poll)[0] == ALIVE


def test_a_greeting_to_all_comes_to_each_and_to_oneself(ends, wait_until):
    makers = [sealed_greetings(GroupSocket, seal) for seal in ends.seals]
    groups = [ends.stack.enter_context(closing(make())) for make in makers]
    for group in groups:
        assert isinstance(group, SealedGreetings) and group.join([LO]) == {LO}
        assert group.rejoin([LO]) == {LO} and group.poll() is None and group.drops() == 0
    assert ends.one.multicast(HELLO, LO, HOST)
    for group in groups:
        assert wait_until(group.poll) == (HELLO, (HOST, ends.one.port))


def test_the_sockets_of_a_bad_network_are_sealed_too(ends, wait_until):
    weather = Weather(0.0, 0.0, 0.0, 0.0, 1)
    one = ends.open(ends.seals[0], sockets_in(weather).link)
    meet(*ends.seals)
    assert one.sendto(ALIVE, ends.there)
    assert wait_until(ends.other.poll)[0] == ALIVE
    weather.close()


def test_what_does_not_leave_is_said(ends):
    assert not ends.one.sendto(ALIVE, ends.there, Way(-1, ""))
    assert ends.one.send_error(ALIVE, ends.there, Way(-1, "")) is not None


def test_a_life_that_has_ended_sends_nothing_and_answers_nobody(ends, wait_until):
    ends.seals[0].end()
    assert not ends.one.sendto(ALIVE, ends.there) and ends.one.send_error(ALIVE, ends.there) is not None
    assert not ends.one.multicast(HELLO, LO, HOST)
    ends.other.sendto(ALIVE, (HOST, ends.one.port))
    assert wait_until(ends.one.poll)[0] == b""


def test_it_closes_what_it_stands_around(ends):
    assert ends.one.fileno() > 0
    ends.one.close()
    ends.one.close()
    assert ends.one.fileno() == -1 and not ends.one.sendto(ALIVE, ends.there)
