"""Which channels a viewer is shown: what is published, each kind of view by its name. Knows views; nothing of viewers,
sockets or time.

A channel stands for all publishers of a topic whose messages look alike. What struct publishers show is known from
their schemas. What msgpack carries is known from messages only: such a publisher is ``unknown`` until one was seen.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import ipcpy as ipc

from ..views import Names, Schema, View, Viewer, viewer_for
from ..views.documents import merged, type_for
from ..views.schema import json_schema

__all__ = ["Board", "Channel"]

_ANYTHING = {"type": "object"}


@dataclass(eq=False, slots=True)
class Channel:
    """What a viewer can subscribe to.

    Attributes:
        source: the topic that is subscribed to here for it.
        topic: what viewers call it.
        schema: how its messages are read; its name is one that no other definition has.
        publishers: the ids of those whose messages it has.
        handle: what ``opened`` returned; None while it is not open.
    """

    source: str
    topic: str
    schema: Schema
    publishers: set[str] = field(default_factory=set)
    handle: Any = None


class _Route:
    """One publisher's messages.

    Attributes:
        last: the channel of the last message, if it had one view.
        guessed: the channel that it was given before anything of it was seen.
    """

    __slots__ = ("channels", "guessed", "last", "seen", "topic", "viewer")

    def __init__(self, topic: str, viewer: Viewer) -> None:
        self.topic = topic
        self.viewer = viewer
        self.channels: dict[tuple[str, Schema], Channel] = {}
        self.last: Channel | None = None
        self.guessed: Channel | None = None
        self.seen = False


class Board:
    """The channels there are.

    Args:
        opened: called with a channel that is new, or is read in another way from now on; it returns its handle.
        closed: called with one that is no more, or right before it is opened anew.
        bgr: see ``viewer_for``.
    """

    def __init__(
        self, opened: Callable[[Channel], object], closed: Callable[[Channel], object], *, bgr: bool = False
    ) -> None:
        self._opened = opened
        self._closed = closed
        self._bgr = bgr
        self._names = Names()
        self._routes: dict[str, _Route] = {}
        self._channels: dict[tuple[str, Schema], Channel] = {}  # JSON without the text of its schema, which grows
        self._lock = threading.RLock()

    def channels(self) -> tuple[Channel, ...]:
        """Return the channels."""
        with self._lock:
            return tuple(self._channels.values())

    def unknown(self) -> dict[str, str]:
        """Return the publishers of which nothing is known yet, each with its topic."""
        with self._lock:
            return {id: route.topic for id, route in self._routes.items() if not route.seen}

    def follow(self, publishers: Iterable[ipc.EndpointInfo]) -> None:
        """Have the channels of those who publish now, and no others."""
        there = {info.id: info for info in publishers}
        with self._lock:
            for id in self._routes.keys() - there.keys():
                route = self._routes.pop(id)
                for channel in {*route.channels.values(), route.guessed} - {None}:
                    self._leave(channel, id)  # type: ignore[arg-type]
            for id in there.keys() - self._routes.keys():
                self._welcome(there[id])

    def _welcome(self, info: ipc.EndpointInfo) -> None:
        viewer = viewer_for(info.codec, info.schema, topic=info.topic, bgr=self._bgr)
        route = self._routes[info.id] = _Route(info.topic, viewer)
        known = viewer.known()
        route.seen = bool(known)
        for part, schema in known:
            self._join(route, info.id, part, schema)

    def guess(self, publisher: str) -> None:
        """Show a publisher of which nothing is known as JSON: it may not publish for long, and be looked at before."""
        with self._lock:
            route = self._routes.get(publisher)
            if route is not None and not route.seen and route.guessed is None:
                schema = json_schema(type_for(route.topic), json.dumps({"title": type_for(route.topic), **_ANYTHING}))
                route.guessed = self._join(route, publisher, "", schema)
                route.channels.clear()

    def see(self, message: ipc.Message) -> list[tuple[Channel, Any]]:
        """Look at a message whose data are its body.

        Returns:
            Channels that have it, each with the parts of its bytes; empty for a publisher that was not followed yet.
        """
        route = self._routes.get(message.publisher)
        if route is None:
            return []
        last = route.last
        if last is not None:
            made = route.viewer.again(message.data)
            if made is not None:
                return [(last, (made[0],))]
        views = route.viewer.see(message.data, message.sent_ns).views
        found = [(self._channel_of(route, message.publisher, view), view.data) for view in views]
        route.last = found[0][0] if len(found) == 1 else None
        return found

    def _channel_of(self, route: _Route, publisher: str, view: View) -> Channel:
        channel = route.channels.get((view.part, view.schema))
        return channel or self._meet(route, publisher, view)

    def _meet(self, route: _Route, publisher: str, view: View) -> Channel:
        with self._lock:
            if self._routes.get(publisher) is not route:  # it went meanwhile
                return Channel(route.topic, route.topic + view.part, view.schema)
            guessed, route.guessed = route.guessed, None
            if guessed is not None and (view.part or view.schema.encoding != "jsonschema"):  # the guess was wrong
                self._leave(guessed, publisher)
            route.seen = True
            return self._join(route, publisher, view.part, view.schema)

    def _join(self, route: _Route, publisher: str, part: str, schema: Schema) -> Channel:
        """Put a publisher to the channel that has such views; make one where there is none."""
        grows = schema.encoding == "jsonschema"
        key = (route.topic + part, schema._replace(text="") if grows else schema)
        channel = self._channels.get(key)
        if channel is None:
            named = schema._replace(name=self._names.schema(schema))
            topic = self._names.topic(route.topic + part, named)
            channel = self._channels[key] = Channel(route.topic, topic, named)
            channel.handle = self._opened(channel)
        elif grows and (text := _merged(channel.schema.text, schema.text)) != channel.schema.text:
            self._closed(channel)
            channel.schema = channel.schema._replace(text=text)
            channel.handle = self._opened(channel)
        channel.publishers.add(publisher)
        route.channels[(part, schema)] = channel
        return channel

    def _leave(self, channel: Channel, publisher: str) -> None:
        channel.publishers.discard(publisher)
        if channel.publishers:
            return
        for key in [key for key, each in self._channels.items() if each is channel]:
            del self._channels[key]
        self._closed(channel)
        channel.handle = None
        others = self._channels.values()
        if all(other.topic != channel.topic for other in others):
            self._names.forget_topic(channel.topic)
        if all(other.schema[:3] != channel.schema[:3] for other in others):
            self._names.forget_schema(channel.schema.name, channel.schema)


def _merged(one: str, other: str) -> str:
    """Return the text of a schema for what either of two describes."""
    return one if one == other else json.dumps(merged(json.loads(one), json.loads(other)), ensure_ascii=False)
