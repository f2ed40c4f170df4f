"""Sends small messages beside the order of a topic: each is one datagram, without a number, that nobody asks for again.

Knows the outlet in a Publisher; nothing of what is sent, or of who sees to it that it arrives. A subscriber takes them
only where it was made ready for them (subscribing/asides.py).
"""

from __future__ import annotations

from struct import Struct

from ..alarms import raise_alarm
from ..checksum import crc32
from ..protocol.wire import ASIDE_WORD, FAST_HEADER, HEADER_SIZE, OVERHEAD, UNCHECKED
from .publisher import Publisher

_CHECKED = ASIDE_WORD + OVERHEAD  # the first word of a frame is this and the length of its body
_UNCHECKED = ASIDE_WORD + HEADER_SIZE
_pack_header = FAST_HEADER.pack
_pack_check = Struct("<I").pack


class Aside:
    """The way beside the order, to all who are matched. It needs no lock: it changes nothing."""

    def __init__(self, publisher: Publisher) -> None:
        self._outlet = publisher._outlet  # noqa: SLF001 (here only)
        framing = publisher._framing  # noqa: SLF001 (here only)
        self._number, self._codec, self._unchecked = framing.number, framing.codec, framing.codec | UNCHECKED

    def send(self, body: bytes) -> bool:
        """Send a message; False if it went to nobody: it is too large for a datagram, or the system refused it."""
        outlet, size = self._outlet, len(body)
        ways = outlet.ways
        if size > outlet.max_body or not ways:
            return False
        if outlet.needs_check:
            frame = _pack_header(size + _CHECKED, self._codec, self._number, 0, 0) + body
            frame += _pack_check(crc32(frame))
        else:
            frame = _pack_header(size + _UNCHECKED, self._unchecked, self._number, 0, 0) + body
        sent = False
        for send, _ in ways:
            try:
                send(frame)
                sent = True
            except OSError as error:
                raise_alarm(error)
        return sent
