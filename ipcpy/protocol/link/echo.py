"""Questions of those who look for faults: how long a way takes, what passes it, what time it is there.

    asker                                    node
    ECHO    nonce, size of the answer ->
                                   <- ECHOED   nonce, the node's wall clock, its second port

The answer is never longer than the question, there is one for each, and a node remembers nothing of it. With ASIDE the
answer comes from the node's *second port*, which nobody has sent anything to: so the asker learns whether its own
firewall lets pass what was not asked for, as a publisher's first datagram is. A question to the second port is answered
from the link's port: so the asker learns whether the node's firewall lets such a datagram pass.
Knows frames; nothing of sockets or clocks. See docs/protocol.md.
"""

from __future__ import annotations

from struct import Struct

from ...records import NamedTuple
from ..wire import OVERHEAD, Frame, Kind, Malformed, frames, pack_frame

__all__ = ["ASIDE", "ECHO_BODY", "ECHO_SIZE", "Echo", "Question", "is_echo", "pack_echo", "pack_echoed", "unpack_echo"]
__all__ += ["unpack_echoed"]

ASIDE = 1  # in ``extra``: answer from the second port
ECHO_BODY = Struct("<QH")  # domain; size of the answer, or the second port
ECHO_SIZE = OVERHEAD + ECHO_BODY.size  # 46: the smallest question and the smallest answer


class Question(NamedTuple):
    """A question: its nonce, bytes that the answer is to have, whether it is to come from the second port."""

    nonce: int
    size: int
    aside: bool


class Echo(NamedTuple):
    """An answer: its nonce, who answered, its wall clock in ns, its second port (0 for none), bytes of the datagram."""

    nonce: int
    node: int
    clock_ns: int
    port: int
    size: int


def is_echo(datagram: bytes) -> bool:
    """Tell whether a datagram may be a question, at a glance."""
    return len(datagram) >= ECHO_SIZE and datagram[3] == Kind.ECHO


def pack_echo(source: int, nonce: int, domain: int, *, size: int, answer: int, aside: bool = False) -> bytes:
    """Build a question.

    Args:
        source: any number; the id of a node that asks.
        domain: of the asker (``greeting.domain_number``); nodes of another one do not answer.
        size: bytes of the question.
        answer: bytes that the answer is to have.
        aside: whether it is to come from the second port.
    """
    body = ECHO_BODY.pack(domain, answer).ljust(size - OVERHEAD, b"\0")
    return pack_frame(Kind.ECHO, source, nonce, 0, body, extra=ASIDE if aside else 0)


def unpack_echo(datagram: bytes, domain: int) -> Question:
    """Read a question.

    Raises:
        Malformed: with the cause ``domain`` for another domain's, ``malformed`` for what is no question.
    """
    frame = _only_frame(datagram, Kind.ECHO)
    asked, wanted = ECHO_BODY.unpack_from(frame.body)
    if asked != domain:
        raise Malformed("domain")
    return Question(frame.seq, max(ECHO_SIZE, min(wanted, len(datagram))), bool(frame.extra & ASIDE))


def pack_echoed(question: Question, id: int, domain: int, clock_ns: int, port: int) -> bytes:
    """Build the answer to a question.

    Args:
        id: of the node that answers.
        clock_ns: its wall clock.
        port: its second port, 0 if it has none.
    """
    body = ECHO_BODY.pack(domain, port).ljust(question.size - OVERHEAD, b"\0")
    return pack_frame(Kind.ECHOED, id, question.nonce, clock_ns, body, extra=ASIDE if question.aside else 0)


def unpack_echoed(datagram: bytes) -> Echo:
    """Read an answer.

    Raises:
        Malformed: the datagram is no answer.
    """
    frame = _only_frame(datagram, Kind.ECHOED)
    _, port = ECHO_BODY.unpack_from(frame.body)
    return Echo(frame.seq, frame.source, frame.sent_ns, port, len(datagram))


def _only_frame(datagram: bytes, kind: Kind) -> Frame:
    found = list(frames(datagram[: 1 << 16])) if len(datagram) >= ECHO_SIZE and datagram[3] == kind else []
    if len(found) != 1 or found[0].kind != kind or len(found[0].body) < ECHO_BODY.size:
        raise Malformed("malformed")
    return found[0]
