"""One publisher at one subscriber: matching, order, decoding, books, reports, the end; no socket and no clock."""

from __future__ import annotations

import gc
import logging
from collections import namedtuple

import pytest

import ipcpy as ipc
from handing import Giver
from ipcpy.protocol.data.batch import pack_alike, pack_batch
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Place
from ipcpy.protocol.data.matching import ANSWER_BODY, TYPES_DIFFER
from ipcpy.protocol.data.places import held, let_go
from ipcpy.protocol.data.questions import REORDER_DELAY
from ipcpy.protocol.data.reports import unpack_missing, unpack_report
from ipcpy.protocol.wire import FLAG_MULTICAST, Kind, pack_frame
from ipcpy.subscribing.flow import BEHIND, LINGER
from ipcpy.subscribing.reasons import how_far
from receiving import HERE, THERE, Side
from still import StillLoop

P = 0xA1
Imu = namedtuple("Imu", "x y")
IMU = ipc.MsgLibrary({23: ("<2f", Imu)})


@pytest.fixture
def side():
    return Side()


# -- matching ----------------------------------------------------------------------------------------------------------


def test_a_challenge_is_answered_with_what_the_socket_holds(side):
    side.meet(P)
    answer = side.challenge(P, nonce=9)
    assert (answer.kind, answer.source, answer.seq, answer.sent_ns) == (Kind.ANSWER, P, side.number, 9)
    assert ANSWER_BODY.unpack(answer.body)[:2] == (0, side.socket.capacity)


def test_nothing_is_matched_before_the_start(side):
    flow = side.meet(P)
    side.challenge(P)
    side.data(P, 1, b"early")
    assert (flow.matched, side.matched, side.bodies()) == (False, 0, [])
    assert side.intake.dropped == {"source": 1}


def test_the_start_matches_and_messages_come_from_its_address_only(side):
    flow = side.match(P, first=5)
    assert (flow.matched, side.matched, flow.address) == (True, 1, HERE)
    side.data(P, 5, b"five")
    side.data(P, 6, b"forged", THERE)
    assert side.bodies() == [b"five"]
    assert side.intake.dropped == {"source": 1}


def test_a_start_without_the_token_of_its_address_changes_nothing(side):
    side.meet(P)
    _, _, token = ANSWER_BODY.unpack(side.challenge(P, HERE).body)
    side.inbound.take(side.start(P, 1, token), THERE)
    side.inbound.take(side.start(P, 1, token ^ 1), HERE)
    assert side.answers() == [] and side.matched == 0
    assert side.intake.dropped == {"malformed": 2}


def test_a_start_for_another_subscriber_is_no_schema_of_ours(side):
    side.meet(P)
    _, _, token = ANSWER_BODY.unpack(side.challenge(P).body)
    side.number += 1
    side.inbound.take(side.start(P, 1, token), HERE)
    assert side.matched == 0 and side.intake.dropped == {"schema": 1}


def test_challenges_from_elsewhere_than_its_node_are_not_answered(side):
    side.meet(P, is_its_address=lambda ip: ip == HERE[0])
    side.inbound.take(pack_frame(Kind.PROBE, P, side.number, 5, bytes(ANSWER_BODY.size)), THERE)
    assert side.answers() == [] and side.intake.dropped == {"source": 1}


def test_a_start_for_multicast_adds_an_address_and_moves_nothing(side):
    flow = side.match(P, address=HERE)
    _, _, token = ANSWER_BODY.unpack(side.challenge(P, THERE).body)
    side.inbound.take(side.start(P, 9, token, flags=FLAG_MULTICAST), THERE)
    assert (flow.address, flow.multicast) == (HERE, THERE)
    side.data(P, 1, b"unicast", HERE)
    side.data(P, 2, b"multicast", THERE)
    assert side.bodies() == [b"unicast", b"multicast"]


def test_types_that_differ_are_told_and_nothing_is_taken(caplog):
    side = Side(IMU)
    other = ipc.MsgLibrary({23: ("<2d", Imu)})
    with caplog.at_level(logging.WARNING, "ipcpy"):
        flow = side.meet(P, codec="struct", schema=dict(other.schema))
    assert flow.mismatch and "types of publisher arm differ" in caplog.text
    answer = side.challenge(P)
    verdict, _, token = ANSWER_BODY.unpack(answer.body)
    assert verdict == TYPES_DIFFER
    side.inbound.take(side.start(P, 1, token), HERE)
    assert not flow.matched and side.intake.dropped == {"schema": 1}
    assert "the types differ" in how_far(flow, flow.info.node)


