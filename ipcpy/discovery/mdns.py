"""Rendezvous by multicast DNS, as a node holds it. Knows the one daemon thread it takes; nothing of the link, of tables
of topics, or of who is alive.

The thread runs python-zeroconf on an event loop of its own: it announces the node's advert and tells where others say
they are. Nothing waits for the thread, not even for the import of asyncio and zeroconf (55 ms), and nothing breaks
without it: ``Mdns.error`` says why it does not work.

Some things are done by hand where zeroconf has something ready:

- No ``ServiceBrowser``: it keeps an entry for every name ever heard until three quarters of its TTL, up to 100 years
  when the name is forged. Here records go to ``Sightings``, which is bounded, and what zeroconf would keep of other
  devices is dropped from its cache at once (``hearing``).
- No ``update_interfaces`` on a living instance: it compares addresses, so an interface that went and came back with
  the same address between two looks would keep a dead membership. Every change opens new sockets, about 2 ms
  (``channel``).
- Questions name what we know already, from here and from the link (``known``), so a newcomer among 100 nodes does not
  get 100 answers that all 100 must read (``saying``).
- Goodbyes of others are not listened to: mDNS is never the sign of life, the link is. Our own is said, for browsers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from .advert import Advert
from .responder import Presence, Responder

__all__ = ["Mdns"]

CLOSE = 0.1  # seconds that ``close`` may take


class Mdns:
    """Announces a node by mDNS and tells where others are, from a thread of its own.

    Args:
        advert: what to announce. Its node id, name, domain and port stay as they are.
        interfaces: IPv4 addresses of the interfaces to use. With loopback addresses alone nothing leaves or enters
            this host.
        on_found: called with an address, a port and a node id for every address where a node may be; again when the
            advert is heard again, at most every 2 s. A hint, perhaps forged: the port may be closed, the address that
            of a broadcast or of somebody who never asked. Runs in the mDNS thread, so it should only hand over.
        known: returns the full instance names (``instance_name``) of the nodes that the link knows: they need not
            answer our questions, and 16 of them are enough not to ask at the start. Called in the mDNS thread.
        keys: returns the ids of our keys, each as 8 hexadecimal digits: who uses another key, or none, is not told of.
            Without any, who uses a key is not told of. Called in the mDNS thread.
        on_state: called when ``error`` is another, in the mDNS thread.
    """

    def __init__(
        self,
        advert: Advert,
        interfaces: Sequence[str],
        on_found: Callable[[str, int, str], None],
        *,
        known: Callable[[], Iterable[str]] = tuple,
        keys: Callable[[], Collection[str]] = tuple,
        on_state: Callable[[], object] = lambda: None,
    ) -> None:
        self._presence = Presence(advert, tuple(interfaces), on_found, known, keys, on_state)
        self._responder = Responder(self._presence)
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._closed = False

    @property
    def error(self) -> str | None:
        """Why mDNS does not work at the moment; None while it works, or has not been tried yet."""
        return self._responder.reports.error

    @property
    def counters(self) -> Mapping[str, int]:
        """What was ignored, by cause: malformed, address, crowded, flood, own, domain, key, callback, internal,
        throttled (times that reading paused because too much came)."""
        return dict(self._responder.reports.counters)

    @property
    def remembered(self) -> int:
        """How many nodes it remembers having heard of: at most 2,048, and for 120 s."""
        return len(self._responder.sightings)

    def domains(self) -> Mapping[str, int]:
        """Return the other domains of which nodes were heard within 120 s, each with how many nodes.

        Once this was called, nodes of all domains are looked for, be ever so many of our own known.
        """
        if not self._presence.everywhere:
            self._presence.everywhere = True
            self._responder.ask()
        return self._responder.sightings.domains()

    def start(self) -> None:
        """Start in the background; returns at once. Once more does nothing."""
        if self._thread is None and not self._closed:
            thread = threading.Thread(target=self._responder.run, name="ipcpy-mdns", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread is to be had
                self._responder.reports.fail(str(error))
            else:
                self._thread = thread

    def update(self, advert: Advert) -> None:
        """Announce other topics; at most once a second, the newest."""
        self._presence.advert = advert
        self._responder.update()

    def represent(self, adverts: Iterable[Advert]) -> None:
        """Announce these nodes of this host too, and no others; at most once a second, the newest.

        One that is announced no more is said goodbye for, unless the link knows it: then it has others announce it.
        """
        self._presence.others = tuple(adverts)
        self._responder.update()

    def set_interfaces(self, addresses: Sequence[str]) -> None:
        """Use these interfaces from now on; announce and ask again on all of them, even if they are the same."""
        self._presence.addresses = tuple(addresses)
        self._responder.reopen()

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
            self._thread.join(CLOSE)

    def abandon(self) -> None:
        """Drop everything in a forked child. Nothing is sent; the parent's sockets go on."""
        self._closed = True
        if self._pid != os.getpid():
            self._responder.abandon()
