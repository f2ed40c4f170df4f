"""The flows of the whole system, for any thread: asks all nodes at once, and keeps what was told last.

Joins inquiries.py, which asks other nodes, and books.py, which counts here, with flows.py. Knows no sockets.
"""

from __future__ import annotations

import threading
import time

from ..graph import Flow
from ..protocol.link.inquiry import What
from ..protocol.link.rows import unpack_rows
from ..protocol.wire import Malformed
from .books import Books
from .flows import Flows
from .inquiries import Inquiries, Round
from .picture import Place
from .whys import Whys

ANSWER = 2.0  # seconds that nodes have to answer, where somebody waits as long as it takes


class Ledger:
    """What nodes counted, and what their publishers and subscribers say.

    Args:
        node: this node: its domain and the graph.
        books: its own.
        inquiries: asks other nodes.
        own: its id.
    """

    def __init__(self, node: Place, books: Books, inquiries: Inquiries, own: int) -> None:
        self._picture = node.picture
        self._books = books
        self._inquiries = inquiries
        self._own = own
        self._lock = threading.RLock()
        self._flows = Flows()
        self._whys = Whys(node, books, inquiries, own)

    def flows(self, timeout: float | None, *, hidden: bool) -> tuple[Flow, ...]:
        """Return all flows, once all nodes have told of them, or after some seconds."""
        asked = self._ask(timeout, hidden)
        self._inquiries.wait(asked)
        return self._join(asked, hidden)

    async def flows_async(self, timeout: float | None, *, hidden: bool) -> tuple[Flow, ...]:
        """Return what ``flows`` returns, in a coroutine."""
        asked = self._ask(timeout, hidden)
        await self._inquiries.wait_async(asked)
        return self._join(asked, hidden)

    def _ask(self, timeout: float | None, hidden: bool) -> Round:
        return self._inquiries.ask(What.ALL_FLOWS if hidden else What.FLOWS, ANSWER if timeout is None else timeout)

    def _join(self, asked: Round, hidden: bool) -> tuple[Flow, ...]:
        own: dict[int, set[int]] = {}  # by node
        topics = self._picture.topics(hidden=True)
        for topic in topics:
            for endpoint in (*topic.publishers, *topic.subscribers):
                own.setdefault(int(endpoint.node.id, 16), set()).add(int(endpoint.id, 16))
        now = time.monotonic()
        steady_ns, rows = self._books.count(hidden=hidden)
        with self._lock:
            self._flows.take(rows, own.get(self._own, set()), steady_ns / 1e9, now)
            for id, question in list(asked.questions.items()):
                for page in list(question.pages.values()):
                    try:
                        self._flows.take(unpack_rows(page.content), own.get(id, set()), page.steady_ns / 1e9, now)
                    except Malformed:
                        self._inquiries.malformed()
            return self._flows.join(topics, now, hidden=hidden)

    def why(self, topic: str, timeout: float | None) -> str:
        """Return what the publishers and subscribers of a topic or pattern say of why messages come, or do not."""
        asked = self._whys.ask(topic, ANSWER if timeout is None else timeout)
        self._whys.wait(asked)
        return self._whys.text(topic, asked)

    async def why_async(self, topic: str, timeout: float | None) -> str:
        """Return what ``why`` returns, in a coroutine."""
        asked = self._whys.ask(topic, ANSWER if timeout is None else timeout)
        await self._whys.wait_async(asked)
        return self._whys.text(topic, asked)
