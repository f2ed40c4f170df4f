"""How long messages were on their way, noted while somebody asks. Knows times in ns; nothing of other hosts' clocks.

While nobody asks, a message costs nothing more: what is noted is noted where a message was faster than all before
(``Flow.fastest_ns``). Whoever asks has each one count as such, by making the fastest one before infinitely slow, until
enough are noted. The subscriber's lock is held by whoever calls.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

NOT_YET = 1 << 62  # ns that the fastest message took, before there is one
BEHIND = 500_000  # ns later than the fastest message of a publisher, from which on the socket is emptied at once
SECOND = 1_000_000_000
WATCHED = 3 * SECOND  # ns after a question for which what was noted since then is told
ENOUGH = 128  # messages that are noted after each question


class Spread(NamedTuple):
    """Of some messages, in ns: the fastest, the middle one, the slowest but for 1 %."""

    least: int
    p50: int
    p99: int


_new = tuple.__new__


class Notes(Protocol):
    """What is kept of the messages of one publisher at one subscriber.

    Attributes:
        fastest_ns: receive time less send time of the fastest one; NOT_YET while each one is noted.
        least_ns: the same while each one is noted.
        noted: what messages took since somebody asked, up to ENOUGH; None if nobody did.
        earlier: the same of the time before that.
        asked_ns: when somebody asked last.
    """

    fastest_ns: int
    least_ns: int
    noted: list[int] | None
    earlier: list[int]
    asked_ns: int


def ask(flow: Notes, now_ns: int) -> Spread | None:
    """Have the next messages noted, and return what those noted since the question before took.

    With questions less than a second apart, those noted before that one count too.
    """
    noted, passed = flow.noted, now_ns - flow.asked_ns
    flow.asked_ns = now_ns
    if noted is None or len(noted) >= ENOUGH:
        flow.least_ns, flow.fastest_ns = flow.fastest_ns, NOT_YET
        flow.noted = noted = [] if noted is None else noted
    if not noted and not flow.earlier:
        return None
    flow.noted, earlier, flow.earlier = [], flow.earlier, noted
    if not 0 <= passed < WATCHED:  # or the clock was set
        flow.earlier = []
        return None
    took = noted + earlier if passed < SECOND else noted
    if not took:
        return None
    took.sort()  # in place: neither is a half of what is told next, in which the order does not matter
    last = len(took) - 1
    return _new(Spread, (took[0], took[last // 2], took[last - last // 100]))


def faster(flow: Notes, late: int) -> bool:
    """Learn by how much a message was faster than all before; return whether it was late for all that.

    Args:
        late: ns, less than 0, by which it was faster than ``fastest_ns``.
    """
    took, noted = flow.fastest_ns + late, flow.noted
    if noted is None or len(noted) >= ENOUGH:
        flow.fastest_ns = took
        return False
    noted.append(took)
    behind = took - flow.least_ns
    if behind < 0:
        flow.least_ns = took
    if len(noted) >= ENOUGH:
        flow.fastest_ns = flow.least_ns
    return behind > BEHIND


def note(flow: Notes, took: int) -> None:
    """Note a large message, of which nobody asks whether it was late."""
    noted = flow.noted
    if noted is not None and len(noted) < ENOUGH:
        noted.append(took)
        if len(noted) >= ENOUGH:
            flow.fastest_ns = flow.least_ns
