"""Subscriber: arguments, waiting, the newest, patterns, types that differ, asyncio, threads, the end."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import functools
import logging
import pickle
import re
import signal
import sys
import threading
import time

import pytest

import ipcpy as ipc
from ipcpy.protocol.data.heads import Place, pack_fragment
from ipcpy.protocol.wire import Kind, pack_frame

Point = collections.namedtuple("Point", "x y")


@pytest.fixture
def node():
    with ipc.Node("test") as node:
        yield node


def pair(node, **options):
    publisher = ipc.Publisher("t", node=node)
    subscriber = ipc.Subscriber("t", node=node, **options)
    publisher.wait_for_subscribers(timeout=20)
    return publisher, subscriber


@pytest.mark.parametrize("topic", ["", "a b", "//imu", "rob*", "a//b", 5])
def test_a_wrong_topic_is_refused_at_once(node, topic):
    with pytest.raises(ValueError, match="topic"):
        ipc.Subscriber(topic, node=node)


def test_wrong_arguments_are_refused_at_once(node):
    for spin in (-1, 11, True, "1", None, float("nan")):
        with pytest.raises(ValueError, match="spin is a time in seconds from 0 to 10"):
            ipc.Subscriber("t", spin=spin, node=node)
    for depth in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="depth is a number of messages"):
            ipc.Subscriber("t", depth=depth, node=node)
        with pytest.raises(ValueError, match="depth_bytes is a number of bytes from 1"):
            ipc.Subscriber("t", depth_bytes=depth, node=node)
    with pytest.raises(ValueError, match="callback is a function"):
        ipc.Subscriber("t", callback=5, node=node)


@pytest.mark.parametrize("name", ["deadline", "max_age"])
@pytest.mark.parametrize("value", [0, -1, 0.0001, 1e7, float("nan"), True, "1"])
def test_times_that_are_none_are_refused_at_once(node, name, value):
    with pytest.raises(ValueError, match=rf"{name} is a time in seconds from 0\.001 to 1,000,000, got"):
        ipc.Subscriber("t", node=node, **{name: value})


def test_on_late_is_a_function_that_nobody_has_to_await(node):
    async def coroutine(event): ...

    def generator(event):
        yield

    with pytest.raises(ipc.ArgumentError, match="on_late is a function that takes a TopicLate or a TopicInTime, got 5"):
        ipc.Subscriber("t", deadline=1, on_late=5, node=node)
    for function in (coroutine, generator):
        with pytest.raises(ipc.ArgumentError, match="in a coroutine write: async for event in subscriber.watch()"):
            ipc.Subscriber("t", deadline=1, on_late=function, node=node)


# -- what is too old ---------------------------------------------------------------------------------------------------


def test_what_is_too_old_when_its_turn_comes_is_discarded_and_counted(node, wait_until):
    publisher, subscriber = pair(node, max_age=0.2)
    for number in range(3):
        publisher.publish(number)
    wait_until(lambda: subscriber.stats.unread == 3)
    time.sleep(0.25)  # that is what it is about
    tries = 0

    def comes():  # a busy computer may take so long that this one is too old as well
        nonlocal tries
        tries += 1
        publisher.publish("fresh")
        with contextlib.suppress(TimeoutError):
            return subscriber.recv(1)

    assert wait_until(comes).data == "fresh"
    stats, lost = subscriber.stats, 3 + tries - 1
    assert (stats.received, dict(stats.lost)) == (1, {"too old": lost})
    assert stats.publishers[publisher.id].lost == {"too old": lost}
    assert f"{lost} lost: too old." in subscriber.why()


def test_where_all_is_too_old_one_waits_and_polls_as_where_nothing_is_there(node, wait_until):
    async def wait():
        with pytest.raises(TimeoutError):
            await subscriber.recv_async(timeout=0.01)

    publisher, subscriber = pair(node, max_age=0.05)
    for look in (
        lambda: pytest.raises(TimeoutError, subscriber.recv, 0),
        lambda: pytest.raises(TimeoutError, subscriber.recv, 0.01),
        lambda: asyncio.run(wait()),
        lambda: subscriber.latest() is None,
    ):
        publisher.publish(1)
        wait_until(lambda: subscriber.stats.unread)
        time.sleep(0.06)  # that is what it is about
        assert look() is not False
    assert subscriber.stats.lost == {"too old": 4}


def test_the_newest_is_the_newest_that_is_young_enough(node, wait_until):
    publisher, subscriber = pair(node, max_age=30)
    publisher.publish_many([1, 2, 3])
    wait_until(lambda: subscriber.stats.unread == 3)
    assert subscriber.latest().data == 3
    assert subscriber.stats.lost == {}


def test_a_wrong_codec_is_refused_at_once_and_a_function_is_taken_for_a_callback(node):
    with pytest.raises(ipc.ArgumentError, match=r"a codec has name, .* did you mean callback=print\?"):
        ipc.Subscriber("t", print, node=node)
    with pytest.raises(ipc.ArgumentError, match=r"did you mean MsgPack\(\)\?"):
        ipc.Subscriber("t", ipc.MsgPack, node=node)


def test_waiting_ends_in_time(node):
    _, subscriber = pair(node)
    for timeout in (0, 0.02):
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="no message on 't'"):
            subscriber.recv(timeout)
        assert time.monotonic() - started >= timeout


def test_waiting_ends_in_time_however_many_signals_come(node):
    subscriber = ipc.Subscriber("t", node=node)
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        with pytest.raises(TimeoutError):
            subscriber.recv(0.1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("spin", [0.01, 10])
@pytest.mark.parametrize("multicast", [False, True])
def test_waiting_ends_in_time_where_it_polls_first(node, spin, multicast):
    publisher = ipc.Publisher("t", node=node, multicast=multicast)
    subscriber = ipc.Subscriber("t", spin=spin, node=node)
    publisher.wait_for_subscribers(timeout=20)
    for timeout in (0.0, 0.05, 0.001):
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            subscriber.recv(timeout)
        assert timeout <= time.monotonic() - begin + 0.001 < 5


def test_who_polls_does_not_sleep(node):
    publisher, subscriber = ipc.Publisher("t", node=node), ipc.Subscriber("t", spin=10, node=node)
    publisher.wait_for_subscribers(timeout=20)
    subscriber.wait_for_publishers(timeout=20)
    socket = subscriber._subscription.reader._socket
    receive, began = socket.recvfrom, time.monotonic()

    def poll(size, *flags):
        assert flags or time.monotonic() > began + 10  # without flags it sleeps, which it may when it has polled
        return receive(size, *flags)

    socket.recvfrom = poll
    timer = threading.Timer(0.05, publisher.publish, ["late"])
    timer.start()
    assert subscriber.recv(20).data == "late"
    began = time.monotonic()
    threading.Timer(0.05, subscriber.close).start()
    with pytest.raises(ipc.ClosedError):
        subscriber.recv()
    timer.join()


def test_waiting_ends_in_time_where_another_thread_reads(node, wait_until):
    _, subscriber = pair(node)
    reader = threading.Thread(target=lambda: pytest.raises(ipc.ClosedError, subscriber.recv))
    reader.start()
    wait_until(lambda: subscriber._subscription.reader._lease.taken)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        subscriber.recv(0.5)
    assert 0.5 <= time.monotonic() - started
    assert reader.is_alive()  # the other one waits for ever
    subscriber.close()
    reader.join(20)


def test_waiting_ends_in_time_while_a_large_message_comes_slowly(node):
    publisher, subscriber = pair(node)
    (route,) = publisher._outlet.routes
    data = bytes(10_000)
    place = Place(int(publisher.id, 16), 1, 5, 2, 1_000_000, len(data))
    stop = threading.Event()

    def send():
        for number in range(100):
            if stop.wait(0.01):
                return
            route.socket.send(pack_fragment(place, number * len(data), [memoryview(data)]) + data)

    sender = threading.Thread(target=send)
    sender.start()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        subscriber.recv(0.1)
    assert 0.1 <= time.monotonic() - started < 3
    stop.set()
    sender.join()


def test_what_waits_for_the_rest_of_a_large_message_is_delivered_in_time(node):
    publisher, subscriber = pair(node)
    (route,) = publisher._outlet.routes
    data = bytes(10_000)
    place = Place(int(publisher.id, 16), 1, 5, 2, 1_000_000, len(data))

    def send():
        route.socket.send(pack_fragment(place, 0, [memoryview(data)]) + data)
        route.socket.send(pack_frame(Kind.DATA, int(publisher.id, 16), 2, 5, b"\x01", codec=2))

    threading.Timer(0.05, send).start()
    assert subscriber.recv(20).seq == 2
    assert subscriber.stats.lost == {"fragments": 1}


def test_who_finds_the_message_taken_by_another_waits_for_the_next_in_time(node):
    """Between a look at the inbox and taking from it another thread, or the I/O thread for want of room, may take."""

    class Taken(collections.deque):
        def __bool__(self):
            self.clear()
            return True

    _, subscriber = pair(node)
    subscriber._messages = Taken()
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        subscriber.recv(0.05)
    assert 0.05 <= time.monotonic() - started < 5


def test_the_newest_are_kept_and_the_rest_is_counted(node, wait_until):
    publisher, subscriber = pair(node, depth=10)
    for number in range(100):
        publisher.publish(number)
    wait_until(lambda: subscriber.stats.lost.get("inbox") == 90)
    assert [subscriber.recv(20).data for _ in range(10)] == list(range(90, 100))
    stats = subscriber.stats
    assert stats.received + sum(stats.lost.values()) == 100


def test_a_subscriber_that_sleeps_finds_the_newest_images(node, wait_until, monkeypatch):
    monkeypatch.setattr("ipcpy.publishing.pacing.WAIT", 30.0)  # as long as a busy computer may take for one
    publisher, subscriber = pair(node)
    for _ in range(60):
        publisher.publish(bytes(1_000_000))
    wait_until(
        lambda: subscriber.stats.unread and subscriber.stats.received + subscriber.stats.lost.get("inbox", 0) == 60
    )
    stats = subscriber.stats
    assert 25 <= stats.unread <= 32 and stats.unread_bytes <= 32 << 20 and stats.lost == {"inbox": 60 - stats.unread}
    assert [subscriber.recv(20).seq for _ in range(stats.unread)] == list(range(61 - stats.unread, 61))


@pytest.mark.parametrize("reliable", [False, True])
def test_unread_messages_are_bounded_in_bytes_and_told(node, wait_until, reliable):
    publisher = ipc.Publisher("t", ipc.Raw(), reliable=reliable, node=node)
    subscriber = ipc.Subscriber("t", depth_bytes=10_000, node=node)
    publisher.wait_for_subscribers(timeout=20)
    assert "nread" not in subscriber.why() and subscriber.stats.unread_age == 0
    for _ in range(10):
        publisher.publish(bytes(3_000))
    wait_until(lambda: subscriber.stats.lost.get("inbox") == 7)
    stats = subscriber.stats
    assert (stats.unread, stats.unread_bytes, stats.received) == (3, 9_000, 3) and 0 < stats.unread_age < 60
    assert "Unread: 3, 9,000 bytes in all; the oldest has been waiting for 0." in subscriber.why()
    publisher.publish(bytes(50_000))
    wait_until(lambda: subscriber.stats.unread_bytes == 50_000)
    assert subscriber.recv(20).seq == 11
    assert (subscriber.stats.unread, subscriber.stats.unread_bytes, subscriber.stats.unread_age) == (0, 0, 0)


def test_received_arrays_are_read_only_whatever_their_size_and_place(node):
    np = pytest.importorskip("numpy")
    publisher, subscriber = pair(node)
    small, large = np.zeros(3), np.zeros((500, 500))
    publisher.publish(small)
    publisher.publish(large)
    publisher.publish({"inside": large})
    publisher.publish_many([small] * 3)
    received = [subscriber.recv(20).data for _ in range(6)]
    arrays = [each["inside"] if isinstance(each, dict) else each for each in received]
    assert [array.flags.writeable for array in arrays] == [False] * 6
    assert arrays[1].copy().flags.writeable


def test_latest_gives_the_newest_only(node, wait_until):
    publisher, subscriber = pair(node)
    assert subscriber.latest() is None
    for number in range(50):
        publisher.publish(number)
    wait_until(lambda: subscriber.stats.received == 50)
    assert subscriber.latest().data == 49
    assert subscriber.latest() is None


def test_patterns(node):
    publishers = [ipc.Publisher(topic, node=node) for topic in ("robot/1/imu", "robot/2/imu", "robot/2/gps", "imu")]
    one = ipc.Subscriber("robot/*/imu", node=node)
    every = ipc.Subscriber("**", node=node)
    one.wait_for_publishers(2, timeout=20)
    every.wait_for_publishers(4, timeout=20)
    for publisher in publishers:
        publisher.wait_for_subscribers(1, timeout=20)
        publisher.publish(publisher.topic)
    assert {one.recv(20).topic for _ in range(2)} == {"robot/1/imu", "robot/2/imu"}
    assert {every.recv(20).data for _ in range(4)} == {publisher.topic for publisher in publishers}


def test_types_that_differ_are_told_field_by_field_and_give_no_garbage(node, caplog, wait_until):
    publisher = ipc.Publisher("t", ipc.MsgLibrary({7: ("2f", Point)}), node=node)
    with caplog.at_level(logging.WARNING):
        subscriber = ipc.Subscriber("t", ipc.MsgLibrary({7: ("2i", Point)}), node=node)
        wait_until(lambda: "differ" in subscriber.why())
    publisher.publish(Point(1, 2))
    with pytest.raises(TimeoutError):
        subscriber.recv(0.1)
    assert "7" in subscriber.why() and "x" in subscriber.why()
    assert ": the types differ: message 7" in subscriber.why() and subscriber.why().endswith(".")
    assert "differ" in caplog.text
    wait_until(lambda: any(each.mismatch for topic in node.topics() for each in topic.subscribers))


def test_a_codec_of_another_name_is_told(node, wait_until):
    ipc.Publisher("t", node=node).publish(1)
    publisher = ipc.Publisher("t", node=node)
    subscriber = ipc.Subscriber("t", ipc.Raw(), node=node)
    wait_until(lambda: "msgpack" in subscriber.why())
    assert publisher.subscribers == ()


def test_own_types_are_used_where_they_fit(node):
    class Mine(tuple):
        pass

    publisher = ipc.Publisher("t", ipc.MsgLibrary({7: ("2i", Point), 8: ("i", int)}), node=node)
    subscriber = ipc.Subscriber("t", ipc.MsgLibrary({7: ("2i", Point)}), node=node)
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish(Point(1, 2))
    publisher.publish(8)
    assert type(subscriber.recv(20).data) is Point
    assert subscriber.recv(20).data is not None


def test_why_helps_when_there_is_nobody(node):
    subscriber = ipc.Subscriber("t", node=node)
    assert "No publisher of 't' is known" in subscriber.why()
    with pytest.raises(TimeoutError, match="No publisher of 't'"):
        subscriber.wait_for_publishers(timeout=0.01)


def test_asyncio(node):
    async def main():
        publisher, subscriber = pair(node)
        publisher.publish(1)
        assert (await subscriber.recv_async(20)).data == 1
        with pytest.raises(TimeoutError, match="no message on 't'"):
            await subscriber.recv_async(0.02)
        waiting = asyncio.create_task(subscriber.recv_async())
        await asyncio.sleep(0)
        publisher.publish(2)
        assert (await waiting).data == 2
        waiting = asyncio.create_task(subscriber.recv_async())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        publisher.publish(3)
        async for message in subscriber:
            assert message.data == 3
            break
        asyncio.get_running_loop().call_later(0.05, subscriber.close)
        assert [message async for message in subscriber] == []
        with pytest.raises(ipc.ClosedError):
            await subscriber.recv_async()

    asyncio.run(main())


def test_several_tasks_wait_each_for_one(node):
    async def main():
        publisher, subscriber = pair(node)
        tasks = [asyncio.create_task(subscriber.recv_async(20)) for _ in range(5)]
        await asyncio.sleep(0)
        publisher.publish_many(range(5))
        assert sorted([(await task).data for task in tasks]) == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_a_task_is_woken_for_what_another_task_read(node):
    """The I/O thread is busy, so the second task finds the socket unread and takes it on lease."""

    async def main():
        publisher, subscriber = pair(node)
        first = asyncio.create_task(subscriber.recv_async(20))
        await asyncio.sleep(0.2)
        while subscriber._subscription.reader._lease.taken:  # the lease is over, once the I/O thread had its turn
            await asyncio.sleep(0.01)
        busy, done = threading.Event(), threading.Event()
        node._core.loop.call(lambda: (busy.set(), done.wait(20)))
        busy.wait(20)
        publisher.publish_many([1, 2])
        assert (await subscriber.recv_async(20)).data == 1
        assert (await asyncio.wait_for(first, 10)).data == 2  # no datagram comes meanwhile: the I/O thread polls
        done.set()

    asyncio.run(main())


def test_a_task_is_woken_for_what_a_thread_read(node):
    async def main():
        publisher, subscriber = pair(node)
        reader = threading.Thread(target=subscriber.recv, args=(30,))
        reader.start()
        await asyncio.sleep(0.05)
        task = asyncio.create_task(subscriber.recv_async(20))
        await asyncio.sleep(0.05)
        busy, done = threading.Event(), threading.Event()
        node._core.loop.call(lambda: (busy.set(), done.wait(20)))
        await asyncio.to_thread(busy.wait, 20)
        publisher.publish_many([1, 2])
        await asyncio.wait_for(task, 10)
        done.set()
        await asyncio.to_thread(reader.join)

    asyncio.run(main())


def test_one_subscriber_serves_two_event_loops_in_turn(node):
    publisher, subscriber = pair(node)
    for number in range(3):
        publisher.publish(number)
        assert asyncio.run(subscriber.recv_async(20)).data == number
    publisher.publish(3)
    assert subscriber.recv(20).data == 3


def test_several_threads_share_the_messages(node, wait_until):
    publisher, subscriber = pair(node)
    taken = collections.deque()

    def work():
        for message in subscriber:
            taken.append(message.data)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):  # the smallest buffer has room for them
        publisher.publish(number)
    wait_until(lambda: len(taken) == 200)
    subscriber.close()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == list(range(200))


def test_nothing_is_lost_between_reader_and_absence(node):
    """The socket goes back and forth between the reader and the I/O thread."""
    publisher, subscriber = pair(node)
    received = []
    for number in range(200):
        publisher.publish(number)
        if number % 20 == 19:
            time.sleep(0.025)  # long enough that the I/O thread takes over
            received += [subscriber.recv(20).data for _ in range(20)]
    assert received == list(range(200))
    assert subscriber.stats.lost == {}


def test_a_context_manager_closes(node):
    with ipc.Subscriber("t", node=node) as subscriber:
        pass
    with pytest.raises(ipc.ClosedError):
        subscriber.recv()
    assert list(subscriber) == []


def test_many_restarts_leave_nothing(node, wait_until):
    import os

    with ipc.Publisher("t", node=node) as publisher:
        before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        threads = threading.active_count()
        for number in range(200):
            with ipc.Subscriber("t", node=node) as subscriber:
                if number % 20 == 0:
                    subscriber.wait_for_publishers(timeout=20)
                    publisher.publish(number)
                    assert subscriber.recv(20).data == number
        wait_until(lambda: publisher._outlet.by_number == {})
        assert threading.active_count() <= threads + 1  # mDNS may have started
        if before:
            wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before + 12)
        wait_until(lambda: [topic.subscribers for topic in node.topics()] == [()])


# -- waiting, and why it was in vain


@pytest.mark.parametrize("count", [-1, 1.5, True, "1", None])
def test_a_number_of_publishers_that_is_none_is_refused(node, count):
    subscriber = ipc.Subscriber("t", node=node)
    with pytest.raises(ipc.ArgumentError, match="count is how many"):
        subscriber.wait_for_publishers(count)
    with pytest.raises(ipc.ArgumentError, match="count is how many"):
        asyncio.run(subscriber.wait_for_publishers_async(count))


def test_a_coroutine_waits_for_publishers_and_others_run_meanwhile(node):
    async def main():
        with ipc.Subscriber("t", node=node) as subscriber:
            waiting = [asyncio.create_task(subscriber.wait_for_publishers_async(2)) for _ in range(3)]
            first = ipc.Publisher("t", node=node)
            assert await subscriber.wait_for_publishers_async(timeout=20) == 1
            assert not any(task.done() for task in waiting)
            second = ipc.Publisher("t", node=node)
            async with asyncio.timeout(20):
                assert await asyncio.gather(*waiting) == [2, 2, 2]
            first.close(), second.close()

    asyncio.run(main())


def test_a_coroutine_that_waits_for_publishers_in_vain_is_told_why(node):
    async def main():
        subscriber = ipc.Subscriber("t", node=node)
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match=r"0 of 1 publishers of 't' within .* No publisher of 't' is known"):
                await subscriber.wait_for_publishers_async(timeout=timeout)
        assert await subscriber.wait_for_publishers_async(0, timeout=0) == 0
        for wrong in ("soon", float("nan")):
            with pytest.raises(ipc.ArgumentError, match="timeout"):
                await subscriber.wait_for_publishers_async(timeout=wrong)

    asyncio.run(main())


def test_a_coroutine_that_waits_for_publishers_is_woken_by_the_end_and_leaves_nothing_when_cancelled(node):
    async def main():
        subscriber = ipc.Subscriber("t", node=node)
        cancelled, ended = (asyncio.create_task(subscriber.wait_for_publishers_async()) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert len(subscriber._subscription._monitor.bell._futures) == 1
        await asyncio.to_thread(subscriber.close)
        with pytest.raises(ipc.ClosedError):
            await ended
        assert not subscriber._subscription._monitor.bell._futures
        with pytest.raises(ipc.ClosedError):
            await subscriber.wait_for_publishers_async(timeout=0)

    asyncio.run(main())


def test_coroutines_of_several_event_loops_wait_for_publishers(node):
    subscriber = ipc.Subscriber("t", node=node)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(subscriber.wait_for_publishers_async(timeout=10))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    other = ipc.Publisher("t", node=node)
    for thread in threads:
        thread.join(20)
    assert found == [1, 1, 1]
    other.close()


def test_who_waits_for_a_message_in_vain_is_told_why(node):
    subscriber = ipc.Subscriber("t", node=node)
    with pytest.raises(TimeoutError, match="no message on 't' within 0.01 s. No publisher of 't' is known in domain"):
        subscriber.recv(0.01)
    publisher = ipc.Publisher("t", node=node)
    publisher.wait_for_subscribers(timeout=20)
    with pytest.raises(TimeoutError, match="no message on 't' within 0.01 s. Publisher 'test' on .*: matched."):
        asyncio.run(subscriber.recv_async(0.01))


def test_short_waits_one_after_another_do_not_find_out_each_time_why_nothing_came(node, monkeypatch):
    subscriber = ipc.Subscriber("t", node=node)
    asked = []
    monkeypatch.setattr(ipc.Subscriber, "why", lambda self: asked.append(1) or time.sleep(0.01) or "so it is.")
    errors = []
    for _ in range(50):
        with pytest.raises(ipc.RecvTimeout) as caught:
            subscriber.recv(0)
        errors.append(caught.value)
    assert len(asked) == 1, "the first says it at once, the others when they are asked"
    assert str(errors[7]) == "no message on 't' within 0 s. so it is."
    assert len(asked) == 2


def test_a_closed_one_says_that_it_is_closed_and_matched_with_nobody(node):
    _, subscriber = pair(node)
    subscriber.close()
    assert subscriber.publishers == ()
    assert subscriber.why() == "The subscriber of 't' is closed."
    assert repr(subscriber).endswith("closed>")


def test_a_publisher_that_was_closed_is_remembered_by_those_who_come_later_too(node, wait_until):
    publisher, subscriber = pair(node)
    publisher.close()
    wait_until(lambda: "left" in subscriber.why())
    who = "publisher 'test' in this process"
    expected = f"No publisher of 't' is known in domain .*: {who} left [0-9.]+ s ago: it was closed."
    assert re.fullmatch(expected, subscriber.why())
    later = ipc.Subscriber("*", node=node)
    wait_until(lambda: "left" in later.why())
    with pytest.raises(TimeoutError, match="publisher 'test' in this process left"):
        later.wait_for_publishers(timeout=0)
    again = ipc.Publisher("t", node=node)
    again.wait_for_subscribers(2, timeout=20)
    wait_until(lambda: subscriber.why().endswith("matched."))
    assert "left" not in subscriber.why()


def test_what_differed_in_publishers_that_went_is_told_no_more(node, wait_until):
    subscriber = ipc.Subscriber("t", ipc.MsgLibrary({1: ("<2f", Point)}), node=node)

    def told():
        subscribers = [each for topic in node.topics() for each in topic.subscribers]
        return next((each.mismatch for each in subscribers if each.id == subscriber.id), None)

    for _ in range(3):
        wrong = ipc.Publisher("t", node=node)
        wait_until(lambda: len(told() or ()) == 1)
        assert subscriber.why().count("the types differ") == 1
        wrong.close()
        wait_until(lambda: told() == ())
    assert "the types differ" not in subscriber.why()


def test_whatever_a_subscriber_hands_out_can_be_handed_to_another_process(node, wait_until):
    library = ipc.MsgLibrary({1: ("<2f", Point)})
    watch = node.watch()
    with ipc.Publisher("t", library, node=node) as publisher, ipc.Subscriber("t", node=node) as subscriber:
        publisher.wait_for_subscribers(timeout=20)
        publisher.publish(Point(1, 2))
        message = subscriber.recv(timeout=20)
        found = [message, subscriber.publishers, subscriber.stats, publisher.subscribers, publisher.stats]
        found += [node.topics(), node.nodes(), node.stats, watch.get(timeout=20), watch.get(timeout=20)]
    for thing in found:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(thing, protocol)) == thing
        assert copy.deepcopy(thing) == thing
    assert type(pickle.loads(pickle.dumps(message)).data) is type(message.data)


def test_two_ways_to_write_a_letter_are_one_topic(node):
    composed, apart = "caf\u00e9/imu", "cafe\u0301/imu"
    with (
        ipc.Publisher(apart, node=node) as publisher,
        ipc.Subscriber(composed, node=node) as one,
        ipc.Subscriber(apart, node=node) as other,
        ipc.Subscriber("cafe\u0301/*", node=node) as pattern,
    ):
        publisher.wait_for_subscribers(3, timeout=20)
        publisher.publish(1)
        assert [sub.recv(timeout=20).topic for sub in (one, other, pattern)] == [composed] * 3
        assert [topic.name for topic in node.topics() if "*" not in topic.name] == [composed]


def test_the_counts_of_each_publisher_say_whose_they_are(node, wait_until):
    publishers = [ipc.Publisher(topic, node=node) for topic in ("a/x", "a/y")]
    subscriber = ipc.Subscriber("a/*", node=node)
    for number, publisher in enumerate(publishers, 1):
        publisher.wait_for_subscribers(timeout=20)
        publisher.publish_many(range(number))
    wait_until(lambda: subscriber.stats.received == 3)
    publishers[0].close()
    wait_until(lambda: len(subscriber.publishers) == 1)
    stats = subscriber.stats
    host = node.nodes()[0].host
    told = {(each.topic, each.node, each.host, each.received) for each in stats.publishers.values()}
    assert told == {("a/x", "test", host, 1), ("a/y", "test", host, 2)}
    assert (stats.topic, stats.node) == ("a/*", "")
    ((_, route),) = publishers[1].stats.subscribers.items()
    assert (route.topic, route.node, route.host, route.handed) == ("a/*", "test", host, 2)


# -- callbacks


async def coroutine_function(message):
    """Nobody awaits what it returns."""


class CoroutineCall:
    async def __call__(self, message):
        """Nor this."""


async def async_generator_function(message):
    """Nobody iterates over what it returns."""
    yield message


def generator_function(message):
    """Nor over this."""
    yield message


class GeneratorCall:
    def __call__(self, message):
        yield message


NEVER_AWAITED = [coroutine_function, CoroutineCall(), functools.partial(coroutine_function), async_generator_function]


@pytest.mark.parametrize("callback", NEVER_AWAITED)
def test_a_coroutine_function_is_no_callback(node, callback):
    with pytest.raises(ipc.ArgumentError, match="nobody awaits.*async for message in subscriber"):
        ipc.Subscriber("t", callback=callback, node=node)


@pytest.mark.parametrize(
    "callback", [generator_function, GeneratorCall(), GeneratorCall().__call__, functools.partial(generator_function)]
)
def test_a_generator_function_of_which_no_line_would_run_is_no_callback(node, callback):
    with pytest.raises(ipc.ArgumentError, match="generator function .* a call runs no line of it"):
        ipc.Subscriber("t", callback=callback, node=node)


def test_a_callback_that_ends_its_thread_is_told_of_and_closes_its_subscriber(node, caplog, wait_until):
    publisher = ipc.Publisher("t", node=node)
    with caplog.at_level(logging.ERROR):
        subscriber = ipc.Subscriber("t", callback=lambda message: sys.exit(3), node=node)
        publisher.wait_for_subscribers(timeout=20)
        publisher.publish(1)
        wait_until(lambda: publisher.subscribers == ())
    assert "ended its thread: the subscriber is closed" in caplog.text and "SystemExit: 3" in caplog.text
    with pytest.raises(ipc.ClosedError):
        subscriber.recv()


@pytest.mark.parametrize("together", [False, True])
def test_a_timeout_error_that_a_signal_handler_raised_in_the_midst_of_decoding_is_no_defect_of_the_codec(
    node, wait_until, together
):
    class Interrupted(ipc.Raw):
        def decode(self, body):
            if body == b"1" and not interrupted:
                interrupted.append(True)
                raise TimeoutError("as the handler of a program's alarm does")
            return super().decode(body)

    interrupted = []
    publisher, subscriber = ipc.Publisher("t", ipc.Raw(), node=node), ipc.Subscriber("t", Interrupted(), node=node)
    publisher.wait_for_subscribers(timeout=20)
    subscriber.wait_for_publishers(timeout=20)
    publish, what = (publisher.publish_many, [b"1", b"22"]) if together else (publisher.publish, b"1")
    lease = subscriber._subscription.reader._lease
    waiting = threading.Thread(target=lambda: (wait_until(lambda: lease.taken), publish(what)))
    waiting.start()
    with pytest.raises(TimeoutError, match="alarm"):
        subscriber.recv(20)
    waiting.join(20)
    publisher.publish(b"next")
    while subscriber.recv(20).data != b"next":
        pass
    assert subscriber.stats.lost.get("codec", 0) == 0
