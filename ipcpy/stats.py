"""Counts of what happened to messages. Knows nothing of sockets or peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FlowStats", "PublisherStats", "RouteStats", "SubscriberStats"]


@dataclass(frozen=True, slots=True)
class FlowStats:
    """What one publisher's messages met on their way to one subscriber.

    ``received + sum(lost.values())`` is what was published for this subscriber since it was matched.

    Attributes:
        received: messages that reached the inbox (or the caller).
        bytes: bytes of their bodies.
        duplicates: copies of messages that were already there; dropped.
        reordered: messages that came after a later one.
        lost: messages that did not arrive, by cause: ``network``, ``kernel`` (this host's socket buffer was full),
            ``inbox`` (the inbox was full: the oldest was dropped), ``fragments`` (a large message stayed incomplete),
            ``codec`` (its bytes could not be decoded), ``given up`` (a reliable publisher had it no more).
        bytes: bytes of the bodies received.
    """

    received: int = 0
    bytes: int = 0
    duplicates: int = 0
    reordered: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubscriberStats(FlowStats):
    """The sums over all publishers of a subscriber, with what cannot be laid to one of them.

    Attributes:
        dropped: datagrams and frames that were not messages of a matched publisher, by cause: ``malformed``,
            ``unknown`` (a publisher that is not matched), ``source`` (right publisher, wrong address),
            ``version`` (another protocol version), ``schema`` (the types differ), ``unauthenticated``.
        publishers: the same per publisher id; publishers that went are kept for a while.
    """

    dropped: Mapping[str, int] = field(default_factory=dict)
    publishers: Mapping[str, FlowStats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteStats:
    """What one subscriber was sent.

    Attributes:
        handed: messages given to the operating system for it.
        retransmitted: messages or fragments sent again.
        refused: messages the operating system would not take.
        given_up: messages it asked for, or was still owed, when they were no longer kept.
    """

    handed: int = 0
    retransmitted: int = 0
    refused: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class PublisherStats(RouteStats):
    """The sums over all subscribers, and what was published.

    Attributes:
        published: messages given to ``publish``.
        bytes: bytes of their bodies (0 for those published to nobody, which are not encoded).
        subscribers: the same per subscriber id.
    """

    published: int = 0
    bytes: int = 0
    subscribers: Mapping[str, RouteStats] = field(default_factory=dict)
