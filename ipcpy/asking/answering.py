"""Calls the function of a service and answers with what it does. Knows functions, generators and coroutines; nothing
of threads or event loops.

Of a generator each value is a step, and what it returns is the result. One that is cancelled is resumed once more, so
that it can see ``request.cancelled`` and return; if it yields all the same, it is closed.
"""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from .duties import Job
from .server import Server


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
        if job.cancelled:  # while it was waiting
            server.answer(job, None)
            return
        value = server.terms.function(server.request_of(job))
        if server.terms.steps:
            value = _run(server, job, value)
    except BaseException as error:  # SystemExit too: it is the call that failed, and the server goes on
        server.fail(job, error)
    else:
        server.answer(job, value)


def _run(server: Server, job: Job, steps: Any) -> Any:
    number, warned = 0, False
    try:
        while True:
            value = next(steps)
            if warned:
                steps.close()
                return None
            number += 1
            server.step(job, number, value)
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
    except CancelledError:
        if not job.cancelled:  # the event loop ends
            server.fail(job, CancelledError("the server's event loop ended"))
            raise
        server.answer(job, None)
    except BaseException as error:
        server.fail(job, error)
        if not isinstance(error, Exception):
            raise
    else:
        server.answer(job, value)


async def _run_async(server: Server, job: Job, steps: Any) -> Any:
    number = 0
    try:
        async for value in steps:
            number += 1
            server.step(job, number, value)
    finally:
        await steps.aclose()
    return None
