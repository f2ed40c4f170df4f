"""Pacing: how long publish and close wait, on a made-up clock."""

from __future__ import annotations

import pytest

from ipcpy.errors import ClosedError
from ipcpy.protocol.wire import Kind
from ipcpy.publishing.pacing import BATCH_WAIT, BLOCK, BLOCK_PAUSE, HANDOVER, HURRY, LINGER, WAIT
from surroundings import Surroundings

LARGE = bytes(600_000)  # more than a listener's socket holds: some of it waits for credit
THERE = ("10.0.0.9", 0)


@pytest.fixture
def world():
    return Surroundings()


def timed(world, function, *arguments):
    begun = world.now
    function(*arguments)
    return world.now - begun


def test_where_everybody_can_take_a_message_nothing_is_waited_for(world):
    delivery, dispatch = world.deliver()
    world.listen(1)
    world.run()
    assert timed(world, lambda: delivery.outlet.monitor.do(delivery.pacing.make_room(100))) == 0
    assert timed(world, dispatch.many, [b"a", b"b"]) == 0
    assert world.waits == []


def test_a_large_message_waits_for_the_one_before_until_it_is_sent(world):
    delivery, dispatch = world.deliver()
    world.listen(1)
    world.run()
    dispatch.one(LARGE)
    (route,) = delivery.outlet.routes
    assert route.sender.busy
    dispatch.one(LARGE)
    assert world.waits
    assert timed(world, lambda: None) == 0  # the answers came at once


def test_a_large_message_waits_so_long_at_most_for_a_subscriber_that_is_silent(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run()
    dispatch.one(LARGE)
    listener.reports = False
    make_room, do = delivery.pacing.make_room, delivery.outlet.monitor.do
    assert 0 < timed(world, lambda: do(make_room(len(LARGE)))) <= WAIT + 1e-9
    world.run(0.001)
    assert timed(world, lambda: do(make_room(len(LARGE)))) == 0  # nobody waits for it any more


def test_a_batch_waits_longer(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run()
    listener.reports = False
    while not delivery.outlet.routes[0].sender.full:
        dispatch.many([bytes(500)] * 100)
    assert timed(world, dispatch.one, b"one by one") == 0
    assert WAIT < timed(world, dispatch.many, [b"a", b"b"]) <= BATCH_WAIT + 1e-9


def test_a_reliable_publisher_waits_as_long_as_it_was_told_then_publishes_anyway(world):
    delivery, dispatch = world.deliver(reliable=True, block=0.3)
    listener = world.listen(1)
    world.run()
    listener.reports = False
    while not delivery.outlet.routes[0].sender.full:
        dispatch.one(bytes(1000))
    world.run()
    listener.heard.clear()
    waited = timed(world, dispatch.one, b"published anyway")
    assert 0 < waited <= 0.3 + 1e-9
    assert len(listener.of_kind(Kind.POLL)) > waited / BLOCK_PAUSE / 2
    world.run()
    assert listener.bodies[-1] == b"published anyway"


def test_a_reliable_publisher_polls_those_who_hold_it_up_and_goes_on_when_they_answer(world):
    delivery, dispatch = world.deliver(reliable=True, block=BLOCK)
    listener = world.listen(1)
    world.run()
    for number in range(2000):
        dispatch.one(b"%04d" % number + bytes(1000))
    world.run(1.0)
    assert [int(body[:4]) for body in listener.bodies] == list(range(2000))
    assert listener.of_kind(Kind.POLL)
    assert delivery.outlet.stats().given_up == 0


def test_a_publisher_that_is_not_to_block_never_waits(world):
    delivery, dispatch = world.deliver(reliable=True, block=0.0)
    listener = world.listen(1)
    world.run()
    listener.reports = False
    for _ in range(2000):
        dispatch.one(bytes(1000))
    assert world.waits == []
    assert delivery.outlet.stats().published == 2000


def test_a_publisher_that_is_closed_while_it_waits_publishes_nothing_more(world):
    delivery, dispatch = world.deliver(reliable=True, block=60.0)
    listener = world.listen(1)
    world.run()
    while not delivery.outlet.routes[0].sender.full:
        dispatch.one(bytes(1000))
    listener.reports = False
    published = delivery.outlet.stats().published
    world.call(delivery.close, 0.0)
    with pytest.raises(ClosedError, match="'topic' is closed"):
        dispatch.one(bytes(1000))
    assert delivery.outlet.stats().published == published


def test_the_callers_buffer_may_change_when_publish_returns_though_not_all_is_sent(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1, THERE)
    world.run()
    listener.reports = False
    body = bytearray(LARGE)
    assert timed(world, dispatch.one, body) == pytest.approx(HANDOVER)
    body[:] = b"\xff" * len(body)
    listener.reports = True
    world.run(1.0)
    received = b"".join(bytes(frame.body) for frame in listener.of_kind(Kind.FRAGMENT))
    assert len(received) > len(LARGE)
    assert b"\xff" * 100 not in received


def test_a_buffer_that_cannot_change_is_not_waited_for(world):
    _, dispatch = world.deliver()
    world.listen(1, THERE).reports = False
    world.run()
    assert timed(world, dispatch.one, LARGE) == 0
    assert world.waits == []


def test_large_messages_close_to_one_another_are_given_back_once_they_are_sent(world):
    _, dispatch = world.deliver()
    world.listen(1, THERE).reports = False
    world.run()
    fits = bytearray(50_000)  # the credit suffices: all is sent, nothing is acknowledged
    assert timed(world, dispatch.one, fits) == pytest.approx(HANDOVER)
    world.run(HURRY / 2)
    assert timed(world, dispatch.one, bytearray(2000)) == 0


def test_closing_waits_until_the_last_message_is_acknowledged(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run()
    dispatch.one(b"last")
    assert timed(world, delivery.close) < LINGER
    assert listener.bodies == [b"last"]
    assert [frame.seq for frame in listener.of_kind(Kind.POLL)] == [1]


@pytest.mark.parametrize(("close_by", "seconds"), [(float("inf"), LINGER), (0.02, 0.02), (0.0, 0.0)])
def test_closing_waits_for_the_silent_no_longer_than_the_node_allows(world, close_by, seconds):
    delivery, dispatch = world.deliver()
    world.listen(1).reports = False
    world.run()
    dispatch.one(b"last")
    world.close_by = world.now + close_by
    assert timed(world, delivery.close) == pytest.approx(seconds)


def test_closing_in_the_io_thread_waits_for_nobody(world):
    delivery, dispatch = world.deliver()
    world.listen(1).reports = False
    world.run()
    dispatch.one(b"last")
    world.inside = True
    assert timed(world, delivery.close) == 0
    assert world.waits == []
