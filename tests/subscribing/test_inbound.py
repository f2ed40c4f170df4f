"""Datagrams to flows: the common case, what is dropped by cause, who is known, who went; no socket and no clock."""

from __future__ import annotations

import random

import pytest

from handing import Giver, descriptors, in_child
from ipcpy.protocol.data.batch import pack_batch
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Place
from ipcpy.protocol.data.matching import ANSWER_BODY
from ipcpy.protocol.data.places import held, let_go
from ipcpy.protocol.wire import DATA_WORD, FAST_HEADER, HEADER_SIZE, UNCHECKED, Kind, pack_frame
from ipcpy.subscribing.flow import BEHIND, LINGER
from ipcpy.subscribing.inbound import MAX_EARLY, MAX_PAST
from ipcpy.timeouts import NEVER
from receiving import HERE, THERE, Side
from still import StillLoop

P, Q = 0xA1, 0xB2


@pytest.fixture
def side():
    return Side()


def unchecked(number, seq, body, sent_ns=1_000_000_000):
    return FAST_HEADER.pack(DATA_WORD | (HEADER_SIZE + len(body)), UNCHECKED, number, seq, sent_ns) + body


# -- one message in one datagram ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"x", b"body"])
def test_a_message_without_a_check_is_taken_from_this_host_only(side, body):
    side.match(P, address=HERE)
    side.inbound.take(unchecked(P, 1, body), HERE)
    assert side.bodies() == [body] and not side.intake.dropped
    side.match(Q, address=THERE)
    side.inbound.take(unchecked(Q, 1, body), THERE)
    assert side.bodies() == [] and side.intake.dropped == {"malformed": 1}


def test_every_flipped_bit_of_a_checked_message_is_noticed(side):
    side.match(P, address=THERE)
    frame = pack_frame(Kind.DATA, P, 1, 5, b"body")
    for bit in range(8 * len(frame)):
        data = bytearray(frame)
        data[bit >> 3] ^= 1 << (bit & 7)
        side.inbound.take(bytes(data), THERE)
    assert side.bodies() == [] and sum(side.intake.dropped.values()) == 8 * len(frame)
    side.inbound.take(frame, THERE)
    assert side.bodies() == [b"body"]


def test_the_common_case_keeps_the_books_like_any_other(side):
    """Messages that are due, alone in their datagram, against the same merged into one buffer."""
    merged, single = Side(depth=5), Side(depth=5)
    for each in (merged, single):
        each.match(P)
    frames = [pack_frame(Kind.DATA, P, seq, 1_000_000_000, b"%d" % seq) for seq in range(1, 11)]
    merged.inbound.take(b"".join(frames), HERE)
    for frame in frames:
        single.inbound.take(frame, HERE)
    assert merged.messages() == single.messages()
    assert merged.inbound.stats() == single.inbound.stats()
    assert single.lost(P) == {"inbox": 5}


def test_the_common_case_notices_a_message_that_comes_late(side):
    side.match(P)
    side.inbound.take(unchecked(P, 1, b"fast", side.wall_ns), HERE)
    assert not side.intake.behind
    side.inbound.take(unchecked(P, 2, b"late", side.wall_ns - BEHIND - 1), HERE)
    assert side.intake.behind


def test_the_common_case_counts_what_cannot_be_decoded(side):
    side.match(P, codec="msgpack")
    side.data(P, 1, b"\xc1", codec="msgpack")
    side.data(P, 2, b"\x02", codec="msgpack")
    assert side.bodies() == [2] and side.lost(P) == {"codec": 1}


# -- what is dropped, by cause -----------------------------------------------------------------------------------------


def test_messages_of_publishers_that_are_not_known_are_counted(side):
    side.data(P, 1, b"who?")
    assert side.bodies() == [] and side.intake.dropped == {"unknown": 1}


def test_an_empty_datagram_is_a_call_to_wake_up_and_nothing_else(side):
    side.inbound.take(b"", HERE)
    assert not side.intake.dropped


