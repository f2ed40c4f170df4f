"""Publish/subscribe between processes, on one computer or across a LAN, for people who write robots.

>>> import ipcpy as ipc
>>> with ipc.Publisher("doc/imu") as pub, ipc.Subscriber("doc/imu") as sub:
...     _ = pub.wait_for_subscribers(timeout=5)
...     _ = pub.publish({"gz": 0.5})
...     sub.recv(timeout=5).data
{'gz': 0.5}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .codec import Codec, MsgLibrary, MsgPack, MsgStream, Raw, get_msg
    from .doctor.examination import diagnose
    from .errors import ArgumentError, ClosedError, CodecError, IpcError, RecvTimeout, SchemaError, TransportError
    from .facts import Diagnosis, Finding
    from .graph import (
        EndpointInfo,
        Event,
        NodeFound,
        NodeInfo,
        NodeLost,
        NodeResumed,
        NodeStalled,
        PublisherFound,
        PublisherLost,
        SubscriberFound,
        SubscriberLost,
        TopicInfo,
    )
    from .message import Message
    from .node.node import Node, nodes, topics
    from .node.view import Watch
    from .publishing.publisher import Publisher
    from .stats import FlowStats, PublisherStats, RouteStats, SubscriberStats
    from .subscribing.subscriber import Subscriber
    from .transport.socketudp import SocketUDP, get_ip

_HOMES = {
    "codec": "Codec MsgLibrary MsgPack MsgStream Raw get_msg",
    "doctor.examination": "diagnose",
    "errors": "ArgumentError ClosedError CodecError IpcError RecvTimeout SchemaError TransportError",
    "facts": "Diagnosis Finding",
    "graph": "EndpointInfo Event NodeFound NodeInfo NodeLost NodeResumed NodeStalled PublisherFound PublisherLost "
    "SubscriberFound SubscriberLost TopicInfo",
    "message": "Message",
    "node.node": "Node nodes topics",
    "publishing.publisher": "Publisher",
    "stats": "FlowStats PublisherStats RouteStats SubscriberStats",
    "subscribing.subscriber": "Subscriber",
    "transport.socketudp": "SocketUDP get_ip",
    "node.view": "Watch",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [  # noqa: F822  (found by __getattr__)
    "ArgumentError",
    "ClosedError",
    "Codec",
    "CodecError",
    "Diagnosis",
    "EndpointInfo",
    "Event",
    "Finding",
    "FlowStats",
    "IpcError",
    "Message",
    "MsgLibrary",
    "MsgPack",
    "MsgStream",
    "Node",
    "NodeFound",
    "NodeInfo",
    "NodeLost",
    "NodeResumed",
    "NodeStalled",
    "Publisher",
    "PublisherFound",
    "PublisherLost",
    "PublisherStats",
    "Raw",
    "RecvTimeout",
    "RouteStats",
    "SchemaError",
    "SocketUDP",
    "Subscriber",
    "SubscriberFound",
    "SubscriberLost",
    "SubscriberStats",
    "TopicInfo",
    "TransportError",
    "Watch",
    "diagnose",
    "get_ip",
    "get_msg",
    "nodes",
    "topics",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that ``import ipcpy`` costs next to nothing."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
