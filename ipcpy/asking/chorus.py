"""Answers calls with coroutines. Knows one event loop and its tasks; nothing of requests.

It is the event loop that runs where the service is made, else one of its own in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ..errors import ClosedError
from ..locks import start
from ..wakeups import call_in
from .duties import Job
from .server import Server


class Chorus:
    """The coroutines of one server.

    Args:
        server: reads, and knows what to do.
        work: answers one call; it raises nothing but CancelledError.
    """

    def __init__(self, server: Server, work: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
        self._server = server
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Begin to answer."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            name = f"ipcpy service {self._server.terms.name}"
            start(threading.Thread(target=lambda: asyncio.run(self._serve()), name=name, daemon=True))
        else:
            self._keep(loop.create_task(self._serve()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)  # the event loop itself does not
        task.add_done_callback(self._tasks.discard)

    def _end(self, job: Job, task: asyncio.Task[None]) -> None:
        """Answer a call whose task was cancelled before it began: nothing of it ran that could."""
        if not task.cancelled() or job.body is None:
            return
        if job.cancelled:
            for each in self._server.answer(job, None):
                self._server.tell(job.client, each)
            self._server.told(job)
        else:
            self._server.fail(job, asyncio.CancelledError("the server's event loop ended"))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        requests, take = self._server.requests, self._server.take
        try:
            while True:
                job = take(await requests.recv_async())
                if job is not None:
                    task = loop.create_task(self._work(job))
                    self._keep(task)
                    task.add_done_callback(partial(self._end, job))
                    job.on_cancel = lambda task=task: call_in(loop, task.cancel)
                    if job.cancelled:
                        task.cancel()
        except ClosedError:
            pass
        finally:
            self._server.close()
