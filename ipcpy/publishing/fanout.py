"""One multicast that reaches several subscribers on one interface.

A subscriber is a member once a challenge went through the group to it and came back, so that on a network that drops
multicast everything stays unicast. Its publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ..addresses import Address
from ..protocol.data.matching import Match
from ..protocol.wire import Frame, Kind
from ..timeouts import NEVER
from ..transport.udp import FanoutSocket
from .route import Route

FIRST_PAUSE = 0.01
MAX_PAUSE = 2.0
LOCAL_FROM = 3  # subscribers on this host from which on one multicast costs less than one send each (measured)


class Group(NamedTuple):
    """A multicast address."""

    ip: str
    port: int


def random_group() -> Group:
    """Choose a group of the publisher's own: administratively scoped (RFC 2365), a port below the ephemeral ones."""
    first, second, port = os.urandom(1)[0], os.urandom(1)[0], int.from_bytes(os.urandom(2), "little")
    return Group(f"239.255.{first}.{second}", 20_000 + port % 10_000)


class Fanout:
    """The multicast of one publisher on one interface.

    Attributes:
        members: the routes that are reached by it, by subscriber.
    """

    def __init__(self, publisher: int, socket: FanoutSocket, now: float) -> None:
        self.socket = socket
        self.members: dict[int, Route] = {}
        self.wanted: dict[int, Route] = {}
        self._matches: dict[int, Match] = {}
        self._nonce = int.from_bytes(os.urandom(8), "little")
        self._probe = Match(publisher, 0, self._nonce, now)
        self._at = now
        self._pause = FIRST_PAUSE

    def want(self, routes: Sequence[Route], now: float) -> bool:
        """Say which routes it should reach; those it reaches but should not, it no longer does.

        Returns:
            Whether the members changed.
        """
        wanted = {route.match.subscriber: route for route in routes}
        new = wanted.keys() - self.wanted.keys()
        gone = [number for number, route in self.members.items() if wanted.get(number) is not route]
        self.wanted = wanted
        for number in gone:
            del self.members[number]
        if new:
            self._pause, self._at = FIRST_PAUSE, now
        return bool(gone)

    def send(self, frame: bytes) -> None:
        """Send a frame to all members.

        Raises:
            OSError: if the system would not take it.
        """
        self.socket.send(frame)

    def send_again(self, frame: bytes, messages: int = 1) -> int:
        """Send messages the system refused once more; give how many subscribers do not get them."""
        try:
            self.socket.send(frame)
        except OSError:
            for route in self.members.values():
                route.refused += messages
            return len(self.members)
        return 0

    def next_timer(self) -> float:
        """Give when handle_timer wants to be called; ``inf`` for never."""
        return NEVER if self.members.keys() >= self.wanted.keys() else self._at

    def handle_timer(self, now: float) -> None:
        """Challenge through the group those who are not members yet."""
        if now >= self.next_timer():
            self._at = now + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE)
            self.socket.try_send(self._probe.probe_frame())

    def receive(self, frame: Frame, address: Address, now: float) -> bool:
        """Take an ANSWER or STARTED of a subscriber; True if it is a member now."""
        route = self.wanted.get(frame.seq)
        if route is None or route.address != address:
            return False
        if frame.kind == Kind.ANSWER:
            match = self._matches[frame.seq] = Match(route.match.publisher, frame.seq, self._nonce, now)
            if match.answered(frame, now):
                self.socket.try_send(match.start_frame(multicast=True), address)
        elif frame.kind == Kind.STARTED and frame.seq in self._matches:
            match = self._matches.pop(frame.seq)
            match.started(frame)
            if match.confirmed:
                self.members[frame.seq] = route
                return True
        return False
