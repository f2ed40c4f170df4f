"""What goes to peers: which frames, in which datagrams, and when the next are due."""

from __future__ import annotations

from random import Random

import pytest

from ipcpy.addresses import Address
from ipcpy.protocol.link.entries import NodeEntry, unpack_addresses
from ipcpy.protocol.link.exchange import RESEND, RESEND_EACH
from ipcpy.protocol.link.outbox import ALIVE_BODY, ASK, MAX_DATAGRAM, TELL, WITNESSES, Outbox
from ipcpy.protocol.link.peers import Path, Peer, Timing
from ipcpy.protocol.link.roster import Roster
from ipcpy.protocol.link.table import Table
from ipcpy.protocol.wire import Frame, Kind, frames
from ipcpy.timeouts import NEVER

NODE, NOW, TIMING = 0x33, 10.0, Timing()


class Rig:
    """An outbox, and peers that have greeted; peer ``n`` is at 10.0.0.n and gave the token ``100 + n``."""

    def __init__(self, peers: int = 1, *, watched: bool = False) -> None:
        self.table, self.roster = Table(), Roster(TIMING)
        self.outbox = Outbox(NODE, self.table, self.roster, TIMING, Random(1))
        self.peers = [self.add(n + 1, watched=watched) for n in range(peers)]

    def add(self, n: int, *, watched: bool = False, ip: str | None = None) -> Peer:
        peer = self.roster.place(n, (ip or f"10.0.{n >> 8}.{n & 255}", 5), Path(1, 100 + n, NOW))
        assert peer is not None
        peer.watched, peer.entry = watched, NodeEntry("n", "h", n, "1", "d")
        return peer

    def sent(self) -> list[tuple[Address | None, list[Frame]]]:
        return [(address, list(frames(data))) for data, address in self.outbox.take()]

    def frames(self) -> list[Frame]:
        return [frame for _, found in self.sent() for frame in found]


def test_a_frame_carries_our_id_and_the_token_that_its_receiver_gave() -> None:
    rig = Rig(2)
    rig.outbox.send_bye(rig.peers[1], rig.peers[1].address)
    ((address, (frame,)),) = rig.sent()
    assert address == ("10.0.0.2", 5)
    assert (frame.kind, frame.source, frame.seq, frame.sent_ns, bytes(frame.body)) == (Kind.BYE, NODE, 102, 0, b"")
    assert rig.sent() == [], "it was taken"


