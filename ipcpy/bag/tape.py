"""Messages on their way into chunks: whose they are, how they look, what is kept beside them, which are thinned out.

Knows messages and chunks; nothing of threads, subscribers or files. It is the recorder's fast path.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..graph import EndpointInfo
from ..message import Message
from ..views import BESIDE, Seen, View, Viewer, viewer_for
from .catalog import Catalog, CatalogFull
from .chunk import Buffer, Chunk, ChunkBuilder
from .form import NONE, Origin, Original, original_head
from .latches import Latch, Latches

__all__ = ["CHUNK_AGE", "CHUNK_SIZE", "Counts", "Tape"]

log = logging.getLogger(__name__)

CHUNK_SIZE = 1 << 20  # bytes: few enough to be read for one message, many enough to be compressed well
CHUNK_AGE = 400_000_000  # ns after which a chunk is closed: what a kill -9 loses is less than a second
MAX_ROUTES = 20_000  # publishers that are known at a time
_LOW, _U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


@dataclasses.dataclass(slots=True)
class Counts:
    """What became of a publisher's messages.

    Attributes:
        topic: its topic.
        recorded: messages that were kept.
        bytes: bytes of their bodies.
        thinned: messages that were left out, for a rate was asked for.
        first_ns: when the first one was received.
        last_ns: when the last one was.
    """

    topic: str
    recorded: int = 0
    bytes: int = 0
    thinned: int = 0
    first_ns: int = 0
    last_ns: int = 0


_NONE: tuple[Any, str, int, list[int]] = (None, "", 0, [])


class _Route:
    """One publisher's way into the file.

    Attributes:
        channels: the channel of each kind of view, in the file that is written now.
        last: the schema and part of the last message's only view, the upper half of its number, and its channel.
        keep: how many messages are kept for a ring that forgets them.
    """

    __slots__ = ("again", "channels", "counts", "due_ns", "keep", "last", "number", "origin", "owner", "viewer")

    def __init__(self, origin: Origin, viewer: Viewer, owner: object) -> None:
        self.origin = origin
        self.viewer = viewer
        self.again = viewer.again
        self.owner = owner
        self.number = int(origin.publisher, 16)
        self.counts = Counts(origin.topic)
        self.channels: dict[Any, int] = {}
        self.last: tuple[Any, str, int, list[int]] = _NONE
        self.due_ns = 0
        self.keep = 0


class Tape:
    """Takes messages and hands on chunks.

    Args:
        put: called with each chunk that is complete.
        info: finds a publisher by its id; None where it was never heard of.
        is_excluded: tells of a topic whether it is left out.
        period_ns: the least time between two messages of a publisher; 0 keeps all.
        bgr: see ``viewer_for``.
        latches: keeps what latched topics keep; None where chunks are not forgotten.

    Attributes:
        past: what was kept of publishers that are forgotten, by topic.
    """

    def __init__(
        self,
        put: Callable[[Chunk], object],
        info: Callable[[str], EndpointInfo | None],
        *,
        is_excluded: Callable[[str], bool] = lambda _: False,
        period_ns: int = 0,
        bgr: bool = False,
        latches: Latches | None = None,
    ) -> None:
        self._put = put
        self._is_excluded = is_excluded
        self._info = info
        self._period_ns = period_ns
        self._bgr = bgr
        self._latches = latches
        self._number = 0  # of the chunk that is built
        self.past: dict[str, Counts] = {}
        self._routes: dict[str, _Route] = {}
        self._builder = ChunkBuilder(Catalog())
        self._close_at = 0  # log time from which on the chunk is closed

    def take(self, message: Message, owner: object) -> bool:
        """Take a message.

        Args:
            message: its data are the body.
            owner: which of several subscribers has it; a publisher's messages are taken from the first one only.

        Returns:
            Whether it was kept.
        """
        body, _, seq, sent_ns, received_ns, publisher = message
        route = self._routes.get(publisher) or self._route(message, owner)
        if route.owner is not owner:
            return False
        counts = route.counts
        if self._period_ns and self._is_early(route, received_ns):
            counts.thinned += 1
            return False
        if not (0 <= sent_ns <= _U64 and 0 <= received_ns <= _U64):  # a peer may claim any
            sent_ns, received_ns = min(max(sent_ns, 0), _U64), min(max(received_ns, 0), _U64)
        made = route.again(body) if seq >> 32 == route.last[2] and not route.keep else None
        if made is not None and len(route.last[3]) == 1:
            builder, low, (data, beside) = self._builder, seq & _LOW, made
            if not builder.size:
                self._close_at = received_ns + CHUNK_AGE
            if beside is not None:
                head = original_head(route.number, seq, 0, len(data), len(beside))
                builder.add(builder.catalog.originals(), low, received_ns, sent_ns, (head, beside))
            builder.add(route.last[3][0], low, received_ns, sent_ns, (data,))
            if builder.size >= CHUNK_SIZE or received_ns >= self._close_at:
                self.close_chunk()
        else:
            self._add(route, route.viewer.see(body, sent_ns), seq, sent_ns, received_ns)
        counts.recorded += 1
        counts.bytes += len(body)
        counts.last_ns = received_ns
        counts.first_ns = counts.first_ns or received_ns
        return True

    def _add(self, route: _Route, seen: Seen, seq: int, sent_ns: int, received_ns: int) -> None:
        builder, (views, _, _, rest), low = self._builder, seen, seq & _LOW
        last = route.last
        if len(views) == 1 and last[0] is views[0].schema and last[1:3] == (views[0].part, seq >> 32):
            channels = last[3]
        else:
            channels = self._find_channels(route, seen, seq >> 32)
            builder = self._builder
        if not builder.size:
            self._close_at = received_ns + CHUNK_AGE
        records: list[tuple[int, tuple[Buffer, ...]]] = []
        if rest is not None:
            original = Original(route.number, seq, rest)
            records.append((builder.catalog.originals(), (original.pack(), rest.bytes)))
        records += [(channel, view.data) for channel, view in zip(channels, views, strict=True)]
        for channel, data in records:
            builder.add(channel, low, received_ns, sent_ns, data)
        if route.keep and self._latches is not None:
            origin = route.origin
            latch = Latch(origin.topic, origin.publisher, self._number, builder.catalog, low, sent_ns, records)
            self._latches.put(latch, route.keep)
        if builder.size >= CHUNK_SIZE or received_ns >= self._close_at:
            self.close_chunk()

    def _find_channels(self, route: _Route, seen: Seen, high: int) -> list[int]:
        try:
            channels = self._channels(route, seen, high)
        except CatalogFull:
            self.renew()
            channels = self._channels(route, seen, high)
        if len(channels) == 1:
            route.last = (seen.views[0].schema, seen.views[0].part, high, channels)
        return channels

    def _channels(self, route: _Route, seen: Seen, high: int) -> list[int]:
        views, kind, id, _ = seen
        found = []
        for view in views:
            carries = view is views[-1]
            key = (view.schema, view.part, kind, high, carries)
            channel = route.channels.get(key)
            if channel is None:
                channel = route.channels[key] = self._define(route, view, kind if carries else NONE, id, high)
            found.append(channel)
        return found

    def _define(self, route: _Route, view: View, body: str, id: int | None, high: int) -> int:
        if body == BESIDE:
            self._builder.catalog.originals()  # now: none of the two may be in a file without the other
        origin = dataclasses.replace(route.origin, body=body, id=id, high=high)
        return self._builder.catalog.channel(origin, view)

    def _is_early(self, route: _Route, now_ns: int) -> bool:
        if now_ns < route.due_ns <= now_ns + self._period_ns:  # further away: the clock was set back
            return True
        late = now_ns - route.due_ns
        route.due_ns = (route.due_ns if 0 <= late < self._period_ns else now_ns) + self._period_ns
        return False

    def _route(self, message: Message, owner: object) -> _Route:
        if self._is_excluded(message.topic):
            owner = None  # nobody's, so that nothing is taken
        info = self._info(message.publisher)
        origin = Origin(message.topic, message.publisher, "unknown") if info is None else _origin(info)
        viewer = viewer_for(origin.codec, origin.schema, topic=origin.topic, bgr=self._bgr)
        route = self._routes[message.publisher] = _Route(origin, viewer, owner)
        if self._latches is not None and self._latches.wants(origin.topic, origin.keep):
            route.keep = origin.keep
        if len(self._routes) > MAX_ROUTES:
            self._forget()
        return route

    def _forget(self) -> None:
        """Forget the publishers that were not heard for longest, but not how much came from them."""
        for id in sorted(self._routes, key=lambda id: self._routes[id].counts.last_ns or _U64)[: MAX_ROUTES // 10]:
            counts = self._routes.pop(id).counts
            past = self.past.setdefault(counts.topic, Counts(counts.topic))
            past.recorded += counts.recorded
            past.bytes += counts.bytes
            past.thinned += counts.thinned
            past.first_ns = min(past.first_ns or counts.first_ns, counts.first_ns)
            past.last_ns = max(past.last_ns, counts.last_ns)

    def close_chunk(self) -> None:
        """Hand on what there is."""
        if self._builder.size:
            self._number += 1
            self._put(self._builder.close())

    def tick(self, now_ns: int) -> None:
        """Hand on what has been there for long, though nothing more comes."""
        if self._builder.size and not 0 < self._close_at - now_ns <= CHUNK_AGE:
            self.close_chunk()

    def renew(self) -> None:
        """Begin a new file: with the next chunk, which knows nothing of the ones before."""
        self.close_chunk()
        self._builder = ChunkBuilder(Catalog())
        for route in self._routes.values():
            route.channels = {}
            route.last = _NONE

    def owner(self, publisher: str) -> object:
        """Return which subscriber a publisher's messages are taken from; None before the first one."""
        route = self._routes.get(publisher)
        return None if route is None else route.owner

    def counts(self) -> dict[str, Counts]:
        """Return what was kept, by publisher."""
        return {id: dataclasses.replace(route.counts) for id, route in list(self._routes.items()) if route.owner}


def _origin(info: EndpointInfo) -> Origin:
    node = info.node
    return Origin(
        topic=info.topic,
        publisher=info.id,
        codec=info.codec,
        schema=_schema(info),
        reliable=info.reliable,
        keep=info.keep,
        node=node.name,
        node_id=node.id,
        host=node.host,
        pid=node.pid,
        domain=node.domain,
    )


def _schema(info: EndpointInfo) -> Mapping[str, Any]:
    """Return a publisher's schema if JSON can hold it; a peer may send what it cannot."""
    try:
        json.dumps(dict(info.schema))
    except (TypeError, ValueError, RecursionError) as error:
        log.warning("%s: the schema of %s cannot be kept: %s", info.topic, info.node.name, error)
        return {}
    return info.schema
