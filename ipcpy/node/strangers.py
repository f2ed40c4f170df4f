"""Who is here and shares no key with this node. Knows keys by their fingerprints; reads nothing of what such nodes say.

A node with a key has its seal take note of them (sealing/foreign.py). One without a key does so itself, and imports
what it needs for that when it hears the first of them. Both are hints: anybody can send what looks like such a node.
"""

from __future__ import annotations

import time

from ..budget import Budget
from ..graph import Stranger
from ..importing import import_once
from ..log import get_logger
from ..protocol.link.greeting import GREETING_SIZE
from ..typed import TYPE_CHECKING

if TYPE_CHECKING:
    from ..protocol.link.link import Link
    from ..sealing.foreign import Foreign
    from ..sealing.seal import Seal

__all__ = ["Strangers"]

log = get_logger(__name__)

ANSWERS = 20  # a second, to greetings of who is new: anybody can be, again and again


class Strangers:
    """The nodes that were heard lately and cannot be understood.

    Args:
        link: to which sealed datagrams come where the node has no key.
        seal: what takes note of them where it has one.
    """

    def __init__(self, link: Link, seal: Seal | None) -> None:
        self._foreign: Foreign | None = None if seal is None else seal.foreign
        self._answers = Budget(ANSWERS, ANSWERS, time.monotonic())
        if seal is None:
            link.on_sealed = self._on_sealed

    def _on_sealed(self, data: bytes) -> bool:
        """Take note of who sent a sealed datagram; tell whether it is new and greeted: it may be answered."""
        import_once(".sealing.datagram")
        from ..sealing.datagram import HEAD, KIND, OVERHEAD, PROOF, SESSION_SIZE

        if len(data) < OVERHEAD or data[3] != KIND:
            return False
        if self._foreign is None:
            import_once(".sealing.foreign")
            from ..sealing.foreign import Foreign

            self._foreign = Foreign(time.monotonic)
            log.info("a node here uses a key, and this one has none: neither can read what the other sends")
        name: bytes = HEAD.unpack_from(data)[3]
        is_new = self._foreign.note(name[-SESSION_SIZE:], name[:-SESSION_SIZE])
        is_greeting = len(data) == OVERHEAD + PROOF.size + GREETING_SIZE
        return is_new and is_greeting and self._answers.take(1, time.monotonic())

    def found(self) -> tuple[Stranger, ...]:
        """Return them by key, most nodes first; from any thread."""
        if self._foreign is None:
            return ()
        from ..sealing.words import spell

        known = self._foreign.by_key()
        named = [Stranger(count, spell(key) if key is not None else "") for key, count in known.items()]
        return tuple(sorted(named, key=lambda each: (-each.nodes, each.fingerprint)))
