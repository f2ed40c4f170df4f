"""A user's functions, called in threads of their own: with messages, and with what is late.

Knows what becomes of exceptions, and whether a callback keeps up with its topic; nothing of how messages come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..errors import ClosedError
from ..log import get_logger
from ..message import Message
from ..node.watch import EventQueue
from ..stats import SubscriberStats
from ..typed import Any, Protocol

log = get_logger(__name__)

SETTLING = 0.5  # seconds of unread messages before what comes is counted: a burst is none of the topic's rate
WINDOW = 1.0  # seconds in which what comes is held against what the callback takes
MORE = 1.05  # times as many messages as the callback takes, from which on it is slower than its topic


class Subscription(Protocol):
    """What is asked of the interior of a subscriber; ``slow`` is a sentence of ``why``."""

    slow: str

    def stats(self) -> SubscriberStats: ...


class Pace:
    """Tells whether a callback is slower than its topic: more comes than it takes, while it never has to wait.

    Args:
        stats: returns the subscriber's counts.
        clock: seconds, never going back.
    """

    def __init__(self, stats: Callable[[], SubscriberStats], clock: Callable[[], float] = time.monotonic) -> None:
        self._stats = stats
        self._clock = clock
        self._since: float | None = None  # when the messages that wait began to
        self._handled = 0
        self._come = 0
        self._settled = False

    def caught_up(self) -> None:
        """The callback has returned, and nothing waits for it."""
        self._since = None

    def fell_behind(self) -> str:
        """The callback has returned, and messages wait for it.

        Returns:
            What is to be said of it if it is slower than its topic; else nothing.
        """
        now = self._clock()
        if self._since is None:
            self._begin(now, settled=False)
            return ""
        self._handled += 1
        passed = now - self._since
        if passed < (WINDOW if self._settled else SETTLING):
            return ""
        slow = self._settled and self._judge(passed)
        self._begin(now, settled=True)
        return slow or ""

    def _begin(self, now: float, *, settled: bool) -> None:
        self._since, self._settled, self._handled = now, settled, 0
        self._come = _come(self._stats())

    def _judge(self, passed: float) -> str:
        stats = self._stats()
        come = _come(stats) - self._come
        if come <= self._handled * MORE:
            return ""
        given_way = sum(stats.lost.get(cause, 0) for cause in ("inbox", "too old"))
        each = passed / self._handled
        took = f"{1000 * each:.3g} ms" if each < 1 else f"{each:.3g} s"
        return (
            f"it takes {took} a message, {self._handled / passed:.3g} a second, and "
            f"{come / passed:.3g} a second come: {stats.unread:,} wait, {given_way:,} were discarded unread"
        )


def _come(stats: SubscriberStats) -> int:
    return stats.received + stats.lost.get("inbox", 0) + stats.lost.get("too old", 0)


def call_with_messages(
    callback: Callable[[Message], object],
    messages: Iterable[Message],
    unread: Any,
    subscription: Subscription,
    topic: str,
) -> bool:
    """Call a function with each message, until there are no more; say once if it is slower than they come.

    Args:
        unread: true while messages wait.

    Returns:
        False if an exception that ends threads (SystemExit) ended it.
    """
    pace: Pace | None = Pace(subscription.stats)
    for message in messages:
        if not _call(callback, message, f"the callback of the subscriber of {topic!r}"):
            return False
        if pace is None:
            continue
        if not unread:
            pace.caught_up()
        elif slow := pace.fell_behind():
            pace = None
            log.warning("the callback of the subscriber of %r is slower than its topic: %s", topic, slow)
            subscription.slow = f"The callback is slower than its topic: {slow}."
    return True


def call_with_events(function: Callable[[Any], object], events: EventQueue[Any], topic: str) -> bool:
    """Call a function with each event, until there are no more; for what is returned see ``call_with_messages``."""
    while True:
        try:
            event = events.get(None)
        except ClosedError:
            return True
        if not _call(function, event, f"on_late of the subscriber of {topic!r}"):
            return False


def _call(function: Callable[[Any], object], argument: Any, who: str) -> bool:
    """Call a function; return False if it ended its thread. What it raises is logged."""
    try:
        function(argument)
    except Exception:
        log.exception("%s failed", who)
    except BaseException:  # SystemExit: Python would end the thread by it without a word
        log.exception("%s ended its thread: the subscriber is closed", who)
        return False
    return True
