"""A subscriber's sockets as one: its own, and one for each multicast group that publishers send to.

Knows waiting for any of them and the order in which they are emptied; nothing of frames.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from ..addresses import Address
from ..timeouts import NEVER, in_pieces
from ..transport.data import DataSocket
from ..transport.group import GroupSocket
from ..typed import Any

DRAIN = 256  # datagrams that are read at once
ROUNDS = 8  # portions that are read at once for a poll that waits until a group's socket is empty
DRAIN_BYTES = 64 << 10  # the same in bytes: of small messages in batches these are a thousand, and somebody waits

Socket = DataSocket | GroupSocket
Datagram = tuple[bytes, Address]
Received = list[Datagram]
Begun = tuple[Socket, Datagram] | None


class Inlets:
    """The sockets of one subscriber.

    Args:
        unicast: its own.
        open_group: makes a socket for a group.

    Attributes:
        unicast: as given.
        groups: those of multicast groups, by group.
    """

    def __init__(self, unicast: DataSocket, open_group: Callable[..., GroupSocket] = GroupSocket) -> None:
        self.unicast = unicast
        self._open_group = open_group
        self.groups: dict[Address, GroupSocket] = {}
        self._left: list[GroupSocket] = []
        self._closed = False
        self._wait: Callable[[float | None], list[Socket]] | None = None  # for those there are now

    def __iter__(self) -> Iterator[Socket]:
        return iter((self.unicast, *self.groups.values()))

    def join(self, group: Address, interfaces: Iterable[int]) -> GroupSocket | None:
        """Open a socket for a group; None if there is one, or none is to be had: then everything goes by unicast."""
        if group in self.groups:
            return None
        try:
            socket = self._open_group(*group)
        except OSError:
            return None
        socket.join(interfaces)
        self.groups[group] = socket
        self._wait = None
        if self._closed:  # meanwhile, in another thread
            self.close()
            return None
        return socket

    def leave(self, group: Address) -> GroupSocket | None:
        """Take out the socket of a group, which ``close_left`` closes; None if there is none."""
        socket = self.groups.pop(group, None)
        self._wait = None  # after it: a wait that is made ready meanwhile is thrown away too
        if socket is not None:
            self._left.append(socket)
        return socket

    def close_left(self) -> None:
        """Close the sockets of groups that were left; whoever calls has the right to read."""
        while self._left:
            self._left.pop().close()

    def rejoin(self, interfaces: Iterable[int]) -> None:
        """Make the memberships anew: the network changed."""
        for socket in self.groups.values():
            socket.rejoin(interfaces)

    def wait(self, timeout: float | None, spin: float = 0.0) -> list[Socket]:
        """Wait until some of them can be read, and return those.

        Args:
            timeout: seconds; None waits for ever.
            spin: seconds to poll before.
        """
        wait = self._wait
        if wait is None:
            wait = self._wait = _waiting(list(self))
        until = time.monotonic() + spin
        while spin and time.monotonic() < until:
            if ready := wait(0.0):
                return ready
        return wait(timeout)

    def empty(
        self,
        take: Callable[[Received], object],
        again: Callable[[bool], bool],
        is_due: Callable[[bytes], bool],
        begun: Begun = None,
    ) -> None:
        """Read what is there, in portions, and bring together what one publisher sends by unicast and by multicast.

        Of the next by either way that which is due is taken first. Where neither is, what came by unicast is: a
        publisher that goes over to multicast sent it earlier.

        Args:
            take: called with each portion.
            again: called when all were read once, with whether nothing is left that had come by multicast before; it
                tells whether to read once more.
            is_due: tells whether a datagram begins with the next message of its publisher.
            begun: what was read already, and of which socket.
        """
        for _ in range(ROUNDS):
            emptied = True
            unicast = [*_of(begun, self.unicast), *self.drain_unicast()]
            groups: list[Socket] = [*self.groups.values()]
            if begun is not None and begun[0] not in (self.unicast, *groups):  # a group that was left meanwhile
                groups.append(begun[0])
            for group in groups:
                received = [*_of(begun, group), *group.poll_all(DRAIN)]
                emptied = emptied and len(received) < DRAIN
                if received:
                    unicast += self.drain_unicast()
                    for portion in _in_order(deque(unicast), deque(received), is_due):
                        take(portion)
                    unicast = []
            take(unicast)
            begun = None
            if not again(emptied):
                break

    def drain_unicast(self) -> Received:
        """Read what is there of its own socket."""
        return self.unicast.poll_all(DRAIN, NEVER if self.groups else DRAIN_BYTES)

    def close(self) -> None:
        """Close all of them, and those to come."""
        self._closed = True
        self.close_left()
        for each in self:
            each.close()


def _of(begun: Begun, socket: Socket) -> Received:
    return [begun[1]] if begun is not None and begun[0] is socket else []


def _in_order(
    unicast: deque[Datagram], multicast: deque[Datagram], is_due: Callable[[bytes], bool]
) -> Iterator[Received]:
    """Yield datagrams one by one as their publishers sent them; the caller takes each before it asks for the next."""
    while unicast and multicast:
        first = multicast if not is_due(unicast[0][0]) and is_due(multicast[0][0]) else unicast
        yield [first.popleft()]
    yield [*unicast, *multicast]


def wait_for(sockets: list[Socket], timeout: float | None) -> list[Socket]:
    """Wait some seconds, None for ever, until sockets can be read, and return those."""
    return _waiting(sockets)(timeout)


def _waiting(sockets: list[Any]) -> Callable[[float | None], list[Any]]:
    """Return a function that waits some seconds, None for ever, until sockets can be read, and returns those."""
    if not hasattr(select, "poll"):
        return lambda timeout: in_pieces(lambda piece: select.select(sockets, [], [], piece)[0], timeout)
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    numbers = {each.fileno(): each for each in sockets}
    return lambda timeout: [numbers[fd] for fd, _ in poll.poll(None if timeout is None else timeout * 1000)]
