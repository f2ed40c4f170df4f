"""Which subscribers of one publisher are reached by multicast: one group, and one socket on each interface.

A subscriber is a member once a challenge went through the group to it and came back, so that on a network that drops
multicast everything stays unicast. Knows matches, answers and ``now``; nothing of messages, and it reads no clock. The
publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

from ..addresses import Address
from ..alarms import raise_alarm
from ..protocol.data.matching import Match
from ..protocol.wire import Frame, Kind, Malformed, frames
from ..records import NamedTuple
from ..timeouts import NEVER
from ..transport.group import FanoutSocket
from ..typed import Any, Protocol
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
        wanted: the routes that it should reach, by subscriber; those that are no members yet are challenged.
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
        """Say which routes the group should reach; members that are not among them are members no longer.

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

    def send_again(self, frame: bytes, messages: int = 1) -> int:
        """Send messages the system refused once more; return the number of subscribers that do not get them."""
        try:
            self.socket.send(frame)
        except OSError as error:
            raise_alarm(error)
            for route in self.members.values():
                route.books.refused += messages
            return len(self.members)
        return 0

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        return NEVER if self.members.keys() >= self.wanted.keys() else self._at

    def handle_timer(self, now: float) -> None:
        """Challenge through the group those who are not members yet."""
        if now >= self.next_timer():
            self._at = now + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE)
            self.socket.try_send(self._probe.probe_frame())

    def receive(self, frame: Frame, address: Address, now: float) -> bool:
        """Take an ANSWER or STARTED of a subscriber; True if the subscriber is a member now."""
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


class Watching(Protocol):
    """What watches sockets: the I/O thread."""

    def unwatch(self, file: Any) -> None: ...


class Interfaces(Protocol):
    """What Fanouts needs of the node.

    ``interface_of`` returns the index of the interface that leads to an address, None where multicast does not reach
    it. ``fanout_socket`` returns a socket that sends to a group on that interface, None where there is none to be had,
    and calls ``ready`` in the I/O thread when answers can be read from it; ``loop.unwatch`` ends that.
    """

    @property
    def loop(self) -> Watching: ...

    def interface_of(self, address: str) -> int | None: ...
    def fanout_socket(
        self, group: Address, address: str, ready: Callable[[FanoutSocket], object]
    ) -> FanoutSocket | None: ...


class Fanouts:
    """The multicasts of one publisher, one on each interface where it is worth it.

    Args:
        allowed: True wherever multicast reaches, False never, None where several subscribers are on this host.
        on_group: called with the group that the publisher sends to.
        on_readable: called when answers can be read from a socket.
    """

    def __init__(
        self,
        node: Interfaces,
        publisher: int,
        allowed: bool | None,
        on_group: Callable[[Group], None],
        on_readable: Callable[[FanoutSocket], None],
    ) -> None:
        self._node = node
        self._publisher = publisher
        self._allowed = allowed
        self._on_group = on_group
        self._on_readable = on_readable
        self._group: Group | None = None
        self._by_interface: dict[int, Fanout] = {}

    def __iter__(self) -> Iterator[Fanout]:
        return iter(self._by_interface.values())

    def choose(self, routes: Sequence[Route], now: float) -> bool:
        """Choose whom of the confirmed subscribers to reach by multicast; True if somebody no longer is."""
        if self._allowed is False:
            return False
        near: dict[int, list[Route]] = {}
        for route in routes:
            index = self._node.interface_of(route.address[0])
            if index is not None and route.match.confirmed:
                near.setdefault(index, []).append(route)
        left = False
        for index in {*near, *self._by_interface}:
            reached = near.get(index, [])
            if len(reached) < (1 if self._allowed else LOCAL_FROM) or not (reached[0].local or self._allowed):
                reached = []
            if reached and index not in self._by_interface:
                self._add(index, reached[0].address[0], now)
            if index in self._by_interface:
                left |= self._by_interface[index].want(reached, now)
        return left

    def _add(self, index: int, address: str, now: float) -> None:
        if self._group is None:
            self._group = random_group()
            self._on_group(self._group)
        socket = self._node.fanout_socket(self._group, address, self._on_readable)
        if socket is not None:
            self._by_interface[index] = Fanout(self._publisher, socket, now)

    def read(self, socket: FanoutSocket, now: float) -> bool:
        """Take the answers that have come to a socket; True if somebody is reached now who was not."""
        fanout = next((each for each in self if each.socket is socket), None)
        joined = False
        while fanout is not None and (received := socket.poll()) is not None:
            with contextlib.suppress(Malformed):
                for frame in frames(received[0]):
                    joined |= frame.source == self._publisher and fanout.receive(frame, received[1], now)
        return joined

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        return min((fanout.next_timer() for fanout in self), default=NEVER)

    def handle_timer(self, now: float) -> None:
        """Challenge those who are not reached yet."""
        for fanout in self:
            fanout.handle_timer(now)

    def close(self) -> None:
        """Close the sockets; ``choose`` may open others."""
        closed, self._by_interface = self._by_interface, {}
        for fanout in closed.values():
            self._node.loop.unwatch(fanout.socket)
            fanout.socket.close()

    def abandon(self) -> None:
        """Close the sockets in a forked child, whose loop is gone."""
        closed, self._by_interface = self._by_interface, {}
        for fanout in closed.values():
            fanout.socket.close()
