"""Tells peers what the books of this node say: what its publishers sent, and its subscribers received, by pair.

Joins protocol/link/inquiry.py with a socket, and with the publishers and subscribers, which count by themselves. Peers
are answered in the I/O thread, any thread may count. Nothing is done unless somebody asks; what was counted a moment
ago is told to all who ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..addresses import Address, is_loopback
from ..budget import Budget
from ..clock import Clock
from ..fast import compiled
from ..protocol.link.inquiry import MAX_PAGES, Inquiry, Page, What, pack_page, room_for, unpack_inquiry
from ..protocol.link.link import Link
from ..protocol.link.rows import Row, pack_rows
from ..protocol.wire import Malformed
from ..records import NamedTuple
from ..typed import Protocol

FRESH = 0.2  # seconds for which what was counted is told to others too
RATE = 200.0  # pages a second that one peer is told: 100 flows at 2 Hz are 24, 1,000 are 240 KB/s
BURST = 400.0  # pages that it is told at once
WHY_COST = 4.0  # pages that a ``why()`` counts as: it is words
WHY_PAGES = MAX_PAGES  # that it has at most
MAX_ASKERS = 256  # peers whose budgets are kept


class Keeps(Protocol):
    """What is asked of a publisher or subscriber of this node: what it counted, and why nothing comes or goes."""

    number: int

    def account(self, rows: list[Row], moment: Moment) -> None: ...
    def explain(self) -> str: ...


class Moment:
    """When, and for whom, books are read.

    Args:
        clock: returns the clock of a node, by its id.

    Attributes:
        now_ns: this host's wall clock.
        hidden: whether ipcpy's own topics are asked for too.
    """

    def __init__(self, hidden: bool, clock: Callable[[str], Clock]) -> None:
        self.now_ns = time.time_ns()
        self.hidden = hidden
        self._clock = clock
        self._clocks: dict[str, Clock] = {}

    def clock(self, node: str) -> Clock:
        """Return the clock of a node, by its id; it is looked at once."""
        found = self._clocks.get(node)
        if found is None:
            found = self._clocks[node] = self._clock(node)
        return found


def _count_each(accounts: Sequence[Callable[[list[Row], Moment], None]], rows: list[Row], moment: Moment) -> None:
    """Have each account add its rows."""
    for account in accounts:
        account(rows, moment)


count_all = _count_each if compiled is None else compiled.count
"""The same, in C where that is (fast/counting.c)."""


class _Counted(NamedTuple):
    """What was counted: when, and the pages by how many bytes these may have."""

    at: float
    steady_ns: int
    rows: list[Row]
    pages: dict[int, list[bytes]]


class Books:
    """Answers the inquiries of peers.

    Args:
        clock: returns the clock of a node, by its id.
        send: sends a datagram to an address of a peer.

    Attributes:
        answered: how many pages were told.
    """

    def __init__(
        self,
        link: Link,
        clock: Callable[[str], Clock],
        send: Callable[[bytes, Address], object],
    ) -> None:
        self._link = link
        self._keepers: dict[int, Keeps] = {}
        self._accounts: dict[int, Callable[[list[Row], Moment], None]] = {}  # theirs: they are in no cache by then
        self._clock = clock
        self._send = send
        self._counted: dict[bool, _Counted] = {}
        self._budgets: dict[int, Budget] = {}
        self.answered = 0

    def keep(self, keeper: Keeps) -> None:
        """Tell of a publisher or subscriber from now on; of one that is told of already as before."""
        self._keepers[keeper.number] = keeper
        self._accounts[keeper.number] = keeper.account

    def forget(self, number: int) -> None:
        """Tell of a publisher or subscriber no more, if it was told of."""
        self._keepers.pop(number, None)
        self._accounts.pop(number, None)

    def count(self, *, hidden: bool) -> tuple[int, list[Row]]:
        """Return what the steady clock shows, and what all publishers and subscribers count now.

        Args:
            hidden: ipcpy's own topics too.
        """
        counted = self._count(hidden)
        return counted.steady_ns, counted.rows

    def _count(self, hidden: bool) -> _Counted:
        now = time.monotonic()
        counted = self._counted.get(hidden)
        if counted is None or now >= counted.at + FRESH:
            rows: list[Row] = []
            moment = Moment(hidden, self._clock)
            count_all(list(self._accounts.values()), rows, moment)
            counted = self._counted[hidden] = _Counted(now, time.monotonic_ns(), rows, {})
        return counted

    def explain(self, number: int) -> str:
        """Return what a publisher or subscriber of this node says of why; empty where there is none of that id."""
        keeper = self._keepers.get(number)
        return "" if keeper is None else keeper.explain()

    def receive(self, data: bytes, address: Address) -> None:
        """Take an INQUIRY, and answer it."""
        peer = self._link.addresses.get(address)
        try:
            inquiry = unpack_inquiry(data)
            if peer is None or peer.id != inquiry.source or peer.paths[address].given != inquiry.token:
                raise Malformed("unknown")
        except Malformed as error:
            self._link.dropped[error.cause] += 1
            return
        room = room_for(loopback=is_loopback(address[0]))
        budget = self._budget(peer.id)
        if not budget.take(WHY_COST if inquiry.what == What.WHY else 1.0, time.monotonic()):
            self._link.dropped["inquiries"] += 1
            return
        steady_ns, pages = self._pages(inquiry, room)
        token = peer.paths[address].token
        for number in range(inquiry.first, min(inquiry.first + inquiry.pages, len(pages))):
            if number > inquiry.first and not budget.take(1.0, time.monotonic()):
                break
            page = Page(self._link.id, token, inquiry.number, number, len(pages), steady_ns, pages[number])
            self.answered += 1
            self._send(pack_page(page), address)

    def _pages(self, inquiry: Inquiry, room: int) -> tuple[int, list[bytes]]:
        if inquiry.what == What.WHY:
            text = self.explain(inquiry.about).encode(errors="replace")[: WHY_PAGES * room]
            return time.monotonic_ns(), [text[at : at + room] for at in range(0, len(text) or 1, room)]
        if inquiry.what not in (What.FLOWS, What.ALL_FLOWS):
            return 0, []
        counted = self._count(inquiry.what == What.ALL_FLOWS)
        if room not in counted.pages:
            counted.pages[room] = pack_rows(counted.rows, room)
        return counted.steady_ns, counted.pages[room]

    def _budget(self, id: int) -> Budget:
        budget = self._budgets.get(id)
        if budget is None:
            if len(self._budgets) >= MAX_ASKERS:
                self._budgets.clear()
            budget = self._budgets[id] = Budget(BURST, RATE, time.monotonic())
        return budget
