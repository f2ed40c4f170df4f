"""The bounded queue between whoever reads a socket and whoever takes messages. Knows messages and counts only."""

from __future__ import annotations

from collections import Counter, deque

from ..message import Message

LARGE = 64 << 10  # bytes from which on a message counts against the budget
BUDGET = 256 << 20  # bytes of large messages that are kept unread


class Inbox:
    """Messages not yet taken, the newest ``depth``: the oldest gives way and is counted.

    ``messages`` may be popped from by any thread without a lock; ``put`` is called under the subscriber's.
    """

    def __init__(self, depth: int) -> None:
        self.messages: deque[Message] = deque()
        self.dropped: Counter[str] = Counter()  # by publisher
        self.depth = depth
        self._largest = 0

    def put(self, message: Message) -> None:
        """Add a message."""
        if len(self.messages) >= self.depth:
            self.drop_oldest()
        self.messages.append(message)

    def put_all(self, messages: list[Message]) -> None:
        """Add several messages."""
        for _ in range(len(self.messages) + len(messages) - self.depth):
            self.drop_oldest()
        for message in messages[: -self.depth]:
            self.dropped[message.publisher] += 1
        self.messages.extend(messages[-self.depth :])

    def put_large(self, message: Message, size: int) -> None:
        """Add a message of LARGE bytes or more: of such only so many are kept as memory allows."""
        self._largest = max(size, self._largest)
        while len(self.messages) >= max(1, min(self.depth, BUDGET // self._largest)):
            self.drop_oldest()
        self.messages.append(message)

    def drop_oldest(self) -> None:
        """Make room."""
        try:
            self.dropped[self.messages.popleft().publisher] += 1
        except IndexError:  # a reader was faster
            pass