def test_garbage_never_raises_and_is_counted(side):
    side.match(P)
    source = random.Random(3)
    valid = [
        pack_frame(kind, P, seq, 5, body)
        for kind in Kind
        for seq in (0, 1, 1 << 63)
        for body in (b"", bytes(8), bytes(20))
    ]
    for _ in range(20_000):
        data = bytearray(source.choice(valid))
        for _ in range(source.choice((0, 1, 3))):
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        side.inbound.take(bytes(data[: source.choice((len(data), source.randrange(len(data) + 1)))]), HERE)
    assert side.intake.dropped["malformed"] > 5_000
    total, _ = side.inbound.stats()
    (flow,) = side.inbound.flows.values()
    assert total.received + sum(total.lost.values()) == flow.receiver.next - flow.receiver.first


# -- who is known ------------------------------------------------------------------------------------------------------


def test_a_challenge_that_overtakes_the_news_of_its_publisher_is_answered_when_that_has_come(side):
    side.inbound.take(pack_frame(Kind.PROBE, P, side.number, 5, bytes(16)), HERE)
    assert side.answers() == []
    side.meet(P)
    (answer,) = side.answers()
    assert (answer.kind, answer.source) == (Kind.ANSWER, P)


def test_only_the_newest_few_challenges_of_strangers_are_kept(side):
    for number in range(1, MAX_EARLY + 11):
        side.inbound.take(pack_frame(Kind.PROBE, number, side.number, 5, bytes(16)), HERE)
    for number in range(1, MAX_EARLY + 11):
        side.meet(number)
    assert [answer.source for answer in side.answers()] == list(range(11, MAX_EARLY + 11))


def test_who_went_is_forgotten_after_a_while_but_not_its_counts(side):
    side.match(P)
    side.data(P, 1, b"1")
    side.inbound.leave(P, side.now)
    assert side.intake.timer == side.now + LINGER
    side.inbound.handle_timer(side.now + LINGER)
    assert not side.inbound.flows and side.intake.timer == NEVER
    total, each = side.inbound.stats()
    assert total.received == each[f"{P:016x}"].received == 1


def test_who_returns_goes_on_where_it_was(side):
    side.match(P)
    side.data(P, 1, b"1")
    side.inbound.leave(P, side.now)
    side.inbound.handle_timer(side.now + LINGER)
    side.match(P, first=4)
    side.data(P, 4, b"4")
    assert side.lost(P) == {"network": 2}
    total, each = side.inbound.stats()
    assert (total.received, len(each)) == (2, 1)


def test_who_returns_in_time_was_never_away(side):
    flow = side.match(P)
    side.inbound.leave(P, side.now)
    assert side.meet(P) is flow
    side.inbound.handle_timer(side.now + 2 * LINGER)
    assert P in side.inbound.flows


def test_the_sums_hold_however_many_publishers_came_and_went(side):
    count = MAX_PAST + 10
    for number in range(1, count + 1):
        side.match(number)
        side.data(number, 1, b"x")
        side.inbound.leave(number, side.now)
        side.now += 2 * LINGER
        side.inbound.handle_timer(side.now)
    total, each = side.inbound.stats()
    assert (total.received, len(each)) == (count, MAX_PAST)


def test_what_was_too_old_or_late_is_counted_for_its_publisher_also_when_that_is_not_listed_any_more(side):
    id = f"{P:016x}"
    side.match(P)
    for number in (1, 2, 3):
        side.data(P, number, b"x")
    side.inbox.discarded[id] = side.intake.late[id] = 2
    total, each = side.inbound.stats()
    assert (each[id].received, each[id].lost, each[id].late) == (1, {"too old": 2}, 2)
    assert (total.received, total.lost, total.late) == (1, {"too old": 2}, 2)
    side.inbound.leave(P, side.now)
    for number in range(1_000, 1_000 + MAX_PAST + 1):
        side.now += 2 * LINGER
        side.inbound.handle_timer(side.now)
        side.match(number)
        side.inbound.leave(number, side.now)
    side.inbound.handle_timer(side.now + 2 * LINGER)
    total, each = side.inbound.stats()
    assert id not in each
    assert (total.received, total.lost, total.late) == (1, {"too old": 2}, 2)
    assert not side.inbox.discarded
    assert not side.intake.late


