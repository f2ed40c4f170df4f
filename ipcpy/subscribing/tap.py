"""Tap: a subscriber for what hands messages on without looking into them. Knows bodies and numbers, and no codec."""

from __future__ import annotations

from ..codec.bodies import Bodies
from ..node.node import Node
from ..protocol.naming import Whole
from .subscriber import Subscriber

__all__ = ["Tap"]


class Tap(Subscriber):
    """Receives the bodies of every publisher of a topic, whatever its codec; for the arguments see Subscriber.

    The topic is a whole name: no namespace and no remapping of its node changes it.
    """

    def __init__(self, topic: str, *, depth: int, depth_bytes: int, node: Node) -> None:
        super().__init__(Whole(topic), Bodies(), depth=depth, depth_bytes=depth_bytes, node=node)

    def firsts(self) -> dict[str, int]:
        """Return the number of the first message that comes of each publisher that is matched, by its id."""
        return self._subscription.firsts()
