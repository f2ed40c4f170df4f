"""What is known of a peer: its paths, who it is, and what witnesses say of it."""

from __future__ import annotations

import msgpack
import pytest

from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, pack_entry
from ipcpy.protocol.link.peers import EntryChanged, Path, Peer, PeerChanged, PeerFound
from ipcpy.protocol.link.table import Mirror, Table
from ipcpy.protocol.wire import Malformed
from ipcpy.timeouts import NEVER

NODE = NodeEntry("n", "h", 7, "1", "d", started=99)
PUBLISHER = pack_entry(PublisherEntry("imu", "raw"))
PAUSE = 0.5


def new_peer(id: int = 1, **heard: float) -> Peer:
    """Make a peer with paths by name: new_peer(lan=0.0, loopback=1.0)."""
    ips = {"lan": "10.0.0.1", "other": "10.1.0.1", "loopback": "127.0.0.1"}
    paths = {(ips[name], 5): Path(1, 2, when) for name, when in (heard or {"lan": 0.0}).items()}
    return Peer(id, next(iter(paths)), max(path.heard for path in paths.values()), Mirror(), paths)


def bodies(*entries: tuple[int, bytes]) -> list[bytes]:
    """Return the TABLE bodies of which each adds one entry."""
    table, found = Table(), []
    for id, data in entries:
        before = table.version
        table.put(id, data)
        found += [body for _, body in table.frames_after(before)]
    return found


# -- what it says of itself --------------------------------------------------------------------------------------------


def test_nothing_is_said_of_a_node_before_it_has_told_who_it_is_and_then_all() -> None:
    peer = new_peer()
    topic, own, more = bodies((1, PUBLISHER), (0, pack_entry(NODE)), (2, PUBLISHER))
    assert peer.learn(topic) == []
    assert not peer.complete
    assert peer.learn(own) == [PeerFound(1, NODE, ("10.0.0.1", 5)), EntryChanged(1, 1, PUBLISHER)]
    assert peer.learn(more) == [EntryChanged(1, 2, PUBLISHER)]
    assert peer.learn(more) == [], "it was there already"
    assert peer.complete and peer.entry == NODE


def test_what_a_node_says_anew_of_itself_is_an_event() -> None:
    peer = new_peer()
    spoken = NodeEntry("n", "h", 7, "1", "d", started=99, speaker=5, shown="0a")
    own, anew, topic = bodies((0, pack_entry(NODE)), (0, pack_entry(spoken)), (1, PUBLISHER))
    peer.learn(own)
    assert peer.learn(anew) == [PeerChanged(1)]
    assert peer.entry == spoken
    assert peer.learn(topic) == [EntryChanged(1, 1, PUBLISHER)]


def test_a_peer_is_complete_once_all_that_it_announced_has_come() -> None:
    peer = new_peer()
    own, topic = bodies((0, pack_entry(NODE)), (1, PUBLISHER))
    peer.announced = 2
    peer.learn(own)
    assert not peer.complete
    peer.learn(topic)
    assert peer.complete


def test_our_own_address_that_a_peer_speaks_to_is_that_of_the_path_heard_last() -> None:
    one, two = ("10.0.0.1", 5), ("10.0.0.1", 6)
    paths = {one: Path(1, 2, 3.0, "10.0.0.201"), two: Path(1, 2, 4.0, "10.0.0.202")}
    peer = Peer(7, one, 4.0, Mirror(), paths)
    assert peer.source_to("10.0.0.1") == "10.0.0.202"
    assert peer.source_to("10.0.0.9") == ""


@pytest.mark.parametrize("wrong", [b"", b"\xc1", PUBLISHER])
def test_an_entry_that_is_none_of_a_node_makes_nobody_known(wrong: bytes) -> None:
    peer = new_peer()
    (own,) = bodies((0, wrong))
    assert peer.learn(own) == []
    assert peer.entry is None


def test_why_nothing_is_believed_of_a_node_is_known_until_it_says_better() -> None:
    peer = new_peer()
    wrong = msgpack.packb({"e": "n", "n": "a", "h": "b", "p": 1, "d": "d"})
    topic, first, second, right = bodies((1, PUBLISHER), (0, PUBLISHER), (0, wrong), (0, pack_entry(NODE)))
    peer.learn(topic)
    assert peer.fault == "its table has no entry with the id 0"
    peer.learn(first)
    assert peer.fault == "its entry with the id 0 is not that of a node"
    peer.learn(second)
    assert peer.fault == "the entry 'n' lacks 'v' (version)"
    peer.learn(right)
    assert (peer.fault, peer.entry) == ("", NODE)


