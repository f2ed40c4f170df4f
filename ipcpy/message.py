"""A received message. Knows nothing of how it came."""

from __future__ import annotations

from .records import NamedTuple
from .typed import Any

__all__ = ["Message"]


class Message(NamedTuple):
    """One received message.

    Attributes:
        data: what was published, decoded.
        topic: the topic it was published on (never a pattern).
        seq: its number among the messages of its publisher; the first is 1.
        sent_ns: the publisher's wall clock when it was published, in ns since 1970.
        received_ns: this host's wall clock when it was read from the socket, in ns since 1970.
        publisher: the publisher's id, 16 hexadecimal digits; new with every ``Publisher``.
    """

    data: Any
    topic: str
    seq: int
    sent_ns: int
    received_ns: int
    publisher: str

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle and copy take; a view of a buffer, which they do not, becomes bytes."""
        data, *rest = self
        return type(self), (bytes(data) if type(data) is memoryview else data, *rest)