def test_another_codec_than_ones_own_is_a_mismatch():
    flow = Side(IMU).meet(P, codec="msgpack")
    assert flow.mismatch == ("the publisher's codec is msgpack, the subscriber's is struct",)


def test_why_says_how_far_the_match_is(side):
    flow = side.meet(P)
    assert "nothing has come from it to UDP here" in how_far(flow, flow.info.node)
    side.match(P)
    assert how_far(flow, flow.info.node) == "Publisher 'arm' on h1 (10.0.0.7:1): matched."
    flow.leave(side.now)
    assert "it went a moment ago" in how_far(flow, flow.info.node)


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_message_has_its_publishers_topic_number_and_times(side):
    side.match(P)
    side.wall_ns = 5_000
    side.data(P, 1, b"body")
    (message,) = side.messages()
    assert message == ipc.Message(b"body", "t", 1, 5_000, 5_000, f"{P:016x}")


def test_a_gap_is_counted_by_what_it_is_laid_to(side):
    side.match(P)
    side.data(P, 2, b"2")
    assert side.lost(P) == {"network": 1}
    side.socket.dropped = 1
    side.data(P, 4, b"4")
    assert side.lost(P) == {"network": 1, "kernel": 1}
    side.data(P, 1, b"1")
    assert side.lost(P) == {"kernel": 1} and side.bodies() == [b"2", b"4", b"1"]


def test_a_gap_before_a_batch_is_laid_to_the_kernel_too_however_short_it_is(side):
    side.match(P)
    side.socket.dropped = 1
    side.inbound.take(pack_batch(P, 2, side.wall_ns, 0, [b"2", b"3", b"4"]), HERE)
    assert side.lost(P) == {"kernel": 1}


def test_copies_are_delivered_once(side):
    side.match(P)
    for _ in range(3):
        side.data(P, 1, b"1")
    assert side.bodies() == [b"1"]
    _, each = side.inbound.stats()
    assert each[f"{P:016x}"].duplicates == 2


def test_a_batch_is_delivered_in_order_alike_or_not(side):
    side.match(P)
    bodies = [b"a", b"bc", b"def"]
    side.inbound.take(pack_batch(P, 1, side.wall_ns, 0, bodies), HERE)
    side.inbound.take(pack_alike(P, 4, side.wall_ns, 0, memoryview(b"xxyyzz"), 2), HERE)
    assert side.bodies() == [*bodies, b"xx", b"yy", b"zz"]
    total, _ = side.inbound.stats()
    assert (total.received, total.bytes, dict(total.lost)) == (6, 12, {})


def test_a_batch_is_decoded_all_at_once_where_the_codec_can():
    side = Side()
    flow = side.match(P, codec="struct", schema=dict(IMU.schema))
    samples = [Imu(float(n), -float(n)) for n in range(100)]
    data, size = IMU.encode_many(samples)
    side.data(P, 1, IMU.encode(samples[0]), codec="struct")
    side.inbound.take(pack_alike(P, 2, side.wall_ns, 1, memoryview(data), size), HERE)
    assert [tuple(each) for each in side.bodies()] == [tuple(each) for each in [samples[0], *samples]]
    assert flow.undecodable == 0


def test_in_a_batch_only_what_cannot_be_decoded_is_lost():
    side = Side()
    side.match(P, codec="msgpack")
    side.inbound.take(pack_batch(P, 1, side.wall_ns, 2, [b"\x01", b"\xc1", b"\x03"]), HERE)
    assert side.bodies() == [1, 3]
    assert side.lost(P) == {"codec": 1}


def test_a_codec_whose_many_is_no_list_is_taken_message_by_message():
    class Lazy:
        name, schema = "raw", {}

        def encode(self, data):
            return data

        def decode(self, body):
            return bytes(body)

        def decode_many(self, data, size):
            return (data[at : at + size] for at in range(0, len(data), size))

    side = Side(Lazy())
    side.match(P)
    side.inbound.take(pack_alike(P, 1, side.wall_ns, 0, memoryview(b"aabb"), 2), HERE)
    assert side.bodies() == [b"aa", b"bb"]


def test_what_cannot_be_decoded_is_counted_and_said_once(side, caplog):
    side.match(P, codec="msgpack")
    with caplog.at_level(logging.WARNING, "ipcpy"):
        for seq in (1, 2, 3):
            side.data(P, seq, b"\xc1", codec="msgpack")
    assert side.bodies() == [] and side.lost(P) == {"codec": 3}
    assert caplog.text.count("cannot be decoded") == 1


