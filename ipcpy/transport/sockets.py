"""Which kinds of sockets a node sends by. Knows their classes; ``ipcpy.testing`` puts others in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .connected import ConnectedSocket
from .data import DataSocket
from .group import FanoutSocket
from .link import LinkSocket


@dataclass(frozen=True)
class Sockets:
    """What makes a node's sockets: each is called with the arguments of the class that is its default.

    Attributes:
        data: the socket at which a subscriber receives.
        connected: a publisher's socket to one subscriber.
        fanout: a publisher's socket to several subscribers.
        link: the node's own socket.
        mdns: whether the node shows itself by mDNS too.
        memory: whether memory is shared with processes of this host; else all goes by sockets.
    """

    data: Callable[..., DataSocket] = DataSocket
    connected: Callable[..., ConnectedSocket] = ConnectedSocket
    fanout: Callable[..., FanoutSocket] = FanoutSocket
    link: Callable[..., LinkSocket] = LinkSocket
    mdns: bool = True
    memory: bool = True
