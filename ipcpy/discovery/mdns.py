"""Rendezvous by multicast DNS. Knows zeroconf and asyncio; nothing of the link, of topics tables or of who is alive.

One daemon thread runs python-zeroconf on an event loop of its own: it announces the node's advert and tells where
others say they are. Nothing waits for it, not even for the import of asyncio and zeroconf (55 ms), and nothing breaks
without it: ``Mdns.error`` says why it does not work.

Some things are done by hand where zeroconf has something ready:

- No ``ServiceBrowser``: it keeps an entry for every name ever heard until three quarters of its TTL, up to 100 years
  when the name is forged. Here records go to ``Sightings``, which is bounded, and what zeroconf would keep of other
  devices is dropped from its cache at once.
- No ``update_interfaces`` on a living instance: it compares addresses, so an interface that went and came back with
  the same address between two looks would keep a dead membership. Every change opens new sockets (about 2 ms).
- Questions name what we know already, from here and from the link (``known``), so a newcomer among 100 nodes does not
  get 100 answers that all 100 must read.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..addresses import is_loopback
from .advert import SERVICE_TYPE, Advert, instance_name, to_txt
from .hearing import IN, PTR, SRV, TXT, A, CalmSelector, batch, confine, listener
from .sightings import Sightings

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event, Future

    from zeroconf import DNSOutgoing, DNSRecord, ServiceInfo, Zeroconf  # type: ignore[attr-defined]  # exported, though not in __all__

__all__ = ["Mdns"]

_log = logging.getLogger(__name__)

_SPACING = {"open": 0.25, "update": 1.0, "ask": 0.5, "resolve": 1.0}
"""Seconds between two of a kind, however often they are wanted."""
_QUESTIONS_AFTER = (0.25, 1.0, 3.0)
"""Seconds. The answers only back up the announcement, which brings those who hear it to us by then."""
_FLOOD = 2.0
"""Seconds from a flood to a question, so that those who were not told because of it are heard again."""
_ENOUGH = 16
"""Nodes. Who knows so many by the link asks no more: they tell of the others, and a crowd need not answer."""
_QUESTION_EVERY = 60.0
"""Seconds. For networks that heal without our noticing."""
_RESOLVE_AFTER = 0.05
"""Seconds. Records that come in several packets have come by then."""
_RECENT = 5.0
"""Seconds. Who was heard within them need not answer a question."""
_MAX_KNOWN = 256
"""Names in one question: about 12 kB, in packets that fit."""
_GOODBYE_GAP = 0.01
"""Seconds between the two goodbyes, so that a burst of loss does not take both."""
_CLOSE = 0.1
"""Seconds that ``close`` may take."""
_QUIET = frozenset({"own", "domain"})
"""Causes that are nothing to worry about."""
_TTL = 4500  # seconds, RFC 6762, 10


class Mdns:
    """Announces a node by mDNS and tells where others are, from a thread of its own.

    Args:
        advert: what to announce. Its node id, name, domain and port stay as they are.
        interfaces: IPv4 addresses of the interfaces to use. With loopback addresses alone nothing leaves or enters
            this host.
        on_found: called with an address, a port and a node id for every place worth a knock; again when it is heard
            again, at most every 2 s. A hint, perhaps forged: the port may be closed, the address that of a
            broadcast or of somebody who never asked. Runs in the mDNS thread, so it should only hand over.
        known: gives the full instance names (``instance_name``) of the nodes that the link knows: they need not
            answer our questions, and 16 of them are enough not to ask at the start. Called in the mDNS thread.
    """

    def __init__(
        self,
        advert: Advert,
        interfaces: Sequence[str],
        on_found: Callable[[str, int, str], None],
        *,
        known: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._responder = _Responder(advert, tuple(interfaces), on_found, known)
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._closed = False

    @property
    def error(self) -> str | None:
        """Why mDNS does not work at the moment; None while it works, or has not been tried yet."""
        return self._responder.error

    @property
    def counters(self) -> Mapping[str, int]:
        """What was ignored, by cause: malformed, address, crowded, flood, own, domain, callback, internal,
        throttled (times that reading paused because too much came)."""
        return dict(self._responder.counters)

    def start(self) -> None:
        """Start in the background; returns at once. Once more does nothing."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._responder.run, name="ipcpy-mdns", daemon=True)
            self._thread.start()

    def update(self, advert: Advert) -> None:
        """Announce other topics; at most once a second, the newest."""
        self._responder.advert = advert
        self._responder.wake("update")

    def set_interfaces(self, addresses: Sequence[str]) -> None:
        """Use these interfaces from now on; announce and ask again on all of them, even if they are the same."""
        self._responder.addresses = tuple(addresses)
        self._responder.wake("open")

    def close(self) -> None:
        """Say goodbye and stop, within 0.1 s; what is not done by then is left to the daemon thread."""
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():
            self.abandon()
            return
        self._responder.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE)

    def abandon(self) -> None:
        """Drop everything in a forked child. Nothing is sent; the parent's sockets go on."""
        self._closed = True
        if self._pid != os.getpid():
            self._responder.abandon()


