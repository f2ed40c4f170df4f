"""What is known of other hosts' clocks, and of how late messages came: values. Knows nothing of how it is estimated."""

from __future__ import annotations

from collections.abc import Iterator

from .records import NamedTuple, dataclass

__all__ = ["Clock", "Delay"]


class Delay(NamedTuple):
    """How long a message was on its way: between ``seconds - bound`` and ``seconds + bound``.

    Attributes:
        seconds: from publishing to when it was read from the socket.
        bound: how wrong that can be; ``inf`` where nothing is known of the publisher's clock, 0.0 on one host.
    """

    seconds: float
    bound: float


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock of a node, as seen from here. It unpacks as ``offset, bound, age``.

    Attributes:
        offset: seconds that the node's clock is ahead of this host's.
        bound: how wrong that can be, in seconds; ``inf`` while nothing is known.
        age: seconds since the node's clock was read last; ``inf`` while nothing is known.
        drift: seconds that the offset grows in each second.
    """

    offset: float
    bound: float
    age: float
    drift: float = 0.0

    def __iter__(self) -> Iterator[float]:
        return iter((self.offset, self.bound, self.age))
