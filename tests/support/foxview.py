"""A viewer of Foxglove's protocol (``foxglove.sdk.v1``), written from its specification with ``websockets`` alone.

https://github.com/foxglove/ws-protocol/blob/main/docs/spec.md
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

__all__ = ["Received", "Viewer"]

_DATA = struct.Struct("<BIQ")


class Received(NamedTuple):
    """A message: the channel it came on, as it was advertised, the log time, and its bytes."""

    channel: dict[str, Any]
    log_time: int
    data: bytes


class Viewer:
    """Connects, keeps what the server tells, and looks at topics: also at channels of theirs that come later.

    Attributes:
        info: what the server says of itself.
        channels: what is advertised now, by id.
        advertised: all that was ever advertised, in order.
        received: messages, in order.
        status: what the server complained of.
        graph: the connection graph: ``published``, ``subscribed`` and ``services``, names by topic.
    """

    def __init__(self, url: str, **options: Any) -> None:
        from websockets.sync.client import connect

        self._manager = connect(url, subprotocols=["foxglove.sdk.v1"], max_size=None, **options)
        self._socket = self._manager.__enter__()
        self.protocol = self._socket.subprotocol
        self.info: dict[str, Any] = {}
        self.channels: dict[int, dict[str, Any]] = {}
        self.advertised: list[dict[str, Any]] = []
        self.received: list[Received] = []
        self.status: list[str] = []
        self.graph: dict[str, dict[str, list[str]]] = {"published": {}, "subscribed": {}, "services": {}}
        self._wanted: set[str] = set()
        self._subscribed: dict[int, dict[str, Any]] = {}
        self._next = 1
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            for frame in self._socket:
                with self._changed:
                    if isinstance(frame, str):
                        self._take(json.loads(frame))
                    elif frame[0] == 1:
                        _, subscription, log_time = _DATA.unpack_from(frame)
                        channel = self._subscribed[subscription]
                        self.received.append(Received(channel, log_time, bytes(frame[_DATA.size :])))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass

    def _take(self, told: dict[str, Any]) -> None:
        if told["op"] == "serverInfo":
            self.info = told
        elif told["op"] == "advertise":
            for channel in told["channels"]:
                self.channels[channel["id"]] = channel
                self.advertised.append(channel)
                if channel["topic"] in self._wanted:
                    self._subscribe(channel)
        elif told["op"] == "unadvertise":
            for id in told["channelIds"]:
                self.channels.pop(id, None)
        elif told["op"] == "status":
            self.status.append(told["message"])
            unknown, _, id = told["message"].partition("Unknown channel ID: ")
            if not unknown and id.isdecimal() and int(id) in self.channels:
                self._subscribe(self.channels[int(id)])  # the SDK tells of a channel a moment before it knows it itself
        elif told["op"] == "connectionGraphUpdate":
            for kind, key, ids in (
                ("published", "publishedTopics", "publisherIds"),
                ("subscribed", "subscribedTopics", "subscriberIds"),
                ("services", "advertisedServices", "providerIds"),
            ):
                for each in told[key]:
                    self.graph[kind][each["name"]] = each[ids]
            for name in told["removedTopics"]:
                self.graph["published"].pop(name, None)
                self.graph["subscribed"].pop(name, None)
            for name in told["removedServices"]:
                self.graph["services"].pop(name, None)

    def _subscribe(self, channel: dict[str, Any]) -> None:
        self._subscribed[self._next] = channel
        self.send({"op": "subscribe", "subscriptions": [{"id": self._next, "channelId": channel["id"]}]})
        self._next += 1

    def send(self, told: dict[str, Any]) -> None:
        """Send a message of JSON."""
        self._socket.send(json.dumps(told))

    def look(self, *topics: str) -> None:
        """Subscribe to the channels of topics, those that there are and those to come."""
        with self._changed:
            self._wanted |= set(topics)
            for channel in self.channels.values():
                if channel["topic"] in topics:
                    self._subscribe(channel)

    def look_away(self) -> None:
        """Subscribe to nothing more."""
        with self._changed:
            self._wanted.clear()
            self.send({"op": "unsubscribe", "subscriptionIds": list(self._subscribed)})

    def offer(self, id: int, topic: str, encoding: str, type: str = "") -> None:
        """Advertise a channel of one's own."""
        channel = {"id": id, "topic": topic, "encoding": encoding, "schemaName": type}
        self.send({"op": "advertise", "channels": [channel]})

    def publish(self, id: int, data: bytes) -> None:
        """Send a message on it."""
        self._socket.send(struct.pack("<BI", 1, id) + data)

    def wait(self, condition: Callable[[], Any], timeout: float = 20.0) -> Any:
        """Wait until something is so, and return what the condition returns then."""
        until = time.monotonic() + timeout
        with self._changed:
            while not (found := condition()):
                left = until - time.monotonic()
                if left <= 0:
                    shown = [(channel["topic"], channel["schemaName"]) for channel in self.channels.values()]
                    raise AssertionError(f"waited for {timeout} s; channels: {shown}, status: {self.status}")
                self._changed.wait(min(left, 0.2))
        return found

    def channel(self, topic: str, type: str | None = None) -> dict[str, Any]:
        """Wait for a channel, of a type if one is named."""

        def find() -> dict[str, Any] | None:
            for channel in self.channels.values():
                if channel["topic"] == topic and type in (None, channel["schemaName"]):
                    return channel
            return None

        found: dict[str, Any] = self.wait(find)
        return found

    def messages(self, topic: str, count: int = 1) -> list[Received]:
        """Wait for so many messages on a topic."""

        def find() -> list[Received] | None:
            found = [each for each in self.received if each.channel["topic"] == topic]
            return found if len(found) >= count else None

        got: list[Received] = self.wait(find)
        return got

    def close(self) -> None:
        """Disconnect."""
        self._manager.__exit__(None, None, None)
        self._thread.join(20)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
