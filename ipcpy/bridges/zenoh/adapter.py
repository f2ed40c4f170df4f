"""ZenohAdapter: the Adapter for Zenoh. Keeps a session, makes it again when the link is gone, and tells the core.

Knows offers and wants of one bridge, and the threads that keep them; what is declared for them is link.py's.
"""

from __future__ import annotations

import logging
import threading
import time
from importlib.util import find_spec
from typing import Any

from ...errors import IpcError
from ...transport.unreachable import Way, why_unreachable
from ..adapter import Ears, Identity, Key, Unsent
from ..offers import Offer, Parcel
from .access import open_session, plain
from .link import Link
from .options import SECURE, ZenohOptions
from .outgoing import LARGE
from .window import Window

__all__ = ["ZenohAdapter"]

log = logging.getLogger(__name__)

LOOK = 0.1  # seconds between looks at the link
RETRY, LONGEST_RETRY = 0.5, 4.0  # seconds between attempts to reach a router
GONE = 1.0  # seconds without a transport after which a client's session is made anew
STEP = 0.005  # seconds between looks whether there is room


class ZenohAdapter:
    """Carries topics over Zenoh, for a ``Bridge``.

    It connects and listens where it is told to, and nowhere else: nothing is searched for by multicast. A router that
    is out of reach is tried again for ever.

    Args:
        options: how Zenoh is reached; or the arguments of ``ZenohOptions``, such as ``connect="tcp/router:7447"``.

    Raises:
        ArgumentError: (a ValueError) which of them is wrong, and what was expected.
        IpcError: Zenoh is not installed; the text names the extra.
    """

    engine = "zenoh"

    def __init__(self, options: ZenohOptions | None = None, **arguments: Any) -> None:
        self.options = options or ZenohOptions(**arguments)
        if find_spec("zenoh") is None:
            raise IpcError("a bridge over Zenoh needs eclipse-zenoh, an extra: pip install 'ipcpy[zenoh]'")
        self._lock = threading.RLock()
        self._offers: dict[Key, Offer] = {}
        self._wants: dict[Key, Offer] = {}
        self._served: dict[Key, Offer] = {}
        self._heard: dict[Key, Offer] = {}
        self._windows = Window(), Window()  # for publishers of small messages, and for the others
        self._large: set[Key] = set()  # those that have sent a large one
        self._window_lock = threading.Lock()
        self._link: Link | None = None
        self._said = ""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    # -- what the core calls -----------------------------------------------------------------------------------------

    def open(self, identity: Identity, ears: Ears) -> None:
        """See Adapter."""
        self._identity, self._ears = identity, ears
        open_session(self.options, check=True)
        self._thread = threading.Thread(target=self._keep, name="ipcpy bridge zenoh", daemon=True)
        self._thread.start()

    def offer(self, offer: Offer) -> None:
        """See Adapter."""
        with self._lock:
            self._offers[offer.key] = offer
            if self._link is not None:
                self._link.outgoing.offer(offer)

    def withdraw(self, key: Key) -> None:
        """See Adapter."""
        with self._lock:
            self._offers.pop(key, None)
            if self._link is not None:
                self._link.outgoing.withdraw(key)
        with self._window_lock:
            self._large.discard(key)
            for window in self._windows:
                window.forget(key)

    def want(self, offer: Offer) -> None:
        """See Adapter."""
        with self._lock:
            self._wants[offer.key] = offer
            if self._link is not None:
                self._link.incoming.want(offer)

    def unwant(self, key: Key) -> None:
        """See Adapter."""
        with self._lock:
            self._wants.pop(key, None)
            if self._link is not None:
                self._link.incoming.unwant(key)

    def room(self, key: Key, timeout: float) -> bool:
        """See Adapter."""
        until = time.monotonic() + timeout
        while True:
            with self._window_lock:
                if self._window(key).room(key, time.monotonic()):
                    return True
            if time.monotonic() >= until or self._closed.wait(STEP):
                return False

    def send(self, key: Key, parcel: Parcel) -> None:
        """See Adapter."""
        link = self._link
        if link is None:
            raise Unsent("link")
        marked = False
        if parcel.body is not None:
            with self._window_lock:
                if len(parcel.body) >= LARGE:
                    self._large.add(key)
                marked = self._window(key).sent(key, parcel.seq, len(parcel.body), time.monotonic())
        link.outgoing.send(key, parcel, marked=marked)

    def serve(self, offer: Offer) -> None:
        """See Carrier."""
        with self._lock:
            self._served[offer.key] = offer
            if self._link is not None:
                self._link.letters.serve(offer)

    def retire(self, key: Key) -> None:
        """See Carrier."""
        with self._lock:
            self._served.pop(key, None)
            if self._link is not None:
                self._link.letters.retire(key)

    def hear(self, offer: Offer) -> None:
        """See Carrier."""
        with self._lock:
            self._heard[offer.key] = offer
            if self._link is not None:
                self._link.letters.hear(offer)

    def unhear(self, key: Key) -> None:
        """See Carrier."""
        with self._lock:
            self._heard.pop(key, None)
            if self._link is not None:
                self._link.letters.unhear(key)

    def post(self, offer: Offer, to: str, data: bytes) -> None:
        """See Carrier."""
        link = self._link
        if link is not None:
            link.letters.post(offer, to, data)

    def status(self) -> dict[str, Any]:
        """See Adapter."""
        link, windows = self._link, self._windows
        return {
            "mode": self.options.mode,
            "zid": link.zid if link else "",
            "delay": round(max(window.delay for window in windows), 4),
            "on_way": sum(map(len, windows)),
            "window": sum(window.size for window in windows),
        }

    def close(self) -> None:
        """See Adapter."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self._drop_link()

    # -- the link ----------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        pause = RETRY
        while not self._closed.is_set():
            try:
                session = open_session(self.options)
            except Exception as error:  # whatever Zenoh says: it is tried again
                self._say_unlinked(self._why(error))
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_RETRY)
                continue
            pause = RETRY
            try:
                self._use(session)
            except Exception as error:
                log.exception("the link to Zenoh failed, and is made anew")
                self._say_unlinked(f"it failed: {error}")
                self._closed.wait(RETRY)
            self._drop_link()

    def _use(self, session: Any) -> None:
        """Declare all, and look after the link until it is gone."""
        link = Link(session, self.options.space, self._identity, self._ears, self._seen)
        linked, missed = "", 0.0
        while not self._closed.is_set():
            now, to = time.monotonic(), link.to()
            if to and to != linked:
                if not linked:
                    self._take_up(link)
                self._said = ""
                self._ears.linked(to)
            elif not to and linked:
                missed = now
                self._say_unlinked(f"nothing is heard of {linked}")
            elif not to and not linked and self.options.mode != "client":
                self._say_unlinked(f"nobody is connected to {', '.join(self.options.listen) or 'it'} yet")
            linked = to
            if not to and missed and now - missed > GONE and self.options.mode == "client":
                return
            link.look(now)
            self._closed.wait(LOOK)

    def _take_up(self, link: Link) -> None:
        with self._window_lock:
            self._windows = Window(), Window()
        with self._lock:
            if self._link is not link:
                self._link = link
                link.take_up(list(self._offers.values()), list(self._wants.values()))
                link.letters.take_up(list(self._served.values()), list(self._heard.values()))
            else:
                link.again()

    def _drop_link(self) -> None:
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def _seen(self, key: Key, seq: int) -> None:
        with self._window_lock:
            self._window(key).seen(key, seq, time.monotonic())

    def _window(self, key: Key) -> Window:
        return self._windows[key in self._large]

    def _say_unlinked(self, why: str) -> None:
        if why != self._said:
            self._said = why
            self._ears.unlinked(why)

    def _why(self, error: Exception) -> str:
        """Say why a session cannot be opened, as far as it can be found out: Zenoh itself says no more than that."""
        options, found = self.options, []
        for endpoint in options.connect:
            protocol, _, address = endpoint.partition("/")
            if protocol in ("tcp", "tls", "ws"):
                host, _, port = address.split("#")[0].split("?")[0].rpartition(":")
                tls = protocol in SECURE
                way = Way(host, int(port), options.ca if tls else "", options.cert, options.key, tls=tls)
                found.append(f"{endpoint}: {why_unreachable(way) or 'it answers, and no session comes about'}")
            else:
                more = ", or a certificate does not fit" if protocol in SECURE else ""
                found.append(f"{endpoint}: nobody answers there{more}")
        return "; ".join(found) or plain(error)
