"""The keys of a node: read when it is made, and read again when their file changes; and what is sealed with them in
each of its lives. Knows the file, the seal and the I/O thread; nothing of how it seals.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from ..errors import ArgumentError
from ..log import get_logger
from ..transport.sockets import Sockets
from ..typed import TYPE_CHECKING
from .loop import Loop

if TYPE_CHECKING:
    from ..sealing.keyfile import KeyFile
    from ..sealing.keys import Keyring
    from ..sealing.seal import Seal

__all__ = ["KeyWatch"]

log = get_logger(__name__)

LOOK = 1.0  # seconds between two looks; a file is read once it is the same at two of them


class KeyWatch:
    """Watches one key file. A file that is broken or gone changes nothing: the keys before stay.

    Args:
        path: the file; empty for a node without a key: then nothing of sealing is imported.

    Attributes:
        keyring: the keys in use; None without a key.
        seal: what seals and opens in this life of the node; None without a key.

    Raises:
        ArgumentError: (a ValueError) if it is not a key file to be trusted.
        IpcError: if what seals is not installed.
    """

    def __init__(self, path: str) -> None:
        self.keyring: Keyring | None = None
        self.seal: Seal | None = None
        self._file: KeyFile | None = None
        if path:
            from ..sealing.keyfile import KeyFile, need_extra

            self._file = KeyFile(path)
            self.keyring = self._file.keyring
            need_extra()

    def seal_anew(self, sockets: Sockets) -> Sockets:
        """Return what makes the sockets of a new life of the node: sealed if it has a key, else as they are."""
        if self.keyring is None:
            return sockets
        from ..sealing.seal import Seal
        from ..sealing.sockets import sealed

        self.seal = Seal(self.keyring)
        return sealed(sockets, self.seal)

    @property
    def refused(self) -> Counter[str]:
        """Datagrams that the seal has refused in this life, by cause."""
        return self.seal.refused if self.seal is not None else Counter()

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the keys, each as 8 hexadecimal digits, the one first that seals; none without a key."""
        return tuple(key.id.hex() for key in self.keyring.keys) if self.keyring is not None else ()

    def handover_names(self, node: str) -> tuple[str, ...]:
        """Return the names at which a node is offered memory, by its id: one for each key, which only who has it knows.

        Without a key that is the id.
        """
        if self.keyring is None:
            return (node,)
        info = f"ipcpy 1 handover {node}".encode()
        return tuple(key.derive(info, 8).hex() for key in self.keyring.keys)

    def start(self, loop: Loop, removed: Callable[[float], object], *changed: Callable[[], object]) -> None:
        """Look once a second, in the I/O thread, until the loop ends; from that thread. Without a key not at all.

        Args:
            removed: called with the time, on the monotonic clock, when one of those before is not accepted any more.
            changed: all are called when the keys are others.
        """

        def look() -> None:
            loop.call_at(time.monotonic() + LOOK, look)
            before = self.keyring
            for each in changed if self.look() else ():
                each()
            if before is not None and self.keyring is not None and not set(before.keys) <= set(self.keyring.keys):
                removed(time.monotonic())

        if self._file is not None:
            loop.call_at(time.monotonic() + LOOK, look)

    def look(self) -> bool:
        """Look now, and tell whether the keys are others; see ``start``."""
        if self._file is None:
            return False
        try:
            if not self._file.look():
                return False
        except ArgumentError as error:
            log.warning("%s. The keys that were read before stay in use.", error)
            return False
        self.keyring = ring = self._file.keyring
        if self.seal is not None:
            self.seal.keyring = ring
        others = f" (and {len(ring.keys) - 1} more accepted)" if len(ring.keys) > 1 else ""
        log.info("the key file %r changed: sealed is with %r%s", self._file.path, ring.first.fingerprint, others)
        return True
