"""Publish/subscribe between processes, on one computer or across a LAN, for people who write robots.

>>> import ipcpy as ipc
>>> with ipc.Publisher("doc/imu") as pub, ipc.Subscriber("doc/imu") as sub:
...     _ = pub.wait_for_subscribers(timeout=5)
...     _ = pub.publish({"gz": 0.5})
...     sub.recv(timeout=5).data
{'gz': 0.5}
"""

from __future__ import annotations

import atexit
import gc
import sys

from .typed import TYPE_CHECKING
from .version import __version__ as __version__

if TYPE_CHECKING:  # the names once more, for type checkers and editors: a test holds both lists against each other
    from .asking.client import Client as Client
    from .asking.listing import services as services
    from .asking.listing import services_async as services_async
    from .asking.request import Request as Request
    from .asking.service import Service as Service
    from .asking.stream import Stream as Stream
    from .bag.bag import Bag as Bag
    from .bag.bag import BagTopic as BagTopic
    from .bag.blackbox import BlackBox as BlackBox
    from .bag.player import Player as Player
    from .bag.player import PlayerStats as PlayerStats
    from .bag.recorder import Recorder as Recorder
    from .bag.recorder import RecorderStats as RecorderStats
    from .bag.recorder import TopicStats as TopicStats
    from .bridges.bridge import Bridge as Bridge
    from .bridges.config import BridgeConfig as BridgeConfig
    from .bridges.mqtt.adapter import MqttAdapter as MqttAdapter
    from .bridges.rules import Rules as Rules
    from .bridges.zenoh.adapter import ZenohAdapter as ZenohAdapter
    from .bridges.zenoh.options import ZenohOptions as ZenohOptions
    from .clock import Clock as Clock
    from .clock import Delay as Delay
    from .codec import MsgLibrary as MsgLibrary
    from .codec import MsgPack as MsgPack
    from .codec import MsgStream as MsgStream
    from .codec import Raw as Raw
    from .codec import get_msg as get_msg
    from .codec.codec import Codec as Codec
    from .doctor.examination import diagnose as diagnose
    from .errors import ArgumentError as ArgumentError
    from .errors import ClosedError as ClosedError
    from .errors import CodecError as CodecError
    from .errors import IpcError as IpcError
    from .errors import NoService as NoService
    from .errors import RecvTimeout as RecvTimeout
    from .errors import SchemaError as SchemaError
    from .errors import ServiceError as ServiceError
    from .errors import TransportError as TransportError
    from .events import Event as Event
    from .events import NodeFound as NodeFound
    from .events import NodeLost as NodeLost
    from .events import NodeResumed as NodeResumed
    from .events import NodeStalled as NodeStalled
    from .events import PublisherFound as PublisherFound
    from .events import PublisherLost as PublisherLost
    from .events import PublisherResumed as PublisherResumed
    from .events import PublisherStalled as PublisherStalled
    from .events import SubscriberFound as SubscriberFound
    from .events import SubscriberLost as SubscriberLost
    from .events import TopicEvent as TopicEvent
    from .events import TopicInTime as TopicInTime
    from .events import TopicLate as TopicLate
    from .facts import Diagnosis as Diagnosis
    from .facts import Finding as Finding
    from .fast import implementation as implementation
    from .graph import EndpointInfo as EndpointInfo
    from .graph import Flow as Flow
    from .graph import NodeInfo as NodeInfo
    from .graph import ServiceInfo as ServiceInfo
    from .graph import Stranger as Stranger
    from .graph import TopicInfo as TopicInfo
    from .message import Message as Message
    from .node.node import Node as Node
    from .node.shared import flows as flows
    from .node.shared import flows_async as flows_async
    from .node.shared import nodes as nodes
    from .node.shared import nodes_async as nodes_async
    from .node.shared import topics as topics
    from .node.shared import topics_async as topics_async
    from .node.watch import Watch as Watch
    from .parameters.parameters import Parameters as Parameters
    from .protocol.topics import matches as matches
    from .publishing.publisher import Publisher as Publisher
    from .rate import Rate as Rate
    from .sealing.keyfile import KeyFile as KeyFile
    from .sealing.keyfile import new_key as new_key
    from .settings import find_key_file as find_key_file
    from .stats import ClientStats as ClientStats
    from .stats import FlowStats as FlowStats
    from .stats import NodeStats as NodeStats
    from .stats import PublisherStats as PublisherStats
    from .stats import RouteStats as RouteStats
    from .stats import ServiceStats as ServiceStats
    from .stats import SubscriberStats as SubscriberStats
    from .subscribing.subscriber import Subscriber as Subscriber
    from .transport.socketudp import SocketUDP as SocketUDP
    from .transport.socketudp import get_ip as get_ip
    from .transport.systemd import Supervisor as Supervisor

