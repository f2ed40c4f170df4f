"""What a form publishes. Knows publishers, the codecs of topics and JSON; nothing of requests.

A publisher stays open for a while after its last message: the next one then costs no discovery.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ipcpy as ipc

__all__ = ["Order", "Press", "data_of", "read_order"]

KEPT = 16  # publishers that are open
LINGER = 60.0  # seconds without a message after which one is closed
WAIT = 0.5  # seconds that subscribers may take to be met
MOST = 5.0  # seconds that a request may ask for it
_CODECS = ("msgpack", "raw", "struct")
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


@dataclass(frozen=True)
class Order:
    """A message to publish.

    Attributes:
        topic: the topic, by its whole name.
        data: what JSON said.
        codec: ``msgpack``, ``raw`` or ``struct``; empty for the topic's.
        domain: where; empty for the only one.
        message: which message of a library; empty where there is only one.
        reliable: whether it is sent again to those who miss it; None for what the topic's publishers do.
        keep: how many messages late subscribers get.
        wait: seconds to wait for the subscribers that are known, or for one.
    """

    topic: str
    data: Any
    codec: str = ""
    domain: str = ""
    message: str = ""
    reliable: bool | None = None
    keep: int = 0
    wait: float = WAIT


def read_order(said: Any) -> Order:
    """Read what a form said.

    Raises:
        ArgumentError: what is wrong.
    """
    if not isinstance(said, dict):
        raise ipc.ArgumentError('a message to publish is a JSON object, {"topic": ..., "data": ...}')
    unknown = said.keys() - Order.__dataclass_fields__.keys()
    if unknown:
        raise ipc.ArgumentError(f"nothing is known of {', '.join(sorted(unknown))[:200]}")
    if "data" not in said:
        raise ipc.ArgumentError("data is missing: what is to be published")
    if not isinstance(said.get("topic"), str):
        raise ipc.ArgumentError(f"topic is a name such as imu, got {said.get('topic')!r:.80}")
    for name in ("codec", "domain", "message"):
        if not isinstance(said.get(name, ""), str):
            raise ipc.ArgumentError(f"{name} is a text, got {said[name]!r:.80}")
    if said.get("codec", "") not in ("", *_CODECS):
        raise ipc.ArgumentError(f"codec is one of {', '.join(_CODECS)}, got {said['codec']!r:.80}")
    if not isinstance(said.get("reliable"), bool | None):
        raise ipc.ArgumentError(f"reliable is true or false, got {said['reliable']!r:.80}")
    keep, wait = said.get("keep", 0), said.get("wait", WAIT)
    if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= 1000:
        raise ipc.ArgumentError(f"keep is a number of messages up to 1000, got {keep!r:.80}")
    if not isinstance(wait, int | float) or isinstance(wait, bool) or not 0 <= wait <= MOST:
        raise ipc.ArgumentError(f"wait is a time up to {MOST:g} s, got {wait!r:.80}")
    return Order(**{"topic": "", "data": None, **said})


def data_of(value: Any) -> Any:
    """Return the data that JSON stands for: bytes as ``{"$bytes": "<hexadecimal>"}``, NaN as ``{"$float": "nan"}``.

    Raises:
        ArgumentError: an object with such a key that is neither, or one that is nested too deep.

    >>> data_of({"speed": {"$float": "inf"}, "blob": {"$bytes": "00ff"}})
    {'speed': inf, 'blob': b'\\x00\\xff'}
    """
    try:
        return _data_of(value)
    except RecursionError:
        raise ipc.ArgumentError("data is nested too deep") from None


def _data_of(value: Any) -> Any:
    if isinstance(value, list):
        return [_data_of(item) for item in value]
    if not isinstance(value, dict):
        return value
    inside: Any
    name, inside = next(iter(value.items()), ("", None))
    if not name.startswith("$"):
        return {key: _data_of(item) for key, item in value.items()}
    try:
        if name == "$bytes" and len(value) == 1:
            return bytes.fromhex(inside)
        if name == "$base64" and len(value) == 1:
            return base64.b64decode(inside, validate=True)
        if name == "$float" and len(value) == 1:
            return _FLOATS[inside]
    except (ValueError, TypeError, KeyError):
        pass
    raise ipc.ArgumentError(
        f'{value!r:.80} is no data: keys with $ are for {{"$bytes": "00ff"}}, {{"$base64": "AP8="}} and '
        '{"$float": "nan"}'
    )


@dataclass
class _Open:
    publisher: ipc.Publisher
    ids: Mapping[str, int]
    used: float


class Press:
    """Publishes, with a publisher for each topic.

    Args:
        nodes: returns the node of a domain; None where there is none. "" is for the only one.
    """

    def __init__(self, nodes: Callable[[str], ipc.Node | None]) -> None:
        self._nodes = nodes
        self._open: dict[tuple[object, ...], _Open] = {}

    async def publish(self, order: Order) -> dict[str, Any]:
        """Publish a message, and return to how many subscribers it was handed.

        Raises:
            ArgumentError: there is no such domain, or topic, or message.
            CodecError: the data are no such message.
        """
        node = self._nodes(order.domain)
        if node is None:
            raise ipc.ArgumentError(f"say which domain: {order.domain!r:.80} is none that is shown here")
        topic = next((each for each in node.topics() if each.name == order.topic), None)
        codec = order.codec or (topic.codec if topic is not None and topic.codec in _CODECS else "msgpack")
        schema = topic.schema if topic is not None else {}
        told = topic.publishers if topic is not None else ()
        reliable = any(each.reliable for each in told) if order.reliable is None else order.reliable
        found = self._publisher(node, order, codec, schema, reliable)
        data = data_of(order.data)
        found.used = time.monotonic()
        known = len(topic.subscribers) if topic is not None else 0
        if order.wait and len(found.publisher.subscribers) < max(1, known):
            with suppress(TimeoutError):
                await found.publisher.wait_for_subscribers_async(max(1, known), timeout=order.wait)
        count = found.publisher.publish(_raw(data) if codec == "raw" else data, _id(found.ids, order.message))
        own = sum(each.node.id == node.id for each in found.publisher.subscribers)  # of pages that look at it
        return {"topic": order.topic, "domain": node.domain, "codec": codec, "subscribers": max(0, count - own)}

    def _publisher(self, node: ipc.Node, order: Order, codec: str, schema: Mapping[str, Any], reliable: bool) -> _Open:
        key = (node.id, order.topic, codec, reliable, order.keep, repr(schema) if codec == "struct" else "")
        found = self._open.pop(key, None)
        if found is None:
            self._close(lambda each: each[:2] == key[:2])  # another codec: one publisher a topic
            found = self._make(node, order, codec, schema, reliable)
        self._open[key] = found
        while len(self._open) > KEPT:
            self._open.pop(next(iter(self._open))).publisher.close()
        return found

    @staticmethod
    def _make(node: ipc.Node, order: Order, codec: str, schema: Mapping[str, Any], reliable: bool) -> _Open:
        ids: dict[str, int] = {}
        made: ipc.Codec = ipc.Raw() if codec == "raw" else ipc.MsgPack()
        if codec == "struct":
            if not schema.get("messages"):
                raise ipc.ArgumentError(
                    f"nobody publishes struct messages on {order.topic!r}: their layout is not known"
                )
            made = ipc.MsgLibrary.from_schema(schema)
            ids = {str(each["name"]): int(each["id"]) for each in schema["messages"]}
        publisher = ipc.Publisher(f"/{order.topic}", made, reliable=reliable, keep=order.keep, node=node)
        return _Open(publisher, ids, time.monotonic())

    def sweep(self) -> None:
        """Close publishers that were not used for long."""
        now = time.monotonic()
        self._close(lambda key: now - self._open[key].used > LINGER)

    def _close(self, which: Callable[[tuple[object, ...]], bool]) -> None:
        for key in [key for key in self._open if which(key)]:
            self._open.pop(key).publisher.close()

    def close(self) -> None:
        """Close all publishers."""
        self._close(lambda _: True)


def _raw(data: Any) -> Any:
    return data.encode() if isinstance(data, str) else data


def _id(ids: Mapping[str, int], message: str) -> int | None:
    if not ids:
        return None
    if message:
        if message not in ids:
            raise ipc.ArgumentError(f"message is one of {', '.join(ids)[:200]}, got {message!r:.80}")
        return ids[message]
    if len(ids) > 1:
        raise ipc.ArgumentError(f"the topic has several messages; say which one by message: {', '.join(ids)[:200]}")
    return next(iter(ids.values()))
