"""Who speaks mDNS for a node, when, and what it is told. Nothing is sent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.node.network import Network
from ipcpy.node.shared import node_for
from ipcpy.node.speaking import AFTER, ALIKE, AT_LAST, LATER, LATER_EACH, SOON, Speaking
from ipcpy.protocol.link.entries import NodeEntry, pack_entry, unpack_entry
from ipcpy.protocol.link.link import EntryChanged, Link, PeerChanged, PeerFound, PeerLost, PeerStalled
from ipcpy.records import replace
from ipcpy.settings import Settings
from ipcpy.transport.interfaces import LO
from silent import Mdns
from still import StillLoop

ENTRY = NodeEntry("arm", "robot", 1, "2026.1.1", "lab", "this machine", 500)
OWN = 0xABC
NEAR, FAR = {("127.0.0.1", 17_770): None}, {("10.0.0.7", 17_770): None}


class Made:
    """A Speaking with a real link and all else made up."""

    port = 17_771

    def __init__(self, monkeypatch):
        self.loop = StillLoop()
        self.loop.stop_time(monkeypatch, "loop", "network", "speaking", "proxy")
        self.link = Link(OWN, pack_entry(ENTRY), ENTRY.domain, bytes(16), seed=1)
        self.interfaces = (LO,)
        self.network = Network(self.loop, Settings(), lambda others: None, lambda wanted: self.interfaces, lambda: None)
        self.network.start()
        self.flushes, self.tells, self.mdns = 0, 0, None
        monkeypatch.setattr("ipcpy.discovery.mdns.Mdns", self.make)
        self.keys, self.topics = (), {}
        self.speaking = Speaking(
            self.loop, ENTRY, self.link, self, self.network, lambda: self.keys, lambda id: self.topics.get(id, ())
        )

    def make(self, *arguments, **options):
        assert self.mdns is None, "started twice"
        self.mdns = Mdns(*arguments, **options)
        return self.mdns

    def hears_itself(self):
        return True

    def flush(self):
        self.flushes += 1

    def tell(self):
        self.tells += 1

    def meet(self, *ids):
        for id in ids:
            self.link.peers[id] = SimpleNamespace(
                id=id, entry=NodeEntry(f"n{id}", "h", 1, "1", "lab"), stalled=False, paths=FAR, outer=next(iter(FAR))
            )

    def neighbour(self, id, *, paths=NEAR, stalled=False, **said):
        """Meet a node of this host, which is shown as this one."""
        entry = replace(self.entry, name=f"n{id}", speaker=said.pop("speaker", 0), **said)
        event = PeerChanged(id) if id in self.link.peers else PeerFound(id, entry, next(iter(paths)))
        self.link.peers[id] = SimpleNamespace(id=id, entry=entry, stalled=stalled, paths=paths)
        self.speaking.on_link_event(event)

    def lose(self, id):
        del self.link.peers[id]
        self.speaking.on_link_event(PeerLost(id, "process died"))

    @property
    def entry(self):
        """What this node says of itself."""
        return unpack_entry(self.link.table.entries[0])

    @property
    def speaker(self):
        return self.entry.speaker

    def knocked(self):
        """Return where the link wants to knock now."""
        return set(self.link.leads)


@pytest.fixture
def made(monkeypatch):
    return Made(monkeypatch)


# -- when mDNS starts


def test_mdns_starts_soon_where_nobody_was_found_without_it(made):
    made.speaking.start()
    made.loop.advance(AFTER * 0.9)
    assert made.mdns is None
    made.loop.advance(AFTER * 0.2)
    assert made.mdns is not None and made.mdns.interfaces == [["127.0.0.1"]]


def test_mdns_waits_where_others_were_found_and_starts_when_no_more_are(made):
    made.speaking.start()
    made.meet(1, 2)
    made.loop.advance(AFTER * 1.1)
    assert made.mdns is None
    made.loop.advance(LATER + 2 * LATER_EACH)
    assert made.mdns is not None


def test_mdns_waits_no_longer_than_20_s_while_ever_more_are_found(made):
    made.speaking.start()
    for id in range(1, 200):
        made.meet(id)
        made.loop.advance(0.1)
        assert made.mdns is None or id * 0.1 > AT_LAST
    made.loop.advance(LATER + 200 * LATER_EACH)
    assert made.mdns is not None


def test_a_node_that_was_closed_does_not_speak(made):
    made.speaking.start()
    made.speaking.close()
    made.loop.advance(60)
    assert made.mdns is None


# -- who speaks


def test_a_node_says_how_it_is_to_be_shown_and_then_that_it_speaks(made):
    made.speaking.start()
    assert len(made.entry.shown) == 16 and made.speaker == 0 and made.tells == 1
    made.loop.advance(AFTER * 1.1)
    assert made.speaker == OWN and made.tells == 2
    made.speaking.show()
    assert made.tells == 2, "nothing is new"


def test_where_a_node_of_this_host_speaks_it_speaks_for_this_one_too(made):
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.loop.advance(AFTER * 1.1)
    assert made.speaker == made.link.speaker == 7 and made.mdns is None
    made.loop.advance(100)
    assert made.mdns is None and made.speaking.ignored() == {}


def test_of_several_that_speak_the_oldest_is_chosen(made):
    made.speaking.start()
    made.neighbour(7, speaker=7, started=30)
    made.neighbour(8, speaker=8, started=20)
    made.neighbour(9, speaker=9, started=20)
    made.loop.advance(AFTER * 1.1)
    assert made.speaker == 8


@pytest.mark.parametrize(
    "other",
    [
        {"paths": FAR},  # the same kernel, another network
        {"machine": "another"},
        {"machine": ""},
        {"stalled": True},
        {"speaker": 9, "started": 900},  # it has another speak for it
        {"speaker": 0, "started": 900},
        {"shown": "on other interfaces"},
        {"shown": ""},  # not at all
    ],
    ids=str,
)
def test_who_cannot_speak_for_this_node_does_not(made, other):
    made.speaking.start()
    made.neighbour(7, **({"speaker": 7} | other))
    made.loop.advance(AFTER * 1.1 + LATER + LATER_EACH)
    assert made.speaker == OWN and made.mdns is not None


def test_a_machine_that_cannot_be_told_is_nobody_s_neighbour(made):
    made.speaking._entry = replace(ENTRY, machine="")  # before it says anything
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.loop.advance(AFTER * 1.1 + LATER + LATER_EACH)
    assert made.speaker == OWN


def test_an_older_node_that_nobody_speaks_for_is_waited_for_but_not_for_ever(made):
    made.speaking.start()
    made.neighbour(7, started=ENTRY.started - 1)
    made.loop.advance(AFTER + LATER + LATER_EACH)
    assert made.mdns is None and made.speaker == 0
    made.loop.advance(2 * (LATER + LATER_EACH))
    assert made.speaker == OWN


def test_a_younger_node_is_not_waited_for(made):
    made.speaking.start()
    made.loop.advance(AFTER * 0.9)
    made.neighbour(7, started=ENTRY.started + 1)
    made.loop.advance(AFTER * 0.2 + LATER + LATER_EACH)
    assert made.speaker == OWN


def test_of_equal_age_the_lower_id_is_the_older(made):
    made.speaking.start()
    made.neighbour(OWN - 1)
    made.loop.advance(AFTER + LATER + LATER_EACH)
    assert made.speaker == 0
    made.lose(OWN - 1)
    made.neighbour(OWN + 1)
    made.loop.advance(2 * (LATER + LATER_EACH))
    assert made.speaker == OWN


@pytest.mark.parametrize("how", ["lost", "stalled", "silent", "has another speak", "moved away"])
def test_when_who_speaks_does_no_more_this_node_does(made, how):
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.loop.advance(1)
    assert made.speaker == 7
    if how == "lost":
        made.lose(7)
    elif how == "stalled":
        made.link.peers[7].stalled = True
        made.speaking.on_link_event(PeerStalled(7))
    elif how == "moved away":
        made.neighbour(7, speaker=7, paths=FAR)
    else:
        made.neighbour(7, speaker=9 if how != "silent" else 0, started=ENTRY.started + 5)
    made.loop.advance(SOON * 1.1)
    assert made.speaker == OWN and made.link.speaker == 0 and made.mdns is not None


def test_another_that_speaks_already_takes_over_and_else_the_oldest_that_is_left(made):
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.neighbour(8, speaker=8, started=900)
    made.neighbour(9, speaker=7, started=ENTRY.started - 1)  # older than this node
    made.loop.advance(1)
    made.lose(7)
    made.loop.advance(SOON * 1.1)
    assert made.speaker == 8
    made.neighbour(9, speaker=8, started=ENTRY.started - 1)
    made.lose(8)
    made.loop.advance(SOON * 1.1)
    assert made.speaking._speaker == 0, "what another said of who speaks for it is of somebody who is gone"
    made.neighbour(9, speaker=9, started=ENTRY.started - 1)
    made.loop.advance(LATER + 3 * LATER_EACH)
    assert made.speaker == 9 and made.mdns is None


def test_while_the_network_changes_neighbours_may_be_unlike_for_a_while(made):
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.loop.advance(1)
    other = replace(LO, name="lo2", index=9, addresses=("127.0.0.2",))
    made.interfaces = (LO, other)
    made.network._look()
    made.speaking.network_changed()
    made.loop.advance(ALIKE * 0.9)
    assert made.speaker == 7
    made.neighbour(7, speaker=7)  # it has seen the change too
    made.loop.advance(ALIKE * 3)
    assert made.speaker == 7
    made.neighbour(7, speaker=7, shown="on other interfaces")
    made.loop.advance(ALIKE * 0.9)
    assert made.speaker == 7
    made.loop.advance(ALIKE * 0.2 + 3 * (LATER + LATER_EACH))
    assert made.speaker == OWN


def test_who_asks_for_other_domains_speaks_itself_though_another_did(made):
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.loop.advance(1)
    assert made.speaker == 7
    made.speaking.domains()
    assert made.speaker == OWN and made.link.speaker == 0 and made.mdns.everywhere > 0
    made.loop.advance(60)


def test_who_cannot_speak_says_so_and_that_it_can_again(made):
    made.speaking.start()
    made.loop.advance(1)
    made.mdns.error = "UDP port 5353 is taken"
    made.mdns.on_state()
    assert made.speaker == 0
    made.mdns.error = None
    made.mdns.on_state()
    assert made.speaker == OWN


def test_who_cannot_speak_has_another_speak_as_soon_as_one_does(made):
    made.speaking.start()
    made.loop.advance(1)
    made.mdns.error = "zeroconf cannot be imported"
    made.mdns.on_state()
    made.loop.advance(60)
    assert made.speaker == 0
    made.neighbour(7, speaker=7)
    made.loop.advance(SOON * 1.1)
    assert made.speaker == made.link.speaker == 7
    made.lose(7)
    made.loop.advance(60)
    made.neighbour(8, speaker=8)
    made.loop.advance(SOON * 1.1)
    assert made.speaker == 8
    made.mdns.error = None
    made.mdns.on_state()
    assert made.speaker == OWN and made.link.speaker == 0


def test_who_waits_has_another_speak_as_soon_as_one_does(made):
    made.speaking.start()
    made.neighbour(7, started=ENTRY.started - 1)
    made.loop.advance(AFTER * 1.1)
    made.neighbour(7, speaker=7, started=ENTRY.started - 1)
    made.loop.advance(SOON * 1.1)
    assert made.speaker == 7


def test_an_older_one_that_a_stopped_one_speaks_for_is_waited_for(made):
    made.speaking.start()
    made.neighbour(7, speaker=7)
    made.neighbour(9, speaker=7, started=ENTRY.started - 1)
    made.loop.advance(1)
    made.link.peers[7].stalled = True
    made.speaking.on_link_event(PeerStalled(7))
    made.loop.advance(SOON * 1.1)
    assert made.mdns is None
    made.neighbour(9, speaker=9, started=ENTRY.started - 1)
    made.loop.advance(SOON * 1.1)
    assert made.speaker == 9


def test_all_keys_and_the_choice_of_interfaces_are_part_of_how_a_node_is_shown(made):
    made.speaking.start()
    seen = {made.entry.shown}
    for keys in (("0a0b0c0d",), ("0a0b0c0d", "11111111"), ("11111111", "0a0b0c0d")):
        made.keys = keys
        made.speaking.show()
        seen.add(made.entry.shown)
    made.network.wanted = ("lo", "127.0.0.1")  # as they are now it would use no others in any case
    made.speaking.network_changed()
    assert len(seen | {made.entry.shown}) == 5


# -- for whom this node speaks


def test_who_has_this_node_speak_is_announced_with_its_topics_and_port_until_it_goes(made):
    made.speaking.start()
    made.loop.advance(1)
    made.topics[7] = ("imu",)
    made.neighbour(7, speaker=OWN, started=900, paths=FAR | {("127.0.0.1", 17_779): None})
    made.neighbour(8, speaker=8, started=900)
    made.loop.advance(SOON * 1.1)
    ((advert,),) = made.mdns.others
    assert (advert.node_id, advert.name, advert.port, advert.topics) == (f"{7:016x}", "n7", 17_779, ("imu",))
    made.topics[7] = ("imu", "map")
    made.speaking.on_link_event(EntryChanged(7, 5, b""))
    made.speaking.on_link_event(EntryChanged(8, 5, b""))
    made.loop.advance(SOON * 1.1)
    assert made.mdns.others[-1][0].topics == ("imu", "map") and len(made.mdns.others) == 2
    made.loop.advance(60)
    made.lose(7)
    made.loop.advance(SOON * 1.1)
    assert made.mdns.others[2:] == [[]]


@pytest.mark.parametrize(
    "other", [{"paths": FAR}, {"machine": "another"}, {"machine": ""}, {"shown": "on lo alone"}], ids=str
)
def test_nobody_from_elsewhere_is_announced_nor_who_is_to_be_shown_otherwise(made, other):
    made.speaking.start()
    made.loop.advance(1)
    made.neighbour(7, **({"speaker": OWN} | other))
    made.loop.advance(1)
    assert made.mdns.others == []


def test_with_a_key_those_it_speaks_for_are_shown_once_they_have_the_same(made):
    made.keys = ("0a0b0c0d",)
    made.speaking.start()
    made.loop.advance(1)
    made.neighbour(7, speaker=OWN)
    made.loop.advance(1)
    made.keys = ("11111111",)
    made.speaking.show()
    made.loop.advance(1)
    made.neighbour(7, speaker=OWN)  # it has read the file too
    made.loop.advance(1)
    assert [[each.key for each in others] for others in made.mdns.others] == [["0a0b0c0d"], [], ["11111111"]]
    assert made.mdns.others[0][0].instance == f"{7:016x}._ipcpy._udp.local."


# -- what mDNS is told, and tells


def test_who_asks_for_other_domains_has_mdns_start_at_once_and_look_for_them(made):
    made.speaking.start()
    made.meet(1, 2)
    assert made.speaking.domains() == ("lab", "home", "attic", "garage")
    assert made.mdns.everywhere > 0
    made.loop.advance(AT_LAST)  # and does not start again when its time comes


def test_other_domains_are_asked_for_where_mdns_runs_already(made):
    made.speaking.start()
    made.loop.advance(1)
    assert made.mdns.everywhere == 0
    assert made.speaking.domains() == ("lab", "home", "attic", "garage")


def test_a_node_that_is_not_to_be_shown_does_not_speak_whoever_asks(made):
    assert made.speaking.domains() == ("lab",)
    made.speaking.network_changed()
    made.speaking.show()
    made.loop.advance(60)
    assert made.mdns is None and made.entry == ENTRY


def test_the_advert_tells_who_and_where_the_node_is_and_its_newest_topics(made):
    made.topics[OWN] = ("before",)
    made.speaking.start()
    made.loop.advance(1)
    made.topics[OWN] = ("imu", "odom")
    made.speaking.show()
    first, second = made.mdns.adverts
    assert (first.node_id, first.name, first.host, first.domain) == ("0000000000000abc", "arm", "robot", "lab")
    assert first.port == second.port == 17_771
    assert (first.topics, second.topics) == (("before",), ("imu", "odom"))


def test_with_a_key_the_advert_names_nobody_and_follows_the_key(made):
    made.keys = "0a0b0c0d", "11111111"
    made.speaking.start()
    made.loop.advance(1)
    made.meet(1)
    assert list(made.mdns.known()) == ["0000000000000001._ipcpy._udp.local."]
    made.keys = ("11111111",)
    made.speaking.show()
    assert [advert.key for advert in made.mdns.adverts] == ["0a0b0c0d", "11111111"]
    assert {advert.instance for advert in made.mdns.adverts} == {"0000000000000abc._ipcpy._udp.local."}
    assert made.mdns.keys() == ("11111111",)


def test_after_the_end_nothing_is_shown(made):
    made.speaking.start()
    made.loop.advance(1)
    made.speaking.close()
    made.speaking.show()
    assert len(made.mdns.adverts) == 1 and made.mdns.ends == ["closed"]


def test_a_forked_child_abandons_mdns(made):
    made.speaking.start()
    made.loop.advance(1)
    made.speaking.abandon()
    assert made.mdns.ends == ["abandoned"]


def test_a_change_of_the_network_is_passed_on(made):
    made.speaking.network_changed()  # mDNS did not start yet
    made.speaking.start()
    made.loop.advance(1)
    made.speaking.network_changed()
    assert len(made.mdns.interfaces) == 2


def test_those_the_link_knows_need_not_answer_questions(made):
    made.speaking.start()
    made.loop.advance(1)
    made.meet(1)
    made.link.peers[2] = SimpleNamespace(id=2, entry=None)  # it did not tell yet who it is
    assert [name.partition(".")[0] for name in made.mdns.known()] == ["n1-0000000000000001"]


def test_an_advert_is_knocked_at_unless_its_node_is_known(made):
    made.speaking.start()
    made.loop.advance(1)
    made.meet(7)
    made.mdns.on_found("10.0.0.7", 17_770, f"{7:016x}")
    assert made.knocked() == set() and made.flushes == 0
    made.mdns.on_found("10.0.0.8", 17_770, f"{8:016x}")
    assert made.knocked() == {("10.0.0.8", 17_770)} and made.flushes == 1


def test_what_mdns_ignored_is_counted(made):
    assert dict(made.speaking.ignored()) == {}
    made.speaking.start()
    made.loop.advance(1)
    assert dict(made.speaking.ignored()) == {"own": 3}


# -- alive


def test_of_two_nodes_one_speaks_and_the_other_takes_over(wait_until):
    with ipc.Node("b", interfaces="lo", domain="speaking") as b:
        with ipc.Node("a", interfaces="lo", domain="speaking") as a:
            each = [node_for(a).rendezvous._speaking, node_for(b).rendezvous._speaking]
            wait_until(lambda: all(one._entry.speaker for one in each), timeout=20)
            speaker = each[0]._entry.speaker
            assert each[1]._entry.speaker == speaker
            first, second = (a, b) if int(a.id, 16) == speaker else (b, a)
            wait_until(lambda: int(second.id, 16) in node_for(first).rendezvous._speaking._proxy, timeout=20)
            assert [one._mdns is not None for one in each].count(True) == 1
            first.close()
            wait_until(lambda: node_for(second).rendezvous._speaking._entry.speaker == int(second.id, 16), timeout=20)
