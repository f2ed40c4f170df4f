"""Tap: a subscriber for what hands messages on without looking into them. Knows bodies and numbers, and no codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import CodecError
from ..node.node import Node
from ..protocol.naming import Whole
from .subscriber import Subscriber

__all__ = ["Tap"]


class _Bodies:
    """The codec of a subscriber that does not look into messages."""

    name = "any"
    schema: Mapping[str, Any] = {}

    def encode(self, data: Any) -> bytes:
        """Refuse: nothing is published with it."""
        raise CodecError("a codec that only takes what others publish")

    def decode(self, body: Any) -> Any:
        """Return the body."""
        return body

    def decode_intact(self, body: Any) -> Any:
        """Return the body."""
        return body

    def decode_many(self, data: bytes, size: int) -> list[bytes]:
        """Return bodies of one size that are laid end to end."""
        return [data[at : at + size] for at in range(0, len(data), size)]


class Tap(Subscriber):
    """Receives the bodies of every publisher of a topic, whatever its codec; for the arguments see Subscriber.

    The topic is a whole name: no namespace and no remapping of its node changes it.
    """

    def __init__(self, topic: str, *, depth: int, depth_bytes: int, node: Node) -> None:
        super().__init__(Whole(topic), _Bodies(), depth=depth, depth_bytes=depth_bytes, node=node)

    def firsts(self) -> dict[str, int]:
        """Return the number of the first message that comes of each publisher that is matched, by its id."""
        return self._subscription.firsts()
