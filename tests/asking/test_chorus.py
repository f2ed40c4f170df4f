"""Coroutines that answer: what becomes of them when their event loop ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc


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
    assert service.wait(5)
    thread.join(20)
    assert len(errors) == 1


def test_what_a_coroutine_raises_reaches_the_caller(serve, ask):
    async def fail(request):
        raise ValueError("no")

    serve(fail)
    client = ask()
    for _ in range(2):
        with pytest.raises(ipc.ServiceError, match="ValueError: no"):
            client.call(timeout=10)
