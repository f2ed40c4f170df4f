"""What others offer by Zenoh, and what comes of it. Knows Zenoh; nothing of what is taken, or why."""

from __future__ import annotations

import logging
from typing import Any

from ..adapter import Ears, Identity, Key
from ..offers import Beginning, Offer, Parcel, unpack_head
from .access import Access
from .tokens import ANSWER, Tokens

__all__ = ["Incoming"]

log = logging.getLogger(__name__)

HEAD = 24  # bytes of the head of a parcel; one more says that it is marked
KEPT, KEPT_BYTES = 10_000, 64 << 20  # messages that a publisher is said to keep; more are none


class Incoming:
    """What comes on one session.

    Args:
        access: the session.
        identity: who we are, and what we listen for.
        ears: who is told.

    Attributes:
        tokens: what is offered.
    """

    def __init__(self, access: Access, identity: Identity, ears: Ears) -> None:
        self._access = access
        self._zenoh = access.zenoh
        self._ears = ears
        self._ins: dict[Key, Any] = {}
        self.tokens = Tokens(
            access, identity, "offer", "ask", offered=ears.offered, gone=ears.gone, dropped=ears.dropped
        )

    def listen(self) -> None:
        """Hear what is offered, anew where it was heard before."""
        self.tokens.listen()

    # -- what is wanted ----------------------------------------------------------------------------------------------

    def want(self, offer: Offer) -> None:
        """Have what is offered sent here, and ask how it begins."""
        self.unwant(offer.key)
        keys = self._access.keys
        seen = keys.of("seen", offer.topic, offer.key)
        listener = self._access.direct(lambda sample: self._on_sample(offer.key, seen, sample))
        expression = keys.of("data", offer.topic, offer.key)
        self._ins[offer.key] = self._access.session.declare_subscriber(expression, listener)
        self._access.submit(self._ask_beginning, offer)

    def unwant(self, key: Key) -> None:
        """Have it sent here no more."""
        self._access.undeclare(self._ins.pop(key, None))

    def _ask_beginning(self, offer: Offer) -> None:
        seq, size = 0, 0
        kept: list[Parcel] = []
        selector = f"{self._access.keys.of('ask', offer.topic, offer.key)}?begin"
        none = self._zenoh.ConsolidationMode.NONE
        try:
            for reply in self._access.session.get(selector, timeout=ANSWER, consolidation=none):
                parcel = self._parcel(reply.ok) if reply.ok is not None else None
                if parcel is not None and parcel.body is None:
                    seq = parcel.seq
                elif parcel is not None and len(kept) < KEPT and size + len(parcel.body) <= KEPT_BYTES:
                    kept.append(parcel)
                    size += len(parcel.body)
                elif parcel is not None:
                    self._ears.dropped("crowded")
        finally:
            self._ears.begun(offer.key, Beginning(seq, tuple(kept)))

    def _on_sample(self, key: Key, seen: str, sample: Any) -> None:
        parcel = self._parcel(sample)
        if parcel is None:
            return
        if len(sample.attachment) > HEAD:
            first = self._zenoh.Priority.INTERACTIVE_HIGH  # a queue of its own: here nobody may wait for data
            self._access.session.put(seen, parcel.seq.to_bytes(8, "little"), express=True, priority=first)
        self._ears.arrived(key, parcel)

    def _parcel(self, sample: Any) -> Parcel | None:
        try:
            head = sample.attachment.to_bytes() if sample.attachment is not None else b""
            return unpack_head(head[:HEAD], sample.payload.to_bytes())
        except ValueError as error:
            log.debug("a message is not taken: %s", error)
            self._ears.dropped("malformed")
            return None
