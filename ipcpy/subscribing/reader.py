"""Who waits, reads: how one subscriber's sockets are emptied by whoever has an interest in it at the moment.

A thread that waits reads the sockets itself, an event loop reads them when they are readable; both have them on lease.
While nobody waits the I/O thread empties them into the inbox, so that the kernel never holds what is stale.

Two locks: ``lock`` over what arrived (short), and one over who reads (held while waiting).
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..addresses import Address
from ..message import Message
from ..node.loop import Alarm, Loop
from ..timeouts import NEVER
from ..transport.udp import CAN_WAIT, RECEIVE_SIZE, DataSocket, GroupSocket
from .inbound import Inbound
from .inplace import Gathering
from .waiters import Waiters

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

LEASE = 0.04  # seconds that the sockets are left to a reader who is away; then the I/O thread empties them
SHORT_LEASE = 0.01  # the same, where so much comes that a socket's buffer might be full by then
MANY = 60  # datagrams in one lease: of small ones, the usual buffer of 212,992 bytes holds 277
PAUSE = 0.02  # seconds without a further fragment of a large message
DRAIN = 256  # datagrams that are read at once
DRAIN_BYTES = 64 << 10  # the same in bytes: of small messages in batches these are a thousand, and somebody waits
UNPREPARED = -1.0  # no timeout


class Reader:
    """The sockets of one subscriber.

    Args:
        lock: over ``inbound``.
        messages: what was received and is not yet taken.
        spin: seconds that a thread polls before it sleeps.
    """

    def __init__(
        self,
        loop: Loop,
        socket: DataSocket,
        inbound: Inbound,
        lock: threading.Lock,
        messages: deque[Message],
        spin: float = 0.0,
    ) -> None:
        self._loop = loop
        self._socket = socket
        self._spin = self._spins = spin  # at most, and with the timeout that the socket is ready for
        self._receive: Callable[[int], tuple[bytes, Address]] = self._spin_recvfrom if spin else socket.recvfrom
        self._recvfrom: Callable[[int], tuple[bytes, Address]] = self._receive
        self._inbound = inbound
        self._lock = lock
        self._messages = messages
        self._groups: dict[Address, GroupSocket] = {}
        self._gathering = Gathering(socket, inbound, lock, messages)
        self._reading = threading.Lock()
        self._leased = False
        self._ready_for: float | None = UNPREPARED  # the timeout with which the socket can be read without ado
        self._deadline = NEVER  # of who waits
        self._wait_readable: Callable[[float | None], list[Any]] | None = None  # of the sockets there are now
        self._reads = 0
        self._reads_seen = 0
        self._closed = False
        self._waiters = Waiters(weakly(self._on_loop_readable))
        self._futures = self._waiters.futures
        self._timer_alarm = Alarm(loop, weakly(self._on_timer))
        self._lease_alarm = Alarm(loop, weakly(self._on_lease))
        self._ready = weakly(self._on_readable)
        loop.watch(socket, self._ready)

    # -- threads -----------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None, deadline: float) -> None:
        """Wait until something came, somebody woke us, or the time is up.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.
            deadline: when they are over, for what takes several steps; ``inf`` for never.
        """
        reading = self._reading
        if not reading.acquire(False):
            if not reading.acquire(True, -1 if timeout is None else timeout):
                return
            timeout = None if timeout is None else max(0.0, deadline - time.monotonic())
        self._deadline = deadline
        try:
            if self._messages or (timeout != self._ready_for and not self._prepare(timeout)):
                return
            inbound, lock = self._inbound, self._lock
            data, address = self._recvfrom(RECEIVE_SIZE)
            lock.acquire()  # and released by hand: a ``with`` takes twice as long (docs/performance.md)
            try:
                inbound.take(data, address)
            finally:
                lock.release()
            self._reads += 1
            if inbound.gathering is not None:
                self._gather(timeout, deadline)
            if inbound.behind:
                self._drain()
            elif inbound.timer != NEVER:
                self._timer_alarm.by(inbound.timer)
        except BlockingIOError:  # the time is up
            pass
        finally:
            reading.release()
            if self._futures and self._messages:  # more than this thread takes may have come
                self._waiters.wake()

    def _prepare(self, timeout: float | None) -> bool:
        """Get ready to wait in the socket for one timeout; where that is not possible, wait otherwise and read.

        Returns:
            Whether the socket is to be read; else there is nothing more to wait for.
        """
        self._ready_for = timeout  # first: whoever changes what is looked at now takes it back
        if not self._leased:
            self._take_lease()
        if self._closed or self._groups or timeout == 0 or not CAN_WAIT:
            self._ready_for = UNPREPARED
            if not self._closed:
                self._read_any(timeout)
            return False
        if self._spin:
            self._spins, timeout = self._part(timeout)
        if timeout != self._socket.timeout:
            self._socket.set_timeout(timeout)
        self._recvfrom = self._receive_first if self._gathering.expects and not self._spin else self._receive
        return True

    def _part(self, timeout: float | None) -> tuple[float, float | None]:
        """Part a time to wait into that for polling and that for sleeping."""
        if timeout is None:
            return self._spin, None
        spins = min(self._spin, timeout)
        return spins, timeout - spins

    def _spin_recvfrom(self, size: int) -> tuple[bytes, Address]:
        """Receive a datagram: poll for a while, for who sleeps has to be woken, and only then sleep."""
        until = time.monotonic() + self._spins
        while time.monotonic() < until:
            received = self._socket.poll()
            if received is not None:
                return received
        return self._socket.recvfrom(size)

    def _receive_first(self, _: int) -> tuple[bytes, Address]:
        """Receive while a large message may come next; small ones are received without ado."""
        received = self._gathering.receive_first()
        if not self._gathering.expects:
            self._recvfrom = self._receive
        return received

    def _gather(self, timeout: float | None, deadline: float) -> None:
        self._ready_for = UNPREPARED
        self._socket.set_timeout(PAUSE if timeout is None else min(PAUSE, timeout))
        with contextlib.suppress(BlockingIOError):  # a pause; the timers are still to be looked at
            self._reads += self._gathering.gather(deadline)

    def drain_now(self) -> None:
        """Read what is there, unless somebody else is reading."""
        if not self._closed and self._reading.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._reading.release()

    def _read_any(self, timeout: float | None) -> None:
        """Wait until one of the sockets can be read, and read."""
        if timeout == 0:
            self._drain()
            return
        ready = self._wait_for_any(timeout)
        if len(ready) > 1:
            self._drain()
        elif ready:
            self._read_one(ready[0])

    def _read_one(self, socket: Any) -> None:
        """Read the only socket that has something."""
        received = socket.poll()
        if received is None:
            return
        inbound = self._inbound
        if socket is not self._socket and not inbound.is_due(received[0]):
            self._drain_unicast()  # see _drain
        self._reads += 1
        with self._lock:
            inbound.take(*received)
        if inbound.behind:
            self._drain()
        elif inbound.timer != NEVER:
            self._timer_alarm.by(inbound.timer)

    def _wait_for_any(self, timeout: float | None) -> list[Any]:
        wait = self._wait_readable
        if wait is None:
            wait = self._wait_readable = _waiting(self._sockets())
        spins, timeout = self._part(timeout)
        until = time.monotonic() + spins
        while spins and time.monotonic() < until:
            if ready := wait(0.0):
                return ready
        return wait(timeout)

    def _drain(self) -> None:
        """Read what is there; whoever calls has the right to read.

        What came by multicast is taken after what came by unicast until then: a publisher that goes over to multicast
        sent that earlier.
        """
        self._drain_unicast()
        for group in list(self._groups.values()):
            received = group.poll_all(DRAIN)
            if received:
                self._drain_unicast()
                self._take(received)
        self._inbound.behind = False
        self._timer_alarm.by(self._inbound.timer)

    def _drain_unicast(self) -> None:
        self._take(self._socket.poll_all(DRAIN, NEVER if self._groups else DRAIN_BYTES))

    def _take(self, received: Iterable[tuple[bytes, Address]]) -> None:
        self._reads += 1
        take = self._inbound.take
        with self._lock:
            for data, address in received:
                take(data, address)

    # -- the lease ---------------------------------------------------------------------------------------------------

    def _sockets(self) -> list[Any]:
        return [self._socket, *self._groups.values()]

    def _take_lease(self) -> None:
        self._leased = True
        for each in self._sockets():
            self._loop.unwatch(each)
        self._lease_alarm.by(time.monotonic() + SHORT_LEASE)

    def _on_lease(self) -> None:
        """In the I/O thread, while a reader has the sockets: see whether he is there."""
        if self._closed or not self._leased:
            return
        if self._reads == self._reads_seen and self._reading.acquire(blocking=False):
            try:
                self._leased = False
                self._ready_for = UNPREPARED
                for each in self._sockets():
                    self._loop.watch(each, self._ready)
                return
            finally:
                self._reading.release()
        if time.monotonic() > self._deadline:  # with each signal that Python handles the kernel's timer begins anew
            self._socket.wake()
        lease = LEASE if self._reads - self._reads_seen < MANY else SHORT_LEASE
        self._reads_seen = self._reads
        self._lease_alarm.by(time.monotonic() + lease)

    def _on_readable(self) -> None:
        if not self._leased:
            self.drain_now()
            if self._futures:
                self._waiters.wake()

    def _on_timer(self) -> None:
        if self._closed:
            return
        with self._lock:
            self._inbound.handle_timer(time.monotonic())
        self._timer_alarm.by(self._inbound.timer)
        if self._messages:  # not by a count: a reader may have taken one meanwhile, and wait again
            self.wake()

    def timer_changed(self) -> None:
        """Have the timers looked at."""
        self._timer_alarm.by(self._inbound.timer)

    def wake(self) -> None:
        """Wake whoever waits."""
        self._socket.wake()
        self._waiters.wake()

    # -- multicast ---------------------------------------------------------------------------------------------------

    def join(self, group: Address, interfaces: Iterable[int]) -> None:
        """Listen to a group too; in the I/O thread."""
        if group in self._groups or self._closed:
            return
        try:
            socket = GroupSocket(*group)
        except OSError:
            return  # everything goes on by unicast
        socket.join(interfaces)
        self._groups[group] = socket
        self._ready_for, self._wait_readable = UNPREPARED, None
        self._inbound.sockets.append(socket)
        if not self._leased:
            self._loop.watch(socket, self._ready)
        self._waiters.add(socket)
        self._socket.wake()  # a reader that waits for one socket waits for both from now on

    def leave(self, group: Address) -> None:
        """Listen to a group no more; in the I/O thread."""
        socket = self._groups.pop(group, None)
        if socket is not None:
            self._wait_readable = None
            self._loop.unwatch(socket)
            self._inbound.sockets.remove(socket)
            self._waiters.remove(socket)
            self._socket.wake()
            with self._reading:
                socket.close()

    def rejoin(self, interfaces: Iterable[int]) -> None:
        """Make the memberships anew: the network changed."""
        for socket in self._groups.values():
            socket.rejoin(interfaces)

    # -- event loops -------------------------------------------------------------------------------------------------

    async def wait_async(self, loop: AbstractEventLoop) -> None:
        """Wait until something came, or somebody woke us."""
        waiters = self._waiters
        if waiters.loop is not loop:
            waiters.detach(self._sockets())
            waiters.attach(loop, self._sockets())
        if waiters.loop is not None and not self._leased and self._reading.acquire(False):
            try:
                self._take_lease()
                self._drain()
            finally:
                self._reading.release()
            if self._messages:  # more than this coroutine takes
                waiters.wake(loop)
        await waiters.wait(loop, self._is_over)

    def _is_over(self) -> bool:
        return bool(self._messages) or self._closed

    def _on_loop_readable(self, socket: Any) -> None:
        if self._closed or not self._reading.acquire(False):
            return
        try:
            self._read_one(socket)
        finally:
            self._reading.release()
        if self._messages:
            self._waiters.wake(self._waiters.loop)

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self, timeout: float) -> None:
        """Stop reading; whoever waits is woken. Waits no longer than a timeout for those who still read."""
        self._closed = True
        self._ready_for = UNPREPARED
        for each in self._sockets():
            self._loop.unwatch(each)
        self._socket.wake()
        self._waiters.detach(self._sockets())
        if self._reading.acquire(timeout=timeout):
            self._reading.release()
        self.abandon()

    def abandon(self) -> None:
        """Close the sockets without a word."""
        self._closed = True
        self._ready_for = UNPREPARED
        self._recvfrom = self._receive = self._socket.recvfrom  # no method of its own: it goes when nobody holds it
        self._reading = threading.Lock()  # in a forked child the old one may be held by a thread that is not there
        for each in self._sockets():
            each.close()


def _waiting(sockets: list[Any]) -> Callable[[float | None], list[Any]]:
    """Return a function that waits some seconds, None for ever, until sockets can be read, and gives those."""
    if not hasattr(select, "poll"):
        return lambda timeout: select.select(sockets, [], [], timeout)[0]
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    numbers = {each.fileno(): each for each in sockets}
    return lambda timeout: [numbers[fd] for fd, _ in poll.poll(None if timeout is None else timeout * 1000)]


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Give a function that calls a method while its object lives: neither the I/O thread nor itself keeps it alive."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        living = reference()
        if living is not None:
            living(*arguments)

    return call
