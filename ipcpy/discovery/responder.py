"""What a node does by mDNS, and when: it announces itself, asks who is there, and passes on where others say they are.

Knows the parts that speak and hear, and joins them; nothing of threads, packets, or of who is alive.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from ..addresses import is_host, is_loopback
from ..importing import importing
from .advert import Advert
from .channel import Channel
from .hearing import batch
from .reports import Reports
from .saying import ask_for, ask_who, service
from .sightings import Sightings
from .worker import Action, Worker

if TYPE_CHECKING:
    from zeroconf import DNSRecord  # type: ignore[attr-defined]  # exported, though not in __all__

__all__ = ["Presence", "Responder"]

OPEN_EVERY, UPDATE_EVERY, ASK_EVERY, RESOLVE_EVERY = 0.25, 1.0, 0.5, 1.0
"""Seconds between two of a kind, however often they are wanted."""
QUESTIONS_AFTER = (0.25, 1.0, 3.0)
"""Seconds between questions. By then most nodes have heard the announcement and knocked; the answers are a backup."""
QUESTION_EVERY = 60.0
"""Seconds. For networks that heal without our noticing."""
AFTER_FLOOD = 2.0
"""Seconds from a flood to a question, so that those who were not told because of it are heard again."""
ENOUGH = 16
"""Nodes. Who knows so many by the link asks no more: they tell of the others, and a crowd need not answer."""
RESOLVE_AFTER = 0.05
"""Seconds. Records that come in several packets have come by then."""
RECENT = 5.0
"""Seconds. Who was heard within them need not answer a question."""


@dataclass(slots=True)
class Presence:
    """What a node shows, where, and whom to tell of others. Other threads may write to ``advert``, ``addresses``
    and ``others``.

    Attributes:
        advert: what to announce. Its node id, name, domain and port stay as they are.
        addresses: IPv4 addresses of the interfaces to use.
        on_found: called with the address, port and node id of every place worth a knock.
        known: gives the full instance names of nodes that need not answer questions.
        keys: gives the ids of our keys; none for a node without a key.
        on_state: called when mDNS works no more, for another reason, or again.
        others: further nodes of this host to announce.
        everywhere: whether nodes of other domains are looked for too, so that all are asked who they are.
    """

    advert: Advert
    addresses: tuple[str, ...]
    on_found: Callable[[str, int, str], None]
    known: Callable[[], Iterable[str]]
    keys: Callable[[], Collection[str]] = tuple
    on_state: Callable[[], object] = lambda: None
    others: tuple[Advert, ...] = ()
    everywhere: bool = False


class Responder:
    """What runs in the thread of mDNS. Methods may be called from other threads."""

    def __init__(self, presence: Presence) -> None:
        advert = presence.advert
        self.reports = Reports(presence.on_state)
        self.sightings = Sightings(advert.node_id, advert.domain, self._on_ignored, presence.keys)
        self._presence = presence
        self._instance = advert.instance
        self._advertised: tuple[str, ...] = ()
        self._shown: dict[str, Advert] = {}  # by the name of the service: what was announced on these sockets
        self._own_addresses: frozenset[str] = frozenset()
        self._questions = 0
        self._random = Random()  # of its own: the one that all share may be seeded by the program
        self._channel = Channel(self._hear)
        self._worker = Worker(
            {
                "open": Action(self._open, OPEN_EVERY),
                "update": Action(self._update, UPDATE_EVERY),
                "ask": Action(self._ask, ASK_EVERY),
                "resolve": Action(self._resolve, RESOLVE_EVERY),
            },
            self._on_error,
            self._on_pause,
        )

    def run(self) -> None:
        """Run until ``stop``; never raises."""
        try:
            with importing.lock:
                import zeroconf  # noqa: F401  # and asyncio with it
        except Exception as error:  # a broken extension module raises anything
            self.reports.fail(f"python-zeroconf cannot be imported ({error})")
            return
        try:
            self._worker.run("open", self._close)
        except Exception as error:
            self.reports.fail(f"{type(error).__name__}: {error}")

    def reopen(self) -> None:
        """Open new sockets soon, on the interfaces that are wanted by then; announce and ask again."""
        self._worker.wake("open")

    def update(self) -> None:
        """Announce the advert soon, as it is by then."""
        self._worker.wake("update")

    def ask(self) -> None:
        """Ask soon who is there, as after the start."""
        self._questions = 0
        self._worker.wake("ask")

    def stop(self) -> None:
        """Have the thread say goodbye and end."""
        self._worker.stop()

    def abandon(self) -> None:
        """Let go of everything in a forked child."""
        self._worker.abandon()
        self._channel.abandon()

    # -- actions -------------------------------------------------------------------------------------------------------

    async def _open(self, now: float) -> None:
        """Open new sockets on the interfaces, announce there, and ask.

        What fails is tried again when the interfaces change, not before: zeroconf logs each failure by itself.
        """
        await self._channel.leave(goodbye=False)
        self.sightings.clear()
        self._advertised = addresses = tuple(filter(is_host, self._presence.addresses))
        try:
            joined = await self._channel.join(addresses)
        except Exception as error:
            self.reports.fail(_reason(error))
            return
        if joined or not addresses:
            self.reports.recover()
        else:
            self.reports.fail(f"multicast is refused on {', '.join(addresses)}")
        self._own_addresses = frozenset(address for address in joined if not is_loopback(address))
        self._shown.clear()
        await self._update(now)
        self._questions = 0
        self._plan_question(QUESTIONS_AFTER[0])

    async def _close(self) -> None:
        await self._channel.leave(goodbye=True)

    async def _update(self, now: float) -> None:
        """Announce the adverts that are new or changed, and those no more that are to be announced no more."""
        adverts = (self._presence.advert, *self._presence.others)
        self.sightings.own = frozenset(advert.node_id for advert in adverts)
        wanted: dict[str, Advert] = {}
        for advert in adverts:  # our own first
            wanted.setdefault(advert.instance, advert)
        for name in self._shown.keys() - wanted.keys():
            await self._attempt(name, self._withdraw(name))
        for name, advert in wanted.items():
            if self._shown.get(name) != advert:
                await self._attempt(name, self._show(name, advert))

    async def _withdraw(self, name: str) -> None:
        del self._shown[name]
        await self._channel.withdraw(name, goodbye=name not in frozenset(self._presence.known()))

    async def _show(self, name: str, advert: Advert) -> None:
        say = self._channel.update if name in self._shown else self._channel.announce
        await say(service(advert, self._advertised))
        self._shown[name] = advert

    async def _attempt(self, name: str, doing: Awaitable[None]) -> None:
        """Do something for one service: if zeroconf does not like it, the others must not suffer."""
        try:
            await doing
        except Exception as error:
            self._on_error(f"{name}: {type(error).__name__}: {error}")

    async def _ask(self, now: float) -> None:
        """Ask who is there; who is known need not answer (RFC 6762, 7.1)."""
        starting = self._questions < len(QUESTIONS_AFTER)
        self._questions += 1
        later = QUESTIONS_AFTER[self._questions :] or (QUESTION_EVERY,)
        self._plan_question(later[0])  # first of all, so that an error below costs one question
        self.sightings.prune(now)
        known = list(self._presence.known())
        if len(known) < ENOUGH or not starting or self._presence.everywhere:
            self._channel.send(ask_who([self._instance, *known, *self.sightings.recent(now - RECENT)]))

    def _plan_question(self, delay: float) -> None:
        self._worker.plan("ask", delay * self._random.uniform(0.8, 1.2))  # not all nodes at once

    async def _resolve(self, now: float) -> None:
        """Ask for what did not come along."""
        query = ask_for(self.sightings.missing())
        if query is not None:
            self._channel.send(query)
            self._worker.plan("resolve", RESOLVE_EVERY)

    # -- what is heard -------------------------------------------------------------------------------------------------

    def _hear(self, records: Iterable[DNSRecord]) -> None:
        """Take in the records of one packet."""
        heard = batch(records)
        for hint in self.sightings.hear(heard, self._own_addresses, time.monotonic()):
            try:
                self._presence.on_found(hint.address, hint.port, hint.node_id)
            except Exception:
                self.reports.count_callback()
        if self.sightings.unresolved(heard):
            self._worker.plan("resolve", RESOLVE_AFTER)

    def _on_ignored(self, cause: str, detail: str) -> None:
        self.reports.count(cause, detail)
        if cause == "flood":
            self._worker.plan("ask", AFTER_FLOOD)

    def _on_pause(self) -> None:
        self.reports.count("throttled", "too many packets for a tenth of a core; reading more slowly")
        self._worker.wake("ask", AFTER_FLOOD)  # for those that were not heard among so much

    def _on_error(self, detail: str) -> None:
        self.reports.count("internal", detail)


def _reason(error: Exception) -> str:
    """Say in plain words why the sockets could not be opened."""
    import errno

    code = error.errno if isinstance(error, OSError) else 0
    if code == errno.EADDRINUSE:
        return "UDP port 5353 is taken by a program that does not share it"
    if code in (errno.EACCES, errno.EPERM):
        return "UDP port 5353 may not be opened here"
    return f"{type(error).__name__}: {error}"
