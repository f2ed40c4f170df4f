"""Several messages at once: in order, up to a limit; waiting, errors, threads, coroutines, interrupts."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

import ipcpy as ipc

OURS = str(Path(ipc.__file__).parent / "subscribing" / "several.py")


@pytest.fixture
def node():
    with ipc.Node("test") as node:
        yield node


def pair(node, **options):
    publisher = ipc.Publisher("t", node=node, reliable=options.pop("reliable", False), keep=options.pop("keep", 0))
    subscriber = ipc.Subscriber("t", node=node, **options)
    publisher.wait_for_subscribers(timeout=20)
    return publisher, subscriber


def taken(subscriber, way, *given, **named):
    """Return the data of what one call returns."""
    if way == "thread":
        return [message.data for message in subscriber.recv_many(*given, **named)]
    return [message.data for message in asyncio.run(subscriber.recv_many_async(*given, **named))]


def all_of(subscriber, count, way="thread", limit=None):
    came = []
    while len(came) < count:
        some = taken(subscriber, way, limit, timeout=20)
        assert some and (limit is None or len(some) <= limit)
        came += some
    return came


WAYS = pytest.mark.parametrize("way", ["thread", "coroutine"])


@WAYS
@pytest.mark.parametrize("reliable", [False, True])
def test_what_is_there_comes_in_order_and_no_more_than_the_limit(node, way, reliable):
    publisher, subscriber = pair(node, reliable=reliable)
    publisher.publish_many(range(10))
    publisher.publish(10)
    assert all_of(subscriber, 11, way, 4) == list(range(11))
    publisher.publish_many(range(50))
    assert all_of(subscriber, 50, way) == list(range(50))
    stats = subscriber.stats
    assert stats.received == 61 and stats.lost == {} and stats.unread == 0


@WAYS
def test_one_call_returns_what_came_in_several_datagrams(node, way, wait_until):
    publisher, subscriber = pair(node)
    for n in range(5):
        publisher.publish(n)
    wait_until(lambda: subscriber.stats.unread == 5)  # nobody waits: the I/O thread has emptied the socket
    assert taken(subscriber, way, 3) == [0, 1, 2] and taken(subscriber, way, timeout=0) == [3, 4]


@WAYS
def test_it_waits_for_the_first_and_says_why_none_came(node, way):
    publisher, subscriber = pair(node)
    threading.Timer(0.05, publisher.publish_many, [range(3)]).start()
    assert taken(subscriber, way, timeout=20) == [0, 1, 2]
    for timeout in (0, 0.01):
        with pytest.raises(ipc.RecvTimeout, match="no message on 't' within"):
            taken(subscriber, way, timeout=timeout)


@WAYS
def test_closing_ends_it(node, way):
    _, subscriber = pair(node)
    threading.Timer(0.05, subscriber.close).start()
    for _ in range(2):
        with pytest.raises(ipc.ClosedError):
            taken(subscriber, way)


@WAYS
@pytest.mark.parametrize("limit", [0, -1, 1.0, "1", True])
def test_a_limit_that_is_none_is_refused(node, way, limit):
    _, subscriber = pair(node)
    with pytest.raises(ipc.ArgumentError, match="limit is a number of messages from 1, or None for all"):
        taken(subscriber, way, limit)


def test_kept_messages_patterns_and_depth_are_as_for_recv(node, wait_until):
    first = ipc.Publisher("a/t", node=node, keep=3)
    first.publish_many(range(5))
    subscriber = ipc.Subscriber("*/t", node=node, depth=4)
    assert all_of(subscriber, 3) == [2, 3, 4]
    second = ipc.Publisher("b/t", node=node)
    second.wait_for_subscribers(timeout=20)
    second.publish_many(range(9))
    wait_until(lambda: subscriber.stats.unread == 4)
    (messages := subscriber.recv_many()).sort()
    assert [(message.topic, message.data) for message in messages] == [("b/t", n) for n in (5, 6, 7, 8)]
    assert subscriber.stats.lost == {"inbox": 5}


def test_what_is_too_old_is_left_out(node, wait_until):
    publisher, subscriber = pair(node, max_age=1000)
    publisher.publish_many(range(4))
    wait_until(lambda: subscriber.stats.unread == 4)
    assert taken(subscriber, "thread", 2) == [0, 1]
    subscriber._subscription.messages._max_age = 0
    with pytest.raises(ipc.RecvTimeout):
        subscriber.recv_many(timeout=0)
    assert subscriber.stats.lost == {"too old": 2}


def test_several_threads_share_the_messages(node, wait_until, monkeypatch):
    monkeypatch.setattr("ipcpy.publishing.pacing.BATCH_WAIT", 30.0)  # as long as a busy computer may take
    publisher, subscriber = pair(node, depth=10_000)
    came = [[] for _ in range(3)]

    def take(mine):
        while True:
            try:
                mine += [message.data for message in subscriber.recv_many(7)]
            except ipc.ClosedError:
                return

    threads = [threading.Thread(target=take, args=(mine,)) for mine in came]
    for thread in threads:
        thread.start()
    for n in range(0, 2_000, 100):
        publisher.publish_many(range(n, n + 100))
        publisher.publish(-1)
    wait_until(lambda: sum(map(len, came)) == 2_020)
    subscriber.close()
    for thread in threads:
        thread.join(20)
    found = sorted(data for mine in came for data in mine if data >= 0)
    assert found == list(range(2_000)) and all(
        mine == sorted(mine) for mine in ([d for d in m if d >= 0] for m in came)
    )


def test_tasks_share_the_messages_and_each_is_woken(node):
    publisher, subscriber = pair(node)

    async def main():
        tasks = [asyncio.create_task(subscriber.recv_many_async(1, 20)) for _ in range(3)]
        await asyncio.sleep(0)
        await publisher.publish_many_async(range(3))
        return [(await task)[0].data for task in tasks]

    assert sorted(asyncio.run(main())) == [0, 1, 2]


class Outside(BaseException):
    """What a signal handler raises."""


def test_an_exception_before_any_line_loses_nothing_that_is_not_counted(node):
    publisher, subscriber = pair(node)
    came = []
    for at in range(1, 500):
        publisher.publish_many(range(5))
        some, raised = _raised_at(subscriber, at)
        publisher.publish(-1)  # what was lost before it is counted with it
        while -1 not in some:
            some += [message.data for message in subscriber.recv_many(timeout=20)]
        came += some
        stats = subscriber.stats
        assert some[:-1] == sorted(some[:-1]) and stats.received == len(came), at
        assert stats.received + sum(stats.lost.values()) == 6 * at, at
        if not raised:
            break
    assert at < 499


def _raised_at(subscriber, at):
    count, raised = 0, False

    def lines(frame, event, arg):
        nonlocal count, raised
        if event == "line" and not raised:
            count += 1
            if count == at:
                raised = True
                sys.settrace(None)
                raise Outside
        return None if raised else lines

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: lines if frame.f_code.co_filename == OURS else None)
    try:
        return [message.data for message in subscriber.recv_many(timeout=20)], raised
    except Outside:
        return [], True
    finally:
        sys.settrace(before)
