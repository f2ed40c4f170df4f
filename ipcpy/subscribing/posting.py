"""Hands a subscriber's reader a message that nobody published. Knows the Subscription in a Subscriber, nothing more."""

from __future__ import annotations

from ..message import Message
from ..typed import Any
from .subscriber import Subscriber


def post(subscriber: Subscriber, data: Any) -> None:
    """Have whoever receives next, or is waiting, get a message with some data, seq 0 and no publisher.

    It is behind what was received already, and before what lies in the socket yet. One that is closed gets nothing.
    """
    subscriber._subscription.post(Message(data, subscriber.topic, 0, 0, 0, ""))  # noqa: SLF001 (here only)