def test_another_codec_than_announced_is_malformed(side):
    side.match(P)
    side.data(P, 1, b"\x01", codec="msgpack")
    assert side.bodies() == [] and side.intake.dropped == {"malformed": 1}


def test_a_message_much_later_than_the_fastest_has_the_sockets_emptied(side):
    side.match(P)
    side.data(P, 1, b"fast")
    assert not side.intake.behind
    sent = side.wall_ns
    side.wall_ns += BEHIND + 1
    side.inbound.take(pack_frame(Kind.DATA, P, 2, sent, b"late"), HERE)
    assert side.intake.behind


# -- large messages ----------------------------------------------------------------------------------------------------


def fragments(seq, body, size=1_000):
    message = Outgoing(Place(P, seq, 5, 0, len(body), size), [memoryview(body)])
    return [b"".join(parts) for parts in message.fragments(range(message.count))]


def test_a_large_message_is_put_together_in_any_order(side):
    side.match(P)
    body = bytes(range(256)) * 20
    datagrams = fragments(1, body)
    for datagram in [*datagrams[1:], datagrams[0]]:
        side.inbound.take(datagram, HERE)
    assert side.bodies() == [body] and side.intake.filling is None


def test_while_it_is_incomplete_the_flow_is_the_one_being_filled(side):
    flow = side.match(P)
    first, *_ = fragments(1, bytes(5_000))
    side.inbound.take(first, HERE)
    assert side.intake.filling is flow.receiver
    side.poll(P, last=1, lowest=1)
    report, missing = side.answers()
    assert (report.kind, missing.kind, missing.seq) == (Kind.REPORT, Kind.MISSING, 1)
    at, bitmap = unpack_missing(missing.body)
    assert {at + bit for bit in range(8) if bitmap[0] >> bit & 1} == {1, 2, 3, 4}


def test_fragments_of_another_codec_are_malformed(side):
    side.match(P)
    place = Place(P, 1, 5, 2, 3_000, 1_000)
    message = Outgoing(place, [memoryview(bytes(3_000))])
    side.inbound.take(b"".join(message.fragments(range(1))[0]), HERE)
    assert side.intake.filling is None and side.intake.dropped == {"malformed": 1}


# -- what the publisher asks -------------------------------------------------------------------------------------------


def test_a_poll_is_answered_with_what_is_here_and_what_is_missing(side):
    side.match(P, reliable=True)
    side.data(P, 1, b"1")
    side.data(P, 4, b"4")
    side.poll(P, last=5, lowest=1, position=800)
    (report,) = side.answers()
    assert (report.kind, report.source, report.seq, report.sent_ns) == (Kind.REPORT, P, side.number, 800)
    read = unpack_report(report.body)
    assert (read.next, read.window, list(read.missing)) == (2, side.socket.capacity, [(2, 4), (5, 6)])
    assert side.bodies() == [b"1"], "a reliable topic keeps the order"


def test_what_a_reliable_publisher_has_no_more_is_given_up(side):
    side.match(P, reliable=True)
    side.data(P, 3, b"3")
    side.poll(P, last=3, lowest=3)
    assert side.bodies() == [], "it may be on its way"
    side.answers()
    side.now += REORDER_DELAY
    side.inbound.handle_timer(side.now)
    assert side.bodies() == [b"3"] and side.lost(P) == {"given up": 2}
    assert unpack_report(side.answers()[0].body).next == 4


def test_a_gap_of_a_reliable_topic_is_asked_for_in_time(side):
    flow = side.match(P, reliable=True)
    side.data(P, 1, b"1")
    side.data(P, 3, b"3")
    side.answers()
    assert side.now < flow.next_timer() < side.now + 0.01
    side.now = flow.next_timer()
    assert flow.handle_timer(side.now)
    assert list(unpack_report(side.answers()[0].body).missing) == [(2, 3)]


def test_polls_of_the_wrong_size_and_frames_of_the_link_are_malformed(side):
    side.match(P)
    side.inbound.take(pack_frame(Kind.POLL, P, 1, 1, b"short"), HERE)
    side.inbound.take(pack_frame(Kind.REPORT, P, 1, 1, bytes(24)), HERE)
    assert side.intake.dropped == {"malformed": 2}


# -- the end -----------------------------------------------------------------------------------------------------------


