"""Calls the function of a service and answers with what it does. Knows functions, generators and coroutines; nothing
of threads or event loops.

Of a generator each value is a step, and what it returns is the result. One that is cancelled is resumed once more, so
that it can see ``request.cancelled`` and return; if it yields all the same, it is closed.
"""

from __future__ import annotations

import inspect
import threading
import time
from asyncio import CancelledError, current_task, sleep
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from ..publishing.pacing import BLOCK_PAUSE
from .duties import Job
from .server import Server

PATIENCE = 10.0  # seconds that an answer waits for a client that answers, but cannot take it yet; else it were lost
SHORTEST = 0.000_5  # seconds between the first two looks whether a client can take more


def kind_of_function(function: object) -> tuple[bool, bool]:
    """Return whether a function is a coroutine's, and whether it answers in steps.

    Raises:
        ArgumentError: it is no function.
    """
    if not callable(function):
        raise ArgumentError(f"function is a function that takes a Request and returns the reply, got {function!r:.80}")
    functions: list[Any] = [inspect.unwrap(function), getattr(function, "__call__", None)]  # noqa: B004 (its type's)
    functions.append(getattr(function, "func", None))  # of a partial

    def is_any(test: Callable[[Any], bool]) -> bool:
        return any(map(test, functions))

    asynchronous = is_any(inspect.iscoroutinefunction) or is_any(inspect.isasyncgenfunction)
    return asynchronous, is_any(inspect.isgeneratorfunction) or is_any(inspect.isasyncgenfunction)


def work(server: Server, job: Job) -> None:
    """Answer one call with a function, or a generator function, in the calling thread."""
    try:
        value = None
        if not job.cancelled:  # while it was waiting
            value = server.terms.function(server.request_of(job))
            if server.terms.steps:
                value = _run(server, job, value)
        answers = server.answer(job, value)
        if answers:
            _tell_all(server, job, answers)
    except BaseException as error:  # SystemExit too: it is the call that failed, and the server goes on
        server.fail(job, error)


def _run(server: Server, job: Job, steps: Any) -> Any:
    number, warned = 0, False
    try:
        while True:
            value = next(steps)
            if warned:
                steps.close()
                return None
            number += 1
            for each in server.step(job, number, value):
                server.tell(job.client, each)
            warned = job.cancelled
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def work_async(server: Server, job: Job) -> None:
    """Answer one call with a coroutine, or an asynchronous generator."""
    try:
        if server.terms.steps:
            value = await _run_async(server, job, server.terms.function(server.request_of(job)))
        else:
            value = await server.terms.function(server.request_of(job))
        await tell_all_async(server, job, server.answer(job, value))
    except CancelledError as error:
        task = current_task()
        if job.cancelled:
            await tell_all_async(server, job, server.answer(job, None))
        elif task is not None and task.cancelling():
            server.fail(job, CancelledError("the server's event loop ended"))
            raise
        else:  # the function's own
            server.fail(job, error)
    except BaseException as error:  # SystemExit too, as in a thread
        server.fail(job, error)
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise


def _tell_all(server: Server, job: Job, answers: list[Any]) -> None:
    try:
        for each in answers:
            server.tell(job.client, each)
    finally:
        server.told(job)


async def tell_all_async(server: Server, job: Job, answers: list[Any]) -> None:
    """Tell a client answers; before each wait, for a bounded time, until it can take that. The event loop goes on."""
    try:
        for each in answers:
            deadline, pause = time.monotonic() + PATIENCE, SHORTEST
            while not server.has_room(job, each) and time.monotonic() < deadline:
                await sleep(pause)
                pause = min(2 * pause, BLOCK_PAUSE)
            server.tell(job.client, each)
    finally:
        server.told(job)


async def _run_async(server: Server, job: Job, steps: Any) -> Any:
    number = 0
    try:
        async for value in steps:
            number += 1
            await tell_all_async(server, job, server.step(job, number, value))
    finally:
        await steps.aclose()
    return None
