"""An adapter for an engine that is no more than memory of this process: for tests, and to see how one is written."""

from __future__ import annotations

import threading
from typing import Any

from ..protocol.topics import matches
from .adapter import Ears, Identity, Key, Unsent
from .offers import Offer, Parcel, pack_head, pack_offer, unpack_head, unpack_offer

__all__ = ["MemoryAdapter", "Sky"]


class Sky:
    """What is above several LANs: it carries what their adapters hand to it, in the threads that do."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._adapters: list[MemoryAdapter] = []
        self.parcels = 0
        self.letters = 0

    def adapter(self) -> MemoryAdapter:
        """Make the adapter of one bridge."""
        return MemoryAdapter(self)

    def join(self, adapter: MemoryAdapter) -> None:
        """Connect an adapter, and tell all of it and it of all."""
        with self._lock:
            others = list(self._adapters)
            self._adapters.append(adapter)
            adapter.ears.linked("the sky")
            for other in others:
                for offer in other.offers.values():
                    adapter.hear_offer(offer)
                for offer in adapter.offers.values():
                    other.hear_offer(offer)
                for offer in other.served.values():
                    adapter.hear_service(offer)
                for offer in adapter.served.values():
                    other.hear_service(offer)

    def leave(self, adapter: MemoryAdapter) -> None:
        """Cut an adapter off."""
        with self._lock:
            if adapter not in self._adapters:
                return
            self._adapters.remove(adapter)
            for other in self._adapters:
                for key in adapter.offers:
                    other.ears.gone(key)
                for key in adapter.served:
                    other.ears.retired(key)
                for key in adapter.wants & other.offers.keys():
                    self.matched(key)
            adapter.wants.clear()

    def others(self, adapter: MemoryAdapter) -> list[MemoryAdapter]:
        """Return the adapters that are connected beside one; none if it is not connected itself."""
        with self._lock:
            return [each for each in self._adapters if each is not adapter] if adapter in self._adapters else []

    def matched(self, key: Key) -> None:
        """Tell who offers something whether anybody wants it."""
        with self._lock:
            wanted = any(key in adapter.wants for adapter in self._adapters)
            for adapter in self._adapters:
                if key in adapter.offers:
                    adapter.ears.wanted(key, wanted)


class MemoryAdapter:
    """Carries offers and parcels to the other adapters of a sky; see ``Adapter`` for what its methods do."""

    engine = "memory"

    def __init__(self, sky: Sky) -> None:
        self.sky = sky
        self.offers: dict[Key, Offer] = {}
        self.wants: set[Key] = set()
        self.served: dict[Key, Offer] = {}
        self.heard: set[Key] = set()
        self.ears: Ears
        self._identity: Identity
        self.full = threading.Event()  # while it is set there is no room

    def open(self, identity: Identity, ears: Ears) -> None:
        """See Adapter."""
        self._identity, self.ears = identity, ears
        self.sky.join(self)

    def cut(self, why: str = "it was cut") -> None:
        """Lose the link, as when a router goes away."""
        self.sky.leave(self)
        self.ears.unlinked(why)

    def mend(self) -> None:
        """Have the link again."""
        self.sky.join(self)

    def hear_offer(self, offer: Offer) -> None:
        """Hear an offer of another, as it travels: as bytes."""
        if any(matches(pattern, offer.topic) for pattern in self._identity.wanted):
            self.ears.offered(unpack_offer(pack_offer(offer)))

    def offer(self, offer: Offer) -> None:
        """See Adapter."""
        self.offers[offer.key] = offer
        for other in self.sky.others(self):
            other.hear_offer(offer)

    def withdraw(self, key: Key) -> None:
        """See Adapter."""
        self.offers.pop(key, None)
        for other in self.sky.others(self):
            other.ears.gone(key)

    def want(self, offer: Offer) -> None:
        """See Adapter."""
        self.wants.add(offer.key)
        self.sky.matched(offer.key)
        for other in self.sky.others(self):
            if offer.key in other.offers:
                self.ears.begun(offer.key, other.ears.beginning_of(offer.key))
                return

    def unwant(self, key: Key) -> None:
        """See Adapter."""
        self.wants.discard(key)
        self.sky.matched(key)

    def room(self, key: Key, timeout: float) -> bool:
        """See Adapter."""
        if not self.full.is_set():
            return True
        threading.Event().wait(timeout)
        return not self.full.is_set()

    def send(self, key: Key, parcel: Parcel) -> None:
        """See Adapter."""
        takers = [other for other in self.sky.others(self) if key in other.wants]
        if not takers:
            raise Unsent("link")
        head, body = pack_head(parcel), None if parcel.body is None else bytes(parcel.body)
        for other in takers:
            self.sky.parcels += 1
            other.ears.arrived(key, unpack_head(head, body))

    def hear_service(self, offer: Offer) -> None:
        """Hear of a service of another."""
        if any(matches(pattern, offer.topic) for pattern in self._identity.wanted):
            self.ears.served(unpack_offer(pack_offer(offer)))

    def serve(self, offer: Offer) -> None:
        """See Carrier."""
        self.served[offer.key] = offer
        for other in self.sky.others(self):
            other.hear_service(offer)

    def retire(self, key: Key) -> None:
        """See Carrier."""
        self.served.pop(key, None)
        for other in self.sky.others(self):
            other.ears.retired(key)

    def hear(self, offer: Offer) -> None:
        """See Carrier."""
        self.heard.add(offer.key)

    def unhear(self, key: Key) -> None:
        """See Carrier."""
        self.heard.discard(key)

    def post(self, offer: Offer, to: str, data: bytes) -> None:
        """See Carrier."""
        for other in self.sky.others(self):
            if not to and offer.key in other.served:
                other.ears.letter(offer.key, self._identity.id, data)
            elif to == other.id and offer.key in other.heard:
                other.ears.letter(offer.key, "", data)
            else:
                continue
            self.sky.letters += 1

    @property
    def id(self) -> str:
        """The id of its bridge."""
        return self._identity.id

    def status(self) -> dict[str, Any]:
        """See Adapter."""
        return {}

    def close(self) -> None:
        """See Adapter."""
        self.sky.leave(self)
