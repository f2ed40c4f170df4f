"""Where to look for others: when mDNS starts, what it is told, and what becomes of static peers. Nothing is sent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.node import rendezvous
from ipcpy.node.network import Network
from ipcpy.node.rendezvous import LISTEN, MDNS_AFTER, MDNS_AT_LAST, MDNS_LATER, MDNS_LATER_EACH, Rendezvous
from ipcpy.protocol.link.entries import NodeEntry, pack_entry
from ipcpy.protocol.link.link import Link
from ipcpy.settings import LINK_PORTS, Settings, StaticPeer
from ipcpy.timeouts import NEVER
from ipcpy.transport.interfaces import LO
from still import StillLoop

ENTRY = NodeEntry("arm", "robot", 1, "2026.1.1", "lab")


class Mdns:
    """Takes note of what it is told."""

    counters = {"own": 3}

    def __init__(self, advert, interfaces, on_found, *, known, keys):
        self.keys = keys
        self.adverts, self.interfaces, self.on_found, self.known = [advert], [interfaces], on_found, known
        self.ends, self.everywhere = [], 0

    def domains(self):
        self.everywhere += 1
        return {"garage": 1, "home": 3, "attic": 1}

    def start(self):
        pass

    def update(self, advert):
        self.adverts.append(advert)

    def set_interfaces(self, addresses):
        self.interfaces.append(addresses)

    def close(self):
        self.ends.append("closed")

    def abandon(self):
        self.ends.append("abandoned")


class Made:
    """A Rendezvous with a real link and all else made up."""

    port = 17_771

    def __init__(self, monkeypatch):
        self.loop = StillLoop()
        self.loop.stop_time(monkeypatch, "loop", "network", "rendezvous")
        self.link = Link(0xABC, pack_entry(ENTRY), ENTRY.domain, bytes(16), seed=1)
        self.network = Network(self.loop, Settings(), lambda others: None, lambda wanted: (LO,), lambda: None)
        self.network.start()
        self.flushes, self.mdns, self.multicast_passes = 0, None, True
        monkeypatch.setattr("ipcpy.discovery.mdns.Mdns", self.make)
        self.keys = ()
        self.rendezvous = Rendezvous(self.loop, ENTRY, self.link, self, self.network, lambda: self.keys)

    def make(self, *arguments, **options):
        assert self.mdns is None, "started twice"
        self.mdns = Mdns(*arguments, **options)
        return self.mdns

    def hears_itself(self):
        return self.multicast_passes

    def flush(self):
        self.flushes += 1

    def meet(self, *ids):
        for id in ids:
            self.link.peers[id] = SimpleNamespace(id=id, entry=NodeEntry(f"n{id}", "h", 1, "1", "lab"))

    def knocked(self):
        """Return where the link wants to knock now."""
        return set(self.link.leads)


@pytest.fixture
def made(monkeypatch):
    return Made(monkeypatch)


# -- when mDNS starts


def test_mdns_starts_soon_where_nobody_was_found_without_it(made):
    made.rendezvous.start((), mdns=True)
    made.loop.advance(MDNS_AFTER * 0.9)
    assert made.mdns is None
    made.loop.advance(MDNS_AFTER * 0.2)
    assert made.mdns is not None and made.mdns.interfaces == [["127.0.0.1"]]


def test_mdns_waits_where_others_were_found_and_starts_when_no_more_are(made):
    made.rendezvous.start((), mdns=True)
    made.meet(1, 2)
    made.loop.advance(MDNS_AFTER * 1.1)
    assert made.mdns is None
    made.loop.advance(MDNS_LATER + 2 * MDNS_LATER_EACH)
    assert made.mdns is not None


def test_mdns_waits_no_longer_than_20_s_while_ever_more_are_found(made):
    made.rendezvous.start((), mdns=True)
    for id in range(1, 200):
        made.meet(id)
        made.loop.advance(0.1)
        assert made.mdns is None or id * 0.1 > MDNS_AT_LAST
    made.loop.advance(MDNS_LATER + 200 * MDNS_LATER_EACH)
    assert made.mdns is not None


def test_a_node_that_may_not_use_mdns_does_not_and_one_that_was_closed_neither(made):
    made.rendezvous.start((), mdns=False)
    made.loop.advance(60)
    assert made.mdns is None
    made.rendezvous.start((), mdns=True)
    made.rendezvous.close()
    made.loop.advance(60)
    assert made.mdns is None


# -- what mDNS is told, and tells


def test_who_asks_for_other_domains_has_mdns_start_at_once_and_look_for_them(made):
    made.rendezvous.start((), mdns=True)
    made.meet(1, 2)
    assert made.rendezvous.domains() == ("lab", "home", "attic", "garage")
    assert made.mdns.everywhere > 0
    made.loop.advance(MDNS_AT_LAST)  # and does not start again when its time comes


def test_other_domains_are_asked_for_where_mdns_runs_already(made):
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    assert made.mdns.everywhere == 0
    assert made.rendezvous.domains() == ("lab", "home", "attic", "garage")


def test_without_mdns_there_is_our_domain_alone(made):
    made.rendezvous.start((), mdns=False)
    assert made.rendezvous.domains() == ("lab",)
    assert made.mdns is None


def test_the_advert_tells_who_and_where_the_node_is_and_its_newest_topics(made):
    made.rendezvous.show(("before",))
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.rendezvous.show(("imu", "odom"))
    first, second = made.mdns.adverts
    assert (first.node_id, first.name, first.host, first.domain) == ("0000000000000abc", "arm", "robot", "lab")
    assert first.port == second.port == 17_771
    assert (first.topics, second.topics) == (("before",), ("imu", "odom"))


def test_with_a_key_the_advert_names_nobody_and_follows_the_key(made):
    made.keys = "0a0b0c0d", "11111111"
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.meet(1)
    assert list(made.mdns.known()) == ["0000000000000001._ipcpy._udp.local."]
    made.keys = ("11111111",)
    made.rendezvous.keys_changed()
    assert [advert.key for advert in made.mdns.adverts] == ["0a0b0c0d", "11111111"]
    assert {advert.instance for advert in made.mdns.adverts} == {"0000000000000abc._ipcpy._udp.local."}
    assert made.mdns.keys() == ("11111111",)


def test_after_the_end_nothing_is_shown(made):
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.rendezvous.close()
    made.rendezvous.show(("late",))
    assert len(made.mdns.adverts) == 1 and made.mdns.ends == ["closed"]


def test_a_forked_child_abandons_mdns(made):
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.rendezvous.abandon()
    assert made.mdns.ends == ["abandoned"]


def test_a_change_of_the_network_is_passed_on(made):
    made.rendezvous.network_changed()  # mDNS did not start yet
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.rendezvous.network_changed()
    assert len(made.mdns.interfaces) == 2


def test_those_the_link_knows_need_not_answer_questions(made):
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.meet(1)
    made.link.peers[2] = SimpleNamespace(id=2, entry=None)  # it did not tell yet who it is
    assert [name.partition(".")[0] for name in made.mdns.known()] == ["n1-0000000000000001"]


def test_an_advert_is_knocked_at_unless_its_node_is_known(made):
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    made.meet(7)
    made.mdns.on_found("10.0.0.7", 17_770, f"{7:016x}")
    assert made.knocked() == set() and made.flushes == 0
    made.mdns.on_found("10.0.0.8", 17_770, f"{8:016x}")
    assert made.knocked() == {("10.0.0.8", 17_770)} and made.flushes == 1


def test_what_mdns_ignored_is_counted(made):
    assert dict(made.rendezvous.ignored()) == {}
    made.rendezvous.start((), mdns=True)
    made.loop.advance(1)
    assert dict(made.rendezvous.ignored()) == {"own": 3}


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
    Rendezvous(made.loop, ENTRY, made.link, made, made.network)
    (on_addresses,) = names
    on_addresses(18_000, ["10.0.0.1", "10.0.0.2"], [])
    on_addresses(18_000, ["10.0.0.2", "10.0.0.3"], ["10.0.0.1", "10.0.0.2"])
    assert made.knocked() == {("10.0.0.2", 18_000), ("10.0.0.3", 18_000)}


# -- alive


def test_mdns_starts_also_where_others_were_found_without_it(monkeypatch, wait_until):
    started = []
    monkeypatch.setattr(Rendezvous, "_start_mdns", lambda each: started.append(len(each._link.peers)))
    with (
        ipc.Node("a", interfaces="lo", domain="rendezvous") as a,
        ipc.Node("b", interfaces="lo", domain="rendezvous") as b,
    ):
        wait_until(lambda: len(a.nodes()) == len(b.nodes()) == 2)
        wait_until(lambda: len(started) == 2, timeout=20)
        assert started == [1, 1]


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
