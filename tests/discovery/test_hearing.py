"""discovery.hearing with zeroconf's own records and cache; no sockets."""

from __future__ import annotations

import socket
import struct
from types import SimpleNamespace
from typing import Any

import pytest

import mdnsnet
from ipcpy.discovery.advert import SERVICE_TYPE, instance_name
from ipcpy.discovery.hearing import batch, listener
from ipcpy.discovery.sightings import Batch

zeroconf = pytest.importorskip("zeroconf")

NODE = "0123456789abcdef"
NAME = instance_name("forged", NODE)


def records(*packed: bytes) -> list[Any]:
    """Return what zeroconf makes of a packet of these records."""
    return list(zeroconf.DNSIncoming(mdnsnet.packet(*packed)).answers())


class Net:
    """A listener behind a cache of zeroconf's, and what it handed over."""

    def __init__(self, kept: set[str] | None = None) -> None:
        self.cache = zeroconf.DNSCache()
        self.heard: list[list[Any]] = []
        self._kept = kept or set()
        self._listener = listener(self.heard.append, lambda record: record.name in self._kept)

    def receive(self, *packed: bytes, later_ms: float = 0.0) -> None:
        """Do what zeroconf's record manager does with a packet."""
        found = records(*packed)
        now = zeroconf.current_time_millis() + later_ms
        updates = [zeroconf.RecordUpdate(record, None) for record in found]
        self._listener.async_update_records(SimpleNamespace(cache=self.cache), now, updates)
        self.cache.async_add_records([record for record in found if not record.is_expired(now)])
        self._listener.async_update_records_complete()


def test_the_records_of_a_node_are_sorted_by_kind() -> None:
    found = batch(records(*mdnsnet.instance(NODE, "10.0.0.1", 4711)))
    server = f"forged-{NODE}.local."
    assert found.pointers == [NAME]
    assert found.services == [(NAME, server, 4711)]
    assert [(name, text[:4]) for name, text in found.texts] == [(NAME, b"\x03v=1")]
    assert found.addresses == [(server, socket.inet_aton("10.0.0.1"))]


def test_pointers_of_other_services_are_left_out_and_names_ignore_case() -> None:
    found = batch(
        records(
            mdnsnet.record("_tv._tcp.local.", mdnsnet.PTR, mdnsnet.name("lounge._tv._tcp.local.")),
            mdnsnet.record(SERVICE_TYPE.upper(), mdnsnet.PTR, mdnsnet.name(NAME)),
        )
    )
    assert found == Batch(pointers=[NAME])


def test_kinds_that_tell_nothing_of_a_node_are_left_out() -> None:
    host = mdnsnet.record("a.local.", 13, b"\x01x\x01y")
    ipv6 = mdnsnet.record("a.local.", 28, bytes(16))
    assert batch(records(host, ipv6)) == Batch()


def test_a_packet_is_handed_over_whole_and_not_remembered() -> None:
    net = Net()
    net.receive(*mdnsnet.instance(NODE, "10.0.0.1"))
    assert [[record.type for record in heard] for heard in net.heard] == [[12, 33, 16, 1]]
    assert net.cache.names() == []


def test_only_what_is_to_be_kept_stays_in_zeroconfs_cache() -> None:
    net = Net(kept={"mine.local."})
    net.receive(
        mdnsnet.record("mine.local.", mdnsnet.A, socket.inet_aton("10.0.0.9")),
        mdnsnet.record("tv.local.", mdnsnet.A, socket.inet_aton("10.0.0.8")),
        mdnsnet.record(SERVICE_TYPE, mdnsnet.PTR, mdnsnet.name(NAME)),
    )
    assert net.cache.names() == ["mine.local."]
    assert len(net.heard[0]) == 3


def test_a_goodbye_is_not_handed_over() -> None:
    net = Net()
    leaving = mdnsnet.record(SERVICE_TYPE, mdnsnet.PTR, mdnsnet.name(NAME), ttl=0)
    net.receive(leaving)
    assert net.heard == []
    net.receive(leaving, mdnsnet.record(NAME, mdnsnet.SRV, struct.pack(">3H", 0, 0, 1) + mdnsnet.name("a.local.")))
    assert [record.type for record in net.heard[0]] == [33]


def test_what_was_in_the_cache_until_it_expired_is_not_handed_over() -> None:
    net = Net()
    net.receive(*mdnsnet.instance(NODE, "10.0.0.1"), later_ms=4_500_001)
    assert net.heard == []


def test_the_same_record_twice_in_a_packet_harms_nothing() -> None:
    net = Net()
    address = mdnsnet.record("tv.local.", mdnsnet.A, socket.inet_aton("10.0.0.8"))
    net.receive(address, address)
    assert net.cache.names() == []