def test_frames_to_one_address_share_a_datagram_up_to_a_size() -> None:
    rig = Rig(2)
    for _ in range(100):
        for peer in rig.peers:
            rig.outbox.send_bye(peer, peer.address)
    datagrams = rig.outbox.take()
    assert all(len(data) <= MAX_DATAGRAM for data, _ in datagrams)
    assert len(datagrams) == 2 * -(-100 * 36 // (MAX_DATAGRAM // 36 * 36))
    assert sum(len(data) for data, _ in datagrams) == 2 * 100 * 36


def test_what_was_made_elsewhere_is_a_datagram_by_itself_and_keeps_its_turn() -> None:
    rig = Rig()
    (peer,) = rig.peers
    rig.outbox.send_bye(peer, peer.address)
    rig.outbox.put(b"hello", None)
    rig.outbox.put(b"knock", peer.address)
    rig.outbox.send_bye(peer, peer.address)
    (first, at), hello, knock = rig.outbox.take()
    assert (len(first), at) == (2 * 36, peer.address)
    assert (hello, knock) == ((b"hello", None), (b"knock", peer.address))


# -- heartbeats --------------------------------------------------------------------------------------------------------


def test_a_heartbeat_says_which_versions_we_have_and_may_ask_for_one() -> None:
    rig = Rig()
    (peer,) = rig.peers
    rig.table.put(1, b"x")
    peer.mirror.version = 9
    rig.outbox.send_alive(peer, NOW, [peer.address], ask=True)
    (frame,) = rig.frames()
    assert ALIVE_BODY.unpack(frame.body) == (1, 9, ASK)
    assert rig.outbox.due == peer.alive_at == NOW + TIMING.ask
    rig.outbox.send_alive(peer, NOW, [peer.address])
    (frame,) = rig.frames()
    assert ALIVE_BODY.unpack(frame.body) == (1, 9, 0)
    assert NOW + 0.9 * TIMING.alive <= peer.alive_at <= NOW + TIMING.alive


@pytest.mark.parametrize("watched", [False, True])
def test_heartbeats_to_all_peers_of_a_sort_are_due_together(watched: bool) -> None:
    rig = Rig(10, watched=watched)
    for at, peer in enumerate(rig.peers):
        rig.outbox.send_alive(peer, NOW + at * 0.01, [peer.address])
    assert len({peer.alive_at for peer in rig.peers}) == 1
    pause = TIMING.alive_watched if watched else TIMING.alive
    assert NOW + 0.9 * pause <= rig.peers[0].alive_at <= NOW + pause


def test_answers_that_are_owed_are_sent_once_however_often_they_are() -> None:
    rig = Rig(2)
    for _ in range(5):
        rig.outbox.owe_alive(rig.peers[0], rig.peers[0].address, NOW)
    ((address, found),) = rig.sent()
    assert (address, [frame.kind for frame in found]) == (rig.peers[0].address, [Kind.ALIVE])


def test_a_peer_that_went_is_owed_nothing() -> None:
    rig = Rig()
    rig.outbox.owe_alive(rig.peers[0], rig.peers[0].address, NOW)
    rig.roster.remove(rig.peers[0])
    assert rig.sent() == []


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_peer_is_sent_what_it_lacks_and_again_when_that_takes_too_long() -> None:
    rig = Rig()
    (peer,) = rig.peers
    rig.table.put(1, b"x")
    rig.outbox.send_table(peer, NOW)
    assert [frame.kind for frame in rig.frames()] == [Kind.TABLE]
    assert rig.outbox.due == NOW + RESEND + RESEND_EACH
    rig.outbox.send_table(peer, NOW)
    rig.outbox.repeat_table(peer, NOW + RESEND / 2)
    assert rig.frames() == [], "it is on its way"
    rig.outbox.repeat_table(peer, NOW + 2 * RESEND)
    assert [frame.kind for frame in rig.frames()] == [Kind.TABLE]


def test_slow_acknowledgements_of_some_make_us_patient_with_all() -> None:
    rig = Rig(40)
    rig.table.put(1, b"x")
    slow, other = rig.peers[:2]
    rig.outbox.send_table(slow, NOW)
    assert slow.delivery.acknowledge(1)
    rig.outbox.acknowledged(slow, NOW + 5.0)  # counts for no more than 0.5 s, of which an eighth
    rig.outbox.send_table(other, NOW)
    assert other.delivery.resend_at == pytest.approx(NOW + 2 * 0.5 / 8)


def test_removals_are_remembered_until_all_peers_know() -> None:
    rig = Rig(2)
    rig.table.put(1, b"x")
    rig.table.remove(1)
    rig.peers[0].delivery.acked = 2
    rig.outbox.forget_removals()
    assert rig.table.removals == 1
    rig.peers[1].delivery.acked = 2
    rig.outbox.forget_removals()
    assert rig.table.removals == 0


# -- what peers are told of others -------------------------------------------------------------------------------------


def test_a_static_peer_is_told_where_the_others_are_ever_more_seldom() -> None:
    rig = Rig(3)
    rig.add(4).entry = None  # it has not told who it is, and may be anybody
    rig.outbox.be_static(rig.peers[0], NOW)
    assert rig.outbox.due == rig.peers[0].tell_at == NOW
    pauses, now = [], NOW
    for _ in range(8):
        rig.outbox.send_peers(rig.peers[0], now)
        (frame,) = rig.frames()
        assert set(unpack_addresses(frame.body, "10.9.9.9")) == {("10.0.0.2", 5), ("10.0.0.3", 5)}
        pauses.append(rig.peers[0].tell_at - now)
        now = rig.peers[0].tell_at
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    rig.outbox.be_static(rig.peers[0], now)
    assert rig.peers[0].tell_at == now, "it was static before"


def test_many_peers_take_several_frames_and_none_takes_an_empty_one() -> None:
    rig = Rig(2 * TELL + 2)
    rig.outbox.send_peers(rig.peers[0], NOW)
    told = [unpack_addresses(frame.body, "10.9.9.9") for frame in rig.frames()]
    assert [len(each) for each in told] == [TELL, TELL, 1]
    alone = Rig()
    alone.outbox.send_peers(alone.peers[0], NOW)
    assert [unpack_addresses(frame.body, "10.9.9.9") for frame in alone.frames()] == [[]]


def test_a_peer_that_has_not_told_who_it_is_is_not_told_of_others() -> None:
    rig = Rig()
    rig.peers[0].entry = None
    rig.outbox.be_static(rig.peers[0], NOW)
    assert rig.peers[0].tell_at == NEVER
    rig.peers[0].entry = NodeEntry("n", "h", 1, "1", "d")
    rig.outbox.tell_soon(rig.peers[0], NOW)
    assert rig.peers[0].tell_at == NOW


def test_two_of_those_that_are_left_tell_each_peer_of_another_host_of_a_death() -> None:
    """Each of four nodes of a host decides by itself; together they tell each of ten twice."""
    told: list[Address | None] = []
    ours = {n: f"127.0.0.{n}" for n in range(1, 6)}  # node 5 died
    for me in range(1, 5):
        rig = Rig(0)
        rig.outbox = Outbox(me, rig.table, rig.roster, TIMING, Random(1))
        local = {n: rig.add(n, watched=True, ip=ip) for n, ip in ours.items() if n != me}
        for n in range(11, 21):
            rig.add(n)
        rig.roster.remove(local[5])
        rig.outbox.send_died(local[5])
        for address, (frame,) in rig.sent():
            assert (frame.kind, int.from_bytes(frame.body, "little")) == (Kind.DIED, 5)
            told.append(address)
    assert {told.count(address) for address in told} == {WITNESSES}
    assert len(set(told)) == 10


def test_nobody_is_told_of_the_death_of_a_process_that_was_not_watched() -> None:
    rig = Rig(5)
    dead = rig.add(9)
    rig.roster.remove(dead)
    rig.outbox.send_died(dead)
    assert rig.sent() == []


# -- time --------------------------------------------------------------------------------------------------------------


def test_after_a_sleep_what_was_due_is_due_now_and_what_was_not_is_not() -> None:
    rig = Rig()
    rig.outbox.beat_in(rig.peers[0], NOW, 0.3)
    rig.outbox.sleep_over(NOW + 9.0)
    assert rig.outbox.due == NOW + 9.0
    rig.outbox.sleep_over(NOW + 1.0)
    assert rig.outbox.due == NOW + 9.0
    rig.outbox.reschedule()
    assert rig.outbox.due == NOW + 0.3


def test_an_outbox_without_peers_is_never_due() -> None:
    rig = Rig()
    rig.outbox.beat_in(rig.peers[0], NOW, 0.3)
    rig.roster.clear()
    rig.outbox.reschedule()
    assert rig.outbox.due == NEVER
