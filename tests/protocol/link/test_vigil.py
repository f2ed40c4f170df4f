"""Who is believed to live: silence, refusals, witnesses, a sleep of our own. Dialogues of whole links: test_link.py."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.addresses import Address
from ipcpy.protocol.link.entries import NodeEntry
from ipcpy.protocol.link.greeting import Greeter
from ipcpy.protocol.link.outbox import ALIVE_BODY, ASK, Outbox
from ipcpy.protocol.link.peers import Path, Peer, PeerLost, PeerMoved, PeerResumed, PeerStalled, Timing
from ipcpy.protocol.link.roster import Roster
from ipcpy.protocol.link.search import Search
from ipcpy.protocol.link.table import Table
from ipcpy.protocol.link.vigil import Vigil
from ipcpy.protocol.wire import Kind, frames
from ipcpy.timeouts import NEVER

T = Timing()
LAN, OTHER, LOOPBACK = ("10.0.0.2", 5), ("10.1.0.2", 5), ("127.0.0.1", 5)
PORT = 17769


class Rig:
    """A vigil over one peer, number 2, that was heard from some addresses at 0, the first of them in use."""

    def __init__(self, *addresses: Address, watched: bool = False) -> None:
        table, random = Table(), Random(1)
        table.put(0, b"our own entry")
        self.roster = Roster(T)
        self.outbox = Outbox(1, table, self.roster, T, random)
        self.search = Search(T, random, Counter())
        self.vigil = Vigil(self.roster, self.outbox, self.search, Greeter(1, "d", bytes(32)), T)
        self.peer = self.add(2, *(addresses or (LAN,)), watched=watched)
        self.outbox.beat_in(self.peer, 0.0, T.alive)

    def add(self, id: int, *addresses: Address, watched: bool = False) -> Peer:
        for address in addresses:
            peer = self.roster.place(id, address, Path(1, 2, 0.0))
            assert peer is not None
        peer.entry, peer.watched = NodeEntry("n", "h", id, "1", "d"), watched
        return peer

    def run(self, begin: float, until: float) -> float | None:
        """Handle every timer; return when the peer was lost, if it was."""
        now = begin
        while self.outbox.due <= until:
            now = max(now, self.outbox.due)
            self.vigil.handle_timer(now)
            assert self.outbox.due > now
            if not self.roster.peers:
                return now
        return None

    def said(self) -> list[object]:
        said = list(self.vigil.events)
        self.vigil.events.clear()
        return said

    def asked(self) -> list[Address | None]:
        """Return where questions were sent since the last call."""
        return [
            address
            for data, address in self.outbox.take()
            for frame in frames(data)
            if frame.kind == Kind.ALIVE and ALIVE_BODY.unpack(frame.body)[2] == ASK
        ]


# -- silence -----------------------------------------------------------------------------------------------------------


def test_a_silent_peer_is_asked_then_stalls_and_is_lost_and_looked_for_where_it_was() -> None:
    rig = Rig()
    assert rig.run(0.0, T.suspect - 0.01) is None
    assert rig.asked() == [] and rig.said() == []
    assert rig.run(T.suspect, T.stall - 0.01) is None
    assert len(rig.asked()) >= (T.stall - T.suspect) / T.ask - 4 and rig.said() == []
    lost = rig.run(T.stall, 9.0)
    assert lost is not None and T.lost <= lost <= T.lost + 2 * T.ask
    assert rig.said() == [PeerStalled(2), PeerLost(2, "timed out")]
    assert set(rig.search.leads) == {LAN}
    assert rig.search.leads[LAN].until == lost + T.remember


def test_a_peer_that_is_heard_is_never_asked() -> None:
    rig = Rig()
    for step in range(200):
        rig.vigil.heard(rig.peer, LAN, step * T.alive)
        assert rig.run(step * T.alive, (step + 1) * T.alive) is None
    assert rig.asked() == [] and rig.said() == []


def test_a_silent_peer_is_asked_on_all_its_paths() -> None:
    rig = Rig(LAN, OTHER)
    rig.run(0.0, T.suspect + 2 * T.ask)
    asked = rig.asked()
    assert set(asked) == {LAN, OTHER} and asked.count(LAN) == asked.count(OTHER)


def test_a_watched_process_stalls_and_is_never_lost_by_silence() -> None:
    rig = Rig(watched=True)
    assert rig.run(0.0, 600.0) is None
    assert rig.said() == [PeerStalled(2)]
    assert len(rig.asked()) < 660 / T.alive_watched


def test_who_is_silent_since_we_gave_up_a_key_is_lost_though_its_process_lives() -> None:
    rig = Rig(watched=True)
    rig.vigil.heard(rig.peer, LAN, 4.0)
    rig.vigil.hosts.rekey(4.5)
    lost = rig.run(4.5, 20.0)
    assert lost is not None and 4.0 + T.lost <= lost <= 4.5 + T.lost + T.alive_watched
    assert rig.said()[-1] == PeerLost(2, "timed out")
    assert set(rig.search.leads) == {LAN}


def test_who_was_heard_since_we_gave_up_a_key_is_one_that_we_can_read() -> None:
    rig = Rig(watched=True)
    rig.vigil.hosts.rekey(4.5)
    rig.vigil.heard(rig.peer, LAN, 4.6)
    assert rig.run(4.6, 60.0) is None
    assert rig.said() == [PeerStalled(2)]


def test_a_stalled_peer_that_speaks_resumes_and_is_sent_the_table() -> None:
    rig = Rig(watched=True)
    rig.outbox.send_table(rig.peer, 0.0)
    rig.run(0.0, 10.0)
    rig.said(), rig.asked()
    rig.vigil.heard(rig.peer, LAN, 10.0)
    rig.vigil.heard(rig.peer, LAN, 10.1)
    assert rig.said() == [PeerResumed(2)]
    assert not rig.peer.stalled
    assert [frame.kind for data, _ in rig.outbox.take() for frame in frames(data)] == [Kind.TABLE], "once"


def test_a_peer_whose_host_answers_is_stopped_and_not_gone() -> None:
    rig = Rig()
    rig.vigil.hosts.port = PORT
    now = 0.0
    while now < 60.0:
        assert rig.run(now, now + 0.1) is None
        now += 0.1
        if any(address == (LAN[0], PORT) for _, address in rig.outbox.take()):
            rig.vigil.refused((LAN[0], PORT), now)  # nobody listens at that port: the host lives
    assert rig.said() == [PeerStalled(2)]


def test_nobody_is_knocked_at_before_a_port_for_it_is_known() -> None:
    rig = Rig()
    rig.vigil.knock_at_host(rig.peer, 1.0, new=True)
    assert rig.outbox.take() == []
    rig.vigil.hosts.port = PORT
    rig.vigil.knock_at_host(rig.peer, 1.0, new=True)
    ((_, address),) = rig.outbox.take()
    assert address == (LAN[0], PORT)


# -- refusals and witnesses --------------------------------------------------------------------------------------------


def test_one_refusal_asks_and_a_second_one_that_the_peer_does_not_answer_ends_it() -> None:
    rig = Rig(LAN, OTHER)
    rig.vigil.refused(LAN, 1.0)
    assert set(rig.asked()) == {LAN, OTHER} and rig.said() == []
    rig.vigil.refused(LAN, 1.0 + T.verify / 2)
    assert rig.asked() == [] and rig.said() == [], "the peer may yet answer"
    rig.vigil.refused(LAN, 1.0 + T.verify)
    assert rig.said() == [PeerLost(2, "process died")]
    assert not rig.search.leads, "it is looked for no more"


def test_an_answer_between_two_refusals_makes_the_second_one_the_first() -> None:
    rig = Rig()
    for number in range(20):
        rig.vigil.refused(LAN, 1.0 + number)
        rig.vigil.heard(rig.peer, LAN, 1.0 + number + T.verify / 2)
    assert rig.said() == []


def test_silence_after_one_refusal_ends_a_peer_sooner_than_silence_alone() -> None:
    rig = Rig()
    rig.vigil.heard(rig.peer, LAN, 1.0)
    rig.vigil.refused(LAN, 1.0)
    lost = rig.run(1.0, 9.0)
    assert lost is not None and 1.0 + T.doubt <= lost <= 1.0 + T.doubt + 2 * T.ask
    assert rig.said() == [PeerLost(2, "process died")]


@pytest.mark.parametrize("address", [OTHER, ("10.0.0.2", 6), ("10.9.9.9", 5)])
def test_a_refusal_from_where_the_peer_is_not_reached_says_nothing_of_it(address: Address) -> None:
    rig = Rig(LAN, OTHER)
    for step in range(9):
        rig.vigil.refused(address, 1.0 + step)
    assert rig.said() == [] and rig.peer.refused_at == NEVER


def test_a_way_that_is_unreachable_is_the_reason_of_a_loss_and_never_its_cause() -> None:
    rig = Rig()
    rig.vigil.hosts.port = PORT
    rig.vigil.knock_at_host(rig.peer, 0.0, new=True)
    for step in range(100):
        rig.vigil.unreachable(LAN, 0.1 + step / 1000)
    assert rig.said() == []
    rig.run(0.2, 9.0)
    assert rig.said() == [PeerStalled(2), PeerLost(2, "host unreachable")]


def test_two_witnesses_are_worth_a_refusal() -> None:
    rig = Rig()
    one, other = rig.add(3, ("10.0.0.2", 6)), rig.add(4, ("10.0.0.2", 7))
    rig.vigil.told(rig.peer, one, 1.0)
    assert rig.asked() == [LAN] and rig.peer.refused_at == NEVER
    rig.vigil.told(rig.peer, one, 1.01)
    assert rig.asked() == []
    rig.vigil.told(rig.peer, other, 1.02)
    assert rig.asked() == [LAN] and rig.peer.refused_at == 1.02
    rig.vigil.refused(LAN, 1.03)
    assert rig.said() == [PeerLost(2, "process died")], "its host says the same"


def test_nobody_is_told_of_the_end_of_a_node_that_never_said_who_it_was() -> None:
    rig = Rig()
    rig.peer.entry = None
    rig.vigil.lose(rig.peer, "closed", 1.0)
    assert rig.said() == [] and not rig.roster.peers and not rig.roster.at


# -- paths -------------------------------------------------------------------------------------------------------------


def test_a_better_path_is_taken_when_it_is_heard() -> None:
    rig = Rig(LAN)
    rig.add(2, LOOPBACK)
    rig.vigil.heard(rig.peer, LOOPBACK, 0.1)
    assert rig.said() == [PeerMoved(2, LOOPBACK)]
    rig.vigil.heard(rig.peer, LAN, 0.2)
    assert rig.said() == [] and rig.peer.address == LOOPBACK


def test_a_peer_whose_address_another_node_has_moves_or_has_ended() -> None:
    rig = Rig(LAN, OTHER)
    rig.vigil.displaced(rig.peer, LAN, 1.0)
    assert rig.said() == [PeerMoved(2, OTHER)] and rig.asked() == [OTHER]
    rig.vigil.displaced(rig.peer, OTHER, 1.0)
    assert rig.said() == [PeerLost(2, "process died")]


# -- sleep -------------------------------------------------------------------------------------------------------------


def test_a_time_in_which_we_slept_is_nobodys_silence() -> None:
    rig = Rig()
    assert rig.run(0.0, 0.5) is None
    rig.vigil.sleep_over(99.0)
    assert rig.run(99.5, 99.0 + T.suspect - 0.01) is None
    assert rig.said() == [] and rig.asked() == []
    lost = rig.run(99.0 + T.suspect, 120.0)
    assert lost is not None and 99.0 + T.lost <= lost <= 99.0 + T.lost + 2 * T.ask


@given(st.lists(st.tuples(st.sampled_from(["heard", "refused", "unreachable", "told", "doubt"]), st.floats(0, 0.4))))
def test_whatever_is_said_a_peer_that_answers_every_question_is_not_lost(steps: list[tuple[str, float]]) -> None:
    rig, now = Rig(LAN, OTHER), 0.0
    witnesses = [rig.add(3, ("10.0.0.2", 6)), rig.add(4, ("10.0.0.2", 7))]
    for what, passes in steps:
        now += passes
        for peer in (rig.peer, *witnesses):
            rig.vigil.heard(peer, peer.address, now)
        if what == "refused":
            rig.vigil.refused(LAN, now)
        elif what == "unreachable":
            rig.vigil.unreachable(LAN, now)
        elif what == "told":
            for witness in witnesses:
                rig.vigil.told(rig.peer, witness, now)
        elif what == "doubt":
            rig.vigil.doubt(rig.peer, now)
        rig.vigil.handle_timer(now)
        now += T.verify / 2
        for address in set(rig.asked()) & {LAN, OTHER}:
            rig.vigil.heard(rig.peer, address, now)
    assert not [event for event in rig.said() if isinstance(event, PeerLost | PeerStalled)]
