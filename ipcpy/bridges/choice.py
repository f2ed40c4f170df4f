"""Which of the offers from beyond are taken: no loops, no doubles. Pure; knows ids and paths, and no message."""

from __future__ import annotations

from collections.abc import Collection

from .offers import MAX_PATH, Offer
from .rules import Rules

__all__ = ["HOPS", "STAND_BY", "Choice", "Kin"]

HOPS = 4  # bridges that something may have passed
STAND_BY = 0.4  # seconds that a bridge leaves to each one of this LAN whose id is lower


class Choice:
    """The offers that were heard of, by publisher.

    A message may come to a LAN by several ways: two bridges there, a ring of sites. Of each publisher one offer is
    taken, that with the shortest path; and none that has passed this LAN before. A path is the list of bridges that an
    offer passed, so what is gone is not offered round and round, as it would be with a number of hops alone.

    Args:
        own: the id of this bridge.
        rules: what is imported.
        hops: how many bridges an offer may have passed.
    """

    def __init__(self, own: str, rules: Rules, hops: int = HOPS) -> None:
        self._own = own
        self._rules = rules
        self._hops = min(hops, MAX_PATH)
        self._offers: dict[str, dict[str, Offer]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._offers.values()))

    def put(self, offer: Offer) -> None:
        """Take note of an offer."""
        self._offers.setdefault(offer.publisher, {})[offer.bridge] = offer

    def remove(self, key: tuple[str, str]) -> None:
        """Forget an offer."""
        bridge, publisher = key
        same = self._offers.get(publisher, {})
        same.pop(bridge, None)
        if not same:
            self._offers.pop(publisher, None)

    def clear(self) -> None:
        """Forget all: the engine is out of reach."""
        self._offers.clear()

    def publishers(self) -> tuple[str, ...]:
        """Return the publishers that are offered."""
        return tuple(self._offers)

    def why_not(self, offer: Offer, near: Collection[str]) -> str:
        """Say why an offer is not taken; empty where it may be.

        Args:
            near: the other bridges on this LAN.
        """
        if self._own in offer.path:
            return "it comes from here"
        if any(bridge in near for bridge in offer.path):
            return "it comes from this LAN, by another bridge"
        if len(offer.path) > self._hops:
            return f"it has passed {len(offer.path)} bridges"
        if self._rules.here(offer.topic) is None:
            return "it is not imported"
        return ""

    def best(self, publisher: str, near: Collection[str], current: str = "") -> Offer | None:
        """Return the offer to take of a publisher, None if there is none.

        Args:
            near: the other bridges on this LAN.
            current: the bridge whose offer is taken now; it stays where another is no better.
        """
        fit = [offer for offer in self._offers.get(publisher, {}).values() if not self.why_not(offer, near)]
        return min(fit, key=lambda offer: (len(offer.path), offer.bridge != current, offer.bridge), default=None)

    def may_export(self, publisher: str, path: tuple[str, ...]) -> bool:
        """Tell whether a publisher that has passed some bridges is offered by this one.

        One of this LAN is, always. One that was imported goes on to others, unless they have it by a way as short.
        """
        if not path:
            return True
        if self._own in path or len(path) >= self._hops:
            return False
        heard = self._offers.get(publisher, {}).values()
        return all(len(offer.path) > len(path) + 1 or self._own in offer.path for offer in heard)


class Kin:
    """Publishers of this LAN that stand for the same, though each bridge numbers their messages by itself.

    Who speaks to a broker has no numbers there. Each bridge makes its own, which begin anew when it starts: so its
    publishers have ids of their own. The first halves are equal where they stand for the same.
    """

    def __init__(self) -> None:
        self._by_kind: dict[tuple[str, str, str], set[str]] = {}
        self._kinds: dict[str, tuple[str, str, str]] = {}

    def put(self, publisher: str, path: tuple[str, ...], topic: str) -> None:
        """Take note of a publisher, of the bridges that it has passed, and of its topic here."""
        self.remove(publisher)
        if path:
            kind = self._kinds[publisher] = path[0], topic, publisher[:8]
            self._by_kind.setdefault(kind, set()).add(publisher)

    def remove(self, publisher: str) -> None:
        """Forget a publisher."""
        kind = self._kinds.pop(publisher, None)
        if kind is not None:
            self._by_kind[kind].discard(publisher)
            if not self._by_kind[kind]:
                del self._by_kind[kind]

    def of(self, publisher: str, path: tuple[str, ...], topic: str) -> frozenset[str]:
        """Return those that stand for the same as a publisher, but not itself."""
        same = self._by_kind.get((path[0], topic, publisher[:8])) if path else None
        return frozenset(same or ()) - {publisher}
