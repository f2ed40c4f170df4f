"""A way through which bytes pass until it stalls, and again when it goes on: a TCP relay on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress


class Way:
    """One connection is relayed; ``going`` says whether what comes back from the far end passes."""

    def __init__(self, stack: ExitStack, to: int) -> None:
        self.going = threading.Event()
        self.going.set()
        self._stack = stack
        self._listener = stack.enter_context(socket.socket())
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept, to)

    def _start(self, function, *arguments) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self, to: int) -> None:
        with suppress(OSError):
            near = self._stack.enter_context(self._listener.accept()[0])
            far = self._stack.enter_context(socket.socket())
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            far.connect(("127.0.0.1", to))
            self._start(self._pass, near, far, False)
            self._start(self._pass, far, near, True)

    def _pass(self, source: socket.socket, target: socket.socket, stalls: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if stalls:
                    self.going.wait()
                target.sendall(data)


@contextmanager
def way(to: int) -> Iterator[Way]:
    """Relay to a port on loopback while the block runs."""
    with ExitStack() as stack:
        made = Way(stack, to)
        try:
            yield made
        finally:
            made.going.set()
