"""Coroutines that wait, and the event loop that reads for them."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from ipcpy.subscribing.waiters import Waiters


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    yield ours, theirs
    ours.close()
    theirs.close()


async def soon(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


def test_whoever_waits_is_woken_also_from_another_thread():
    async def main():
        waiters = Waiters(lambda _: None)
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(waiters.wait(loop, lambda: False)) for _ in range(3)]
        await soon(lambda: len(waiters.futures) == 3)
        threading.Thread(target=waiters.wake).start()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
        assert not waiters.futures

    asyncio.run(main())


def test_who_is_in_the_event_loop_wakes_at_once():
    async def main():
        waiters = Waiters(lambda _: None)
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(waiters.wait(loop, lambda: False))
        await soon(lambda: waiters.futures)
        (future,) = waiters.futures
        waiters.wake(loop)
        assert future.done()
        await task

    asyncio.run(main())


def test_what_is_over_already_is_not_waited_for():
    async def main():
        waiters = Waiters(lambda _: None)
        async with asyncio.timeout(20):
            await waiters.wait(asyncio.get_running_loop(), lambda: True)
        assert not waiters.futures

    asyncio.run(main())


def test_who_is_cancelled_waits_no_more():
    async def main():
        waiters = Waiters(lambda _: None)
        task = asyncio.create_task(waiters.wait(asyncio.get_running_loop(), lambda: False))
        await soon(lambda: waiters.futures)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not waiters.futures

    asyncio.run(main())


def test_the_event_loop_reads_the_sockets_until_it_is_detached(pair):
    async def main():
        ours, theirs = pair
        readable = []
        waiters = Waiters(lambda each: readable.append((each, each.recv(10))))
        loop = asyncio.get_running_loop()
        waiters.attach(loop, [ours])
        assert waiters.loop is loop
        theirs.send(b"1")
        await soon(lambda: readable == [(ours, b"1")])
        waiters.detach([ours])
        assert waiters.loop is None
        theirs.send(b"2")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(readable) == 1

    asyncio.run(main())


def test_sockets_that_come_and_go_are_read_too(pair):
    async def main():
        ours, theirs = pair
        readable = []
        waiters = Waiters(lambda each: readable.append(each.recv(10)))
        waiters.add(ours)  # without an event loop nothing happens
        waiters.attach(asyncio.get_running_loop(), [])
        waiters.add(ours)
        theirs.send(b"1")
        await soon(lambda: readable == [b"1"])
        waiters.remove(ours)
        theirs.send(b"2")
        await asyncio.sleep(0)
        assert readable == [b"1"]

    asyncio.run(main())


def test_where_an_event_loop_cannot_read_sockets_the_io_thread_goes_on(pair):
    class Proactor:
        def add_reader(self, *_):
            raise NotImplementedError

    waiters = Waiters(lambda _: None)
    waiters.attach(Proactor(), [pair[0]])
    assert waiters.loop is None


def test_an_event_loop_that_is_closed_is_nobodys_fault():
    waiters = Waiters(lambda _: None)
    loop = asyncio.new_event_loop()
    waiters.futures.append(loop.create_future())
    loop.close()
    waiters.wake()
    assert not waiters.futures
