"""Dispatch: every body goes the way that fits its size, and no datagram is larger than the way takes."""

from __future__ import annotations

import pytest

from ipcpy.errors import ArgumentError, ClosedError
from ipcpy.protocol.data.batch import unpack_batch
from ipcpy.protocol.data.heads import unpack_fragment
from ipcpy.protocol.wire import Kind
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

    def narrow(size, make_room=delivery.pacing.make_room):
        yield from make_room(size)
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
