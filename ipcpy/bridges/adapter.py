"""What an adapter is, and what it tells: the contract between the core and one engine. Knows no engine.

An adapter carries offers and parcels over its engine, and says what it hears. All that decides anything is the core's:
an adapter never thins, renames, counts or chooses. docs/beyond.md shows how one is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ..errors import IpcError
from .offers import Beginning, Offer, Parcel

__all__ = ["Adapter", "Carrier", "Ears", "Identity", "Key", "Unsent"]

Key = tuple[str, str]  # the bridge that offers, and the publisher


class Unsent(IpcError):
    """A parcel that did not go out; ``cause`` is a word or two, for the books."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a bridge is, and what it listens for.

    Attributes:
        id: 16 hexadecimal digits, new with every start.
        name: what others see.
        wanted: the patterns of topics beyond that it imports.
    """

    id: str
    name: str
    wanted: tuple[str, ...]


class Ears(Protocol):
    """What the core hears from an adapter. All may be called in any thread, and none blocks for long."""

    def linked(self, to: str) -> None:
        """The engine is reached, and by which way; again, when the way changed."""

    def unlinked(self, why: str) -> None:
        """The engine is out of reach, and why; all offers from beyond are gone with it. The adapter goes on trying."""

    def offered(self, offer: Offer) -> None:
        """A publisher is there beyond, or something about it changed."""

    def gone(self, key: Key) -> None:
        """A publisher beyond is there no more."""

    def wanted(self, key: Key, wanted: bool) -> None:
        """Somebody beyond subscribes to what we offer, or nobody does any more."""

    def begun(self, key: Key, beginning: Beginning) -> None:
        """How what was asked for by ``want`` begins: once after each ``want``; nothing if nobody answers."""

    def arrived(self, key: Key, parcel: Parcel) -> None:
        """A parcel came."""

    def beginning_of(self, key: Key) -> Beginning:
        """Return how what we offer begins, for somebody beyond who asks by ``want``."""

    def types(self, topic: str) -> Iterable[Mapping[str, Any]]:
        """Return the schemas of struct messages that publishers and subscribers here have on a topic beyond."""

    def served(self, offer: Offer) -> None:
        """A service is there beyond; its schema says the types of requests and replies."""

    def retired(self, key: Key) -> None:
        """A service beyond is there no more, or its bridge."""

    def letter(self, key: Key, caller: str, data: bytes) -> None:
        """A letter came: for a service of ours, from the bridge ``caller``; or without one from a service we hear."""

    def dropped(self, cause: str) -> None:
        """Something came that is none of ours, or is wrong; it is counted by its cause."""


class Adapter(Protocol):
    """Carries offers and parcels over one engine.

    Attributes:
        engine: its name, ``zenoh`` or ``mqtt``.
    """

    engine: str

    def open(self, identity: Identity, ears: Ears) -> None:
        """Begin to connect, and return soon: ``ears.linked`` says when it is. What is offered meanwhile is kept.

        Raises:
            ArgumentError: (a ValueError) the configuration cannot be right; the text says what was expected.
        """

    def offer(self, offer: Offer) -> None:
        """Tell those beyond of a publisher, now and after every reconnection."""

    def withdraw(self, key: Key) -> None:
        """Tell those beyond that it is there no more."""

    def want(self, offer: Offer) -> None:
        """Have what is offered from beyond sent here, and ask how it begins."""

    def unwant(self, key: Key) -> None:
        """Have it sent no more."""

    def room(self, key: Key, timeout: float) -> bool:
        """Wait until the engine takes more of what we offer, at most some seconds; return whether it does.

        While it does not, the core keeps the newest message only. Asked for best-effort publishers only.
        """

    def send(self, key: Key, parcel: Parcel) -> None:
        """Send a parcel of what we offer; it may block while the engine does.

        Raises:
            Unsent: it did not go out.
        """

    def status(self) -> dict[str, Any]:
        """Return what else there is to say of the engine, for status lines: JSON."""

    def close(self) -> None:
        """Withdraw all and disconnect; idempotent, within a second. What blocks returns."""


@runtime_checkable
class Carrier(Protocol):
    """An adapter that carries services too; one that does not leaves these methods out.

    A letter is bytes that arrive once, in their order, or not at all. None of the methods blocks.
    """

    engine: str

    def serve(self, offer: Offer) -> None:
        """Tell those beyond of a service, now and after every reconnection, and hear the letters that ask for it."""

    def retire(self, key: Key) -> None:
        """Tell those beyond that it is there no more."""

    def hear(self, offer: Offer) -> None:
        """Hear the letters that a service beyond answers us."""

    def unhear(self, key: Key) -> None:
        """Hear them no more."""

    def post(self, offer: Offer, to: str, data: bytes) -> None:
        """Send a letter: to the bridge of a service, or, where it is ours, to the bridge ``to`` that asked."""
