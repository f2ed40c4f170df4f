"""Waking what waits in an event loop, from any thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc
from ipcpy.wakeups import call_in, resolve, running_loop, within


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
        async with asyncio.timeout(20):
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


def test_within_tells_whether_it_came_in_time():
    async def main():
        assert await within(5, asyncio.sleep(0))
        assert await within(None, asyncio.sleep(0))
        assert not await within(0, asyncio.Event().wait())
        assert not await within(0.01, asyncio.Event().wait())

    asyncio.run(main())


def test_outside_asyncio_a_coroutine_says_what_to_do_instead():
    """As under trio, which runs coroutines too."""
    with ipc.Node() as node, ipc.Subscriber("t", node=node) as sub, node.watch() as watch:
        watch.get(timeout=5)  # its own node
        for coroutine in (sub.recv_async(), sub.recv_async(1.0), sub.__anext__(), watch.__anext__()):
            with pytest.raises(RuntimeError, match=r"need asyncio.*await trio\.to_thread\.run_sync\(subscriber\.recv"):
                coroutine.send(None)
