"""FoxgloveServer: what is published as channels of a server that Foxglove, and whoever speaks its protocol, looks at.

Board.py says which channels there are, listening.py subscribes; what comes and goes is found out here, in one thread,
and told to foxglove-sdk. That library holds locks while it calls back for the connection graph and while it logs, and
holds Python's own while it waits for one of them. So where there is a graph it has nobody to call back, and is asked
who looks at what; and it logs nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import ipcpy as ipc

from .board import Board, Channel
from .choice import Choice
from .clients import Clients
from .extra import need_foxglove
from .front import Front, Origins, hidden_host
from .graph import connections
from .latched import Latched
from .listening import Listening, Peeks
from .thinning import Thinning

if TYPE_CHECKING:
    from foxglove.websocket import WebSocketServer

__all__ = ["FoxgloveServer", "FoxgloveStats"]

log = logging.getLogger(__name__)

PORT = 8765  # Foxglove's own
TICK = 0.05  # seconds between two looks who looks at what
GUESS = 0.5  # seconds after which a topic on which nothing came is shown all the same
GRAPH = 0.2  # seconds between two graphs
BACKLOG = 128  # messages that wait for one slow viewer: of images of 6 MB as much as 768 MB
BREATH = 0.02  # seconds in which the library writes to its viewers what they were told, also on a busy computer
MAX_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class FoxgloveStats:
    """What was shown until now.

    Attributes:
        channels: channels that there are now.
        topics: topics that are subscribed to now, since somebody looks at them.
        messages: messages that were handed to viewers.
        bytes: bytes of them.
        thinned: messages that were left out, since a rate was asked for.
        lost: messages that did not arrive here.
        published: messages of viewers that were published.
        refused: messages of viewers that were not.
    """

    channels: int
    topics: tuple[str, ...]
    messages: int
    bytes: int
    thinned: int
    lost: int
    published: int
    refused: int


class FoxgloveServer:
    """Serves topics to Foxglove, from the time it is made until it is closed.

    Topics are channels as they appear; one that nobody looks at is not subscribed to, but for one message that says
    how it looks where its codec is msgpack. How messages look is as in recordings: docs/viewers.md.

    Args:
        topics: names and patterns, by default all.
        exclude: names and patterns of topics that are left out.
        host: the address of this host at which it is reached; any but 127.0.0.1 lets the network look.
        port: the port; 0 takes a free one.
        publish: names and patterns of topics on which viewers may publish, by default none. There is no connection
            graph with it.
        max_rate: messages a second of each publisher that are shown; None shows all.
        bgr: whether colours of images are blue, green, red, as OpenCV has them.
        origins: whose pages may connect, besides Foxglove's and those of this computer: ``https://viewer.example``.
        node: the node it belongs to; by default one of its own.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        IpcError: foxglove-sdk is not installed (``pip install 'ipcpy[foxglove]'``).
        TransportError: (an OSError) if the port is taken, or the address is none of this host's.
        ClosedError: (an OSError) if the node is closed.
    """

    def __init__(
        self,
        topics: str | Iterable[str] = "/**",
        *,
        exclude: str | Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = PORT,
        publish: str | Iterable[str] = (),
        max_rate: float | None = None,
        bgr: bool = False,
        origins: str | Iterable[str] = (),
        node: ipc.Node | None = None,
    ) -> None:
        need_foxglove()
        if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 0xFFFF:
            raise ipc.ArgumentError(f"port is a number from 0 to 65535, got {port!r:.60}")
        if not isinstance(host, str) or not host:
            raise ipc.ArgumentError(f"host is an address of this host, such as '127.0.0.1', got {host!r:.60}")
        self._thinning = Thinning(max_rate)
        self._node = ipc.Node("ipcpy-foxglove") if node is None else node
        self._owns_node = node is None
        with contextlib.ExitStack() as undo:
            undo.callback(self._close_node)
            self._choice = Choice(self._node, topics, exclude)
            self._clients = Clients(self._node, publish, self._say)
            undo.callback(self._clients.close)
            self._watch = self._node.watch(hidden=True)  # services are in the graph, and made of hidden topics
            undo.callback(self._watch.close)
            pages = Origins(origins)
            self._server = self._start()
            undo.callback(self._server.stop)
            self._front = Front(host, port, (self._inner, self._server.port), pages, log.warning)
            undo.pop_all()
        self._host = host
        self._board = Board(self._opened, self._closed, bgr=bgr)
        self._listening = Listening(self._node, self._take)
        self._peeks = Peeks()
        self._latched = Latched()
        self._guess_at: dict[str, float] = {}
        self._graph_at = 0.0
        self._looked: set[Channel] = set()
        self._messages = self._bytes = self._told = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ipcpy foxglove", daemon=True)
        self._thread.start()

    def _start(self) -> WebSocketServer:
        """Start the server itself, where only the front finds it."""
        import foxglove
        from foxglove import _foxglove_py
        from foxglove.websocket import Capability, ServerListener

        self._context = foxglove.Context()
        self._inner = hidden_host()
        may = bool(self._clients.patterns)
        try:
            server = foxglove.start_server(
                name=f"ipcpy, domain {self._node.domain}",
                host=self._inner,
                port=0,
                capabilities=[Capability.ClientPublish if may else Capability.ConnectionGraph],
                server_listener=cast(ServerListener, self._clients) if may else None,
                supported_encodings=["json", "cdr"] if may else None,
                context=self._context,
                message_backlog_size=BACKLOG,
            )
        except (RuntimeError, OSError, ValueError) as error:
            text = str(error).removeprefix("FoxgloveError: ")
            raise ipc.TransportError(f"foxglove-sdk cannot serve: {text}") from None
        _foxglove_py.disable_logging()  # else a viewer with an id that is no channel's can lock all of Python up
        return server

    # -- what users see ----------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port at which it is reached; 0 once it is closed."""
        return self._front.port

    @property
    def url(self) -> str:
        """What viewers are told to connect to."""
        host = "127.0.0.1" if self._host == "0.0.0.0" else self._host
        return f"ws://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def stats(self) -> FoxgloveStats:
        """What was shown until now."""
        return FoxgloveStats(
            channels=len(self._board.channels()),
            topics=self._listening.topics,
            messages=self._messages,
            bytes=self._bytes,
            thinned=self._thinning.thinned,
            lost=self._listening.lost(),
            published=self._clients.published,
            refused=self._clients.refused,
        )

    @property
    def closed(self) -> bool:
        """Whether it serves nothing any more: it, or its node, was closed."""
        return self._closing

    def close(self) -> None:
        """Serve nothing more; idempotent."""
        self._closing = True
        self._watch.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> FoxgloveServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._follow(time.monotonic())
            while not self._closing:
                changed = self._wait()
                now = time.monotonic()
                if changed:
                    self._follow(now)
                self._look(now)
                if self._graph_at and now >= self._graph_at:
                    self._show_graph()
        except ipc.ClosedError:
            pass
        except Exception:  # a defect
            log.exception("topics are no longer shown to Foxglove")
        finally:
            self._end()

    def _wait(self) -> bool:
        """Wait for a change, but not for long; return whether there was one."""
        try:
            self._watch.get(TICK)
        except TimeoutError:
            return False
        with contextlib.suppress(TimeoutError):
            while True:
                self._watch.get(0)
        return True

    def _follow(self, now: float) -> None:
        topics = [topic for topic in self._node.topics() if self._choice.takes(topic.name)]
        self._board.follow(info for topic in topics for info in topic.publishers)
        self._latched.follow({info.id: info.keep for topic in topics for info in topic.publishers})
        self._graph_at = self._graph_at or now + GRAPH

    def _look(self, now: float) -> None:
        """Subscribe to what somebody looks at, and to those of which it is not known how they look."""
        channels = self._board.channels()
        looked = {channel for channel in channels if channel.handle is not None and channel.handle.has_sinks()}
        for channel in looked - self._looked:
            if channel.source in self._listening.topics:  # else publishers send what they keep to a new subscriber
                for data, log_time in self._latched.of(channel):
                    self._log(channel, data, log_time)
        self._looked = looked
        unknown = self._board.unknown()
        self._guess_at = {id: self._guess_at.get(id, now + GUESS) for id in unknown}
        for id, due in self._guess_at.items():
            if now >= due:
                self._board.guess(id)
        wanted = {channel.source for channel in looked} | self._peeks.choose(unknown, now)
        self._listening.listen(wanted, now)

    def _show_graph(self) -> None:
        self._graph_at = 0.0
        if self._clients.patterns:
            return
        import foxglove

        found = connections(self._node.topics(), ipc.services(0, self._node), self._node.id)
        graph = foxglove.ConnectionGraph()
        for topic, names in found.published.items():
            graph.set_published_topic(topic, names)
        for topic, names in found.subscribed.items():
            graph.set_subscribed_topic(topic, names)
        for service, names in found.answered.items():
            graph.set_advertised_service(service, names)
        self._server.publish_connection_graph(graph)

    def _end(self) -> None:
        self._closing = True
        self._listening.close()
        self._clients.close()
        self._front.close()
        self._server.stop()
        self._board.follow(())
        self._close_node()

    def _close_node(self) -> None:
        if self._owns_node:
            self._node.close()

    # -- channels ----------------------------------------------------------------------------------------------------

    def _opened(self, channel: Channel) -> object:
        import foxglove

        encoding, name, kind, text = channel.schema
        self._breathe()
        schema = foxglove.Schema(name=name, encoding=kind, data=text.encode("utf-8", "replace"))
        return foxglove.Channel(channel.topic, message_encoding=encoding, schema=schema, context=self._context)

    def _closed(self, channel: Channel) -> None:
        self._breathe()
        channel.handle.close()

    def _breathe(self) -> None:
        """Let the library tell viewers of channels before there are more: whom BACKLOG waits for it disconnects."""
        self._told += 1
        if self._told % (BACKLOG // 8) == 0:
            time.sleep(BREATH)

    # -- messages, each topic's in a thread of its own ---------------------------------------------------------------

    def _take(self, message: ipc.Message) -> None:
        if self._thinning.leaves_out(message.publisher, message.received_ns):
            return
        for channel, data in self._board.see(message):
            self._latched.keep(channel, message.publisher, data, message.received_ns)
            self._log(channel, data, message.received_ns)

    def _log(self, channel: Channel, data: Any, log_time: int) -> None:
        handle = channel.handle
        if handle is None or not handle.has_sinks():
            return
        body = data[0] if len(data) == 1 and type(data[0]) is bytes else b"".join(data)
        self._messages += 1
        self._bytes += len(body)
        handle.log(body, log_time=min(max(log_time, 0), MAX_NS))

    def _say(self, text: str) -> None:
        """Tell viewers, and the log, what was not done."""
        from foxglove import StatusLevel

        log.warning("%s", text)
        self._server.publish_status(text, StatusLevel.Warning)
