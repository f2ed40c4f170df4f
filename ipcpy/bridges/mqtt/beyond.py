"""What is heard at a broker: bridges and their offers, their messages, and those of who knows nothing of ipcpy.

Knows names, envelopes and the core's ears; nothing of connections. Everything is called in the thread of the loop.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from ...errors import CodecError
from ...protocol.topics import matches
from ..adapter import Ears, Identity, Key
from ..offers import Beginning, Offer, Parcel, read_id, unpack_offer
from .asking import PATIENCE, Asking, unpack_end
from .envelope import PROPERTY, Reader, unpack_head
from .names import Names
from .options import RAW, Options
from .strangers import Strangers
from .waiting import AGE, Waiting

__all__ = ["Beyond", "Call", "Wire"]

log = logging.getLogger(__name__)

Call = Callable[[], object]

MAX_OFFERS = 100_000
OFFLINE = b"offline"


class Wire(Protocol):
    """What is said at the broker, and done elsewhere; in the thread of the loop, and it does not block."""

    def watch(self, bridge: str) -> None:
        """Have it said here whether a bridge is there, and how its publishers begin."""

    def ask(self, key: Key) -> None:
        """Ask the bridge that offers a publisher how it begins."""

    def answer(self, asker: str, key: Key) -> None:
        """Tell another bridge how a publisher of ours begins."""

    def later(self, seconds: float, function: Call) -> object:
        """Call a function after some seconds."""

    def elsewhere(self, function: Call, then: Call) -> object:
        """Call a function in another thread, and then another one in this."""


class Beyond:
    """Makes of messages what the core hears.

    Args:
        identity: whose ears they are.
        ears: the core's.
        names: what is called how.
        options: how payloads are written.
        wire: what says something at the broker.
    """

    def __init__(self, identity: Identity, ears: Ears, names: Names, options: Options, wire: Wire) -> None:
        self._wire = wire
        self._asking = Asking()
        self._identity, self._ears, self._names, self._options = identity, ears, names, options
        self._offers: OrderedDict[Key, tuple[Offer, float]] = OrderedDict()  # when they were said last
        self._readers: dict[Key, Reader] = {}
        self._watched: set[str] = set()
        self._wanted: set[Key] = set()
        self._begins: dict[Key, int] = {}  # those that the core is told of now
        self._waiting = Waiting()
        self._strangers = Strangers(ears.types, str(options.address), identity.id)
        self._told: dict[Key, float] = {}  # when the core was told of a stranger
        self._said: set[str] = set()

    @property
    def plain_topics(self) -> int:
        """How many names others publish on without a bridge."""
        return len(self._strangers.offers())

    # -- the connection ----------------------------------------------------------------------------------------------

    def linked(self) -> None:
        """Take note that the broker is there."""
        for bridge in list(self._watched):
            self._wire.watch(bridge)
        for offer in self._strangers.offers():
            self._tell(offer)

    def unlinked(self) -> None:
        """Take note that it is not: what was offered is gone, and is heard of again later."""
        self._offers.clear()  # the readers stay: what the broker kept for us comes before it is offered again
        self._watched.clear()
        self._wanted.clear()
        self._begins.clear()
        self._asking.clear()

    def sweep(self, expiry: float) -> None:
        """Forget offers that were not said again for so many seconds: the broker has forgotten them too."""
        before = time.monotonic() - expiry
        for key in [key for key, (_, at) in self._offers.items() if at < before]:
            self._gone(key)

    # -- what the core wants -----------------------------------------------------------------------------------------

    def want(self, offer: Offer) -> None:
        """Hand on the messages of an offer, as soon as it is known how it begins."""
        key = offer.key
        if next := self._strangers.next(key):
            if self._told[key] < time.monotonic() - AGE:  # it has been there for long: who comes late comes late
                self._waiting.drop(key)
            self._start(key, Beginning(next))
            return
        number = self._asking.ask(key)
        self._wire.ask(key)
        self._wire.later(PATIENCE, lambda: self._give_up(key, number))

    def _give_up(self, key: Key, number: int) -> None:
        """Begin without an answer: the bridge that offers it is of an earlier version, or gone."""
        if self._asking.waits(key, number):
            self._asking.drop(key)
            self._start(key, Beginning())

    def _start(self, key: Key, beginning: Beginning) -> None:
        waited, parcels = self._waiting.take(key, time.monotonic(), beginning.seq)
        if beginning.kept:
            pass
        elif parcels and parcels[0].seq < beginning.seq and not self._strangers.next(key):
            beginning, parcels = beginning._replace(kept=tuple(parcels)), []  # from before an outage, sent once more
        else:
            beginning = waited
        number = self._begins[key] = self._begins.get(key, 0) + 1
        self._wire.elsewhere(lambda: self._begin(key, beginning, parcels), lambda: self._begun(key, number))

    def _begin(self, key: Key, beginning: Beginning, parcels: list[Parcel]) -> None:
        """In another thread: the core waits until who wants it is there."""
        self._ears.begun(key, beginning)
        for parcel in parcels:
            self._ears.arrived(key, parcel)

    def _begun(self, key: Key, number: int) -> None:
        if self._begins.get(key) == number:
            del self._begins[key]
            self._wanted.add(key)
            for parcel in self._waiting.take(key, time.monotonic())[1]:
                self._ears.arrived(key, parcel)

    def unwant(self, key: Key) -> None:
        """Hand them on no more."""
        self._wanted.discard(key)
        self._begins.pop(key, None)
        self._asking.drop(key)

    # -- what comes --------------------------------------------------------------------------------------------------

    def take(self, name: str, payload: bytes, retained: bool, properties: Mapping[str, str], content: str) -> None:
        """Take a message from the broker."""
        if (key := self._names.offer_key(name)) is not None:
            self._take_offer(key, name, payload)
        elif (segments := self._names.between_bridges(name)) is not None:
            self._take_own(name, segments, payload, properties.get(PROPERTY))
        elif (topic := self._names.here(name)) is None:
            self._drop("name", name, "it cannot be the name of a topic here")
        elif any(matches(pattern, topic) for pattern in self._identity.wanted):  # filters take more than patterns
            self._take_message(topic, payload, retained, properties.get(PROPERTY))

    def _take_offer(self, key: Key, name: str, payload: bytes) -> None:
        if not payload:
            self._gone(key)
            return
        try:
            offer = unpack_offer(payload)
            if offer.key != key or self._names.offer(offer.topic, *key) != name:
                raise ValueError("it is not of the publisher that its name says")
        except ValueError as error:
            self._drop("offer", name, str(error))
            return
        if offer.bridge == self._identity.id:
            return
        known = self._offers.get(key)
        if known is None and len(self._offers) >= MAX_OFFERS:
            self._drop("crowded", name, f"more than {MAX_OFFERS:,} offers")
            return
        self._offers[key] = offer, time.monotonic()
        if known is None or known[0] != offer:
            self._readers[key] = Reader(offer)
            if offer.bridge not in self._watched:
                self._watched.add(offer.bridge)
                self._wire.watch(offer.bridge)
            self._ears.offered(offer)

    def _take_own(self, name: str, segments: list[str], payload: bytes, head: str | None) -> None:
        """Take what bridges say to each other."""
        try:
            match segments:
                case ["bridges", bridge]:
                    self._take_status(bridge, payload)
                case ["begins", bridge, publisher]:
                    self._take_first((bridge, publisher), unpack_end(payload))
                case ["asks", bridge, publisher] if bridge == self._identity.id:
                    self._wire.answer(read_id(payload.decode()), (bridge, publisher))
                case ["answers", asker, bridge, publisher] if asker == self._identity.id:
                    self._take_answer((bridge, publisher), payload, head)
                case ["asks", _, _] | ["answers", _, _, _]:
                    pass  # between others
                case _:
                    raise ValueError("no bridge says such a thing")
        except ValueError as error:
            self._drop("malformed", name, str(error))

    def _take_status(self, bridge: str, payload: bytes) -> None:
        """Take the last will of a bridge for the end of all that it offered."""
        if payload in (OFFLINE, b""):
            for key in [key for key in self._offers if key[0] == bridge]:
                self._gone(key)

    def _take_first(self, key: Key, first: int) -> None:
        """Take the number with which a publisher begins that was not known before."""
        if first and key in self._offers:
            self._arrive(key, Parcel(first, time.time_ns(), None), retained=False)

    def _take_answer(self, key: Key, payload: bytes, head: str | None) -> None:
        if head is not None:
            self._asking.kept(key, unpack_head(head)[1]._replace(body=payload))
        elif (beginning := self._asking.ended(key, unpack_end(payload))) is not None:
            self._start(key, beginning)

    def _gone(self, key: Key) -> None:
        if self._offers.pop(key, None) is not None:
            self._readers.pop(key, None)
            self.unwant(key)
            self._waiting.forget(key)
            self._ears.gone(key)

    def _take_message(self, topic: str, payload: bytes, retained: bool, head: str | None) -> None:
        if not payload and head is None:
            return  # the broker forgets what it retained
        try:
            if head is None:
                self._take_plain(topic, payload, retained)
                return
            key, parcel, form = unpack_head(head)
            if key[0] == self._identity.id:
                return  # our own, which a broker retained
            reader = self._readers.get(key)
            body = payload if reader is None and form == RAW else None if reader is None else reader.body(payload, form)
        except (CodecError, ValueError) as error:
            self._drop("malformed", topic, str(error))
            return
        if body is None:
            if not retained:  # else the broker keeps it of a publisher that is gone
                self._drop("unknown", topic, "no bridge has told of its publisher")
            return
        self._arrive(key, parcel._replace(body=body), retained)

    def _take_plain(self, topic: str, payload: bytes, retained: bool) -> None:
        form = self._options.format(topic)
        before = self._strangers.known(topic)
        offer, parcel, new = self._strangers.take(topic, payload, form, retained=retained, now_ns=time.time_ns())
        if new:
            if before is not None and before.key != offer.key:
                self.unwant(before.key)
                self._ears.gone(before.key)
            self._tell(offer)
        self._arrive(offer.key, parcel, retained)

    def _tell(self, offer: Offer) -> None:
        self._told[offer.key] = time.monotonic()
        self._ears.offered(offer)

    def _arrive(self, key: Key, parcel: Parcel, retained: bool) -> None:
        if retained and self._strangers.next(key):  # of others their bridge says what they keep
            self._waiting.keep(key, parcel)
        if key in self._wanted:
            self._ears.arrived(key, parcel)
        else:
            self._waiting.put(key, parcel, time.monotonic())

    def _drop(self, cause: str, name: str, why: str) -> None:
        """Count what is none of ours; say the first of each cause."""
        self._ears.dropped(cause)
        if cause not in self._said:
            self._said.add(cause)
            log.warning("a message on %.120s was dropped: %s; more of them are counted as %r", name, why, cause)
