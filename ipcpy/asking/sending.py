"""What a client sends to one server: a small request aside, as one datagram; all else by the topic of requests.

Knows the calls and the ways; nothing of answers, or of who waits for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..alarms import is_alarm
from ..errors import ClosedError
from ..publishing.publisher import Publisher
from .calls import MAX_ASIDE, Call, Calls
from .envelope import SMALL, STEPS


class Sending:
    """The part of a Line that sends.

    Attributes:
        lost: why the server is there no more; empty while it is.
        calls: what is open; changed with the lock held.
    """

    lost: str
    calls: Calls
    _lock: threading.RLock  # over the calls; short
    _sending: threading.RLock  # over the order of requests by the topic
    _requests: Publisher
    _aside: Callable[[bytes], bool] | None  # the way beside the order; None if the server takes nothing there

    def ask(self, body: Any, flags: int) -> Call | None:
        """Send a request; None if the server is gone.

        Raises:
            ArgumentError: it is larger than what is sent.
        """
        aside, calls = self._aside, self.calls
        if aside is None or calls.wary or type(body) is not bytes or len(body) > SMALL or flags & STEPS:
            return self._ask_by_topic(body, flags)
        with self._lock:
            if self.lost:
                return None
            few = len(calls.open) < MAX_ASIDE
            call = calls.begin_aside(body, flags, time.monotonic()) if few else None
        if call is None:
            return self._ask_by_topic(body, flags)
        try:
            if aside(call.aside):
                return call
        except BaseException:  # Ctrl-C: it may be on the way
            self.give_up(call)
            raise
        self._forget(call)  # the topic says what is wrong, or makes it good
        return self._ask_by_topic(body, flags)

    def _ask_by_topic(self, body: Any, flags: int) -> Call | None:
        call: Call | None = None
        with self._sending:
            before = self.calls.last
            try:
                with self._lock:
                    if self.lost:
                        return None
                    call = self.calls.begin(time.monotonic(), flags)
                for each in call.request(body):
                    self._requests.publish(each)
                call.sent()
            except BaseException as error:
                outside = not isinstance(error, Exception) or is_alarm(error)  # Ctrl-C: it may be on the way
                for each in self.calls.unsent(before) or filter(None, [call]):
                    (self.give_up if outside else self._forget)(each)
                if isinstance(error, ClosedError) and self.lost:
                    return None
                raise
        return call

    def _forget(self, call: Call) -> None:
        with self._lock:
            self.calls.open.pop(call.number, None)

    def give_up(self, call: Call) -> None:
        """Wait for a call no more, and tell the server."""
        with self._lock:
            told = self.calls.give_up(call)
        self._send(told)

    def cancel(self, call: Call) -> None:
        """Ask the server to end a call that is waited for still."""
        with self._lock:
            told = self.calls.cancel(call)
        self._send(told)

    def _send(self, told: list[Any]) -> None:
        for each in told:
            try:
                self._requests.publish(each)
            except ClosedError:  # the server hears that we are gone
                return

    def _ask_again(self, now: float) -> None:
        with self._lock:
            asks = self.calls.due(now)
        self._send(asks)
