"""Subscribers that are there while somebody looks, and no longer. Knows topics; nothing of channels or viewers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import ipcpy as ipc

from ..views import Bodies

__all__ = ["Listening", "Peeks"]

log = logging.getLogger(__name__)

LINGER = 1.0  # seconds after the last look: a channel that is read in another way is subscribed to anew
PEEKS = 64  # publishers that are listened to at a time to find out how they look; each topic takes a socket
TURN = 2.0  # seconds that one of them has where others wait; twice as long each time it comes round
_DOUBLINGS = 5


class Listening:
    """Subscribers to topics, by their whole names.

    Args:
        node: whose they are.
        take: called with each message, whose data are its body; in a thread for each topic.
    """

    def __init__(self, node: ipc.Node, take: Callable[[ipc.Message], object]) -> None:
        self._node = node
        self._take = take
        self._until: dict[str, float] = {}
        self._subscribers: dict[str, ipc.Subscriber] = {}
        self._failed: set[str] = set()
        self._lost = 0

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are listened to now."""
        return tuple(self._subscribers)

    def listen(self, topics: Iterable[str], now: float) -> None:
        """Listen to these topics, and for a while to those that were listened to before.

        Raises:
            ClosedError: the node is closed.
        """
        for topic in topics:
            self._until[topic] = now + LINGER
        self._until = {topic: until for topic, until in self._until.items() if until > now}
        for topic in self._subscribers.keys() - self._until.keys():
            self._end(topic)
        for topic in self._until.keys() - self._subscribers.keys():
            self._open(topic)

    def _open(self, topic: str) -> None:
        try:
            self._subscribers[topic] = ipc.Subscriber(f"/{topic}", Bodies(), callback=self._take, node=self._node)
            self._failed.discard(topic)
        except ipc.ClosedError:
            raise
        except ipc.IpcError as error:  # no socket is left, perhaps: it is tried again while somebody looks
            if topic not in self._failed:
                self._failed.add(topic)
                log.warning("%s cannot be shown: %s", topic, error)

    def _end(self, topic: str) -> None:
        sub = self._subscribers.pop(topic)
        sub.close()
        self._lost += sum(sub.stats.lost.values())

    def lost(self) -> int:
        """Return how many messages did not arrive."""
        return self._lost + sum(sum(sub.stats.lost.values()) for sub in tuple(self._subscribers.values()))

    def close(self) -> None:
        """Listen to nothing more."""
        self._until.clear()
        for topic in tuple(self._subscribers):
            self._end(topic)


class Peeks:
    """Whose turn it is to be listened to, to find out how its messages look."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # by publisher, when its turn began; the longest ago first
        self._waited: dict[str, int] = {}  # how many turns it had

    def choose(self, unknown: Mapping[str, str], now: float) -> set[str]:
        """Return the topics that are to be listened to.

        Args:
            unknown: publishers of which nothing is known, with their topics.
            now: a time in seconds.
        """
        self._since = {id: since for id, since in self._since.items() if id in unknown}
        self._waited = {id: turns for id, turns in self._waited.items() if id in unknown}
        waiting = sorted(unknown.keys() - self._since.keys(), key=lambda id: self._waited.get(id, 0))
        for id in [id for id, since in self._since.items() if now - since >= self._turn(id)]:
            if len(self._since) + len(waiting) > PEEKS:
                del self._since[id]
        for id in waiting[: PEEKS - len(self._since)]:
            self._since[id] = now
            self._waited[id] = self._waited.get(id, 0) + 1
        return {unknown[id] for id in self._since}

    def _turn(self, id: str) -> float:
        return TURN * (1 << min(self._waited.get(id, 1) - 1, _DOUBLINGS))
