"""Coroutines that answer: what becomes of them when their event loop ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc
from lan_process import wait_until


def test_a_service_ends_with_the_event_loop_it_was_made_in(here, ask, name):
    begun = threading.Event()

    async def slow(request):
        begun.set()
        await asyncio.sleep(30)

    async def main():
        service = ipc.Service(name, slow, node=here)
        await asyncio.to_thread(begun.wait, 10)
        return service

    errors = []
    client = ask()

    def run():
        with pytest.raises((ipc.ServiceError, ipc.NoService)) as caught:
            client.call(timeout=20)
        errors.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    service = asyncio.run(main())
    assert service.wait(20)
    thread.join(20)
    assert len(errors) == 1


def test_what_a_coroutine_raises_reaches_the_caller(serve, ask):
    async def fail(request):
        raise ValueError("no")

    serve(fail)
    client = ask()
    for _ in range(2):
        with pytest.raises(ipc.ServiceError, match="ValueError: no"):
            client.call(timeout=20)


def test_a_call_that_is_cancelled_before_its_coroutine_begins_is_over(serve, ask):
    blocked, go, done = threading.Event(), threading.Event(), []

    async def work(request):
        done.append(request.data)
        if request.data == "block":
            blocked.set()
            go.wait(20)  # the event loop stands still: what comes meanwhile is read in one go

    service = serve(work)
    client, other = ask(), ask()
    other.wait_for_service(20)
    thread = threading.Thread(target=client.call, args=("block", 20))
    thread.start()
    assert blocked.wait(20)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            other.call("too late", timeout=0.03)
    go.set()
    thread.join(20)
    assert other.call("then", timeout=10) is None
    wait_until(lambda: service.stats.open == 0)
    assert service.stats.cancelled <= 5
    assert done[-1] == "then"
