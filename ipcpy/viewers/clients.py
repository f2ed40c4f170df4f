"""What viewers publish: their channels as publishers here, on topics that the user allows. Knows JSON and CDR of
viewers; nothing of what they are shown.

It is the listener that foxglove-sdk calls, in threads of its own: what takes time is done in another one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import ipcpy as ipc

from ..views import StructView, Verbatim, struct_views
from ..views.rosnames import field_name
from .choice import patterns

__all__ = ["Clients"]

WAITING = 1_000  # messages of viewers that wait to be published
MAX_PUBLISHERS = 256


@dataclass(frozen=True, slots=True)
class _Advertised:
    """What a viewer says of a channel of its own."""

    topic: str
    encoding: str
    type: str


class _Sink:
    """A publisher for what viewers publish on a topic.

    Args:
        node: whose it is.
        topic: the topic, by its whole name.
    """

    def __init__(self, node: ipc.Node, topic: str) -> None:
        self.topic = topic
        self._codec, self._schema = _told(node, topic)
        self._views: tuple[StructView, ...] = ()
        self._library: ipc.MsgLibrary | None = None
        codec: ipc.Codec = ipc.Raw() if self._codec == "raw" else ipc.MsgPack()
        if self._codec == "struct":
            self._library = ipc.MsgLibrary.from_schema(self._schema)
            self._views = struct_views(self._schema)
            codec = Verbatim("struct", self._schema)
        self._publisher = ipc.Publisher(f"/{topic}", codec, node=node)

    def publish(self, advertised: _Advertised, data: bytes) -> None:
        """Publish a message of a viewer.

        Raises:
            IpcError, ValueError: it is none of the topic's.
        """
        if self._codec == "raw":
            self._publisher.publish(data)
        elif self._library is not None:
            self._publisher.publish(self._body(advertised, data))
        elif advertised.encoding == "json":
            self._publisher.publish(_json(data))
        else:
            raise ValueError(f"its messages are {self._codec}, which viewers send as JSON")

    def _body(self, advertised: _Advertised, data: bytes) -> bytes:
        assert self._library is not None
        word = advertised.type.rpartition("/")[2].rpartition(".")[2]
        found = [view for view in self._views if view.schema.name == advertised.type]
        found = found or [view for view in self._views if view.schema.name.rpartition("/")[2] == word]
        if not found and len(self._views) == 1:
            found = [self._views[0]]
        if len(found) != 1:
            names = ", ".join(view.schema.name for view in self._views[:10])
            raise ValueError(f"a message of type {advertised.type!r:.80} is none of {names}")
        if advertised.encoding == "cdr":
            return found[0].body_of(data)
        id = found[0].id
        described = next(each for each in self._schema["messages"] if each["id"] == id)
        return self._library.pack(id, _as_published(_json(data), described))

    def close(self) -> None:
        """Publish nothing more."""
        self._publisher.close()


class Clients:
    """The channels of viewers.

    Args:
        node: whose publishers they are.
        allowed: names and patterns of topics that they may publish on.
        say: called with a sentence where something is not published.

    Attributes:
        patterns: what is allowed.
        published: messages that were published.
        refused: messages that were not.

    Raises:
        ArgumentError: what is allowed is no name or pattern.
    """

    def __init__(self, node: ipc.Node, allowed: str | Iterable[str], say: Callable[[str], object]) -> None:
        self.patterns = patterns(node, allowed)
        self.published = self.refused = 0
        self._node = node
        self._say = say
        self._channels: dict[tuple[int, int], _Advertised] = {}
        self._sinks: dict[str, _Sink] = {}
        self._said: set[str] = set()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if self.patterns:
            self._thread = threading.Thread(target=self._run, name="ipcpy viewers' messages", daemon=True)
            self._thread.start()

    # -- called by foxglove-sdk --------------------------------------------------------------------------------------

    def on_client_advertise(self, client: Any, channel: Any) -> None:
        """Take a channel of a viewer."""
        advertised = _Advertised(channel.topic.strip("/"), channel.encoding, channel.schema_name)
        self._put(lambda: self._advertise((client.id, channel.id), advertised))

    def on_client_unadvertise(self, client: Any, client_channel_id: int) -> None:
        """Let go of one."""
        self._put(lambda: self._unadvertise((client.id, client_channel_id)))

    def on_message_data(self, client: Any, client_channel_id: int, data: bytes) -> None:
        """Take a message of a viewer."""
        if self._jobs.qsize() >= WAITING:
            self.refused += 1
            return
        self._put(lambda: self._publish((client.id, client_channel_id), data))

    def on_subscribe(self, client: Any, channel: Any) -> None:
        """Ignore who looks at what: that is asked for."""

    def on_unsubscribe(self, client: Any, channel: Any) -> None:
        """Ignore who looks no more."""

    def _put(self, job: Callable[[], object] | None) -> None:
        if self._thread is not None:
            self._jobs.put(job)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # of a viewer nothing is expected
                self._refuse(str(error))

    def _advertise(self, key: tuple[int, int], advertised: _Advertised) -> None:
        topic = advertised.topic
        if not any(ipc.matches(pattern, topic) for pattern in self.patterns):
            raise ValueError(f"viewers may not publish on {topic!r:.80}, only on {', '.join(self.patterns)}")
        if topic not in self._sinks:
            if len(self._sinks) >= MAX_PUBLISHERS:
                raise ValueError(f"viewers publish on {MAX_PUBLISHERS} topics already")
            self._sinks[topic] = _Sink(self._node, topic)
        self._channels[key] = advertised

    def _unadvertise(self, key: tuple[int, int]) -> None:
        gone = self._channels.pop(key, None)
        if gone is not None and all(other.topic != gone.topic for other in self._channels.values()):
            self._sinks.pop(gone.topic).close()

    def _publish(self, key: tuple[int, int], data: bytes) -> None:
        advertised = self._channels.get(key)
        if advertised is None:
            self.refused += 1  # its channel was refused, with a sentence
            return
        try:
            self._sinks[advertised.topic].publish(advertised, data)
        except (ipc.IpcError, ValueError) as error:
            self.refused += 1
            self._refuse(f"a message on {advertised.topic} was not published: {error}")
        else:
            self.published += 1

    def _refuse(self, text: str) -> None:
        """Say what was not done, each sentence once."""
        if text not in self._said and len(self._said) < WAITING:
            self._said.add(text)
            self._say(text)

    def close(self) -> None:
        """Publish nothing more; idempotent."""
        self._put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for sink in self._sinks.values():
            sink.close()
        self._sinks.clear()


def _told(node: ipc.Node, topic: str) -> tuple[str, Mapping[str, Any]]:
    """Return the codec and schema that a topic has: its publishers', or what its subscribers take; else msgpack."""
    info = next((each for each in node.topics() if each.name == topic), None)
    for end in (*info.publishers, *info.subscribers) if info else ():
        if end.codec in ("struct", "msgpack", "raw"):
            return end.codec, end.schema
    return "msgpack", {}


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error!s:.200}") from None


def _as_published(value: Any, described: Mapping[str, Any]) -> Any:
    """Return the fields of a message by the names that its publisher gave them: viewers show those that ROS 2 takes."""
    nested = described.get("nested")
    return _renamed(value, nested["fields"] if nested else described.get("fields", ()))


def _renamed(value: Any, fields: Iterable[Any]) -> Any:
    if not isinstance(value, Mapping):
        return value
    own: dict[str, str] = {}
    inner: dict[str, Any] = {}
    for told in fields:
        name = told if isinstance(told, str) else told[0]
        own[name] = own[field_name(name)] = name
        inner[name] = told[2] if not isinstance(told, str) and len(told) == 3 else None
    made: dict[str, Any] = {}
    for key, item in value.items():
        name = own.get(key, str(key))
        made[name] = item if inner.get(name) is None else _renamed(item, inner[name])
    return made
