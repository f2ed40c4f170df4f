"""Watching the graph: events in order for threads and coroutines, timeouts, and how it ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ipcpy.errors import ArgumentError, ClosedError
from ipcpy.events import NodeFound
from ipcpy.graph import NodeInfo
from ipcpy.node.watch import EventQueue, Watch
from still import held_by_another_thread


def found(number):
    return NodeFound(NodeInfo("0" * 16, str(number), "host", 1, "default", None, "1", "alive", 0.0))


@pytest.fixture
def queue():
    return EventQueue()


@pytest.fixture
def watch(queue):
    return Watch(queue, lambda queue: None)


def test_events_come_in_order_and_then_the_time_is_up(watch, queue):
    events = [found(number) for number in range(3)]
    for event in events:
        queue.put(event)
    assert [watch.get(0), watch.get(timeout=20), watch.get()] == events
    with pytest.raises(TimeoutError, match="no event within 0 s"):
        watch.get(0)


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e9, "7", 30])
def test_it_waits_for_an_event_however_long_that_may_be(watch, queue, timeout):
    threading.Timer(0.02, queue.put, [found(1)]).start()
    assert watch.get(timeout) == found(1)


@pytest.mark.parametrize("timeout", ["x", float("nan"), [1]])
def test_a_timeout_that_is_no_number_is_refused_even_if_an_event_is_there(watch, queue, timeout):
    queue.put(found(1))
    with pytest.raises(ArgumentError, match="timeout is a time in seconds"):
        watch.get(timeout)


def test_a_negative_timeout_only_looks(watch, queue):
    with pytest.raises(TimeoutError):
        watch.get(-1)
    queue.put(found(1))
    assert watch.get(-1) == found(1)


def test_a_closed_one_hands_out_what_is_left_and_then_says_that_it_is_closed(watch, queue):
    queue.put(found(1))
    watch.close()
    watch.close()
    assert watch.get() == found(1)
    for timeout in (None, 0, 5):
        with pytest.raises(ClosedError):
            watch.get(timeout)


def test_closing_wakes_whoever_waits(watch):
    threading.Timer(0.02, watch.close).start()
    with pytest.raises(ClosedError):
        watch.get()


def test_a_generator_that_asks_a_closed_one_ends_with_closed_error_and_not_with_runtime_error(watch):
    def generate():
        while True:
            yield watch.get()

    watch.close()
    with pytest.raises(ClosedError):
        next(generate())


def test_iterating_ends_when_it_is_closed(watch, queue):
    queue.put(found(1))
    threading.Timer(0.02, watch.close).start()
    assert list(watch) == [found(1)] and list(watch) == []


def test_closing_tells_whoever_fills_it_once_more_each_time_and_with_leaving_a_block(queue):
    closed = []
    with Watch(queue, closed.append) as watch:
        assert closed == []
    assert closed == [queue]
    with pytest.raises(ClosedError):
        watch.get(0)


def test_unread_events_are_bounded_and_the_newest_are_kept(watch, queue):
    for number in range(20_000):
        queue.put(found(number))
    watch.close()
    kept = [int(event.node.name) for event in watch]
    assert kept == list(range(10_000, 20_000))


# -- coroutines


def test_a_coroutine_waits_without_blocking_its_loop_and_ends_when_it_is_closed(watch, queue):
    async def main():
        seen, ticks = [], 0

        async def read():
            async for event in watch:
                seen.append(event)

        task = asyncio.create_task(read())
        for number in range(3):
            await asyncio.sleep(0)
            ticks += 1
            queue.put(found(number))
        threading.Timer(0.02, watch.close).start()
        await task
        return seen, ticks

    assert asyncio.run(main()) == ([found(0), found(1), found(2)], 3)


def test_two_coroutines_each_get_events_and_both_end(watch, queue):
    async def main():
        async def read():
            return [event async for event in watch]

        tasks = [asyncio.create_task(read()) for _ in range(2)]
        await asyncio.sleep(0)
        for number in range(10):
            queue.put(found(number))
        queue.end()
        return sorted(sum(await asyncio.gather(*tasks), []), key=lambda event: event.node.name)

    assert asyncio.run(main()) == [found(number) for number in range(10)]


def test_a_coroutine_that_gave_up_takes_no_event_and_harms_nobody(watch, queue):
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watch), 0.01)
        queue.put(found(1))
        return await anext(watch)

    assert asyncio.run(main()) == found(1)


def test_an_event_loop_that_was_closed_while_it_waited_does_not_stop_the_others(watch, queue):
    async def wait():
        await anext(watch)

    loop = asyncio.new_event_loop()
    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    loop.close()
    queue.put(found(1))
    assert watch.get(0) == found(1)
    task.get_coro().close()


def test_a_coroutine_that_was_cancelled_leaves_nothing_in_the_queue(watch, queue):
    async def main():
        waiting = [asyncio.create_task(anext(watch)) for _ in range(5)]
        await asyncio.sleep(0)
        assert len(queue._monitor.bell._futures) == 5
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not queue._monitor.bell._futures

    asyncio.run(main())


def test_one_that_a_forked_child_has_ends_whoever_held_its_lock(watch, queue):
    queue.put(found(1))
    with held_by_another_thread(queue._lock) as other:
        queue.abandon()
        assert watch.get(0) == found(1)
        with pytest.raises(ClosedError):
            watch.get(20)
        assert other.is_alive(), "nobody waited for it"


def test_a_coroutine_waits_for_an_event_no_longer_than_its_timeout(watch, queue):
    async def main():
        for timeout in (0, 0.01, -1):
            with pytest.raises(TimeoutError, match="no event within"):
                await watch.get_async(timeout)
        with pytest.raises(ArgumentError, match="timeout is a time in seconds"):
            await watch.get_async("x")
        threading.Timer(0.02, queue.put, [found(1)]).start()
        assert await watch.get_async(timeout=20) == found(1)
        threading.Timer(0.02, watch.close).start()
        for timeout in (None, 5):
            with pytest.raises(ClosedError):
                await watch.get_async(timeout)

    asyncio.run(main())


def test_what_is_told_is_what_the_queue_makes_of_an_event():
    queue = EventQueue(see=lambda event: [event, event] if event == found(1) else [])
    for event in (found(0), found(1)):
        queue.put(event)
    watch = Watch(queue, lambda queue: None)
    assert [watch.get(0), watch.get(0)] == [found(1), found(1)]
    with pytest.raises(TimeoutError):
        watch.get(0)


def test_one_that_has_ended_takes_no_more(queue, watch):
    watch.close()
    queue.put(found(1))
    with pytest.raises(ClosedError):
        watch.get(0)
