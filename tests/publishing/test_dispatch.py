"""Dispatch: every body goes the way that fits its size, and no datagram is larger than the way takes."""

from __future__ import annotations

import pytest

from ipcpy.errors import ArgumentError, ClosedError
from ipcpy.protocol.data.batch import unpack_batch
from ipcpy.protocol.data.heads import unpack_fragment
from ipcpy.protocol.data.places import unpack_spot
from ipcpy.protocol.wire import Kind
from ipcpy.publishing.loans import MARGIN, lend
from ipcpy.publishing.sharing import UNTAKEN
from surroundings import Surroundings

THERE = ("10.0.0.9", 0)


@pytest.fixture
def world():
    return Surroundings()


def received(listener):
    """Return all bodies in the order of their numbers."""
    bodies, large = {}, {}
    for frame in listener.heard:
        if frame.kind == Kind.DATA:
            bodies[frame.seq] = bytes(frame.body)
        elif frame.kind == Kind.BATCH:
            bodies |= {frame.seq + at: body for at, body in enumerate(unpack_batch(frame.body))}
        elif frame.kind == Kind.FRAGMENT:
            run = unpack_fragment(frame)
            large.setdefault(frame.seq, {})[run.number] = b"".join(run.parts)
    bodies |= {seq: b"".join(parts[number] for number in sorted(parts)) for seq, parts in large.items()}
    assert list(sorted(bodies)) == list(range(1, len(bodies) + 1))
    return [bodies[seq] for seq in sorted(bodies)]


@pytest.mark.parametrize("reliable", [False, True])
def test_bodies_of_any_size_arrive_equal_and_no_datagram_is_too_large(world, reliable):
    delivery, dispatch = world.deliver(reliable=reliable)
    listener = world.listen(1, THERE)
    world.run()
    room = delivery.outlet.max_body
    bodies = [bytes([size % 256]) * size for size in (0, 1, room - 1, room, room + 1, 3 * room, 2, 100, 40, room - 4)]
    for body in bodies:
        assert dispatch.one(body) == 1
    assert dispatch.many(bodies) == 1
    world.run(1.0)
    assert received(listener) == [*bodies, *bodies]
    socket = world.sockets[listener.address]
    assert max(map(len, socket.sent)) <= socket.datagram


def test_messages_share_a_datagram_unless_each_may_be_asked_for_again(world):
    for reliable, datagrams in ((False, 1), (True, 20)):
        world = Surroundings()
        _, dispatch = world.deliver(reliable=reliable)
        listener = world.listen(1)
        world.run()
        before = len(world.sockets[listener.address].sent)
        dispatch.many([b"%d" % number for number in range(20)])
        assert len(world.sockets[listener.address].sent) - before == datagrams


def test_bodies_of_one_size_laid_end_to_end_arrive_one_by_one(world):
    _, dispatch = world.deliver()
    listener = world.listen(1, THERE)
    world.run()
    bodies = [b"%03d" % number for number in range(1000)]
    assert dispatch.alike(b"".join(bodies), 3) == 1
    world.run(1.0)
    assert received(listener) == bodies


def test_those_that_no_longer_fit_together_are_sent_one_by_one(world):
    """Somebody comes, while there is waited for room, to whom the way takes less."""
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run()
    bodies = [b"%05d" % number * 100 for number in range(200)]  # 500 bytes each

    def narrow(size, make_room=delivery.pacing.make_room, **options):
        yield from make_room(size, **options)
        if delivery.outlet.stats().published:
            delivery.outlet.max_body = 499

    delivery.pacing.make_room = narrow
    assert dispatch.alike(b"".join(bodies), 500) == 1
    world.run(1.0)
    assert received(listener) == bodies


def test_parts_are_sent_as_one_body(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1, THERE)
    world.run()
    parts = [b"head", memoryview(bytes(range(256)) * 20), b"", bytearray(b"tail")]
    dispatch.one(parts)
    dispatch.one([b"all", b"fits"])
    world.run(1.0)
    assert received(listener) == [b"".join(parts), b"allfits"]
    assert delivery.outlet.stats().bytes == sum(map(len, parts)) + 7


def test_a_reliable_topic_keeps_a_copy_of_what_the_caller_may_change(world):
    delivery, dispatch = world.deliver(reliable=True, keep=1)
    body = bytearray(b"a" * 100_000)
    dispatch.one(body)
    body[:] = b"b" * len(body)
    listener = world.listen(1, THERE)
    world.run(1.0)
    assert received(listener) == [b"a" * len(body)]


def test_what_no_subscriber_takes_is_refused_and_has_no_number(world):
    delivery, dispatch = world.deliver(reliable=True)
    with pytest.raises(ArgumentError, match="at most 67108864 bytes"):
        dispatch.one([bytes(1 << 20)] * 65)
    assert delivery.outlet.stats().published == 0


@pytest.mark.parametrize("body", [b"small", bytes(100_000), [b"in", b"parts"]])
def test_nothing_is_published_after_the_end(world, body):
    delivery, dispatch = world.deliver(reliable=True)
    delivery.close()
    with pytest.raises(ClosedError, match="the publisher of 'topic' is closed"):
        dispatch.one(body)
    with pytest.raises(ClosedError):
        dispatch.many([bytes(100_000)])
    assert delivery.outlet.stats().published == 0


