"""What a node with a key shows by mDNS: nobody's name, and who shares the key finds it there all the same."""

from __future__ import annotations

import socket

import pytest

import ipcpy as ipc
from ipcpy.node.shared import node_for
from ipcpy.transport.group import GroupSocket

pytest.importorskip("zeroconf")

NAMES = ("secretarm", "secretdomain", "secrettopic", "secrethost")


@pytest.fixture
def heard(monkeypatch):
    """All that is sent by mDNS on loopback meanwhile: a function that returns it so far."""
    group, packets = GroupSocket("224.0.0.251", 5353), []
    index = socket.if_nametoindex("lo")
    assert group.join((index,))

    def heard():
        packets.extend(data for data, _ in iter(group.poll, None))
        return b"".join(packets)

    yield heard
    group.close()


@pytest.mark.parametrize("sealed", [True, False], ids=["with a key", "without"])
def test_no_name_leaks_with_a_key(heard, tmp_path, wait_until, monkeypatch, sealed):
    monkeypatch.setattr("ipcpy.node.identity.host_name", lambda: "secrethost")
    made = ipc.new_key(tmp_path / "key")
    key = made.path if sealed else False
    with ipc.Node("secretarm", domain="secretdomain", key=key) as node, ipc.Publisher("secrettopic", node=node):
        wait_until(lambda: f"id={node.id}".encode() in heard(), timeout=20)
        assert (b"k=" + made.keys[0].id.hex().encode() in heard()) is sealed
    told = {name for name in NAMES if name.encode() in heard()}
    assert told == (set() if sealed else set(NAMES))


def test_who_shares_the_key_is_found_by_mdns_and_others_are_not_knocked_at(tmp_path, wait_until, monkeypatch):
    """Greetings by multicast are switched off, and loopback is not knocked at."""
    monkeypatch.setattr("ipcpy.node.peering.Peering._multicast", lambda *_: None)
    monkeypatch.setattr("ipcpy.node.rendezvous.Rendezvous._listen", lambda *_: None)
    made, other = ipc.new_key(tmp_path / "key"), ipc.new_key(tmp_path / "other")
    with (
        ipc.Node("one", key=made.path) as one,
        ipc.Node("two", key=made.path) as two,
        ipc.Node("third", key=other.path) as third,
        ipc.Node("plain") as plain,
    ):
        wait_until(lambda: len(one.nodes()) == len(two.nodes()) == 2, timeout=20)
        wait_until(lambda: all(node.stats.mdns.get("key", 0) >= 2 for node in (one, third, plain)), timeout=20)
        assert len(third.nodes()) == len(plain.nodes()) == 1
        for node in (third, plain):
            assert not node.stats.dropped
            assert not node_for(node)._link.leads