_HOMES = {
    "asking.client": "Client",
    "asking.listing": "services services_async",
    "asking.request": "Request",
    "asking.service": "Service",
    "asking.stream": "Stream",
    "bag.bag": "Bag BagTopic",
    "bag.blackbox": "BlackBox",
    "bag.player": "Player PlayerStats",
    "bag.recorder": "Recorder RecorderStats TopicStats",
    "bridges.bridge": "Bridge",
    "bridges.config": "BridgeConfig",
    "bridges.mqtt.adapter": "MqttAdapter",
    "bridges.rules": "Rules",
    "bridges.zenoh.adapter": "ZenohAdapter",
    "bridges.zenoh.options": "ZenohOptions",
    "clock": "Clock Delay",
    "codec": "MsgLibrary MsgPack MsgStream Raw get_msg",
    "codec.codec": "Codec",
    "doctor.examination": "diagnose",
    "errors": "ArgumentError ClosedError CodecError IpcError NoService RecvTimeout SchemaError ServiceError "
    "TransportError",
    "facts": "Diagnosis Finding",
    "fast": "implementation",
    "events": "Event NodeFound NodeLost NodeResumed NodeStalled PublisherFound PublisherLost PublisherResumed "
    "PublisherStalled SubscriberFound SubscriberLost TopicEvent TopicInTime TopicLate",
    "graph": "EndpointInfo Flow NodeInfo ServiceInfo Stranger TopicInfo",
    "message": "Message",
    "node.node": "Node",
    "node.shared": "flows flows_async nodes nodes_async topics topics_async",
    "node.watch": "Watch",
    "parameters.parameters": "Parameters",
    "protocol.topics": "matches",
    "publishing.publisher": "Publisher",
    "rate": "Rate",
    "sealing.keyfile": "KeyFile new_key",
    "settings": "find_key_file",
    "stats": "ClientStats FlowStats NodeStats PublisherStats RouteStats ServiceStats SubscriberStats",
    "subscribing.subscriber": "Subscriber",
    "transport.socketudp": "SocketUDP get_ip",
    "transport.systemd": "Supervisor",
}


@atexit.register  # now, not with the first node: what users register later is called before it, and may still publish
def _close_all() -> None:
    lifetimes = sys.modules.get(f"{__name__}.node.lifetimes")
    if lifetimes is not None:
        lifetimes.close_all()


_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that ``import ipcpy`` costs next to nothing."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    collects = gc.isenabled()
    gc.disable()  # all that an import makes stays: to look for garbage among it takes a tenth of the time
    try:  # by the built-in: importlib and what it imports take as long as three files of ours
        value: object = getattr(__import__(f"{__name__}.{_HOME_OF[name]}", fromlist=[name]), name)
    finally:
        if collects:
            _count_as_old()
            gc.enable()
    globals()[name] = value
    return value


def _count_as_old() -> None:
    """Have the collector take all that there is for old, as it would when it had looked at it twice."""
    if gc.get_freeze_count() == 0:  # else the program has frozen something, which is not ours to release
        gc.freeze()
        gc.unfreeze()


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
