"""Takes messages that come beside the order of a topic, each as its bytes are. Knows frames and the Inbound in a
Subscriber; nothing of what the bytes mean.

They are not in the books: what is lost of them is its sender's affair (publishing/aside.py). Who waits for one may
claim it where it is read; the others are messages as all are, with ``seq`` 0. For one of them no other gives way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..addresses import Address
from ..checksum import crc32
from ..message import Message
from ..protocol.wire import (
    ASIDE_WORD,
    CHECK_SIZE,
    CRC_RESIDUE,
    FAST_HEADER,
    FRAGMENT_WORD,
    HEADER_SIZE,
    KIND_MASK,
)
from ..records import NamedTuple
from .freshness import Unread
from .inbound import Inbound
from .subscriber import Subscriber

Claim = Callable[[str, bytes], bool]
_new = tuple.__new__
_unpack_header = FAST_HEADER.unpack_from
_time_ns = time.time_ns


class Asides:
    """What comes to one subscriber, also beside the order; its ``take`` stands before that of ``inbound``.

    Args:
        claim: called with the publisher and the bytes of each, in the thread that reads it and with the subscriber's
            lock held; it tells whether it has taken it, else it becomes a message.
    """

    def __init__(self, inbound: Inbound, claim: Claim) -> None:
        self._claim = claim
        self._flows = inbound.flows
        self._inbox = inbound.intake.inbox
        self._dropped = inbound.intake.dropped
        self._take = inbound.take

    def take(self, data: bytes, address: Address) -> None:
        """Take one datagram, or the merged buffer of several from one sender."""
        size = len(data)
        if size > HEADER_SIZE:
            word, codec, source, _, sent_ns = _unpack_header(data)
            if word == size | ASIDE_WORD:
                flow = self._flows.get(source)
                if flow is None or flow.address != address:
                    self._dropped["unknown" if flow is None else "source"] += 1
                    return
                if codec == flow.unchecked:
                    body = data[HEADER_SIZE:]
                elif codec == flow.codec_number and crc32(data) == CRC_RESIDUE:
                    body = data[HEADER_SIZE:-CHECK_SIZE]
                else:
                    self._dropped["malformed"] += 1
                    return
                if self._claim(flow.id, body):
                    return
                inbox, sizes = self._inbox, self._inbox.sizes
                if size <= inbox.small and len(sizes) < inbox.depth:
                    sizes.append(size)
                elif inbox.fits(size):
                    inbox.make_room(size)
                else:
                    self._dropped["inbox"] += 1
                    return
                inbox.messages.append(_new(Message, (body, flow.topic, 0, sent_ns, _time_ns(), flow.id)))
                return
            length = word & ~KIND_MASK
            if HEADER_SIZE < length < size:
                if word & KIND_MASK != FRAGMENT_WORD:
                    for frame in _frames(data):
                        self.take(frame, address)
                    return
                last = size - size % length  # fragments stay together: all but what is last are of one size
                if size - last > HEADER_SIZE and _unpack_header(data, last)[0] == size - last | ASIDE_WORD:
                    self.take(data[last:], address)
                    data = data[:last]
        self._take(data, address)


def _frames(data: bytes) -> list[bytes]:
    """Return the frames of a merged buffer by their lengths; whatever is wrong with one is found by who takes it."""
    frames, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "little")
        end = at + length if HEADER_SIZE < length <= len(data) - at else len(data)
        frames.append(data[at:end])
        at = end
    return frames


class Inlet(NamedTuple):
    """What ``recv`` of a subscriber does, in its parts, for who saves a call.

    Attributes:
        messages: those that are there.
        wait: waits for some seconds, None for ever, up to a time of the monotonic clock, until something came. No
            message may be there all the same: it was claimed, was none, or the subscriber is closed: ``recv`` says so.
    """

    messages: Unread
    wait: Callable[[float | None, float], None]


def take_asides(subscriber: Subscriber, claim: Claim) -> Inlet:
    """Have a subscriber take what comes beside the order, from now on."""
    subscription = subscriber._subscription  # noqa: SLF001 (here only)
    inbound = subscription._inbound  # noqa: SLF001 (here only)
    inbound.take = Asides(inbound, claim).take  # type: ignore[method-assign]
    return Inlet(subscription.messages, subscription.reader.wait)
