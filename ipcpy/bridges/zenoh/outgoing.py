"""What a bridge offers by Zenoh: tokens, queryables and publishers. Knows nothing of why it is offered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..adapter import Ears, Key, Unsent
from ..offers import Offer, Parcel, pack_head, pack_offer
from .access import Access, plain

__all__ = ["MARKED", "Outgoing"]

log = logging.getLogger(__name__)

MARKED = b"\x01"  # behind the head of a message whose arrival is to be said
LARGE = 16 << 10  # bytes of a message from which on its publisher lets those of others pass


class _Out:
    """What is declared for an offer of ours."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.declared: list[Any] = []
        self.publisher: Any = None
        self.large: Any = None
        self.seen: Any = None


class Outgoing:
    """What is offered on one session.

    Args:
        access: the session.
        ears: who is told.
        on_seen: is told how far the messages of an offer have come.
    """

    def __init__(self, access: Access, ears: Ears, on_seen: Callable[[Key, int], None]) -> None:
        self._access = access
        self._zenoh = access.zenoh
        self._ears = ears
        self._on_seen = on_seen
        self._outs: dict[Key, _Out] = {}

    def offer(self, offer: Offer) -> None:
        """Declare an offer."""
        self.withdraw(offer.key)
        out = self._outs[offer.key] = _Out(offer)
        try:
            self._declare(out)
        except self._zenoh.ZError as error:
            log.warning("%s cannot be offered by Zenoh: %s", offer.topic, plain(error))

    def _declare(self, out: _Out) -> None:
        access, offer = self._access, out.offer
        session, key = access.session, offer.key
        out.publisher = self._publisher(offer, large=False)
        listener = access.direct(lambda status: self._tell_wanted(key, bool(status.matching)))
        out.declared.append(out.publisher.declare_matching_listener(listener))
        answer = access.direct(lambda query: access.submit(self._answer, offer, query))
        out.declared.append(session.declare_queryable(access.keys.of("ask", offer.topic, key), answer))
        out.declared.append(session.liveliness().declare_token(access.keys.of("offer", offer.topic, key)))
        if out.publisher.matching_status.matching:
            self._tell_wanted(key, True)

    def _publisher(self, offer: Offer, *, large: bool) -> Any:
        zenoh = self._zenoh
        return self._access.session.declare_publisher(
            self._access.keys.of("data", offer.topic, offer.key),
            congestion_control=zenoh.CongestionControl.BLOCK if offer.reliable else zenoh.CongestionControl.DROP,
            priority=zenoh.Priority.DATA_LOW if large else zenoh.Priority.DATA,
            reliability=zenoh.Reliability.RELIABLE,
            express=False,  # those that wait share a packet: a router holds two, and drops what comes next
        )

    def _tell_wanted(self, key: Key, wanted: bool) -> None:
        if not self._access.closed:
            self._ears.wanted(key, wanted)

    def again(self) -> None:
        """Tell again what is wanted: the link was away."""
        for out in list(self._outs.values()):
            self._tell_wanted(out.offer.key, out.publisher.matching_status.matching)

    def _answer(self, offer: Offer, query: Any) -> None:
        with query:
            if "begin" not in str(query.parameters):
                query.reply(query.key_expr, pack_offer(offer))
                return
            beginning = self._ears.beginning_of(offer.key)
            if beginning.seq:
                query.reply(query.key_expr, b"", attachment=pack_head(Parcel(beginning.seq, 0, None)))
            for parcel in beginning.kept:
                query.reply(query.key_expr, parcel.body, attachment=pack_head(parcel))

    def withdraw(self, key: Key) -> None:
        """Declare an offer no more."""
        out = self._outs.pop(key, None)
        if out is not None:
            self._access.undeclare(*out.declared, out.large, out.seen, out.publisher)

    def send(self, key: Key, parcel: Parcel, *, marked: bool) -> None:
        """Send a parcel of an offer.

        Raises:
            Unsent: it did not go out.
        """
        out = self._outs.get(key)
        if out is None or self._access.closed:
            raise Unsent("link")
        head = pack_head(parcel) + (MARKED if marked else b"")
        body = b"" if parcel.body is None else bytes(parcel.body)
        try:
            if marked and out.seen is None:
                self._hear_seen(out)
            if len(body) >= LARGE and out.large is None:
                out.large = self._publisher(out.offer, large=True)
            (out.large or out.publisher).put(body, attachment=head)
        except self._zenoh.ZError as error:
            log.debug("Zenoh: %s", error)
            raise Unsent("link") from None

    def _hear_seen(self, out: _Out) -> None:
        key = out.offer.key
        listener = self._access.direct(lambda sample: self._on_seen_sample(key, sample))
        expression = self._access.keys.of("seen", out.offer.topic, key)
        out.seen = self._access.session.declare_subscriber(expression, listener)

    def _on_seen_sample(self, key: Key, sample: Any) -> None:
        told = sample.payload.to_bytes()
        if len(told) == 8:
            self._on_seen(key, int.from_bytes(told, "little"))
        else:
            self._ears.dropped("malformed")
