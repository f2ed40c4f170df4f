"""Whose turn it is to read for all who wait, and how the others are woken. Knows calls; reads nothing itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable

from ..locks import Bell
from .calls import ASK_AFTER, Call

TURN = 2 * ASK_AFTER  # seconds: whoever reads looks up more often


class Turns:
    """Threads and coroutines that wait for answers, one call each: one of them reads, the others follow.

    Args:
        lock: of the calls.
        open: the numbers of those that are open.

    Attributes:
        reader: the call whose thread or coroutine reads; None where nobody does.
        ends: when the reader has looked up, if it still reads.
        followers: who waits while another one reads, by the number of the call, with what wakes it.
    """

    def __init__(self, lock: threading.RLock, open: Collection[int]) -> None:
        self.reader: Call | None = None
        self.followers: dict[int, tuple[Call, Bell]] = {}
        self._lock = lock
        self._open = open
        self.ends = 0.0

    def take(self, call: Call) -> Bell | None:
        """Have a call's thread or coroutine read for all; if another one does, return what wakes this one.

        An exception from outside, in the midst of ``leave``, keeps the turn for one that does not read. It ends with
        its call, or after a time in which whoever reads would have looked up.
        """
        with self._lock:
            reader, now = self.reader, time.monotonic()
            if reader is None or reader is call or reader.outcome or now > self.ends:
                self.reader = call
                self.ends = now + TURN
                return None
            return self.followers.setdefault(call.number, (call, Bell()))[1]

    def leave(self, call: Call) -> None:
        """Follow and read no more; if nobody reads then, wake one of those who wait: it does."""
        if self.reader is call:
            self.reader = None
            if not self.followers:
                return
        with self._lock:
            self.followers.pop(call.number, None)
            bell = self._next() if self.reader is None else None
        if bell is not None:
            bell.ring()

    def _next(self) -> Bell | None:
        """Return what wakes one of those who wait, each in turn; those whose calls are over are forgotten."""
        while self.followers:
            number = next(iter(self.followers))
            follower = self.followers.pop(number)
            if number in self._open:
                self.followers[number] = follower
                return follower[1]
        return None

    def wake(self, numbers: Iterable[int] | None) -> None:
        """Wake those who wait for some calls, None for all; the caller does not hold the lock."""
        with self._lock:
            wanted = list(self.followers) if numbers is None else numbers
            bells = [self.followers[number][1] for number in wanted if number in self.followers]
        for bell in bells:
            bell.ring()
