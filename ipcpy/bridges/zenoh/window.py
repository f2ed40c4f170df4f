"""How much may be on the way up: as much as keeps the delay small, whatever the uplink takes. Pure; bytes and ``now``.

Sockets, Zenoh and routers on the way all have queues, so a slow uplink would have frames wait for seconds though each
queue is bounded. Some messages are marked, and who takes them says when they have arrived; so the delay is known, and
the window shrinks where it grows (as LEDBAT does, RFC 6817). While the window is full the newest frame waits here, and
older ones give way.
"""

from __future__ import annotations

from collections import OrderedDict

from ..adapter import Key

__all__ = ["Window"]

MARK = 16 << 10  # bytes between two marks
LEAST = 16 << 10
FIRST = 32 << 10
MOST = 8 << 20
SLACK = 0.1  # seconds of delay that are added to the least one seen
FORGET = 30.0  # seconds that the least delay counts, and as many again: then the way may be another
LOST = 2.0  # seconds after which a mark that nobody answered is given up, besides the delay


class Window:
    """What is on the way up: the small messages of a bridge have one window, those of cameras another.

    Attributes:
        delay: seconds that the last marked message was on its way, there and back.
    """

    def __init__(self) -> None:
        self._marks: OrderedDict[tuple[Key, int], tuple[float, int]] = OrderedDict()  # when, and bytes up to it
        self._unmarked = 0
        self._on_way = 0
        self._size = float(FIRST)
        self._least = self._least_before = float("inf")
        self._least_since = 0.0
        self._shrunk_at = 0.0
        self.delay = 0.0

    def __len__(self) -> int:
        return self._on_way

    @property
    def size(self) -> int:
        """Bytes that may be on the way."""
        return int(self._size)

    def sent(self, key: Key, seq: int, size: int, now: float) -> bool:
        """Count a message; return whether it is to be marked."""
        self._unmarked += size
        if self._unmarked < MARK:
            return False
        self._marks[key, seq] = now, self._unmarked
        self._on_way += self._unmarked
        self._unmarked = 0
        return True

    def seen(self, key: Key, seq: int, now: float) -> None:
        """Take that a marked message has arrived; others of the same publisher before it have, or are lost."""
        mark = self._marks.get((key, seq))
        if mark is None:
            return
        for each in [each for each in self._marks if each[0] == key and each[1] <= seq]:
            self._on_way -= self._marks.pop(each)[1]
        delay = self.delay = now - mark[0]
        if now - self._least_since > FORGET:
            self._least, self._least_before, self._least_since = delay, self._least, now
        self._least = min(self._least, delay)
        if delay <= min(self._least, self._least_before) + SLACK:
            self._size = min(self._size + mark[1], MOST)
        elif now - self._shrunk_at > delay:  # once for what is on the way
            self._size = max(self._size * 0.6, LEAST)
            self._shrunk_at = now

    def room(self, now: float) -> bool:
        """Tell whether more may be sent; one message always may when nothing is on the way."""
        patience = LOST + (self._least if self._marks and self._least < LOST else 0.0)
        while self._marks:
            at, size = next(iter(self._marks.values()))
            if now - at < patience:
                break
            self._marks.popitem(last=False)
            self._on_way -= size
            self._size = max(self._size / 2, LEAST)
        return self._on_way < self._size
