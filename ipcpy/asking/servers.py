"""The servers of one service, as the graph has them, and which of them a client asks. Knows events of the graph and
places; nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..checksum import blake2b
from ..events import SubscriberFound, SubscriberLost
from ..graph import EndpointInfo, NodeInfo
from ..locks import Bell, Monitor
from .names import place_of

if TYPE_CHECKING:
    from ..events import Event


class Servers:
    """The servers of one service that are there now; a Listener of the graph.

    Args:
        name: the service.
        on_lost: called, in the I/O thread and with the graph locked, with the topic of a server that is gone, and why.
        only: the topic of the one that counts, where only one does.
        on_fork: called in a forked child, before anything else runs there.

    Attributes:
        own: it is told of ipcpy's own topics.
        ended: whether nothing more will come: the node is closed, or belongs to the parent of this process.
        monitor: rings when a server comes or goes.
    """

    own = True

    def __init__(
        self,
        name: str,
        on_lost: Callable[[str, str], object],
        only: str = "",
        on_fork: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = name
        self._on_fork = on_fork
        self._only = only
        self._on_lost = on_lost
        self._known: dict[str, EndpointInfo] = {}
        self.ended = False
        self.monitor = Monitor(Bell())

    def put(self, event: Event) -> None:
        """Take a change of the graph."""
        if isinstance(event, SubscriberFound):
            if self._is_one(event.subscriber):
                self._known[event.subscriber.topic] = event.subscriber
                self.monitor.bell.ring()
        elif isinstance(event, SubscriberLost) and self._is_one(event.subscriber):
            self._known.pop(event.subscriber.topic, None)
            self._on_lost(event.subscriber.topic, event.reason)

    def _is_one(self, subscriber: EndpointInfo) -> bool:
        if self._only:
            return subscriber.topic == self._only
        place = place_of(subscriber.topic)
        return place is not None and place.service == self._name

    def end(self) -> None:
        """Let those who wait know that nothing more will come."""
        self.ended = True
        self.monitor.bell.ring()

    def abandon(self) -> None:
        """Let nothing more come, in a forked child."""
        self.monitor = Monitor(Bell())
        self.ended = True
        self._on_fork()

    def there(self) -> list[EndpointInfo]:
        """Return the servers that are there."""
        return list(self._known.values())


def choose(servers: list[EndpointInfo], here: NodeInfo, now: Callable[[EndpointInfo], EndpointInfo]) -> EndpointInfo:
    """Choose whom to ask: one that answers, rather on this host than on another, else by chance.

    The chance is the same for one client each time, and spreads clients evenly (rendezvous hashing).

    Args:
        servers: one at least.
        here: the client's node.
        now: returns what is known of a server now.
    """

    def rank(server: EndpointInfo) -> tuple[bool, bool, bytes]:
        node = now(server).node
        chance = blake2b(f"{here.id} {server.topic}".encode(), digest_size=8).digest()
        return node.state != "alive", node.host != here.host, chance

    return min(servers, key=rank)
