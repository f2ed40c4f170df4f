"""What an adapter is: how one family of messaging does the work that all do. Knows the message; nothing of clocks.

The small message is a struct of 64 bytes: an int64 stamp and seven doubles. Every adapter packs it from values and
unpacks all of it. The large one is bytes with the stamp in front; of memory that is lent for it only the stamp and the
last byte are written. A stamp is whatever the work wants to know of a message: a time, or the number of a phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from struct import Struct
from typing import Any, NamedTuple

LARGE = 1_000_000  # bytes
LAST = 0x5A  # the last byte of a large message
BUFFERS = 8  # large messages are sent from so many buffers in turn: a publisher may still be sending the one before
VALUES = (0.25, -1.5, 9.81, 1e-3, -2e-3, 3e-3, 21.0)
SAMPLE = Struct("<q7d")
STAMP = Struct("<q")
LOOPBACK = "127.0.0.1"

Send = Callable[[int], object]
Take = Callable[[int], object]  # of a stamp; what it returns, if true, ends the loop
Loop = Callable[[Take], None]


class Sample(NamedTuple):
    """The small message."""

    stamp: int
    gx: float
    gy: float
    gz: float
    ax: float
    ay: float
    az: float
    temperature: float


@dataclass
class Setting:
    """What a process is told of the work.

    Attributes:
        port: the first of 40 that nobody else uses: 20 for each of the topics ``a`` and ``b``.
        folder: of this run alone, for sockets in the file system.
        large: whether messages have ``size`` bytes, else 64.
        size: of large ones.
        flat_out: whether it is throughput that counts, else latency.
        subscribers: how many there are.
        address, publisher_address: where subscriber and publisher are.
        reliable: whether gaps are to be filled where that is a choice.
        extra: what one role alone is told.
    """

    port: int
    folder: str
    large: bool = False
    size: int = LARGE
    flat_out: bool = False
    subscribers: int = 1
    address: str = LOOPBACK
    publisher_address: str = LOOPBACK
    reliable: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def port_of(self, topic: str, index: int = 0) -> int:
        """Return the port of a subscriber's socket, where ports are chosen by hand."""
        return self.port + {"a": 0, "b": 20}[topic] + index

    @property
    def name(self) -> str:
        """A word that no other run uses."""
        return f"bench{self.port}"


class Adapter:
    """One family: override ``sender`` and ``receiver``, perhaps ``many``.

    Attributes:
        keep: what must live as long as the process.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.keep: list[Any] = []
        self._senders: dict[str, Send] = {}

    def send_of(self, topic: str) -> Send:
        """Return the sender of a topic, the same each time."""
        if topic not in self._senders:
            self._senders[topic] = self.sender(topic)
        return self._senders[topic]

    def sender(self, topic: str) -> Send:
        """Return a function that publishes a message with a stamp."""
        raise NotImplementedError

    def receiver(self, topic: str, index: int) -> Loop:
        """Subscribe; return a function that gives each message's stamp to ``take`` until that returns true."""
        raise NotImplementedError

    def again(self, topic: str, stamp: int) -> Callable[[], object]:
        """Return a function that publishes the same message each time."""
        return partial(self.send_of(topic), stamp)

    def resent(self) -> float | None:
        """Return how many messages or fragments were sent again; None where that is not known."""
        return None

    def many(self, topic: str, stamp: int, count: int) -> Callable[[], object]:
        """Return a function that publishes so many small messages at once."""
        raise NotImplementedError


def packed(send: Callable[[bytes], object]) -> Send:
    """Return a sender of small messages for a family that takes bytes."""
    pack = SAMPLE.pack

    def publish(stamp: int) -> None:
        send(pack(stamp, *VALUES))

    return publish


def stamped(size: int, send: Callable[[Any], object]) -> Send:
    """Return a sender of large messages: the stamp is written in place, so no copy of ours is in the figures."""
    buffers = [bytearray(size) for _ in range(BUFFERS)]
    for buffer in buffers:
        buffer[:] = bytes([LAST]) * size  # touched, so that no page is missing
    turn = itertools.cycle(buffers)
    put = STAMP.pack_into

    def publish(stamp: int) -> None:
        buffer = next(turn)
        put(buffer, 0, stamp)
        send(buffer)

    return publish


def lent(lend: Callable[[], Any], send: Callable[[Any], object]) -> Send:
    """Return a sender of large messages in memory that is lent for each: whoever fills it needs no copy.

    As a driver does it, memory for the next message is there before its data are.
    """
    put = STAMP.pack_into
    buffer = lend()

    def publish(stamp: int) -> None:
        nonlocal buffer
        put(buffer, 0, stamp)
        buffer[-1] = LAST
        send(buffer)
        buffer = lend()

    return publish


def stamp_of_large(size: int, data: Any) -> int:
    """Read a large message; one of another size is refused."""
    if len(data) != size or data[-1] != LAST:
        raise ValueError(f"a message of {len(data)} bytes, or a damaged one")
    return int(STAMP.unpack_from(data)[0])


def stamp_of_small(data: Any) -> int:
    """Read a small message, all of its fields."""
    return int(SAMPLE.unpack_from(data)[0])


def bytes_sender(setting: Setting, send: Callable[[Any], object], *, copy: bool = False) -> Send:
    """Return a sender for a family that takes bytes.

    Args:
        copy: it takes ``bytes`` alone, so a large message is copied once for it.
    """
    if not setting.large:
        return packed(send)
    return stamped(setting.size, (lambda data: send(bytes(data))) if copy else send)


def reader(setting: Setting) -> Callable[[Any], int]:
    """Return the function that reads the stamp of a message in bytes."""
    return partial(stamp_of_large, setting.size) if setting.large else stamp_of_small
