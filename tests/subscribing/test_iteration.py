"""Messages one after the other: until the subscriber is closed, and no longer."""

from __future__ import annotations

import asyncio

import pytest

from ipcpy.errors import ClosedError, RecvTimeout
from ipcpy.subscribing.iteration import Iteration


class Three(Iteration):
    def __init__(self, error=ClosedError):
        self.left, self.error = [1, 2, 3], error

    def recv(self, timeout=None):
        if not self.left:
            raise self.error
        return self.left.pop(0)

    async def recv_async(self, timeout=None):
        return self.recv()


def test_an_iteration_ends_when_it_is_closed_in_threads_and_in_coroutines():
    async def main():
        return [message async for message in Three()]

    assert list(Three()) == asyncio.run(main()) == [1, 2, 3]


def test_any_other_error_reaches_whoever_iterates():
    async def main():
        return [message async for message in Three(RecvTimeout)]

    with pytest.raises(RecvTimeout):
        list(Three(RecvTimeout))
    with pytest.raises(RecvTimeout):
        asyncio.run(main())
