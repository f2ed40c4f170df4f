"""Seals what one socket sends: gives each datagram a number that was never used. Knows a seal; nothing of sockets.

The compiled part (fast/sealing.c) does the usual in one step; Python says what that is, and does the rest.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from operator import add
from struct import error as struct_error
from typing import TYPE_CHECKING

from ..fast import compiled
from ..protocol.wire import MAX_UDP_PAYLOAD
from .datagram import NONCE, OVERHEAD, PACKED, mark
from .keys import Buffer
from .numbers import CLOSED, Stream, has_gil

if TYPE_CHECKING:
    from .seal import Seal, Sealing

__all__ = ["Sealer"]

_pack = PACKED.pack
_ROOM = MAX_UDP_PAYLOAD - OVERHEAD  # bytes in a datagram


class Sealer:
    """Seals what one socket sends. Thread-safe."""

    def __init__(self, seal: Seal, port: int) -> None:
        self._seal = seal
        self._mark = mark(port)
        self._stream = seal.streams.take()
        self._lock = threading.RLock()
        self._fast = compiled if has_gil() else None

    def seal(self, *parts: Buffer) -> bytes:
        """Return the sealed datagram of what the parts make together, OVERHEAD bytes longer.

        Raises:
            OSError: it is too long for UDP, or the process is a forked child of the one that this belongs to.
        """
        return self._seal_as(self._seal.sealing, self._mark, parts[0] if len(parts) == 1 else b"".join(parts))

    def seal_to(self, data: Buffer, port: int) -> bytes:
        """Seal for another port than usual.

        Raises:
            OSError: as ``seal``.
        """
        return self._seal_as(self._seal.sealing, mark(port), data)

    def seal_by(self, sealing: Sealing, data: Buffer) -> bytes:
        """Seal with another key than data is.

        Raises:
            OSError: as ``seal``.
        """
        return self._seal_as(sealing, self._mark, data)

    def _seal_as(self, sealing: Sealing, marked: bytes, body: Buffer) -> bytes:
        stream = self._stream
        number = next(stream.numbers)
        if number > stream.last:
            self._renew(stream)
            return self._seal_as(sealing, marked, body)
        encrypt, name = sealing
        try:
            head = _pack(len(body) + OVERHEAD, marked, number, name)
        except struct_error:
            raise OSError(errno.EMSGSIZE, f"longer than {MAX_UDP_PAYLOAD} bytes") from None
        return head + encrypt(head[NONCE], body, head)

    def seal_run(self, datagrams: Sequence[Sequence[Buffer]]) -> list[bytes]:
        """Seal several datagrams, each given as parts; laid out without calls, for a large message has many.

        Raises:
            OSError: as ``seal``.
        """
        stream, (encrypt, name) = self._stream, self._seal.sealing
        bodies = list(map(b"".join, datagrams))
        numbers = [next(stream.numbers) for _ in bodies]
        if max(numbers, default=0) > stream.last or max(map(len, bodies), default=0) > _ROOM:
            return [self.seal(body) for body in bodies]
        pack, marked = _pack, self._mark
        heads = [pack(len(body) + OVERHEAD, marked, number, name) for body, number in zip(bodies, numbers, strict=True)]
        return list(map(add, heads, map(encrypt, [head[NONCE] for head in heads], bodies, heads)))

    def seal_joined(self, datagrams: Sequence[Sequence[Buffer]], segment: int) -> bytes | None:
        """Seal several as ``seal_run`` does, and return them end to end; None where that is not done in one step.

        Args:
            segment: bytes of each but the last, which may be shorter.

        Raises:
            OSError: the socket that it belongs to was closed.
        """
        if self._fast is None:
            return None
        stream = self._stream
        joined: bytes | None = self._fast.seal_run(
            self._seal.sealing, self._mark, stream.numbers, stream.last, datagrams, segment
        )
        return joined

    def seal_laid(self, heads: bytes, data: Buffer, size: int) -> bytes | None:
        """Seal datagrams that are each one of the heads and so many bytes of data, of which the last has what is left.

        Returns:
            All of them end to end; None where that is not done in one step.

        Raises:
            OSError: as ``seal_joined``.
        """
        if self._fast is None:
            return None
        stream = self._stream
        joined: bytes | None = self._fast.seal_laid(
            self._seal.sealing, self._mark, stream.numbers, stream.last, heads, data, size
        )
        return joined

    def send_run(self, fd: int, common: bytes, number: int, data: Buffer) -> bool:
        """Seal fragments of one message and send them by a descriptor, many in a call, in C (fast/sealedruns.c).

        Args:
            fd: of a connected socket.
            common: what the heads of the fragments have in common.
            number: that of the first.
            data: of all of them, end to end.

        Returns:
            Whether all were sent; else they are to be sealed as ``seal_run`` does.

        Raises:
            OSError: the system would not take it.
        """
        if self._fast is None:
            return False
        stream = self._stream
        done: bool = self._fast.send_sealed_run(
            fd, self._seal, self._mark, stream.numbers, stream.last, common, number, data
        )
        return done

    def sending(self, send: Callable[[bytes], int]) -> Callable[[bytes], int]:
        """Return what seals a datagram and sends it, in as few steps as can be: a small message is one."""
        seal, marked, stream = self._seal, self._mark, self._stream
        numbers, last, room, pack, overhead, nonce = stream.numbers, stream.last, _ROOM, _pack, OVERHEAD, NONCE

        def sealed(data: bytes) -> int:
            number = next(numbers)
            size = len(data)
            if number > last or size > room:
                return send(self.seal(data))
            encrypt, name = seal.sealing
            head = pack(size + overhead, marked, number, name)
            return send(head + encrypt(head[nonce], data, head))

        if self._fast is None:
            return sealed
        quick = self._fast.Sending(seal, marked, numbers, last, send, sealed)
        quickly: Callable[[bytes], int] = quick.send  # the same in one step; what is unusual it leaves to the other
        return quickly

    def _renew(self, used_up: Stream) -> None:
        """Take another stream, unless another thread has done so."""
        with self._lock:
            if self._stream is used_up:
                self._stream = self._seal.streams.take()

    def close(self) -> None:
        """Hand its stream back; nothing can be sealed after that. Once more does nothing."""
        with self._lock:
            stream, self._stream = self._stream, CLOSED
        if stream is not CLOSED:
            self._seal.streams.give_back(stream)