# -- shared memory -----------------------------------------------------------------------------------------------------

LARGE = bytes(range(200)) * 500  # 100,000 bytes


@pytest.fixture
def sharing():
    pytest.importorskip("fcntl")
    world = Surroundings(16 << 20)
    yield world
    world.close()


def prepared(world, **options):
    """Return a delivery, what publishes by it, and a listener that has taken memory: the first message went by UDP."""
    delivery, dispatch = world.deliver(**options)
    listener = world.listen(1)
    world.run()
    dispatch.one(LARGE)
    world.run(2.0)
    return delivery, dispatch, listener


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda body: [body[:7], b"", bytearray(body[7:])]])
def test_a_body_of_any_kind_lies_in_shared_memory_as_one_and_the_callers_is_the_callers_again(sharing, kind, reliable):
    _, dispatch, listener = prepared(sharing, reliable=reliable)
    body = kind(LARGE)
    assert dispatch.one(body) == 1
    if isinstance(body, bytearray):
        body[:] = bytes(len(body))
    sharing.run(1.0)
    assert list(listener.taken) == [2] and listener.taken[2] == LARGE


def test_what_a_reliable_topic_keeps_in_shared_memory_is_kept_there_alone(sharing):
    delivery, dispatch, listener = prepared(sharing, reliable=True, keep=3)
    dispatch.one(LARGE)
    (kept,) = delivery.outlet.reliable.history.between(2, 3)
    assert kept.placed is not None and kept.parts == [kept.placed.body] and kept.size == len(LARGE)
    assert kept.parts[0] is kept.placed.body
    sharing.run(1.0)
    used = delivery.outlet.memory.segments.pool
    used.reclaim()
    assert used.free <= used.total - len(LARGE), "as long as it is kept"
    assert listener.taken[2] == LARGE


@pytest.mark.parametrize("reliable", [False, True])
def test_a_loan_is_published_without_a_copy(sharing, reliable):
    delivery, dispatch, listener = prepared(sharing, reliable=reliable)
    view = lend(delivery.outlet.memory, len(LARGE), None)
    view[:] = LARGE
    (loan,) = delivery.outlet.memory.lent
    dispatch.one([b"head", view, b"tail"])
    sharing.run(1.0)
    spot = unpack_spot(listener.of_kind(Kind.PLACED)[-1].body)
    assert (spot.generation, spot.offset) == (loan.slot.spot.generation, loan.slot.spot.offset + MARGIN - 4)
    assert listener.taken[2] == b"head" + LARGE + b"tail"


def test_a_loan_goes_to_other_hosts_too_and_where_nobody_takes_memory(sharing):
    delivery, dispatch = sharing.deliver()
    listener = sharing.listen(1, THERE)
    sharing.run()
    view = lend(delivery.outlet.memory, len(LARGE), None)
    view[:] = LARGE
    assert dispatch.one(view) == 1
    sharing.run(1.0)
    assert received(listener) == [LARGE]


def test_large_messages_among_many_lie_in_shared_memory_if_a_datagram_does_not_hold_them(sharing):
    _, dispatch, listener = prepared(sharing)
    dispatch.many([b"small", LARGE, b"small", LARGE[1:]])
    sharing.run(1.0)
    assert [listener.taken[number] for number in (3, 5)] == [LARGE, LARGE[1:]]
    assert sorted(frame.seq for frame in listener.of_kind(Kind.DATA)) == [2, 4]


def test_a_subscriber_that_does_not_take_what_lies_there_is_waited_for(sharing):
    _, dispatch, listener = prepared(sharing)
    sharing.waits.clear()
    listener.silent = True
    for _ in range(UNTAKEN):
        dispatch.one(LARGE)
    assert sharing.waits == []
    listener.silent = False
    dispatch.one(LARGE)
    assert sharing.waits, "until it has taken some"
    sharing.run(1.0)
    assert sorted(listener.taken)[-1] == 2 + UNTAKEN


def test_where_there_is_no_room_a_message_goes_in_fragments_and_nothing_is_lost(sharing):
    delivery, dispatch, listener = prepared(sharing)
    body = bytes(3 << 20)
    loans = []
    while (loan := delivery.outlet.memory.lend(len(body))) is not None:
        loans.append(loan)
        assert len(loans) < 20
    assert dispatch.one(body) == 1
    sharing.run(2.0)
    assert 2 in {frame.seq for frame in listener.of_kind(Kind.FRAGMENT)} and listener.taken == {}
    loans.clear()
    dispatch.one(body)
    sharing.run(1.0)
    assert list(listener.taken) == [3]


def test_nothing_goes_through_shared_memory_once_the_publisher_is_being_closed(sharing):
    delivery, dispatch, _ = prepared(sharing)
    delivery.outlet.usable, delivery.outlet.closed = False, True  # another thread waits for the last answers
    with pytest.raises(ClosedError):
        dispatch.one(LARGE)
    delivery.outlet.usable, delivery.outlet.closed = True, False
