"""How long messages were on their way, noted while somebody asks. Knows times in ns; nothing of other hosts' clocks.

While nobody asks, a message costs nothing more: what is noted is noted where a message was faster than all before
(``Flow.fastest_ns``). Whoever asks has each one count as such, by making the fastest one before infinitely slow, until
enough are noted. The subscriber's lock is held by whoever calls.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ..typed import Protocol

NOT_YET = 1 << 62  # ns that the fastest message took, before there is one
BEHIND = 500_000  # ns later than the fastest message of a publisher, from which on the socket is emptied at once
SECOND = 1_000_000_000
WATCHED = 3 * SECOND  # ns after a question for which what was noted since then is told
AGAIN = SECOND * 9 // 10  # ns for which what was told is told again: a second, of who asks twice in one
ENOUGH = 128  # messages that are noted after each question


NOTHING = array("q")  # of a flow of which nobody has asked


class Notes(Protocol):
    """What is kept of the messages of one publisher at one subscriber.

    Attributes:
        fastest_ns: receive time less send time of the fastest one; NOT_YET while each one is noted.
        least_ns: the same while each one is noted.
        noted: what messages took since the last question, as 64-bit integers.
        enough: how many of ``noted`` there may be: ENOUGH, or 0 while nobody has asked.
        asked_ns: when somebody asked last.
    """

    fastest_ns: int
    least_ns: int
    noted: array[int]
    enough: int
    asked_ns: int


def ask(flow: Notes, now_ns: int) -> Sequence[int]:
    """Have the next messages noted, and return what those noted since the question before took, the fastest first."""
    passed = now_ns - flow.asked_ns
    flow.asked_ns = now_ns
    if flow.fastest_ns != NOT_YET:  # enough were noted, or none were to be
        flow.least_ns, flow.fastest_ns = flow.fastest_ns, NOT_YET
    noted = flow.noted
    if noted is NOTHING:
        flow.noted, flow.enough = array("q"), ENOUGH
    if not noted:
        return ()
    took = sorted(noted) if 0 <= passed < WATCHED else ()  # or the clock was set
    del noted[:]
    return took


def faster(flow: Notes, late: int) -> bool:
    """Learn by how much a message was faster than all before; return whether it was late for all that.

    Args:
        late: ns, less than 0, by which it was faster than ``fastest_ns``.
    """
    took, noted, least = flow.fastest_ns + late, flow.noted, flow.least_ns
    if len(noted) < flow.enough:
        try:
            noted.append(took)
        except OverflowError:  # the send time is the sender's word: any number of 64 bits
            noted.append(-NOT_YET)
        if took < least:
            flow.least_ns = took
    else:
        flow.fastest_ns = min(took, least)
    return took - least > BEHIND


def note(flow: Notes, took: int) -> None:
    """Note a large message, of which nobody asks whether it was late."""
    if len(flow.noted) < flow.enough:
        flow.noted.append(max(took, -NOT_YET))
