"""One subscriber twice: the same datagrams by ``Inbound.take``, which is compiled where that is, and by its twin."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from ipcpy.addresses import Address
from ipcpy.clock import Clock
from ipcpy.node.books import Moment, count_all
from ipcpy.protocol.link.rows import Row
from ipcpy.subscribing.accounts import Account
from ipcpy.subscribing.flow import Flow
from receiving import Side


class BothWays:
    """Feeds two subscribers the same, one by each way; they are counted by two ways, too.

    Args:
        make: makes a subscriber; both are the same.

    Attributes:
        sides: the one that ``take`` is called of, and the one that ``take_any`` is.
    """

    def __init__(self, make: Callable[[], Side]) -> None:
        self.sides = (make(), make())

    def each(self, do: Callable[[Side], object]) -> None:
        """Do something with both."""
        for side in self.sides:
            do(side)

    def take(self, data: bytes, address: Address) -> None:
        """Have both take a datagram; what they raise is the same."""
        first, second = self.sides
        raised = [_raised(first.inbound.take, data, address), _raised(second.inbound.take_any, data, address)]
        assert raised[0] == raised[1]

    def count(self) -> None:
        """Have both tell what they received; it is the same."""
        told: list[list[Row]] = [[], []]
        for side, rows in zip(self.sides, told, strict=True):
            moment = Moment(False, lambda node: Clock(0.25, 0.001, 1.0))
            moment.now_ns = side.wall_ns
            account = Account(side.inbound, side.inbox, RLock(), own=False)
            if side is self.sides[0]:
                count_all([account], rows, moment)
            else:
                account(rows, moment)
        assert repr(told[0]) == repr(told[1])

    def compare(self) -> None:
        """Fail unless both have the same messages, counts, answers and states."""
        first, second = map(state_of, self.sides)
        assert first == second


def _raised(take: Callable[[bytes, Address], object], data: bytes, address: Address) -> str:
    try:
        take(data, address)
    except BaseException as error:
        return repr(error)
    return ""


def state_of(side: Side) -> dict[str, Any]:
    """Return all that can be seen of a subscriber; of a NaN its text, for it equals nothing."""
    intake, inbox = side.intake, side.inbox
    return {
        "messages": [repr(message) for message in inbox.messages],
        "types": [type(message.data) for message in inbox.messages],
        "inbox": (list(inbox.sizes), inbox.small, dict(inbox.dropped), inbox.unread(0)),
        "intake": (dict(intake.dropped), intake.behind, intake.timer, intake.filling is None, sorted(intake.logged)),
        "stats": repr(side.inbound.stats()),
        "sent": len(side.socket.sent),
        "flows": {number: _state_of(flow) for number, flow in side.inbound.flows.items()},
    }


def _state_of(flow: Flow) -> dict[str, Any]:
    receiver = flow.receiver
    names = (
        "address multicast bytes unchecked codec_number fastest_ns least_ns enough asked_ns told undecodable matched"
    )
    known = {name: getattr(flow, name) for name in names.split()}
    books = {name: getattr(receiver, name) for name in ("first", "next", "waiting", "duplicates", "reordered", "lost")}
    return {**known, **books, "noted": flow.noted.tolist(), "timer": receiver.next_timer()}
