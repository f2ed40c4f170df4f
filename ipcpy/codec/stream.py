"""Struct messages in a stream of bytes. Knows the header and the check byte; nothing of formats, types or ports.

A message is ``0xff 0xff``, its ID (u16), its size in all (u16, little-endian like the ID), the XOR of the payload (u8)
and the payload: the layout of ipcpy 0.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from operator import xor
from struct import Struct

from ..errors import ArgumentError

__all__ = ["HEADER_SIZE", "MAX_SIZE", "START", "MsgStream", "checksum", "fold", "get_msg"]

Buffer = bytes | bytearray | memoryview

START = b"\xff\xff"
HEADER_SIZE = 7  # 2 start bytes + 2 (ID) + 2 (size) + 1 (check byte)
MAX_SIZE = 0xFFFF  # the size field is a u16

_ID_SIZE_CHECK = Struct("<2xHHB").unpack_from
_integer = int.from_bytes


def checksum(data: Buffer) -> int:
    """Return the XOR of all bytes, 0 for none.

    The bytes are read as one integer and folded in halves, which takes a tenth of the time of a loop over them.

    >>> checksum(bytes([1, 2, 4]))
    7
    """
    if len(data) > 64:
        return _fold_long(data) if len(data) > 128 else _fold_128(data)
    return fold(data)


def fold(data: Buffer) -> int:
    """Return the XOR of at most 64 bytes: ``checksum`` for callers that know that there are no more."""
    x = _integer(data, "little")
    x ^= x >> 256
    x ^= x >> 128
    x ^= x >> 64
    x ^= x >> 32
    x ^= x >> 16
    return (x ^ x >> 8) & 0xFF


def _fold_128(data: Buffer) -> int:
    x = _integer(data, "little")
    x ^= x >> 512
    x ^= x >> 256
    x ^= x >> 128
    x ^= x >> 64
    x ^= x >> 32
    x ^= x >> 16
    return (x ^ x >> 8) & 0xFF


def _fold_long(data: Buffer) -> int:
    x = _integer(data, "little")
    shift = 1 << (len(data) * 8 - 1).bit_length() - 1
    while shift > 256:
        x = (x >> shift) ^ (x & ((1 << shift) - 1))
        shift >>= 1
    return fold(x.to_bytes(64, "little"))


def get_msg(data: Buffer) -> tuple[int, bytes] | tuple[None, str]:
    """Find the first message in some bytes.

    Garbage before and after it, and false starts (``0xff 0xff`` that begin no message), are passed over. Takes time
    proportional to the length of the bytes, whatever they are.

    Args:
        data: bytes, bytearray or memoryview, as from a datagram or a serial port.

    Returns:
        The message's ID and its payload, or None and what is wrong: the fault of the first start that was found.

    Raises:
        ArgumentError: data is not bytes-like.

    >>> get_msg(b"noise" + bytes.fromhex("ffff 1600 0b00 05 05000000"))
    (22, b'\\x05\\x00\\x00\\x00')
    >>> get_msg(b"noise")
    (None, 'too short: 5 bytes, and a message has at least 7')
    """
    if type(data) is not bytes:
        data = _as_bytes(data)
    if len(data) < HEADER_SIZE:
        return None, f"too short: {len(data)} bytes, and a message has at least {HEADER_SIZE}"
    if data.startswith(START):
        id, size, check = _ID_SIZE_CHECK(data)
        payload = data[HEADER_SIZE:size]
        if HEADER_SIZE <= size <= len(data) and checksum(payload) == check:
            return id, payload
    return _search(data)


def _search(data: bytes) -> tuple[int, bytes] | tuple[None, str]:
    running = bytes(accumulate(data, xor, initial=0))
    reason, starts = "", 0
    at = data.find(START)
    while at >= 0:
        end, fault = _measure(data, at, MAX_SIZE)
        if end and running[at + HEADER_SIZE] ^ running[end] == data[at + 6]:
            return _ID_SIZE_CHECK(data, at)[0], data[at + HEADER_SIZE : end]
        if not starts:
            reason = fault or _bad_checksum(data, at, running[at + HEADER_SIZE] ^ running[end])
        starts += 1
        at = data.find(START, at + 1)
    if not starts:
        return None, f"no start bytes (0xff 0xff) in {len(data)} bytes"
    return None, reason if starts == 1 else f"{reason}; nor do the {starts - 1} later 0xff 0xff begin a message"


def _measure(data: bytes | bytearray, at: int, max_size: int) -> tuple[int, str]:
    """Return where the message that starts at ``at`` ends, or 0 and why it cannot be whole and right."""
    left = len(data) - at
    if left < HEADER_SIZE:
        return 0, f"truncated: {left} bytes from the start bytes at {at} on, less than a header"
    size = _ID_SIZE_CHECK(data, at)[1]
    if not HEADER_SIZE <= size <= max_size:
        return 0, f"bad size at byte {at}: {size}, not {HEADER_SIZE} to {max_size}"
    if size > left:
        return 0, f"truncated: the header at byte {at} says {size} bytes, {left} are there"
    return at + size, ""


def _bad_checksum(data: bytes, at: int, found: int) -> str:
    id, size, check = _ID_SIZE_CHECK(data, at)
    return (
        f"bad checksum at byte {at}: the header of message {id} says {check:#04x}, "
        f"its {size - HEADER_SIZE} bytes of payload give {found:#04x}"
    )


def _as_bytes(data: object) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise ArgumentError(f"expected bytes, bytearray or memoryview, got {type(data).__name__}")


class MsgStream:
    """Takes a stream apart as it comes, chunk by chunk, as from a serial port.

    A false start can claim up to ``max_size`` bytes, and what follows it then waits until that many have come. Sizes
    make that rare: with them, a start with an unknown ID or another size than its ID has is passed over at once.

    Args:
        sizes: the size in all of each message by ID (``MsgLibrary.sizes``); None lets any message pass.
        max_size: no message is larger, in bytes; fewer for a faster recovery from false starts.

    Attributes:
        discarded: bytes so far that belonged to no message.

    Raises:
        ArgumentError: max_size is not 7 to 65,535.

    >>> stream = MsgStream()
    >>> stream.feed(bytes.fromhex("00 ffff 1600 0b00")), stream.feed(bytes.fromhex("05 05000000 ff"))
    ([], [(22, b'\\x05\\x00\\x00\\x00')])
    >>> stream.discarded, stream.pending
    (1, 1)
    """

    def __init__(self, sizes: Mapping[int, int] | None = None, max_size: int = MAX_SIZE) -> None:
        if not HEADER_SIZE <= max_size <= MAX_SIZE:
            raise ArgumentError(f"max_size is {HEADER_SIZE} to {MAX_SIZE} bytes, got {max_size}")
        self.discarded = 0
        self._sizes = sizes
        self._max_size = max_size
        self._buffer = bytearray()
        self._running = bytearray(1)  # [i]: the XOR of all bytes before byte i of the buffer

    @property
    def pending(self) -> int:
        """Bytes that are kept because they may begin a message; less than max_size."""
        return len(self._buffer)

    def feed(self, chunk: Buffer) -> list[tuple[int, bytes]]:
        """Take the next bytes, of any number, and return the messages that they complete, as (ID, payload).

        Raises:
            ArgumentError: the chunk is not bytes-like.
        """
        chunk = _as_bytes(chunk)
        self._running += bytes(accumulate(chunk, xor, initial=self._running[-1]))[1:]
        self._buffer += chunk
        messages: list[tuple[int, bytes]] = []
        used = at = 0  # used: up to where bytes were taken or given up
        while (at := self._next_start(at)) >= 0:
            self.discarded += at - used
            used = at
            end = self._end(at)
            if end is None:
                break
            if end:
                messages.append((_ID_SIZE_CHECK(self._buffer, at)[0], bytes(self._buffer[at + HEADER_SIZE : end])))
                used = end
            at = end or at + 1
        else:
            self.discarded += len(self._buffer) - used
            used = len(self._buffer)
        del self._buffer[:used], self._running[:used]
        return messages

    def _next_start(self, at: int) -> int:
        """Return where the next message may start: at 0xff 0xff, or at a last 0xff; -1 for nowhere."""
        found = self._buffer.find(START, at)
        if found < 0 and len(self._buffer) > at and self._buffer[-1] == START[0]:
            return len(self._buffer) - 1
        return found

    def _end(self, at: int) -> int | None:
        """Return where the message that starts at ``at`` ends; 0 if none starts there, None if that is open."""
        buffer = self._buffer
        if len(buffer) - at < HEADER_SIZE:
            return None
        id, size, check = _ID_SIZE_CHECK(buffer, at)
        wanted = size if self._sizes is None else self._sizes.get(id)
        if size != wanted or not HEADER_SIZE <= size <= self._max_size:
            return 0
        if at + size > len(buffer):
            return None
        return at + size if self._running[at + HEADER_SIZE] ^ self._running[at + size] == check else 0
