"""Nodes in several domains, one each, through which a whole set of robots is seen. Knows the public names of ipcpy; not
what is done with the nodes.

Nodes of different domains neither see nor hear each other, so who wants to see several domains needs a node in each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import ipcpy as ipc

__all__ = ["MAX_DOMAINS", "Fleet"]

log = logging.getLogger(__name__)

MAX_DOMAINS = 32  # that are looked at by themselves: each takes a thread and some sockets
HEARD = 1.5  # seconds in which mDNS has asked twice, and others have answered
LOOK = 0.05  # seconds between two looks whether more domains were heard of


class Fleet:
    """A node in each of some domains. Safe to use from several threads.

    Args:
        make: returns a new node in the domain that it is given; None is for the one of ``IPCPY_DOMAIN``.
        domains: which ones; none for that of ``IPCPY_DOMAIN``.
        everywhere: those too of which nodes are heard by mDNS, now or later (``look``).

    Raises:
        ArgumentError: (a ValueError) if a domain can be none.
        TransportError: (an OSError) if there is no UDP socket to be had.
    """

    def __init__(
        self, make: Callable[[str | None], ipc.Node], domains: Sequence[str] = (), *, everywhere: bool = False
    ) -> None:
        self._make, self._everywhere = make, everywhere
        self._nodes: dict[str, ipc.Node] = {}
        self._refused: set[str] = set()
        self._asked = 0
        self._lock = threading.RLock()
        self._closed = False
        try:
            for domain in dict.fromkeys(domains) or (None,):
                self._open(domain)
            self._asked = len(self._nodes)
        except BaseException:
            self.close()
            raise

    @property
    def everywhere(self) -> bool:
        """Whether all domains are looked at."""
        return self._everywhere

    @property
    def several(self) -> bool:
        """Whether there may be more than one domain, so that the domain of a topic has to be told."""
        return self._everywhere or len(self._nodes) > 1

    @property
    def nodes(self) -> tuple[ipc.Node, ...]:
        """The nodes, those of the domains asked for first, the others by the names of their domains."""
        with self._lock:
            return tuple(self._nodes[domain] for domain in self.domains)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains of the nodes, likewise."""
        with self._lock:
            opened = tuple(self._nodes)
        return opened[: self._asked] + tuple(sorted(opened[self._asked :]))

    @property
    def left_out(self) -> tuple[str, ...]:
        """Domains that were heard of and are not looked at, since they are too many."""
        with self._lock:
            return tuple(sorted(self._refused - self._nodes.keys()))

    def node(self, domain: str) -> ipc.Node | None:
        """Return the node in a domain; None if there is none."""
        with self._lock:
            return self._nodes.get(domain)

    def look(self) -> tuple[str, ...]:
        """Open a node in each domain that was heard of since the last look; nothing where not ``everywhere``.

        Returns:
            The new domains. At most 32 are looked at in all; of the others ``left_out`` tells.
        """
        if not self._everywhere:
            return ()
        heard = {domain for node in self.nodes if not node.closed for domain in node.domains()}
        new = []
        for domain in sorted(heard - self._nodes.keys() - self._refused):
            if len(self._nodes) >= MAX_DOMAINS:
                self._refused.add(domain)
                continue
            try:
                if self._open(domain):
                    new.append(domain)
            except ipc.IpcError as error:  # what others call their domain, or no more sockets
                self._refused.add(domain)
                log.warning("domain %.80r cannot be looked at: %s", domain, error)
        return tuple(new)

    def gather(self, timeout: float = HEARD) -> None:
        """Look for domains until those that are there had the time to answer; at once where not ``everywhere``.

        Where others greet, and none has told its domain by then, they have as long again: their hosts are busy.

        Args:
            timeout: seconds.
        """
        until = time.monotonic() + timeout
        never = threading.Event()
        while self._everywhere and not self._closed:
            self.look()
            left = until - time.monotonic()
            if left <= 0 and (left <= -timeout or len(self._nodes) > 1 or not self.unheard()):
                return
            never.wait(LOOK)

    def unheard(self) -> int:
        """Return how many greetings of other domains came, whether their names are known or not."""
        return sum(node.stats.dropped.get("domain", 0) for node in self.nodes)

    def close(self) -> None:
        """Close the nodes; idempotent. Each takes up to 100 ms."""
        with self._lock:
            self._closed = True
            nodes, self._nodes = list(self._nodes.values()), {}
        for node in nodes:
            node.close()

    def _open(self, domain: str | None) -> bool:
        """Open a node, unless there is one, or the fleet was closed meanwhile."""
        node = self._make(domain)
        with self._lock:
            if not self._closed and node.domain not in self._nodes:
                self._nodes[node.domain] = node
                return True
        node.close()
        return False

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
