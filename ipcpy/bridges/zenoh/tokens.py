"""What others offer by tokens of Zenoh, topics or services, and what each is. Knows Zenoh; nothing of what is taken."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from ..adapter import Identity, Key
from ..offers import Offer, unpack_offer
from .access import Access

__all__ = ["ANSWER", "MAX_TOLD", "Tokens"]

log = logging.getLogger(__name__)

ANSWER = 2.0  # seconds that a question waits for an answer
AGAIN, LONGEST = 2.0, 60.0  # seconds after which is asked again what nobody told; twice as many each time
MAX_TOLD = 20_000  # offers that are known at a time


class _Question(NamedTuple):
    at: float  # when it is due
    pause: float  # seconds after which it is due again


class Tokens:
    """The tokens of one kind on one session.

    Args:
        access: the session.
        identity: who we are, and what we listen for.
        kind: the kind of key that the tokens have.
        ask: the kind of key that says what they are.
        offered: takes an offer.
        gone: takes the key of one that is there no more.
        dropped: takes why something was none.
    """

    def __init__(
        self,
        access: Access,
        identity: Identity,
        kind: str,
        ask: str,
        *,
        offered: Callable[[Offer], object],
        gone: Callable[[Key], object],
        dropped: Callable[[str], object],
    ) -> None:
        self._access, self._identity, self._kind, self._ask_kind = access, identity, kind, ask
        self._offered, self._gone, self._dropped = offered, gone, dropped
        self._told: dict[Key, str] = {}  # those that are there, and the topic of each
        self._asked: dict[Key, _Question] = {}  # those of which nothing is known yet
        self._lock = threading.Lock()
        self._listeners: list[Any] = []

    def __len__(self) -> int:
        return len(self._told)

    def listen(self) -> None:
        """Hear what is there, anew where it was heard before."""
        access = self._access
        access.undeclare(*self._listeners)
        self._listeners.clear()
        for pattern in self._identity.wanted:
            expression = access.zenoh.KeyExpr.autocanonize(access.keys.all_of(self._kind, pattern))
            listener, live = access.direct(self._on_token), access.session.liveliness()
            self._listeners.append(live.declare_subscriber(expression, listener, history=True))

    def look(self, now: float) -> None:
        """Ask for what is not known yet."""
        with self._lock:
            due = [(key, asked.pause) for key, asked in self._asked.items() if now >= asked.at]
            for key, pause in due:
                self._asked[key] = _Question(now + pause, min(2 * pause, LONGEST))
        for key, _ in due:
            self._access.submit(self._ask, key)

    def _on_token(self, sample: Any) -> None:
        try:
            _, topic, key = self._access.keys.read(str(sample.key_expr))
        except ValueError:
            self._dropped("key")
            return
        if key[0] == self._identity.id:
            return
        if sample.kind == self._access.zenoh.SampleKind.DELETE:
            with self._lock:
                self._told.pop(key, None)
                self._asked.pop(key, None)
            self._gone(key)
            return
        with self._lock:
            crowded = len(self._told) >= MAX_TOLD and key not in self._told
            if not crowded:
                self._told[key] = topic
                self._asked[key] = _Question(0.0, AGAIN)  # the next look asks, many at a time
        if crowded:
            self._dropped("crowded")

    def _ask(self, key: Key) -> None:
        """Ask what it is; the answer comes in a thread of Zenoh's, and no worker waits for it."""
        with self._lock:
            topic = self._told.get(key)
        if topic is None:
            return

        def answered(reply: Any) -> None:
            if reply.ok is not None:
                self._take(key, topic, reply.ok.payload.to_bytes())

        expression = self._access.keys.of(self._ask_kind, topic, key)
        self._access.session.get(expression, self._access.direct(answered), timeout=ANSWER)

    def _take(self, key: Key, topic: str, data: bytes) -> None:
        try:
            offer = unpack_offer(data)
            if offer.key != key or offer.topic != topic:
                raise ValueError("another offer than was asked for")
        except ValueError as error:
            log.debug("an offer is not taken: %s", error)
            self._dropped("offer")
            return
        with self._lock:
            if self._told.get(key) != topic:
                return  # it is gone
            self._asked.pop(key, None)
        self._offered(offer)