class _Responder:
    """What runs in the thread. Methods without an underscore may be called from other threads."""

    def __init__(
        self,
        advert: Advert,
        addresses: tuple[str, ...],
        on_found: Callable[[str, int, str], None],
        known: Callable[[], Iterable[str]],
    ) -> None:
        self.advert, self.addresses = advert, addresses
        self.error: str | None = None
        self.counters: Counter[str] = Counter()
        self._on_found, self._known = on_found, known
        self._sightings = Sightings(advert.node_id, advert.domain, self._count)
        self._instance = instance_name(advert.name, advert.node_id)
        self._stopping = threading.Event()
        self._loop: AbstractEventLoop | None = None
        self._woken: Event | None = None
        self._due: dict[str, float] = {}
        self._earliest = dict.fromkeys(_SPACING, 0.0)
        self._questions = 0
        self._zeroconf: Zeroconf | None = None
        self._announcing: Future[None] | None = None
        self._advertised: tuple[str, ...] = ()
        self._own_addresses: frozenset[str] = frozenset()
        self._own_records: frozenset[DNSRecord] = frozenset()
        self._descriptors: tuple[int, ...] = ()
        self._logged: set[str] = set()

    def run(self) -> None:
        """Run until ``stop``; never raises."""
        try:
            import asyncio

            import zeroconf  # noqa: F401
        except ImportError as exc:
            self._fail(f"python-zeroconf cannot be imported ({exc})")
            return
        loop = asyncio.SelectorEventLoop(CalmSelector(self._stopping, self._throttled))
        loop.set_exception_handler(self._on_exception)
        self._woken = asyncio.Event()
        self._loop = loop  # from here on other threads wake us; what they wrote before is read below
        try:
            loop.run_until_complete(self._serve())
        except Exception as exc:
            self._fail(f"{type(exc).__name__}: {exc}")
        finally:
            self._loop = None
            loop.close()

    def wake(self, action: str) -> None:
        """Have an action done soon."""
        self._call(self._plan, action, 0.0)

    def stop(self) -> None:
        """Have the thread say goodbye and end."""
        self._stopping.set()
        self._call(self._interrupt)

    def abandon(self) -> None:
        """Let go of the sockets in a forked child.

        The objects that hold them may be in any state and their thread is gone, so the descriptors are pointed
        elsewhere: closing them later then hits nobody.
        """
        self._loop = None
        descriptors, self._descriptors = self._descriptors, ()
        with suppress(OSError), open(os.devnull, "rb") as nothing:
            for descriptor in descriptors:
                os.dup2(nothing.fileno(), descriptor, inheritable=False)

    # The loop: actions with a time each

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(callback, *args)

    def _plan(self, action: str, delay: float) -> None:
        if self._loop is not None:
            when = max(self._loop.time() + delay, self._earliest[action])
            self._due[action] = min(when, self._due.get(action, when))
            self._interrupt()

    def _interrupt(self) -> None:
        if self._woken is not None:
            self._woken.set()

    async def _serve(self) -> None:
        actions: dict[str, Callable[[float], Coroutine[Any, Any, None]]] = {
            "open": self._open,
            "update": self._update,
            "ask": self._ask,
            "resolve": self._resolve,
        }
        self._plan("open", 0.0)
        while not self._stopping.is_set():
            now = time.monotonic()
            ready = [action for action, when in self._due.items() if when <= now]
            for action in ready:
                del self._due[action]
                self._earliest[action] = now + _SPACING[action]
                await self._attempt(actions[action], now)
            if not ready:
                await self._sleep(min(self._due.values(), default=now + _QUESTION_EVERY) - now)
        await self._leave(goodbye=True)

    async def _attempt(self, action: Callable[[float], Coroutine[Any, Any, None]], now: float) -> None:
        try:
            await action(now)
        except Exception as exc:
            self._count("internal", f"{type(exc).__name__}: {exc}")

    async def _sleep(self, seconds: float) -> None:
        import asyncio

        assert self._woken is not None
        self._woken.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)

    # Sockets

    async def _open(self, now: float) -> None:
        """Open new sockets on the interfaces, announce there, and ask.

        What fails is tried again when the interfaces change, not before: zeroconf logs each failure by itself.
        """
        await self._leave(goodbye=False)
        self._sightings.clear()
        self._advertised = addresses = tuple(filter(_is_ipv4, self.addresses))
        try:
            joined = await self._join(addresses)
        except Exception as exc:
            self._fail(_reason(exc))
        else:
            if joined or not addresses:
                self._recover()
            else:
                self._fail(f"multicast is refused on {', '.join(addresses)}")
            self._own_addresses = frozenset(address for address in joined if not is_loopback(address))
            await self._announce()
            self._questions = 0
            self._plan("ask", _QUESTIONS_AFTER[0] * random.uniform(0.8, 1.2))

    async def _join(self, addresses: Sequence[str]) -> list[str]:
        """Open sockets one interface after the other, so that each fails alone; return those that work."""
        from zeroconf import IPVersion, Zeroconf

        self._zeroconf = instance = Zeroconf(interfaces=[], ip_version=IPVersion.V4Only, use_asyncio=True)
        instance.async_add_listener(listener(self.hear, self.is_kept), None)
        joined: list[str] = []
        for address in addresses:
            before = len(instance.engine.senders)
            with suppress(OSError):
                await instance.async_update_interfaces([*joined, address])
            if len(instance.engine.senders) > before:
                joined.append(address)
        self._descriptors = tuple({each.fileno for each in (*instance.engine.readers, *instance.engine.senders)})
        confine(instance, to_host=all(is_loopback(address) for address in joined))
        return joined

    async def _leave(self, *, goodbye: bool) -> None:
        """Close the sockets."""
        import asyncio

        instance, self._zeroconf = self._zeroconf, None
        if self._announcing is not None:
            self._announcing.cancel()
            self._announcing = None
        if instance is None:
            return
        from zeroconf.asyncio import AsyncZeroconf

        farewell = instance.generate_unregister_all_services()  # and none are left for close() to take its time over
        if goodbye and farewell is not None:
            instance.async_send(farewell)
            await asyncio.sleep(_GOODBYE_GAP)
            instance.async_send(farewell)
        self._descriptors = ()
        await AsyncZeroconf(zc=instance).async_close()

    # Speaking

    async def _announce(self) -> None:
        if self._zeroconf is not None:
            info = self._info()
            self._announcing = await self._zeroconf.async_register_service(info, cooperating_responders=True)  # type: ignore[assignment]

    async def _update(self, now: float) -> None:
        if self._zeroconf is not None:
            if self._announcing is not None:
                self._announcing.cancel()
            self._announcing = await self._zeroconf.async_update_service(self._info())  # type: ignore[assignment]

    def _info(self) -> ServiceInfo:
        from zeroconf import ServiceInfo

        info = ServiceInfo(
            SERVICE_TYPE,
            self._instance,
            port=self.advert.port,
            properties=to_txt(self.advert),
            server=f"ipcpy-{self.advert.node_id}.local.",  # not the host's name: that record is another responder's
            parsed_addresses=list(self._advertised),
        )
        own = (info.dns_pointer(), info.dns_service(), info.dns_text(), *info.get_address_and_nsec_records())
        self._own_records = frozenset(own)
        return info

    async def _ask(self, now: float) -> None:
        """Ask who is there; who is known need not answer (RFC 6762, 7.1)."""
        self._sightings.prune(now)
        known = list(self._known())
        if len(known) < _ENOUGH or self._questions >= len(_QUESTIONS_AFTER):
            self._question([self._instance, *known, *self._sightings.recent(now - _RECENT)])
        self._questions += 1
        later = _QUESTIONS_AFTER[self._questions :] or (_QUESTION_EVERY,)
        self._plan("ask", later[0] * random.uniform(0.8, 1.2))

    def _question(self, known: Iterable[str]) -> None:
        from zeroconf import DNSPointer  # type: ignore[attr-defined]

        query = self._query([(SERVICE_TYPE, PTR)])
        for name in list(dict.fromkeys(known))[:_MAX_KNOWN]:
            query.add_answer_at_time(DNSPointer(SERVICE_TYPE, PTR, IN, _TTL, name, 0.0), 0)
        self._send(query)

    async def _resolve(self, now: float) -> None:
        """Ask for what did not come along."""
        questions: list[tuple[str, int]] = []
        for instance, server in self._sightings.missing():
            questions += [(instance, SRV), (instance, TXT)]
            if server:
                questions.append((server, A))
        if questions:
            self._send(self._query(questions))
            self._plan("resolve", _SPACING["resolve"])

    def _query(self, questions: Iterable[tuple[str, int]]) -> DNSOutgoing:
        from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]

        query = DNSOutgoing(0)  # a query: no flags
        for name, kind in questions:
            query.add_question(DNSQuestion(name, kind, IN))
        return query

    def _send(self, query: DNSOutgoing) -> None:
        if self._zeroconf is not None:
            self._zeroconf.async_send(query)

    # Listening

    def hear(self, records: Iterable[DNSRecord]) -> None:
        """Take in the records of one packet. In the loop only."""
        heard = batch(records)
        now = time.monotonic()
        for hint in self._sightings.hear(heard, self._own_addresses, now):
            self._tell(self._on_found, hint.address, hint.port, hint.node_id)
        if self._sightings.unresolved(heard):
            self._plan("resolve", _RESOLVE_AFTER)

    def is_kept(self, record: DNSRecord) -> bool:
        """Tell whether zeroconf should remember a record: ours, so as not to repeat it within a second."""
        return record in self._own_records

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:
            if not self.counters["callback"]:
                _log.exception("mDNS: a callback failed; it is told no more of this")
            self.counters["callback"] += 1

    # Reporting

    def _count(self, cause: str, detail: str) -> None:
        self.counters[cause] += 1
        if cause == "flood":
            self._plan("ask", _FLOOD)
        if self.counters[cause] == 1:
            level = logging.DEBUG if cause in _QUIET else logging.WARNING
            _log.log(level, "mDNS: ignored what was heard (%s): %.200s; further ones are only counted", cause, detail)

    def _throttled(self) -> None:
        self._count("throttled", "too many packets for a tenth of a core; reading more slowly")
        self._call(self._plan, "ask", _FLOOD)  # for those that were not heard among so much

    def _on_exception(self, _: AbstractEventLoop, context: dict[str, Any]) -> None:
        self._count("internal", f"{context.get('message')}: {context.get('exception')!r}")

    def _fail(self, reason: str) -> None:
        self.error = reason
        if reason not in self._logged and len(self._logged) < 16:
            self._logged.add(reason)
            _log.warning("mDNS does not work: %s. Same-host and static peers are found without it.", reason)

    def _recover(self) -> None:
        if self.error is not None:
            self.error = None
            _log.info("mDNS works now")


def _is_ipv4(address: str) -> bool:
    numbers = address.split(".")
    return len(numbers) == 4 and all(number.isdecimal() and int(number) < 256 for number in numbers)


def _reason(exc: Exception) -> str:
    """Say in plain words why the sockets could not be opened."""
    import errno

    code = exc.errno if isinstance(exc, OSError) else 0
    if code == errno.EADDRINUSE:
        return "UDP port 5353 is taken by a program that does not share it"
    if code in (errno.EACCES, errno.EPERM):
        return "UDP port 5353 may not be opened here"
    return f"{type(exc).__name__}: {exc}"
