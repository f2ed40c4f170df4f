"""A thread's event loop that does planned actions, one at a time. Knows asyncio; nothing of what the actions do."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .agenda import Agenda
from .calm import CalmSelector

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

__all__ = ["Action", "Worker"]

SLEEP_MAX = 60.0  # seconds without an action


@dataclass(frozen=True, slots=True)
class Action:
    """What can be planned.

    Attributes:
        do: called with the time.
        spacing: seconds between two of it, however often it is wanted.
    """

    do: Callable[[float], Awaitable[None]]
    spacing: float


class Worker:
    """Does actions in one thread, which uses no more than a tenth of a core.

    Args:
        actions: what can be planned, by name.
        on_error: called with what an action, or something else in the event loop, raised; the worker goes on.
        on_pause: called when the thread pauses because it did too much.
    """

    def __init__(
        self, actions: Mapping[str, Action], on_error: Callable[[str], None], on_pause: Callable[[], None]
    ) -> None:
        self._actions, self._on_error, self._on_pause = actions, on_error, on_pause
        self._agenda = Agenda({name: action.spacing for name, action in actions.items()})
        self._stopping = threading.Event()
        self._loop: AbstractEventLoop | None = None
        self._woken: Event | None = None

    # -- in the thread -------------------------------------------------------------------------------------------------

    def run(self, first: str, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do actions until ``stop``.

        Args:
            first: the action to begin with.
            last: what to do in the end.
        """
        import asyncio

        loop = asyncio.SelectorEventLoop(CalmSelector(self._stopping, self._on_pause))
        loop.set_exception_handler(self._on_exception)
        self._woken = asyncio.Event()
        self._loop = loop  # from here on other threads wake us; what they wrote before is read by the first action
        try:
            loop.run_until_complete(self._serve(first, last))
        finally:
            self._loop = None
            loop.close()

    def plan(self, action: str, delay: float) -> None:
        """Have an action done after so many seconds. In the event loop only."""
        self._agenda.plan(action, time.monotonic() + delay)
        self._interrupt()

    async def _serve(self, first: str, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.plan(first, 0.0)
        while not self._stopping.is_set():
            now = time.monotonic()
            action = self._agenda.take(now)
            if action is not None:
                await self._attempt(self._actions[action], now)
            else:
                await self._sleep(min(self._agenda.next() - now, SLEEP_MAX))
        await last()

    async def _attempt(self, action: Action, now: float) -> None:
        try:
            await action.do(now)
        except Exception as error:
            self._on_error(f"{type(error).__name__}: {error}")

    async def _sleep(self, seconds: float) -> None:
        import asyncio

        assert self._woken is not None
        self._woken.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)

    def _interrupt(self) -> None:
        if self._woken is not None:
            self._woken.set()

    def _on_exception(self, _: AbstractEventLoop, context: dict[str, Any]) -> None:
        self._on_error(f"{context.get('message')}: {context.get('exception')!r}")

    # -- from any thread -----------------------------------------------------------------------------------------------

    def wake(self, action: str, delay: float = 0.0) -> None:
        """Have an action done after so many seconds; nothing while the thread does not run."""
        self._call(self.plan, action, delay)

    def stop(self) -> None:
        """Have the thread do the last thing and end."""
        self._stopping.set()
        self._call(self._interrupt)

    def abandon(self) -> None:
        """Let go of the event loop in a forked child, where its thread is gone."""
        self._loop = None

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(callback, *args)
