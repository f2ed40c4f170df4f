"""discovery.saying: zeroconf packs it, and reads back what was meant."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ipcpy.discovery.advert import SERVICE_TYPE, Advert, instance_name, unpack_txt
from ipcpy.discovery.saying import ask_for, ask_who, records_of, service

zeroconf = pytest.importorskip("zeroconf")

ADVERT = Advert("0123456789abcdef", "arm", "robot-1", "lab", 40_000, "1", ("imu",))
NAME = instance_name("arm", ADVERT.node_id)
PTR, A, TXT, SRV, NSEC = 12, 1, 16, 33, 47


def read(query: Any) -> list[Any]:
    """Return the packets of a question as they are read."""
    return [zeroconf.DNSIncoming(data) for data in query.packets()]


def asked(query: Any) -> list[tuple[str, int]]:
    return [(each.name, each.type) for message in read(query) for each in message.questions]


def known(query: Any) -> list[str]:
    return [record.alias for message in read(query) for record in message.answers()]


def test_a_service_shows_the_advert_at_every_address() -> None:
    info = service(ADVERT, ["127.0.0.1", "10.0.0.1"])
    records = {kind: [record for record in records_of(info) if record.type == kind] for kind in (PTR, SRV, TXT, A)}
    server = f"ipcpy-{ADVERT.node_id}.local."
    assert [record.alias for record in records[PTR]] == [NAME]
    assert [(record.name, record.server, record.port) for record in records[SRV]] == [(NAME, server, 40_000)]
    assert {(record.name, record.address) for record in records[A]} == {
        (server, socket.inet_aton("127.0.0.1")),
        (server, socket.inet_aton("10.0.0.1")),
    }
    txt = unpack_txt(records[TXT][0].text)
    assert txt == {"v": b"1", "id": ADVERT.node_id.encode(), "domain": b"lab", "host": b"robot-1", "t0": b"imu"}


def test_all_records_of_a_service_are_known_as_ours_and_none_of_another() -> None:
    ours = records_of(service(ADVERT, ["10.0.0.1"]))
    assert {record.type for record in ours} == {PTR, SRV, TXT, A, NSEC}
    assert ours == records_of(service(ADVERT, ["10.0.0.1"]))
    other = Advert("f" * 16, "arm", "robot-1", "lab", 40_000, "1", ("imu",))
    assert ours.isdisjoint(records_of(service(other, ["10.0.0.1"])))


def test_the_question_who_is_there_names_each_that_is_known_once() -> None:
    names = [instance_name("n", f"{number:016x}") for number in (1, 2, 1)]
    query = ask_who(names)
    assert asked(query) == [(SERVICE_TYPE, PTR)]
    assert known(query) == names[:2]
    assert all(message.is_query() for message in read(query))


def test_a_crowd_that_is_known_is_named_up_to_256_in_packets_that_fit() -> None:
    names = [instance_name("n" * 46, f"{number:016x}") for number in range(300)]
    query = ask_who(iter(names))
    assert known(query) == names[:256]
    assert max(map(len, query.packets())) <= 1472


def test_what_is_missing_of_an_instance_is_asked_for_with_its_server_where_that_is_known() -> None:
    first, second = instance_name("a", "1" * 16), instance_name("b", "2" * 16)
    query = ask_for([(first, ""), (second, "b.local.")])
    assert query is not None
    assert asked(query) == [(first, SRV), (first, TXT), (second, SRV), (second, TXT), ("b.local.", A)]
    assert known(query) == []


def test_nothing_missing_is_no_question() -> None:
    assert ask_for([]) is None
