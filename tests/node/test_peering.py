"""The link alive: when its sockets rest, when mDNS joins in."""

from __future__ import annotations

import socket

import pytest

import ipcpy as ipc
from ipcpy.node import peering
from ipcpy.node.peering import Peering
from ipcpy.protocol.link.entries import NodeEntry
from ipcpy.protocol.link.peers import Timing
from ipcpy.settings import Settings
from ipcpy.transport.sockets import Sockets


class Files:
    """A loop that only takes note."""

    def __init__(self):
        self.ready, self.timers = {}, []

    def watch(self, file, ready):
        self.ready[file] = ready

    def unwatch(self, file):
        self.ready.pop(file, None)

    def in_thread(self):
        return True

    def call_at(self, when, function):
        self.timers.append(function)


@pytest.fixture
def link():
    """A link's sockets with a loop that only takes note; what comes is news if it says so."""
    files = Files()
    entry = NodeEntry("n", "h", 1, "1", "d")
    found = Peering(files, Settings("d", ("lo",)), 1, entry, lambda event: None, lambda others: None, Sockets())
    found.link.receive_datagram = lambda data, address, now: data == b"news"
    found.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", found.port))
        yield found, files, sock.send
    found.abandon()


def test_the_sockets_rest_while_nothing_new_comes(link):
    found, files, send = link
    watched = dict(files.ready)
    assert len(watched) == 2
    send(b"known")
    files.ready[found._socket]()
    assert not files.ready
    watched[found._group]()  # it was ready in the same moment
    assert len(files.timers) == 1, "one rest at a time"
    for _ in range(2):
        send(b"known")
        files.timers.pop()()
        assert not files.ready and len(files.timers) == 1
    files.timers.pop()()
    assert files.ready == watched, "nothing came: whatever comes next is read at once"


@pytest.mark.parametrize("datagrams", [[b"news"], [b"known", b"news"], [b"known"] * peering.DRAIN])
def test_no_rest_after_news_or_amid_a_flood(link, datagrams):
    found, files, send = link
    send(b"known")
    files.ready[found._socket]()
    for datagram in datagrams:
        send(datagram)
    files.timers.pop()()
    assert len(files.ready) == 2
    send(b"news")
    files.ready[found._socket]()
    assert len(files.ready) == 2


def test_a_defect_ends_the_rest(link):
    found, files, send = link
    send(b"known")
    files.ready[found._socket]()
    found.link.receive_datagram = lambda *arguments: 1 / 0
    send(b"known")
    with pytest.raises(ZeroDivisionError):
        files.timers.pop()()
    assert len(files.ready) == 2


def test_a_closed_link_does_not_wake_from_its_rest(link):
    found, files, send = link
    send(b"known")
    files.ready[found._socket]()
    found.abandon()
    files.timers.pop()()
    assert not files.ready


def test_a_peer_that_lives_answers_before_a_second_refusal_is_believed():
    assert 2 * peering.REST_MAX < Timing().verify, "its rest and ours"


def until(condition, node, timeout=20.0):
    return node._view.wait(condition, timeout)


def test_mdns_starts_also_where_others_were_found_without_it(monkeypatch):
    started = []
    monkeypatch.setattr(
        "ipcpy.node.peering.Peering._start_mdns", lambda peering: started.append(len(peering.link.peers))
    )
    with ipc.Node("a", interfaces="lo", domain="peering") as a, ipc.Node("b", interfaces="lo", domain="peering") as b:
        assert until(lambda: len(a._view._nodes) == len(b._view._nodes) == 2, a)
        with a.watch() as watch:  # nothing more comes; it only keeps the time
            deadline = 20
            while len(started) < 2 and deadline:
                deadline -= 1
                try:
                    while True:
                        watch.get(timeout=0.25)
                except TimeoutError:
                    pass
        assert started == [1, 1]


def test_refusals_are_read_although_something_comes_in_every_rest(link):
    found, files, send = link
    told = []
    found.link.receive_refusal = lambda address, now: told.append(address)
    send(b"known")
    files.ready[found._socket]()
    found._socket.failures = lambda: [] if told else [(("127.0.0.1", 9), True)]
    send(b"known")
    files.timers.pop()()
    assert told == [("127.0.0.1", 9)]