def test_what_was_on_its_way_when_the_publisher_went_still_arrives(side):
    flow = side.match(P)
    flow.leave(side.now)
    assert not flow.matched
    side.data(P, 1, b"last")
    assert side.bodies() == [b"last"] and not flow.matched, "who went is not matched by what comes late"
    assert flow.next_timer() == side.now + LINGER
    assert flow.handle_timer(side.now + LINGER / 2)
    assert not flow.handle_timer(side.now + LINGER)


def test_what_waits_is_delivered_when_nothing_more_can_come(side):
    flow = side.match(P, reliable=True)
    side.data(P, 2, b"2")
    assert side.bodies() == []
    flow.finish(side.now)
    assert side.bodies() == [b"2"] and side.lost(P) == {"given up": 1}
    side.data(P, 3, b"3")
    assert side.bodies() == [], "nothing is taken before the next START"


def test_a_poll_of_who_sends_by_multicast_is_answered_once_the_groups_were_emptied(side):
    flow = side.match(P)
    flow.multicast = ("10.0.0.1", 9)
    side.poll(P, last=2, lowest=3, position=800)
    assert side.intake.behind and not side.answers() and not +flow.receiver.lost
    assert side.inbound.answer_polls(emptied=True), "the groups were read before it came"
    assert side.inbound.answer_polls(emptied=False) and not side.answers()
    side.data(P, 1, b"by", flow.multicast)
    side.data(P, 2, b"multicast", flow.multicast)
    assert not side.inbound.answer_polls(emptied=True) and not side.intake.behind
    assert [(frame.kind, frame.sent_ns) for frame in side.answers()] == [(Kind.REPORT, 800)]
    assert side.bodies() == [b"by", b"multicast"] and not +flow.receiver.lost and not flow.receiver.reordered


# -- shared memory -----------------------------------------------------------------------------------------------------


@pytest.fixture
def giver():
    pytest.importorskip("fcntl")
    with Giver(P, 77) as giver:
        yield giver


def share(side, giver, flow):
    """Let a subscriber take the memory of a publisher."""
    assert flow.memory.take_offer(giver.offer, [giver.descriptor], giver.theirs, StillLoop(), lambda: None)
    giver.read()


@pytest.fixture
def sharing(side, giver):
    flow = side.match(P)
    share(side, giver, flow)
    yield flow
    flow.finish(side.now)


def test_a_message_in_shared_memory_is_delivered_as_it_lies_there_and_counted(side, giver, sharing):
    spot = giver.lay(b"placed" * 10_000)
    side.inbound.take(giver.frame(spot, 1, sent_ns=5), HERE)
    (message,) = side.messages()
    assert isinstance(message.data, memoryview) and message.data.readonly and message.data == b"placed" * 10_000
    assert message == ipc.Message(message.data, "t", 1, 5, side.wall_ns, f"{P:016x}")
    total, _ = side.inbound.stats()
    assert (total.received, total.bytes, total.shared) == (1, 60_000, 1)
    assert giver.ledger[0] == held(spot.generation)
    del message
    assert giver.ledger[0] == let_go(spot.generation)


def test_messages_that_come_either_way_are_in_order_and_what_waits_is_held(side, giver):
    flow = side.match(P, reliable=True)
    share(side, giver, flow)
    spot = giver.lay(b"3" * 40_000, entry=2)
    side.inbound.take(giver.frame(spot, 3), HERE)
    side.data(P, 2, b"2")
    assert side.bodies() == [] and giver.ledger[2] == held(spot.generation)
    side.data(P, 1, b"1")
    assert [bytes(body[:1]) for body in side.bodies()] == [b"1", b"2", b"3"]
    assert giver.ledger[2] == let_go(spot.generation) and flow.shared == 1
    flow.finish(side.now)


def test_a_message_that_is_not_there_any_more_is_a_gap_and_no_lie(side, giver, sharing):
    gone, there = giver.lay(b"gone", entry=0), giver.lay(b"there", entry=1)
    giver.table[0] = 0
    side.inbound.take(giver.frame(gone, 1), HERE)
    side.inbound.take(giver.frame(there, 2), HERE)
    assert side.bodies() == [b"there"] and side.lost(P) == {"network": 1} and not side.intake.dropped