def test_who_is_met_is_told_once_to_who_follows(side):
    followed = []
    side.intake.follow = lambda flow: followed.append(flow.number)
    for number in (P, P, Q):
        side.match(number)
    assert followed == [P, Q]


def test_a_publisher_is_found_by_its_id_also_when_it_has_gone(side):
    flow = side.match(P)
    assert side.inbound.flow_of(f"{P:016x}") is flow
    side.inbound.leave(P, side.now)
    side.inbound.handle_timer(side.now + 2 * LINGER)
    assert side.inbound.flow_of(f"{P:016x}") is flow
    assert side.inbound.flow_of(f"{Q:016x}") is None


def test_a_publisher_that_never_sent_leaves_no_counts(side):
    side.meet(P)
    side.inbound.leave(P, side.now)
    side.inbound.handle_timer(side.now + LINGER)
    assert side.inbound.stats()[1] == {}


def test_that_something_was_logged_of_a_publisher_is_forgotten_with_it(side):
    for number in range(1, MAX_PAST + 11):
        side.match(number, codec="msgpack")
        side.data(number, 1, b"\xc1", codec="msgpack")
        side.inbound.leave(number, side.now)
        side.now += 2 * LINGER
        side.inbound.handle_timer(side.now)
    assert side.intake.logged == {f"{number:016x}" for number in range(11, MAX_PAST + 11)}


def test_leaving_unknown_publishers_is_nothing(side):
    side.inbound.leave(P, side.now)
    assert side.intake.timer == NEVER


# -- for who reads -----------------------------------------------------------------------------------------------------


def test_what_is_due(side):
    side.match(P)
    frame = pack_frame(Kind.DATA, P, 1, 5, b"1")
    assert side.inbound.is_due(frame)
    assert not side.inbound.is_due(pack_frame(Kind.DATA, P, 2, 5, b"2"))
    assert not side.inbound.is_due(pack_frame(Kind.DATA, Q, 1, 5, b"?"))
    assert not side.inbound.is_due(frame[:HEADER_SIZE]) and not side.inbound.is_due(b"")


def test_fragments_received_in_place_are_taken_like_any(side):
    side.match(P)
    body = bytes(range(256)) * 12
    place = Place(P, 1, 5, 0, len(body), 1_024)
    assert side.inbound.begins(place, HERE) and not side.inbound.begins(place, THERE)
    assert not side.inbound.begins(place._replace(seq=2), HERE)
    buffer = bytearray(body)
    side.inbound.take_in_place(place, 0, 2, buffer)
    assert side.bodies() == []
    assert not side.inbound.begins(place, HERE), "something of it is here"
    message = Outgoing(place, [memoryview(body)])
    side.inbound.take(b"".join(message.fragments(range(2, 3))[0]), HERE)
    assert side.bodies() == [body]


@pytest.mark.parametrize("reliable", [False, True])
def test_a_number_that_no_publisher_can_have_come_to_is_malformed_and_books_nothing(side, reliable):
    flow = side.match(P, reliable=reliable)
    side.data(P, 1, b"1")
    far = 1 << 40
    token = ANSWER_BODY.unpack(side.challenge(P).body)[2]
    side.data(P, far, b"far")
    side.poll(P, last=far, lowest=far)
    side.inbound.take(side.start(P, far, token), HERE)
    side.inbound.take(pack_batch(P, far, 0, 0, [b"a", b"b"]), HERE)
    outgoing = Outgoing(Place(P, far, 0, 0, 200, 100), [memoryview(bytes(200))])
    for parts in outgoing.fragments(range(2)):
        side.inbound.take(b"".join(parts), HERE)
    assert side.intake.dropped["malformed"] == 6
    assert not +flow.receiver.lost and flow.receiver.next == 2
    side.data(P, 2, b"2")
    side.now += 3600
    side.data(P, 1_000_000_000, b"after an hour")
    assert [body for body in side.bodies() if body != b"after an hour"] == [b"1", b"2"]
    assert sum(side.lost(P).values()) == (0 if reliable else 1_000_000_000 - 3)


