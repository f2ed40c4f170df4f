"""The 16 bytes before each request and each answer. Knows bytes; nothing of calls, codecs or topics.

See docs/protocol.md, "Services". Bytes from the network never raise anything but Malformed, which is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple

import msgpack

from ..codec import Body
from ..errors import ArgumentError
from ..protocol.data.fragments import MAX_MESSAGE

CALL, CANCEL, ASK = 1, 2, 3  # what clients send
RESULT, STEP, ERROR, REFUSED, LOST = 17, 18, 19, 20, 21  # what servers send
PART = 32  # what both send: the beginning of a body that is too large for one message
REQUESTS = frozenset((CALL, CANCEL, ASK, PART))
ANSWERS = frozenset((RESULT, STEP, ERROR, REFUSED, LOST, PART))
KINDS = REQUESTS | ANSWERS

STEPS = 1  # on a CALL: the client wants the steps, too
TRACE = 2  # on a CALL: and of an exception the traceback
WAITS = 1  # on a CANCEL: the client goes on waiting for the end
CANCELLED = 1  # on a RESULT: the call was cancelled before
NOTHING = 2  # on a RESULT: the function returned None; there is no body

SIZE = 16
SMALL = 1_024  # bytes of a body that may go aside
JOINED = 4_096  # bytes of a body up to which a copy takes less time than a list
MAX_PART = 1 << 20  # bytes of a PART that are taken
MAX_TEXT = 16_384  # characters of a traceback, or of what an exception says

_HEADER = Struct("<BBHIQ")
pack_header, unpack_header = _HEADER.pack, _HEADER.unpack_from  # kind, flags, 0, step, number
_new = tuple.__new__
_RANGE = Struct("<Q")


class Malformed(ValueError):
    """Bytes that are no envelope."""


class Envelope(NamedTuple):
    """A request or an answer.

    Attributes:
        step: the number of a STEP among those of its call, from 1.
        number: the call's.
        body: what the codec made; of views no copy.
    """

    kind: int
    flags: int
    step: int
    number: int
    body: Any


def seal(kind: int, number: int, body: Body = b"", *, flags: int = 0, step: int = 0) -> Body:
    """Return an envelope, in one piece if it is small, else as parts that are laid end to end."""
    header = pack_header(kind, flags, 0, step, number)
    if isinstance(body, list):
        return [header, *body]
    return header + body if len(body) <= JOINED else [header, body]


def seal_all(kind: int, number: int, body: Body, *, flags: int = 0, step: int = 0) -> list[Body]:
    """Return the envelopes of a body of any size: two where it just does not fit into a message, with its envelope.

    So what has 64 MiB for the user arrives, whatever its codec puts around it.

    Raises:
        ArgumentError: it is larger than that.
    """
    if type(body) is bytes and len(body) <= JOINED:
        return [pack_header(kind, flags, 0, step, number) + body]
    parts: list[Any] = [each for each in body if len(each)] if isinstance(body, list) else [body]
    over = SIZE + sum(memoryview(part).nbytes for part in parts) - MAX_MESSAGE
    if over <= 0:
        return [seal(kind, number, body, flags=flags, step=step)]
    if over > MAX_PART:
        raise ArgumentError(f"a request or an answer has at most 64 MiB, got {over - SIZE + MAX_MESSAGE:,} bytes")
    begin: list[Any] = []
    while parts and over > 0:
        part = memoryview(parts[0]).cast("B")
        begin.append(part[:over])
        parts[0] = part[over:]
        over -= len(begin[-1])
        if over > 0:
            del parts[0]
    return [seal(PART, number, begin), seal(kind, number, parts, flags=flags, step=step)]


def unseal(data: Any) -> Envelope:
    """Take an envelope apart.

    Raises:
        Malformed: it is too short, or of a kind that is not known.
    """
    if len(data) < SIZE:
        raise Malformed(f"{len(data)} bytes are no envelope, which has {SIZE} at least")
    kind, flags, _, step, number = unpack_header(data)
    if kind not in KINDS:
        raise Malformed(f"kind {kind} is not known")
    if type(data) is bytearray or (type(data) is bytes and len(data) > JOINED):
        data = memoryview(data).toreadonly()
    return _new(Envelope, (kind, flags, step, number, data[SIZE:]))  # in half the time that Envelope(...) takes


class Failure(NamedTuple):
    """What an ERROR or REFUSED says.

    Attributes:
        type: of the exception, such as ``ValueError``.
        text: what it says.
        trace: the traceback; empty where none was asked for.
    """

    type: str
    text: str
    trace: str = ""


def pack_failure(failure: Failure) -> bytes:
    """Encode a failure; what is very long is cut."""
    wire = {"t": failure.type[:256], "x": failure.text[:MAX_TEXT]}
    if failure.trace:
        wire["b"] = failure.trace[-MAX_TEXT:]
    data: bytes = msgpack.packb(wire, unicode_errors="replace")
    return data


def unpack_failure(body: Any) -> Failure:
    """Decode a failure.

    Raises:
        Malformed: it is none.
    """
    try:
        wire = msgpack.unpackb(body, max_str_len=4 * MAX_TEXT, max_map_len=8)
        type, text, trace = wire["t"], wire["x"], wire.get("b", "")
    except Exception as error:  # msgpack raises a family of its own, and more
        raise Malformed(f"no failure: {error!r:.200}") from None
    if not all(isinstance(each, str) for each in (type, text, trace)):
        raise Malformed("no failure: its fields are texts")
    return Failure(type, text, trace)


def pack_lost(first: int) -> bytes:
    """Encode the body of a LOST: the first call that was lost; the header says which was the last."""
    return _RANGE.pack(first)


def unpack_lost(body: Sequence[int]) -> int:
    """Decode the body of a LOST.

    Raises:
        Malformed: it is none.
    """
    if len(body) != _RANGE.size:
        raise Malformed("the body of a LOST has 8 bytes")
    first: int = _RANGE.unpack(body)[0]  # type: ignore[arg-type]  # bytes, or a view of some
    return first
