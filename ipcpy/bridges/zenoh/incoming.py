"""What others offer by Zenoh, and what comes of it. Knows Zenoh; nothing of what is taken, or why."""

from __future__ import annotations

import logging
import threading
from typing import Any

from ..adapter import Ears, Identity, Key
from ..offers import Beginning, Offer, Parcel, unpack_head, unpack_offer
from .access import Access

__all__ = ["Incoming"]

log = logging.getLogger(__name__)

HEAD = 24  # bytes of the head of a parcel; one more says that it is marked
ANSWER = 2.0  # seconds that a question waits for an answer
AGAIN = 2.0  # seconds after which an offer that nobody told about is asked for again
MAX_TOLD = 20_000  # offers that are known at a time


class Incoming:
    """What comes on one session.

    Args:
        access: the session.
        identity: who we are, and what we listen for.
        ears: who is told.
    """

    def __init__(self, access: Access, identity: Identity, ears: Ears) -> None:
        self._access = access
        self._zenoh = access.zenoh
        self._identity = identity
        self._ears = ears
        self._ins: dict[Key, Any] = {}
        self._told: dict[Key, str] = {}  # offers that are there, and the topic of each
        self._asked: dict[Key, float] = {}  # those of which nothing is known yet, and when that was asked
        self._lock = threading.Lock()
        self._listeners: list[Any] = []

    def listen(self) -> None:
        """Hear what is offered, anew where it was heard before."""
        self._access.undeclare(*self._listeners)
        self._listeners.clear()
        for pattern in self._identity.wanted:
            expression = self._zenoh.KeyExpr.autocanonize(self._access.keys.offers_of(pattern))
            listener, live = self._access.direct(self._on_token), self._access.session.liveliness()
            self._listeners.append(live.declare_subscriber(expression, listener, history=True))

    def look(self, now: float) -> None:
        """Ask for what is not known yet."""
        with self._lock:
            due = [key for key, at in self._asked.items() if now - at > AGAIN]
            self._asked.update(dict.fromkeys(due, now))
        for key in due:
            self._access.submit(self._ask_offer, key)

    # -- what is offered ---------------------------------------------------------------------------------------------

    def _on_token(self, sample: Any) -> None:
        try:
            _, topic, key = self._access.keys.read(str(sample.key_expr))
        except ValueError:
            self._ears.dropped("key")
            return
        if key[0] == self._identity.id:
            return
        if sample.kind == self._zenoh.SampleKind.DELETE:
            with self._lock:
                self._told.pop(key, None)
                self._asked.pop(key, None)
            self._ears.gone(key)
            return
        with self._lock:
            crowded = len(self._told) >= MAX_TOLD and key not in self._told
            if not crowded:
                self._told[key] = topic
                self._asked[key] = 0.0  # the next look asks, many at a time
        if crowded:
            self._ears.dropped("crowded")

    def _ask_offer(self, key: Key) -> None:
        """Ask what an offer is; the answer comes in a thread of Zenoh's."""
        with self._lock:
            topic = self._told.get(key)
        if topic is None:
            return

        def answered(reply: Any) -> None:
            if reply.ok is not None:
                self._take_offer(key, topic, reply.ok.payload.to_bytes())

        expression = self._access.keys.of("ask", topic, key)
        self._access.session.get(expression, self._access.direct(answered), timeout=ANSWER)

    def _take_offer(self, key: Key, topic: str, data: bytes) -> None:
        try:
            offer = unpack_offer(data)
            if offer.key != key or offer.topic != topic:
                raise ValueError("another offer than was asked for")
        except ValueError as error:
            log.debug("an offer is not taken: %s", error)
            self._ears.dropped("offer")
            return
        with self._lock:
            if self._told.get(key) != topic:
                return  # it is gone
            self._asked.pop(key, None)
        self._ears.offered(offer)

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
        seq, kept = 0, []
        selector = f"{self._access.keys.of('ask', offer.topic, offer.key)}?begin"
        none = self._zenoh.ConsolidationMode.NONE
        try:
            for reply in self._access.session.get(selector, timeout=ANSWER, consolidation=none):
                parcel = self._parcel(reply.ok) if reply.ok is not None else None
                if parcel is not None and parcel.body is None:
                    seq = parcel.seq
                elif parcel is not None:
                    kept.append(parcel)
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
