"""Waking what waits in an event loop, from any thread. Knows futures; decides nothing.

asyncio is imported late: most programs have no event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from .typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


def running_loop() -> AbstractEventLoop:
    """Return the event loop of asyncio that runs the caller.

    Raises:
        RuntimeError: none does; trio, for one, is another kind of loop.
    """
    from asyncio import get_running_loop

    try:
        return get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "ipcpy's coroutines need asyncio, and no event loop of asyncio runs here. Under trio wait in a thread: "
            "await trio.to_thread.run_sync(subscriber.recv, 1.0)"
        ) from None


async def within(timeout: float | None, waiting: Awaitable[object]) -> bool:
    """Await something for some seconds at most, None for ever; return whether it came in time."""
    import asyncio

    try:
        async with asyncio.timeout(timeout):
            await waiting
    except TimeoutError:
        return False
    return True


def call_in(loop: AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> None:
    """Call a function in an event loop's thread: at once if that is this one; not at all if the loop is closed."""
    if _runs_here(loop):
        function(*arguments)
        return
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)


def resolve(future: Future[None]) -> None:
    """Wake the coroutine that awaits a future, if it still does; in its event loop's thread."""
    if not future.done():
        future.set_result(None)


def _runs_here(loop: AbstractEventLoop) -> bool:
    from asyncio import get_running_loop

    try:
        return get_running_loop() is loop
    except RuntimeError:  # none runs in this thread
        return False
