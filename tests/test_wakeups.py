"""Waking what waits in an event loop, from any thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc
from ipcpy.wakeups import Changes, call_in, resolve, running_loop, within


def test_in_its_own_thread_a_function_is_called_at_once():
    async def main():
        called = []
        call_in(asyncio.get_running_loop(), called.append, 1)
        assert called == [1]

    asyncio.run(main())


def test_from_another_thread_a_coroutine_is_woken():
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        threading.Thread(target=call_in, args=(loop, resolve, future)).start()
        async with asyncio.timeout(5):
            await future

    asyncio.run(main())


def test_a_future_that_is_done_or_cancelled_stays_so():
    async def main():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        resolve(future)
        assert future.cancelled()

    asyncio.run(main())


def test_a_closed_event_loop_is_called_no_more():
    loop = asyncio.new_event_loop()
    loop.close()
    call_in(loop, print, "never")


def test_the_loop_that_runs_the_caller_is_found():
    async def main():
        assert running_loop() is asyncio.get_running_loop()

    asyncio.run(main())


# -- changes that threads and coroutines wait for


def test_a_coroutine_and_a_thread_wait_for_the_same_change():
    changes, found = Changes(), []

    def wait():
        with changes:
            changes.wait_for(lambda: found, 5)

    async def main():
        thread = threading.Thread(target=wait)
        thread.start()
        waiting = asyncio.create_task(changes.wait_async(lambda: found))
        await asyncio.sleep(0)
        threading.Thread(target=happen).start()
        async with asyncio.timeout(5):
            await waiting
        thread.join(5)
        assert not thread.is_alive()

    def happen():
        with changes:
            found.append(1)
            changes.notify_all()

    asyncio.run(main())


def test_outside_asyncio_a_coroutine_says_what_to_do_instead():
    """As under trio, which runs coroutines too."""
    with ipc.Node() as node, ipc.Subscriber("t", node=node) as sub, node.watch() as watch:
        watch.get(timeout=5)  # its own node
        for coroutine in (sub.recv_async(), sub.recv_async(1.0), sub.__anext__(), watch.__anext__()):
            with pytest.raises(RuntimeError, match=r"need asyncio.*await trio\.to_thread\.run_sync\(subscriber\.recv"):
                coroutine.send(None)


def test_what_is_true_already_is_not_waited_for():
    asyncio.run(asyncio.wait_for(Changes().wait_async(lambda: True), 5))


def test_what_becomes_true_before_anybody_is_told_is_not_missed():
    looks = iter([False, True, True])
    asyncio.run(asyncio.wait_for(Changes().wait_async(lambda: next(looks)), 5))


def test_a_wake_up_for_something_else_is_no_end():
    async def main():
        changes, found = Changes(), []
        waiting = asyncio.create_task(changes.wait_async(lambda: found))
        for _ in range(3):
            await asyncio.sleep(0)
            with changes:
                changes.notify_all()
        assert not waiting.done()
        found.append(1)
        with changes:
            changes.notify_all()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())


def test_a_coroutine_that_is_cancelled_leaves_nothing_behind():
    async def main():
        changes = Changes()
        waiting = asyncio.create_task(changes.wait_async(lambda: False))
        await asyncio.sleep(0)
        assert len(changes._futures) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not changes._futures

    asyncio.run(main())


def test_coroutines_of_several_event_loops_are_all_woken():
    changes, found = Changes(), []

    def run():
        asyncio.run(asyncio.wait_for(changes.wait_async(lambda: found), 5))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    with changes:
        found.append(1)
        changes.notify_all()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads) and not changes._futures


def test_an_event_loop_that_was_closed_while_it_waited_harms_nobody():
    changes = Changes()
    loop = asyncio.new_event_loop()
    task = loop.create_task(changes.wait_async(lambda: False))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    loop.close()
    with changes:
        changes.notify_all()
    task.get_coro().close()


def test_within_tells_whether_it_came_in_time():
    async def main():
        assert await within(5, asyncio.sleep(0))
        assert await within(None, asyncio.sleep(0))
        assert not await within(0, asyncio.Event().wait())
        assert not await within(0.01, asyncio.Event().wait())
        assert await within(0, Changes().wait_async(lambda: True))

    asyncio.run(main())
