"""Which subscribers of one publisher are reached by multicast, interface by interface.

Its publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from ..node.node import Node
from ..protocol.wire import Malformed, frames
from ..timeouts import NEVER
from ..transport.udp import FanoutSocket
from .fanout import LOCAL_FROM, Fanout, Group, random_group
from .route import Route


class Fanouts:
    """The multicasts of one publisher, one on each interface where it is worth it.

    Args:
        wanted: True wherever multicast reaches, False never, None where several subscribers are on this host.
        on_group: called when a group was chosen.
        on_readable: called when answers can be read from a socket.
    """

    def __init__(
        self,
        node: Node,
        publisher: int,
        wanted: bool | None,
        on_group: Callable[[Group], None],
        on_readable: Callable[[FanoutSocket], None],
    ) -> None:
        self._node = node
        self._publisher = publisher
        self._wanted = wanted
        self._on_group = on_group
        self._on_readable = on_readable
        self._group: Group | None = None
        self._by_interface: dict[int, Fanout] = {}

    def __iter__(self) -> Iterator[Fanout]:
        return iter(self._by_interface.values())

    def choose(self, routes: Sequence[Route], now: float) -> bool:
        """Choose whom of the confirmed subscribers to reach by multicast; True if somebody no longer is."""
        if self._wanted is False:
            return False
        near: dict[int, list[Route]] = {}
        for route in routes:
            index = self._node.interface_of(route.address[0])
            if index is not None and route.match.confirmed:
                near.setdefault(index, []).append(route)
        left = False
        for index in {*near, *self._by_interface}:
            reached = near.get(index, [])
            if len(reached) < (1 if self._wanted else LOCAL_FROM) or not (reached[0].local or self._wanted):
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
        """Give when handle_timer wants to be called; ``inf`` for never."""
        return min((fanout.next_timer() for fanout in self), default=NEVER)

    def handle_timer(self, now: float) -> None:
        """Challenge those who are not reached yet."""
        for fanout in self:
            fanout.handle_timer(now)

    def close(self) -> None:
        """Close the sockets; it may begin anew."""
        closed, self._by_interface = self._by_interface, {}
        for fanout in closed.values():
            self._node.loop.unwatch(fanout.socket)
            fanout.socket.close()

    def abandon(self) -> None:
        """Close the sockets in a forked child, whose loop is gone."""
        for fanout in self:
            fanout.socket.close()
