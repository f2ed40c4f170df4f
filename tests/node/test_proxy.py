"""What a node does for those that it speaks for: whom it finds, and what it tells them of what mDNS says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.node.proxy import (
    KEPT,
    MAX_ADDRESSES,
    MAX_HEARD,
    MAX_SPOKEN_FOR,
    MAX_TOLD,
    NEWS,
    TELL,
    TELL_AGAIN,
    Proxy,
    is_near,
)
from ipcpy.protocol.link.entries import NodeEntry, pack_entry
from ipcpy.protocol.link.link import Link
from still import StillLoop

OWN = 0xABC
ENTRY = NodeEntry("arm", "robot", 1, "2026.1.1", "lab", "this machine", 500)
NEAR, FAR = ("127.0.0.1", 17_770), ("10.0.0.7", 17_770)
THERE = ("10.0.0.9", 17_771)


class Made:
    """A Proxy whose link takes note of what it is to tell."""

    port = 17_771

    def __init__(self, monkeypatch):
        self.loop = StillLoop()
        self.loop.stop_time(monkeypatch, "loop", "proxy")
        self.link = Link(OWN, pack_entry(ENTRY), ENTRY.domain, bytes(16), seed=1)
        self.told, self.flushes = [], 0
        self.link.tell = lambda id, addresses: self.told.append((id, list(addresses)))
        self.proxy = Proxy(self.loop, ENTRY, self.link, self)

    def hears_itself(self):
        return True

    def flush(self):
        self.flushes += 1

    def tell(self):
        raise AssertionError("nothing of this node changes")

    def meet(self, id, *addresses, machine=ENTRY.machine, speaker=0, shown="so"):
        entry = NodeEntry(f"n{id}", "h", 1, "1", "lab", machine, 1, speaker, shown)
        peer = SimpleNamespace(id=id, entry=entry, stalled=False, paths=dict.fromkeys(addresses), outer=addresses[0])
        self.link.peers[id] = peer

    def take_told(self):
        told, self.told = self.told, []
        return told


@pytest.fixture
def made(monkeypatch):
    return Made(monkeypatch)


def test_near_is_who_is_on_this_machine_and_heard_on_loopback(made):
    made.meet(1, FAR, NEAR)
    made.meet(2, FAR)
    made.meet(3, NEAR, machine="another")
    made.meet(4, NEAR, machine="")
    near = {id: is_near(peer, ENTRY.machine) for id, peer in made.link.peers.items()}
    assert near == {1: True, 2: False, 3: False, 4: False}
    assert not is_near(made.link.peers[4], "")
    assert not is_near(SimpleNamespace(entry=None, paths={NEAR: None}), ENTRY.machine)


def test_those_are_found_who_say_that_this_node_speaks_for_them_and_are_shown_alike(made):
    made.meet(1, FAR, ("127.0.0.1", 17_775), speaker=OWN)
    made.meet(2, NEAR, speaker=1)
    made.meet(3, FAR, speaker=OWN)
    made.meet(4, NEAR, speaker=OWN, shown="otherwise")
    assert [(peer.id, entry.name, port) for peer, entry, port in made.proxy.find("so")] == [(1, "n1", 17_775)]


def test_so_many_are_spoken_for_and_no_more(made):
    for id in range(1, MAX_SPOKEN_FOR + 3):
        made.meet(id, NEAR, speaker=OWN)
    assert len(list(made.proxy.find("so"))) == MAX_SPOKEN_FOR


def test_an_unknown_node_is_knocked_at_and_told_of(made):
    made.proxy.speak_for([5, 6])
    assert 5 in made.proxy and 7 not in made.proxy
    made.proxy.hear(THERE, 9)
    assert THERE in made.link.leads and made.take_told() == []
    made.proxy.hear(FAR, 8)
    made.loop.advance(TELL * 1.1)
    assert made.take_told() == [(5, [THERE, FAR]), (6, [THERE, FAR])], "those of a moment together"
    made.proxy.hear(THERE, 9)
    made.loop.advance(1)
    assert made.take_told() == [(5, [THERE]), (6, [THERE])], "it is no peer yet, and heard again"


def test_a_peer_is_told_of_once_where_it_is_reached(made):
    made.meet(9, FAR, THERE)
    made.proxy.speak_for([5])
    for _ in range(3):
        made.proxy.hear(THERE, 9)
        made.loop.advance(1)
    assert made.take_told() == [(5, [FAR])]
    assert not made.link.leads


def test_nodes_of_this_host_are_not_told_of_they_meet_without_it(made):
    made.meet(9, THERE, NEAR)
    made.proxy.speak_for([5])
    made.proxy.hear(THERE, 9)
    made.loop.advance(1)
    made.proxy.speak_for([5, 6])
    assert made.take_told() == []


def test_who_comes_later_is_told_what_was_heard_before(made):
    made.meet(8, FAR)
    made.proxy.hear(FAR, 8)
    made.proxy.hear(THERE, 9)
    made.loop.advance(1)
    assert made.take_told() == []
    made.proxy.speak_for([5])
    assert made.take_told() == [(5, [FAR, THERE])]
    made.proxy.speak_for([5, 6])
    assert made.take_told() == [(6, [FAR, THERE])]


def test_what_may_have_been_lost_is_told_again_for_as_long_as_it_is_true(made):
    made.meet(8, FAR)
    made.proxy.hear(FAR, 8)
    made.proxy.hear(THERE, 9)
    made.proxy.speak_for([5])
    made.take_told()
    made.loop.advance(TELL_AGAIN * 1.1)
    assert made.take_told() == [(5, [FAR, THERE])]
    made.loop.advance(KEPT)
    assert made.take_told()[-1] == (5, [FAR]), "nobody is known at the other, and nothing was heard of it"
    del made.link.peers[8]
    made.loop.advance(TELL_AGAIN)
    assert made.take_told() == []
    made.meet(7, FAR)
    made.proxy.hear(FAR, 7)
    made.proxy.speak_for([])
    made.loop.advance(1_000)
    assert made.take_told() == []


def test_who_was_heard_and_became_a_peer_is_told_of_as_one(made):
    made.proxy.hear(THERE, 9)
    made.meet(9, FAR)
    made.proxy.speak_for([5])
    assert made.take_told() == [(5, [FAR])]
    assert not made.proxy._heard


def test_peers_that_went_are_forgotten_though_nobody_is_told(made):
    for id in range(1, 1_000):
        made.meet(id, FAR)
        made.proxy.hear(FAR, id)
        if id > 10:
            del made.link.peers[id - 10]
    assert len(made.proxy._met) <= 20


def test_what_is_kept_and_told_is_bounded_whatever_is_heard_and_peers_and_the_newest_go_first(made):
    for port in range(1, 100):
        made.proxy.hear(("10.0.0.9", port), 9)
    made.proxy.speak_for([5])
    ((_, addresses),) = made.take_told()
    assert addresses == [("10.0.0.9", port) for port in range(100 - MAX_ADDRESSES, 100)]
    made.meet(8, FAR)
    made.proxy.hear(FAR, 8)
    made.loop.advance(1)
    made.take_told()
    for id in range(1, 3 * MAX_HEARD):
        for port in range(1, MAX_ADDRESSES + 1):
            made.proxy.hear((f"10.1.{id >> 8}.{id & 255}", port), 1_000 + id)
    assert len(made.proxy._heard) == MAX_HEARD
    made.loop.advance(1)
    ((_, news),) = made.take_told()
    assert len(news) == NEWS
    made.proxy.speak_for([6])
    ((_, addresses),) = made.take_told()
    newest = 3 * MAX_HEARD - 1
    assert len(addresses) == MAX_TOLD and addresses[0] == FAR
    assert addresses[1] == (f"10.1.{newest >> 8}.{newest & 255}", 1)