def test_a_message_that_comes_twice_is_delivered_once(side, giver, sharing):
    frame = giver.frame(giver.lay(b"once"), 1)
    for _ in range(3):
        side.inbound.take(frame, HERE)
    assert side.bodies() == [b"once"] and not side.intake.dropped


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize("change", [{"segment": 3}, {"offset": 1 << 21}, {"size": 1 << 21}])
def test_what_lies_about_where_it_is_is_counted_and_nothing_is_delivered(side, giver, sharing, change, seq):
    spot = giver.lay(b"body")
    side.inbound.take(giver.frame(spot._replace(**change), seq), HERE)
    assert side.bodies() == [] and side.intake.dropped == {"memory": 1}
    side.inbound.take(giver.frame(spot, 1), HERE)
    assert side.bodies() == [b"body"]


@pytest.mark.parametrize("seq", [1, 2])
def test_what_can_be_no_place_or_has_another_codec_is_malformed(side, giver, sharing, seq):
    spot = giver.lay(b"body")
    side.inbound.take(giver.frame(spot._replace(entry=1024), seq), HERE)
    side.inbound.take(giver.frame(spot._replace(generation=0), seq), HERE)
    side.inbound.take(giver.frame(spot, seq, codec=2), HERE)
    side.inbound.take(pack_frame(Kind.PLACED, P, seq, 5, b"short"), HERE)
    assert side.bodies() == [] and side.intake.dropped == {"malformed": 4}
    assert giver.ledger[0] == 0, "nothing was marked"


def test_before_memory_was_offered_and_from_elsewhere_than_this_host_nothing_lies_in_it(side, giver):
    side.match(P)
    side.inbound.take(giver.frame(giver.lay(b"body"), 1), HERE)
    assert side.intake.dropped == {"memory": 1}
    side.match(0xB2, address=THERE)
    with Giver(0xB2, 77) as other:
        side.inbound.take(other.frame(other.lay(b"body"), 1), THERE)
    assert side.bodies() == [] and side.intake.dropped == {"memory": 1, "malformed": 1}


def test_an_array_in_shared_memory_is_decoded_without_a_copy(side, giver):
    numpy = pytest.importorskip("numpy")
    flow = side.match(P, codec="msgpack")
    share(side, giver, flow)
    array = numpy.arange(20_000, dtype="u4").reshape(100, 200)
    spot = giver.lay(b"".join(bytes(part) for part in ipc.MsgPack().encode(array)))
    side.inbound.take(giver.frame(spot, 1, codec=2), HERE)
    (decoded,) = side.bodies()
    assert (decoded == array).all() and not decoded.flags.writeable and giver.ledger[0] == held(spot.generation)
    row = decoded[5]
    del decoded
    assert giver.ledger[0] == held(spot.generation), "a part of it holds it"
    del row
    assert giver.ledger[0] == let_go(spot.generation)
    flow.finish(side.now)


@pytest.mark.parametrize("seq", [1, 2])
def test_what_cannot_be_decoded_is_let_go_of(side, giver, seq):
    flow = side.match(P, codec="msgpack")
    share(side, giver, flow)
    spot = giver.lay(b"\xc1" * 40_000)
    side.inbound.take(giver.frame(spot, seq, codec=2), HERE)
    assert side.bodies() == [] and side.lost(P)["codec"] == 1
    gc.collect()
    assert giver.ledger[0] == let_go(spot.generation)
    flow.finish(side.now)


def test_an_exception_from_outside_while_it_is_decoded_holds_nothing_and_it_can_come_by_udp(side, giver):
    class Interrupted:
        name, schema, raised = "raw", {}, False

        def encode(self, data): ...

        def decode(self, body):
            if not Interrupted.raised:
                Interrupted.raised = True
                raise KeyboardInterrupt
            return bytes(body)

    side = Side(Interrupted())
    flow = side.match(P, reliable=True)
    share(side, giver, flow)
    spot = giver.lay(b"body")
    with pytest.raises(KeyboardInterrupt):
        side.inbound.take(giver.frame(spot, 1), HERE)
    side.inbound.mend()
    gc.collect()
    assert giver.ledger[0] == let_go(spot.generation)
    side.data(P, 1, b"body")
    assert side.bodies() == [b"body"] and side.lost(P) == {}
    flow.finish(side.now)


def test_the_end_of_a_flow_ends_the_connection_once_nothing_is_held(side, giver, sharing):
    side.inbound.take(giver.frame(giver.lay(b"held"), 1), HERE)
    bodies = side.bodies()
    sharing.finish(side.now)
    assert giver.sock.receive() is None and not giver.sock.ended
    assert bodies == [b"held"]
    bodies.clear()
    assert giver.sock.receive() is None and giver.sock.ended
