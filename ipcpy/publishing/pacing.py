"""How long publish and close wait for subscribers. All waiting in publishing is here, with its bounds.

Knows who is behind and what time it is; sends nothing but polls. What waits is work for the publisher's Monitor, which
holds the lock but for the times that the work yields.
"""

from __future__ import annotations

from collections.abc import Callable

from ..locks import Work
from ..protocol.data.history import Kept
from ..protocol.data.spares import Spares
from .outlet import Outlet
from .route import Route

BLOCK = 1.0  # seconds that a reliable publisher waits, unless it is told otherwise, for those who cannot follow
TAKING_PAUSE = 0.000_1  # seconds: nobody tells when a message in shared memory was taken
BLOCK_PAUSE = 0.005  # between polls meanwhile
WAIT = 0.05  # seconds that a best-effort publisher waits at most for a subscriber still taking large messages
BATCH_WAIT = 0.25  # the same for batches, which are what takes subscribers longest
HANDOVER = 0.002  # seconds that publish keeps the caller's buffer, before what is still to be sent of it is copied
HURRY = 0.01  # seconds: after a younger large message publish waits until the next is sent, not until it is there
LINGER = 0.05  # seconds that close waits at most until all have acknowledged the last message
LINGER_PAUSE = 0.005  # between polls meanwhile


class Pacing:
    """Waits for the subscribers of one publisher.

    Args:
        outlet: the subscribers that the publisher has.
        block: seconds that a reliable publisher waits for those who cannot follow.
        clock: seconds, never going back.
    """

    def __init__(self, outlet: Outlet, block: float, clock: Callable[[], float]) -> None:
        self._outlet = outlet
        self._block = block
        self._clock = clock
        self._spares = Spares()  # for copies of what is owed
        self._large_at = -HURRY  # when the last large message was published

    # -- before a message --------------------------------------------------------------------------------------------

    def make_room(self, size: int, *, large: bool | None = None) -> Work[None]:
        """Wait, for a bounded time, for subscribers that answer but cannot take a message of a size yet.

        Args:
            large: whether it goes in fragments or through shared memory; by default where no frame holds it.
        """
        outlet = self._outlet
        if outlet.reliable is not None and not self._block:
            return
        large = size > outlet.max_body if large is None else large
        best_effort = WAIT if large else BATCH_WAIT
        ask_at = self._clock()
        deadline = ask_at + (best_effort if outlet.reliable is None else self._block)
        while (now := self._clock()) < deadline and not outlet.closed:
            behind = self._behind(size, now, large=large)
            if not behind:
                return
            pause = deadline - now
            if any(route.sharing.busy for route in outlet.routes):
                pause = min(pause, TAKING_PAUSE)
            if now >= ask_at and self._ask_slow():
                ask_at = now + BLOCK_PAUSE
            if outlet.reliable is not None:
                self._ask_followers(behind, now)
                pause = min(pause, BLOCK_PAUSE)
            yield pause

    def look(self, size: int) -> Work[bool]:
        """Tell whether subscribers can take a message of a size now; if not, ask them how far they are."""
        outlet, now = self._outlet, self._clock()
        behind = self._behind(size, now, large=size > outlet.max_body)
        if behind and not outlet.closed:
            self._ask_slow()
            self._ask_followers(behind, now)
        return outlet.closed or not behind
        yield  # it is work that waits for nothing

    def _ask_slow(self) -> bool:
        """Ask those to whom all was sent in fragments: once that is there, shared memory is the way again."""
        routes = [each for each in self._outlet.routes if each.sharing.ready and each.sender.backlog]
        for route in routes:
            if not route.sender.busy:
                route.poll()
        return any(not route.sender.busy for route in routes)

    def _ask_followers(self, behind: set[int], now: float) -> None:
        if self._outlet.reliable is not None:
            followers = [number for number in behind if number in self._outlet.reliable.followers]
            self._outlet.poll(self._outlet.reliable.to_poll(followers, now))

    def _behind(self, size: int, now: float, *, large: bool) -> set[int]:
        """Return the subscribers that answer, but for which one more message of a size would be too much."""
        outlet = self._outlet
        reliable = outlet.reliable
        if reliable is None:
            behind = [route for route in outlet.routes if (route.busy if large else route.sender.full)]
            patience = WAIT if large else BATCH_WAIT
            return {route.match.subscriber for route in behind if not route.sender.stalled(now, patience)}
        full = {route.match.subscriber for route in outlet.routes if route.full(now, large=large)}
        stalled = {number for number in full if reliable.followers[number].stalled(now)}
        return full - stalled | set(reliable.holding(size, now))

    # -- after a large message ---------------------------------------------------------------------------------------

    def hand_back(self, message: Kept) -> Work[None]:
        """Wait a moment for a message to arrive, then copy what is still owed of it: the buffer is the caller's again.

        Where large messages follow one another closely, and on one host, it waits only until all is sent, not until it
        has arrived: a copy takes less time there.
        """
        outlet = self._outlet
        now = self._clock()
        hurried, self._large_at = now < self._large_at + HURRY, now
        if message.placed is not None:
            self._copy_out(message)
        if all(part.readonly for part in message.parts):
            return
        deadline = now + HANDOVER
        try:
            while (owing := self._owing(message)) and (now := self._clock()) < deadline and not outlet.closed:
                gentle = not hurried and any(route.sender.lossy for route in owing)
                if not gentle and not any(route.sender.busy for route in owing):
                    break
                yield deadline - now
        finally:  # also where an exception from outside ends the waiting: the caller may change his buffer now
            if owing := self._owing(message):
                parts = [part if part.readonly else self._copy(part) for part in message.parts]
                for route in owing:
                    route.sender.replace(message.seq, parts)

    def _copy_out(self, message: Kept) -> None:
        """Copy what is still owed in fragments of a message in shared memory: who is slow must not keep its place."""
        if self._outlet.reliable is None and (owing := self._owing(message)):
            parts = [self._copy(part) for part in message.parts]
            for route in owing:
                route.sender.replace(message.seq, parts)

    def _copy(self, part: memoryview) -> memoryview:
        buffer = self._spares.take(len(part)) or bytearray(len(part))
        with memoryview(buffer) as view:
            view[:] = part
        self._spares.keep(buffer)
        return memoryview(buffer).toreadonly()

    def _owing(self, message: Kept) -> list[Route]:
        return [route for route in self._outlet.routes if route.sender.owes(message.seq)]

    # -- at the end ------------------------------------------------------------------------------------------------

    def linger(self, until: float) -> Work[None]:
        """Say what the last number was, until all have acknowledged it or a time has come."""
        outlet = self._outlet
        while behind := [route for route in outlet.routes if route.behind]:
            for route in behind:
                route.poll()
            now = self._clock()
            if now >= until:
                break
            yield min(LINGER_PAUSE, until - now)
