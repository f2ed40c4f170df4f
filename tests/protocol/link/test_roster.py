"""The books of a link: who is where, who gives way, and how long pauses are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.addresses import Address
from ipcpy.protocol.link.peers import Path, Peer, Timing
from ipcpy.protocol.link.roster import MAX_PATHS, MAX_PEERS, MAX_PEERS_AT_HOST, Roster
from ipcpy.protocol.link.table import POOL_BYTES, Table
from ipcpy.timeouts import NEVER

TIMING = Timing()


def path(heard: float = 0.0) -> Path:
    return Path(given=1, token=2, heard=heard)


def place(roster: Roster, id: int, address: Address | None = None, heard: float = 0.0) -> Peer:
    peer = roster.place(id, address or (f"10.0.{id >> 8}.{id & 255}", 5), path(heard))
    assert peer is not None
    return peer


def check(roster: Roster) -> None:
    """An address belongs to one peer, and both books say so."""
    assert {address: peer.id for peer in roster.peers.values() for address in peer.paths} == {
        address: peer.id for address, peer in roster.at.items()
    }


def test_a_peer_has_all_addresses_it_was_seen_at_and_none_once_it_is_removed() -> None:
    roster = Roster(TIMING)
    peer = place(roster, 1, ("10.0.0.1", 5))
    assert place(roster, 1, ("10.1.0.1", 5)) is peer
    assert peer.address == ("10.0.0.1", 5) and set(roster.at) == {("10.0.0.1", 5), ("10.1.0.1", 5)}
    roster.vacate(peer, ("10.1.0.1", 5))
    check(roster)
    roster.remove(peer)
    assert not roster.peers and not roster.at


def test_the_address_heard_longest_ago_gives_way_but_never_the_one_in_use() -> None:
    roster = Roster(TIMING)
    peer = place(roster, 1, ("10.0.0.200", 5), heard=-1.0)
    for at in range(1, MAX_PATHS + 5):
        place(roster, 1, (f"10.0.0.{100 - at}", 5), heard=float(at))
    newest = [(f"10.0.0.{100 - at}", 5) for at in range(6, MAX_PATHS + 5)]
    assert set(peer.paths) == {("10.0.0.200", 5), *newest}
    assert len(peer.paths) == MAX_PATHS
    check(roster)


def test_there_is_room_for_so_many_peers_and_for_fewer_of_one_host() -> None:
    roster = Roster(TIMING)
    for id in range(MAX_PEERS_AT_HOST):
        place(roster, id, ("10.9.9.9", 1 + id))
    assert roster.place(MAX_PEERS_AT_HOST, ("10.9.9.9", 60_000), path()) is None
    for id in range(MAX_PEERS_AT_HOST, MAX_PEERS):
        place(roster, id)
    assert roster.place(MAX_PEERS, ("10.8.8.8", 5), path()) is None
    assert len(roster.peers) == MAX_PEERS
    roster.clear()
    assert not roster.peers and not roster.at


def test_what_a_peer_announced_gives_room_to_others_once_it_is_gone() -> None:
    roster, table = Roster(TIMING), Table()
    for id in range(1, 4):
        table.put(id, bytes(50_000))
    peer = place(roster, 1)
    for _, body in table.frames_after(0):
        peer.mirror.apply(body)
    assert roster.pool.free < POOL_BYTES - 50_000
    roster.remove(peer)
    assert roster.pool.free == POOL_BYTES


@pytest.mark.parametrize(
    ("heard", "best"),
    [
        ({"10.0.0.1": 9.9, "10.1.0.1": 9.95}, "10.0.0.1"),  # the one in use, while it is heard
        ({"10.0.0.1": 5.0, "10.1.0.1": 9.95}, "10.1.0.1"),
        ({"10.0.0.1": 9.9, "127.0.0.1": 9.8}, "127.0.0.1"),  # loopback before all others
        ({"10.0.0.1": 9.9, "127.0.0.1": 5.0}, "10.0.0.1"),  # unless it is silent
        ({"10.0.0.1": 1.0, "10.1.0.1": 2.0}, "10.0.0.1"),  # nothing is heard: it stays
    ],
)
def test_the_best_path(heard: dict[str, float], best: str) -> None:
    roster = Roster(TIMING)
    for ip, when in heard.items():
        place(roster, 1, (ip, 5), when)
    assert roster.best(roster.peers[1], 10.0) == (best, 5)


@pytest.mark.parametrize("watched", [False, True])
def test_pauses_grow_with_the_number_of_peers_within_bounds(watched: bool) -> None:
    roster = Roster(TIMING)
    shortest, longest, beats = (
        (TIMING.alive_watched, TIMING.alive_watched_many, TIMING.beats_watched)
        if watched
        else (TIMING.alive, TIMING.alive_many, TIMING.beats)
    )
    for id in range(400):
        peer = place(roster, id)
        peer.watched = watched
        assert roster.pause(peer) == max(shortest, min((id + 1) / beats, longest))
        assert roster.grace(peer) == roster.pause(peer) - TIMING.alive
    assert roster.pause(peer) == longest


def test_what_all_peers_have_is_what_the_slowest_has() -> None:
    roster = Roster(TIMING)
    assert roster.acked(7) == 7, "there is nobody who lacks anything"
    for id, acked in ((1, 5), (2, 3), (3, 9)):
        place(roster, id).delivery.acked = acked
    assert roster.acked(9) == 3


def test_the_next_to_be_looked_after_is_the_first_of_all() -> None:
    roster = Roster(TIMING)
    assert roster.due() == NEVER
    for id in (1, 2, 3):
        place(roster, id).alive_at = 10.0 + id
    roster.peers[2].tell_at = 4.0
    roster.peers[3].delivery.resend_at = 3.0
    assert roster.due() == 3.0


def test_a_silence_in_which_we_slept_is_nobodys() -> None:
    roster = Roster(TIMING)
    peer = place(roster, 1, ("10.0.0.1", 5), heard=9.0)
    peer.heard, peer.refused_at, peer.told_at = 9.0, 9.5, 9.6
    assert roster.answers(("10.0.0.1", 5), 10.0) and not roster.answers(("10.0.0.1", 5), 30.0)
    roster.forgive(20.0)
    assert (peer.heard, peer.refused_at, peer.told_at) == (29.0, 29.5, 29.6)
    assert roster.answers(("10.0.0.1", 5), 30.0) and not roster.answers(("10.0.0.2", 5), 30.0)


@given(st.lists(st.tuples(st.sampled_from(["place", "vacate", "remove"]), st.integers(0, 5), st.integers(0, 20))))
def test_both_books_agree_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    roster = Roster(TIMING)
    for now, (verb, id, at) in enumerate(steps):
        address, peer = (f"10.0.0.{at}", 5), roster.peers.get(id)
        if verb == "place" and roster.at.get(address, peer) is peer:
            place(roster, id, address, float(now))
        elif verb == "vacate" and peer is not None and address in peer.paths and len(peer.paths) > 1:
            roster.vacate(peer, address)
            peer.address = next(iter(peer.paths))
        elif verb == "remove" and peer is not None:
            roster.remove(peer)
        check(roster)
        assert all(peer.address in peer.paths for peer in roster.peers.values())
