"""The bounded queue between whoever reads a socket and whoever takes messages. Knows messages and counts only."""

from __future__ import annotations

from collections import Counter, deque

from ..fast import InboxFields
from ..message import Message

DEPTH_BYTES = 32 << 20  # bytes of unread messages: a few images
SHARE = 8  # the part of it that is set aside for small messages, so that they need not be counted one by one


class Inbox(InboxFields):
    """Messages not yet taken, the newest: the oldest gives way, for number or bytes, and is counted.

    ``messages`` may be popped from by any thread without a lock; all else is called under the subscriber's. Whoever
    adds a message makes room for it, and then appends it to ``messages``. For one of up to ``small`` bytes it is room
    enough to append its size to ``sizes``, while there are less than ``depth`` of these.

    Args:
        depth: how many are kept.
        depth_bytes: how many bytes their bodies may have; the newest is kept whatever its size.

    Attributes:
        small: bytes that so many messages may have without a look at the bound; -1 while a look is needed.
        sizes: bytes of the bodies, of messages that were taken since the last look and of those that are there.
    """

    def __init__(self, depth: int, depth_bytes: int = DEPTH_BYTES) -> None:
        self.messages: deque[Message] = deque()
        self.sizes: deque[int] = deque()
        self.dropped: Counter[str] = Counter()  # by publisher
        self.discarded: Counter[str] = Counter()  # by publisher: those that were too old when they were taken
        self.depth = depth
        self.small = self._small = depth_bytes // (SHARE * depth)
        self._budget = depth_bytes - depth * self._small  # bytes that messages may have beyond ``small`` each
        self._room = self._budget  # what ``sizes`` leaves of it

    def make_room(self, size: int) -> None:
        """Make room for a message whose body has so many bytes."""
        sizes = self.sizes
        self._look()
        self._room -= max(0, size - self._small)
        while sizes and (self._room < 0 or len(sizes) >= self.depth):
            self._drop_oldest()
        self.small = self._small if self._room >= 0 else -1  # too large by itself: it gives way to the next
        sizes.append(size)

    def fits(self, size: int) -> bool:
        """Tell whether there is room for a message whose body has so many bytes, without that another gives way."""
        self._look()
        return len(self.sizes) < self.depth and self._room >= max(0, size - self._small)

    def put(self, message: Message, size: int) -> None:
        """Add a message whose body has so many bytes."""
        self.make_room(size)
        self.messages.append(message)

    def put_all(self, messages: list[Message], sizes: list[int]) -> None:
        """Add several messages, and the bytes of their bodies."""
        if max(sizes) <= self.small:
            self._look()
        elif not self._has_room(sizes):
            for message, size in zip(messages, sizes, strict=True):
                self.put(message, size)
            return
        for _ in range(min(len(self.sizes) + len(sizes) - self.depth, len(self.sizes))):
            self._drop_oldest()
        for message in messages[: -self.depth]:
            self.dropped[message.publisher] += 1
        self.sizes.extend(sizes[-self.depth :])
        self.messages.extend(messages[-self.depth :])

    def _has_room(self, sizes: list[int]) -> bool:
        """Take the room that larger messages need, if nothing has to give way for it."""
        self._look()
        beyond = sum(size - self._small for size in sizes if size > self._small)
        if beyond > self._room or len(self.sizes) + len(sizes) > self.depth:
            return False
        self._room -= beyond
        self.small = self._small
        return True

    def _look(self) -> None:
        """See what was taken."""
        taken = len(self.sizes) - len(self.messages)
        if taken == len(self.sizes):
            self.sizes.clear()
            self._room = self._budget
        else:
            for _ in range(taken):
                self._forget_size()

    def _forget_size(self) -> None:
        self._room += max(0, self.sizes.popleft() - self._small)

    def _drop_oldest(self) -> None:
        if len(self.messages) >= len(self.sizes):  # else a reader has just taken it
            try:
                oldest = self.messages.popleft()
            except IndexError:
                pass
            else:
                if oldest.seq:  # what has no number is not in the books
                    self.dropped[oldest.publisher] += 1
        self._forget_size()

    def mend(self) -> None:
        """Bring in order what an exception from outside has left half done."""
        self._look()
        self._room = self._budget - sum(max(0, size - self._small) for size in self.sizes)

    def unread(self, now_ns: int) -> tuple[int, int, float]:
        """Return how many messages wait, their bytes, and for how many seconds the next has been waiting.

        Args:
            now_ns: this host's wall clock.
        """
        self._look()
        try:
            age = max(0, now_ns - self.messages[0].received_ns) / 1e9
        except IndexError:
            return 0, 0, 0.0
        return len(self.sizes), sum(self.sizes), age
