"""Messages of those who know nothing of ipcpy: an app on a phone, a lamp, a cloud. Pure; makes publishers of names.

Each name at the broker becomes one publisher, whose messages the bridge numbers. The first half of its id is the same
for every bridge, so that two of one LAN know that they hear the same; the second is of this bridge, whose numbers begin
anew with each start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2s
from typing import Any

from ..adapter import Key
from ..offers import Offer, Parcel
from ..plain import Shapes, from_plain
from .envelope import packed
from .options import RAW

__all__ = ["Strangers", "broker_id"]

MAX_NAMES = 4096
Schemas = Callable[[str], Iterable[Mapping[str, Any]]]


def broker_id(address: str) -> str:
    """Return the id of the bridge that stands for all who speak to a broker themselves."""
    return blake2s(f"mqtt {address}".encode(), digest_size=8).hexdigest()


class Strangers:
    """The publishers that names at a broker became.

    Args:
        schemas: returns the schemas of struct messages that are known here on a topic beyond.
        broker: what stands for the bridge and for their host: the broker's address.
        bridge: the id of the bridge that numbers their messages.
    """

    def __init__(self, schemas: Schemas, broker: str, bridge: str) -> None:
        self._schemas = schemas
        self._host = broker.rpartition(":")[0]
        self._bridge = broker_id(broker)
        self._half = bridge[-8:]
        self._offers: dict[str, Offer] = {}
        self._numbers: dict[Key, int] = {}

    def take(self, topic: str, payload: bytes, form: str, *, retained: bool, now_ns: int) -> tuple[Offer, Parcel, bool]:
        """Return the publisher of a message, the message, and whether the publisher is new or has changed.

        Args:
            topic: its topic beyond.
            payload: what was published.
            form: how it is written: ``json`` (or a text that is none), or ``raw``.
            retained: whether the broker keeps it for who comes later.
            now_ns: the time, which is its send time.

        Raises:
            CodecError: the payload is not what the topic has.
            ValueError: there are too many names.
        """
        codec, schema, body = ("raw", {}, payload) if form == RAW else self._read(topic, payload)
        known = self._offers.get(topic)
        if known is None and len(self._offers) >= MAX_NAMES:
            raise ValueError(f"more than {MAX_NAMES:,} names")
        offer = known
        if known is None or (known.codec, known.schema) != (codec, schema):
            offer = self._offer(topic, codec, schema, retained=retained)
        elif retained and not known.keep:
            offer = replace(known, keep=1)
        assert offer is not None
        self._offers[topic] = offer
        number = self._numbers[offer.key] = self._numbers.get(offer.key, 0) + 1
        return offer, Parcel(number, now_ns, body), offer is not known

    def next(self, key: Key) -> int:
        """Return the number of the next message of a publisher; 0 if it is none of these."""
        return self._numbers[key] + 1 if key in self._numbers else 0

    def known(self, topic: str) -> Offer | None:
        """Return the publisher that a topic became; None if nobody published on it."""
        return self._offers.get(topic)

    def offers(self) -> tuple[Offer, ...]:
        """Return the publishers that there are."""
        return tuple(self._offers.values())

    def _read(self, topic: str, payload: bytes) -> tuple[str, Mapping[str, Any], bytes]:
        data = from_plain(payload)
        found = Shapes(self._schemas(topic)).body(data)
        if found is not None:
            return "struct", found[0].schema, found[1]
        return "msgpack", {}, packed(data)

    def _offer(self, topic: str, codec: str, schema: Mapping[str, Any], *, retained: bool) -> Offer:
        text = f"{topic}\n{codec}\n{sorted(str(each) for each in schema.get('messages', ()))}"
        publisher = blake2s(text.encode(), digest_size=4).hexdigest() + self._half
        return Offer(
            publisher,
            topic,
            codec,
            schema,
            keep=int(retained),
            node="mqtt",
            host=self._host,
            name="mqtt",
            path=(self._bridge,),
        )
