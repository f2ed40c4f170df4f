"""PlotJuggler: the numbers that are published, sent by UDP to PlotJuggler's UDP server. Knows subscribers and a socket;
nothing of how numbers look there.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

import ipcpy as ipc

from .choice import Choice
from .plotted import datagrams, numbers
from .thinning import Thinning

__all__ = ["PORT", "PlotJuggler", "PlotJugglerStats"]

log = logging.getLogger(__name__)

PORT = 9870  # PlotJuggler's own
TICK = 0.2  # seconds after which a thread looks whether it is to end, though nothing comes
SURE = 0.5  # seconds without a refusal after which somebody listens
MAX_PUBLISHERS = 10_000  # whose messages come by one subscriber each


@dataclass(frozen=True, slots=True)
class PlotJugglerStats:
    """What was sent until now.

    Attributes:
        messages: messages whose numbers were sent.
        datagrams: datagrams that the system took.
        bytes: bytes of them.
        refused: of those, datagrams that nobody took, for nobody listens at the address.
        without: messages in which there was no number.
        thinned: messages that were left out, since a rate was asked for.
        lost: messages that did not arrive here.
    """

    messages: int = 0
    datagrams: int = 0
    bytes: int = 0
    refused: int = 0
    without: int = 0
    thinned: int = 0
    lost: int = 0


class PlotJuggler:
    """Sends the numbers of topics to PlotJuggler, from the time it is made until it is closed.

    Each message is one JSON object (a large one is several) with the time it was published in ``timestamp``, by the
    clock of this host where the publisher's is known, and each number by its topic and the way to it.

    Args:
        topics: names and patterns, by default all.
        exclude: names and patterns of topics that are left out; they are received all the same.
        host: where PlotJuggler runs.
        port: the port of its UDP server.
        max_rate: messages a second of each publisher that are sent; None sends all.
        node: the node it belongs to; by default one of its own.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no socket to be had, or the host is none.
        ClosedError: (an OSError) if the node is closed.
    """

    def __init__(
        self,
        topics: str | Iterable[str] = "/**",
        *,
        exclude: str | Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = PORT,
        max_rate: float | None = None,
        node: ipc.Node | None = None,
    ) -> None:
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= 0xFFFF:
            raise ipc.ArgumentError(f"port is a number from 1 to 65535, got {port!r:.60}")
        if not isinstance(host, str) or not host:
            raise ipc.ArgumentError(f"host is a name or an address, such as '127.0.0.1', got {host!r:.60}")
        names = (topics,) if isinstance(topics, str) else tuple(dict.fromkeys(topics))
        self._thinning = Thinning(max_rate)
        self._node = ipc.Node("ipcpy-plotjuggler") if node is None else node
        self._owns_node = node is None
        self._udp = ipc.SocketUDP()
        self._subscribers: list[ipc.Subscriber] = []
        self._address = (host, port)
        self._messages = self._datagrams = self._bytes = self._refused = self._without = self._lost = 0
        self._owners: dict[str, ipc.Subscriber] = {}
        self._lock = threading.RLock()
        self._closing = False
        self._taken, self._refused_at = 2, -math.inf  # in a row; nothing is known yet
        try:
            self._choice = Choice(self._node, names, exclude)
            self._connect()
            for name in names:
                self._subscribers.append(ipc.Subscriber(name, node=self._node))
        except BaseException:
            self._close_all()
            raise
        self._threads = [
            threading.Thread(target=self._listen, args=(sub,), name=f"ipcpy plotjuggler {sub.topic}", daemon=True)
            for sub in self._subscribers
        ]
        for thread in self._threads:
            thread.start()

    def _connect(self) -> None:
        """Connect, so that the system tells whether somebody is there."""
        self._udp.open()
        assert self._udp.sock is not None
        try:
            self._udp.sock.connect(self._address)
        except (OSError, UnicodeError) as error:
            host, port = self._address
            raise ipc.TransportError(f"cannot send to {host}:{port}: {error}") from None

    @property
    def stats(self) -> PlotJugglerStats:
        """What was sent until now."""
        lost = self._lost + sum(sum(sub.stats.lost.values()) for sub in tuple(self._subscribers))
        return PlotJugglerStats(
            self._messages, self._datagrams, self._bytes, self._refused, self._without, self._thinning.thinned, lost
        )

    @property
    def heard(self) -> bool:
        """Whether somebody takes what is sent, as far as the system tells: for hosts of a network it may not."""
        return self._taken > 1 and time.monotonic() - self._refused_at > SURE

    @property
    def closed(self) -> bool:
        """Whether it sends nothing any more: it, or its node, was closed."""
        return self._closing

    def close(self) -> None:
        """Send nothing more; idempotent."""
        self._closing = True
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._close_all()

    def _close_all(self) -> None:
        while self._subscribers:
            sub = self._subscribers.pop()
            sub.close()
            self._lost += sum(sub.stats.lost.values())
        self._udp.close()
        if self._owns_node:
            self._node.close()

    def __enter__(self) -> PlotJuggler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _listen(self, sub: ipc.Subscriber) -> None:
        failed = False
        while not self._closing:
            try:
                message = sub.recv(TICK)
            except TimeoutError:
                continue
            except ipc.ClosedError:
                self._closing = True
                return
            try:
                self._take(sub, message)
            except Exception:  # a defect, which is to cost one message and no more
                if not failed:
                    log.exception("%s: the numbers of a message could not be sent", message.topic)
                failed = True

    def _take(self, sub: ipc.Subscriber, message: ipc.Message) -> None:
        if not self._choice.takes(message.topic):
            return
        with self._lock:
            if self._owners.setdefault(message.publisher, sub) is not sub:  # another pattern's have it too
                return
            if len(self._owners) > MAX_PUBLISHERS:
                del self._owners[next(iter(self._owners))]
            delay = sub.delay(message)
            if self._thinning.leaves_out(message.publisher, message.received_ns):
                return
            found = numbers(message.data)
            if not found:
                self._without += 1
                return
            late = delay.seconds if math.isfinite(delay.bound) else 0.0
            self._messages += 1
            for datagram in datagrams(message.topic, message.received_ns / 1e9 - late, found):
                self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        """Send a datagram; an error is the answer to an earlier one, and this one was not sent by then."""
        assert self._udp.sock is not None
        for again in (False, True):
            try:
                self._udp.sock.send(datagram)
            except OSError:  # nobody listens there; or the way is blocked for now
                self._refused += 1
                self._taken, self._refused_at = 0, time.monotonic()
                if again:
                    return
            else:
                self._datagrams += 1
                self._bytes += len(datagram)
                self._taken += 1
                return
