"""What mDNS says of itself: whether it works, and what was ignored, by cause. Knows the log; nothing of the network.

What repeats is only counted, so nobody who floods port 5353 fills a log.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

__all__ = ["Reports"]

log = logging.getLogger(__name__)

QUIET = frozenset({"own", "domain", "key"})  # causes that are nothing to worry about
MAX_REASONS = 16  # failures that are logged


class Reports:
    """The counters and the error of one node's mDNS.

    Attributes:
        counters: what was ignored, by cause.
        error: why mDNS does not work; None while it works, or has not been tried yet.

    Args:
        on_change: called when ``error`` is another.
    """

    def __init__(self, on_change: Callable[[], object] = lambda: None) -> None:
        self._on_change = on_change
        self.counters: Counter[str] = Counter()
        self.error: str | None = None
        self._logged: set[str] = set()

    def count(self, cause: str, detail: str) -> None:
        """Count something that was ignored; log the first of each cause."""
        if not self.counters[cause]:
            level = logging.DEBUG if cause in QUIET else logging.WARNING
            log.log(level, "mDNS: ignored what was heard (%s): %.200s; further ones are only counted", cause, detail)
        self.counters[cause] += 1

    def count_callback(self) -> None:
        """Count a callback that raised the exception being handled; log the first with its traceback."""
        if not self.counters["callback"]:
            log.exception("mDNS: a callback failed; it is told no more of this")
        self.counters["callback"] += 1

    def fail(self, reason: str) -> None:
        """Learn that mDNS does not work; log each reason once, before other threads see it."""
        if reason not in self._logged and len(self._logged) < MAX_REASONS:
            self._logged.add(reason)
            log.warning("mDNS does not work: %s. Same-host and static peers are found without it.", reason)
        if reason != self.error:
            self.error = reason
            self._on_change()

    def recover(self) -> None:
        """Learn that mDNS works; log it if it did not before."""
        if self.error is not None:
            log.info("mDNS works now")
            self.error = None
            self._on_change()
