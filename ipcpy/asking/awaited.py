"""What is taken right where it is read, by the thread that reads because it waits for just that: the answer to a call,
requests to a server. Nothing is handed over then. Knows the pure machines; called with the lock of a subscriber held.
"""

from __future__ import annotations

import threading
from collections import deque
from threading import get_ident

from .calls import Call, Calls
from .duties import Duties, Found


class Answer:
    """The answer that a thread waits for alone.

    Args:
        lock: over the calls; with it held nothing else is taken.

    Attributes:
        call: whose it is; None while no thread waits so.
        thread: that waits.
        answerer: the publisher of the answers; empty while it is not known.
    """

    def __init__(self, calls: Calls, lock: threading.RLock) -> None:
        self.call: Call | None = None
        self.thread = 0
        self.answerer = ""
        self._answered, self._dropped = calls.answered, calls.dropped
        self._lock = lock

    def claim(self, publisher: str, data: bytes) -> bool:
        """Take an answer, if it is that one. What another publisher says is nobody's: a flood of it goes no further.

        A server whose publisher is a new one is known by its first answer on the topic.
        """
        call = self.call
        if publisher != self.answerer:
            with self._lock:
                self._dropped["forged"] += 1
            return True
        if call is None or get_ident() != self.thread:
            return False
        with self._lock:
            return self._answered(call, data)


class Requests:
    """The requests that come aside while a thread of the server's waits for them.

    Args:
        lock: over the duties; with it held nothing else is taken.

    Attributes:
        thread: that reads; 0 if none does so.
        found: what is to be done.
    """

    def __init__(self, duties: Duties, lock: threading.RLock) -> None:
        self.thread = 0
        self.found: deque[Found] = deque()
        self._arrived = duties.arrived
        self._lock = lock

    def claim(self, client: str, data: bytes) -> bool:
        """Take a request, if that thread has read it."""
        if get_ident() != self.thread:
            return False
        with self._lock:
            self.found += self._arrived(client, data, aside=True)
        return True
