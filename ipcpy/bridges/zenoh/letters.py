"""Services by Zenoh: tokens, and letters between bridges. Knows Zenoh; nothing of calls.

A letter goes to the one key that its reader listens to; one thread sends them, so they arrive in their order.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..adapter import Ears, Identity, Key
from ..offers import Offer, pack_offer, read_id
from .access import Access
from .outgoing import LARGE
from .tokens import Tokens

__all__ = ["Letters"]

log = logging.getLogger(__name__)

MAX_WAITING = 256 << 20  # bytes of letters that wait for Zenoh; what is above is lost, and its call ends


class Letters:
    """The services on one session.

    Args:
        access: the session.
        identity: who we are, and what we listen for.
        ears: who is told.

    Attributes:
        tokens: the services of others.
    """

    def __init__(self, access: Access, identity: Identity, ears: Ears) -> None:
        self._access, self._identity, self._ears = access, identity, ears
        self._zenoh = access.zenoh
        self._served: dict[Key, list[Any]] = {}
        self._heard: dict[Key, Any] = {}
        self._lock = threading.Lock()
        self._large: set[Key] = set()  # services that have sent or been sent a large letter: they let others pass
        self._waiting = 0
        self._sender = ThreadPoolExecutor(1, "ipcpy bridge letters")
        self.tokens = Tokens(
            access, identity, "service", "serves", offered=ears.served, gone=ears.retired, dropped=ears.dropped
        )

    def listen(self) -> None:
        """Hear which services there are, anew where it was heard before."""
        self.tokens.listen()

    def take_up(self, served: Iterable[Offer], heard: Iterable[Offer]) -> None:
        """Declare all, for the first time."""
        self.listen()
        for offer in served:
            self.serve(offer)
        for offer in heard:
            self.hear(offer)

    # -- what we serve, and what we hear -----------------------------------------------------------------------------

    def serve(self, offer: Offer) -> None:
        """Declare a service of ours."""
        self.retire(offer.key)
        access, keys, key = self._access, self._access.keys, offer.key
        answer = access.direct(lambda query: self._answer(offer, query))
        calls = access.direct(lambda sample: self._on_call(key, sample))
        self._served[key] = [
            access.session.declare_subscriber(keys.of("call", offer.topic, key), calls),
            access.session.declare_queryable(keys.of("serves", offer.topic, key), answer),
            access.session.liveliness().declare_token(keys.of("service", offer.topic, key)),
        ]

    def _answer(self, offer: Offer, query: Any) -> None:
        with query:
            query.reply(query.key_expr, pack_offer(offer))

    def _on_call(self, key: Key, sample: Any) -> None:
        try:
            caller = read_id(sample.attachment.to_bytes().decode() if sample.attachment is not None else "")
        except ValueError:
            self._ears.dropped("malformed")
            return
        self._ears.letter(key, caller, sample.payload.to_bytes())

    def retire(self, key: Key) -> None:
        """Declare it no more."""
        self._large.discard(key)
        self._access.undeclare(*reversed(self._served.pop(key, [])))

    def hear(self, offer: Offer) -> None:
        """Hear what a service answers us."""
        self.unhear(offer.key)
        expression = self._access.keys.of("answer", offer.topic, (self._identity.id, offer.publisher))
        listener = self._access.direct(lambda sample: self._ears.letter(offer.key, "", sample.payload.to_bytes()))
        self._heard[offer.key] = self._access.session.declare_subscriber(expression, listener)

    def unhear(self, key: Key) -> None:
        """Hear it no more."""
        self._large.discard(key)
        self._access.undeclare(self._heard.pop(key, None))

    # -- letters -----------------------------------------------------------------------------------------------------

    def post(self, offer: Offer, to: str, data: bytes) -> None:
        """Send a letter, once those before it are."""
        kind, key = ("answer", (to, offer.publisher)) if to else ("call", offer.key)
        expression = self._access.keys.of(kind, offer.topic, key)
        if len(data) >= LARGE:  # from now on for all of this service, so that none overtakes another
            self._large.add(offer.key)
        priority = self._zenoh.Priority.DATA_LOW if offer.key in self._large else self._zenoh.Priority.DATA
        with self._lock:
            if self._waiting + len(data) > MAX_WAITING:
                self._ears.dropped("letter")
                return
            self._waiting += len(data)
        with suppress(RuntimeError):  # it is being closed
            self._sender.submit(self._put, expression, data, priority)

    def _put(self, expression: str, data: bytes, priority: Any) -> None:
        zenoh = self._zenoh
        try:
            self._access.session.put(
                expression,
                data,
                attachment=self._identity.id.encode(),
                congestion_control=zenoh.CongestionControl.BLOCK,
                priority=priority,
            )
        except zenoh.ZError as error:
            log.debug("Zenoh: %s", error)
        except Exception:
            log.exception("a letter could not be sent")
        finally:
            with self._lock:
                self._waiting -= len(data)

    def close(self) -> None:
        """Send nothing more."""
        self._sender.shutdown(wait=False, cancel_futures=True)
