"""By which interface, and from which address, something leaves for another node."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.addresses import Way
from ipcpy.node.ways import Ways

THERE, NODE = ("10.0.0.7", 5_000), 0xA1


@pytest.fixture
def asked():
    return []


@pytest.fixture
def ways(asked):
    def way_to(ip, source):
        asked.append((ip, source))
        return Way(2, source)

    network = SimpleNamespace(way_to=way_to)
    introductions = SimpleNamespace(node_listening_at={THERE: NODE}.get)
    peer = SimpleNamespace(source_to=lambda ip: "10.0.0.1")
    return Ways(network, introductions, {NODE: peer})


def test_what_leaves_for_a_node_leaves_from_the_address_that_the_node_speaks_to(ways):
    assert ways.to_node(f"{NODE:016x}", "10.0.0.7") == Way(2, "10.0.0.1")
    assert ways.to_subscriber(THERE) == Way(2, "10.0.0.1")


def test_for_a_node_that_is_not_known_the_network_chooses(ways, asked):
    ways.to_node(f"{7:016x}", "10.0.0.9")
    ways.to_subscriber(("10.0.0.9", 1))
    assert asked == [("10.0.0.9", "")] * 2


def test_on_this_host_the_system_chooses(ways, asked):
    assert ways.to_node(f"{NODE:016x}", "127.0.0.1") is None
    assert ways.to_subscriber(("127.0.0.1", 1)) is None
    assert asked == []
