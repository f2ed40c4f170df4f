"""What a node does for those of its host for which it speaks mDNS: it announces them, and tells them of whom it hears.

Knows names and addresses, which are hints for the link, and what peers say of themselves; nothing of frames, and not
who lives. Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from ..addresses import Address, is_loopback
from ..budget import Budget
from ..protocol.link.entries import NodeEntry
from ..protocol.link.link import Link
from ..protocol.link.peers import Peer
from ..typed import Protocol
from .loop import Alarm, Loop

TELL = 0.05  # seconds from what mDNS says of another node to those for whom this one speaks
TELL_AGAIN = 60.0  # seconds until they are told once more, for what was lost
MAX_TOLD = 256  # addresses at once, the newest: anybody can make up more
NEWS = 64  # a second, of nodes that are no peers, for the same reason
MAX_SPOKEN_FOR = 1_024  # nodes
MAX_HEARD = 256  # nodes that are no peers of which the addresses are kept
MAX_ADDRESSES = 8  # of one node
KEPT = 120.0  # seconds that those are kept


class Knocker(Protocol):
    """What sends what the link wants to send: ``Peering``."""

    @property
    def port(self) -> int: ...
    def hears_itself(self) -> bool: ...
    def flush(self) -> None: ...
    def tell(self) -> None: ...


def is_near(peer: Peer, machine: str) -> bool:
    """Tell whether a peer is of this host and shares its network: no other host can say so and be heard on loopback.

    Args:
        machine: what this node says of its own.
    """
    if peer.entry is None or not machine or peer.entry.machine != machine:
        return False
    return any(is_loopback(ip) for ip, _ in list(peer.paths))


class Proxy:
    """For whom this node speaks, and what it hears.

    Args:
        entry: what this node says of itself.
        link: knows the peers, is told where others may be, and tells.
        knocker: sends what the link wants to send.
    """

    def __init__(self, loop: Loop, entry: NodeEntry, link: Link, knocker: Knocker) -> None:
        self._link = link
        self._knocker = knocker
        self._machine = entry.machine
        self._spoken_for: frozenset[int] = frozenset()
        self._heard: dict[int, tuple[dict[Address, None], float]] = {}  # id -> where mDNS said that it is, and when
        self._met: set[int] = set()  # those of them that are peers now
        self._budget = Budget(NEWS, NEWS, time.monotonic())
        self._news: dict[Address, None] = {}
        self._telling = Alarm(loop, self._tell_news)
        self._retelling = Alarm(loop, self._retell)

    def __contains__(self, id: int) -> bool:
        return id in self._spoken_for

    def find(self, shown: str) -> Iterator[tuple[Peer, NodeEntry, int]]:
        """Find who has this node speak for it: the peer, what it says of itself, the port of its link.

        Args:
            shown: how this node is shown: who is to be shown otherwise, perhaps on fewer interfaces, is not found.
        """
        count = 0
        for peer in self._link.peers.values():
            entry = peer.entry
            if entry is None or (entry.speaker, entry.shown) != (self._link.id, shown):
                continue
            if is_near(peer, self._machine):
                yield peer, entry, next(port for ip, port in peer.paths if is_loopback(ip))
                count += 1
                if count == MAX_SPOKEN_FOR:
                    return

    def speak_for(self, ids: Iterable[int]) -> None:
        """Tell these nodes, and no others, where mDNS says that others are; at once what it has said so far."""
        before, self._spoken_for = self._spoken_for, frozenset(ids)
        self._tell(self._spoken_for - before, self._far())
        self._tell_again()

    def hear(self, address: Address, id: int) -> None:
        """Knock where mDNS says that a node is, and have those do so for whom this node speaks."""
        peer, now = self._link.peers.get(id), time.monotonic()
        if peer is not None:
            if id not in self._met and not is_near(peer, self._machine):
                self._met.add(id)
                if len(self._met) > 2 * len(self._link.peers):  # most of them went
                    self._met &= self._link.peers.keys()
                self._note(peer.outer, now)
            return
        addresses, _ = self._heard.pop(id, ({}, now))
        addresses[address] = None
        if len(addresses) > MAX_ADDRESSES:
            del addresses[next(iter(addresses))]
        self._heard[id] = addresses, now
        if len(self._heard) > MAX_HEARD:
            del self._heard[next(iter(self._heard))]
        self._link.hint(address, now)
        self._knocker.flush()
        if self._budget.take(1, now):
            self._note(address, now)

    def _note(self, address: Address, now: float) -> None:
        if self._spoken_for:
            self._news[address] = None
            self._telling.by(now + TELL)

    def _far(self) -> list[Address]:
        """Return where nodes of other hosts are of which mDNS told, the newest first, and forget those that went."""
        now, peers = time.monotonic(), self._link.peers
        self._met |= self._heard.keys() & peers.keys()
        self._met &= peers.keys()
        self._heard = {id: kept for id, kept in self._heard.items() if id not in peers and now < kept[1] + KEPT}
        known = [peers[id].outer for id in self._met if not is_near(peers[id], self._machine)]
        heard = [address for addresses, _ in reversed(self._heard.values()) for address in addresses]
        return (known + heard)[:MAX_TOLD]

    def _tell_news(self) -> None:
        news, self._news = self._news, {}
        self._tell(self._spoken_for, list(news))

    def _retell(self) -> None:
        self._tell(self._spoken_for, self._far())
        self._tell_again()

    def _tell_again(self) -> None:
        if self._spoken_for:
            self._retelling.by(time.monotonic() + TELL_AGAIN)

    def _tell(self, ids: Iterable[int], addresses: list[Address]) -> None:
        if addresses:
            for id in ids:
                self._link.tell(id, addresses)
            self._knocker.flush()
