"""Which kinds of sockets a node sends by. Knows their classes; ``ipcpy.testing`` puts others in their place."""

from __future__ import annotations

from collections.abc import Callable

from ..records import dataclass
from .connected import ConnectedSocket
from .data import DataSocket
from .group import FanoutSocket, GroupSocket
from .link import LinkSocket


@dataclass(frozen=True, slots=True)
class Sockets:
    """What makes a node's sockets: each is called with the arguments of the class that is its default.

    Attributes:
        data: the socket at which a subscriber receives.
        connected: a publisher's socket to one subscriber.
        fanout: a publisher's socket to several subscribers.
        group: a subscriber's socket for what a publisher sends to a group.
        link: the node's own socket.
        greetings: the node's socket for what is said to all nodes.
        mdns: whether the node shows itself by mDNS too.
        memory: whether memory is shared with processes of this host; else all goes by sockets.
    """

    data: Callable[..., DataSocket] = DataSocket
    connected: Callable[..., ConnectedSocket] = ConnectedSocket
    fanout: Callable[..., FanoutSocket] = FanoutSocket
    group: Callable[..., GroupSocket] = GroupSocket
    link: Callable[..., LinkSocket] = LinkSocket
    greetings: Callable[..., GroupSocket] = GroupSocket
    mdns: bool = True
    memory: bool = True
