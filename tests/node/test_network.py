"""This host's network: who is told of which change and when, and which interface leads where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipcpy.addresses import NOWHERE, Way
from ipcpy.node import network as module
from ipcpy.node.network import LOOK_AGAIN, SETTLE, Network
from ipcpy.settings import Settings
from ipcpy.transport.interfaces import Interface
from still import StillLoop

LO = Interface("lo", 1, ("127.0.0.1",), ("127.0.0.1/8",), 65_536, True, True, True)
ETH = Interface("eth0", 2, ("10.0.0.1", "10.0.1.1"), ("10.0.0.1/24", "10.0.1.1/24"), 9_000, True, False, True)
TUN = Interface("tun0", 3, ("10.8.0.1",), ("10.8.0.1/24",), 1_400, True, False, False)


class Word:
    """A watch that tells of a change when a test says so."""

    def __init__(self):
        self.changed, self.closed = True, False

    def read(self):
        return self.changed

    def close(self):
        self.closed = True


class Made:
    """A Network of made-up interfaces."""

    def __init__(self, monkeypatch, *interfaces, word=None, settings=None):
        self.loop, self.interfaces, self.word = StillLoop(), interfaces, word
        self.told, self.wanted, self.opened = [], [], 0
        self.loop.stop_time(monkeypatch, "loop", "network")
        settings = settings or Settings()
        self.network = Network(self.loop, settings, self.told.append, self.look, self.open)

    def look(self, wanted):
        self.wanted.append(wanted)
        return self.interfaces

    def open(self):
        self.opened += 1
        return self.word

    def say(self):
        self.loop.ready[self.word]()


def test_the_first_look_tells_of_the_interfaces(monkeypatch):
    made = Made(monkeypatch, LO, ETH, word=Word())
    assert made.network.interfaces == () and made.told == []
    made.network.start()
    assert made.network.interfaces == (LO, ETH) and made.told == [True]


def test_many_words_of_one_change_cause_one_look_when_it_has_settled(monkeypatch):
    made = Made(monkeypatch, LO, ETH, word=Word())
    made.network.start()
    made.interfaces = (LO,)
    for _ in range(10):
        made.say()
    made.loop.advance(SETTLE * 0.9)
    assert len(made.wanted) == 1
    made.loop.advance(SETTLE * 0.2)
    assert len(made.wanted) == 2 and made.told == [True, True] and made.network.interfaces == (LO,)
    made.loop.advance(60)
    assert len(made.wanted) == 2, "nothing more was said"


def test_the_same_interfaces_again_mean_that_routes_may_be_others(monkeypatch):
    made = Made(monkeypatch, LO, ETH, word=Word())
    made.network.start()
    made.say()
    made.loop.advance(1)
    assert made.told == [True, False]


def test_what_is_no_change_causes_no_look(monkeypatch):
    made = Made(monkeypatch, LO, word=Word())
    made.network.start()
    made.word.changed = False
    made.say()
    made.loop.advance(60)
    assert len(made.wanted) == 1


def test_where_the_system_tells_of_nothing_it_looks_now_and_then(monkeypatch):
    made = Made(monkeypatch, LO)
    made.network.start()
    made.loop.advance(LOOK_AGAIN * 1.5)
    made.interfaces = (LO, ETH)
    made.loop.advance(LOOK_AGAIN)
    assert made.told == [True, False, True] and made.network.interfaces == (LO, ETH)


def test_it_looks_again_although_one_who_was_told_failed(monkeypatch):
    made = Made(monkeypatch, LO)
    made.network._on_change = lambda others: 1 / 0
    with pytest.raises(ZeroDivisionError):
        made.network.start()
    with pytest.raises(ZeroDivisionError):
        made.loop.advance(LOOK_AGAIN)
    assert len(made.wanted) == 2


@pytest.mark.parametrize("interfaces", [("lo",), ("127.0.0.1",), ("127.0.0.2", "lo")])
def test_on_loopback_alone_nothing_else_is_bound_looked_at_or_watched(monkeypatch, interfaces):
    made = Made(monkeypatch, LO, settings=Settings(interfaces=interfaces))
    made.network.start()
    made.loop.advance(60)
    assert made.network.bind_host == "127.0.0.1"
    assert made.wanted == [("lo", "127.0.0.1")] and made.opened == 0


def test_the_interfaces_that_were_asked_for_are_looked_for(monkeypatch):
    made = Made(monkeypatch, LO, settings=Settings(interfaces=("eth0", "10.8.0.1")))
    made.network.start()
    assert made.wanted == [("eth0", "10.8.0.1")] and made.network.bind_host == ""


def test_a_closed_one_looks_no_more_and_tells_nobody(monkeypatch):
    made = Made(monkeypatch, LO, word=Word())
    made.network.start()
    made.say()
    made.network.close()
    made.network.close()
    made.loop.advance(60)
    assert made.told == [True] and made.word.closed and not made.loop.ready


def test_the_log_tells_of_a_change_but_not_of_the_first_look(monkeypatch, caplog):
    caplog.set_level("INFO", "ipcpy.node.network")
    made = Made(monkeypatch, LO, word=Word())
    made.network.start()
    assert caplog.messages == []
    made.interfaces = (LO, replace(ETH, addresses=(), networks=()))
    made.say()
    made.loop.advance(1)
    assert caplog.messages == ["the network changed: lo 127.0.0.1, eth0 without address"]


# -- questions


@pytest.fixture
def network(monkeypatch):
    down = replace(ETH, name="eth1", index=4, addresses=("10.1.0.1",), networks=("10.1.0.1/24",), mtu=576, up=False)
    made = Made(monkeypatch, LO, ETH, TUN, down, word=Word())
    made.network.start()
    return made.network


@pytest.mark.parametrize(
    ("address", "name", "mtu"),
    [
        ("127.0.0.1", "lo", 65_536),
        ("10.0.0.77", "eth0", 9_000),
        ("10.0.1.77", "eth0", 9_000),
        ("10.8.0.2", "tun0", 1_400),
        ("10.1.0.2", None, 1_400),  # its interface is down
        ("8.8.8.8", None, 1_400),  # behind a router: by whichever interface, this much passes
    ],
)
def test_the_way_to_an_address(network, address, name, mtu):
    interface = network.interface_to(address)
    assert (interface and interface.name) == name
    assert network.mtu_to(address) == mtu


def test_without_any_interface_a_packet_of_ethernet_is_assumed(monkeypatch):
    made = Made(monkeypatch, LO, word=Word())
    made.network.start()
    assert made.network.mtu_to("8.8.8.8") == 1_500


def test_multicast_is_heard_on_all_that_are_up_and_shown_where_it_is_carried(network):
    assert network.indexes() == [1, 2, 3]
    assert network.multicast_addresses() == ["127.0.0.1", "10.0.0.1"]


# -- by which way something leaves

TWO = Interface("eth0", 2, ("10.0.0.1", "10.0.0.201"), ("10.0.0.1/24", "10.0.0.201/24"), 1_500, True, False, True)
SAME = Interface("eth1", 3, ("10.0.0.101",), ("10.0.0.101/24",), 1_500, True, False, True)


@pytest.fixture
def among(monkeypatch):
    """Make the network of some interfaces, those of ``named`` in the settings; the system would send from ``usual``."""

    def make(*interfaces, named=(), usual=""):
        monkeypatch.setattr(module, "source_to", lambda address: usual)
        made = Made(monkeypatch, LO, *interfaces, word=Word(), settings=Settings(interfaces=named))
        made.network.start()
        return made.network

    return make


def test_the_system_chooses_where_the_settings_name_nothing_and_nobody_asked(among):
    network = among(TWO, SAME)
    assert network.way_to("10.0.0.7") is None and network.way_to("8.8.8.8") is None


def test_who_was_asked_at_an_address_answers_from_there(among):
    network = among(TWO, SAME)
    assert network.way_to("10.0.0.7", "10.0.0.201") == Way(2, "10.0.0.201")
    assert network.way_to("10.0.0.7", "10.0.0.101") == Way(3, "10.0.0.101")
    assert network.way_to("8.8.8.8", "10.0.0.101") == Way(0, "10.0.0.101"), "which router, the system knows"
    assert network.way_to("10.0.0.7", "10.0.0.222") is None, "an address that is not ours any more"
    assert network.way_to("127.0.0.1", "127.0.0.1") is None


def test_nothing_leaves_by_an_interface_or_from_an_address_that_is_not_named(among):
    named = replace(TWO, addresses=TWO.addresses[1:], networks=TWO.networks[1:])
    network = among(named, named=("10.0.0.201",), usual="10.0.0.101")
    assert network.way_to("10.0.0.7") == Way(2, "10.0.0.201")
    assert network.way_to("10.0.0.7", "10.0.0.1") == Way(2, "10.0.0.201"), "asked at an address that is not named"
    assert network.way_to("8.8.8.8") == Way(2, "10.0.0.201")
    assert network.way_to("8.8.8.8", "10.0.0.201") == Way(2, "10.0.0.201")


def test_behind_a_router_the_system_chooses_among_those_that_are_named(among):
    network = among(TWO, SAME, named=("eth0", "eth1"), usual="10.0.0.101")
    assert network.way_to("8.8.8.8") == Way(3, "10.0.0.101")


def test_nothing_leaves_while_none_that_is_named_is_up(among):
    assert among(replace(SAME, up=False), named=("eth1",)).way_to("10.0.0.7") == NOWHERE
    assert among(named=("eth1",)).way_to("10.0.0.7") == NOWHERE
    assert among(named=("eth1",)).way_to("127.0.0.1") is None


def test_a_way_is_found_anew_after_each_look_and_not_in_between(monkeypatch):
    asked, usual = [], iter(("10.0.0.1", "10.0.0.101", "10.0.0.1"))
    monkeypatch.setattr(module, "source_to", lambda address: asked.append(address) or next(usual))
    made = Made(monkeypatch, LO, TWO, SAME, word=Word(), settings=Settings(interfaces=("eth0", "eth1")))
    made.network.start()
    assert [made.network.way_to("8.8.8.8") for _ in range(3)] == [Way(2, "10.0.0.1")] * 3
    made.say()
    made.loop.advance(1)
    assert made.network.way_to("8.8.8.8") == Way(3, "10.0.0.101"), "the same interfaces, another route"
    assert asked == ["8.8.8.8"] * 2
    monkeypatch.setattr(module, "MAX_WAYS", 2)
    for address in ("10.0.0.8", "10.0.0.9", "8.8.8.8"):
        made.network.way_to(address)
    assert len(made.network._ways) <= 2 and len(asked) == 3


def test_an_interface_greets_once_for_each_network_that_it_is_on(among):
    more = replace(TWO, addresses=(*TWO.addresses, "10.9.0.1"), networks=(*TWO.networks, "10.9.0.1/24"))
    assert among(more).places() == [Way(1, "127.0.0.1"), Way(2, "10.0.0.1"), Way(2, "10.9.0.1")]
