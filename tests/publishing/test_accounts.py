"""What a publisher tells of itself: what it published, and for each subscriber how far it is and what was sent.

Each test counts as nodes do, which is in C where that was compiled, and again by its twin in Python.
"""

from __future__ import annotations

from collections import Counter

import pytest

from ipcpy.clock import Clock
from ipcpy.node.books import Moment, count_all
from ipcpy.protocol.data.matching import TAKES_IT, TYPES_DIFFER, answer, started
from ipcpy.protocol.link.rows import Published, Sent, Step, Way
from ipcpy.protocol.wire import Kind, frames
from surroundings import NUMBER, TOKEN, WINDOW, Listener, Surroundings, endpoint

HERE, THERE = ("127.0.0.1", 4001), ("10.0.0.9", 4001)


@pytest.fixture
def world():
    return Surroundings()


def by_twin(accounts, rows, moment):
    for account in accounts:
        account(rows, moment)


@pytest.fixture(params=["as nodes count", "by the twin"], autouse=True)
def count(request, monkeypatch):
    """Counts accounts in one of both ways; so does ``rows_of``."""
    way = count_all if request.param == "as nodes count" else by_twin
    monkeypatch.setattr(Ways, "count", staticmethod(way))
    return way


class Ways:
    count = staticmethod(by_twin)


def moment(*, hidden=False):
    return Moment(hidden, lambda _: Clock(0.0, 0.0, 0.0))


def rows_of(delivery, *, hidden=False):
    found = []
    Ways.count([delivery.account], found, moment(hidden=hidden))
    return found


def sent(delivery):
    return [row for row in rows_of(delivery) if isinstance(row, Sent)]


def test_what_was_published_is_told_though_nobody_listens(world):
    delivery, dispatch = world.deliver()
    dispatch.one(b"abc")
    assert [type(row) for row in rows_of(delivery)] == [Published]
    assert rows_of(delivery)[0].messages == 1


@pytest.mark.parametrize(("address", "way"), [(HERE, Way.LOOPBACK), (THERE, Way.UNICAST)])
def test_messages_and_bytes_for_each_subscriber_count_from_its_match_on(world, address, way):
    delivery, dispatch = world.deliver()
    dispatch.one(b"before")
    world.listen(1, address)
    world.run(1.0)
    for _ in range(3):
        dispatch.one(b"abcd")
    published, row = rows_of(delivery)
    assert published == Published(1, NUMBER, 4, published.bytes)
    assert row == Sent(2, NUMBER, 1, Step.MATCHED, way, 3, 12, 0, 0)


def test_what_is_kept_for_a_latecomer_counts_as_sent_to_it_with_its_bytes(world):
    delivery, dispatch = world.deliver(keep=2)
    for body in (b"a", b"bb", b"ccc"):
        dispatch.one(body)
    world.listen(1)
    world.run(1.0)
    (row,) = sent(delivery)
    assert (row.messages, row.bytes) == (2, 5)


def test_counts_go_on_after_a_match_that_began_anew(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run(1.0)
    dispatch.one(b"abcd")
    delivery.subscriber_found(1, endpoint(1), ("127.0.0.1", 4_999))  # it moved
    moved = Listener(1, ("127.0.0.1", 4_999))
    world.listeners[moved.address] = moved
    world.run(2.0)
    dispatch.one(b"efgh")
    (row,) = sent(delivery)
    assert (row.messages, row.bytes, row.way) == (2, 8, Way.LOOPBACK)
    assert listener.bodies == [b"abcd"]


@pytest.mark.parametrize(("options", "step"), [({}, Step.PROBING), ({"verdict": TYPES_DIFFER}, Step.DIFFER)])
def test_it_is_told_why_a_subscriber_is_sent_nothing(world, options, step):
    delivery, dispatch = world.deliver()
    listener = world.listen(1, **options)
    listener.silent = not options
    world.run(1.0)
    dispatch.one(b"x")
    (row,) = sent(delivery)
    assert (row.step, row.way, row.messages) == (step, Way.NONE, 0)


def test_multicast_is_told_for_those_it_reaches(world):
    world.interfaces = {"127.0.0.1": 1}
    delivery, _ = world.deliver(multicast=True)
    listener = world.listen(1)
    world.listen(2).silent = False
    world.run()
    (group,) = world.groups
    probe = next(frame for data, _ in group.sent for frame in frames(data) if frame.kind == Kind.PROBE)
    group.answers.append((answer(probe, 1, TAKES_IT, WINDOW, TOKEN), listener.address))
    world.ready(group)
    (start,) = frames(group.sent[-1][0])
    group.answers.append((started(start, TOKEN), listener.address))
    world.ready(group)
    assert {row.subscriber: row.way for row in sent(delivery)} == {1: Way.MULTICAST, 2: Way.LOOPBACK}


def test_large_messages_that_wait_for_credit_are_queued(world):
    delivery, dispatch = world.deliver(reliable=True, block=0.0)
    listener = world.listen(1, THERE)
    world.run(1.0)
    listener.reports = False
    for _ in range(3):
        dispatch.one(bytes(4 << 20))
    (row,) = sent(delivery)
    assert row.queued == delivery.outlet.by_number[1].sender.backlog > 0


def test_what_is_sent_again_is_told(world):
    delivery, dispatch = world.deliver(reliable=True)
    listener = world.listen(1)
    world.run(1.0)
    listener.expects = ()
    dispatch.one(b"x")
    listener.missing = [(1, 2)]
    world.run(1.0)
    (row,) = sent(delivery)
    assert row.retransmitted == delivery.outlet.stats().retransmitted > 0
    assert Counter(frame.seq for frame in listener.of_kind(1))[1] == 1 + row.retransmitted


def test_ipcpys_own_topics_are_told_only_to_who_asks_for_them(world):
    delivery, _ = world.deliver()
    delivery.account._own = True
    assert rows_of(delivery) == []
    assert len(rows_of(delivery, hidden=True)) == 1


def test_of_many_publishers_and_subscribers_each_is_told_in_order(count):
    deliveries, told = [], []
    for published in range(40):
        world = Surroundings()
        delivery, dispatch = world.deliver()
        for number in range(1, published + 1):
            world.listen(number, ("127.0.0.1", 4000 + number) if number % 2 else ("10.0.0.9", 4000 + number))
        world.run(1.0)
        for _ in range(published):
            dispatch.one(b"ab")
        deliveries.append(delivery)
        told += [(0, published)]
        told += [(number, Way.LOOPBACK if number % 2 else Way.UNICAST, published) for number in range(1, published + 1)]
    rows = []
    count([delivery.account for delivery in deliveries], rows, moment())
    found = [(row.subscriber, row.way, row.messages) if isinstance(row, Sent) else (0, row.messages) for row in rows]
    assert found == told
    assert {type(row) for row in rows} == {Published, Sent}
    assert {type(each) for row in rows for each in row} == {int}


class Lock:
    """A lock that says what becomes of it."""

    def __init__(self):
        self.said = []

    def acquire(self, blocking=True):
        self.said.append("taken")
        return True

    def release(self):
        self.said.append("given back")

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


def test_a_publisher_is_counted_under_its_lock_which_is_given_back_whatever_happens(world, count):
    delivery, _ = world.deliver()
    world.listen(1)
    world.run(1.0)
    lock = delivery.account._lock = Lock()
    count([delivery.account], [], moment())
    assert lock.said == ["taken", "given back"]
    del delivery.outlet.by_number[1].match
    with pytest.raises(AttributeError, match="match"):
        count([delivery.account], [], moment())
    assert lock.said == ["taken", "given back"] * 2
