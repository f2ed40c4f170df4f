"""Says in the log what of other nodes' announcements cannot be read. Knows who was complained of; reads no entry.

A peer in another language that gets an entry wrong is told nothing by the protocol: the log is where its author looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..budget import Budget
from ..log import get_logger

log = get_logger(__name__)

MAX_TOLD = 1_024  # complaints that are remembered, so that each is made once
AT_ONCE = 20.0  # complaints in a row, whoever causes them
A_SECOND = 0.1


class Refusals:
    """Makes each complaint once, and not more than a few a minute.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[int, str], None] = {}
        self._budget = Budget(AT_ONCE, A_SECOND, clock())

    def tell(self, id: int, who: str, what: str) -> None:
        """Log what is wrong with what a node announces, unless that was said before, or too much was.

        Args:
            id: of the node.
            who: the node in words.
            what: a sentence without its full stop.
        """
        if (id, what) in self._told or not self._budget.take(1.0, self._clock()):
            return
        self._told[id, what] = None
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]
        log.warning("%s: %s", who, what)
