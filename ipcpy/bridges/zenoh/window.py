"""How much may be on the way up: as much as keeps the delay small, whatever the uplink takes. Pure; bytes and ``now``.

Sockets, Zenoh and routers on the way all have queues, so a slow uplink would have frames wait for seconds though each
queue is bounded. Some messages are marked, and who takes them says when they have arrived; so the delay is known, and
the window shrinks where it grows (as LEDBAT does, RFC 6817). While the window is full the newest frame waits here, and
older ones give way. Where nobody ever says so, for only programs of Zenoh's own listen, there is nothing to go by.
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
CHANCES = 5  # marks without an answer after which nobody is believed to answer any more
LOST = 2.0  # seconds after which a mark that nobody answered is given up, besides the delay


class Window:
    """What is on the way up: the small messages of a bridge have one window, those of cameras another.

    Attributes:
        delay: seconds that the last marked message was on its way, there and back.
    """

    def __init__(self) -> None:
        self._marks: OrderedDict[tuple[Key, int], tuple[float, int]] = OrderedDict()  # when, and bytes up to it
        self._unmarked: dict[Key | None, int] = {}  # bytes since the last mark, of the deaf each for itself
        self._chances: dict[Key, int] = {}  # how many more marks of an offer may find no answer, 1 before the first
        self._deaf: set[Key] = set()  # offers of which nobody says how far they have come
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
        self._give_up(now)
        pool = key if key in self._deaf else None
        self._unmarked[pool] = unmarked = self._unmarked.get(pool, 0) + size
        if unmarked < MARK:
            return False
        self._unmarked[pool] = 0
        self._marks[key, seq] = now, 0 if pool else unmarked
        self._on_way += 0 if pool else unmarked
        return True

    def seen(self, key: Key, seq: int, now: float) -> None:
        """Take that a marked message has arrived; others of the same publisher before it have, or are lost."""
        mark = self._marks.get((key, seq))
        if mark is None:
            return
        self._chances[key] = CHANCES
        self._deaf.discard(key)
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

    def room(self, key: Key, now: float) -> bool:
        """Tell whether more of an offer may be sent; one message always may when nothing is on the way."""
        self._give_up(now)
        return key in self._deaf or self._on_way < self._size

    def _give_up(self, now: float) -> None:
        """Give up marks that nobody has answered: the way is bad; or else nobody there answers."""
        patience = LOST + (self._least if self._least < LOST else 0.0)
        while self._marks:
            (key, _), (at, size) = next(iter(self._marks.items()))
            if now - at < patience:
                break
            self._marks.popitem(last=False)
            self._on_way -= size
            self._chances[key] = left = self._chances.get(key, 1) - 1
            if left > 0:
                self._size = max(self._size / 2, LEAST)
            else:
                self._deaf.add(key)

    def forget(self, key: Key) -> None:
        """Forget an offer that is no more."""
        self._chances.pop(key, None)
        self._deaf.discard(key)
        self._unmarked.pop(key, None)
