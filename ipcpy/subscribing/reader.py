"""Who waits, reads: how one subscriber's sockets are emptied by whoever has an interest in it at the moment.

A thread that waits reads the sockets itself, an event loop reads them when they are readable; both have them on lease.
While nobody waits the I/O thread empties them into the inbox, so that the kernel never holds what is stale.

Two locks: ``lock`` over what arrived (short), and one over who reads (held while waiting). Both are taken as locks.py
says, for whoever waits may be interrupted at any point, and a signal handler may call in the midst of it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable

from ..addresses import Address
from ..errors import RecvTimeout
from ..fast import ReaderFields, compiled
from ..locks import Turn, owned_by_caller
from ..node.loop import Alarm, Loop
from ..timeouts import NEVER
from ..transport.kernel import CAN_WAIT, RECEIVE_SIZE
from ..typed import TYPE_CHECKING
from .inbound import Inbound
from .inlets import Begun, Inlets, Received, Socket, wait_for
from .inplace import Gathering
from .lease import Lease, weakly
from .wait import Wait
from .waiters import Waiters

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

PAUSE = 0.02  # seconds without a further fragment of a large message


class Reader(ReaderFields):
    """Reads the sockets of one subscriber.

    Args:
        lock: over ``inbound``.
        spin: seconds that a thread polls before it sleeps.
    """

    def __init__(self, loop: Loop, inlets: Inlets, inbound: Inbound, lock: threading.RLock, spin: float = 0.0) -> None:
        self._loop = loop
        self._socket = socket = inlets.unicast
        self._inbound = inbound
        self._intake = inbound.intake
        self._lock = lock
        self._busy = owned_by_caller(lock)
        self._messages = inbound.intake.inbox.messages
        self._inlets = inlets
        self._gathering = Gathering(socket, inbound, lock)
        self._wait = Wait(socket, self._gathering, spin)
        self._turn = Turn()  # to read
        self._closed = False
        self._waiters = Waiters(weakly(self._on_loop_readable))
        self._futures = self._waiters.futures
        self._timer_alarm = Alarm(loop, weakly(self._on_timer))
        self._lease = Lease(loop, self._inlets, self._turn, weakly(self._on_readable), self._wait.reset)
        self.hurry = self._lease.hurry

    # -- threads -----------------------------------------------------------------------------------------------------

    def wait_any(self, timeout: float | None, deadline: float) -> None:
        """Wait until something came, somebody called ``wake``, or the time is up. In C: the usual case of ``wait``.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.
            deadline: the time (``time.monotonic``) at which ``timeout`` ends, for a wait of several steps, or ``inf``.
        """
        turn, waiting, lease = self._turn, self._wait, self._lease
        intake, lock, reading = self._intake, self._lock, turn.lock
        if turn.owned():
            self._wait_inside(timeout)
            return
        try:
            if not reading.acquire(False):
                timeout = turn.acquire(timeout)
            lease.deadline = deadline
            if self._messages or (timeout != waiting.timeout and not self._prepare(timeout)):
                return
            data, address = waiting.receive(RECEIVE_SIZE)
            try:  # a ``with`` takes twice as long (docs/performance-history.md)
                lock.acquire()
                self._inbound.take(data, address)
            finally:
                try:
                    lock.release()
                except RuntimeError:  # it was not acquired yet
                    pass
            lease.reads += 1
            if intake.filling is not None:
                self._gather(timeout, deadline)
            if intake.behind or intake.timer != NEVER:
                self._go_on()
        except BlockingIOError:  # the time is up
            pass
        except BaseException as error:  # from outside; a TimeoutError of a signal handler is an OSError too
            self._mend()
            if not (self._closed and isinstance(error, OSError)):  # else a handler closed it in the midst of this
                raise
        finally:
            try:
                reading.release()
            except RuntimeError:  # it was not acquired
                pass
            if self._futures and self._messages:  # more than this thread takes may have come
                self._waiters.wake()

    if TYPE_CHECKING or compiled is None:
        wait = wait_any

    def _go_on(self) -> None:
        if self._intake.behind:
            self._drain()
        elif self._intake.timer != NEVER:
            self._timer_alarm.by(self._intake.timer)

    def _wait_inside(self, timeout: float | None) -> None:
        """Wait in a signal handler that interrupted this thread's own wait, where that was between two datagrams.

        Raises:
            RecvTimeout: it was not; what has begun there must be done first.
        """
        if self._closed or self._messages:
            return
        if self._busy() or self._gathering.active:
            raise RecvTimeout("a signal handler interrupted the receiving: nothing can be received before that is done")
        for socket in wait_for(list(self._inlets), timeout):
            received = socket.poll()
            if received is not None:
                with self._lock:
                    self._inbound.take(*received)

    def _prepare(self, timeout: float | None) -> bool:
        """Get ready to wait in the socket for one timeout; where that is not possible, wait otherwise and read.

        Returns:
            Whether the socket is to be read; else there is nothing more to wait for.
        """
        self._wait.timeout = timeout  # first: whoever changes what is looked at now takes it back
        self._inlets.close_left()
        if not self._lease.taken:
            self._lease.take()
        if self._closed or self._inlets.groups or timeout == 0 or not CAN_WAIT:
            self._wait.reset()
            if not self._closed:
                self._read_any(timeout)
            return False
        self._wait.prepare(timeout)
        return True

    def _gather(self, timeout: float | None, deadline: float) -> None:
        self._wait.reset()
        self._socket.set_timeout(PAUSE if timeout is None else min(PAUSE, timeout))
        with contextlib.suppress(BlockingIOError):  # a pause; the timers are still to be looked at
            self._lease.reads += self._gathering.gather(deadline)

    def drain_now(self) -> None:
        """Read what is there, unless somebody else is reading."""
        if not self._closed:
            self._turn.use(self._close_left_and_drain)

    def _close_left_and_drain(self) -> None:
        self._inlets.close_left()
        self._drain()

    def _read_any(self, timeout: float | None) -> None:
        """Wait until one of the sockets can be read, and read."""
        if timeout == 0:
            self._drain()
            return
        spins, timeout = self._wait.part(timeout)
        ready = self._inlets.wait(timeout, spins)
        if len(ready) > 1:
            self._drain()
        elif ready:
            self._read_one(ready[0])

    def _read_one(self, socket: Socket) -> None:
        """Read the only socket that has something."""
        received = socket.poll()
        if received is None:
            return
        ways = socket is not self._socket or self._inlets.groups
        if ways and not self._inbound.is_due(received[0]):  # what is due may have come by another way
            self._drain((socket, received))
            return
        self._take([received])
        self._go_on()

    def _drain(self, begun: Begun = None) -> None:
        """Read what is there, beside what was read already; whoever calls has the right to read."""
        self._inlets.empty(self._take, self._answer_polls, self._inbound.is_due, begun)
        self._timer_alarm.by(self._intake.timer)

    def _answer_polls(self, emptied: bool) -> bool:
        with self._lock:
            return self._inbound.answer_polls(emptied=emptied)

    def _take(self, received: Received) -> None:
        self._lease.reads += 1
        take = self._inbound.take
        try:
            with self._lock:
                for data, address in received:
                    take(data, address)
        except BaseException:  # from outside, in the thread of an event loop
            self._mend()
            raise

    def _mend(self) -> None:
        """Put in order what an exception from outside may have left half done."""
        self._wait.reset()
        with self._lock:
            self._inbound.mend()

    # -- in the I/O thread ---------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        if not self._lease.taken:
            self.drain_now()
            if self._futures:
                self._waiters.wake()

    def _on_timer(self) -> None:
        if self._closed:
            return
        with self._lock:
            self._inbound.handle_timer(time.monotonic())
        self.timer_changed()
        if self._messages:  # not by a count: a reader may have taken one meanwhile, and wait again
            self.wake()

    def timer_changed(self) -> None:
        """Have the timers looked at."""
        self._timer_alarm.by(self._intake.timer)

    def wake(self) -> None:
        """Wake whoever waits."""
        self._socket.wake()
        self._waiters.wake()

    # -- multicast, in the I/O thread --------------------------------------------------------------------------------

    def join(self, group: Address, interfaces: Iterable[int]) -> None:
        """Listen to a group too."""
        socket = None if self._closed else self._inlets.join(group, interfaces)
        if socket is None:
            return
        self._wait.reset()
        self._intake.sockets.append(socket)
        self._lease.watch(socket)
        self._waiters.add(socket)
        self._socket.wake()  # a reader that waits for one socket waits for both from now on

    def leave(self, group: Address) -> None:
        """Listen to a group no more. Whoever reads next closes its socket: nobody waits here for a reader."""
        socket = self._inlets.leave(group)
        if socket is not None:
            self._loop.unwatch(socket)
            self._intake.sockets.remove(socket)
            self._waiters.remove(socket)
            self._socket.wake()
            self.drain_now()

    def rejoin(self, interfaces: Iterable[int]) -> None:
        """Make the memberships anew: the network changed."""
        self._inlets.rejoin(interfaces)

    # -- event loops -------------------------------------------------------------------------------------------------

    async def wait_async(self, loop: AbstractEventLoop) -> None:
        """Wait until something came, or somebody woke us."""
        waiters = self._waiters
        if waiters.loop is not loop:
            waiters.detach(self._inlets)
            waiters.attach(loop, self._inlets)
        if waiters.loop is not None and not self._lease.taken:
            self._turn.use(self._take_lease_and_drain)
            if self._messages:  # more than this coroutine takes
                waiters.wake(loop)
        await waiters.wait(loop, lambda: self._messages or self._closed)

    def _take_lease_and_drain(self) -> None:
        self._lease.take()
        self._drain()

    def _on_loop_readable(self, socket: Socket) -> None:
        if not self._closed:
            self._turn.use(self._read_one, socket)
        if self._messages:
            self._waiters.wake(self._waiters.loop)

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self, timeout: float) -> None:
        """Stop reading; whoever waits is woken. Waits no longer than a timeout for those who still read."""
        self._closed = True
        self._wait.reset()
        self._lease.close()
        self._socket.wake()
        self._waiters.detach(self._inlets)
        try:
            self._turn.await_end(timeout)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the sockets without a word."""
        self._closed = True
        self._wait.close()
        self._turn = self._lease.turn = Turn()  # in a forked child a thread that is not there may have the old one
        self._inlets.close()