@pytest.mark.parametrize("announced", [0, 2])
def test_an_entry_of_a_node_that_may_still_come_is_no_fault(announced: int) -> None:
    peer = new_peer()
    peer.announced = announced
    topic, own = (msgpack.packb(msgpack.unpackb(body)[:3]) for body in bodies((1, PUBLISHER), (0, pack_entry(NODE))))
    peer.learn(topic)
    assert peer.fault == ""
    peer.learn(own)
    assert peer.entry == NODE


def test_a_node_stays_known_by_what_it_said_first_if_it_then_says_nonsense() -> None:
    peer = new_peer()
    own, nonsense = bodies((0, pack_entry(NODE)), (0, b"nonsense"))
    peer.learn(own)
    assert peer.learn(nonsense) == []
    assert peer.entry == NODE


def test_a_body_that_is_malformed_changes_nothing() -> None:
    peer = new_peer()
    with pytest.raises(Malformed):
        peer.learn(msgpack.packb([0, 1, [0]]))
    assert (peer.announced, peer.entry, peer.mirror.version) == (0, None, 0)


# -- paths -------------------------------------------------------------------------------------------------------------


def test_fresh_paths_are_those_heard_since_loopback_first_and_then_the_last_heard() -> None:
    peer = new_peer(lan=1.0, other=3.0, loopback=2.0)
    assert [ip for ip, _ in peer.fresh(0.0)] == ["127.0.0.1", "10.1.0.1", "10.0.0.1"]
    assert [ip for ip, _ in peer.fresh(2.0)] == ["10.1.0.1"]
    assert peer.fresh(3.0) == []


def test_others_are_told_an_address_that_they_can_reach() -> None:
    assert new_peer(lan=0.0).outer == ("10.0.0.1", 5)
    assert new_peer(loopback=0.0, other=0.0).outer == ("10.1.0.1", 5)
    assert new_peer(loopback=0.0).outer == ("", 5), "at our own address, which the others know"


def test_a_greeting_that_says_what_another_said_just_now_crossed_it() -> None:
    peer = new_peer(lan=1.0)
    assert peer.crossed(("10.0.0.1", 5), token=2, since=0.5)
    assert not peer.crossed(("10.0.0.1", 5), token=3, since=0.5), "the node began anew"
    assert not peer.crossed(("10.0.0.1", 5), token=2, since=1.0), "that was long ago"
    peer.stalled = True
    assert not peer.crossed(("10.0.0.1", 5), token=2, since=0.5)


# -- witnesses ---------------------------------------------------------------------------------------------------------


def test_one_witness_is_worth_a_question_and_two_count_as_a_refusal() -> None:
    peer, first, second = new_peer(1), new_peer(2), new_peer(3)
    assert peer.told(first, 10.0, PAUSE) == 1
    assert peer.told(first, 10.1, PAUSE) == 0, "it says the same again"
    assert peer.told(second, 10.2, PAUSE) == 2
    assert peer.told(first, 10.6, PAUSE) == 1, "and the next question may be asked"


def test_a_peer_that_was_heard_since_the_first_witness_spoke_is_not_doubted() -> None:
    peer, first, second = new_peer(1), new_peer(2), new_peer(3)
    assert peer.told(first, 10.0, PAUSE) == 1
    peer.heard = 10.1
    assert peer.told(second, 10.2, PAUSE) == 0


@pytest.mark.parametrize("case", ["watched", "stalled", "itself", "another host"])
def test_witnesses_that_are_not_listened_to(case: str) -> None:
    peer, witness = new_peer(1), new_peer(2, **({"other": 0.0} if case == "another host" else {}))
    peer.watched, peer.stalled = case == "watched", case == "stalled"
    assert peer.told(peer if case == "itself" else witness, 10.0, PAUSE) == 0
    assert peer.told_at == -NEVER


def test_two_nodes_of_one_process_end_together() -> None:
    one, two, other, unknown = new_peer(1), new_peer(2), new_peer(3), new_peer(4)
    one.entry = two.entry = NODE
    other.entry = NodeEntry("n", "h", 7, "1", "d", started=100)  # the pid was used again
    assert one.ends_with(two) and two.ends_with(one)
    assert not one.ends_with(other) and not one.ends_with(unknown)


def test_a_peer_is_due_when_the_first_of_its_timers_is() -> None:
    peer = new_peer()
    assert peer.due == NEVER
    peer.alive_at, peer.tell_at, peer.delivery.resend_at = 3.0, 2.0, 1.0
    assert peer.due == 1.0
