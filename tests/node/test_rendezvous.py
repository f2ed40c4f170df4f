"""Where to look for others: by mDNS or not, and what becomes of static peers. Nothing is sent."""

from __future__ import annotations

import pytest

from ipcpy.node import rendezvous
from ipcpy.node.network import Network
from ipcpy.node.rendezvous import LISTEN, Rendezvous
from ipcpy.node.speaking import Speaking
from ipcpy.protocol.link.entries import NodeEntry, pack_entry
from ipcpy.protocol.link.link import Link
from ipcpy.settings import LINK_PORTS, Settings, StaticPeer
from ipcpy.timeouts import NEVER
from ipcpy.transport.interfaces import LO
from silent import Mdns
from still import StillLoop

ENTRY = NodeEntry("arm", "robot", 1, "2026.1.1", "lab")


class Made:
    """A Rendezvous with a real link and all else made up."""

    port = 17_771

    def __init__(self, monkeypatch):
        self.loop = StillLoop()
        self.loop.stop_time(monkeypatch, "loop", "network", "rendezvous", "speaking", "proxy")
        self.link = Link(0xABC, pack_entry(ENTRY), ENTRY.domain, bytes(16), seed=1)
        self.network = Network(self.loop, Settings(), lambda others: None, lambda wanted: (LO,), lambda: None)
        self.network.start()
        self.flushes, self.mdns, self.multicast_passes = 0, None, True
        monkeypatch.setattr("ipcpy.discovery.mdns.Mdns", self.make)
        speaking = Speaking(self.loop, ENTRY, self.link, self, self.network, tuple, lambda id: ())
        self.rendezvous = Rendezvous(self.loop, self.link, self, self.network, speaking)

    def make(self, *arguments, **options):
        assert self.mdns is None, "started twice"
        self.mdns = Mdns(*arguments, **options)
        return self.mdns

    def hears_itself(self):
        return self.multicast_passes

    def flush(self):
        self.flushes += 1

    def tell(self):
        pass

    def knocked(self):
        """Return where the link wants to knock now."""
        return set(self.link.leads)


@pytest.fixture
def made(monkeypatch):
    return Made(monkeypatch)


# -- mDNS


def test_a_node_that_may_not_use_mdns_does_not_and_one_that_was_closed_neither(made):
    made.rendezvous.start((), mdns=False)
    made.loop.advance(60)
    assert made.mdns is None
    made.rendezvous.start((), mdns=True)
    made.rendezvous.close()
    made.loop.advance(60)
    assert made.mdns is None


def test_without_mdns_there_is_our_domain_alone(made):
    made.rendezvous.start((), mdns=False)
    assert made.rendezvous.domains() == ("lab",)
    assert made.mdns is None


def test_with_mdns_it_is_told_what_becomes_of_the_node(made):
    made.rendezvous.start((), mdns=True)
    assert made.rendezvous.domains() == ("lab", "home", "attic", "garage")
    assert dict(made.rendezvous.ignored()) == {"own": 3}
    made.rendezvous.network_changed()
    made.rendezvous.show()
    assert len(made.mdns.interfaces) == len(made.mdns.adverts) == 2
    made.rendezvous.abandon()
    made.rendezvous.close()
    assert made.mdns.ends == ["abandoned", "closed"]


# -- static peers


def test_a_static_peer_is_knocked_at_for_ever(made):
    made.rendezvous.start([StaticPeer("10.0.0.9", 18_000)], mdns=False)
    assert made.knocked() == {("10.0.0.9", 18_000)} and made.flushes == 1
    made.link.handle_timer(made.loop.now + 1e6)
    assert made.knocked() == {("10.0.0.9", 18_000)}


def test_without_a_port_all_that_links_take_are_tried(made):
    made.rendezvous.start([StaticPeer("10.0.0.9")], mdns=False)
    assert made.knocked() == {("10.0.0.9", port) for port in LINK_PORTS}


def test_the_addresses_that_a_name_no_longer_has_are_given_up(made, monkeypatch):
    names = []
    monkeypatch.setattr(rendezvous, "Names", lambda loop, on_addresses: names.append(on_addresses))
    Rendezvous(made.loop, made.link, made, made.network, made.rendezvous._speaking)
    (on_addresses,) = names
    on_addresses(18_000, ["10.0.0.1", "10.0.0.2"], [])
    on_addresses(18_000, ["10.0.0.2", "10.0.0.3"], ["10.0.0.1", "10.0.0.2"])
    assert made.knocked() == {("10.0.0.2", 18_000), ("10.0.0.3", 18_000)}


# -- this host, where multicast does not pass


def test_where_greetings_come_back_nobody_knocks_at_this_host(made):
    made.rendezvous.network_changed()
    made.loop.advance(60)
    assert made.knocked() == set()


def test_where_greetings_do_not_come_back_this_host_s_link_ports_are_knocked_at_without_end(made, caplog):
    caplog.set_level("INFO", rendezvous.__name__)
    made.multicast_passes = False
    made.rendezvous.network_changed()
    made.loop.advance(LISTEN * 0.9)
    assert made.knocked() == set(), "they may still come back"
    made.loop.advance(LISTEN * 0.2)
    others = {("127.0.0.1", port) for port in LINK_PORTS if port != made.port}
    assert made.knocked() == others and made.flushes == 1
    assert {lead.until for lead in made.link._search.leads.values()} == {NEVER}
    made.rendezvous.network_changed()
    made.loop.advance(60)
    assert made.knocked() == others
    assert caplog.messages == [
        "multicast does not pass on loopback: nodes of this host are looked for at UDP 17770 to 17779"
    ]


def test_a_firewall_that_comes_later_is_noticed_with_the_next_change_of_the_network(made):
    made.rendezvous.network_changed()
    made.loop.advance(1)
    made.multicast_passes = False
    made.rendezvous.network_changed()
    made.loop.advance(1)
    assert len(made.knocked()) == len(LINK_PORTS) - 1


def test_a_node_that_was_closed_meanwhile_knocks_nowhere(made):
    made.multicast_passes = False
    made.rendezvous.network_changed()
    made.rendezvous.close()
    made.loop.advance(1)
    assert made.knocked() == set()
