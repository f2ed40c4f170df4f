"""A lock, and waiting for what it guards to change, that Ctrl-C, signal handlers and forks do not break.

Knows threads and locks; nothing of what is guarded. An exception can come from outside between any two calls of a
user's thread, and a signal handler can call us in the midst of our own work, in the thread that holds our lock. So

- every lock that a user's thread takes is an RLock: who calls from a signal handler is not stuck behind itself;
- it is taken within ``try`` and given back within ``finally``, where a RuntimeError says that it was not taken yet: an
  exception between ``acquire()`` and a ``try`` after it would leave the lock locked for ever. ``with`` of an RLock is
  as safe; ``with`` of a Condition, or of anything else whose ``__enter__`` is written in Python, is not;
- nobody holds a lock while waiting to be told of a change (``Bell``).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from functools import partial

from .fast import TurnFields, compiled
from .log import get_logger
from .timeouts import NEVER, in_pieces
from .typed import TYPE_CHECKING, Any, Protocol, TypeVar
from .wakeups import call_in, resolve, running_loop, within

if TYPE_CHECKING:
    from asyncio import Future

log = get_logger(__name__)

RLock: Callable[[], threading.RLock] = threading.RLock if compiled is None else compiled.Lock
"""Make a lock: where there is the compiled part, one that does the same and that C takes without a call."""

T = TypeVar("T")
Work = Generator[float | None, None, T]  # each float: give the lock up for so many seconds, or until the bell rings

Wait = Callable[[float | None], object]


class Rings(Protocol):
    """What wakes those who wait: a Bell, or what stands for it on a made-up clock."""

    def waiter(self) -> Wait:
        """Return a function that waits, for so many seconds at most, until ``ring`` is called after this."""
        ...

    def ring(self) -> None:
        """Wake all who wait."""
        ...

    async def wait_async(self, over: Callable[[], object]) -> None:
        """Wait in a coroutine until something is true, which is looked at whenever it rings."""


class Bell:
    """Wakes those who wait for a change, threads and coroutines of any event loops.

    A thread asks for a ``waiter`` while it holds the lock, gives the lock up, and waits then: a change that comes
    between is not missed.
    """

    def __init__(self) -> None:
        self._waiting: set[threading.Lock] = set()
        self._futures: set[Future[None]] = set()

    def waiter(self) -> Wait:
        """Return a function that waits, for so many seconds at most, until ``ring`` is called after this."""
        waiting = threading.Lock()
        waiting.acquire()
        self._waiting.add(waiting)
        return partial(self._wait, waiting)

    def _wait(self, waiting: threading.Lock, timeout: float | None) -> bool:
        try:
            return in_pieces(lambda piece: waiting.acquire(True, -1 if piece is None else max(0.0, piece)), timeout)
        finally:
            self._waiting.discard(waiting)  # it may not ring for days

    def ring(self) -> None:
        """Wake all who wait; those that an exception took away from there do no harm."""
        while self._waiting:
            with contextlib.suppress(KeyError):  # another thread was faster
                self._waiting.pop().release()
        for future in list(self._futures) if self._futures else ():
            call_in(future.get_loop(), resolve, future)

    async def wait_async(self, over: Callable[[], object]) -> None:
        """Wait in a coroutine until something is true; one that is cancelled leaves nothing behind.

        Args:
            over: looks whether it is true, without the lock.
        """
        loop = running_loop()
        while not over():
            future: Future[None] = loop.create_future()
            self._futures.add(future)
            try:
                if not over():  # else it became true before anybody could know of the future
                    await future
            finally:
                self._futures.discard(future)


def start(thread: threading.Thread) -> None:
    """Start a thread.

    An exception from outside ends Python's waiting for the thread's first step, and there its Condition complains of a
    lock that was not locked: here the exception itself is raised.
    """
    handled = sys.exc_info()[1]  # by whoever calls
    try:
        thread.start()
    except RuntimeError as error:
        if error.__context__ is None or error.__context__ is handled:
            raise
        raise error.__context__ from None


def owned_by_caller(lock: threading.RLock) -> Callable[[], bool]:
    """Return a function that tells whether the calling thread holds a lock."""
    owned: Callable[[], bool] = lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
    return owned


class Monitor:
    """A lock, what waits for changes of what it guards, and what was asked for by who could not be let in.

    Args:
        bell: wakes those who wait.

    Attributes:
        lock: an RLock.
        owned: tells whether the calling thread holds the lock.
        later: work that a signal handler, or the garbage collector, asked for in the thread that held the lock.
    """

    def __init__(self, bell: Rings) -> None:
        self.lock = RLock()
        self.owned = owned_by_caller(self.lock)
        self.bell = bell
        self.later: deque[Work[Any]] = deque()

    def do(self, work: Work[T]) -> T:
        """Do work with the lock held; the lock is given up where the work waits.

        Returns:
            What the work returns.

        Raises:
            RuntimeError: the thread holds the lock already; then the work can only be done ``later``.
        """
        if self.owned():
            raise RuntimeError("the lock is held by this thread: the work can only be done later")
        lock = self.lock
        try:
            while True:
                try:
                    lock.acquire()
                    timeout = next(work)
                    wait = self.bell.waiter()
                finally:
                    try:
                        lock.release()
                    except RuntimeError:  # an exception came before it was acquired
                        pass
                if self.later:
                    self.catch_up()
                wait(timeout)
        except StopIteration as end:
            result: T = end.value
            return result
        except BaseException:
            with lock:
                work.close()
            raise
        finally:
            if self.later:
                self.catch_up()

    def busy(self) -> bool:
        """Tell whether some thread, be it this one, holds the lock now."""
        if self.owned():
            return True
        free = False
        try:
            free = self.lock.acquire(False)
        finally:
            try:
                self.lock.release()
            except RuntimeError:  # another thread holds it
                pass
        return not free

    def wait_for(self, over: Callable[[], object], timeout: float | None) -> bool:
        """Wait in a thread until something is true, which is looked at with the lock held, or the time is up.

        In a signal handler that interrupted who held the lock nothing can change: there one only looks.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            Whether it is true.
        """
        if self.owned():
            return bool(over())
        deadline = NEVER if timeout is None else time.monotonic() + timeout

        def work() -> Work[bool]:
            while not over():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                yield None if left == NEVER else left
            return True

        return self.do(work())

    async def wait_for_async(self, over: Callable[[], object], timeout: float | None) -> bool:
        """Wait as ``wait_for``, in a coroutine; it looks without the lock."""
        return await within(timeout, self.bell.wait_async(over))

    def catch_up(self) -> None:
        """Do what was put off while the thread held the lock."""
        while self.later and not self.owned():
            try:
                self.do(self.later.popleft())
            except IndexError:  # another thread was faster
                return
            except Exception:
                log.exception("what was asked for from a signal handler, in the midst of other work, failed")


class Turn(TurnFields):
    """The right to do what takes long, which one thread has at a time; who cannot have it now goes without.

    Attributes:
        lock: an RLock: who holds it has the right.
        owned: tells whether the calling thread has it.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.owned = owned_by_caller(self.lock)

    def use(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function with the right, unless a thread has it already, be it this one."""
        if self.owned():
            return
        lock = self.lock
        try:
            if lock.acquire(False):
                function(*arguments)
        finally:
            try:
                lock.release()
            except RuntimeError:  # it was not acquired
                pass

    def acquire(self, timeout: float | None) -> float | None:
        """Wait for the right, some seconds, None for ever; whoever calls gives ``lock`` back in a ``finally``.

        Returns:
            What is left of the time.

        Raises:
            BlockingIOError: another thread has it still.
        """
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        if not in_pieces(lambda piece: self.lock.acquire(True, -1 if piece is None else piece), timeout):
            raise BlockingIOError
        return None if timeout is None else max(0.0, deadline - time.monotonic())

    def await_end(self, timeout: float) -> None:
        """Wait some seconds at most until no other thread has it."""
        try:
            with contextlib.suppress(BlockingIOError):
                self.acquire(timeout)
        finally:
            try:
                self.lock.release()
            except RuntimeError:  # another thread has it still
                pass
