"""What the core hears from an adapter, in whatever thread that tells it: handed on to the one thread that decides.

Parcels do not take that way: they go to their import at once. Knows no engine.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .adapter import Key
from .offers import Beginning, Offer, Parcel
from .services import Services
from .traffic import Traffic

__all__ = ["Hearing"]

log = logging.getLogger(__name__)


class Hearing:
    """The Ears of a bridge; see ``Ears`` for what its methods say.

    Args:
        engine: the name of the engine.
        traffic: what is exported and imported.
        call: has a function called by the thread that decides.
        services: what becomes of services; None if the engine carries none.
        set_state: takes to what the engine is linked, or else why it is not.

    Attributes:
        counts: what came and was none of ours, by cause.
    """

    def __init__(
        self,
        engine: str,
        traffic: Traffic,
        call: Callable[[Callable[[], object]], object],
        set_state: Callable[[str, str], object],
        services: Services | None = None,
    ) -> None:
        self._engine = engine
        self._traffic = traffic
        self._call = call
        self._services = services
        self._set_state = set_state
        self.counts: Counter[str] = Counter()

    def linked(self, to: str) -> None:
        """See Ears."""
        self._call(lambda: self._set_state(to, ""))

    def unlinked(self, why: str) -> None:
        """See Ears."""
        self._call(lambda: self._set_state("", why))
        if self._services is not None:
            self._services.unlinked()

    def offered(self, offer: Offer) -> None:
        """See Ears."""
        self._call(lambda: self._traffic.offered(offer))

    def gone(self, key: Key) -> None:
        """See Ears."""
        self._call(lambda: self._traffic.gone(key))

    def wanted(self, key: Key, wanted: bool) -> None:
        """See Ears."""
        self._call(lambda: self._traffic.want_export(key, wanted))

    def begun(self, key: Key, beginning: Beginning) -> None:
        """See Ears."""
        self._traffic.begun(key, beginning)

    def arrived(self, key: Key, parcel: Parcel) -> None:
        """See Ears."""
        if not self._traffic.arrived(key, parcel):
            self.dropped("number")

    def beginning_of(self, key: Key) -> Beginning:
        """See Ears."""
        return self._traffic.beginning_of(key)

    def types(self, topic: str) -> list[Mapping[str, Any]]:
        """See Ears."""
        return self._traffic.types(topic)

    def served(self, offer: Offer) -> None:
        """See Ears."""
        if self._services is not None:
            self._services.served(offer)

    def retired(self, key: Key) -> None:
        """See Ears."""
        if self._services is not None:
            self._services.retired(key)

    def letter(self, key: Key, caller: str, data: bytes) -> None:
        """See Ears."""
        if self._services is not None:
            self._services.letter(key, caller, data)

    def dropped(self, cause: str) -> None:
        """See Ears."""
        if not self.counts[cause]:
            log.warning("something came by %s that is none of ours, or wrong: %s", self._engine, cause)
        self.counts[cause] += 1
