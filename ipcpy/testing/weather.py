"""What happens to datagrams on a bad network: seeded dice and a thread for those that come later. Knows no sockets."""

from __future__ import annotations

import contextlib
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

Send = Callable[[bytes], object]
HELD = 0.002  # seconds that a datagram is held back, so that later ones overtake it


class Weather:
    """A gate that datagrams pass on their way out, or do not.

    Attributes:
        loss, duplicate, reorder: shares of datagrams, from 0 to 1.
        delay: seconds.
        counts: datagrams sent, lost, duplicated, reordered.
    """

    def __init__(self, loss: float, duplicate: float, reorder: float, delay: float, seed: int) -> None:
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.delay = delay
        self.counts: Counter[str] = Counter()
        self._random = Random(seed)
        self._changed = threading.Condition()
        self._later: list[tuple[float, int, Send, bytes]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def pass_on(self, send: Send, data: bytes) -> None:
        """Send a datagram now, later, twice or not at all.

        Raises:
            OSError: of ``send``, if it is called at once.
        """
        with self._changed:
            self.counts["sent"] += 1
            if self._falls(self.loss, "lost"):
                return
            copies = 2 if self._falls(self.duplicate, "duplicated") else 1
            wait = self.delay + (HELD if self._falls(self.reorder, "reordered") else 0.0)
            if wait:
                self._keep(wait, send, data, copies)
                return
        for _ in range(copies):
            send(data)

    def _falls(self, share: float, count: str) -> bool:
        falls = share > 0 and self._random.random() < share
        self.counts[count] += falls
        return falls

    def _keep(self, wait: float, send: Send, data: bytes, copies: int) -> None:
        for _ in range(copies):
            heapq.heappush(self._later, (time.monotonic() + wait, self.counts["later"], send, data))
            self.counts["later"] += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ipcpy weather", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not (self._later and self._later[0][0] <= time.monotonic()):
                    self._changed.wait(self._later[0][0] - time.monotonic() if self._later else None)
                if self._closed:
                    return
                _, _, send, data = heapq.heappop(self._later)
            with contextlib.suppress(OSError):  # the socket was closed meanwhile, or nobody listens: lost
                send(data)

    def close(self) -> None:
        """End the thread; what is on its way is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(1.0)
