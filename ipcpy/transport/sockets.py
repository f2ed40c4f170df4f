"""Which kinds of sockets a node is made of. ipcpy.testing puts others in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .udp import ConnectedSocket, DataSocket, FanoutSocket, LinkSocket


@dataclass(frozen=True)
class Sockets:
    """What makes the sockets that a node sends by, with the arguments of the classes that stand here.

    Attributes:
        mdns: whether the node shows itself by mDNS too.
    """

    data: Callable[..., DataSocket] = DataSocket
    connected: Callable[..., ConnectedSocket] = ConnectedSocket
    fanout: Callable[..., FanoutSocket] = FanoutSocket
    link: Callable[..., LinkSocket] = LinkSocket
    mdns: bool = True