# -- shared memory -----------------------------------------------------------------------------------------------------


@pytest.fixture
def giver():
    pytest.importorskip("fcntl")
    with Giver(P, 77) as giver:
        yield giver


def share(side, giver, flow):
    assert flow.memory.take_offer(giver.offer, [giver.descriptor], giver.theirs, StillLoop(), lambda: None)


def test_a_message_in_shared_memory_that_is_due_keeps_the_books_like_any_other(side, giver):
    """Alone in its datagram, which is the common case, against the same merged with others into one buffer."""
    share(side, giver, side.match(P))
    spots = [giver.lay(bytes([number]) * 33_000, entry=number) for number in range(1, 4)]
    side.inbound.take(giver.frame(spots[0], 1), HERE)
    merged = giver.frame(spots[1], 2) + giver.frame(spots[2], 3)
    side.inbound.take(merged, HERE)
    assert [message.data[0] for message in side.messages()] == [1, 2, 3]
    total, _ = side.inbound.stats()
    assert (total.received, total.shared, total.bytes, total.lost) == (3, 3, 99_000, {})
    assert side.inbox.unread(0)[0] == 0
    side.inbound.let_go()


def test_messages_in_shared_memory_that_nobody_takes_give_way_and_are_let_go_of(giver):
    side = Side(depth=2)
    share(side, giver, side.match(P))
    giver.read()
    spots = [giver.lay(bytes(33_000), entry=number) for number in range(5)]
    for number, spot in enumerate(spots, 1):
        side.inbound.take(giver.frame(spot, number), HERE)
    assert [message.seq for message in side.inbox.messages] == [4, 5] and side.lost(P) == {"inbox": 3}
    kept = [giver.ledger[entry] == held(spot.generation) for entry, spot in enumerate(spots)]
    assert kept == [False, False, False, True, True]
    assert [giver.ledger[entry] for entry in range(3)] == [let_go(spot.generation) for spot in spots[:3]]
    side.messages()
    side.inbound.let_go()


def test_every_flipped_bit_of_where_a_message_lies_is_noticed(side, giver):
    share(side, giver, side.match(P))
    spot = giver.lay(b"body")
    frame = giver.frame(spot, 1)
    for bit in range(8 * len(frame)):
        data = bytearray(frame)
        data[bit >> 3] ^= 1 << (bit & 7)
        side.inbound.take(bytes(data), HERE)
    assert side.bodies() == [] and sum(side.intake.dropped.values()) == 8 * len(frame)
    side.inbound.take(frame, HERE)
    assert side.bodies() == [b"body"]
    side.inbound.let_go()


def test_once_a_subscriber_lets_go_no_publisher_shares_memory_with_it_be_it_gone_or_not(side, giver):
    flow = side.match(P)
    share(side, giver, flow)
    side.inbound.take(giver.frame(giver.lay(b"body"), 1), HERE)
    side.messages()
    side.inbound.leave(P, side.now)
    side.now += LINGER
    side.inbound.handle_timer(side.now)
    assert P not in side.inbound.flows
    giver.read()
    assert giver.sock.ended, "who went is asked for nothing more"
    with Giver(Q, 77) as other:
        share(side, other, side.match(Q))
        other.read()
        assert not other.sock.ended
        side.inbound.let_go()
        other.read()
        assert other.sock.ended


def test_a_forked_child_closes_what_nothing_is_held_by(side, giver):
    share(side, giver, side.match(P))

    def abandon():
        before = descriptors()
        side.inbound.abandon()
        return before - descriptors() == {"socket": 1}

    assert in_child(abandon)
    giver.read()
    assert not giver.sock.ended
    side.inbound.let_go()
